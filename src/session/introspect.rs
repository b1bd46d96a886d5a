//! Tells an application whether a token is good (RFC 7662): an access token by the very check that every request passes, so that
//! the two never disagree (P9); a refresh token only the client whose session it continues.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::Sessions;
use super::check::{CheckError, CheckedFor};
use crate::model::client::{Client, ClientId};
use crate::model::session::{RefreshTokenStatus, Session};
use crate::model::user::UserStatus;
use crate::signing_keys::SigningError;
use crate::store::{Db, StoreError, sessions};
use crate::token::claims::CheckedClaims;
use crate::token::issue::sign;
use crate::token::refresh::RefreshToken;
use crate::view::IntrospectionObject;

/// `typ` of a signed answer (RFC 9701 §5).
const SIGNED_TYPE: &str = "token-introspection+jwt";

/// A signed answer (RFC 9701 §5).
#[derive(Serialize)]
struct SignedAnswer<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    token_introspection: &'a IntrospectionObject,
}

impl Sessions {
    /// What this client is told of a token. Whatever is not good, and whatever does not concern the client, is inactive.
    pub async fn introspect(&self, token: &str, client: &Client) -> Result<IntrospectionObject, StoreError> {
        let audience = &self.inner.tokens.audience;
        // First, so that whoever a token does not concern does not use its session either.
        if !client.is_concerned(audience, audience) {
            return Ok(IntrospectionObject::INACTIVE);
        }
        let found = match RefreshToken::parse(token) {
            Ok(token) => self.introspect_refresh_token(token, client.id.clone()).await?,
            Err(_) => self.introspect_access_token(token).await?,
        };
        Ok(found.map_or(IntrospectionObject::INACTIVE, |found| self.cut(found)))
    }

    /// The answer as a token that only this client accepts (RFC 9701).
    pub async fn sign_introspection(
        &self,
        answer: &IntrospectionObject,
        client: &ClientId,
    ) -> Result<String, SigningError> {
        let (key, iat) = (self.signing_key().await?, self.now().timestamp());
        let (iss, aud) = (self.inner.tokens.issuer.as_str(), client.as_str());
        Ok(sign(SIGNED_TYPE, &SignedAnswer { iss, aud, iat, token_introspection: answer }, &key)?)
    }

    async fn introspect_access_token(&self, token: &str) -> Result<Option<IntrospectionObject>, StoreError> {
        let by =
            if self.inner.limits.introspection_is_use { CheckedFor::Application } else { CheckedFor::Introspection };
        let checked = match self.check_for(token, by).await {
            Ok(checked) => checked,
            Err(CheckError::Store(error)) => return Err(error),
            Err(_) => return Ok(None),
        };
        // As forward-auth refuses such a user.
        if checked.user.must_change_password {
            return Ok(None);
        }
        let rules = &self.inner.tokens;
        Ok(CheckedClaims::of(token)
            .map(|claims| IntrospectionObject::of_access_token(claims, &checked.user, &rules.issuer, &rules.audience)))
    }

    async fn introspect_refresh_token(
        &self,
        token: RefreshToken,
        client: ClientId,
    ) -> Result<Option<IntrospectionObject>, StoreError> {
        // Who calls a token inactive writes nothing, so a server that was left behind would do it too.
        self.coherence().confirm_store().await?;
        let (sessions, now) = (self.clone(), self.now());
        let found = self.store().read(move |db| sessions.refreshable_in(db, &token, &client, now)).await?;
        let rules = &self.inner.tokens;
        Ok(found.map(|(session, user)| {
            IntrospectionObject::of_refresh_token(&session, &user, &rules.issuer, &rules.audience)
        }))
    }

    /// The session that a refresh of this token by this client would continue.
    fn refreshable_in(
        &self,
        db: &mut Db,
        token: &RefreshToken,
        client: &ClientId,
        now: DateTime<Utc>,
    ) -> Result<Option<(Session, Arc<UserStatus>)>, StoreError> {
        let is_own = |session: &Session| {
            session.client.authenticated() == Some(client)
                && token.generation <= session.refresh.generation
                && token.is_genuine(&self.inner.dependencies.refresh_key, &session.refresh.seed)
        };
        let Some(session) = sessions::find(db, token.session_id)?.filter(is_own) else { return Ok(None) };
        let presented = session.refresh.presented(token.generation, self.inner.limits.refresh_grace, now);
        if !matches!(presented, RefreshTokenStatus::Live | RefreshTokenStatus::Again) {
            return Ok(None);
        }
        let user = self.judge_in(db, &session, now)?.ok();
        Ok(user.filter(|user| !user.must_change_password).map(|user| (session, user)))
    }

    /// Not good for longer than receivers may keep it.
    fn cut(&self, found: IntrospectionObject) -> IntrospectionObject {
        let longest = self.inner.tokens.introspection_max_cache;
        if longest == Duration::ZERO { found } else { found.until(self.now() + longest) }
    }
}
