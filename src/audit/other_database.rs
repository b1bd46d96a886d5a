//! Which database the data directory remembers. Where that is another than the one that is open, the history may be gone
//! without anybody having removed it: the address is wrong, or a file was copied without what belongs to it.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::chain;
use crate::coherence::remembered_database;
use crate::model::audit::{AuditContext, AuditEvent, Details, Reason, Subject};
use crate::store::{Store, StoreError, audit, changes};

/// The data directory remembers another database than the one that is open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the data directory {directory} remembers another database ({remembered}) than this one ({found}): if you expected its \
     users and sessions, stop, look whether `[database] url` names the right one and whether it was copied as docs/copies.md \
     says; if this one is meant to be new, start it with an empty data directory"
)]
pub struct OtherDatabase {
    directory: String,
    remembered: String,
    found: String,
}

impl OtherDatabase {
    /// Looks at the high-water mark and the checkpoint in the directory; `database` is the one that is open.
    #[must_use]
    pub fn in_directory(directory: &Path, database: &str) -> Option<Self> {
        let other = names_in(directory).find(|remembered| remembered != database)?;
        Some(Self { directory: directory.display().to_string(), remembered: other, found: database.to_owned() })
    }

    fn event(&self, at: DateTime<Utc>) -> AuditEvent {
        let (remembered, found) = (self.remembered.clone(), self.found.clone());
        let details = Details::DatabaseUnexpected { remembered, found };
        AuditEvent::new(at, details, &AuditContext::system("start"), Subject::everybody())
            .because(Reason::OtherDatabase)
    }
}

/// The names of the databases that the directory remembers, as its high-water mark and its checkpoint say.
pub fn names_in(directory: &Path) -> impl Iterator<Item = String> + use<> {
    [remembered_database(directory), of_checkpoint(directory)].into_iter().flatten()
}

/// The name of the history that the checkpoint in the directory is of: its first line. Whether it can be believed is asked
/// elsewhere.
fn of_checkpoint(directory: &Path) -> Option<String> {
    let note = std::fs::read_to_string(directory.join(chain::FILE)).ok()?;
    note.lines().next()?.strip_prefix("vigie/").map(str::to_owned)
}

/// Warns, and records it, where the data directory remembers another database.
pub async fn report_other_database(store: &Store, directory: &Path, now: DateTime<Utc>) -> Result<(), StoreError> {
    let database = store.read(changes::head).await?.database;
    let Some(other) = OtherDatabase::in_directory(directory, &database) else { return Ok(()) };
    tracing::warn!("{other}");
    store.write(move |db| audit::record(db, &other.event(now))).await
}
