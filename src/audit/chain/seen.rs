//! What this process has proved of the chain: the chain goes on from there, whatever the database says later. So a server that
//! runs notices at once when sealed records were cut off, also those that no checkpoint in the database has seen yet.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::chain_hash::ChainHashKeys;
use super::tree::{self, TreeBuilder, leaf};
use super::verify::Fault;
use super::{Checkpoint, NotSigned, size};
use crate::store::Db;
use crate::store::chain::{self, Head};

/// Records read at once.
const PAGE: i64 = 4_096;

/// How the chain stood when it was last proved.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    head: Option<Head>,
    /// How many records the file in the data directory tells of, where this process has written it.
    in_file: Option<i64>,
}

impl Seen {
    /// How it stood; `None` before anything was proved.
    pub fn head(&self) -> Option<Head> {
        self.lock().head.clone()
    }

    /// It was proved to stand so.
    pub fn advance_to(&self, head: &Head) {
        let mut memory = self.lock();
        if memory.head.as_ref().is_none_or(|seen| seen.size < head.size) {
            memory.head = Some(head.clone());
        }
    }

    /// This process made it grow: nothing is left to be proved, where nothing was before.
    pub fn grew(&self, from: &Head, to: &Head) {
        let mut memory = self.lock();
        if memory.head.as_ref() == Some(from) {
            memory.head = Some(to.clone());
        }
    }

    /// Whether it was proved to stand so, and the file tells of it.
    pub fn is_marked(&self, head: &Head) -> bool {
        let memory = self.lock();
        memory.head.as_ref() == Some(head) && memory.in_file == Some(head.size)
    }

    /// The file in the data directory tells of so many records.
    pub fn is_in_file(&self, size: i64) {
        self.lock().in_file = Some(size);
    }

    /// Whoever takes the file away says that the chain is another, rightly: nobody who can only write to the database can.
    pub fn reset_if_file_was_removed(&self) {
        let mut memory = self.lock();
        if memory.in_file.is_some() {
            *memory = Memory::default();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Proves, record by record, that a chain that stood so became the one that stands like `head`.
///
/// Where it began later since, because retention removed the oldest records, the base is where it goes on.
pub(super) fn grew_to(db: &mut Db, from: Head, head: &Head, hash_keys: &ChainHashKeys) -> Result<(), NotSigned> {
    if head.size < from.size {
        return Err(Fault::CutOff { size: size(head.size), seen: size(from.size) }.into());
    }
    let base = chain::base(db)?;
    let from = if from.size > base.size { from } else { base.clone() };
    if from.size > base.size && chain_hash_of(db, from.size)? != from.chain_hash {
        return Err(Fault::Rewritten { size: size(from.size) }.into());
    }
    let mut builder = TreeBuilder::of(from, hash_keys.clone());
    while builder.head.size < head.size {
        let page = chain::page(db, builder.head.size, head.size, PAGE)?;
        if page.is_empty() {
            return Err(Fault::Missing { position: builder.head.size }.into());
        }
        for sealed in page {
            if sealed.position != builder.head.size {
                return Err(Fault::Missing { position: builder.head.size }.into());
            }
            builder.grow(leaf(&sealed.record));
            if sealed.chain_hash != builder.head.chain_hash {
                return Err(Fault::broken(&sealed).into());
            }
        }
        builder.hashes.clear();
    }
    if builder.head == *head { Ok(()) } else { Err(Fault::Head { size: head.size }.into()) }
}

/// How the chain stood when this checkpoint was signed, as what is kept of it says.
pub(super) fn head_at(db: &mut Db, checkpoint: &Checkpoint) -> Result<Head, NotSigned> {
    let records = i64::try_from(checkpoint.size).unwrap_or(i64::MAX);
    let (peaks, chain_hash) = (tree::peaks(db, checkpoint.size)?, chain_hash_of(db, records)?);
    if tree::root(&peaks) == checkpoint.root {
        Ok(Head { size: records, chain_hash, peaks })
    } else {
        Err(Fault::Rewritten { size: checkpoint.size }.into())
    }
}

/// The chain hash of the last of so many records.
fn chain_hash_of(db: &mut Db, records: i64) -> Result<[u8; 32], NotSigned> {
    if records == 0 {
        return Ok([0; 32]);
    }
    let last = chain::page(db, records - 1, records, 1)?.pop();
    last.map(|last| last.chain_hash).ok_or_else(|| Fault::Missing { position: records - 1 }.into())
}
