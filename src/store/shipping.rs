//! Queries on `shipping_cursors`: how far each sink has come, and which node ships to it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::backend::{Db, Portable};
use super::columns::{At, Id};
use super::error::StoreError;
use super::schema::shipping_cursors;
use super::transaction::relax;
use crate::model::id::NodeId;

/// The checkpoint that a sink has before the first: none is as small.
const NO_CHECKPOINT: i64 = -1;

/// How far a sink has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The position of the next sealed record.
    pub position: i64,
    /// The size of the last checkpoint that it has.
    pub checkpoint_size: i64,
}

/// A node's right to ship to a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The node that ships.
    pub node: NodeId,
    /// When the claim runs out, by the clock of that node.
    pub until: DateTime<Utc>,
}

/// How a sink stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinkStatus {
    /// How far it has come.
    pub cursor: Cursor,
    /// Who ships to it.
    pub claim: Option<Claim>,
}

/// How a sink stands; one that nothing was ever shipped to begins with the first record.
pub fn status(db: &mut Db, sink: &str) -> Result<SinkStatus, StoreError> {
    type Columns = (i64, i64, Option<Id>, Option<At>);
    let columns = (
        shipping_cursors::position,
        shipping_cursors::checkpoint_size,
        shipping_cursors::claimed_by,
        shipping_cursors::claimed_until,
    );
    let row: Option<Columns> = shipping_cursors::table.find(sink.to_owned()).select(columns).first(db).optional()?;
    let (position, checkpoint_size, node, until) = row.unwrap_or((0, NO_CHECKPOINT, None, None));
    let claim = node.zip(until).map(|(node, until)| Claim { node: NodeId(node.0), until: until.0 });
    Ok(SinkStatus { cursor: Cursor { position, checkpoint_size }, claim })
}

/// Claims a sink. `None` while the claim of another node lasts.
pub fn claim(db: &mut Db, sink: &str, claim: Claim, now: DateTime<Utc>) -> Result<Option<Cursor>, StoreError> {
    let first = (
        shipping_cursors::sink.eq(sink.to_owned()),
        shipping_cursors::position.eq(0_i64),
        shipping_cursors::checkpoint_size.eq(NO_CHECKPOINT),
    );
    let first = diesel::insert_into(shipping_cursors::table).values(first).on_conflict_do_nothing();
    Portable(first).execute(db)?;
    let is_free = shipping_cursors::claimed_until
        .is_null()
        .or(shipping_cursors::claimed_until.le(Some(At(now))))
        .or(shipping_cursors::claimed_by.eq(Some(Id(claim.node.0))));
    let claimed = diesel::update(shipping_cursors::table.find(sink.to_owned()).filter(is_free.assume_not_null()))
        .set((
            shipping_cursors::claimed_by.eq(Some(Id(claim.node.0))),
            shipping_cursors::claimed_until.eq(Some(At(claim.until))),
        ))
        .execute(db)?;
    if claimed == 1 { Ok(Some(status(db, sink)?.cursor)) } else { Ok(None) }
}

/// Notes that a sink has come from one cursor to another. `false` where the node has lost its claim meanwhile.
///
/// Need not be on the disk: a database that forgets it sends the same again.
pub fn advance(db: &mut Db, sink: &str, claim: Claim, from: Cursor, to: Cursor) -> Result<bool, StoreError> {
    relax(db)?;
    let own = shipping_cursors::table
        .find(sink.to_owned())
        .filter(shipping_cursors::claimed_by.eq(Some(Id(claim.node.0))))
        .filter(shipping_cursors::position.eq(from.position))
        .filter(shipping_cursors::checkpoint_size.eq(from.checkpoint_size));
    let set = (
        shipping_cursors::position.eq(to.position),
        shipping_cursors::checkpoint_size.eq(to.checkpoint_size),
        shipping_cursors::claimed_until.eq(Some(At(claim.until))),
    );
    Ok(diesel::update(own).set(set).execute(db)? == 1)
}

/// Gives back what a node has claimed.
pub fn release(db: &mut Db, node: NodeId) -> Result<(), StoreError> {
    diesel::update(shipping_cursors::table.filter(shipping_cursors::claimed_by.eq(Some(Id(node.0)))))
        .set((shipping_cursors::claimed_by.eq(None::<Id>), shipping_cursors::claimed_until.eq(None::<At>)))
        .execute(db)?;
    Ok(())
}
