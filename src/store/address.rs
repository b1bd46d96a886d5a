//! The files of a SQLite database: for their owner alone.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::error::OpenError;
pub use crate::config::DatabaseAddress as Address;

impl Address {
    /// Makes a SQLite file and its directory, for their owner alone: the history is nobody else's to read.
    pub(super) fn prepare(&self) -> Result<(), OpenError> {
        let Self::Sqlite(path) = self else { return Ok(()) };
        let failed = |place: &Path, error: std::io::Error| OpenError::Connect(format!("{}: {error}", place.display()));
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
            made.map_err(|error| failed(directory, error))?;
        }
        // SQLite would make it, and the files beside it, as open as the umask has it.
        match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(path, error)),
            _ => Ok(()),
        }
    }

    /// Closes the files of a SQLite database to others, whatever the directory around them and the umask.
    pub(super) fn close_to_others(&self) -> std::io::Result<()> {
        let Self::Sqlite(path) = self else { return Ok(()) };
        for beside in ["", "-wal", "-shm"] {
            let mut file = path.clone().into_os_string();
            file.push(beside);
            match std::fs::metadata(&file).map(|found| found.permissions().mode()) {
                Ok(mode) if mode & 0o077 != 0 => {
                    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn is_a_file(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }
}
