//! Which master key each running server works with: it says so while it runs, so that an old master key is not dropped
//! under it.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Vault, VaultError};
use crate::store::keyring;
use crate::store::{Db, Store, StoreError};

/// A server that has not said for so long that it runs does not run.
pub const SILENT_FOR: TimeDelta = TimeDelta::minutes(1);

impl Vault {
    /// Notes that this process serves with its master key. An error where that opens the keys no more.
    pub async fn note_use(&self, store: &Store, now: DateTime<Utc>) -> Result<(), VaultError> {
        let vault = self.clone();
        let note = move |db: &mut Db| {
            // Whoever gives a master key up has locked it, and looked at who uses it.
            keyring::lock_shared(db)?;
            vault.keyring_in(db)?;
            keyring::prune_uses(db, None, now - TimeDelta::days(1))?;
            Ok(keyring::note_use(db, vault.inner.process, &vault.inner.id.0, now)?)
        };
        store.write(note).await
    }

    /// Notes that this process serves no more.
    pub async fn remove_use(&self, store: &Store, now: DateTime<Utc>) -> Result<(), StoreError> {
        let process = self.inner.process;
        store.write(move |db| keyring::prune_uses(db, Some(process), now - TimeDelta::days(1))).await
    }
}

/// The master keys that servers work with now, one for each server.
pub fn in_use(db: &mut Db, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
    // A moment far ahead is not one that a server wrote.
    keyring::uses_between(db, now - SILENT_FOR, now + SILENT_FOR)
}
