//! Queries on `deliveries`: the outbox.

use chrono::{DateTime, Utc};
use diesel::deserialize;
use diesel::prelude::*;

use super::backend::{Db, MultiBackend};
use super::columns::{At, Id, parsed};
use super::error::StoreError;
use super::schema::deliveries;
use crate::model::delivery::{About, Delivery};
use crate::model::id::{AlertId, DeliveryId, SessionId, UserId};

/// The longest fault kept, in characters.
const LONGEST_FAULT: usize = 200;

#[derive(Queryable, Selectable)]
#[diesel(table_name = deliveries, check_for_backend(MultiBackend))]
struct Row {
    id: Id,
    alert_id: Option<Id>,
    user_id: Option<Id>,
    occasion: String,
    channel: String,
    recipient: Option<String>,
    session_id: Option<Id>,
    created_at: At,
    tries: i32,
}

impl Row {
    fn into_delivery(self) -> Result<Delivery, StoreError> {
        let read = || -> deserialize::Result<Delivery> {
            let about = match (self.alert_id, self.user_id) {
                (Some(alert_id), _) => About::Alert {
                    alert_id: AlertId(alert_id.0),
                    occasion: parsed(&self.occasion)?,
                    session_id: self.session_id.map(|id| SessionId(id.0)),
                },
                (None, Some(user_id)) => About::Account { user_id: UserId(user_id.0), change: parsed(&self.occasion)? },
                (None, None) => return Err("it is about nothing".into()),
            };
            Ok(Delivery {
                id: DeliveryId(self.id.0),
                about,
                channel: parsed(&self.channel)?,
                recipient: self.recipient,
                tries: self.tries,
                created_at: self.created_at.0,
            })
        };
        read().map_err(|error| StoreError::Corrupt(format!("deliveries: {error}")))
    }
}

/// Adds something to be told at once.
pub fn insert(db: &mut Db, delivery: &Delivery) -> Result<(), StoreError> {
    let (alert_id, user_id, occasion, session_id) = match delivery.about {
        About::Alert { alert_id, occasion, session_id } => (Some(Id(alert_id.0)), None, occasion.as_str(), session_id),
        About::Account { user_id, change } => (None, Some(Id(user_id.0)), change.as_str(), None),
    };
    let row = (
        deliveries::id.eq(Id(delivery.id.0)),
        deliveries::alert_id.eq(alert_id),
        deliveries::user_id.eq(user_id),
        deliveries::occasion.eq(occasion),
        deliveries::channel.eq(delivery.channel.as_str()),
        deliveries::recipient.eq(delivery.recipient.clone()),
        deliveries::session_id.eq(session_id.map(|id| Id(id.0))),
        deliveries::created_at.eq(At(delivery.created_at)),
        deliveries::tries.eq(delivery.tries),
        deliveries::next_at.eq(At(delivery.created_at)),
    );
    diesel::insert_into(deliveries::table).values(row).execute(db)?;
    Ok(())
}

/// What is due at `now`, the longest due first.
pub fn due(db: &mut Db, now: DateTime<Utc>, limit: i64) -> Result<Vec<Delivery>, StoreError> {
    let rows: Vec<Row> = deliveries::table
        .filter(deliveries::delivered_at.is_null())
        .filter(deliveries::given_up_at.is_null())
        .filter(deliveries::next_at.le(At(now)))
        .order((deliveries::next_at.asc(), deliveries::id.asc()))
        .limit(limit)
        .select(Row::as_select())
        .load(db)?;
    rows.into_iter().map(Row::into_delivery).collect()
}

/// Takes a delivery for a try: of nodes that try at once, one gets it. Nobody else tries before `next_at`, whatever becomes
/// of this node.
pub fn claim(db: &mut Db, delivery: &Delivery, next_at: DateTime<Utc>) -> Result<bool, StoreError> {
    let unclaimed = deliveries::table
        .find(Id(delivery.id.0))
        .filter(deliveries::tries.eq(delivery.tries))
        .filter(deliveries::delivered_at.is_null());
    let set = (deliveries::tries.eq(deliveries::tries + 1), deliveries::next_at.eq(At(next_at)));
    Ok(diesel::update(unclaimed).set(set).execute(db)? == 1)
}

/// Notes that it was told.
pub fn delivered(db: &mut Db, id: DeliveryId, at: DateTime<Utc>) -> Result<(), StoreError> {
    let set = (deliveries::delivered_at.eq(Some(At(at))), deliveries::last_fault.eq(None::<String>));
    diesel::update(deliveries::table.find(Id(id.0))).set(set).execute(db)?;
    clear_recipient(db, id)
}

/// The address of a user whose account was changed is not kept longer than it is needed.
fn clear_recipient(db: &mut Db, id: DeliveryId) -> Result<(), StoreError> {
    let of_user = deliveries::table.find(Id(id.0)).filter(deliveries::user_id.is_not_null());
    diesel::update(of_user).set(deliveries::recipient.eq(None::<String>)).execute(db)?;
    Ok(())
}

/// Notes why a try failed, and from when on nobody tries any more.
pub fn failed(db: &mut Db, id: DeliveryId, fault: &str, given_up_at: Option<DateTime<Utc>>) -> Result<(), StoreError> {
    let fault: String = fault.chars().filter(|c| !c.is_control()).take(LONGEST_FAULT).collect();
    let set = (deliveries::last_fault.eq(Some(fault)), deliveries::given_up_at.eq(given_up_at.map(At)));
    diesel::update(deliveries::table.find(Id(id.0))).set(set).execute(db)?;
    if given_up_at.is_some() { clear_recipient(db, id) } else { Ok(()) }
}

/// Forgets what was told, or given up, and is older than `before`.
pub fn prune_before(db: &mut Db, before: DateTime<Utc>) -> Result<usize, StoreError> {
    let over = deliveries::delivered_at.is_not_null().or(deliveries::given_up_at.is_not_null());
    let old = deliveries::table.filter(deliveries::created_at.lt(At(before))).filter(over);
    Ok(diesel::delete(old).execute(db)?)
}
