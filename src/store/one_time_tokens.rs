//! Queries on `one_time_tokens`: what sets up the first administrator, or a new password.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::backend::Db;
use super::columns::{At, Id};
use super::error::StoreError;
use super::schema::one_time_tokens;
use crate::model::id::{SessionId, UserId};
use crate::model::secret::SecretDigest;

/// What a one-time token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPurpose {
    /// Creating the first administrator.
    Setup,
    /// Setting a new password of this user.
    Reset(UserId),
    /// Saying that a login was not one's own.
    ReportLink {
        /// The user who logged in.
        user_id: UserId,
        /// The session that began with the login.
        session_id: SessionId,
    },
}

impl TokenPurpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Reset(_) => "reset",
            Self::ReportLink { .. } => NOT_ME,
        }
    }

    const fn user_id(self) -> Option<UserId> {
        match self {
            Self::Setup => None,
            Self::Reset(user_id) | Self::ReportLink { user_id, .. } => Some(user_id),
        }
    }

    const fn session_id(self) -> Option<SessionId> {
        match self {
            Self::Setup | Self::Reset(_) => None,
            Self::ReportLink { session_id, .. } => Some(session_id),
        }
    }

    const fn read(user_id: Option<Id>, session_id: Option<Id>) -> Self {
        match (user_id, session_id) {
            (None, _) => Self::Setup,
            (Some(user_id), None) => Self::Reset(UserId(user_id.0)),
            (Some(user_id), Some(session_id)) => {
                Self::ReportLink { user_id: UserId(user_id.0), session_id: SessionId(session_id.0) }
            }
        }
    }
}

const NOT_ME: &str = "not_me";

/// A one-time token that was just used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpentToken {
    /// What it might be used for.
    pub purpose: TokenPurpose,
    /// When it stops being valid.
    pub expires_at: DateTime<Utc>,
}

type Columns = (Option<Id>, Option<Id>, At);

const fn taken((user_id, session_id, expires_at): Columns) -> SpentToken {
    SpentToken { purpose: TokenPurpose::read(user_id, session_id), expires_at: expires_at.0 }
}

/// Keeps a token's digest, in place of every earlier token of the same purpose.
pub fn replace(
    db: &mut Db,
    digest: SecretDigest,
    purpose: TokenPurpose,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    remove(db, purpose)?;
    insert(db, digest, purpose, now, expires_at)
}

/// Keeps a token's digest.
pub fn insert(
    db: &mut Db,
    digest: SecretDigest,
    purpose: TokenPurpose,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let row = (
        one_time_tokens::digest.eq(digest.0.to_vec()),
        one_time_tokens::purpose.eq(purpose.word()),
        one_time_tokens::user_id.eq(purpose.user_id().map(|id| Id(id.0))),
        one_time_tokens::session_id.eq(purpose.session_id().map(|id| Id(id.0))),
        one_time_tokens::created_at.eq(At(now)),
        one_time_tokens::expires_at.eq(At(expires_at)),
    );
    diesel::insert_into(one_time_tokens::table).values(row).execute(db)?;
    Ok(())
}

/// Uses a token up: of two that try at once, one gets it.
pub fn take(db: &mut Db, digest: SecretDigest) -> Result<Option<SpentToken>, StoreError> {
    let row: Option<Columns> = diesel::delete(one_time_tokens::table.find(digest.0.to_vec()))
        .returning((one_time_tokens::user_id, one_time_tokens::session_id, one_time_tokens::expires_at))
        .get_result(db)
        .optional()?;
    Ok(row.map(taken))
}

/// What a token is good for, without using it up.
pub fn find(db: &mut Db, digest: SecretDigest) -> Result<Option<SpentToken>, StoreError> {
    let row: Option<Columns> = one_time_tokens::table
        .find(digest.0.to_vec())
        .select((one_time_tokens::user_id, one_time_tokens::session_id, one_time_tokens::expires_at))
        .first(db)
        .optional()?;
    Ok(row.map(taken))
}

/// Forgets every token of this user, whatever for.
pub fn remove_all(db: &mut Db, user_id: UserId) -> Result<(), StoreError> {
    let of_user = one_time_tokens::table.filter(one_time_tokens::user_id.eq(Some(Id(user_id.0))));
    diesel::delete(of_user).execute(db)?;
    Ok(())
}

/// Forgets every token of this purpose; those about sessions, of all sessions of the user.
pub fn remove(db: &mut Db, purpose: TokenPurpose) -> Result<(), StoreError> {
    let of_purpose = one_time_tokens::table.filter(one_time_tokens::purpose.eq(purpose.word()));
    match purpose.user_id() {
        None => diesel::delete(of_purpose).execute(db)?,
        Some(user_id) => {
            diesel::delete(of_purpose.filter(one_time_tokens::user_id.eq(Some(Id(user_id.0))))).execute(db)?
        }
    };
    Ok(())
}

/// How many sessions of the user can be reported by tokens made since `since`.
pub fn report_links_since(db: &mut Db, user_id: UserId, since: DateTime<Utc>) -> Result<i64, StoreError> {
    let of_user = one_time_tokens::table
        .filter(one_time_tokens::user_id.eq(Some(Id(user_id.0))))
        .filter(one_time_tokens::purpose.eq(NOT_ME))
        .filter(one_time_tokens::created_at.gt(At(since)));
    Ok(of_user.count().get_result(db)?)
}

/// Forgets every token about a session.
pub fn remove_report_links(db: &mut Db) -> Result<(), StoreError> {
    diesel::delete(one_time_tokens::table.filter(one_time_tokens::purpose.eq(NOT_ME))).execute(db)?;
    Ok(())
}

/// Forgets tokens of every purpose whose time was over at `before`.
pub fn remove_expired(db: &mut Db, before: DateTime<Utc>) -> Result<usize, StoreError> {
    Ok(diesel::delete(one_time_tokens::table.filter(one_time_tokens::expires_at.lt(At(before)))).execute(db)?)
}

/// Forgets tokens about sessions whose time is over at `before`.
pub fn prune_before(db: &mut Db, before: DateTime<Utc>) -> Result<usize, StoreError> {
    let over = one_time_tokens::table
        .filter(one_time_tokens::purpose.eq(NOT_ME))
        .filter(one_time_tokens::expires_at.le(At(before)));
    Ok(diesel::delete(over).execute(db)?)
}
