//! Queries on the record chain: what waits to be sealed, what is sealed, the tree above it, and checkpoints.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection as _;
use diesel::deserialize;
use diesel::dsl;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::row::Row;
use diesel::sql_types::{Bool, Untyped};

use super::backend::{Db, on_backend};
use super::columns::{At, fixed, parsed};
use super::error::StoreError;
use super::raw::{self, Raw, Take};
use super::row_digests;
use super::rows::{Insert, PER_STATEMENT};
use super::schema::{chain_base, chain_head, checkpoints, sealed_records, tree_hashes, unsealed_records};
use crate::model::record::{Digest, Record, RecordKind, Shape};

/// Records that room is made for before they are read.
const MOST_ROOM: i64 = 4_096;

/// A record that waits to be sealed: a row of `unsealed_records`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsealedRecord {
    /// The number of the row that waits.
    pub id: i64,
    /// The kind of row, or of state of a row, that the record stands for.
    pub kind: RecordKind,
    /// Which one of its kind: an id, a number, or a name and a version.
    pub subject: String,
    /// When what it stands for happened.
    pub at: DateTime<Utc>,
    /// What the digest covers.
    pub form: i32,
    /// `None` for what was there before the chain: it is sealed as it is found.
    pub digest: Option<Digest>,
}

/// A record in its place in the chain: a row of `sealed_records`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// The place in the chain: from 0, without gaps.
    pub position: i64,
    /// The record without its place.
    pub record: Record,
    /// HMAC-SHA256 over the chain hash before it and the leaf hash of the record; so it covers every record before.
    pub chain_hash: Digest,
}

/// A hash of the tree, under the number of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHash {
    /// The number of its place in the tree, as `tlog_tiles` counts places.
    pub place: i64,
    /// The hash of the subtree there (RFC 6962 §2.1).
    pub hash: Digest,
}

/// The head of the chain: how many records it has, and what follows from all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How many records there are.
    pub size: i64,
    /// The chain hash of the last; zeros before the first.
    pub chain_hash: Digest,
    /// The roots of the whole subtrees that make up the tree, the largest first.
    pub peaks: Vec<Digest>,
}

/// A signed checkpoint: a row of `checkpoints`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// How many records the chain had.
    pub size: i64,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// The signed note (C2SP signed-note, tlog-checkpoint).
    pub note: String,
}

/// Notes that something is to be sealed, in the transaction that writes it.
pub(super) fn enqueue(db: &mut Db, record: &Record) -> Result<(), StoreError> {
    enqueue_all(db, std::slice::from_ref(record))
}

/// The same for many records.
pub(super) fn enqueue_all(db: &mut Db, records: &[Record]) -> Result<(), StoreError> {
    Insert::into("unsealed_records", records)
        .column(unsealed_records::kind, |record| record.kind.as_str())
        .column(unsealed_records::subject, |record| record.subject.as_str())
        .column(unsealed_records::at, |record| At(record.at))
        .column(unsealed_records::form, |record| record.form)
        .column(unsealed_records::digest, |record| Some(record.digest.as_slice()))
        .execute(db)
}

/// Before all that waits: no id is so low.
pub const OLDEST: i64 = i64::MIN;

/// What waits to be sealed from this id on, oldest first, at most `limit`.
pub fn waiting(db: &mut Db, from: i64, limit: i64) -> Result<Vec<UnsealedRecord>, StoreError> {
    let rows: Vec<WaitingRow> = unsealed_records::table
        .filter(unsealed_records::id.ge(from))
        .order(unsealed_records::id.asc())
        .limit(limit)
        .load(db)?;
    rows.into_iter().map(unsealed).collect::<Result<_, _>>().map_err(corrupt("unsealed_records"))
}

type WaitingRow = (i64, String, String, At, Option<Vec<u8>>, i32);

fn unsealed((id, kind, subject, at, digest, form): WaitingRow) -> deserialize::Result<UnsealedRecord> {
    Ok(UnsealedRecord { id, kind: parsed(&kind)?, subject, at: at.0, form, digest: digest.map(fixed).transpose()? })
}

/// Of records, those from where the chain begins to where it ends: whoever adds others has added nothing to the chain.
fn in_chain() -> SqlLiteral<Bool> {
    dsl::sql(IN_CHAIN)
}

// With a sign, so that no database looks through the positions instead of finding the subject.
const IN_CHAIN: &str = "+sealed_records.position >= (SELECT size FROM chain_base)
    AND +sealed_records.position < (SELECT size FROM chain_head)";

/// The position of a record that is in no chain: nobody who seals writes one after its end. Before its beginning are those
/// that retention is about to remove.
pub fn outside_chain(db: &mut Db) -> Result<Option<i64>, StoreError> {
    let positions = sealed_records::table.select(sealed_records::position);
    let after = positions.filter(dsl::sql::<Bool>("position >= (SELECT size FROM chain_head)"));
    // In their order, so that a database looks at the ends of the index and not through the table.
    if let Some(position) = after.order(sealed_records::position.desc()).first(db).optional()? {
        return Ok(Some(position));
    }
    let before = positions.filter(sealed_records::position.lt(0));
    Ok(before.order(sealed_records::position.asc()).first(db).optional()?)
}

/// Of these, those that can be sealed: a second record of a thing cannot, and keeps waiting. It is damage.
pub fn sealable(db: &mut Db, mut waiting: Vec<UnsealedRecord>) -> Result<Vec<UnsealedRecord>, StoreError> {
    for kind in RecordKind::ALL {
        let of_kind = waiting.iter().filter(|unsealed| unsealed.kind == *kind);
        let subjects: Vec<String> = of_kind.map(|unsealed| unsealed.subject.clone()).collect();
        let mut taken = sealed(db, *kind, &subjects)?;
        waiting.retain(|unsealed| unsealed.kind != *kind || taken.insert(unsealed.subject.clone()));
    }
    Ok(waiting)
}

/// Those of these subjects of which there is a record, sealed or waiting.
pub fn recorded(db: &mut Db, kind: RecordKind, subjects: &[String]) -> Result<HashSet<String>, StoreError> {
    let mut recorded = HashSet::new();
    for batch in subjects.chunks(PER_STATEMENT) {
        let waiting = unsealed_records::table
            .filter(unsealed_records::kind.eq(kind.as_str()))
            .filter(unsealed_records::subject.eq_any(batch.to_vec()))
            .select(unsealed_records::subject);
        // What waits first: a record that is sealed meanwhile is found in one of the two places.
        recorded.extend(waiting.load::<String>(db)?);
    }
    recorded.extend(times_of(db, kind, subjects)?.into_keys());
    Ok(recorded)
}

fn sealed(db: &mut Db, kind: RecordKind, subjects: &[String]) -> Result<HashSet<String>, StoreError> {
    let mut sealed = HashSet::new();
    for batch in subjects.chunks(PER_STATEMENT) {
        let query = sealed_records::table
            .filter(sealed_records::kind.eq(kind.as_str()))
            .filter(sealed_records::subject.eq_any(batch.to_vec()))
            .select(sealed_records::subject);
        sealed.extend(query.load::<String>(db)?);
    }
    Ok(sealed)
}

/// Records of versioned rows: the condition of an index.
fn is_versioned() -> diesel::expression::SqlLiteral<diesel::sql_types::Bool> {
    diesel::dsl::sql("unsealed_records.kind IN ('user', 'client', 'not_before')")
}

/// What was recorded of something: under which form, and the digest unless it is still to be sealed as it is found.
pub(super) type Recorded = (String, i32, Option<Vec<u8>>);

/// The records of a kind whose subjects lie between these, without either; waiting or sealed.
pub(super) fn recorded_between(
    db: &mut Db,
    kind: RecordKind,
    (after, before): (&str, &str),
) -> Result<Vec<Recorded>, StoreError> {
    let waiting = unsealed_records::table
        .filter(unsealed_records::kind.eq(kind.as_str()))
        .filter(is_versioned())
        .filter(unsealed_records::subject.gt(after))
        .filter(unsealed_records::subject.lt(before))
        .select((unsealed_records::subject, unsealed_records::form, unsealed_records::digest));
    let sealed = sealed_records::table
        .filter(sealed_records::kind.eq(kind.as_str()))
        .filter(sealed_records::subject.gt(after))
        .filter(sealed_records::subject.lt(before))
        .filter(in_chain())
        .select((sealed_records::subject, sealed_records::form, sealed_records::digest.nullable()));
    let mut recorded: Vec<Recorded> = waiting.load(db)?;
    recorded.extend(sealed.load::<Recorded>(db)?);
    Ok(recorded)
}

/// The record of something, waiting or sealed.
pub(super) fn recorded_of(db: &mut Db, kind: RecordKind, subject: &str) -> Result<Option<Recorded>, StoreError> {
    let waiting = unsealed_records::table
        .filter(unsealed_records::kind.eq(kind.as_str()))
        .filter(is_versioned())
        .filter(unsealed_records::subject.eq(subject))
        .select((unsealed_records::subject, unsealed_records::form, unsealed_records::digest));
    let sealed = sealed_records::table
        .filter(sealed_records::kind.eq(kind.as_str()))
        .filter(sealed_records::subject.eq(subject))
        .filter(in_chain())
        .select((sealed_records::subject, sealed_records::form, sealed_records::digest.nullable()));
    // What waits first, as above.
    match waiting.first(db).optional()? {
        Some(waiting) => Ok(Some(waiting)),
        None => Ok(sealed.first(db).optional()?),
    }
}

/// Whether anything waits from this id on.
pub fn is_any_waiting(db: &mut Db, from: i64) -> Result<bool, StoreError> {
    let waiting = unsealed_records::table.filter(unsealed_records::id.ge(from));
    let first: Option<i64> = waiting.select(unsealed_records::id).first(db).optional()?;
    Ok(first.is_some())
}

/// What waits to be sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, QueryableByName)]
pub struct Backlog {
    /// How many records; no more than are counted.
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    pub count: i64,
    /// The id of the one that waits longest.
    #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::BigInt>)]
    pub oldest: Option<i64>,
}

/// What waits to be sealed; of more than `most` records so many are counted.
pub fn backlog(db: &mut Db, most: i64) -> Result<Backlog, StoreError> {
    let query = diesel::sql_query(format!(
        "SELECT count(*) AS count, min(id) AS oldest FROM (SELECT id FROM unsealed_records ORDER BY id LIMIT {most}) AS first"
    ));
    Ok(on_backend!(db, |connection| query.get_result(connection))?)
}

/// Locks the chain until the transaction ends, and reads how it stands: one process seals at a time.
pub fn lock(db: &mut Db) -> Result<Head, StoreError> {
    diesel::update(chain_head::table).set(chain_head::size.eq(chain_head::size)).execute(db)?;
    head(db)
}

/// The head of the chain: how many records it has, and what follows from all of them.
pub fn head(db: &mut Db) -> Result<Head, StoreError> {
    let row: Option<(i64, Vec<u8>, Vec<u8>)> =
        chain_head::table.select((chain_head::size, chain_head::chain_hash, chain_head::peaks)).first(db).optional()?;
    let (size, chain_hash, peaks) = row.ok_or_else(|| corrupt("chain_head")("its row is gone".into()))?;
    read_head(size, chain_hash, &peaks).map_err(corrupt("chain_head"))
}

fn read_head(size: i64, chain_hash: Vec<u8>, peaks: &[u8]) -> deserialize::Result<Head> {
    let peaks = peaks.chunks(32).map(|peak| fixed(peak.to_vec())).collect::<Result<_, _>>()?;
    Ok(Head { size, chain_hash: fixed(chain_hash)?, peaks })
}

/// Where the chain begins, and how it stood there.
pub fn base(db: &mut Db) -> Result<Head, StoreError> {
    let row: Option<(i64, Vec<u8>, Vec<u8>)> =
        chain_base::table.select((chain_base::size, chain_base::chain_hash, chain_base::peaks)).first(db).optional()?;
    let (size, chain_hash, peaks) = row.ok_or_else(|| corrupt("chain_base")("its row is gone".into()))?;
    read_head(size, chain_hash, &peaks).map_err(corrupt("chain_base"))
}

/// Lets the chain begin further on. Where it begins there or further already, nothing changes: what is gone stays gone.
pub fn set_base(db: &mut Db, base: &Head) -> Result<(), StoreError> {
    let set = (
        chain_base::size.eq(base.size),
        chain_base::chain_hash.eq(base.chain_hash.to_vec()),
        chain_base::peaks.eq(base.peaks.concat()),
    );
    diesel::update(chain_base::table.filter(chain_base::size.lt(base.size))).set(set).execute(db)?;
    Ok(())
}

/// Removes records before where the chain begins, the oldest first, at most `limit`; returns how many.
pub fn remove_before_base(db: &mut Db, limit: i64) -> Result<usize, StoreError> {
    let base = base(db)?.size;
    let old = sealed_records::table.filter(sealed_records::position.lt(base)).order(sealed_records::position.asc());
    let positions: Vec<i64> = old.limit(limit).select(sealed_records::position).load(db)?;
    Ok(diesel::delete(sealed_records::table.filter(sealed_records::position.eq_any(positions))).execute(db)?)
}

/// Appends records and what follows from them, and forgets that they waited. Under [`lock`].
pub fn append(
    db: &mut Db,
    sealed: &[SealedRecord],
    hashes: &[TreeHash],
    head: &Head,
    waited: &[i64],
) -> Result<(), StoreError> {
    Insert::into("sealed_records", sealed)
        .column(sealed_records::position, |sealed| sealed.position)
        .column(sealed_records::kind, |sealed| sealed.record.kind.as_str())
        .column(sealed_records::subject, |sealed| sealed.record.subject.as_str())
        .column(sealed_records::at, |sealed| At(sealed.record.at))
        .column(sealed_records::form, |sealed| sealed.record.form)
        .column(sealed_records::digest, |sealed| sealed.record.digest.as_slice())
        .column(sealed_records::chain_hash, |sealed| sealed.chain_hash.as_slice())
        .execute(db)?;
    Insert::into("tree_hashes", hashes)
        .column(tree_hashes::place, |hash| hash.place)
        .column(tree_hashes::hash, |hash| hash.hash.as_slice())
        .execute(db)?;
    for batch in waited.chunks(PER_STATEMENT) {
        // By their ids: one that was committed meanwhile may have a lower number than the last of these.
        diesel::delete(unsealed_records::table.filter(unsealed_records::id.eq_any(batch.to_vec()))).execute(db)?;
    }
    let set = (
        chain_head::size.eq(head.size),
        chain_head::chain_hash.eq(head.chain_hash.to_vec()),
        chain_head::peaks.eq(head.peaks.concat()),
    );
    diesel::update(chain_head::table).set(set).execute(db)?;
    Ok(())
}

/// Records in their order, from a position on, before another, at most `limit`.
pub fn page(db: &mut Db, from: i64, before: i64, limit: i64) -> Result<Vec<SealedRecord>, StoreError> {
    let query = sealed_records::table
        .filter(sealed_records::position.ge(from))
        .filter(sealed_records::position.lt(before))
        .order(sealed_records::position.asc())
        .limit(limit)
        .select(record_columns());
    let room = usize::try_from(before.saturating_sub(from).min(limit).min(MOST_ROOM)).unwrap_or(0);
    let mut records = Records(Vec::with_capacity(room));
    on_backend!(db, |connection| raw::each(connection, query, &mut records))?;
    Ok(records.0)
}

/// The latest record of a thing.
pub fn latest(db: &mut Db, kind: RecordKind, subject: &str) -> Result<Option<SealedRecord>, StoreError> {
    let query = sealed_records::table
        .filter(sealed_records::subject.eq(subject))
        .filter(sealed_records::kind.eq(kind.as_str()))
        .filter(in_chain())
        .order(sealed_records::position.desc())
        .limit(1)
        .select(record_columns());
    let mut records = Records(Vec::new());
    on_backend!(db, |connection| raw::each(connection, query, &mut records))?;
    Ok(records.0.pop())
}

/// What is read of a record.
const RECORD: [&str; 7] = ["position", "kind", "subject", "at", "form", "digest", "chain_hash"];

fn record_columns() -> SqlLiteral<Untyped> {
    dsl::sql(&RECORD.join(", "))
}

/// Records, read without a piece of memory for each word and digest: millions are, to be verified.
struct Records(Vec<SealedRecord>);

impl Take for Records {
    fn take<'r, DB: Raw>(&mut self, row: &impl Row<'r, DB>) -> Result<(), StoreError> {
        const POSITION: usize = raw::place(&RECORD, "position");
        const KIND: usize = raw::place(&RECORD, "kind");
        const SUBJECT: usize = raw::place(&RECORD, "subject");
        const AT: usize = raw::place(&RECORD, "at");
        const FORM: usize = raw::place(&RECORD, "form");
        const DIGEST: usize = raw::place(&RECORD, "digest");
        const CHAIN_HASH: usize = raw::place(&RECORD, "chain_hash");
        let digest = |column| raw::column(row, column, Shape::Bytes, |value| value.bytes()?.try_into().ok());
        let position = raw::number(row, POSITION, Shape::Number);
        let read = || {
            let kind = raw::column(row, KIND, Shape::Text, |value| value.text()?.parse().ok())?;
            let subject = raw::column(row, SUBJECT, Shape::Text, |value| value.text().map(str::to_owned))?;
            let at = raw::number(row, AT, Shape::Time).and_then(DateTime::from_timestamp_micros)?;
            let form = i32::try_from(raw::number(row, FORM, Shape::Number)?).ok()?;
            let record = Record { kind, subject, at, form, digest: digest(DIGEST)? };
            Some(SealedRecord { position: position?, record, chain_hash: digest(CHAIN_HASH)? })
        };
        let Some(sealed) = read() else {
            let what = format!("sealed_records {}: it is no record", position.unwrap_or_default());
            return Err(StoreError::Corrupt(what));
        };
        self.0.push(sealed);
        Ok(())
    }
}

/// The record of a row, waiting or sealed.
#[derive(Debug)]
pub struct StoredRecord {
    /// The record; its digest is zeros where `is_as_found`.
    pub record: Record,
    /// It was there before records were made: what is found when it is sealed is what it says.
    pub is_as_found: bool,
}

/// The records of these rows of a kind, waiting or sealed, in any order.
pub fn records_of(db: &mut Db, kind: RecordKind, subjects: &[String]) -> Result<Vec<StoredRecord>, StoreError> {
    let mut written = Vec::new();
    for batch in subjects.chunks(PER_STATEMENT) {
        // What waits first, as in `recorded`.
        let waiting: Vec<WaitingRow> = unsealed_records::table
            .filter(unsealed_records::kind.eq(kind.as_str()))
            .filter(unsealed_records::subject.eq_any(batch.to_vec()))
            .load(db)?;
        let waiting = waiting.into_iter().map(unsealed).collect::<Result<Vec<_>, _>>();
        for UnsealedRecord { kind, subject, at, form, digest, .. } in waiting.map_err(corrupt("unsealed_records"))? {
            let record = Record { kind, subject, at, form, digest: digest.unwrap_or_default() };
            written.push(StoredRecord { record, is_as_found: digest.is_none() });
        }
        let query = sealed_records::table
            .filter(sealed_records::subject.eq_any(batch.to_vec()))
            .filter(sealed_records::kind.eq(kind.as_str()))
            .filter(in_chain())
            .select(record_columns());
        let mut sealed = Records(Vec::new());
        on_backend!(db, |connection| raw::each(connection, query, &mut sealed))?;
        written.extend(sealed.0.into_iter().map(|sealed| StoredRecord { record: sealed.record, is_as_found: false }));
    }
    Ok(written)
}

/// When these things of a kind were, as their records say.
pub fn times_of(
    db: &mut Db,
    kind: RecordKind,
    subjects: &[String],
) -> Result<HashMap<String, DateTime<Utc>>, StoreError> {
    let mut times = HashMap::new();
    for batch in subjects.chunks(PER_STATEMENT) {
        let rows: Vec<(String, At)> = sealed_records::table
            .filter(sealed_records::subject.eq_any(batch.to_vec()))
            .filter(sealed_records::kind.eq(kind.as_str()))
            .filter(in_chain())
            .select((sealed_records::subject, sealed_records::at))
            .load(db)?;
        times.extend(rows.into_iter().map(|(subject, at)| (subject, at.0)));
    }
    Ok(times)
}

fn corrupt(table: &str) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    move |error| StoreError::Corrupt(format!("{table}: {error}"))
}

/// The hash in a place of the tree.
pub fn tree_hash(db: &mut Db, place: i64) -> Result<Option<Digest>, StoreError> {
    let hash: Option<Vec<u8>> = tree_hashes::table.find(place).select(tree_hashes::hash).first(db).optional()?;
    hash.map(fixed).transpose().map_err(corrupt("tree_hashes"))
}

/// The hashes in these places, in their order.
pub fn tree_hashes_in(db: &mut Db, places: Range<i64>) -> Result<Vec<TreeHash>, StoreError> {
    let rows: Vec<(i64, Vec<u8>)> = tree_hashes::table
        .filter(tree_hashes::place.ge(places.start))
        .filter(tree_hashes::place.lt(places.end))
        .order(tree_hashes::place.asc())
        .select((tree_hashes::place, tree_hashes::hash))
        .load(db)?;
    let read = |(place, hash)| Ok(TreeHash { place, hash: fixed(hash)? });
    rows.into_iter().map(read).collect::<Result<_, _>>().map_err(corrupt("tree_hashes"))
}

/// Keeps a checkpoint; one of this size that is there already stays.
pub fn keep_checkpoint(db: &mut Db, checkpoint: &StoredCheckpoint) -> Result<(), StoreError> {
    if checkpoints::table.find(checkpoint.size).count().get_result::<i64>(db)? > 0 {
        return Ok(());
    }
    let row = (
        checkpoints::size.eq(checkpoint.size),
        checkpoints::at.eq(At(checkpoint.at)),
        checkpoints::note.eq(checkpoint.note.clone()),
    );
    diesel::insert_into(checkpoints::table).values(row).execute(db)?;
    Ok(())
}

/// The checkpoint of exactly so many records.
pub fn checkpoint_of(db: &mut Db, size: i64) -> Result<Option<StoredCheckpoint>, StoreError> {
    let row: Option<(i64, At, String)> = checkpoints::table.find(size).first(db).optional()?;
    Ok(row.map(stored_checkpoint))
}

/// The checkpoint of the most records.
pub fn newest_checkpoint(db: &mut Db) -> Result<Option<StoredCheckpoint>, StoreError> {
    let row: Option<(i64, At, String)> = checkpoints::table.order(checkpoints::size.desc()).first(db).optional()?;
    Ok(row.map(stored_checkpoint))
}

/// Checkpoints of more than `after` records and at most `until`, the smallest first, at most `limit`.
pub fn checkpoints_between(
    db: &mut Db,
    after: i64,
    until: i64,
    limit: i64,
) -> Result<Vec<StoredCheckpoint>, StoreError> {
    let rows: Vec<(i64, At, String)> = checkpoints::table
        .filter(checkpoints::size.gt(after))
        .filter(checkpoints::size.le(until))
        .order(checkpoints::size.asc())
        .limit(limit)
        .load(db)?;
    Ok(rows.into_iter().map(stored_checkpoint).collect())
}

fn stored_checkpoint((size, at, note): (i64, At, String)) -> StoredCheckpoint {
    StoredCheckpoint { size, at: at.0, note }
}

/// Something that no record stands for, neither sealed nor waiting: it was added behind the server's back.
pub fn without_record(db: &mut Db) -> Result<Option<(RecordKind, String)>, StoreError> {
    // What waits is looked through once, not for each thing that is not sealed yet; all of it as of one moment.
    let query = |kind: &RecordKind| {
        let things = subjects(*kind);
        format!(
            "SELECT '{kind}' AS kind, subject FROM (SELECT {things}) AS present
             WHERE NOT EXISTS (SELECT 1 FROM sealed_records WHERE kind = '{kind}' AND sealed_records.subject = present.subject AND {IN_CHAIN})
             EXCEPT SELECT kind, subject FROM unsealed_records WHERE kind = '{kind}' LIMIT 1"
        )
    };
    first_subject(db, RecordKind::ALL.iter().map(query))
}

/// What the records of a kind are of, as a query selects it.
fn subjects(kind: RecordKind) -> String {
    let (name, table) = (row_digests::name_of(kind.table()), kind.table().name);
    let version = if kind.is_versioned() { " || '/' || CAST(version AS TEXT)" } else { "" };
    let which = if kind == RecordKind::SessionEnded { " WHERE ended_at IS NOT NULL" } else { "" };
    format!("{name}{version} AS subject FROM {table}{which}")
}

/// Something of which there is more than one record: sealed twice, or waiting although it is sealed or waits already.
pub fn recorded_twice(db: &mut Db) -> Result<Option<(RecordKind, String)>, StoreError> {
    let twice = [
        "FROM sealed_records GROUP BY kind, subject HAVING count(*) > 1",
        "FROM unsealed_records GROUP BY kind, subject HAVING count(*) > 1",
        "FROM unsealed_records JOIN sealed_records USING (kind, subject)",
    ];
    first_subject(db, twice.into_iter().map(|twice| format!("SELECT kind, subject {twice} LIMIT 1")))
}

/// Whoever owns the catalogue can keep an index from hearing of a row: the tables themselves are read.
const WITHOUT_INDEXES: &str = "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off";

/// Something that is there twice, or under a key that the server does not write: a record stands for one thing alone.
pub fn duplicate(db: &mut Db) -> Result<Option<(RecordKind, String)>, StoreError> {
    if let Db::Sqlite(_) = db {
        // Their keys are unique; but the same text as bytes is another key to SQLite, and the same subject.
        let kinds = RecordKind::ALL.iter().filter(|kind| !matches!(kind, RecordKind::Event | RecordKind::SessionEnded));
        let keys = kinds.flat_map(|kind| kind.table().key.iter().map(move |key| (kind, key, kind.table().name)));
        let query = |(kind, key, table)| {
            format!(
                "SELECT '{kind}' AS kind, quote({key}) AS subject FROM {table} WHERE typeof({key}) <> 'text' LIMIT 1"
            )
        };
        return first_subject(db, keys.map(query));
    }
    let query = |kind: &RecordKind| {
        let things = subjects(*kind);
        format!(
            "SELECT '{kind}' AS kind, subject FROM (SELECT {things}) AS present GROUP BY subject HAVING count(*) > 1 LIMIT 1"
        )
    };
    db.transaction(|db| {
        if let Db::Postgres(connection) = db {
            connection.batch_execute(WITHOUT_INDEXES)?;
        }
        first_subject(db, RecordKind::ALL.iter().map(query))
    })
}

/// What a record is of.
#[derive(QueryableByName)]
struct Subject {
    #[diesel(sql_type = diesel::sql_types::Text)]
    kind: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    subject: String,
}

/// What the first of these queries finds that finds something.
fn first_subject(
    db: &mut Db,
    queries: impl Iterator<Item = String>,
) -> Result<Option<(RecordKind, String)>, StoreError> {
    for query in queries {
        let query = diesel::sql_query(query);
        let found: Option<Subject> = on_backend!(db, |connection| query.get_result(connection).optional())?;
        if let Some(Subject { kind, subject }) = found {
            return Ok(Some((parsed(&kind).map_err(corrupt("records"))?, subject)));
        }
    }
    Ok(None)
}
