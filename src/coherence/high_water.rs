//! How far the feed of changes had come, kept beside the database rather than in it: a database that shows less is an older
//! copy of itself (a restored backup, a failover that lost commits).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::store::changes::Head;
use crate::whole_file;

/// The file in the data directory.
const FILE: &str = "high-water.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    database: String,
    seq: i64,
}

/// The database that served last from this data directory, as its mark has it; `None` where there is none that can be read.
#[must_use]
pub fn remembered_database(directory: &Path) -> Option<String> {
    let mark: Mark = serde_json::from_slice(&std::fs::read(directory.join(FILE)).ok()?).ok()?;
    Some(mark.database)
}

/// The highest number seen.
#[derive(Debug)]
pub(super) struct HighWater {
    path: PathBuf,
    mark: Option<Mark>,
    is_saved: bool,
    /// What is being written now.
    saving: Option<JoinHandle<()>>,
}

impl HighWater {
    /// As it was left in this directory. A file that cannot be read says nothing; that is logged.
    pub fn in_directory(directory: &Path) -> Self {
        let path = directory.join(FILE);
        let mark = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        let mark = mark.unwrap_or_else(|cause| {
            tracing::warn!(path = %path.display(), %cause, "the high-water mark cannot be read: an older copy of the database would not be noticed");
            None
        });
        Self { path, mark, is_saved: true, saving: None }
    }

    /// Whether the same database once had come further than this.
    pub fn is_above(&self, head: &Head) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.database == head.database && mark.seq > head.seq)
    }

    /// The highest number seen.
    pub fn seq(&self) -> i64 {
        self.mark.as_ref().map_or(0, |mark| mark.seq)
    }

    /// The feed has come this far.
    pub fn raise_to(&mut self, head: &Head) {
        let mark = Mark { database: head.database.clone(), seq: head.seq };
        if self.mark.as_ref() != Some(&mark) && !self.is_above(head) {
            self.mark = Some(mark);
            self.is_saved = false;
        }
    }

    /// The feed of the same database has come this far.
    pub fn advance(&mut self, seq: i64) {
        if let Some(mark) = self.mark.as_mut().filter(|mark| mark.seq < seq) {
            mark.seq = seq;
            self.is_saved = false;
        }
    }

    /// Begins anew, after the database has gone back.
    pub fn reset(&mut self) {
        self.mark = None;
    }

    /// Begins to write it down, unless it is being written: who keeps the lease does not wait for the disk. A failure is logged;
    /// the next change is written again.
    pub fn save(&mut self) {
        let is_saving = self.saving.as_ref().is_some_and(|saving| !saving.is_finished());
        let Some(mark) = self.mark.clone().filter(|_| !self.is_saved && !is_saving) else { return };
        self.is_saved = true;
        let path = self.path.clone();
        self.saving = Some(tokio::task::spawn_blocking(move || write(&path, &mark)));
    }

    /// Writes it down; returns when the disk has it.
    pub async fn save_now(&mut self) {
        self.saved().await;
        self.save();
        self.saved().await;
    }

    async fn saved(&mut self) {
        if let Some(saving) = self.saving.take()
            && let Err(error) = saving.await
        {
            tracing::warn!(path = %self.path.display(), cause = %error, "the high-water mark cannot be written");
        }
    }
}

fn write(path: &Path, mark: &Mark) {
    let text = serde_json::to_vec(mark).map_err(std::io::Error::from);
    if let Err(error) = text.and_then(|text| whole_file::replace(path, &text, whole_file::PRIVATE)) {
        tracing::warn!(path = %path.display(), cause = %error, "the high-water mark cannot be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(database: &str, seq: i64) -> Head {
        Head { seq, database: database.to_owned() }
    }

    #[tokio::test]
    async fn an_older_copy_of_the_same_database_is_noticed_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let mut mark = HighWater::in_directory(directory.path());
        assert!(!mark.is_above(&head("a", 0)));
        mark.raise_to(&head("a", 7));
        mark.save_now().await;
        let mark = HighWater::in_directory(directory.path());
        assert!(mark.is_above(&head("a", 6)));
        assert!(!mark.is_above(&head("a", 7)));
        assert!(!mark.is_above(&head("another", 0)));
    }

    #[test]
    fn a_file_that_says_nothing_stops_nobody() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), "{").unwrap();
        assert!(!HighWater::in_directory(directory.path()).is_above(&head("a", 0)));
    }
}
