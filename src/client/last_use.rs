//! When clients were last used: noted in memory, and written once a minute, so that no request waits for that.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::Clients;
use crate::model::client::ClientId;
use crate::store::{StoreError, clients};

/// The uses that are not written yet, the last of each client.
#[derive(Debug, Default)]
pub(super) struct LastUses(Mutex<HashMap<ClientId, DateTime<Utc>>>);

impl LastUses {
    /// Notes that a client was used.
    pub fn note(&self, id: &ClientId, now: DateTime<Utc>) {
        let mut noted = self.0.lock();
        match noted.get_mut(id) {
            Some(last) => *last = now.max(*last),
            None => drop(noted.insert(id.clone(), now)),
        }
    }
}

impl Clients {
    /// Writes when clients were last used; what could not be written waits for the next time. Returns how many were.
    pub async fn write_last_uses(&self) -> Result<usize, StoreError> {
        let last_uses = &self.inner.last_uses;
        let used: Vec<(ClientId, DateTime<Utc>)> = last_uses.0.lock().drain().collect();
        if used.is_empty() {
            return Ok(0);
        }
        let writing = used.clone();
        if let Err(error) = self.store().write(move |db| clients::touch_all(db, &writing)).await {
            for (id, at) in &used {
                last_uses.note(id, *at);
            }
            return Err(error);
        }
        Ok(used.len())
    }
}
