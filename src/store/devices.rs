//! Queries on `devices`: what makes a device known.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::backend::{Db, on_backend};
use super::columns::{At, Id};
use super::error::StoreError;
use super::schema::devices;
use crate::model::id::UserId;
use crate::model::secret::SecretDigest;

/// Whose device this is, if it was used since `since`.
pub fn owner(db: &mut Db, token: SecretDigest, since: DateTime<Utc>) -> Result<Option<UserId>, StoreError> {
    let known = devices::table.find(token.0.to_vec()).filter(devices::last_used_at.ge(At(since)));
    let owner: Option<Id> = known.select(devices::user_id).first(db).optional()?;
    Ok(owner.map(|id| UserId(id.0)))
}

/// Adds a device of the user; of more than `most` those that were used longest ago go.
pub fn insert(
    db: &mut Db,
    token: SecretDigest,
    user_id: UserId,
    now: DateTime<Utc>,
    most: i64,
) -> Result<(), StoreError> {
    let kept = devices::table
        .filter(devices::user_id.eq(Id(user_id.0)))
        .order((devices::last_used_at.desc(), devices::token_digest.asc()))
        .select(devices::token_digest)
        .limit(most - 1);
    let kept: Vec<Vec<u8>> = kept.load(db)?;
    let others = devices::table.filter(devices::user_id.eq(Id(user_id.0))).filter(devices::token_digest.ne_all(kept));
    on_backend!(db, |connection| diesel::delete(others).execute(connection))?;
    let row = (
        devices::token_digest.eq(token.0.to_vec()),
        devices::user_id.eq(Id(user_id.0)),
        devices::created_at.eq(At(now)),
        devices::last_used_at.eq(At(now)),
    );
    diesel::insert_into(devices::table).values(row).execute(db)?;
    Ok(())
}

/// Notes that it was used.
pub fn touch(db: &mut Db, token: SecretDigest, now: DateTime<Utc>) -> Result<(), StoreError> {
    let set = devices::last_used_at.eq(At(now));
    diesel::update(devices::table.find(token.0.to_vec())).set(set).execute(db)?;
    Ok(())
}

/// Forgets every device of the user.
pub fn remove_of_user(db: &mut Db, user_id: UserId) -> Result<usize, StoreError> {
    Ok(diesel::delete(devices::table.filter(devices::user_id.eq(Id(user_id.0)))).execute(db)?)
}

/// Forgets what was last used before `before`.
pub fn prune_before(db: &mut Db, before: DateTime<Utc>) -> Result<usize, StoreError> {
    Ok(diesel::delete(devices::table.filter(devices::last_used_at.lt(At(before)))).execute(db)?)
}
