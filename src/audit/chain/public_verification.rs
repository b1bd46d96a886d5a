//! Verification with the public key alone, for somebody who lacks the server's keys, such as a reviewer with a copy of the
//! database: the tree over all sealed records, every checkpoint, and each row that is there. Chain hashes, and who may have
//! removed what is gone, take the keys: what is gone or redacted is counted, and not judged.

use tlog_tiles::Hash;

use super::current_digests::{RowDigest, current_digests};
use super::tree::{self, TreeBuilder, leaf};
use super::verify::altered_tables;
use super::{BadCheckpoint, ChainHashKeys, Checkpoint, CheckpointVerifier, Damage, size};
use crate::store::chain::{self, SealedRecord, StoredCheckpoint};
use crate::store::{Db, Store, StoreError};

/// Records read at once.
const PAGE: i64 = 4_096;

/// What was verified with the public key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublicVerification {
    /// Records in the tree.
    pub records: u64,
    /// Checkpoints that the tree agrees with.
    pub checkpoints: usize,
    /// Records of what is gone or redacted, rightly or not.
    pub not_judged: u64,
}

impl CheckpointVerifier {
    /// The same with the keys that took its place or had it before, as statements in the database say that both signed.
    pub async fn following_handovers(self, store: &Store) -> Result<Self, StoreError> {
        let stored = store.read(|db| chain::checkpoints_between(db, -1, i64::MAX, i64::MAX)).await?;
        Ok(self.following(stored.iter().map(|stored| stored.note.as_str())))
    }
}

/// Verifies a history by the public key of its checkpoints, also against some that somebody kept.
pub async fn verify_publicly(
    store: &Store,
    key: CheckpointVerifier,
    kept: Vec<Checkpoint>,
) -> Result<Result<PublicVerification, Damage>, StoreError> {
    let verified = store.read_long(move |db| Ok::<_, StoreError>(verify(db, &key, kept))).await?;
    match verified {
        Err(NotVerified::Store(StoreError::Corrupt(what))) => Ok(Err(Damage::Unreadable { what })),
        Err(NotVerified::Store(error)) => Err(error),
        Err(NotVerified::Damaged(damage)) => Ok(Err(damage)),
        Ok(verified) => Ok(Ok(verified)),
    }
}

/// Why it was not verified to the end.
#[derive(Debug, thiserror::Error)]
enum NotVerified {
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn verify(db: &mut Db, key: &CheckpointVerifier, mut kept: Vec<Checkpoint>) -> Result<PublicVerification, NotVerified> {
    // The checkpoints first: the chain has grown since, if anything.
    for stored in chain::checkpoints_between(db, -1, i64::MAX, i64::MAX)? {
        kept.push(opened(&stored, key)?);
    }
    let (base, head) = (chain::base(db)?, chain::head(db)?);
    kept.sort_by_key(|checkpoint| checkpoint.size);
    let is_base = |checkpoint: &Checkpoint| checkpoint.size == size(base.size);
    if base.size > 0 && !kept.iter().any(is_base) {
        return Err(Damage::UnsignedBase { size: base.size }.into());
    }
    kept.retain(|checkpoint| checkpoint.size >= size(base.size));
    let mut builder = TreeBuilder::of(base, ChainHashKeys::plain());
    let mut verified = PublicVerification::default();
    loop {
        verified.checkpoints += meet(&mut kept, size(builder.head.size), tree::root(&builder.head.peaks))?;
        if builder.head.size >= head.size {
            break;
        }
        // Up to where a checkpoint looked, if one did.
        let next = kept.first().map_or(i64::MAX, |next| i64::try_from(next.size).unwrap_or(i64::MAX));
        let page = chain::page(db, builder.head.size, head.size.min(next), PAGE)?;
        verified.not_judged += follow(db, &mut builder, &page)?;
    }
    if let Some(seen) = kept.first() {
        return Err(Damage::CutOff { size: size(builder.head.size), seen: seen.size }.into());
    }
    if let Some(position) = chain::outside_chain(db)? {
        return Err(Damage::OutsideChain { position }.into());
    }
    if let Some((kind, subject)) = chain::without_record(db)? {
        return Err(Damage::Added { kind, subject }.into());
    }
    if let Some((kind, subject)) = chain::duplicate(db)? {
        return Err(Damage::Duplicate { kind, subject }.into());
    }
    if let Some((kind, subject)) = chain::recorded_twice(db)? {
        return Err(Damage::RecordedTwice { kind, subject }.into());
    }
    if let Some(damage) = altered_tables(db)? {
        return Err(damage.into());
    }
    if verified.checkpoints == 0 {
        return Err(Damage::Unsigned.into());
    }
    Ok(PublicVerification { records: size(builder.head.size), ..verified })
}

fn opened(stored: &StoredCheckpoint, key: &CheckpointVerifier) -> Result<Checkpoint, Damage> {
    let damaged = |reason| Damage::Checkpoint { size: stored.size, reason };
    let opened = key.open(&stored.note).map_err(damaged)?;
    if opened.size == size(stored.size) { Ok(opened) } else { Err(damaged(BadCheckpoint::Malformed)) }
}

/// Compares the tree with the checkpoints of its size; how many there were.
fn meet(kept: &mut Vec<Checkpoint>, here: u64, root: Hash) -> Result<usize, Damage> {
    let count = kept.iter().take_while(|checkpoint| checkpoint.size == here).count();
    let is_other = |checkpoint: Checkpoint| checkpoint.root != root;
    if kept.drain(..count).any(is_other) { Err(Damage::Rewritten { size: here }) } else { Ok(count) }
}

/// Grows the tree by these records; how many stand for what is gone or redacted.
fn follow(db: &mut Db, builder: &mut TreeBuilder, page: &[SealedRecord]) -> Result<u64, NotVerified> {
    if page.is_empty() {
        return Err(Damage::Missing { position: builder.head.size }.into());
    }
    let current_digests = current_digests(db, page.iter().map(|sealed| (&sealed.record).into()))?;
    let mut not_judged = 0;
    for (sealed, found) in page.iter().zip(current_digests) {
        if sealed.position != builder.head.size {
            return Err(Damage::Missing { position: builder.head.size }.into());
        }
        builder.grow(leaf(&sealed.record));
        match found {
            Some(RowDigest::Present(digest, redacted)) if digest == sealed.record.digest => {
                not_judged += u64::from(redacted.is_some());
            }
            Some(RowDigest::Superseded) => {}
            None if sealed.record.is_removal() => {}
            // What changes has a record that it is gone: nobody without the key could say so of other things.
            None if sealed.record.kind.is_versioned() => return Err(Damage::deleted(sealed).into()),
            None => not_judged += 1,
            Some(_) => return Err(Damage::changed(sealed).into()),
        }
    }
    builder.hashes.clear();
    Ok(not_judged)
}
