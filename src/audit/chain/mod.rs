//! The record chain (P6): every audit event, attempt and session leaves a digest, in the transaction that writes it; a job
//! seals those into a chain within a second. No record can be changed, removed or put in between unseen, as long as
//! somebody kept one checkpoint of what the chain was before.
//!
//! What waits is found by its rows, not by a number: a transaction that commits late is sealed late, and nothing is passed
//! over. The chain is a hash chain (each record's chain hash covers all before it, under a key that is not in the database) and,
//! above the same records, a Merkle tree (RFC 6962), whose root is what checkpoints sign, and whose proofs show one record
//! without the others.
//!
//! | file | knows |
//! |---|---|
//! | `seal` | how what waits is put into the chain |
//! | `chain_hash`, `tree` | how a record is linked to those before, and how the chain and its tree grow |
//! | `keyed_from`, `key_rotation`, `key_handover` | from which record on which key links and signs |
//! | `checkpoint`, `sign`, `proven_head` | what is signed, and what is proved before it is |
//! | `verify`, `public_verification` | verifying everything with the server's keys, and what the public key alone can verify |
//! | `current_digests`, `row_versions`, `unaltered` | whether rows still are what was recorded of them |
//! | `removals`, `prune` | what may be missing, and how the oldest records go |
//! | `proof` | proofs of single records, for others |

mod chain_hash;
mod checkpoint;
mod current_digests;
mod key_handover;
mod key_rotation;
mod keyed_from;
mod proof;
mod proven_head;
mod prune;
mod public_verification;
mod removals;
mod row_versions;
mod seal;
mod sign;
mod tree;
mod unaltered;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use chain_hash::{ChainHashKey, ChainHashKeys};
pub use checkpoint::{BadCheckpoint, Checkpoint, CheckpointKey, CheckpointVerifier, Unusable, UnusableFile};
pub use key_rotation::Unsettled;
pub use keyed_from::Keyed;
pub use proof::{ConsistencyProof, InclusionProof, NoProof};
pub use public_verification::{PublicVerification, verify_publicly};
pub(super) use removals::cutoffs;
pub(crate) use removals::is_genuine;
pub use sign::NotSigned;
pub use tree::{TreeBuilder, leaf};
pub(crate) use unaltered::unaltered;
pub use verify::{Damage, Verified};

use crate::clock::Clock;
use crate::keyring::Keyring;
use crate::signed_removal::RemovalKey;
use crate::store::chain::{self, StoredCheckpoint};
use crate::store::{Db, Store, StoreError};
use crate::vault::Vault;
use proven_head::ProvenHead;

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
    proven: Arc<ProvenHead>,
}

/// What makes and tells what only the server can write. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Signs checkpoints, with Ed25519.
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

impl Chain {
    /// The operations. Checkpoints are also written to a file in `directory`.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, vault: Vault, keys: Keys, directory: &Path) -> Self {
        Self { store, clock, vault, keys, directory: directory.to_owned(), proven: Arc::default() }
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

    /// The path of the file with the newest checkpoint, in the data directory.
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

    /// The newest checkpoint that was made.
    pub async fn newest_checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.store.read(chain::newest_checkpoint).await
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

/// A number of records, as the tree counts them. Never negative: the database sees to that.
fn size(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}
