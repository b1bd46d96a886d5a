//! Ends a session by one of its tokens, for a client (RFC 7009). A token that is not known, or good no more, is as revoked as can be;
//! one that does not concern the client is left alone.

use super::Sessions;
use super::check::CheckError;
use super::end::end_by;
use super::end_queue::{Authority, EndRequest};
use crate::model::audit::AuditContext;
use crate::model::client::Client;
use crate::model::id::SessionId;
use crate::model::session::{EndReason, Session};
use crate::store::{StoreError, sessions};
use crate::token::refresh::RefreshToken;

/// Why a token was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// Its session is another client's, or it is meant for others.
    #[error("the token is another client's")]
    NotOwn,
    /// Nothing could be decided.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sessions {
    /// Ends the session of an access token, also of one past its time, or of a refresh token, live or spent. Succeeds also where
    /// there is nothing to end.
    pub async fn revoke(&self, token: &str, client: &Client, context: &AuditContext) -> Result<(), RevokeError> {
        match RefreshToken::parse(token) {
            Ok(token) => self.revoke_refresh_token(token, client, context).await,
            Err(_) => self.revoke_access_token(token, client, context).await,
        }
    }

    async fn revoke_access_token(
        &self,
        token: &str,
        client: &Client,
        context: &AuditContext,
    ) -> Result<(), RevokeError> {
        let now = self.now();
        let (claims, key_id) = match self.genuine(token, now).await {
            Ok(genuine) => genuine,
            Err(CheckError::Store(error)) => return Err(error.into()),
            Err(_) => return Ok(()),
        };
        let Some(session) = self.session_to_revoke(claims.session_id).await? else { return Ok(()) };
        let by = Authority::Token { user_id: claims.subject, key_id, issued_at: claims.issued_at.min(now) };
        self.revoke_session(&session, by, client, context).await
    }

    async fn revoke_refresh_token(
        &self,
        token: RefreshToken,
        client: &Client,
        context: &AuditContext,
    ) -> Result<(), RevokeError> {
        let session = self.session_to_revoke(token.session_id).await?;
        let is_of = |session: &Session| token.is_genuine(&self.inner.dependencies.refresh_key, &session.refresh.seed);
        let Some(session) = session.filter(is_of) else { return Ok(()) };
        self.revoke_session(&session, Authority::Any, client, context).await
    }

    async fn session_to_revoke(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        // Who finds nothing to end writes nothing, so a server that was left behind would do it too.
        self.coherence().confirm_store().await?;
        self.store().read(move |db| sessions::find(db, id)).await
    }

    async fn revoke_session(
        &self,
        session: &Session,
        by: Authority,
        client: &Client,
        context: &AuditContext,
    ) -> Result<(), RevokeError> {
        let audience = &self.inner.tokens.audience;
        let is_anothers = session.client.authenticated().is_some_and(|owner| *owner != client.id);
        if is_anothers || !client.is_concerned(audience, audience) {
            return Err(RevokeError::NotOwn);
        }
        let end = end_by(context, EndReason::TokenRevoked, self.now(), None);
        // A token whose key was revoked was good for nothing before: whoever forged it ends no session.
        let _verdict = self.end_with_others(EndRequest { id: session.id, end, context: context.clone(), by }).await?;
        Ok(())
    }
}
