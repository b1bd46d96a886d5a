//! What becomes of sessions when they are old, or their user is erased.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::super::backend::{Db, MultiBackend};
use super::super::columns::{At, Id};
use super::super::error::StoreError;
use super::super::keyset::row_after;
use super::super::schema::sessions;
use super::{Position, Row};
use crate::model::folding::fold;
use crate::model::id::{SessionId, UserId};
use crate::model::redaction::{Group, WithProofs};
use crate::model::session::Session;

/// Sessions that ended before `before`.
pub fn count_ended_before(db: &mut Db, before: DateTime<Utc>) -> Result<i64, StoreError> {
    Ok(sessions::table.filter(sessions::ended_at.lt(Some(At(before)))).count().get_result(db)?)
}

/// Removes sessions that ended before `before`, with their access tokens, at most `limit`; returns how many.
pub fn remove_ended_before(db: &mut Db, before: DateTime<Utc>, limit: i64) -> Result<usize, StoreError> {
    let old = sessions::table.filter(sessions::ended_at.lt(Some(At(before))));
    let ids: Vec<Id> = old.limit(limit).select(sessions::id).load(db)?;
    Ok(diesel::delete(sessions::table.filter(sessions::id.eq_any(ids))).execute(db)?)
}

/// Sessions that ended before `before` and whose addresses are whole.
pub fn count_whole_addresses(db: &mut Db, before: DateTime<Utc>) -> Result<i64, StoreError> {
    let old = sessions::table.filter(sessions::ended_at.lt(Some(At(before))));
    Ok(old.filter(sessions::ended_at.is_not_null()).filter(is_whole()).count().get_result(db)?)
}

/// The same as they are kept, at most `limit`.
pub fn whole_addresses(db: &mut Db, before: DateTime<Utc>, limit: i64) -> Result<Vec<WithProofs<Session>>, StoreError> {
    let old = sessions::table.filter(sessions::ended_at.lt(Some(At(before))));
    let whole = old.filter(sessions::ended_at.is_not_null()).filter(is_whole());
    let rows: Vec<Row> = whole.limit(limit).load(db)?;
    rows.into_iter().map(Row::into_kept).collect()
}

/// Sessions of this user after `after`, oldest first, as they are kept.
pub fn kept_of_user(
    db: &mut Db,
    user_id: UserId,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<WithProofs<Session>>, StoreError> {
    let mut query = sessions::table.filter(sessions::user_id.eq(Id(user_id.0))).into_boxed::<MultiBackend>();
    if let Some(after) = after {
        query = query.filter(row_after((sessions::started_at, sessions::id), (At(after.at), Id(after.id.0))));
    }
    let rows: Vec<Row> = query.order((sessions::started_at.asc(), sessions::id.asc())).limit(limit).load(db)?;
    rows.into_iter().map(Row::into_kept).collect()
}

/// Writes what is left of an ended session.
pub fn redact(db: &mut Db, left: &WithProofs<Session>, group: Group) -> Result<(), StoreError> {
    let row = Row::new(left);
    let session = diesel::update(sessions::table.find(row.id).filter(sessions::ended_at.is_not_null()));
    match group {
        Group::Addresses => session
            .set((
                sessions::ip.eq(row.ip),
                sessions::ip_key.eq(row.ip_key),
                sessions::last_ip.eq(row.last_ip),
                sessions::address_proof.eq(row.address_proof),
            ))
            .execute(db)?,
        Group::Person => session
            .set((
                sessions::username.eq(row.username),
                sessions::username_folded.eq(row.username_folded),
                sessions::device_name.eq(row.device_name),
                sessions::user_agent.eq(row.user_agent),
                sessions::end_note.eq(row.end_note),
                sessions::person_proof.eq(row.person_proof),
                sessions::name.eq(row.name),
            ))
            .execute(db)?,
    };
    Ok(())
}

/// The names, folded, that the user had at a login, each with its session.
pub fn names_of_user(db: &mut Db, user_id: UserId) -> Result<Vec<(SessionId, String)>, StoreError> {
    let of_user = sessions::table.filter(sessions::user_id.eq(Id(user_id.0)));
    let rows: Vec<(Id, String)> = of_user.select((sessions::id, sessions::username_folded)).load(db)?;
    Ok(rows.into_iter().map(|(id, name)| (SessionId(id.0), fold(&name))).collect())
}

/// When the oldest session started.
pub fn oldest(db: &mut Db) -> Result<Option<DateTime<Utc>>, StoreError> {
    let oldest: Option<At> = sessions::table.select(diesel::dsl::min(sessions::started_at)).first(db)?;
    Ok(oldest.map(|at| at.0))
}

/// Sessions with whole addresses: the condition of an index.
fn is_whole() -> diesel::expression::SqlLiteral<diesel::sql_types::Bool> {
    diesel::dsl::sql("length(sessions.address_proof) = 16")
}
