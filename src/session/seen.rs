//! When and where sessions were used, gathered in memory and written in batches: a write for each request would be half
//! of the database's work. The check asks here too, so that a session in use never looks idle. A failed write refuses
//! nobody; it is tried again with the next batch.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Sessions;
use crate::model::id::SessionId;
use crate::store::sessions::{self, Seen};
use crate::store::{Db, StoreError};

/// Sessions written in one transaction.
const BATCH: usize = 500;

/// What has been seen and is not written yet.
#[derive(Debug, Default)]
pub(super) struct LastSeen {
    pending: Mutex<HashMap<SessionId, Seen>>,
}

impl LastSeen {
    pub fn note(&self, id: SessionId, seen: Seen) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = pending.entry(id).or_insert(seen);
        if latest.at < seen.at {
            *latest = seen;
        }
    }

    pub fn of(&self, id: SessionId) -> Option<Seen> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    fn batch(&self) -> Vec<(SessionId, Seen)> {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.iter().take(BATCH).map(|(id, seen)| (*id, *seen)).collect()
    }

    /// Forgets what was written, unless the session was used again meanwhile.
    fn forget(&self, written: &[(SessionId, Seen)]) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, seen) in written {
            if pending.get(id) == Some(seen) {
                pending.remove(id);
            }
        }
    }
}

impl Sessions {
    /// Writes what has been seen; returns how many sessions that were.
    pub async fn flush_last_seen(&self) -> Result<usize, StoreError> {
        let mut written = 0;
        loop {
            let batch = self.inner.last_seen.batch();
            if batch.is_empty() {
                return Ok(written);
            }
            let rows = batch.clone();
            self.store().write(move |db| write(db, &rows)).await?;
            self.inner.last_seen.forget(&batch);
            written += batch.len();
        }
    }
}

fn write(db: &mut Db, rows: &[(SessionId, Seen)]) -> Result<(), StoreError> {
    rows.iter().try_for_each(|(id, seen)| sessions::touch(db, *id, seen))
}
