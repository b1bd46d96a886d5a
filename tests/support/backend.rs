//! The two databases, as a parameter of a test: `#[values(Sqlite, Postgres)] backend: Backend`.

use tempfile::TempDir;

use super::postgres::{Cluster, TestSchema};

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
                TestDatabase { url, guard: Guard::Directory(directory) }
            }
            Self::Postgres => {
                let schema = Cluster::shared().schema();
                TestDatabase { url: schema.url.clone(), guard: Guard::Schema(schema) }
            }
        }
    }
}

impl TestDatabase {
    /// A database that the test keeps itself.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), guard: Guard::Elsewhere }
    }
}

/// A database that lasts as long as its guard.
#[derive(Debug)]
pub struct TestDatabase {
    /// As in `[database] url`.
    pub url: String,
    /// Removes the database when dropped.
    #[expect(dead_code, reason = "held for its Drop")]
    pub guard: Guard,
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
