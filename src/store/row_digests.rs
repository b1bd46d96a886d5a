//! The digests of the rows that records stand for, as the rows are now: each row is digested where it is read, and nothing else is
//! made of it. Millions are read when the history is verified.
//!
//! Which columns are read follows from what the records' form covers (`model::record`).

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::row::Row;
use diesel::sql_types::{Text, Untyped};
use uuid::Uuid;

use super::backend::{Db, on_backend};
use super::columns::{At, Id};
use super::error::StoreError;
use super::raw::{self, Raw, Take};
use super::schema::{attempts, audit_events, clients, not_befores, sessions, users};
use crate::model::address::key;
use crate::model::folding::is_case_folded;
use crate::model::record::{Coverage, Digest, Members, RecordKind, Shape, Table, UncoveredKind, Value};
use crate::model::redaction::{Group, Named, Proof, Proofs, Redacted};

/// What digesting a row has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowDigest {
    /// The row is there: its digest, and what was removed from it.
    Present(Digest, Option<Box<Redacted>>),
    /// The end of a session that is there and has not ended.
    NotEnded,
    /// A version that others followed.
    Superseded,
    /// A version that is yet to come: the row has an earlier one.
    Ahead,
    /// The row says something impossible.
    Unreadable,
}

/// The rows of a kind from the first to the last number, of ends those from the first to the last moment; at most `limit`,
/// in any order. Each comes with its number, or its id as one.
pub fn in_range(
    db: &mut Db,
    coverage: Coverage,
    (first, last): (u128, u128),
    (earliest, latest): (DateTime<Utc>, DateTime<Utc>),
    limit: i64,
    to: impl FnMut(u128, RowDigest),
) -> Result<(), StoreError> {
    let mut digesting = Digesting::new(coverage, to);
    let columns = sql::<Untyped>(&digesting.columns());
    match coverage.kind {
        RecordKind::Event => {
            let query = audit_events::table
                .filter(audit_events::seq.ge(seq(first)))
                .filter(audit_events::seq.le(seq(last)))
                .order(audit_events::seq.asc())
                .limit(limit)
                .select(columns);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::Attempt => {
            let query = attempts::table
                .filter(attempts::id.ge(id(first)))
                .filter(attempts::id.le(id(last)))
                .order(attempts::id.asc())
                .limit(limit)
                .select(columns);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::SessionStarted => {
            let query = sessions::table
                .filter(sessions::id.ge(id(first)))
                .filter(sessions::id.le(id(last)))
                .order(sessions::id.asc())
                .limit(limit)
                .select(columns);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::SessionEnded => {
            let query = sessions::table
                .filter(sessions::ended_at.ge(Some(At(earliest))))
                .filter(sessions::ended_at.le(Some(At(latest))))
                .limit(limit)
                .select(columns);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::User | RecordKind::Client | RecordKind::NotBefore => Ok(()),
    }
}

/// The rows of a kind with these numbers, or these ids as numbers; in any order.
pub fn by_number(
    db: &mut Db,
    coverage: Coverage,
    numbers: &[u128],
    to: impl FnMut(u128, RowDigest),
) -> Result<(), StoreError> {
    let mut digesting = Digesting::new(coverage, to);
    let columns = sql::<Untyped>(&digesting.columns());
    let ids = |numbers: &[u128]| numbers.iter().copied().map(id).collect::<Vec<Id>>();
    match coverage.kind {
        RecordKind::Event => {
            let numbers: Vec<i64> = numbers.iter().copied().map(seq).collect();
            let query = audit_events::table.filter(audit_events::seq.eq_any(numbers)).select(columns);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::Attempt => {
            let query = attempts::table.filter(attempts::id.eq_any(ids(numbers))).select(columns);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::SessionStarted | RecordKind::SessionEnded => {
            let query = sessions::table.filter(sessions::id.eq_any(ids(numbers))).select(columns);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::User | RecordKind::Client | RecordKind::NotBefore => Ok(()),
    }
}

/// The versioned rows of a kind that have these names; in any order. Each comes with its name and its version.
pub fn of_versioned(
    db: &mut Db,
    coverage: Coverage,
    names: &[&str],
    to: impl FnMut(String, i64, RowDigest),
) -> Result<(), StoreError> {
    let mut digesting = VersionedDigesting { digesting: Digesting::new(coverage, ()), to };
    let columns = sql::<Untyped>(&digesting.digesting.columns());
    match coverage.kind {
        RecordKind::User => {
            let ids: Vec<Id> = names.iter().filter_map(|name| Uuid::parse_str(name).ok()).map(Id).collect();
            let query = users::table.filter(users::id.eq_any(ids)).select(columns);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::Client => {
            let query = clients::table.filter(clients::id.eq_any(names.to_vec())).select(columns);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::NotBefore => {
            let name = sql::<Text>(&name_of(coverage.kind.table()));
            let query = not_befores::table.filter(name.eq_any(names.to_vec())).select(columns);
            on_backend!(db, |connection| raw::each(connection, query, &mut digesting))
        }
        RecordKind::Event | RecordKind::Attempt | RecordKind::SessionStarted | RecordKind::SessionEnded => Ok(()),
    }
}

fn seq(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const fn id(number: u128) -> Id {
    Id(Uuid::from_u128(number))
}

/// The name of a row of this table in the subjects of records, as SQL.
pub(super) fn name_of(table: &Table) -> String {
    let text = |name: &&str| match table.column(name).map(|column| column.shape) {
        Some(Shape::Text) => (*name).to_owned(),
        _ => format!("CAST({name} AS TEXT)"),
    };
    table.key.iter().map(text).collect::<Vec<_>>().join(" || ':' || ")
}

/// What is read of each row, and where it stands.
struct Layout {
    /// The members, in their order, and then what is no member.
    columns: Vec<String>,
    /// The name of the row: of the history its number or id, of versioned rows their name.
    name: usize,
    /// The version of the row.
    version: Option<usize>,
    /// What shows that the members are what was sealed.
    proofs: Option<(usize, usize)>,
    /// The moment that what is removed must be older than.
    over: Option<usize>,
    /// The user whose row it is.
    owner: Option<usize>,
    /// A name, and what it is found by.
    folded: Option<(usize, usize)>,
    /// An address, and what it is found by.
    key: Option<(usize, usize)>,
}

impl Layout {
    fn of(coverage: Coverage) -> Self {
        let (kind, table) = (coverage.kind, coverage.kind.table());
        let mut columns: Vec<String> = coverage.columns().map(|column| column.name.to_owned()).collect();
        let mut place = |name: &str| {
            columns.iter().position(|column| column == name).unwrap_or_else(|| {
                columns.push(name.to_owned());
                columns.len() - 1
            })
        };
        let of_kind = |kind| Some(table.uncovered.iter().find(|other| other.kind == kind)?.name);
        let proof = |group| of_kind(UncoveredKind::Proof(group));
        let found_by = |kind: fn(&'static str) -> UncoveredKind| {
            coverage.columns().find_map(|column| Some((column.name, of_kind(kind(column.name))?)))
        };
        let mut places = |(one, other): (&str, &str)| (place(one), place(other));
        Self {
            proofs: proof(Group::Addresses).zip(proof(Group::Person)).map(&mut places),
            folded: found_by(UncoveredKind::Folded).map(&mut places),
            key: found_by(UncoveredKind::Key).map(&mut places),
            name: if kind.is_versioned() { place(&name_of(table)) } else { place(table.key[0]) },
            version: kind.is_versioned().then(|| place("version")),
            over: table.over.map(&mut place),
            owner: table.owner.map(&mut place),
            columns,
        }
    }

    /// Whether what a row is searched by is what follows from what it says: no digest covers that.
    fn is_found_by_what_it_says<'r, DB: Raw>(&self, row: &impl Row<'r, DB>) -> bool {
        let is_case_folded = |(name, folded)| {
            raw::column(row, name, Shape::Text, |name| {
                raw::column(row, folded, Shape::Text, |folded| {
                    name.text().zip(folded.text()).is_some_and(|(name, folded)| is_case_folded(name, folded))
                })
            })
        };
        let is_key = |(ip, found_by)| {
            raw::column(row, ip, Shape::Address, |ip| {
                let Value::Address(ip, _) = ip else { return false };
                raw::column(row, found_by, Shape::Bytes, |found| found.bytes() == Some(&key(ip)))
            })
        };
        self.folded.is_none_or(is_case_folded) && self.key.is_none_or(is_key)
    }

    /// What shows that the members of a row are what was sealed; `None` where it says something impossible.
    fn proofs<'r, DB: Raw>(&self, row: &impl Row<'r, DB>) -> Option<Proofs> {
        let Some((addresses, person)) = self.proofs else { return Some(Proofs::default()) };
        Some(Proofs { addresses: proof(row, addresses)?, person: proof(row, person)? })
    }
}

/// Digests rows of a kind.
struct Digesting<F> {
    coverage: Coverage,
    layout: Layout,
    members: Members,
    to: F,
}

impl<F> Digesting<F> {
    fn new(coverage: Coverage, to: F) -> Self {
        Self { coverage, layout: Layout::of(coverage), members: Members::new(), to }
    }

    /// What is read of each row.
    fn columns(&self) -> String {
        self.layout.columns.join(", ")
    }

    /// What a row of the history is; `None` where it says something impossible.
    fn found<'r, DB: Raw>(&mut self, row: &impl Row<'r, DB>) -> Option<RowDigest> {
        let over = self.layout.over.and_then(|place| raw::number(row, place, Shape::OptionalTime));
        if self.coverage.kind == RecordKind::SessionEnded && over.is_none() {
            return Some(RowDigest::NotEnded);
        }
        let proofs = self.layout.proofs(row)?;
        let redacted = self.redacted(row, &proofs, over);
        Some(RowDigest::Present(self.digest(row, proofs)?, redacted))
    }

    /// What covers a row; `None` where it says something impossible.
    fn digest<'r, DB: Raw>(&mut self, row: &impl Row<'r, DB>, proofs: Proofs) -> Option<Digest> {
        if !self.layout.is_found_by_what_it_says(row) {
            return None;
        }
        let Coverage { kind, parts, form } = self.coverage;
        self.members.begin(kind, form, proofs);
        let mut places = 0..;
        for part in parts {
            for (column, place) in part.iter().filter(|column| self.coverage.covers(column)).zip(&mut places) {
                raw::column(row, place, column.shape, |value| self.members.write(column.shape, value));
            }
            self.members.commit();
        }
        self.members.digest()
    }

    fn redacted<'r, DB: Raw>(
        &self,
        row: &impl Row<'r, DB>,
        proofs: &Proofs,
        over: Option<i64>,
    ) -> Option<Box<Redacted>> {
        // While a session lives nothing may be removed.
        let at = || over.and_then(DateTime::from_timestamp_micros).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let named = || match self.layout.owner {
            Some(owner) => Named::OfUser(raw::id(row, owner).map(|id| id.as_hyphenated().to_string())),
            None => Named::InEvent(raw::number(row, self.layout.name, Shape::Number).unwrap_or(0)),
        };
        let addresses = proofs.is_removed(Group::Addresses).then(at);
        let person = proofs.is_removed(Group::Person).then(named);
        (addresses.is_some() || person.is_some()).then(|| Box::new(Redacted { addresses, person }))
    }
}

impl<F: FnMut(u128, RowDigest)> Take for Digesting<F> {
    /// A row that has no name is passed over: what it was is not found by its name.
    fn take<'r, DB: Raw>(&mut self, row: &impl Row<'r, DB>) -> Result<(), StoreError> {
        let name = match self.coverage.kind {
            RecordKind::Event => {
                let number = raw::number(row, self.layout.name, Shape::Number);
                number.and_then(|number| u128::try_from(number).ok())
            }
            _ => raw::id(row, self.layout.name).map(|id| id.as_u128()),
        };
        if let Some(name) = name {
            let found = self.found(row).unwrap_or(RowDigest::Unreadable);
            (self.to)(name, found);
        }
        Ok(())
    }
}

/// Digests versioned rows of a kind.
struct VersionedDigesting<D, F> {
    digesting: Digesting<D>,
    to: F,
}

impl<D, F: FnMut(String, i64, RowDigest)> Take for VersionedDigesting<D, F> {
    /// As above: nor is a row found that has no version.
    fn take<'r, DB: Raw>(&mut self, row: &impl Row<'r, DB>) -> Result<(), StoreError> {
        let Layout { name, version, .. } = self.digesting.layout;
        let name = raw::column(row, name, Shape::Text, |name| name.text().map(str::to_owned));
        let version = version.and_then(|version| raw::number(row, version, Shape::Number));
        if let Some((name, version)) = name.zip(version) {
            let digest = self.digesting.digest(row, Proofs::default());
            (self.to)(name, version, digest.map_or(RowDigest::Unreadable, |digest| RowDigest::Present(digest, None)));
        }
        Ok(())
    }
}

/// `None` where it is none.
fn proof<'r, DB: Raw>(row: &impl Row<'r, DB>, column: usize) -> Option<Proof> {
    raw::column(row, column, Shape::Bytes, |value| match value {
        Value::Missing => Some(Proof::Clear),
        value => Proof::from_bytes(Some(value.bytes()?)).ok(),
    })
}
