//! Where the chain begins: records whose rows are all gone are removed too, as whole blocks of the tree, after a signed
//! checkpoint of exactly so many. Their place is taken by what verifying needs of them: the last link, and the peaks of the
//! tree, whose root the checkpoint signs. Proofs of later records need no more of them than the hashes that are kept.

use std::sync::Arc;

use super::links::Links;
use super::permits::Permits;
use super::present::present;
use super::sign::checkpoint_of;
use super::tree::{self, Growth, leaf};
use super::verify::{ends_of_missing, is_rightly_missing};
use super::{Chain, NotSigned};
use crate::store::chain::{self, Head, StoredCheckpoint};
use crate::store::{Db, StoreError};

/// Records of a block: the tree keeps the hashes of such subtrees and larger ones.
const BLOCK: i64 = 1 << tree::KEPT_FROM;
/// Records read at once: whole blocks.
const PAGE: i64 = 16 * BLOCK;

impl Chain {
    /// How the chain stood after the oldest blocks of records that stand for nothing any more, rightly so. `None` where there
    /// is none, or one of them is not what it was: what may be evidence is not removed.
    pub async fn removable(&self) -> Result<Option<Head>, StoreError> {
        let keys = Arc::clone(&self.keys.links);
        let read = move |db: &mut Db| Ok::<_, StoreError>((chain::base(db)?, Links::read(db, &keys)?));
        let (base, links) = self.store.read(read).await?;
        let (mut growth, mut found) = (Growth::of(base.clone(), links), base.clone());
        loop {
            let (from, warrants) = (growth.head.size, Arc::clone(self.warrants()));
            let read = move |db: &mut Db| {
                let sealed = chain::page(db, from, from + PAGE, PAGE)?;
                let things =
                    sealed.iter().map(|sealed| (sealed.record.kind, &*sealed.record.subject, sealed.record.at));
                let present = present(db, things)?;
                let ends = ends_of_missing(db, &sealed, &present)?;
                Ok::<_, StoreError>((Permits::read(db, &warrants)?, sealed, present, ends))
            };
            let (permits, sealed, present, ends) = self.store.read_at_length(read).await?;
            let things = sealed.iter().zip(&present);
            let gone = things.take_while(|(sealed, found)| is_rightly_missing(sealed, found.as_ref(), &permits, &ends));
            for (sealed, _) in gone {
                growth.grow(leaf(&sealed.record));
                if sealed.position + 1 != growth.head.size || sealed.chain_hash != growth.head.chain_hash {
                    return Ok(None);
                }
                if growth.head.size % BLOCK == 0 {
                    found = growth.head.clone();
                }
            }
            growth.hashes.clear();
            if growth.head.size < from + PAGE {
                break;
            }
        }
        let is_removable = found.size > base.size && self.is_beginning(&found).await?;
        Ok(is_removable.then_some(found))
    }

    /// Lets the chain begin there, after a signed checkpoint of so many records; false where it does not lead to what was
    /// signed before, and begins where it did.
    pub async fn begin_at(&self, base: Head) -> Result<bool, StoreError> {
        if !self.is_beginning(&base).await? {
            return Ok(false);
        }
        let links = self.links().await?;
        let note = self.key().sign(&checkpoint_of(&base, &links));
        let checkpoint = StoredCheckpoint { size: base.size, at: self.clock.now(), note };
        let begin = move |db: &mut Db| {
            chain::keep_checkpoint(db, &checkpoint)?;
            chain::set_base(db, &base)
        };
        self.store.write(begin).await?;
        Ok(true)
    }

    async fn is_beginning(&self, base: &Head) -> Result<bool, StoreError> {
        match self.began_so(base).await {
            Ok(()) => Ok(true),
            Err(NotSigned::Damaged(fault)) => {
                tracing::error!(damage = %fault, "no records are removed: the chain is not what was signed before");
                Ok(false)
            }
            Err(NotSigned::Store(error)) => Err(error),
        }
    }
}
