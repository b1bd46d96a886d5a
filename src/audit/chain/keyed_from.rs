//! The switch from plain chain hashes to keyed ones: once for each history, at the first start that knows of keys.

use std::sync::Arc;

use super::chain_hash::ChainHashKeys;
use super::{Chain, Damage, NotSigned};
use crate::model::audit::{AuditContext, AuditEvent, Details, Subject};
use crate::store::{Db, StoreError, audit, chain, link_keys};

/// What was there when records began to be linked by the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed {
    /// The position of the first record that the key links.
    pub first: i64,
    /// What is wrong with the records before; they are not better for what follows them.
    pub damage: Option<Damage>,
}

impl Chain {
    /// Makes sure that a key links the records. Where it does not yet, those that are there are verified and signed as they
    /// are; from then on only the key links, and the event `record.keyed`, sealed by it, says so. `None` where it does
    /// already, or where there are none.
    ///
    /// A chain of which some checkpoint says that it was keyed is damaged: nobody begins twice.
    pub async fn begin_key(&self) -> Result<Option<Keyed>, NotSigned> {
        if !self.store.read(link_keys::list).await?.is_empty() {
            return Ok(None);
        }
        let damage = self.verify_unkeyed().await?;
        if let Some(damage @ Damage::ChainHashKey { .. }) = damage {
            return Err(damage.into());
        }
        let is_new = self.store.read(chain::head).await?.size == 0;
        if damage.is_none() && !is_new {
            self.checkpoint_linked(ChainHashKeys::plain()).await?;
        }
        let first = self.link_by_key(damage.as_ref()).await?;
        let Some(first) = first.filter(|first| *first > 0 || damage.is_some()) else { return Ok(None) };
        self.seal().await?;
        Ok(Some(Keyed { first, damage }))
    }

    async fn verify_unkeyed(&self) -> Result<Option<Damage>, StoreError> {
        let own = match self.own_checkpoint() {
            Ok(own) => own,
            Err(unusable) if unusable.is_of_another_history() => None,
            Err(unusable) => return Ok(Some(unusable.into())),
        };
        match self.verify_from_base(own.as_slice(), &ChainHashKeys::plain(), &mut |_, _| {}).await {
            Err(StoreError::Corrupt(what)) => Ok(Some(Damage::Unreadable { what })),
            verified => Ok(verified?.err()),
        }
    }

    /// The position from which on the key links; `None` where another process was first.
    async fn link_by_key(&self, damage: Option<&Damage>) -> Result<Option<i64>, StoreError> {
        let (keys, now, damage) = (Arc::clone(&self.keys.hash_keys), self.clock.now(), damage.map(Damage::to_string));
        let switch = move |db: &mut Db| {
            let first = chain::lock(db)?.size;
            if !link_keys::list(db)?.is_empty() {
                return Ok(None);
            }
            for (number, key) in (1..).zip(keys.iter()) {
                link_keys::insert(db, &key.start(number, first))?;
            }
            if first > 0 || damage.is_some() {
                let details = Details::RecordKeyed { position: first, damage };
                let event = AuditEvent::new(now, details, &AuditContext::system("chain"), Subject::everybody());
                audit::record(db, &event)?;
            }
            Ok::<_, StoreError>(Some(first))
        };
        self.store.write(switch).await
    }
}
