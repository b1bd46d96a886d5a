//! The digests of the rows that records stand for, as the rows are now. Each kind is read as a range of its own table, because the chain
//! follows nearly the same order; what lies elsewhere is asked for by name.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::row_versions::{self, WantedVersion};
use crate::model::record::{Coverage, Record, RecordKind, versioned};
use crate::store::chain::UnsealedRecord;
pub(super) use crate::store::row_digests::RowDigest;
use crate::store::{Db, PER_STATEMENT, StoreError, row_digests};

/// Names the row that a record stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowRef<'a> {
    kind: RecordKind,
    /// The form of the digest that it is to be compared with.
    form: i32,
    /// The number or id of the row, or its name and version.
    subject: &'a str,
    /// When what the record stands for happened.
    at: DateTime<Utc>,
}

impl<'a> From<&'a Record> for RowRef<'a> {
    fn from(record: &'a Record) -> Self {
        Self { kind: record.kind, form: record.form, subject: &record.subject, at: record.at }
    }
}

impl<'a> From<&'a UnsealedRecord> for RowRef<'a> {
    fn from(unsealed: &'a UnsealedRecord) -> Self {
        Self { kind: unsealed.kind, form: unsealed.form, subject: &unsealed.subject, at: unsealed.at }
    }
}

/// The digests of these rows now, in their order; `None` for rows that are not there.
pub(super) fn current_digests<'a>(
    db: &mut Db,
    rows: impl Iterator<Item = RowRef<'a>>,
) -> Result<Vec<Option<RowDigest>>, StoreError> {
    let mut current_digests = Vec::new();
    let mut wanted = BTreeMap::<(RecordKind, i32), (Coverage, Vec<WantedRow>)>::new();
    let mut versions = BTreeMap::<(RecordKind, i32), (Coverage, Vec<WantedVersion<'a>>)>::new();
    for (place, RowRef { kind, form, subject, at }) in rows.enumerate() {
        // Nothing is named otherwise, or has another form.
        current_digests.push(Some(RowDigest::Unreadable));
        let Some(coverage) = Coverage::of(kind, form) else { continue };
        if let Some((name, version)) = versioned(subject).filter(|_| kind.is_versioned()) {
            let (_, of_kind) = versions.entry((kind, form)).or_insert_with(|| (coverage, Vec::new()));
            of_kind.push(WantedVersion { name, version, place });
        } else if let Some(number) = number(kind, subject) {
            let (_, of_kind) = wanted.entry((kind, form)).or_insert_with(|| (coverage, Vec::new()));
            of_kind.push(WantedRow { number, at, place });
        } else {
            continue;
        }
        current_digests[place] = None;
    }
    for (coverage, wanted) in wanted.into_values() {
        let mut search = Search::of(coverage, wanted, &mut current_digests);
        search.read_range(db)?;
        search.ask_by_name(db)?;
    }
    for (coverage, wanted) in versions.into_values() {
        row_versions::digest_versions(db, coverage, &wanted, &mut current_digests)?;
    }
    Ok(current_digests)
}

/// A row that is looked for.
struct WantedRow {
    /// Its number, or its id as one.
    number: u128,
    at: DateTime<Utc>,
    /// Where it stands among all that is asked for.
    place: usize,
}

/// The search for rows of a kind.
struct Search<'a> {
    coverage: Coverage,
    /// In the order of their numbers.
    wanted: Vec<WantedRow>,
    /// The one after that which was found last: as a rule it is found next.
    next: usize,
    current_digests: &'a mut [Option<RowDigest>],
}

impl<'a> Search<'a> {
    fn of(coverage: Coverage, mut wanted: Vec<WantedRow>, current_digests: &'a mut [Option<RowDigest>]) -> Self {
        wanted.sort_by_key(|wanted| wanted.number);
        Self { coverage, wanted, next: 0, current_digests }
    }

    /// Reads the rows from the first to the last of these: as a rule these, and few others.
    fn read_range(&mut self, db: &mut Db) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (self.wanted.first(), self.wanted.last()) else { return Ok(()) };
        let times = self.wanted.iter().map(|wanted| wanted.at);
        let (Some(earliest), Some(latest)) = (times.clone().min(), times.max()) else { return Ok(()) };
        // One that lies far off must not make this read the whole table.
        let limit = i64::try_from(self.wanted.len() * 2).unwrap_or(i64::MAX);
        let numbers = (first.number, last.number);
        let moments = (earliest, latest);
        row_digests::in_range(db, self.coverage, numbers, moments, limit, |number, found| self.take(number, &found))
    }

    /// Asks by name for those that are not known yet.
    fn ask_by_name(&mut self, db: &mut Db) -> Result<(), StoreError> {
        let unknown = self.wanted.iter().filter(|wanted| self.current_digests[wanted.place].is_none());
        let unknown: Vec<u128> = unknown.map(|wanted| wanted.number).collect();
        unknown.chunks(PER_STATEMENT).try_for_each(|numbers| {
            row_digests::by_number(db, self.coverage, numbers, |number, found| self.take(number, &found))
        })
    }

    /// Takes what was found, for each that asked for it.
    fn take(&mut self, number: u128, found: &RowDigest) {
        if self.wanted.get(self.next).is_none_or(|next| next.number != number) {
            self.next = self.wanted.partition_point(|wanted| wanted.number < number);
        }
        while let Some(wanted) = self.wanted.get(self.next).filter(|wanted| wanted.number == number) {
            self.current_digests[wanted.place] = Some(found.clone());
            self.next += 1;
        }
    }
}

/// `None` where nothing of this kind is named so: in another spelling a name would stand for the same row once more.
fn number(kind: RecordKind, subject: &str) -> Option<u128> {
    match kind {
        RecordKind::Event => {
            let is_plain = subject.bytes().all(|byte| byte.is_ascii_digit()) && !subject.starts_with('0');
            u128::try_from(subject.parse::<i64>().ok().filter(|_| is_plain)?).ok()
        }
        RecordKind::Attempt | RecordKind::SessionStarted | RecordKind::SessionEnded => {
            let id = Uuid::parse_str(subject).ok()?;
            (id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()) == subject).then_some(id.as_u128())
        }
        RecordKind::User | RecordKind::Client | RecordKind::NotBefore => None,
    }
}
