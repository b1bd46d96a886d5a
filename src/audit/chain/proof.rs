//! Proofs (RFC 6962 §2.1): that a record is in the tree of a checkpoint, and that one checkpoint's tree continues another's.

use tlog_tiles::{Hash, prove_record, prove_tree};

use super::tree::Stored;
use super::{Chain, size};
use crate::model::record::RecordKind;
use crate::store::chain::{self, SealedRecord, StoredCheckpoint};
use crate::store::{Db, StoreError};

/// That a record is in the tree of a checkpoint.
#[derive(Debug, Clone)]
pub struct InclusionProof {
    /// The record, in its place.
    pub sealed: SealedRecord,
    /// The hashes beside the path from the record to the root.
    pub hashes: Vec<Hash>,
    /// The checkpoint whose root the hashes lead to.
    pub checkpoint: StoredCheckpoint,
}

/// That the tree of one size is the beginning of the tree of another.
#[derive(Debug, Clone)]
pub struct ConsistencyProof {
    /// The hashes by which the one root leads to the other.
    pub hashes: Vec<Hash>,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum NoProof {
    /// There are not so many records, or the order is the wrong one.
    #[error("there are no such sizes")]
    NoSuchSizes,
    /// The earlier size is one of before what retention left.
    #[error("older than what is kept")]
    TooOld,
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Chain {
    /// Proves the latest record of a thing against the newest checkpoint. `None` where there is no such record, or no
    /// checkpoint that covers it yet.
    pub async fn prove_inclusion(
        &self,
        kind: RecordKind,
        subject: String,
    ) -> Result<Option<InclusionProof>, StoreError> {
        let prove = move |db: &mut Db| {
            let Some(sealed) = chain::latest(db, kind, &subject)? else { return Ok(None) };
            let newest = chain::newest_checkpoint(db)?;
            let Some(checkpoint) = newest.filter(|newest| sealed.position < newest.size) else { return Ok(None) };
            let stored = Stored::new(db);
            let proved = prove_record(size(checkpoint.size), size(sealed.position), &stored);
            let hashes = stored.result(proved)?;
            Ok::<_, StoreError>(Some(InclusionProof { sealed, hashes, checkpoint }))
        };
        self.store.read(prove).await
    }

    /// Proves that the first `from` of the first `to` records are what they were.
    pub async fn prove_consistency(&self, from: u64, to: u64) -> Result<ConsistencyProof, NoProof> {
        let prove = move |db: &mut Db| {
            if from == 0 || from > to || to > size(chain::head(db)?.size) {
                return Err(NoProof::NoSuchSizes);
            }
            if from < size(chain::base(db)?.size) {
                return Err(NoProof::TooOld);
            }
            let stored = Stored::new(db);
            let proved = prove_tree(to, from, &stored);
            Ok(ConsistencyProof { hashes: stored.result(proved)? })
        };
        self.store.read(prove).await
    }
}
