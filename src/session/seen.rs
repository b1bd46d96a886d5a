//! When and where sessions were used, gathered in memory and written in batches: a write for each request would be half
//! of the database's work. The check asks here too, so that a session in use never looks idle. A failed write refuses
//! nobody; it is tried again with the next batch.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Sessions;
use crate::model::id::SessionId;
use crate::store::StoreError;
use crate::store::sessions::{self, Seen};

/// Sessions written in one transaction. Until it is over nobody else can end them, so it is a short one.
const BATCH: usize = 100;

/// What has been seen and is not written yet.
#[derive(Debug, Default)]
pub(super) struct LastSeen {
    pending: Mutex<HashMap<SessionId, Seen, ahash::RandomState>>,
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

    /// What waits to be written, by id: nodes that write the same sessions at the same time then wait for each other and
    /// never in a circle.
    fn waiting(&self) -> Vec<(SessionId, Seen)> {
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting: Vec<_> = pending.iter().map(|(id, seen)| (*id, *seen)).collect();
        drop(pending);
        waiting.sort_unstable_by_key(|(id, _)| id.0);
        waiting
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
    /// Writes what has been seen by now; returns how many sessions that were. What is seen meanwhile waits for the next
    /// time: sessions that are always in use would otherwise keep this going for ever, and a bulk end that waits for it.
    pub async fn flush_last_seen(&self) -> Result<usize, StoreError> {
        let waiting = self.inner.last_seen.waiting();
        for batch in waiting.chunks(BATCH) {
            let rows = batch.to_vec();
            self.store().write(move |db| sessions::touch_all(db, &rows)).await?;
            self.inner.last_seen.forget(batch);
        }
        Ok(waiting.len())
    }
}
