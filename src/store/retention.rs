//! Queries on `retention`: which process removes what is old, when one did last, and what its transaction may remove. On SQLite triggers let
//! nothing else through; on PostgreSQL the database's roles see to that.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::backend::Db;
use super::columns::{At, Id};
use super::error::StoreError;
use super::schema::{attempts, audit_events, retention, sessions};
use crate::model::id::NodeId;

/// What a transaction removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionGrant {
    /// Sessions that ended before.
    Sessions(DateTime<Utc>),
    /// Attempts before this moment.
    Attempts(DateTime<Utc>),
    /// Events before this moment.
    Events(DateTime<Utc>),
    /// The addresses of sessions that ended before, and of attempts and events before.
    Addresses(DateTime<Utc>),
    /// What names a person.
    Person,
    /// Sealed records before this position.
    Records(i64),
}

impl DeletionGrant {
    const fn word(self) -> &'static str {
        match self {
            Self::Sessions(_) => "sessions",
            Self::Attempts(_) => "attempts",
            Self::Events(_) => "events",
            Self::Addresses(_) => "addresses",
            Self::Person => "person",
            Self::Records(_) => "records",
        }
    }

    const fn before(self) -> Option<At> {
        match self {
            Self::Sessions(at) | Self::Attempts(at) | Self::Events(at) | Self::Addresses(at) => Some(At(at)),
            Self::Person | Self::Records(_) => None,
        }
    }

    const fn records_before(self) -> Option<i64> {
        if let Self::Records(position) = self { Some(position) } else { None }
    }
}

/// Does work that removes this, and nothing else. One transaction at a time does.
pub fn with_deletion_grant<T>(
    db: &mut Db,
    grant: DeletionGrant,
    work: impl FnOnce(&mut Db) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let open = (
        retention::permit.eq(Some(grant.word())),
        retention::before.eq(grant.before()),
        retention::records_before.eq(grant.records_before()),
    );
    diesel::update(retention::table).set(open).execute(db)?;
    let done = work(db)?;
    let close = (
        retention::permit.eq(None::<&str>),
        retention::before.eq(None::<At>),
        retention::records_before.eq(None::<i64>),
    );
    diesel::update(retention::table).set(close).execute(db)?;
    Ok(done)
}

/// Claims the work for a process. `false` while the claim of another lasts. One that lasts far longer than a claim does was
/// written by somebody else, and is none.
pub fn claim(db: &mut Db, by: NodeId, until: DateTime<Utc>, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let is_free = retention::claimed_until
        .is_null()
        .or(retention::claimed_until.le(Some(At(now))))
        .or(retention::claimed_until.gt(Some(At(until + (until - now)))))
        .or(retention::claimed_by.eq(Some(Id(by.0))));
    let set = (retention::claimed_by.eq(Some(Id(by.0))), retention::claimed_until.eq(Some(At(until))));
    Ok(diesel::update(retention::table.filter(is_free.assume_not_null())).set(set).execute(db)? == 1)
}

/// Gives the claim back: the run is finished.
pub fn finish(db: &mut Db, by: NodeId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let own = retention::table.filter(retention::claimed_by.eq(Some(Id(by.0))));
    let set = (
        retention::claimed_by.eq(None::<Id>),
        retention::claimed_until.eq(None::<At>),
        retention::ran_at.eq(Some(At(now))),
    );
    diesel::update(own).set(set).execute(db)?;
    Ok(())
}

/// When a run was last finished.
pub fn ran_at(db: &mut Db) -> Result<Option<DateTime<Utc>>, StoreError> {
    let ran_at: Option<At> = retention::table.select(retention::ran_at).first(db)?;
    Ok(ran_at.map(|at| at.0))
}

/// Notes that the clock is believed to say rightly that it is now.
pub fn believe(db: &mut Db, now: DateTime<Utc>) -> Result<(), StoreError> {
    diesel::update(retention::table).set(retention::believed_at.eq(Some(At(now)))).execute(db)?;
    Ok(())
}

/// The moment that was believed last, by whatever process.
pub fn believed_at(db: &mut Db) -> Result<Option<DateTime<Utc>>, StoreError> {
    let believed_at: Option<At> = retention::table.select(retention::believed_at).first(db)?;
    Ok(believed_at.map(|at| at.0))
}

/// Rows from before `before` that were sealed in the clear, with their addresses.
pub fn in_the_clear(db: &mut Db, before: DateTime<Utc>) -> Result<i64, StoreError> {
    let sessions = sessions::table.filter(sessions::ended_at.lt(Some(At(before))));
    let attempts = attempts::table.filter(attempts::at.lt(At(before)));
    let events = audit_events::table.filter(audit_events::at.lt(At(before))).filter(audit_events::ip.is_not_null());
    let counts: [i64; 3] = [
        sessions.filter(sessions::address_proof.is_null()).count().get_result(db)?,
        attempts.filter(attempts::address_proof.is_null()).count().get_result(db)?,
        events.filter(audit_events::address_proof.is_null()).count().get_result(db)?,
    ];
    Ok(counts.iter().sum())
}

/// Whether the database lets this process remove rows of the history.
pub fn may_remove(db: &mut Db) -> Result<bool, StoreError> {
    let tables = ["sessions", "attempts", "audit_events", "sealed_records"];
    has(db, &tables.map(|table| format!("has_table_privilege('{table}', 'DELETE')")))
}

/// Whether the database lets this process redact rows of the history.
pub fn may_redact(db: &mut Db) -> Result<bool, StoreError> {
    let tables = ["sessions", "attempts", "audit_events"];
    has(db, &tables.map(|table| format!("has_column_privilege('{table}', 'person_proof', 'UPDATE')")))
}

fn has(db: &mut Db, privileges: &[String]) -> Result<bool, StoreError> {
    let Db::Postgres(connection) = db else { return Ok(true) };
    let all = diesel::dsl::sql::<diesel::sql_types::Bool>(&privileges.join(" AND "));
    Ok(diesel::select(all).get_result(connection)?)
}
