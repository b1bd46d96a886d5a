//! Users, clients and not-befores: what changes, and gives power. Each change of one, in its transaction, gives its row the next
//! version and another salt, and leaves a record of what it is then; or that it is gone. So no state is without its record.
//!
//! Whatever was changed behind the server's back stays so: a row that is not what was recorded of it gets no record by a change
//! that follows, or that change would hide the other.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::backend::Db;
use super::chain::{self, Recorded};
use super::columns::Id;
use super::covered::{self, Found};
use super::error::StoreError;
use crate::model::client::ClientId;
use crate::model::id::UserId;
use crate::model::not_before::Scope;
use crate::model::record::{Coverage, Digest, Record, RecordKind, versioned};

/// Bytes of a salt.
const SALT: usize = 16;

/// Something that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A user.
    User(UserId),
    /// A client.
    Client(ClientId),
    /// A not-before.
    NotBefore(Scope),
}

/// Does something with the row of a thing.
macro_rules! on_row {
    ($thing:expr, |$table:ident, $row:ident| $work:expr) => {
        match $thing {
            Thing::User(id) => {
                use super::schema::users as $table;
                let $row = $table::table.find(Id(id.0));
                $work
            }
            Thing::Client(id) => {
                use super::schema::clients as $table;
                let $row = $table::table.find(id.as_str().to_owned());
                $work
            }
            Thing::NotBefore(scope) => {
                use super::schema::not_befores as $table;
                let $row = $table::table.find(scope.words());
                $work
            }
        }
    };
}

impl Thing {
    /// The thing that a record is of, by its kind and its name.
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

/// Does what changes a thing, adds it (with version 0) or removes it, and records what it is then. False where `work` says
/// that nothing was changed.
pub(super) fn change(
    db: &mut Db,
    thing: &Thing,
    at: DateTime<Utc>,
    work: impl FnOnce(&mut Db) -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    let recorded = newest_recorded(db, thing)?;
    if !work(db)? {
        return Ok(false);
    }
    let Some(recorded) = recorded else { return Ok(true) };
    let record = match version(db, thing)? {
        Some(found) => {
            let version = found.max(recorded) + 1;
            let salt = salt();
            on_row!(thing, |table, row| diesel::update(row)
                .set((table::version.eq(version), table::salt.eq(salt.to_vec())))
                .execute(db))?;
            state(db, thing, version, at)?
        }
        None => Record::of_removal(thing.kind(), thing.subject(recorded + 1), at),
    };
    chain::enqueue(db, &record)?;
    Ok(true)
}

/// Records things anew as they are, although nothing of them changes: their records so far may go then.
pub fn carry(db: &mut Db, things: &[Thing], at: DateTime<Utc>) -> Result<(), StoreError> {
    let users = things.iter().filter_map(|thing| if let Thing::User(id) = thing { Some(*id) } else { None });
    lock_users(db, users)?;
    for thing in things {
        change(db, thing, at, |db| Ok(version(db, thing)?.is_some()))?;
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

/// The versions that new things get: the next of what they were before they were removed, or the first. `None` for those
/// that were never removed, as far as was recorded.
pub(super) fn first_versions(db: &mut Db, things: &[Thing]) -> Result<Vec<Option<i64>>, StoreError> {
    things.iter().map(|thing| Ok(newest_of_removed(db, thing)?.map(|version| version + 1))).collect()
}

/// Records things of a kind as they were added, by their names and with these versions.
pub(super) fn record_added(
    db: &mut Db,
    kind: RecordKind,
    added: &[(String, i64, DateTime<Utc>)],
) -> Result<(), StoreError> {
    let names: Vec<&str> = added.iter().map(|(name, ..)| name.as_str()).collect();
    let mut digests = HashMap::new();
    covered::states(db, Coverage::newest(kind), &names, |name, version, found| {
        if let Found::As(digest, _) = found {
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

/// A salt for a state: nobody finds out by guessing what the digest covers, once the row is gone.
///
/// # Panics
/// If the system has no random source: nothing safe can be done then.
pub(super) fn salt() -> [u8; SALT] {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).expect("the system has a random source");
    salt
}

/// The version of a thing that is there. The row is held until the end of the transaction.
fn version(db: &mut Db, thing: &Thing) -> Result<Option<i64>, StoreError> {
    let version = match db {
        Db::Postgres(connection) => {
            on_row!(thing, |table, row| row.select(table::version).for_no_key_update().first(connection).optional())
        }
        Db::Sqlite(connection) => on_row!(thing, |table, row| row.select(table::version).first(connection).optional()),
    };
    Ok(version?)
}

/// The newest version that was recorded of a thing which is what was recorded, 0 of one that never was. `None` for one that
/// was changed, added or removed otherwise: that is to be found, and stays as it is.
fn newest_recorded(db: &mut Db, thing: &Thing) -> Result<Option<i64>, StoreError> {
    let Some(version) = version(db, thing)? else { return newest_of_removed(db, thing) };
    let is_recorded = match recorded_as(db, thing, version)? {
        Some((_, _, None)) => true,
        Some((_, form, Some(recorded))) => {
            digest(db, thing, version, form)?.is_some_and(|digest| digest[..] == recorded)
        }
        None => false,
    };
    if !is_recorded {
        tracing::error!(kind = %thing.kind(), subject = thing.subject(version), "row differs from its record");
    }
    Ok(is_recorded.then_some(version))
}

fn newest_of_removed(db: &mut Db, thing: &Thing) -> Result<Option<i64>, StoreError> {
    let name = thing.name();
    // The character after the slash: so these are all the versions.
    let all = chain::recorded_between(db, thing.kind(), (&format!("{name}/"), &format!("{name}0")))?;
    let versions = all.into_iter().filter_map(|recorded| Some((versioned(&recorded.0)?.1, recorded)));
    let Some((version, (subject, _, digest))) = versions.max_by_key(|(version, _)| *version) else {
        return Ok(Some(0));
    };
    let removal = Record::of_removal(thing.kind(), subject, DateTime::UNIX_EPOCH);
    let is_removed = digest.is_some_and(|digest| digest == removal.digest);
    if !is_removed && self::version(db, thing)?.is_some() {
        // Another transaction has added it since the caller looked.
        return Ok(Some(version));
    }
    if !is_removed {
        tracing::error!(kind = %thing.kind(), subject = removal.subject, "row removed without a record");
    }
    Ok(is_removed.then_some(version))
}

fn recorded_as(db: &mut Db, thing: &Thing, version: i64) -> Result<Option<Recorded>, StoreError> {
    chain::recorded_of(db, thing.kind(), &thing.subject(version))
}

/// The record of a thing as it is.
fn state(db: &mut Db, thing: &Thing, version: i64, at: DateTime<Utc>) -> Result<Record, StoreError> {
    let (kind, subject) = (thing.kind(), thing.subject(version));
    let digest = digest(db, thing, version, kind.form())?;
    let digest = digest.ok_or_else(|| unreadable(kind, &subject))?;
    Ok(Record { kind, subject, at, form: kind.form(), digest })
}

/// What covers a thing of this version; `None` where it has another one, or says something impossible.
fn digest(db: &mut Db, thing: &Thing, version: i64, form: i32) -> Result<Option<Digest>, StoreError> {
    let Some(coverage) = Coverage::of(thing.kind(), form) else { return Ok(None) };
    let mut digest = None;
    covered::states(db, coverage, &[&thing.name()], |_, found, is| {
        if let Found::As(found_digest, _) = is
            && found == version
        {
            digest = Some(found_digest);
        }
    })?;
    Ok(digest)
}
