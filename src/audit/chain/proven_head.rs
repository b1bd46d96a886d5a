//! The head of the chain that this process has proved: the chain goes on from there, whatever the database says later. So a server that
//! runs notices at once when sealed records were cut off, also those that no checkpoint in the database has seen yet.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::chain_hash::ChainHashKeys;
use super::tree::{self, TreeBuilder, leaf};
use super::verify::Damage;
use super::{Checkpoint, NotSigned, size};
use crate::store::Db;
use crate::store::chain::{self, Head};

/// Records read at once.
const PAGE: i64 = 4_096;

/// The head of the chain that was proved last.
#[derive(Debug, Default)]
pub(super) struct ProvenHead(Mutex<Proven>);

#[derive(Debug, Default)]
struct Proven {
    head: Option<Head>,
    /// How many records the checkpoint in the data directory is of, where this process has written the file.
    in_file: Option<i64>,
}

impl ProvenHead {
    /// The head that was proved last; `None` before anything was proved.
    pub fn head(&self) -> Option<Head> {
        self.lock().head.clone()
    }

    /// Keeps a head that was proved, if it is later than the one that was kept.
    pub fn advance_to(&self, head: &Head) {
        let mut proven = self.lock();
        if proven.head.as_ref().is_none_or(|seen| seen.size < head.size) {
            proven.head = Some(head.clone());
        }
    }

    /// This process extended the chain itself: nothing is left to be proved, where nothing was before.
    pub fn extend(&self, from: &Head, to: &Head) {
        let mut proven = self.lock();
        if proven.head.as_ref() == Some(from) {
            proven.head = Some(to.clone());
        }
    }

    /// Whether this head was proved, and the file in the data directory holds its checkpoint.
    pub fn is_proven_and_in_file(&self, head: &Head) -> bool {
        let proven = self.lock();
        proven.head.as_ref() == Some(head) && proven.in_file == Some(head.size)
    }

    /// Notes that the file in the data directory holds a checkpoint of so many records.
    pub fn set_in_file(&self, size: i64) {
        self.lock().in_file = Some(size);
    }

    /// Whoever takes the file away says that the chain is another, rightly: nobody who can only write to the database can.
    pub fn reset_if_file_was_removed(&self) {
        let mut proven = self.lock();
        if proven.in_file.is_some() {
            *proven = Proven::default();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Proven> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Proves, record by record, that the chain with the head `from` became the chain with the head `head`.
///
/// Where it began later since, because retention removed the oldest records, the base is where it goes on.
pub(super) fn prove_growth(db: &mut Db, from: Head, head: &Head, hash_keys: &ChainHashKeys) -> Result<(), NotSigned> {
    if head.size < from.size {
        return Err(Damage::CutOff { size: size(head.size), seen: size(from.size) }.into());
    }
    let base = chain::base(db)?;
    let from = if from.size > base.size { from } else { base.clone() };
    if from.size > base.size && chain_hash_of(db, from.size)? != from.chain_hash {
        return Err(Damage::Rewritten { size: size(from.size) }.into());
    }
    let mut builder = TreeBuilder::of(from, hash_keys.clone());
    while builder.head.size < head.size {
        let page = chain::page(db, builder.head.size, head.size, PAGE)?;
        if page.is_empty() {
            return Err(Damage::Missing { position: builder.head.size }.into());
        }
        for sealed in page {
            if sealed.position != builder.head.size {
                return Err(Damage::Missing { position: builder.head.size }.into());
            }
            builder.grow(leaf(&sealed.record));
            if sealed.chain_hash != builder.head.chain_hash {
                return Err(Damage::broken_link(&sealed).into());
            }
        }
        builder.hashes.clear();
    }
    if builder.head == *head { Ok(()) } else { Err(Damage::Head { size: head.size }.into()) }
}

/// How the chain stood when this checkpoint was signed, as what is kept of it says.
pub(super) fn head_at(db: &mut Db, checkpoint: &Checkpoint) -> Result<Head, NotSigned> {
    let records = i64::try_from(checkpoint.size).unwrap_or(i64::MAX);
    let (peaks, chain_hash) = (tree::peaks(db, checkpoint.size)?, chain_hash_of(db, records)?);
    if tree::root(&peaks) == checkpoint.root {
        Ok(Head { size: records, chain_hash, peaks })
    } else {
        Err(Damage::Rewritten { size: checkpoint.size }.into())
    }
}

/// The chain hash of the last of so many records.
fn chain_hash_of(db: &mut Db, records: i64) -> Result<[u8; 32], NotSigned> {
    if records == 0 {
        return Ok([0; 32]);
    }
    let last = chain::page(db, records - 1, records, 1)?.pop();
    last.map(|last| last.chain_hash).ok_or_else(|| Damage::Missing { position: records - 1 }.into())
}
