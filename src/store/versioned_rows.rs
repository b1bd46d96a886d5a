//! Versioned rows: users, clients and not-befores, which change, and give power. Each change gives the row, in its transaction, the
//! next version and another salt, and leaves a record of what the row is then; or that it is gone. So no version is without its
//! record.
//!
//! Whatever was changed behind the server's back stays so: a row that is not what was recorded of it gets no record by a change
//! that follows, or that change would hide the other.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::backend::Db;
use super::chain::{self, Recorded};
use super::columns::Id;
use super::error::StoreError;
use super::row_digests::{self, RowDigest};
use crate::model::client::ClientId;
use crate::model::id::UserId;
use crate::model::not_before::Scope;
use crate::model::record::{Coverage, Digest, Record, RecordKind, versioned};

/// Bytes of a salt.
const SALT: usize = 16;

/// Names a row that has a record for each of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionedRow {
    /// A row of `users`.
    User(UserId),
    /// A row of `clients`.
    Client(ClientId),
    /// A row of `not_befores`.
    NotBefore(Scope),
}

/// Runs a statement on the table of a row, with the query that finds it by its key.
macro_rules! on_row {
    ($row:expr, |$table:ident, $by_key:ident| $work:expr) => {
        match $row {
            VersionedRow::User(id) => {
                use super::schema::users as $table;
                let $by_key = $table::table.find(Id(id.0));
                $work
            }
            VersionedRow::Client(id) => {
                use super::schema::clients as $table;
                let $by_key = $table::table.find(id.as_str().to_owned());
                $work
            }
            VersionedRow::NotBefore(scope) => {
                use super::schema::not_befores as $table;
                let $by_key = $table::table.find(scope.words());
                $work
            }
        }
    };
}

impl VersionedRow {
    /// The row that a record is of, by the kind of the record and the name in its subject.
    #[must_use]
    pub fn named(kind: RecordKind, name: &str) -> Option<Self> {
        match kind {
            RecordKind::User => name.parse().ok().map(Self::User),
            RecordKind::Client => ClientId::parse(name).ok().map(Self::Client),
            RecordKind::NotBefore => {
                let (word, subject) = name.split_once(':')?;
                Scope::of_words(word, subject).ok().map(Self::NotBefore)
            }
            RecordKind::Event | RecordKind::Attempt | RecordKind::SessionStarted | RecordKind::SessionEnded => None,
        }
    }

    const fn kind(&self) -> RecordKind {
        match self {
            Self::User(_) => RecordKind::User,
            Self::Client(_) => RecordKind::Client,
            Self::NotBefore(_) => RecordKind::NotBefore,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::User(id) => id.to_string(),
            Self::Client(id) => id.to_string(),
            Self::NotBefore(scope) => {
                let (word, subject) = scope.words();
                format!("{word}:{subject}")
            }
        }
    }

    fn subject(&self, version: i64) -> String {
        format!("{}/{version}", self.name())
    }
}

/// Does what changes a row, adds it (with version 0) or removes it, and records what it is then. False where `work` says
/// that nothing was changed.
pub(super) fn change(
    db: &mut Db,
    row: &VersionedRow,
    at: DateTime<Utc>,
    work: impl FnOnce(&mut Db) -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    let recorded = newest_recorded(db, row)?;
    if !work(db)? {
        return Ok(false);
    }
    let Some(recorded) = recorded else { return Ok(true) };
    let record = match version(db, row)? {
        Some(found) => {
            let version = found.max(recorded) + 1;
            let salt = salt();
            on_row!(row, |table, by_key| diesel::update(by_key)
                .set((table::version.eq(version), table::salt.eq(salt.to_vec())))
                .execute(db))?;
            record_of(db, row, version, at)?
        }
        None => Record::of_removal(row.kind(), row.subject(recorded + 1), at),
    };
    chain::enqueue(db, &record)?;
    Ok(true)
}

/// Records rows again as they are, under a new version, although nothing of them changes: their older records may be pruned then.
pub fn carry_forward(db: &mut Db, rows: &[VersionedRow], at: DateTime<Utc>) -> Result<(), StoreError> {
    let users = rows.iter().filter_map(|row| if let VersionedRow::User(id) = row { Some(*id) } else { None });
    lock_users(db, users)?;
    for row in rows {
        change(db, row, at, |db| Ok(version(db, row)?.is_some()))?;
    }
    Ok(())
}

/// Holds these users against changes by others, as `users::lock` does; all before any of them is changed.
pub(super) fn lock_users(db: &mut Db, ids: impl Iterator<Item = UserId>) -> Result<(), StoreError> {
    use super::schema::users;
    if let Db::Postgres(connection) = db {
        let ids: Vec<Id> = ids.map(|id| Id(id.0)).collect();
        let locked = users::table.filter(users::id.eq_any(ids)).order(users::id.asc()).select(users::id).for_update();
        locked.load::<Id>(connection)?;
    }
    Ok(())
}

/// The versions that new rows get: the next of what they were before they were removed, or the first. `None` for those
/// that were never removed, as far as was recorded.
pub(super) fn first_versions(db: &mut Db, rows: &[VersionedRow]) -> Result<Vec<Option<i64>>, StoreError> {
    rows.iter().map(|row| Ok(newest_of_removed(db, row)?.map(|version| version + 1))).collect()
}

/// Records rows of a kind as they were added, by their names and with these versions.
pub(super) fn record_added(
    db: &mut Db,
    kind: RecordKind,
    added: &[(String, i64, DateTime<Utc>)],
) -> Result<(), StoreError> {
    let names: Vec<&str> = added.iter().map(|(name, ..)| name.as_str()).collect();
    let mut digests = HashMap::new();
    row_digests::of_versioned(db, Coverage::newest(kind), &names, |name, version, found| {
        if let RowDigest::Present(digest, _) = found {
            digests.insert(format!("{name}/{version}"), digest);
        }
    })?;
    let record = |(name, version, at): &(String, i64, DateTime<Utc>)| {
        let subject = format!("{name}/{version}");
        let digest = digests.get(&subject).ok_or_else(|| unreadable(kind, &subject))?;
        Ok(Record { kind, digest: *digest, subject, at: *at, form: kind.form() })
    };
    chain::enqueue_all(db, &added.iter().map(record).collect::<Result<Vec<_>, StoreError>>()?)
}

fn unreadable(kind: RecordKind, subject: &str) -> StoreError {
    StoreError::Corrupt(format!("{kind} {subject} cannot be read"))
}

/// A salt for a version: nobody finds out by guessing what the digest covers, once the row is gone.
///
/// # Panics
/// If the system has no random source: nothing safe can be done then.
pub(super) fn salt() -> [u8; SALT] {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).expect("the system has a random source");
    salt
}

/// The version of a row that is there. The row is held until the end of the transaction.
fn version(db: &mut Db, row: &VersionedRow) -> Result<Option<i64>, StoreError> {
    let version = match db {
        Db::Postgres(connection) => {
            on_row!(row, |table, by_key| by_key.select(table::version).for_no_key_update().first(connection).optional())
        }
        Db::Sqlite(connection) => {
            on_row!(row, |table, by_key| by_key.select(table::version).first(connection).optional())
        }
    };
    Ok(version?)
}

/// The newest version that was recorded of a row which is what was recorded, 0 of one that never was. `None` for one that
/// was changed, added or removed otherwise: that is to be found, and stays as it is.
fn newest_recorded(db: &mut Db, row: &VersionedRow) -> Result<Option<i64>, StoreError> {
    let Some(version) = version(db, row)? else { return newest_of_removed(db, row) };
    let is_recorded = match recorded_as(db, row, version)? {
        Some((_, _, None)) => true,
        Some((_, form, Some(recorded))) => digest(db, row, version, form)?.is_some_and(|digest| digest[..] == recorded),
        None => false,
    };
    if !is_recorded {
        tracing::error!(kind = %row.kind(), subject = row.subject(version), "row differs from its record");
    }
    Ok(is_recorded.then_some(version))
}

fn newest_of_removed(db: &mut Db, row: &VersionedRow) -> Result<Option<i64>, StoreError> {
    let name = row.name();
    // The character after the slash: so these are all the versions.
    let all = chain::recorded_between(db, row.kind(), (&format!("{name}/"), &format!("{name}0")))?;
    let versions = all.into_iter().filter_map(|recorded| Some((versioned(&recorded.0)?.1, recorded)));
    let Some((version, (subject, _, digest))) = versions.max_by_key(|(version, _)| *version) else {
        return Ok(Some(0));
    };
    let removal = Record::of_removal(row.kind(), subject, DateTime::UNIX_EPOCH);
    let is_removed = digest.is_some_and(|digest| digest == removal.digest);
    if !is_removed && self::version(db, row)?.is_some() {
        // Another transaction has added it since the caller looked.
        return Ok(Some(version));
    }
    if !is_removed {
        tracing::error!(kind = %row.kind(), subject = removal.subject, "row removed without a record");
    }
    Ok(is_removed.then_some(version))
}

fn recorded_as(db: &mut Db, row: &VersionedRow, version: i64) -> Result<Option<Recorded>, StoreError> {
    chain::recorded_of(db, row.kind(), &row.subject(version))
}

/// The record of a row as it is.
fn record_of(db: &mut Db, row: &VersionedRow, version: i64, at: DateTime<Utc>) -> Result<Record, StoreError> {
    let (kind, subject) = (row.kind(), row.subject(version));
    let digest = digest(db, row, version, kind.form())?;
    let digest = digest.ok_or_else(|| unreadable(kind, &subject))?;
    Ok(Record { kind, subject, at, form: kind.form(), digest })
}

/// What covers a row of this version; `None` where it has another one, or says something impossible.
fn digest(db: &mut Db, row: &VersionedRow, version: i64, form: i32) -> Result<Option<Digest>, StoreError> {
    let Some(coverage) = Coverage::of(row.kind(), form) else { return Ok(None) };
    let mut digest = None;
    row_digests::of_versioned(db, coverage, &[&row.name()], |_, found, is| {
        if let RowDigest::Present(found_digest, _) = is
            && found == version
        {
            digest = Some(found_digest);
        }
    })?;
    Ok(digest)
}
