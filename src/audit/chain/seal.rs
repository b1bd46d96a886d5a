//! Seals what waits: puts the digests of new records into the chain, each once, in the order in which they became visible.

use super::Chain;
use super::current_digests::{RowDigest, RowRef, current_digests};
use super::tree::TreeBuilder;
use crate::model::record::Record;
use crate::store::chain::{self, Head, UnsealedRecord};
use crate::store::{Db, StoreError};

/// Records sealed in one transaction.
const BATCH: i64 = 2_000;

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
    /// Seals all that waits; returns how many records.
    pub async fn seal(&self) -> Result<usize, StoreError> {
        let (mut sealed, mut from) = (0, chain::OLDEST);
        // Nobody is kept waiting for the lock of a chain that need not grow; nor do records that cannot be sealed hold up others.
        while self.store.read(move |db| chain::is_any_waiting(db, from)).await? {
            let chain = self.clone();
            let batch = self.store.write(move |db| chain.seal_batch(db, from)).await?;
            self.proven.extend(&batch.before, &batch.after);
            (sealed, from) = (sealed + batch.records, batch.last.saturating_add(1));
        }
        Ok(sealed)
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
}

/// The records that wait. What was there before the chain is sealed as it is found; nothing, where it is gone.
fn records(db: &mut Db, waiting: Vec<UnsealedRecord>) -> Result<Vec<Record>, StoreError> {
    let before_the_chain = waiting.iter().filter(|unsealed| unsealed.digest.is_none());
    let mut current_digests = current_digests(db, before_the_chain.map(RowRef::from))?.into_iter();
    let record = |UnsealedRecord { kind, subject, at, form, digest, .. }| {
        let digest = match digest {
            Some(digest) => digest,
            None => match current_digests.next()?? {
                RowDigest::Present(digest, _) => digest,
                // Another state has a record of its own.
                RowDigest::NotEnded | RowDigest::Superseded | RowDigest::Ahead => return None,
                RowDigest::Unreadable => {
                    return Some(Err(StoreError::Corrupt(format!("{kind} {subject} cannot be read"))));
                }
            },
        };
        Some(Ok(Record { kind, subject, at, form, digest }))
    };
    waiting.into_iter().filter_map(record).collect()
}
