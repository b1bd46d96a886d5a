//! Queries on `one_time_tokens`: what sets up the first administrator, or a new password.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::backend::Db;
use super::columns::{At, Id};
use super::error::StoreError;
use super::schema::one_time_tokens;
use crate::model::id::UserId;
use crate::model::secret::SecretDigest;

/// What a one-time token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Creating the first administrator.
    Setup,
    /// Setting a new password of this user.
    Reset(UserId),
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Reset(_) => "reset",
        }
    }
}

/// A token that was just used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// What it was good for.
    pub purpose: Purpose,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// Keeps a token's digest, in place of every earlier token of the same purpose.
pub fn replace(
    db: &mut Db,
    digest: SecretDigest,
    purpose: Purpose,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    remove(db, purpose)?;
    let user_id = match purpose {
        Purpose::Setup => None,
        Purpose::Reset(user_id) => Some(Id(user_id.0)),
    };
    let row = (
        one_time_tokens::digest.eq(digest.0.to_vec()),
        one_time_tokens::purpose.eq(purpose.word()),
        one_time_tokens::user_id.eq(user_id),
        one_time_tokens::created_at.eq(At(now)),
        one_time_tokens::expires_at.eq(At(expires_at)),
    );
    diesel::insert_into(one_time_tokens::table).values(row).execute(db)?;
    Ok(())
}

/// Uses a token up: of two that try at once, one gets it.
pub fn take(db: &mut Db, digest: SecretDigest) -> Result<Option<Taken>, StoreError> {
    let taken: Option<(Option<Id>, At)> = diesel::delete(one_time_tokens::table.find(digest.0.to_vec()))
        .returning((one_time_tokens::user_id, one_time_tokens::expires_at))
        .get_result(db)
        .optional()?;
    Ok(taken.map(|(user_id, expires_at)| Taken {
        purpose: user_id.map_or(Purpose::Setup, |id| Purpose::Reset(UserId(id.0))),
        expires_at: expires_at.0,
    }))
}

/// What a token is good for, without using it up.
pub fn find(db: &mut Db, digest: SecretDigest) -> Result<Option<Taken>, StoreError> {
    let found: Option<(Option<Id>, At)> = one_time_tokens::table
        .find(digest.0.to_vec())
        .select((one_time_tokens::user_id, one_time_tokens::expires_at))
        .first(db)
        .optional()?;
    Ok(found.map(|(user_id, expires_at)| Taken {
        purpose: user_id.map_or(Purpose::Setup, |id| Purpose::Reset(UserId(id.0))),
        expires_at: expires_at.0,
    }))
}

/// Forgets every token of this purpose.
pub fn remove(db: &mut Db, purpose: Purpose) -> Result<(), StoreError> {
    match purpose {
        Purpose::Setup => {
            diesel::delete(one_time_tokens::table.filter(one_time_tokens::purpose.eq("setup"))).execute(db)?
        }
        Purpose::Reset(user) => {
            diesel::delete(one_time_tokens::table.filter(one_time_tokens::user_id.eq(Some(Id(user.0))))).execute(db)?
        }
    };
    Ok(())
}
