//! Files that are written whole or not at all, also when the machine stops: under another name in the same directory, onto the
//! disk, and then given their own name. Processes that share the directory do not disturb each other.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

/// The mode of a file that only its owner may read and write.
pub const PRIVATE: u32 = 0o600;
/// The mode of a file that everybody may read.
pub const PUBLIC: u32 = 0o644;

/// Writes the file in place of the one that may be there. The disk has it when this returns.
pub fn replace(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    unnamed(path, contents, mode)?.persist(path)?;
    sync_directory_of(path)
}

/// Writes a file that is not there yet, or fails with [`io::ErrorKind::AlreadyExists`]. The disk has it when this returns.
pub fn create(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    unnamed(path, contents, mode)?.persist_noclobber(path)?;
    sync_directory_of(path)
}

/// The directory that the file is in.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts onto the disk which files the file's directory has.
pub fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

/// The contents on the disk, in a file that is removed unless it gets its name.
fn unnamed(path: &Path, contents: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let permissions = Permissions::from_mode(mode);
    let mut file = tempfile::Builder::new().prefix(".new-").permissions(permissions).tempfile_in(directory_of(path))?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mark");
        for text in ["a longer text", "short"] {
            replace(&path, text.as_bytes(), PRIVATE).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(mode(&path), PRIVATE);
        replace(&path, b"open", PUBLIC).unwrap();
        // What the umask takes is not given.
        assert_eq!(mode(&path) & 0o600, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_there_is_not_created_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        create(&path, b"first", PRIVATE).unwrap();
        assert_eq!(create(&path, b"second", PRIVATE).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_the_file_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing").join("mark");
        assert_eq!(replace(&path, b"text", PRIVATE).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(directory_of(Path::new("mark")), Path::new("."));
    }
}
