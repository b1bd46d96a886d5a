//! Queries on `pending_erasures`: who is still to be taken out of the history, and by which names. The names are encrypted; this
//! folder never sees them decrypted.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::backend::{Db, Portable};
use super::columns::{At, Id};
use super::error::StoreError;
use super::schema::pending_erasures;
use crate::model::id::UserId;

/// Notes that a user is to be taken out of the history. What was noted before stays: it may have names that nobody else has
/// any more.
pub fn insert(
    db: &mut Db,
    user_id: UserId,
    encrypted_names: Option<Vec<u8>>,
    asked_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = (
        pending_erasures::user_id.eq(Id(user_id.0)),
        pending_erasures::names.eq(encrypted_names),
        pending_erasures::asked_at.eq(At(asked_at)),
    );
    let added =
        diesel::insert_into(pending_erasures::table).values(row).on_conflict(pending_erasures::user_id).do_nothing();
    Portable(added).execute(db)?;
    Ok(())
}

/// Everybody who is to be taken out, who was asked for first before the others.
pub fn list(db: &mut Db) -> Result<Vec<UserId>, StoreError> {
    let order = (pending_erasures::asked_at.asc(), pending_erasures::user_id.asc());
    let ids: Vec<Id> = pending_erasures::table.order(order).select(pending_erasures::user_id).load(db)?;
    Ok(ids.into_iter().map(|id| UserId(id.0)).collect())
}

/// The names that were noted of a user, encrypted; `None` where there are none, or not any more.
pub fn encrypted_names(db: &mut Db, user_id: UserId) -> Result<Option<Vec<u8>>, StoreError> {
    let names: Option<Option<Vec<u8>>> =
        pending_erasures::table.find(Id(user_id.0)).select(pending_erasures::names).first(db).optional()?;
    Ok(names.flatten())
}

/// The context in which the names of a user are encrypted.
#[must_use]
pub fn context(user_id: UserId) -> String {
    format!("erasure {user_id}")
}

/// Everybody whose names are kept, with those, encrypted.
pub fn all_encrypted(db: &mut Db) -> Result<Vec<(UserId, Vec<u8>)>, StoreError> {
    let kept = pending_erasures::table.filter(pending_erasures::names.is_not_null());
    let rows: Vec<(Id, Option<Vec<u8>>)> =
        kept.select((pending_erasures::user_id, pending_erasures::names)).load(db)?;
    Ok(rows.into_iter().filter_map(|(id, names)| Some((UserId(id.0), names?))).collect())
}

/// Keeps the same names, encrypted again.
pub fn replace_encrypted(db: &mut Db, user_id: UserId, names: Vec<u8>) -> Result<(), StoreError> {
    let pending = pending_erasures::table.find(Id(user_id.0));
    diesel::update(pending).set(pending_erasures::names.eq(Some(names))).execute(db)?;
    Ok(())
}

/// Forgets the names: they are out of the history.
pub fn remove_names(db: &mut Db, user_id: UserId) -> Result<(), StoreError> {
    let pending = pending_erasures::table.find(Id(user_id.0));
    diesel::update(pending).set(pending_erasures::names.eq(None::<Vec<u8>>)).execute(db)?;
    Ok(())
}

/// Nothing is left to do.
pub fn remove(db: &mut Db, user_id: UserId) -> Result<(), StoreError> {
    diesel::delete(pending_erasures::table.find(Id(user_id.0))).execute(db)?;
    Ok(())
}
