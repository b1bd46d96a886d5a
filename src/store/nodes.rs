//! Queries on `nodes`: one row a running node, by which others know what it has applied.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::backend::{Db, on_backend};
use super::columns::{At, Id, Identifier};
use super::error::StoreError;
use super::rows::Listing;
use super::schema::{change_head, nodes};
use crate::model::id::NodeId;

/// What a node says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// The id that the process gave itself at its start.
    pub id: NodeId,
    /// Counts its leases. While it does not move, the node holds none but the last.
    pub lease_no: i64,
    /// The number of the last change it has applied.
    pub applied_seq: i64,
    /// How long its leases are.
    pub lease: Duration,
}

/// Adds a node's row.
pub fn join(db: &mut Db, id: NodeId, address: &str, lease: Duration, now: DateTime<Utc>) -> Result<(), StoreError> {
    let row = (
        nodes::id.eq(Id(id.0)),
        nodes::lease_no.eq(1_i64),
        nodes::applied_seq.eq(0_i64),
        nodes::address.eq(address),
        nodes::started_at.eq(At(now)),
        nodes::lease_ms.eq(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)),
        nodes::version.eq(env!("CARGO_PKG_VERSION")),
    );
    diesel::insert_into(nodes::table).values(row).execute(db)?;
    Ok(())
}

/// The numbers of a node's leases. The node gives them, so that none is used twice, whatever its database forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseNumbers {
    /// The last that the database kept, as far as the node was told.
    pub acknowledged: i64,
    /// That of the lease to begin: above every number tried before.
    pub next: i64,
}

/// Begins the node's next lease, in one statement that is its own transaction ([`Store::write_autocommit`](super::Store)), as
/// durable as an end: others time a lease by its number, so no crash may take it back.
///
/// `false` where its row is gone: it has been evicted; and where the database is an older copy: the feed has not come as
/// far as what the node has applied, or the number of its lease is below what it was told.
pub fn renew(db: &mut Db, id: NodeId, numbers: LeaseNumbers, applied_seq: i64) -> Result<bool, StoreError> {
    let LeaseNumbers { acknowledged, next } = numbers;
    let renewed = match db {
        // In words, so that it is prepared once: it is what nodes do again and again.
        Db::Postgres(connection) => Listing::new(
            "WITH given (id, acknowledged, next, applied_seq) AS (SELECT ",
            ")
             UPDATE nodes SET lease_no = given.next, applied_seq = given.applied_seq
             FROM given
             WHERE nodes.id = given.id AND nodes.lease_no >= given.acknowledged AND nodes.lease_no < given.next
               AND nodes.applied_seq <= given.applied_seq AND given.applied_seq <= (SELECT seq FROM change_head)",
        )
        .value::<Identifier, _>(Id(id.0))
        .value::<BigInt, _>(acknowledged)
        .value::<BigInt, _>(next)
        .value::<BigInt, _>(applied_seq)
        .execute(connection)?,
        Db::Sqlite(connection) => {
            let leases = nodes::lease_no.ge(acknowledged).and(nodes::lease_no.lt(next));
            let own = nodes::table.find(Id(id.0)).filter(leases).filter(nodes::applied_seq.le(applied_seq));
            let has_come_so_far = exists(change_head::table.filter(change_head::seq.ge(applied_seq)));
            let begun = (nodes::lease_no.eq(next), nodes::applied_seq.eq(applied_seq));
            diesel::update(own.filter(has_come_so_far)).set(begun).execute(connection)?
        }
    };
    Ok(renewed == 1)
}

/// Says what the node has applied, and extends nothing ([`Store::write_non_durable`](super::Store)). `false` as above.
///
/// Need not be on the disk: a database that forgets it has an older row, which others wait for all the longer.
pub fn note_applied(db: &mut Db, id: NodeId, applied_seq: i64) -> Result<bool, StoreError> {
    let noted = match db {
        Db::Postgres(connection) => Listing::new(
            "WITH given (id, applied_seq) AS (SELECT ",
            ")
             UPDATE nodes SET applied_seq = given.applied_seq
             FROM given
             WHERE nodes.id = given.id AND nodes.applied_seq <= given.applied_seq
               AND given.applied_seq <= (SELECT seq FROM change_head)
               AND set_config('synchronous_commit', 'off', true) = 'off'",
        )
        .value::<Identifier, _>(Id(id.0))
        .value::<BigInt, _>(applied_seq)
        .execute(connection)?,
        Db::Sqlite(connection) => {
            let own = nodes::table.find(Id(id.0)).filter(nodes::applied_seq.le(applied_seq));
            let has_come_so_far = exists(change_head::table.filter(change_head::seq.ge(applied_seq)));
            diesel::update(own.filter(has_come_so_far)).set(nodes::applied_seq.eq(applied_seq)).execute(connection)?
        }
    };
    Ok(noted == 1)
}

/// The number of the node's lease, as the database has it.
pub fn lease_no(db: &mut Db, id: NodeId) -> Result<Option<i64>, StoreError> {
    Ok(nodes::table.find(Id(id.0)).select(nodes::lease_no).first(db).optional()?)
}

/// Takes room in the database, and gives it back in the same transaction: shows whether there is some.
pub fn probe_free_space(db: &mut Db, id: NodeId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let filling = match db {
        Db::Postgres(_) => "SELECT string_agg(md5(random()::text), '') AS text FROM generate_series(1, 8192)",
        Db::Sqlite(_) => "SELECT hex(randomblob(131072)) AS text",
    };
    let Filling { text } = on_backend!(db, |connection| diesel::sql_query(filling).get_result(connection))?;
    join(db, id, &text, Duration::ZERO, now)?;
    leave(db, id)
}

#[derive(QueryableByName)]
struct Filling {
    #[diesel(sql_type = Text)]
    text: String,
}

/// Every node but `own`.
pub fn others(db: &mut Db, own: Option<NodeId>) -> Result<Vec<Node>, StoreError> {
    let columns = (nodes::id, nodes::lease_no, nodes::applied_seq, nodes::lease_ms);
    let rows: Vec<(Id, i64, i64, i64)> = nodes::table.select(columns).load(db)?;
    let node = |(id, lease_no, applied_seq, lease_ms): (Id, i64, i64, i64)| Node {
        id: NodeId(id.0),
        lease_no,
        applied_seq,
        lease: Duration::from_millis(lease_ms.unsigned_abs()),
    };
    Ok(rows.into_iter().map(node).filter(|node| Some(node.id) != own).collect())
}

/// Removes a node that has not moved since it was at `lease_no`. `false` where it has, or is gone.
pub fn evict(db: &mut Db, id: NodeId, lease_no: i64) -> Result<bool, StoreError> {
    let unmoved = nodes::table.find(Id(id.0)).filter(nodes::lease_no.eq(lease_no));
    Ok(diesel::delete(unmoved).execute(db)? == 1)
}

/// Removes a node's own row.
pub fn leave(db: &mut Db, id: NodeId) -> Result<(), StoreError> {
    diesel::delete(nodes::table.find(Id(id.0))).execute(db)?;
    Ok(())
}
