//! Where the database is.

use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::error::OpenError;
use crate::config::DatabaseAddress;

/// Where the database is. Decided once from the configured text: SQLite would take nearly any text as a file name, so
/// trying one after the other would serve an empty database during an outage.
#[derive(Debug, Clone)]
pub enum Address {
    /// A file.
    Sqlite(PathBuf),
    /// A server, by URL; it holds the password.
    Postgres(SecretString),
}

/// The text names neither database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a database address begins with sqlite: or postgres://")]
pub struct InvalidAddress;

impl Address {
    /// Reads `sqlite:PATH` or `postgres://…`.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if text.starts_with("sqlite:") {
            return match DatabaseAddress::read(text) {
                Ok(DatabaseAddress::Sqlite(path)) => Ok(Self::Sqlite(PathBuf::from(path))),
                _ => Err(InvalidAddress),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(SecretString::from(text.to_owned())));
        }
        Err(InvalidAddress)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_exactly_one_database() {
        assert!(
            matches!(Address::parse("sqlite:data/vigie.db"), Ok(Address::Sqlite(path)) if path == Path::new("data/vigie.db"))
        );
        assert!(
            matches!(Address::parse("sqlite:///var/vigie.db"), Ok(Address::Sqlite(path)) if path == Path::new("/var/vigie.db"))
        );
        assert!(matches!(Address::parse("postgres://db/vigie"), Ok(Address::Postgres(_))));
        for text in [
            "",
            "sqlite:",
            "host=127.0.0.1 dbname=x",
            "mysql://db/vigie",
            "vigie.db",
            "sqlite: x.db",
            "sqlite::Memory:",
            "sqlite:x.db?mode=ro",
            "sqlite://localhost/tmp/x.db",
            "sqlite://vigie:hunter2@127.0.0.1/x",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
