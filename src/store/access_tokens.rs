//! Queries on `access_tokens`: which session an access token belongs to.

use diesel::prelude::*;

use super::backend::Db;
use super::columns::{At, Id};
use super::error::StoreError;
use super::schema::access_tokens;
use crate::model::id::{SessionId, TokenId};
use crate::model::session::CurrentToken;

/// Notes that `token` was issued for the session.
pub fn insert(db: &mut Db, session_id: SessionId, token: &CurrentToken) -> Result<(), StoreError> {
    let row = (
        access_tokens::id.eq(Id(token.id.0)),
        access_tokens::session_id.eq(Id(session_id.0)),
        access_tokens::issued_at.eq(At(token.issued_at)),
        access_tokens::expires_at.eq(At(token.expires_at)),
    );
    diesel::insert_into(access_tokens::table).values(row).execute(db)?;
    Ok(())
}

/// The session for which the token was issued.
pub fn session_of(db: &mut Db, id: TokenId) -> Result<Option<SessionId>, StoreError> {
    let found: Option<Id> =
        access_tokens::table.find(Id(id.0)).select(access_tokens::session_id).first(db).optional()?;
    Ok(found.map(|id| SessionId(id.0)))
}
