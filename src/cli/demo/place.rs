//! Where a demonstration keeps its data: a directory that is gone afterwards, whichever way the demonstration ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use parking_lot::Mutex;
use tempfile::TempDir;

/// The directory of a demonstration. Whoever ends the process can remove it.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Place(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    /// It may be made.
    #[default]
    Ahead,
    Made(TempDir),
    /// None is made any more.
    Removed,
}

impl Place {
    /// Makes the directory, unless it was removed before it was there.
    pub(super) fn make(&self) -> io::Result<PathBuf> {
        let mut state = self.0.lock();
        if matches!(*state, State::Removed) {
            return Err(io::Error::other("told to stop"));
        }
        let directory = tempfile::Builder::new().prefix("vigie-demo-").tempdir()?;
        let path = directory.path().to_owned();
        *state = State::Made(directory);
        Ok(path)
    }

    /// Removes the directory, for good. Returns when it is gone, also where another removes it just now: whoever ends the
    /// process next would else do it in the middle of that.
    pub(in crate::cli) fn remove(&self) {
        let mut state = self.0.lock();
        if let State::Made(directory) = std::mem::replace(&mut *state, State::Removed) {
            let path = directory.keep();
            if let Err(error) = remove(&path) {
                tracing::warn!(directory = %path.display(), cause = %error, "demonstration not removed");
            }
        }
    }
}

/// Removes a directory in which others may still be at work. It gets another name first, so that they put no more files
/// there.
fn remove(directory: &Path) -> io::Result<()> {
    let aside = directory.with_extension("gone");
    match fs::rename(directory, &aside) {
        Ok(()) => fs::remove_dir_all(aside),
        Err(_) => fs::remove_dir_all(directory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_removed_with_all_in_it_and_made_no_more() {
        let place = Place::default();
        let path = place.make().unwrap();
        fs::write(path.join("vigie.db"), "x").unwrap();
        place.clone().remove();
        assert!(!path.exists() && !path.with_extension("gone").exists());
        assert!(place.make().is_err());
        place.remove();
    }
}
