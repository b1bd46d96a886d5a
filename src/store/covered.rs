//! What records stand for, as it is now: each row is digested where it is read, and nothing else is made of it. Millions are
//! read when the history is verified.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::row::Row;
use uuid::Uuid;

use super::backend::{Db, on_backend};
use super::columns::{At, Id};
use super::error::StoreError;
use super::raw::{self, Raw, Take};
use super::schema::{attempts, audit_events, sessions};
use crate::model::address::key;
use crate::model::record::{Digest, Form, Members, RecordKind, Value};
use crate::model::redaction::{Group, Named, Proof, Proofs, Redacted};
use crate::model::user::is_folded;

/// What a thing is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It would be sealed so, and this was removed from it.
    As(Digest, Option<Box<Redacted>>),
    /// The end of a session that is there and has not ended.
    Unended,
    /// Its row says something impossible.
    Unreadable,
}

/// The things of a kind from the first to the last number, of ends those from the first to the last moment; at most `limit`,
/// in any order. Each comes with its number, or its id as one.
pub fn between(
    db: &mut Db,
    kind: RecordKind,
    (first, last): (u128, u128),
    (earliest, latest): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
    to: impl FnMut(u128, Found),
) -> Result<(), StoreError> {
    let mut digesting = Digesting::new(kind, to);
    match kind {
        RecordKind::Event => {
            let query = audit_events::table
                .filter(audit_events::seq.ge(seq(first)))
                .filter(audit_events::seq.le(seq(last)))
                .order(audit_events::seq.asc())
                .limit(limit)
                .select(EVENT);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::Attempt => {
            let query = attempts::table
                .filter(attempts::id.ge(id(first)))
                .filter(attempts::id.le(id(last)))
                .order(attempts::id.asc())
                .limit(limit)
                .select(ATTEMPT);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::SessionStarted => {
            let query = sessions::table
                .filter(sessions::id.ge(id(first)))
                .filter(sessions::id.le(id(last)))
                .order(sessions::id.asc())
                .limit(limit)
                .select(START);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::SessionEnded => {
            let query = sessions::table
                .filter(sessions::ended_at.ge(Some(At(earliest))))
                .filter(sessions::ended_at.le(Some(At(latest))))
                .limit(limit)
                .select((START, END));
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
    }
}

/// The things of a kind with these numbers, or these ids as numbers; in any order.
pub fn named(db: &mut Db, kind: RecordKind, numbers: &[u128], to: impl FnMut(u128, Found)) -> Result<(), StoreError> {
    let mut digesting = Digesting::new(kind, to);
    let ids = |numbers: &[u128]| numbers.iter().copied().map(id).collect::<Vec<Id>>();
    match kind {
        RecordKind::Event => {
            let numbers: Vec<i64> = numbers.iter().copied().map(seq).collect();
            let query = audit_events::table.filter(audit_events::seq.eq_any(numbers)).select(EVENT);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::Attempt => {
            let query = attempts::table.filter(attempts::id.eq_any(ids(numbers))).select(ATTEMPT);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::SessionStarted => {
            let query = sessions::table.filter(sessions::id.eq_any(ids(numbers))).select(START);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::SessionEnded => {
            let query = sessions::table.filter(sessions::id.eq_any(ids(numbers))).select((START, END));
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
    }
}

fn seq(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const fn id(number: u128) -> Id {
    Id(Uuid::from_u128(number))
}

/// Columns of a table, in this order.
macro_rules! columns {
    ($name:ident = $table:ident { $($column:ident),+ $(,)? }) => {
        const $name: ($($table::$column),+) = ($($table::$column),+);
    };
}

columns!(
    EVENT = audit_events {
        address_proof,
        person_proof,
        seq,
        at,
        kind,
        outcome,
        reason,
        actor_kind,
        actor_id,
        subject_kind,
        subject_id,
        session_id,
        ip,
        request_id,
        details,
    }
);
columns!(
    ATTEMPT = attempts {
        address_proof,
        person_proof,
        username_folded,
        ip_key,
        id,
        at,
        username,
        user_id,
        outcome,
        ip,
        user_agent,
        client_id,
        session_id,
        request_id,
    }
);
columns!(
    START = sessions {
        address_proof,
        person_proof,
        username_folded,
        ip_key,
        ended_at,
        id,
        user_id,
        username,
        role,
        client_id,
        device_name,
        ip,
        user_agent,
        browser,
        os,
        device_kind,
        methods,
        started_at,
        expires_at,
    }
);
columns!(
    END = sessions {
        last_seen_at,
        last_ip,
        idle_expires_at,
        token_id,
        token_issued_at,
        token_expires_at,
        refresh_generation,
        refresh_seed,
        refresh_spent_at,
        ended_at,
        end_reason,
        ended_by_kind,
        ended_by_id,
        end_note,
    }
);

/// Where the columns of a kind stand.
struct Layout {
    /// The first member, which is the name.
    members: usize,
    /// The moment that what is removed must be older than: when it was, of a session when that ended.
    moment: usize,
    /// Whose it is, and what follows from what it says. An event is found by what it says itself.
    of_user: Option<OfUser>,
}

struct OfUser {
    user: usize,
    username: usize,
    folded: usize,
    ip: usize,
    key: usize,
}

const ADDRESS_PROOF: usize = 0;
const PERSON_PROOF: usize = 1;
const OF_EVENT: Layout = Layout { members: 2, moment: 3, of_user: None };
const OF_ATTEMPT: Layout =
    Layout { members: 4, moment: 5, of_user: Some(OfUser { user: 7, username: 6, folded: 2, ip: 9, key: 3 }) };
const OF_SESSION: Layout =
    Layout { members: 5, moment: 4, of_user: Some(OfUser { user: 6, username: 7, folded: 2, ip: 11, key: 3 }) };

/// Digests rows of a kind.
struct Digesting<F> {
    kind: RecordKind,
    layout: &'static Layout,
    members: Members,
    to: F,
}

impl<F: FnMut(u128, Found)> Digesting<F> {
    fn new(kind: RecordKind, to: F) -> Self {
        let layout = match kind {
            RecordKind::Event => &OF_EVENT,
            RecordKind::Attempt => &OF_ATTEMPT,
            RecordKind::SessionStarted | RecordKind::SessionEnded => &OF_SESSION,
        };
        Self { kind, layout, members: Members::new(), to }
    }

    /// What a row is; `None` where it says something impossible.
    fn found<'r, DB: Raw>(&mut self, row: &impl Row<'r, DB>) -> Option<Found> {
        let moment = raw::number(row, self.layout.moment, Form::OptionalTime);
        if self.kind == RecordKind::SessionEnded && moment.is_none() {
            return Some(Found::Unended);
        }
        if !self.layout.of_user.as_ref().is_none_or(|of_user| is_found_by_what_it_says(row, of_user)) {
            return None;
        }
        let proofs = Proofs { addresses: proof(row, ADDRESS_PROOF)?, person: proof(row, PERSON_PROOF)? };
        let redacted = self.redacted(row, &proofs, moment);
        self.members.begin(self.kind, proofs);
        let mut place = self.layout.members;
        for part in self.kind.parts() {
            for form in *part {
                raw::column(row, place, *form, |value| self.members.write(*form, value));
                place += 1;
            }
            self.members.commit();
        }
        Some(Found::As(self.members.digest()?, redacted))
    }

    fn redacted<'r, DB: Raw>(
        &self,
        row: &impl Row<'r, DB>,
        proofs: &Proofs,
        moment: Option<i64>,
    ) -> Option<Box<Redacted>> {
        // While a session lives nothing may be removed.
        let at = || moment.and_then(DateTime::from_timestamp_micros).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let named = || match &self.layout.of_user {
            Some(OfUser { user, .. }) => {
                let id = raw::id(row, *user);
                Named::OfUser(id.map(|id| id.as_hyphenated().to_string()))
            }
            None => Named::InEvent(raw::number(row, self.layout.members, Form::Number).unwrap_or(0)),
        };
        let addresses = proofs.is_removed(Group::Addresses).then(at);
        let person = proofs.is_removed(Group::Person).then(named);
        (addresses.is_some() || person.is_some()).then(|| Box::new(Redacted { addresses, person }))
    }
}

impl<F: FnMut(u128, Found)> Take for Digesting<F> {
    /// A row that has no name is passed over: what it was is not found by its name.
    fn take<'r, DB: Raw>(&mut self, row: &impl Row<'r, DB>) -> Result<(), StoreError> {
        let name = match self.kind {
            RecordKind::Event => {
                let number = raw::number(row, self.layout.members, Form::Number);
                number.and_then(|number| u128::try_from(number).ok())
            }
            _ => raw::id(row, self.layout.members).map(|id| id.as_u128()),
        };
        if let Some(name) = name {
            let found = self.found(row).unwrap_or(Found::Unreadable);
            (self.to)(name, found);
        }
        Ok(())
    }
}

/// Whether what a row is searched by is what follows from what it says: no digest covers that.
fn is_found_by_what_it_says<'r, DB: Raw>(row: &impl Row<'r, DB>, of_user: &OfUser) -> bool {
    let is_folded = |name: Value<'_>| {
        raw::column(row, of_user.folded, Form::Text, |folded| {
            name.text().zip(folded.text()).is_some_and(|(name, folded)| is_folded(name, folded))
        })
    };
    let is_key = |ip: Value<'_>| {
        let Value::Address(ip, _) = ip else { return false };
        raw::column(row, of_user.key, Form::Bytes, |found| found.bytes() == Some(&key(ip)))
    };
    raw::column(row, of_user.username, Form::Person, is_folded) && raw::column(row, of_user.ip, Form::Address, is_key)
}

/// `None` where it is none.
fn proof<'r, DB: Raw>(row: &impl Row<'r, DB>, column: usize) -> Option<Proof> {
    raw::column(row, column, Form::Bytes, |value| match value {
        Value::Missing => Some(Proof::Clear),
        value => Proof::from_bytes(Some(value.bytes()?)).ok(),
    })
}
