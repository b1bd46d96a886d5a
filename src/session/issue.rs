//! The pair of tokens that a login or a refresh hands out.

use chrono::{DateTime, TimeDelta, Utc};

use crate::config;
use crate::model::client::ClientId;
use crate::model::id::TokenId;
use crate::model::session::{CurrentToken, Session};
use crate::model::user::Role;
use crate::token::claims::{AccessClaims, TokenForm};
use crate::token::issue::issue;
use crate::token::keys::{KeyError, SigningKey};
use crate::token::refresh::RefreshToken;

/// The claim `client_id` (RFC 9068 §2.2 requires one) of a login in which no client authenticated.
pub const FIRST_PARTY: &str = "vigie";

/// What tokens say beside the session: the rules of `[tokens]`.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// The claim `iss`: the issuer (RFC 7519 §4.1.1).
    pub issuer: String,
    /// The claim `aud`: whom tokens are meant for (RFC 7519 §4.1.3).
    pub audience: String,
    /// Which form of token is issued.
    pub form: TokenForm,
    /// How long an access token lives.
    pub access_life: TimeDelta,
    /// How far away the end of a token may be in an answer about it; 0: as far as it is.
    pub introspection_max_cache: std::time::Duration,
    /// How far in the future a token's times may lie.
    pub tolerance: std::time::Duration,
}

impl TokenRules {
    /// The rules as configured.
    #[must_use]
    pub fn new(config: &config::Config) -> Self {
        let tokens = &config.tokens;
        Self {
            issuer: config.issuer(),
            audience: tokens.audience.as_str().to_owned(),
            form: if tokens.legacy_claims { TokenForm::Legacy } else { TokenForm::Standard },
            access_life: TimeDelta::from_std(tokens.access_ttl).unwrap_or(TimeDelta::MAX),
            introspection_max_cache: tokens.introspection_max_cache,
            tolerance: tokens.clock_tolerance,
        }
    }

    /// A new access token's id and times. It never outlives its session.
    #[must_use]
    pub fn next_token(&self, now: DateTime<Utc>, session_expires_at: DateTime<Utc>) -> CurrentToken {
        CurrentToken {
            id: TokenId::new(now),
            issued_at: now,
            expires_at: (now + self.access_life).min(session_expires_at),
        }
    }

    /// Signs the session's current access token.
    pub fn sign(&self, session: &Session, role: &Role, key: &SigningKey) -> Result<String, KeyError> {
        let claims = AccessClaims {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            subject: session.user_id,
            client_id: session.client.authenticated().map_or(FIRST_PARTY, ClientId::as_str).to_owned(),
            claimed_client_id: session.client.claimed().map(ToString::to_string),
            session_id: session.id,
            token_id: session.token.id,
            issued_at: session.token.issued_at,
            expires_at: session.token.expires_at,
            not_before: None,
            authenticated_at: session.started_at,
            methods: session.methods.clone(),
            role: role.as_str().to_owned(),
            generation: session.refresh.generation,
        };
        issue(&claims, key, self.form)
    }
}

/// What a login or a refresh hands out.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The signed access token.
    pub access_token: String,
    /// The refresh token of the next refresh; it works once.
    pub refresh_token: RefreshToken,
    /// The session as it is now.
    pub session: Session,
    /// The user's present name and role.
    pub username: crate::model::user::Username,
    /// The user's present role.
    pub role: Role,
    /// When this was, for telling how long the tokens last.
    pub at: DateTime<Utc>,
}
