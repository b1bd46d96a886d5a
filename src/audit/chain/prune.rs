//! Pruning: the oldest records, whose rows are all gone, are removed too, as whole blocks of the tree, after a signed checkpoint
//! of exactly so many. The chain then begins at its *base*: what verifying needs of the removed records, which is the last chain
//! hash, and the peaks of the tree, whose root the checkpoint signs. Proofs of later records need no more than the hashes that are
//! kept.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::current_digests::current_digests;
use super::removals::Removals;
use super::sign::checkpoint_of;
use super::tree::{self, TreeBuilder, leaf};
use super::verify::{compare, ends_of_missing};
use super::{Chain, Damage, NotSigned};
use crate::model::record::{Record, versioned};
use crate::signed_removal::RemovalKey;
use crate::store::chain::{self, Head, SealedRecord, StoredCheckpoint};
use crate::store::versioned_rows::VersionedRow;
use crate::store::{Db, StoreError};

/// Records of a block: the tree keeps the hashes of such subtrees and larger ones.
const BLOCK: i64 = 1 << tree::KEPT_FROM;
/// Records read at once: whole blocks.
const PAGE: i64 = 16 * BLOCK;

/// Records in their order, each with whether what it stands for is still there, or why it is damage.
struct VerifiedPage(Vec<(SealedRecord, Result<bool, Damage>)>);

impl VerifiedPage {
    /// A page from a position on.
    fn read(db: &mut Db, from: i64, removal_key: &RemovalKey) -> Result<Self, StoreError> {
        let sealed = chain::page(db, from, from + PAGE, PAGE)?;
        let current_digests = current_digests(db, sealed.iter().map(|sealed| (&sealed.record).into()))?;
        let ends = ends_of_missing(db, &sealed, &current_digests)?;
        // After what they are to justify.
        let removals = Removals::read(db, removal_key)?;
        let judged = sealed.into_iter().zip(current_digests).map(|(sealed, found)| {
            let judged = compare(&sealed, found.as_ref(), &removals, &ends);
            (sealed, judged)
        });
        Ok(Self(judged.collect()))
    }
}

/// How many whole blocks at the beginning hold nothing but records of what is gone, and of current versions from before `before`;
/// and the rows of these versions.
fn blocks_of_old_versions(VerifiedPage(page): &VerifiedPage, before: DateTime<Utc>) -> (i64, Vec<VersionedRow>) {
    let is_old_version = |record: &Record| record.kind.is_versioned() && record.at < before;
    let ready = page.iter().take_while(|(sealed, judged)| match judged {
        Ok(is_there) => !is_there || is_old_version(&sealed.record),
        Err(_) => false,
    });
    let block = usize::try_from(BLOCK).unwrap_or(usize::MAX);
    let blocks = ready.count() / block;
    let there = page.iter().take(blocks * block).filter(|(_, judged)| *judged == Ok(true));
    let row = |record: &Record| VersionedRow::named(record.kind, versioned(&record.subject)?.0);
    (i64::try_from(blocks).unwrap_or(i64::MAX), there.filter_map(|(sealed, _)| row(&sealed.record)).collect())
}

impl Chain {
    /// How the chain stood after the oldest blocks of records that stand for nothing any more, rightly so. `None` where there
    /// is none, or one of them is not what it was: what may be evidence is not removed.
    pub async fn prunable(&self) -> Result<Option<Head>, StoreError> {
        let chain = self.clone();
        let read = move |db: &mut Db| Ok::<_, StoreError>((chain::base(db)?, chain.hash_keys_in(db)?));
        let (base, hash_keys) = self.store.read(read).await?;
        let (mut builder, mut found) = (TreeBuilder::of(base.clone(), hash_keys), base.clone());
        loop {
            let (from, removal_key) = (builder.head.size, Arc::clone(self.removal_key()));
            let page = self.store.read_long(move |db| VerifiedPage::read(db, from, &removal_key)).await?;
            for (sealed, _) in page.0.iter().take_while(|(_, judged)| *judged == Ok(false)) {
                builder.grow(leaf(&sealed.record));
                if sealed.position + 1 != builder.head.size || sealed.chain_hash != builder.head.chain_hash {
                    return Ok(None);
                }
                if builder.head.size % BLOCK == 0 {
                    found = builder.head.clone();
                }
            }
            builder.hashes.clear();
            if builder.head.size < from + PAGE {
                break;
            }
        }
        let is_removable = found.size > base.size && self.may_be_base(&found).await?;
        Ok(is_removable.then_some(found))
    }

    /// The rows whose current versions are from before `before` and have their records in the oldest blocks: once they are recorded
    /// again, they keep no block from being pruned.
    pub async fn old_versions(&self, before: DateTime<Utc>) -> Result<Vec<VersionedRow>, StoreError> {
        let (mut old, mut from) = (Vec::new(), self.store.read(chain::base).await?.size);
        loop {
            let removal_key = Arc::clone(self.removal_key());
            let page = self.store.read_long(move |db| VerifiedPage::read(db, from, &removal_key)).await?;
            let (blocks, rows) = blocks_of_old_versions(&page, before);
            old.extend(rows);
            from += blocks * BLOCK;
            if blocks * BLOCK < PAGE {
                return Ok(old);
            }
        }
    }

    /// Lets the chain begin at `base`, after a signed checkpoint of so many records. False where the chain does not lead from there
    /// to what was signed before: then it begins where it did.
    pub async fn prune_to(&self, base: Head) -> Result<bool, StoreError> {
        if !self.may_be_base(&base).await? {
            return Ok(false);
        }
        let hash_keys = self.hash_keys().await?;
        let note = self.key().sign(&checkpoint_of(&base, &hash_keys));
        let checkpoint = StoredCheckpoint { size: base.size, at: self.clock.now(), note };
        let vault = self.vault.clone();
        let begin = move |db: &mut Db| {
            vault.ensure_current_in(db)?;
            chain::keep_checkpoint(db, &checkpoint)?;
            chain::set_base(db, &base)
        };
        self.store.write(begin).await?;
        Ok(true)
    }

    async fn may_be_base(&self, base: &Head) -> Result<bool, StoreError> {
        match self.began_like(base).await {
            Ok(()) => Ok(true),
            Err(NotSigned::Damaged(damage)) => {
                tracing::error!(%damage, "retention removes no records: the chain does not continue its last checkpoint");
                Ok(false)
            }
            Err(NotSigned::Store(error)) => Err(error),
        }
    }
}
