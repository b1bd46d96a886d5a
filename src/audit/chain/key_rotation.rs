//! Exchanges the keys of the chain: one checkpoint key hands over to another, and from there on another key links the records.

use chrono::{DateTime, Utc};

use super::chain_hash::ChainHashKeys;
use super::key_handover::Handover;
use super::sign::{checkpoint_of, prove};
use super::verify::TrustedKeys;
use super::{Chain, ChainHashKey, CheckpointKey, Damage, NotSigned, size};
use crate::keyring::Keyring;
use crate::store::chain::{self, StoredCheckpoint};
use crate::store::{Db, StoreError, link_keys};

/// The chain is not at rest, or not what it was.
#[derive(Debug)]
pub enum Unsettled {
    /// Records wait, or a checkpoint of so many records was signed already.
    Grows,
    /// It does not continue what was signed before, or nobody can tell.
    NotSigned(NotSigned),
}

impl From<StoreError> for Unsettled {
    fn from(error: StoreError) -> Self {
        Self::NotSigned(error.into())
    }
}

impl Chain {
    /// Locks the chain until the transaction ends, where all is sealed and continues what was signed before, and nobody has
    /// signed it as it stands; returns how many records there are.
    pub fn settled_in(&self, db: &mut Db) -> Result<u64, Unsettled> {
        let head = chain::lock(db)?;
        if chain::is_any_waiting(db, chain::OLDEST)? || chain::checkpoint_of(db, head.size)?.is_some() {
            return Err(Unsettled::Grows);
        }
        let base = chain::base(db)?;
        let trusted = TrustedKeys { keys: self.keys.clone(), hash_keys: self.hash_keys_in(db)? };
        prove(db, None, self.proven.head(), &base, &trusted).map_err(Unsettled::NotSigned)?;
        Ok(size(head.size))
    }

    /// Lets the keys of this keyring link and sign what follows. Under [`Chain::settled_in`].
    pub fn hand_over_in(&self, db: &mut Db, keys: &Keyring, now: DateTime<Utc>) -> Result<(), StoreError> {
        let head = chain::head(db)?;
        let hash_keys = ChainHashKey::all(keys);
        if let Some((number, newest)) = (1..).zip(hash_keys.iter()).last() {
            link_keys::insert(db, &newest.start(number, head.size))?;
        }
        let hash_keys = ChainHashKeys::read(db, &hash_keys)?;
        let (before, after) = (self.key(), CheckpointKey::new(keys, self.vault.database()));
        let named = Handover::lines(before.public(), after.public());
        let note = after.sign_with(before, &checkpoint_of(&head, &hash_keys), &named);
        chain::keep_checkpoint(db, &StoredCheckpoint { size: head.size, at: now, note })
    }

    /// The statements by which one checkpoint key took the place of another, the oldest first.
    pub async fn handovers(&self) -> Result<Result<Vec<String>, Damage>, StoreError> {
        let sizes = self.key().verifier().handovers();
        let read = move |db: &mut Db| {
            let mut notes = Vec::new();
            for size in sizes {
                match chain::checkpoint_of(db, i64::try_from(size).unwrap_or(i64::MAX))? {
                    Some(checkpoint) => notes.push(checkpoint.note),
                    None => return Ok(Err(Damage::Handover { size })),
                }
            }
            Ok::<_, StoreError>(Ok(notes))
        };
        self.store.read(read).await
    }
}
