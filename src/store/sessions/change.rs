//! Changes of a session. Each is one conditional statement: of two that try at once, one succeeds.

use std::collections::HashSet;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

use super::super::backend::Db;
use super::super::chain;
use super::super::columns::{At, Id, Identifier, Moment};
use super::super::error::StoreError;
use super::super::rows::Listing;
use super::super::schema::sessions;
use super::Row;
use crate::model::id::SessionId;
use crate::model::record::Record;
use crate::model::redaction::WithProofs;
use crate::model::session::{CurrentToken, End, RefreshTokens, Session};

/// When and from where a session was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionUse {
    /// When it was used.
    pub at: DateTime<Utc>,
    /// The address from which it was used.
    pub ip: IpAddr,
    /// When it ends unless it is used again before.
    pub idle_expires_at: DateTime<Utc>,
}

/// The end of a session, with its last use where that is not written yet: what is recorded of a session covers both.
#[derive(Debug, Clone, Copy)]
pub struct Closing<'a> {
    /// The session that ends.
    pub id: SessionId,
    /// When, by whom and for which reason it ends.
    pub end: &'a End,
    /// The last use, where it is not written yet; one that is older than what is there changes nothing.
    pub last_use: Option<SessionUse>,
}

/// Ends the sessions that have not ended before, the first end of each; returns which.
pub fn end_all(db: &mut Db, closings: &[Closing<'_>]) -> Result<HashSet<SessionId>, StoreError> {
    let mut first = HashSet::with_capacity(closings.len());
    let closings: Vec<_> = closings.iter().copied().filter(|closing| first.insert(closing.id)).collect();
    let rows = match db {
        Db::Sqlite(_) => end_in_place(db, &closings)?,
        Db::Postgres(connection) => end_together(connection, &closings)?,
    };
    let ended: Vec<WithProofs<Session>> = rows.into_iter().map(Row::into_kept).collect::<Result<_, _>>()?;
    let records: Vec<Record> = ended.iter().filter_map(WithProofs::<Session>::end).collect();
    chain::enqueue_all(db, &records)?;
    Ok(ended.into_iter().map(|session| session.row.id).collect())
}

fn end_in_place(db: &mut Db, closings: &[Closing<'_>]) -> Result<Vec<Row>, StoreError> {
    let mut ended = Vec::with_capacity(closings.len());
    for Closing { id, end, last_use } in closings {
        if let Some(seen) = last_use {
            touch(db, *id, seen)?;
        }
        let open = sessions::table.find(Id(id.0)).filter(sessions::ended_at.is_null());
        let set = (
            sessions::ended_at.eq(Some(At(end.at))),
            sessions::end_reason.eq(Some(end.reason.as_str())),
            sessions::ended_by_kind.eq(Some(end.by.kind.as_str())),
            sessions::ended_by_id.eq(Some(&end.by.id)),
            sessions::end_note.eq(&end.note),
        );
        ended.extend(diesel::update(open).set(set).returning(sessions::all_columns).get_result::<Row>(db).optional()?);
    }
    Ok(ended)
}

/// The rows are locked in the order of their ids: those who end the same sessions wait for each other, never in a circle.
fn end_together(connection: &mut PgConnection, closings: &[Closing<'_>]) -> Result<Vec<Row>, StoreError> {
    if closings.is_empty() {
        return Ok(Vec::new());
    }
    let ends = || closings.iter().map(|closing| closing.end);
    let uses = || closings.iter().map(|closing| closing.last_use);
    let ended = Listing::new(
        "WITH asked AS (
           SELECT * FROM unnest(",
        ") AS asked (id, at, reason, by_kind, by_id, note, seen_at, seen_ip, idle_end)
         ),
         locked AS (
           SELECT id FROM sessions WHERE id IN (SELECT id FROM asked) AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE
         )
         UPDATE sessions SET ended_at = asked.at, end_reason = asked.reason, ended_by_kind = asked.by_kind,
           ended_by_id = asked.by_id, end_note = asked.note,
           last_seen_at = CASE WHEN asked.seen_at > last_seen_at THEN asked.seen_at ELSE last_seen_at END,
           last_ip = CASE WHEN asked.seen_at > last_seen_at THEN asked.seen_ip ELSE last_ip END,
           idle_expires_at = CASE WHEN asked.seen_at > last_seen_at THEN asked.idle_end ELSE idle_expires_at END
         FROM locked, asked
         WHERE sessions.id = locked.id AND asked.id = locked.id
         RETURNING sessions.*",
    )
    .array::<Identifier, _>(closings.iter().map(|closing| Id(closing.id.0)).collect())
    .array::<Moment, _>(ends().map(|end| At(end.at)).collect())
    .array::<Text, _>(ends().map(|end| end.reason.as_str()).collect())
    .array::<Text, _>(ends().map(|end| end.by.kind.as_str()).collect())
    .array::<Text, _>(ends().map(|end| end.by.id.as_str()).collect())
    .array::<Nullable<Text>, _>(ends().map(|end| end.note.as_deref()).collect())
    .array::<Nullable<Moment>, _>(uses().map(|seen| Some(At(seen?.at))).collect())
    .array::<Nullable<Text>, _>(uses().map(|seen| Some(seen?.ip.to_string())).collect())
    .array::<Nullable<Moment>, _>(uses().map(|seen| Some(At(seen?.idle_expires_at))).collect());
    Ok(ended.load(connection)?)
}

/// Puts the next generation of tokens in place of `generation`. `false` where the session has ended, or another refresh
/// came first.
pub fn spend(
    db: &mut Db,
    id: SessionId,
    generation: u32,
    next: &RefreshTokens,
    token: &CurrentToken,
    seen: SessionUse,
) -> Result<bool, StoreError> {
    let unspent = sessions::table
        .find(Id(id.0))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::refresh_generation.eq(i32::try_from(generation).unwrap_or(i32::MAX)));
    let set = (
        sessions::refresh_generation.eq(i32::try_from(next.generation).unwrap_or(i32::MAX)),
        sessions::refresh_spent_at.eq(next.spent_at.map(At)),
        sessions::valid_from_generation.eq(i32::try_from(next.valid_from).unwrap_or(i32::MAX)),
        sessions::token_id.eq(Id(token.id.0)),
        sessions::token_issued_at.eq(At(token.issued_at)),
        sessions::token_expires_at.eq(At(token.expires_at)),
        sessions::last_seen_at.eq(At(seen.at)),
        sessions::last_ip.eq(seen.ip.to_string()),
        sessions::idle_expires_at.eq(At(seen.idle_expires_at)),
    );
    Ok(diesel::update(unspent).set(set).execute(db)? == 1)
}

/// Notes another access token of the same generation. `false` as in [`spend`].
pub fn reissue(db: &mut Db, id: SessionId, generation: u32, token: &CurrentToken) -> Result<bool, StoreError> {
    let unspent = sessions::table
        .find(Id(id.0))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::refresh_generation.eq(i32::try_from(generation).unwrap_or(i32::MAX)));
    let set = (
        sessions::token_id.eq(Id(token.id.0)),
        sessions::token_issued_at.eq(At(token.issued_at)),
        sessions::token_expires_at.eq(At(token.expires_at)),
    );
    Ok(diesel::update(unspent).set(set).execute(db)? == 1)
}

/// Gives a session another name. `false` where it has ended.
pub fn rename(db: &mut Db, id: SessionId, name: Option<&str>) -> Result<bool, StoreError> {
    let open = sessions::table.find(Id(id.0)).filter(sessions::ended_at.is_null());
    Ok(diesel::update(open).set(sessions::name.eq(name)).execute(db)? == 1)
}

/// Notes that sessions were used, given by id in their order. An older note than what is there changes nothing.
pub fn touch_all(db: &mut Db, seen: &[(SessionId, SessionUse)]) -> Result<(), StoreError> {
    match db {
        Db::Sqlite(_) => seen.iter().try_for_each(|(id, seen)| touch(db, *id, seen)),
        // One statement, a tenth of the time.
        Db::Postgres(connection) => touch_together(connection, seen),
    }
}

/// The rows are locked in the order of their ids, as in [`end_together`].
fn touch_together(connection: &mut PgConnection, seen: &[(SessionId, SessionUse)]) -> Result<(), StoreError> {
    Listing::new(
        "WITH seen AS (SELECT * FROM unnest(",
        ") AS seen (id, at, ip, idle_end)),
         locked AS (
           SELECT id FROM sessions WHERE id IN (SELECT id FROM seen) AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE
         )
         UPDATE sessions SET last_seen_at = seen.at, last_ip = seen.ip, idle_expires_at = seen.idle_end
         FROM locked, seen
         WHERE sessions.id = locked.id AND seen.id = locked.id AND sessions.last_seen_at < seen.at",
    )
    .array::<Identifier, _>(seen.iter().map(|(id, _)| Id(id.0)).collect())
    .array::<Moment, _>(seen.iter().map(|(_, seen)| At(seen.at)).collect())
    .array::<Text, _>(seen.iter().map(|(_, seen)| seen.ip.to_string()).collect())
    .array::<Moment, _>(seen.iter().map(|(_, seen)| At(seen.idle_expires_at)).collect())
    .execute(connection)?;
    Ok(())
}

fn touch(db: &mut Db, id: SessionId, seen: &SessionUse) -> Result<(), StoreError> {
    let earlier = sessions::table
        .find(Id(id.0))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::last_seen_at.lt(At(seen.at)));
    let set = (
        sessions::last_seen_at.eq(At(seen.at)),
        sessions::last_ip.eq(seen.ip.to_string()),
        sessions::idle_expires_at.eq(At(seen.idle_expires_at)),
    );
    diesel::update(earlier).set(set).execute(db)?;
    Ok(())
}
