//! The two databases, as a parameter of a test: `#[values(Sqlite, Postgres)] backend: Backend`.

use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::events;
use super::postgres::{Cluster, TestSchema};
use super::thousands::{Rows, fill};

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file of its own.
    Sqlite,
    /// A schema of its own.
    Postgres,
}

impl Backend {
    /// A fresh, empty database that no other test sees.
    pub fn database(self) -> TestDatabase {
        match self {
            Self::Sqlite => {
                let directory = tempfile::tempdir().expect("a temporary directory can be made");
                let url = format!("sqlite:{}", directory.path().join("vigie.db").display());
                TestDatabase::new(url, Guard::Directory(directory))
            }
            Self::Postgres => {
                let schema = Cluster::shared().schema();
                TestDatabase::new(schema.url.clone(), Guard::Schema(schema))
            }
        }
    }
}

impl TestDatabase {
    /// A database that the test keeps itself.
    pub fn at(url: &str) -> Self {
        Self::new(url.to_owned(), Guard::Elsewhere)
    }

    fn new(url: String, guard: Guard) -> Self {
        Self { url, holds_foreign_events: AtomicBool::new(false), guard }
    }

    /// Takes what the test itself writes into the record for no fault of the server.
    pub fn let_foreign_events_be(&self) {
        self.holds_foreign_events.store(true, Ordering::Relaxed);
    }

    /// Puts thousands of rows there, which wait to be sealed if `waiting`.
    pub async fn fill(&self, rows: Rows, waiting: bool) {
        let url = self.url.clone();
        actix_web::rt::task::spawn_blocking(move || fill(&url, rows, waiting)).await.expect("it is filled");
    }
}

impl Drop for TestDatabase {
    /// LOG-02: whatever the server recorded keeps to its kind.
    fn drop(&mut self) {
        let is_kept = !matches!(self.guard, Guard::Elsewhere);
        if is_kept && !std::thread::panicking() && !self.holds_foreign_events.load(Ordering::Relaxed) {
            let faults = events::faults(&self.url);
            assert!(faults.is_empty(), "events that are not what docs/audit-events.md says: {faults:#?}");
        }
    }
}

/// A database that lasts as long as its guard. What is recorded in it is looked at when it goes.
#[derive(Debug)]
pub struct TestDatabase {
    /// As in `[database] url`.
    pub url: String,
    holds_foreign_events: AtomicBool,
    /// Removes the database when dropped.
    guard: Guard,
}

/// What keeps a test's database, and removes it when dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held for their Drop")]
pub enum Guard {
    /// The directory of the SQLite file.
    Directory(TempDir),
    /// The PostgreSQL schema.
    Schema(TestSchema),
    /// Nothing: whoever made the database removes it.
    Elsewhere,
}
