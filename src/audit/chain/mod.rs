//! The record chain (P6): every audit event, attempt and session leaves a digest, in the transaction that writes it; a job
//! seals those into a chain within a second. No record can be changed, removed or put in between unseen, as long as
//! somebody kept one checkpoint of what the chain was before.
//!
//! What waits is found by its rows, not by a number: a transaction that commits late is sealed late, and nothing is passed
//! over. The chain is a hash chain (each record's chain hash covers all before it, under a key that is not in the database) and,
//! above the same records, a Merkle tree (RFC 6962), whose root is what checkpoints sign, and whose proofs show one record
//! without the others.

mod base;
mod chain_hash;
mod checkpoint;
mod current_digests;
mod handover;
mod key_exchange;
mod keying;
mod outside;
mod proof;
mod removals;
mod seen;
mod sign;
mod states;
mod tree;
mod verify;
mod vouched;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use chain_hash::{ChainHashKey, ChainHashKeys};
pub use checkpoint::{BadCheckpoint, Checkpoint, CheckpointKey, CheckpointVerifier, Unusable, UnusableFile};
pub use key_exchange::Unsettled;
pub use keying::Keyed;
pub use outside::{VerifiedOutside, verify_outside};
pub use proof::{ConsistencyProof, InclusionProof, NoProof};
pub(super) use removals::cutoffs;
pub(crate) use removals::is_genuine;
pub use sign::NotSigned;
pub use tree::{TreeBuilder, leaf};
pub use verify::{Fault, Verified};
pub(crate) use vouched::vouched;

use crate::clock::Clock;
use crate::keyring::Keyring;
use crate::model::record::Record;
use crate::signed_removal::RemovalKey;
use crate::store::chain::{self, Head, StoredCheckpoint, Unsealed};
use crate::store::{Db, Store, StoreError};
use crate::vault::Vault;
use current_digests::{Found, Thing, current_digests};
use seen::Seen;

/// Records sealed in one transaction.
const BATCH: i64 = 2_000;
/// The newest checkpoint, in the data directory: outside the database, so that whoever changes that must change this too. It
/// is replaced only by one that it leads to.
pub const FILE: &str = "checkpoint";

/// The operations on the chain. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Chain {
    store: Store,
    clock: Arc<dyn Clock>,
    vault: Vault,
    keys: Keys,
    directory: PathBuf,
    seen: Arc<Seen>,
}

/// What makes and tells what only the server can write. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Signs checkpoints.
    pub checkpoint: Arc<CheckpointKey>,
    /// Signs events that say what was removed.
    pub removal_key: Arc<RemovalKey>,
    /// Link records: by their numbers, from 1 on.
    pub hash_keys: Arc<[ChainHashKey]>,
}

impl Keys {
    /// Those in this keyring, for the history with this name.
    #[must_use]
    pub fn new(keyring: &Keyring, database: &str) -> Self {
        Self {
            checkpoint: Arc::new(CheckpointKey::new(keyring, database)),
            removal_key: Arc::new(RemovalKey::new(keyring)),
            hash_keys: ChainHashKey::all(keyring),
        }
    }
}

/// Records sealed in one transaction.
struct Batch {
    /// How the chain stood before, and stands since.
    before: Head,
    after: Head,
    records: usize,
    /// The last that was looked at of what waits.
    last: i64,
}

impl Chain {
    /// The operations. Checkpoints are also written to a file in `directory`.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, vault: Vault, keys: Keys, directory: &Path) -> Self {
        Self { store, clock, vault, keys, directory: directory.to_owned(), seen: Arc::default() }
    }

    /// The same history with other keys.
    #[must_use]
    pub fn with_keys(&self, vault: Vault, keyring: &Keyring) -> Self {
        let keys = Keys::new(keyring, vault.database());
        Self::new(self.store.clone(), Arc::clone(&self.clock), vault, keys, &self.directory)
    }

    /// The key that signs checkpoints, as those who verify them need it.
    #[must_use]
    pub fn key(&self) -> &CheckpointKey {
        &self.keys.checkpoint
    }

    /// The key that signs events that say what was removed, and tells genuine ones.
    #[must_use]
    pub const fn removal_key(&self) -> &Arc<RemovalKey> {
        &self.keys.removal_key
    }

    /// Where the newest checkpoint is kept.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// The checkpoint in the data directory, which whoever changes the database alone has not changed. `None` before the
    /// first.
    pub fn own_checkpoint(&self) -> Result<Option<Checkpoint>, UnusableFile> {
        let file = self.file();
        if file.exists() { self.key().open_file(&file).map(Some) } else { Ok(None) }
    }

    /// Seals all that waits; returns how many records.
    pub async fn seal(&self) -> Result<usize, StoreError> {
        let (mut sealed, mut from) = (0, chain::OLDEST);
        // Nobody is kept waiting for the lock of a chain that need not grow; nor do records that cannot be sealed hold up others.
        while self.store.read(move |db| chain::is_any_waiting(db, from)).await? {
            let chain = self.clone();
            let batch = self.store.write(move |db| chain.seal_batch(db, from)).await?;
            self.seen.grew(&batch.before, &batch.after);
            (sealed, from) = (sealed + batch.records, batch.last.saturating_add(1));
        }
        Ok(sealed)
    }

    /// The newest checkpoint that was made.
    pub async fn newest_checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.store.read(chain::newest_checkpoint).await
    }

    /// Seals what waits from this id on.
    fn seal_batch(&self, db: &mut Db, from: i64) -> Result<Batch, StoreError> {
        let before = chain::lock(db)?;
        let mut builder = TreeBuilder::of(before.clone(), self.hash_keys_in(db)?);
        let waiting = chain::waiting(db, from, BATCH)?;
        // Where others have sealed meanwhile, there may be none.
        let last = waiting.last().map_or(from, |last| last.id);
        let waiting = chain::sealable(db, waiting)?;
        let ids: Vec<i64> = waiting.iter().map(|unsealed| unsealed.id).collect();
        for record in records(db, waiting)? {
            builder.append(record);
        }
        let TreeBuilder { head: after, sealed, hashes, .. } = builder;
        chain::append(db, &sealed, &hashes, &after, &ids)?;
        Ok(Batch { before, after, records: sealed.len(), last })
    }

    /// How the records are linked.
    pub async fn hash_keys(&self) -> Result<ChainHashKeys, StoreError> {
        let chain = self.clone();
        self.store.read(move |db| chain.hash_keys_in(db)).await
    }

    /// The same. An error where this process has keys of the past: what they link and sign would be damage.
    fn hash_keys_in(&self, db: &mut Db) -> Result<ChainHashKeys, StoreError> {
        self.vault.ensure_current_in(db)?;
        ChainHashKeys::read(db, &self.keys.hash_keys)
    }
}

/// The records that wait. What was there before the chain is sealed as it is found; nothing, where it is gone.
fn records(db: &mut Db, waiting: Vec<Unsealed>) -> Result<Vec<Record>, StoreError> {
    let before_the_chain = waiting.iter().filter(|unsealed| unsealed.digest.is_none());
    let mut current_digests = current_digests(db, before_the_chain.map(Thing::from))?.into_iter();
    let record = |Unsealed { kind, subject, at, form, digest, .. }| {
        let digest = match digest {
            Some(digest) => digest,
            None => match current_digests.next()?? {
                Found::As(digest, _) => digest,
                // Another state has a record of its own.
                Found::Unended | Found::Superseded | Found::Ahead => return None,
                Found::Unreadable => {
                    return Some(Err(StoreError::Corrupt(format!("{kind} {subject} cannot be read"))));
                }
            },
        };
        Some(Ok(Record { kind, subject, at, form, digest }))
    };
    waiting.into_iter().filter_map(record).collect()
}

/// A number of records, as the tree counts them. Never negative: the database sees to that.
fn size(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}
