//! Changes of a session. Each is one conditional statement: of two that try at once, one succeeds.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{self, Array, Text, Timestamptz};

use super::super::backend::Db;
use super::super::chain;
use super::super::columns::{At, Id};
use super::super::error::StoreError;
use super::super::schema::sessions;
use super::Row;
use crate::model::id::SessionId;
use crate::model::record::Record;
use crate::model::session::{CurrentToken, End, RefreshTokens};

/// When and from where a session was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: DateTime<Utc>,
    /// From where.
    pub ip: IpAddr,
    /// When it ends unless it is used again before.
    pub idle_expires_at: DateTime<Utc>,
}

/// Ends the session. `false` where it has ended before: the first end wins.
pub fn end(db: &mut Db, id: SessionId, end: &End) -> Result<bool, StoreError> {
    let open = sessions::table.find(Id(id.0)).filter(sessions::ended_at.is_null());
    let set = (
        sessions::ended_at.eq(Some(At(end.at))),
        sessions::end_reason.eq(Some(end.reason.as_str())),
        sessions::ended_by_kind.eq(Some(end.by.kind.as_str())),
        sessions::ended_by_id.eq(Some(end.by.id.clone())),
        sessions::end_note.eq(end.note.clone()),
    );
    let ended: Option<Row> =
        diesel::update(open).set(set).returning(sessions::all_columns).get_result(db).optional()?;
    let Some(ended) = ended else { return Ok(false) };
    if let Some(record) = Record::of_end(&ended.into_session()?) {
        chain::enqueue(db, &record)?;
    }
    Ok(true)
}

/// Puts the next generation of tokens in place of `generation`. `false` where the session has ended, or another refresh
/// came first.
pub fn spend(
    db: &mut Db,
    id: SessionId,
    generation: u32,
    next: &RefreshTokens,
    token: &CurrentToken,
    seen: Seen,
) -> Result<bool, StoreError> {
    let unspent = sessions::table
        .find(Id(id.0))
        .filter(sessions::ended_at.is_null())
        .filter(sessions::refresh_generation.eq(i32::try_from(generation).unwrap_or(i32::MAX)));
    let set = (
        sessions::refresh_generation.eq(i32::try_from(next.generation).unwrap_or(i32::MAX)),
        sessions::refresh_spent_at.eq(next.spent_at.map(At)),
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

/// Notes that sessions were used, given by id in their order. An older note than what is there changes nothing.
pub fn touch_all(db: &mut Db, seen: &[(SessionId, Seen)]) -> Result<(), StoreError> {
    match db {
        Db::Sqlite(_) => seen.iter().try_for_each(|(id, seen)| touch(db, *id, seen)),
        Db::Postgres(connection) => {
            // One statement, a tenth of the time. The rows are locked in the order of their ids: nodes that write the same
            // sessions wait for each other, never in a circle.
            let ids: Vec<uuid::Uuid> = seen.iter().map(|(id, _)| id.0).collect();
            let times: Vec<DateTime<Utc>> = seen.iter().map(|(_, seen)| seen.at).collect();
            let addresses: Vec<String> = seen.iter().map(|(_, seen)| seen.ip.to_string()).collect();
            let idle_ends: Vec<DateTime<Utc>> = seen.iter().map(|(_, seen)| seen.idle_expires_at).collect();
            diesel::sql_query(
                "WITH locked AS (
                   SELECT id FROM sessions WHERE id = ANY($1) AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE
                 )
                 UPDATE sessions SET last_seen_at = seen.at, last_ip = seen.ip, idle_expires_at = seen.idle_end
                 FROM locked, unnest($1, $2, $3, $4) AS seen (id, at, ip, idle_end)
                 WHERE sessions.id = locked.id AND seen.id = locked.id AND sessions.last_seen_at < seen.at",
            )
            .bind::<Array<sql_types::Uuid>, _>(ids)
            .bind::<Array<Timestamptz>, _>(times)
            .bind::<Array<Text>, _>(addresses)
            .bind::<Array<Timestamptz>, _>(idle_ends)
            .execute(connection)?;
            Ok(())
        }
    }
}

fn touch(db: &mut Db, id: SessionId, seen: &Seen) -> Result<(), StoreError> {
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
