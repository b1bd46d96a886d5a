//! Queries on `changes` and `change_head`: the feed by which nodes keep their live view true.
//!
//! A change is written in the transaction that makes it, without a number; [`number`] numbers all that are committed, under
//! the lock of one row. A number given in the transaction itself would need that lock until its commit is on the disk: ends
//! would wait for each other's disk, and two that lock their sessions in another order would lock each other out.

use chrono::{DateTime, Utc};
use diesel::backend::Backend;
use diesel::connection::SimpleConnection as _;
use diesel::expression::{AppearsOnTable, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Bool;

use super::backend::{Db, on_backend};
use super::columns::{At, parsed};
use super::error::StoreError;
use super::rows::{Insert, Number};
use super::schema::{change_head, changes, nodes};
use crate::model::change::Change;

/// Where the feed stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The highest number given.
    pub seq: i64,
    /// Names the history that the numbers belong to.
    pub database: String,
}

/// Changes after a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Following {
    /// All of them up to `seq`, or as many as were asked for.
    Changes {
        /// In the order of their numbers.
        changes: Vec<Change>,
        /// The number of the last.
        seq: i64,
    },
    /// Some are no longer kept.
    Gone,
}

/// Adds changes, in the transaction that makes them.
pub fn insert(db: &mut Db, noted: &[Change], at: DateTime<Utc>) -> Result<(), StoreError> {
    Insert::into("changes", noted)
        .column(changes::at, |_| At(at))
        .column(changes::kind, |change| change.kind().as_str())
        .column(changes::subject, Change::subject)
        .execute(db)
}

/// Whether committed changes wait for their numbers.
pub fn are_unnumbered(db: &mut Db) -> Result<bool, StoreError> {
    // With the 0 in its text, in order and not prepared, so that the index of those without a number is used: any other plan
    // reads all changes to find that none waits.
    let look = diesel::sql_query("SELECT id AS number FROM changes WHERE seq = 0 ORDER BY id LIMIT 1");
    let first: Option<Number> = on_backend!(db, |connection| look.get_result(connection).optional())?;
    Ok(first.is_some())
}

/// Numbers every change that is committed.
///
/// The lock of the one row is taken before anything is looked at, so that numbers become visible in their order. Nothing is
/// asked between the statements, so that they go to the server as one ([`Store::write_autocommit`](super::Store)): nobody who
/// stops half way holds the lock.
pub fn number(db: &mut Db) -> Result<(), StoreError> {
    // None of it is prepared: a plan from when there were few changes would read all of them.
    Ok(db.batch_execute(
        "UPDATE change_head SET seq = seq;
         UPDATE changes SET seq = numbered.seq
         FROM (
           SELECT id, (SELECT seq FROM change_head) + row_number() OVER (ORDER BY id) AS seq FROM changes WHERE seq = 0
         ) AS numbered
         WHERE changes.id = numbered.id;
         UPDATE change_head SET seq = numbered.seq
         FROM (SELECT max(seq) AS seq FROM changes WHERE seq > 0) AS numbered
         WHERE numbered.seq > change_head.seq",
    )?)
}

/// Where the feed stands.
pub fn head(db: &mut Db) -> Result<Head, StoreError> {
    let (seq, database) = change_head::table.select((change_head::seq, change_head::database)).first(db)?;
    Ok(Head { seq, database })
}

/// Changes numbered after `seq`, at most `limit`.
pub fn after(db: &mut Db, seq: i64, limit: i64) -> Result<Following, StoreError> {
    let rows: Vec<(i64, String, String)> = changes::table
        .filter(changes::seq.gt(seq).and(IsNumbered))
        .select((changes::seq, changes::kind, changes::subject))
        .order(changes::seq.asc())
        .limit(limit)
        .load(db)?;
    let mut last = seq;
    let mut following = Vec::with_capacity(rows.len());
    for (number, kind, subject) in rows {
        last += 1;
        // The numbers are dense: a gap means that rows were removed before they were read.
        if number != last {
            return Ok(Following::Gone);
        }
        let change = parsed(&kind).and_then(|kind| Ok(Change::read(kind, &subject)?));
        following.push(change.map_err(|error| StoreError::Corrupt(format!("changes {last}: {error}")))?);
    }
    Ok(Following::Changes { changes: following, seq: last })
}

/// A change that has a number. In words: a plan that PostgreSQL makes once for all values uses the index of these rows only where
/// the statement says so. (A literal of diesel would not be prepared once.)
#[derive(Debug, Clone, Copy, QueryId, ValidGrouping)]
struct IsNumbered;

impl Expression for IsNumbered {
    type SqlType = Bool;
}

impl SelectableExpression<changes::table> for IsNumbered {}
impl AppearsOnTable<changes::table> for IsNumbered {}

impl<DB: Backend> QueryFragment<DB> for IsNumbered {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("changes.seq > 0");
        Ok(())
    }
}

/// Removes at most `limit` changes made before `before` that every node has applied; returns how many.
pub fn prune(db: &mut Db, before: DateTime<Utc>, limit: i64) -> Result<usize, StoreError> {
    let applied: Option<i64> = nodes::table.select(diesel::dsl::min(nodes::applied_seq)).first(db)?;
    let old = changes::at.lt(At(before)).and(IsNumbered);
    let known = changes::seq.le(applied.unwrap_or(i64::MAX));
    let ids: Vec<i64> =
        changes::table.filter(old.and(known)).order(changes::seq.asc()).select(changes::id).limit(limit).load(db)?;
    Ok(diesel::delete(changes::table.filter(changes::id.eq_any(ids))).execute(db)?)
}
