//! Verifying the whole history: every link, every row that a record stands for, every row that should have a record, and
//! every checkpoint. The first bad record is named.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::iter::{self, Peekable};
use std::mem;
use std::slice;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt as _};
use tlog_tiles::Hash;

use super::chain_hash::ChainHashKeys;
use super::current_digests::{RowDigest, RowRef, current_digests};
use super::removals::{Removals, cutoffs};
use super::tree::{self, TreeBuilder, leaf};
use super::{BadCheckpoint, Chain, Checkpoint, Keys, UnusableFile, size};
use crate::model::record::{Record, RecordKind};
use crate::signed_removal::RemovalKey;
use crate::store::catalogue::{self, Difference};
use crate::store::chain::{self, Head, SealedRecord, StoredCheckpoint, TreeHash, UnsealedRecord};
use crate::store::{Db, StoreError};

/// Records read at once.
const PAGE: i64 = 4_096;
/// Pages read at the same time at most: the store has other things to do.
const MOST_AT_ONCE: usize = 4;

/// What was verified with the server's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Records in the chain.
    pub records: u64,
    /// Checkpoints that the chain agrees with.
    pub checkpoints: usize,
    /// Records that are not sealed yet.
    pub waiting: usize,
    /// The place of the first record that is kept: those before stood for what retention has removed.
    pub base: u64,
    /// Checkpoints that somebody kept of fewer records: they say nothing of those that are there.
    pub too_old: usize,
}

/// What is wrong with the history, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// What a record stands for is not what it was.
    #[error("record {position}: {kind} {subject} was changed")]
    Changed {
        /// The place in the chain.
        position: i64,
        /// What the record is of.
        kind: RecordKind,
        /// The id, number or name of the thing.
        subject: String,
    },
    /// What a record stands for is gone.
    #[error("record {position}: {kind} {subject} was deleted")]
    Deleted {
        /// The place in the chain.
        position: i64,
        /// What the record is of.
        kind: RecordKind,
        /// The id, number or name of the thing.
        subject: String,
    },
    /// Something is there that no record stands for.
    #[error("{kind} {subject} was added: no record stands for it")]
    Added {
        /// The kind of the thing.
        kind: RecordKind,
        /// The id, number or name of the thing.
        subject: String,
    },
    /// Something is there more than once, or in another form than the server writes it: its record stands for one alone.
    #[error("{kind} {subject} is there twice, or in a form that the server does not write")]
    Duplicate {
        /// The kind of the thing.
        kind: RecordKind,
        /// The id, number or name of the thing.
        subject: String,
    },
    /// There is more than one record of something: one of them was added.
    #[error("{kind} {subject} has more than one record")]
    RecordedTwice {
        /// The kind of the thing.
        kind: RecordKind,
        /// The id, number or name of the thing.
        subject: String,
    },
    /// A record is not the one that followed the one before it.
    #[error("record {position}: does not follow from the record before it ({kind} {subject})")]
    BrokenLink {
        /// The place in the chain.
        position: i64,
        /// What the record is of.
        kind: RecordKind,
        /// The id, number or name of the thing.
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
    /// The chain begins where nobody let it begin.
    #[error("the records before {size} are missing: no retention removed them, or no signed checkpoint is of them")]
    UnsignedBase {
        /// How many records are missing at the beginning.
        size: i64,
    },
    /// The hashes that are kept of the tree are not those of its records: proofs would show nothing.
    #[error("the tree over the first {size} records is not theirs: a hash of it was changed, added or removed")]
    Tree {
        /// Up to where it was compared.
        size: i64,
    },
    /// Nothing is signed that the history could be compared with.
    #[error("there is no checkpoint: nobody can tell whether the history is what it was")]
    Unsigned,
    /// The tables are not as the migrations make them: rows may be hidden or doubled.
    #[error("the schema is not what the migrations make: {0}")]
    Schema(Difference),
    /// A record is kept where the chain is not.
    #[error("record {position} is in no chain: it was added")]
    OutsideChain {
        /// Where it says to be.
        position: i64,
    },
    /// A checkpoint was signed when records were linked with other keys, or from elsewhere on.
    #[error("a checkpoint of {size} records saw another key link them, or from another record on")]
    ChainHashKey {
        /// How many records it is of.
        size: u64,
    },
    /// Something is kept that cannot be: what it was nobody knows.
    #[error("cannot be read: {what}")]
    Unreadable {
        /// Where, and what is wrong with it.
        what: String,
    },
    /// The file in the data directory holds no checkpoint of this history.
    #[error("{unusable}{advice}", unusable = .0, advice = advice(.0))]
    File(#[from] UnusableFile),
    /// A checkpoint key took the place of another, and what both signed is gone.
    #[error("the statement is missing by which a new checkpoint key took over at {size} records")]
    Handover {
        /// How many records there were.
        size: u64,
    },
    /// A checkpoint in the database is none.
    #[error("a checkpoint of {size} records is not genuine: {reason}")]
    Checkpoint {
        /// How many records it claims to be of.
        size: i64,
        /// What is wrong with it.
        reason: BadCheckpoint,
    },
}

/// What to do about a file where it may be nobody's fault.
const fn advice(unusable: &UnusableFile) -> &'static str {
    if unusable.is_of_another_history() { "; if this database is a new one, move the file away" } else { "" }
}

impl Damage {
    pub(super) fn changed(sealed: &SealedRecord) -> Self {
        let Record { kind, subject, .. } = sealed.record.clone();
        Self::Changed { position: sealed.position, kind, subject }
    }

    pub(super) fn deleted(sealed: &SealedRecord) -> Self {
        let Record { kind, subject, .. } = sealed.record.clone();
        Self::Deleted { position: sealed.position, kind, subject }
    }

    pub(super) fn broken_link(sealed: &SealedRecord) -> Self {
        let Record { kind, subject, .. } = sealed.record.clone();
        Self::BrokenLink { position: sealed.position, kind, subject }
    }
}

/// Records from a position on, and all that they are judged by.
struct Page {
    sealed: Vec<SealedRecord>,
    leaves: Vec<Hash>,
    current_digests: Vec<Option<RowDigest>>,
    /// What may be missing or redacted.
    removals: Removals,
    /// When the sessions ended that began in this page and are not there any more.
    ends: Ends,
    /// Checkpoints of the chain as it was after one of these records, or why one is none.
    checkpoints: Vec<Result<Checkpoint, Damage>>,
    /// The hashes that are kept of the subtrees that become whole with these records.
    hashes: Vec<TreeHash>,
    /// Up to where it should reach.
    before: i64,
}

/// A walk along the chain: how far it came, and the checkpoints that it met.
struct Walk {
    builder: TreeBuilder,
    /// The roots that checkpoints kept elsewhere saw, by their sizes: those that were not met yet.
    kept: BTreeMap<u64, Vec<Hash>>,
    /// Checkpoints that were met.
    checkpoints: usize,
}

impl Chain {
    /// Verifies everything, also against checkpoints that somebody kept. `progress` is told how many records of how many
    /// are done. Records sealed meanwhile are not looked at.
    ///
    /// Some pages are read and digested at the same time, and followed in their order: it takes the same memory however
    /// long the chain is.
    pub async fn verify(
        &self,
        kept: &[Checkpoint],
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<Result<Verified, Damage>, StoreError> {
        let verified = async {
            if let Err(damage) = self.handovers().await? {
                return Ok(Err(damage));
            }
            let hash_keys = self.hash_keys().await?;
            self.verify_from_base(kept, &hash_keys, &mut progress).await
        };
        match verified.await {
            // Not an error that may pass: it stops everybody who verifies, so it is damage as any other.
            Err(StoreError::Corrupt(what)) => Ok(Err(Damage::Unreadable { what })),
            verified => verified,
        }
    }

    /// The same of a chain whose records are linked so.
    pub(super) async fn verify_from_base(
        &self,
        kept: &[Checkpoint],
        hash_keys: &ChainHashKeys,
        progress: &mut (impl FnMut(u64, u64) + Send),
    ) -> Result<Result<Verified, Damage>, StoreError> {
        loop {
            let base = self.store.read(chain::base).await?;
            let verified = self.verify_from(base.clone(), kept, hash_keys, progress).await?;
            // Where the oldest records were removed meanwhile, it begins elsewhere now.
            if verified.is_ok() || self.store.read(chain::base).await? == base {
                return Ok(verified);
            }
        }
    }

    async fn verify_from(
        &self,
        base: Head,
        kept: &[Checkpoint],
        hash_keys: &ChainHashKeys,
        progress: &mut (impl FnMut(u64, u64) + Send),
    ) -> Result<Result<Verified, Damage>, StoreError> {
        if let Some(kept) = kept.iter().find(|kept| !hash_keys.agree_with(kept)) {
            return Ok(Err(Damage::ChainHashKey { size: kept.size }));
        }
        let trusted = TrustedKeys { keys: self.keys.clone(), hash_keys: hash_keys.clone() };
        // The checkpoint first: the chain has grown since, if anything.
        let begins_by = trusted.clone();
        let read = move |db: &mut Db| {
            let begins = may_begin_at(db, &base, &begins_by)?;
            Ok::<_, StoreError>((chain::newest_checkpoint(db)?, chain::head(db)?, base, begins))
        };
        let (newest, head, base, begins) = self.store.read(read).await?;
        if !begins {
            return Ok(Err(Damage::UnsignedBase { size: base.size }));
        }
        let (from, too_old) = (base.size, kept.iter().filter(|kept| kept.size < size(base.size)).count());
        let mut walk = Walk::new(base, kept, hash_keys.clone());
        let begins = iter::successors(Some(from), |from| Some(from + PAGE).filter(|from| *from < head.size));
        let pages = begins.map(|begin| self.page(begin, head.size.min(begin + PAGE), begin == from, &trusted));
        let mut pages = std::pin::pin!(stream::iter(pages).buffered(at_once()));
        while let Some(page) = pages.next().await {
            progress(size(walk.builder.head.size), size(head.size));
            if let Err(damage) = walk.follow(&page?) {
                return Ok(Err(damage));
            }
        }
        progress(size(head.size), size(head.size));
        if let Err(damage) = walk.end(&head, newest.as_ref(), &trusted) {
            return Ok(Err(damage));
        }
        let checkpoints = walk.checkpoints;
        let removal_key = Arc::clone(self.removal_key());
        let rest = self.store.read_long(move |db| verify_rest(db, head.size, &removal_key)).await?;
        Ok(rest.map(|waiting| Verified { records: size(head.size), checkpoints, waiting, base: size(from), too_old }))
    }

    /// The records from `from` on and before `before`, with what they stand for digested.
    fn page(
        &self,
        from: i64,
        before: i64,
        is_first: bool,
        trusted: &TrustedKeys,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send + use<> {
        let (store, trusted) = (self.store.clone(), trusted.clone());
        let read = move |db: &mut Db| {
            let sealed = chain::page(db, from, before, before - from)?;
            let current_digests = current_digests(db, sealed.iter().map(|sealed| RowRef::from(&sealed.record)))?;
            let removals = Removals::read(db, &trusted.keys.removal_key)?;
            let ends = ends_of_missing(db, &sealed, &current_digests)?;
            // The first page has that of the records before it as well.
            let after = if is_first { from - 1 } else { from };
            let checkpoints = chain::checkpoints_between(db, after, before, i64::MAX)?;
            Ok::<_, StoreError>(Page {
                leaves: sealed.iter().map(|sealed| leaf(&sealed.record)).collect(),
                sealed,
                current_digests,
                removals,
                ends,
                checkpoints: checkpoints.iter().map(|checkpoint| trusted.opened(checkpoint)).collect(),
                hashes: chain::tree_hashes_in(db, tree::places(from, before))?,
                before,
            })
        };
        async move { store.read_long(read).await }
    }
}

/// How many pages are read at the same time.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST_AT_ONCE)
}

/// The keys that genuine checkpoints and signed removals are made with.
#[derive(Debug, Clone)]
pub(super) struct TrustedKeys {
    pub keys: Keys,
    /// How the records are linked now.
    pub hash_keys: ChainHashKeys,
}

impl TrustedKeys {
    /// What a checkpoint in the database says, if it is genuine and saw the same keys link the records.
    pub fn opened(&self, stored: &StoredCheckpoint) -> Result<Checkpoint, Damage> {
        let opened = self.keys.checkpoint.open(&stored.note);
        let opened =
            opened.and_then(
                |opened| {
                    if opened.size == size(stored.size) { Ok(opened) } else { Err(BadCheckpoint::Malformed) }
                },
            );
        let opened = opened.map_err(|reason| Damage::Checkpoint { size: stored.size, reason })?;
        self.made_with_these_keys(opened)
    }

    /// The checkpoint, if the same keys linked the records when it was signed.
    pub fn made_with_these_keys(&self, opened: Checkpoint) -> Result<Checkpoint, Damage> {
        if self.hash_keys.agree_with(&opened) { Ok(opened) } else { Err(Damage::ChainHashKey { size: opened.size }) }
    }
}

impl Walk {
    fn new(base: Head, kept: &[Checkpoint], hash_keys: ChainHashKeys) -> Self {
        let mut roots: BTreeMap<u64, Vec<Hash>> = BTreeMap::new();
        for checkpoint in kept.iter().filter(|kept| kept.size >= size(base.size)) {
            roots.entry(checkpoint.size).or_default().push(checkpoint.root);
        }
        Self { builder: TreeBuilder::of(base, hash_keys), kept: roots, checkpoints: 0 }
    }

    /// Follows the chain through a page.
    fn follow(&mut self, page: &Page) -> Result<(), Damage> {
        let mut checkpoints = page.checkpoints.iter().peekable();
        self.meet(&mut checkpoints)?;
        for ((sealed, leaf), found) in page.sealed.iter().zip(&page.leaves).zip(&page.current_digests) {
            if sealed.position != self.builder.head.size {
                return Err(Damage::Missing { position: self.builder.head.size });
            }
            self.builder.grow(*leaf);
            if sealed.chain_hash != self.builder.head.chain_hash {
                return Err(Damage::broken_link(sealed));
            }
            compare(sealed, found.as_ref(), &page.removals, &page.ends)?;
            self.meet(&mut checkpoints)?;
        }
        let (size, hashes) = (self.builder.head.size, mem::take(&mut self.builder.hashes));
        if size < page.before {
            Err(Damage::Missing { position: size })
        } else if hashes != page.hashes {
            Err(Damage::Tree { size })
        } else {
            Ok(())
        }
    }

    /// Compares the chain up to here with the checkpoints of its size.
    fn meet(&mut self, stored: &mut Peekable<slice::Iter<'_, Result<Checkpoint, Damage>>>) -> Result<(), Damage> {
        let here = size(self.builder.head.size);
        let mut roots = self.kept.remove(&here).unwrap_or_default();
        while let Some(next) = stored.next_if(|next| next.as_ref().map_or(true, |next| next.size <= here)) {
            roots.push(next.clone()?.root);
        }
        if roots.iter().any(|root| *root != tree::root(&self.builder.head.peaks)) {
            return Err(Damage::Rewritten { size: here });
        }
        self.checkpoints += roots.len();
        Ok(())
    }

    /// Compares the end of the chain with its head, and with the checkpoints that were not met.
    fn end(&self, head: &Head, newest: Option<&StoredCheckpoint>, trusted: &TrustedKeys) -> Result<(), Damage> {
        let here = size(head.size);
        let newest =
            newest.filter(|newest| newest.size > head.size).map(|newest| trusted.opened(newest)).transpose()?;
        let seen = newest.map(|newest| newest.size).max(self.kept.last_key_value().map(|(size, _)| *size));
        match seen {
            Some(seen) => Err(Damage::CutOff { size: here, seen }),
            None if self.builder.head != *head => Err(Damage::Head { size: head.size }),
            None => Ok(()),
        }
    }
}

/// Whether the chain may begin there: a signed removal says that the records before were removed, and a genuine checkpoint what
/// they were.
pub(super) fn may_begin_at(db: &mut Db, base: &Head, trusted: &TrustedKeys) -> Result<bool, StoreError> {
    if base.size == 0 {
        return Ok(base.peaks.is_empty() && base.chain_hash == [0; 32]);
    }
    let removed = cutoffs(db, &trusted.keys.removal_key)?.records.is_some_and(|records| base.size <= records);
    let checkpoint = chain::checkpoint_of(db, base.size)?;
    let checkpoint = checkpoint.and_then(|stored| trusted.opened(&stored).ok());
    Ok(removed && checkpoint.is_some_and(|checkpoint| checkpoint.root == tree::root(&base.peaks)))
}

/// Judges a record by what it stands for; whether that is still there, in the state that it was then.
pub(super) fn compare(
    sealed: &SealedRecord,
    found: Option<&RowDigest>,
    removals: &Removals,
    ends: &Ends,
) -> Result<bool, Damage> {
    let Record { subject, digest, .. } = &sealed.record;
    match found {
        Some(RowDigest::Present(found, redacted))
            if found == digest && redacted.as_ref().is_none_or(|redacted| removals.may_be_redacted(redacted)) =>
        {
            Ok(true)
        }
        Some(RowDigest::Superseded) => Ok(false),
        None if removals.may_be_missing(&sealed.record, ends.get(subject).copied()) => Ok(false),
        None => Err(Damage::deleted(sealed)),
        Some(_) => Err(Damage::changed(sealed)),
    }
}

/// When sessions ended, by their ids.
pub(super) type Ends = HashMap<String, DateTime<Utc>>;

/// When those sessions ended that began here and are not there any more.
pub(super) fn ends_of_missing(
    db: &mut Db,
    sealed: &[SealedRecord],
    current_digests: &[Option<RowDigest>],
) -> Result<Ends, StoreError> {
    let missing =
        sealed.iter().zip(current_digests).filter(|(_, found)| found.is_none()).map(|(sealed, _)| &sealed.record);
    let starts = missing.filter(|record| record.kind == RecordKind::SessionStarted);
    chain::times_of(db, RecordKind::SessionEnded, &starts.map(|record| record.subject.clone()).collect::<Vec<_>>())
}

/// What waits to be sealed is what it was when it was written; nothing is there that neither waits nor is sealed; and nothing
/// is recorded twice. So things and records are as many, each of the one standing for one of the other: the records were
/// compared with what they stand for, `sealed` of them before. A record more never makes up for a thing that has none.
fn verify_rest(db: &mut Db, sealed: i64, removal_key: &RemovalKey) -> Result<Result<usize, Damage>, StoreError> {
    let waiting = match verify_waiting(db, sealed, removal_key)? {
        Ok(waiting) => waiting,
        Err(damage) => return Ok(Err(damage)),
    };
    if let Some(position) = chain::outside_chain(db)? {
        return Ok(Err(Damage::OutsideChain { position }));
    }
    if let Some((kind, subject)) = chain::without_record(db)? {
        return Ok(Err(Damage::Added { kind, subject }));
    }
    if let Some((kind, subject)) = chain::duplicate(db)? {
        return Ok(Err(Damage::Duplicate { kind, subject }));
    }
    if let Some((kind, subject)) = chain::recorded_twice(db)? {
        return Ok(Err(Damage::RecordedTwice { kind, subject }));
    }
    Ok(altered_tables(db)?.map_or(Ok(waiting), Err))
}

/// What of the tables could hide rows, or double them.
pub(super) fn altered_tables(db: &mut Db) -> Result<Option<Damage>, StoreError> {
    if let Some(what) = catalogue::first_damage(db)? {
        return Ok(Some(Damage::Unreadable { what: format!("the file of the database: {what}") }));
    }
    let mut differences = catalogue::differences(db)?.into_iter();
    Ok(differences.find(|difference| !difference.is_lost_guard()).map(Damage::Schema))
}

fn verify_waiting(db: &mut Db, sealed: i64, removal_key: &RemovalKey) -> Result<Result<usize, Damage>, StoreError> {
    let (mut count, mut from) = (0, chain::OLDEST);
    loop {
        let waiting = chain::waiting(db, from, PAGE)?;
        let Some(last) = waiting.last() else { return Ok(Ok(count)) };
        (count, from) = (count + waiting.len(), last.id.saturating_add(1));
        let written = waiting.into_iter().filter_map(|UnsealedRecord { kind, subject, at, form, digest, .. }| {
            Some(SealedRecord {
                position: sealed,
                record: Record { kind, subject, at, form, digest: digest? },
                chain_hash: [0; 32],
            })
        });
        let written: Vec<SealedRecord> = written.collect();
        let current_digests = current_digests(db, written.iter().map(|sealed| RowRef::from(&sealed.record)))?;
        let (removals, ends) = (Removals::read(db, removal_key)?, Ends::new());
        if let Some(damage) = written
            .iter()
            .zip(&current_digests)
            .find_map(|(sealed, found)| compare(sealed, found.as_ref(), &removals, &ends).err())
        {
            return Ok(Err(damage));
        }
    }
}
