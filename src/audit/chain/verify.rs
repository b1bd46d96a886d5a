//! Verifying the whole history: every link, every row that a record stands for, every row that should have a record, and
//! every checkpoint. The first bad record is named.

use std::collections::{BTreeMap, HashMap};

use super::tree::{self, Growth};
use super::{BadCheckpoint, Chain, Checkpoint, as_found, size};
use crate::model::record::{Digest, Record, RecordKind};
use crate::store::chain::{self, Head, Sealed, Unsealed};
use crate::store::{Db, StoreError};

/// Records read at once.
const PAGE: i64 = 5_000;

/// What was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Records in the chain.
    pub records: u64,
    /// Checkpoints that the chain agrees with.
    pub checkpoints: usize,
    /// Records that are not sealed yet.
    pub waiting: usize,
}

/// What is wrong with the history, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// What a record stands for is not what it was.
    #[error("record {position}: {kind} {subject} was changed")]
    Changed {
        /// The place in the chain.
        position: i64,
        /// What the record is of.
        kind: RecordKind,
        /// Which one.
        subject: String,
    },
    /// What a record stands for is gone.
    #[error("record {position}: {kind} {subject} was deleted")]
    Deleted {
        /// The place in the chain.
        position: i64,
        /// What the record is of.
        kind: RecordKind,
        /// Which one.
        subject: String,
    },
    /// Something is there that no record stands for.
    #[error("{kind} {subject} was added: no record stands for it")]
    Added {
        /// What.
        kind: RecordKind,
        /// Which one.
        subject: String,
    },
    /// A record is not the one that followed the one before it.
    #[error("record {position}: does not follow from the record before it ({kind} {subject})")]
    Broken {
        /// The place in the chain.
        position: i64,
        /// What the record is of.
        kind: RecordKind,
        /// Which one.
        subject: String,
    },
    /// A record is not there.
    #[error("record {position}: is missing")]
    Missing {
        /// The place in the chain.
        position: i64,
    },
    /// The chain is not what its head says.
    #[error("the head of the chain is not that of its {size} records")]
    Head {
        /// How many records it has.
        size: i64,
    },
    /// The chain was longer once: its newest records were cut off.
    #[error("record {size}: cut off, a checkpoint saw {seen} records")]
    CutOff {
        /// How many records there are.
        size: u64,
        /// How many there were.
        seen: u64,
    },
    /// The chain is another one than a checkpoint saw.
    #[error("the first {size} records are not those that the checkpoint saw: the chain was rewritten")]
    Rewritten {
        /// How many records the checkpoint is of.
        size: u64,
    },
    /// A checkpoint in the database or in the file is none.
    #[error("a checkpoint of {size} records is not genuine: {reason}")]
    Checkpoint {
        /// How many records it claims to be of.
        size: i64,
        /// Why.
        reason: BadCheckpoint,
    },
}

impl Fault {
    fn changed(sealed: &Sealed) -> Self {
        let Record { kind, subject, .. } = sealed.record.clone();
        Self::Changed { position: sealed.position, kind, subject }
    }

    fn deleted(sealed: &Sealed) -> Self {
        let Record { kind, subject, .. } = sealed.record.clone();
        Self::Deleted { position: sealed.position, kind, subject }
    }

    fn broken(sealed: &Sealed) -> Self {
        let Record { kind, subject, .. } = sealed.record.clone();
        Self::Broken { position: sealed.position, kind, subject }
    }
}

/// What things are now, by their names; `None` where a row says something impossible.
type Present = HashMap<(RecordKind, String), Option<Digest>>;

impl Chain {
    /// Verifies everything, also against checkpoints that somebody kept. `progress` is told how many records of how many
    /// are done. Records sealed meanwhile are not looked at.
    pub async fn verify(
        &self,
        kept: &[Checkpoint],
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Result<Verified, Fault>, StoreError> {
        let (head, stored) =
            self.store.read(|db| Ok::<_, StoreError>((chain::head(db)?, chain::checkpoints(db)?))).await?;
        let mut roots: BTreeMap<u64, Vec<tlog_tiles::Hash>> = BTreeMap::new();
        for checkpoint in kept {
            roots.entry(checkpoint.size).or_default().push(checkpoint.root);
        }
        for checkpoint in &stored {
            match self.key.open(&checkpoint.note) {
                Ok(opened) if opened.size == size(checkpoint.size) => {
                    roots.entry(opened.size).or_default().push(opened.root);
                }
                Ok(_) => {
                    let reason = BadCheckpoint::Malformed;
                    return Ok(Err(Fault::Checkpoint { size: checkpoint.size, reason }));
                }
                Err(reason) => return Ok(Err(Fault::Checkpoint { size: checkpoint.size, reason })),
            }
        }
        let checkpoints = roots.values().map(Vec::len).sum();
        let seen = roots.last_key_value().map_or(0, |(seen, _)| *seen);
        let mut growth = Growth::new();
        loop {
            let at = size(growth.head.size);
            progress(at, size(head.size));
            if roots.get(&at).is_some_and(|roots| roots.iter().any(|root| *root != tree::root(&growth.head.peaks))) {
                return Ok(Err(Fault::Rewritten { size: at }));
            }
            if growth.head.size >= head.size {
                break;
            }
            let next =
                roots.range(at + 1..).next().map_or(i64::MAX, |(next, _)| i64::try_from(*next).unwrap_or(i64::MAX));
            let (from, before) = (growth.head.size, head.size.min(growth.head.size + PAGE).min(next));
            let read = move |db: &mut Db| {
                let page = chain::page(db, from, before, before - from)?;
                let present = present(db, page.iter().map(|sealed| &sealed.record))?;
                Ok::<_, StoreError>((page, present))
            };
            let (page, present) = self.store.read_at_length(read).await?;
            if let Err(fault) = follow(&mut growth, &page, &present, before) {
                return Ok(Err(fault));
            }
        }
        if seen > size(head.size) {
            return Ok(Err(Fault::CutOff { size: size(head.size), seen }));
        }
        let Head { size: records, link, peaks } = growth.head;
        if (link, peaks) != (head.link, head.peaks) {
            return Ok(Err(Fault::Head { size: records }));
        }
        let waiting = self.store.read_at_length(verify_waiting).await?;
        Ok(waiting.map(|waiting| Verified { records: size(records), checkpoints, waiting }))
    }
}

/// What the things that these records stand for would be sealed as now.
fn present<'a>(db: &mut Db, records: impl Iterator<Item = &'a Record>) -> Result<Present, StoreError> {
    let mut subjects: BTreeMap<RecordKind, Vec<String>> = BTreeMap::new();
    for record in records {
        subjects.entry(record.kind).or_default().push(record.subject.clone());
    }
    let mut present = Present::new();
    for (kind, subjects) in subjects {
        for subjects in subjects.chunks(500) {
            match as_found(db, kind, subjects) {
                Ok(found) => present.extend(found.into_iter().map(|found| ((kind, found.subject), Some(found.digest)))),
                // One of them cannot be read: each alone tells which.
                Err(StoreError::Corrupt(_)) => {
                    for subject in subjects {
                        match as_found(db, kind, std::slice::from_ref(subject)) {
                            Ok(found) => {
                                present
                                    .extend(found.into_iter().map(|found| ((kind, found.subject), Some(found.digest))));
                            }
                            Err(StoreError::Corrupt(_)) => drop(present.insert((kind, subject.clone()), None)),
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(present)
}

/// Follows the chain through a page that should reach up to `before`.
fn follow(growth: &mut Growth, page: &[Sealed], present: &Present, before: i64) -> Result<(), Fault> {
    for sealed in page {
        if sealed.position != growth.head.size {
            return Err(Fault::Missing { position: growth.head.size });
        }
        growth.grow(&sealed.record);
        if sealed.link != growth.head.link {
            return Err(Fault::broken(sealed));
        }
        compare(sealed, present)?;
    }
    if growth.head.size < before { Err(Fault::Missing { position: growth.head.size }) } else { Ok(()) }
}

fn compare(sealed: &Sealed, present: &Present) -> Result<(), Fault> {
    let Record { kind, subject, digest, .. } = &sealed.record;
    match present.get(&(*kind, subject.clone())) {
        Some(Some(found)) if found == digest => Ok(()),
        // A session that is there without its end: the end was taken back.
        None if *kind != RecordKind::SessionEnded => Err(Fault::deleted(sealed)),
        _ => Err(Fault::changed(sealed)),
    }
}

/// What waits to be sealed is what it was when it was written, and nothing is there that neither waits nor is sealed.
fn verify_waiting(db: &mut Db) -> Result<Result<usize, Fault>, StoreError> {
    let waiting = chain::waiting(db, i64::MAX)?;
    let (count, position) = (waiting.len(), chain::head(db)?.size);
    let written = waiting.into_iter().filter_map(|unsealed| {
        let Unsealed { kind, subject, at, digest, .. } = unsealed;
        Some(Sealed { position, record: Record { kind, subject, at, digest: digest? }, link: [0; 32] })
    });
    let written: Vec<Sealed> = written.collect();
    let present = present(db, written.iter().map(|sealed| &sealed.record))?;
    if let Some(fault) = written.iter().find_map(|sealed| compare(sealed, &present).err()) {
        return Ok(Err(fault));
    }
    for kind in RecordKind::ALL {
        let (things, records) = chain::counts(db, *kind)?;
        if things != records
            && let Some((kind, subject)) = chain::without_record(db)?
        {
            return Ok(Err(Fault::Added { kind, subject }));
        }
    }
    Ok(Ok(count))
}
