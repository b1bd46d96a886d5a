//! The answer to whether a token is good (RFC 7662 §2.2).

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::session::Session;
use crate::model::user::UserStatus;
use crate::token::claims::CheckedClaims;

/// Whether a token is good, and what it says. Of one that is not, nothing else is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct IntrospectionObject {
    /// Whether it is good now.
    active: bool,
    /// Who issued it, whom it is meant for, and so on.
    #[serde(flatten)]
    token: Option<ActiveToken>,
}

/// A token that is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
struct ActiveToken {
    /// The issuer of the token.
    iss: String,
    /// Whom it is meant for.
    aud: String,
    /// The user's id.
    #[schema(format = "uuid")]
    sub: Uuid,
    /// The user's present name.
    username: String,
    /// The application that authenticated when the user logged in, or `vigie`.
    client_id: String,
    /// `Bearer` for an access token; missing for a refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// Until when it is good, unless its session ends before: seconds since 1970.
    exp: i64,
    /// When it was issued: seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// The id of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uuid")]
    jti: Option<Uuid>,
    /// The session's id.
    #[schema(format = "uuid")]
    sid: Uuid,
    /// When the user proved who they are: seconds since 1970.
    auth_time: i64,
    /// How the user proved it (RFC 8176).
    amr: Vec<String>,
    /// The user's present role.
    role: String,
}

impl IntrospectionObject {
    /// Of a token that is not good, or does not concern whoever asks.
    pub const INACTIVE: Self = Self { active: false, token: None };

    const fn of(token: ActiveToken) -> Self {
        Self { active: true, token: Some(token) }
    }

    /// Of an access token that is good, with the user's present name and role.
    #[must_use]
    pub fn of_access_token(claims: CheckedClaims, user: &UserStatus, issuer: &str, audience: &str) -> Self {
        Self::of(ActiveToken {
            iss: issuer.to_owned(),
            aud: audience.to_owned(),
            sub: claims.sub.0,
            username: user.username.as_str().to_owned(),
            client_id: claims.client_id,
            token_type: Some("Bearer"),
            exp: claims.exp,
            iat: Some(claims.iat),
            jti: Some(claims.jti.0),
            sid: claims.sid.0,
            auth_time: claims.auth_time,
            amr: claims.amr,
            role: user.role.as_str().to_owned(),
        })
    }

    /// Of a refresh token that is good, for the client whose session it continues.
    #[must_use]
    pub fn of_refresh_token(session: &Session, user: &UserStatus, issuer: &str, audience: &str) -> Self {
        Self::of(ActiveToken {
            iss: issuer.to_owned(),
            aud: audience.to_owned(),
            sub: session.user_id.0,
            username: user.username.as_str().to_owned(),
            client_id: session.client.id().map(ToString::to_string).unwrap_or_default(),
            token_type: None,
            exp: session.idle_expires_at.min(session.expires_at).timestamp(),
            iat: None,
            jti: None,
            sid: session.id.0,
            auth_time: session.started_at.timestamp(),
            amr: session.methods.clone(),
            role: user.role.as_str().to_owned(),
        })
    }

    /// The same, good until `end` at most.
    #[must_use]
    pub fn until(mut self, end: DateTime<Utc>) -> Self {
        if let Some(token) = &mut self.token {
            token.exp = token.exp.min(end.timestamp());
        }
        self
    }
}
