//! The question asked on every request: is this token ours, and is its session good, now?
//!
//! Positive (P1): no row, no entry. Role and state of the user are what the store says, not the token. Whether the session
//! lives is asked anew each time; here by a query.

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::Sessions;
use super::signing::SigningError;
use crate::model::id::{SessionId, TokenId, UserId};
use crate::model::session::{EndReason, Session, overdue};
use crate::model::user::{Role, UserState, Username};
use crate::store::sessions::{Seen, Standing, UserStanding};
use crate::store::{StoreError, not_befores, sessions};
use crate::token::claims::AccessClaims;
use crate::token::refusal::TokenRefusal;
use crate::token::verify::{Expectations, verify_naming_key};

/// Somebody whose token and session are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Which session.
    pub session_id: SessionId,
    /// Which token.
    pub token_id: TokenId,
    /// Whose.
    pub user_id: UserId,
    /// The user's present name.
    pub username: Username,
    /// The user's present role.
    pub role: Role,
    /// When the user last proved who they are.
    pub authenticated_at: DateTime<Utc>,
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is not ours, not meant for us, or names no session we know. The reason is for the log.
    #[error("token refused: {0}")]
    Invalid(&'static str),
    /// Ours, but past its time.
    #[error("token expired")]
    Expired,
    /// Ours, but its session is over.
    #[error("session ended: {0}")]
    Ended(EndReason),
    /// Nothing could be decided.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CheckError {
    /// A stable word for metrics.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Invalid(reason) => reason,
            Self::Expired => "expired",
            Self::Ended(_) => "session_ended",
            Self::Store(_) => "unavailable",
        }
    }
}

impl From<SigningError> for CheckError {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Store(error) => Self::Store(error),
            other => Self::Store(StoreError::Unavailable(other.to_string())),
        }
    }
}

/// What the store says about a token's key and session.
struct Known {
    key_is_good: bool,
    standing: Option<Standing>,
    not_before: Option<DateTime<Utc>>,
}

impl Sessions {
    /// Checks a token that came from `ip`, and notes that its session was used.
    pub async fn check(&self, token: &str, ip: IpAddr) -> Result<Checked, CheckError> {
        let now = self.now();
        let result = self.decide(token, ip, now).await;
        let outcome = result.as_ref().err().map_or("ok", CheckError::word);
        self.inner.parts.metrics.check(outcome);
        result
    }

    async fn decide(&self, token: &str, ip: IpAddr, now: DateTime<Utc>) -> Result<Checked, CheckError> {
        let (claims, key_id) = self.verified(token, now).await?;
        let known = self.ask_store(&claims, key_id, now).await?;
        if !known.key_is_good {
            return Err(CheckError::Invalid("key_revoked"));
        }
        let Some(standing) = known.standing else {
            tracing::warn!(session.id = %claims.session_id, "a token with a good signature names an unknown session");
            return Err(CheckError::Invalid("session_unknown"));
        };
        if standing.user_id != claims.subject {
            return Err(CheckError::Invalid("subject"));
        }
        let user = self.good_user(&claims, &standing, known.not_before, now)?;
        self.note_use(claims.session_id, &standing, ip, now);
        Ok(Checked {
            session_id: claims.session_id,
            token_id: claims.token_id,
            user_id: standing.user_id,
            username: user.username,
            role: user.role,
            authenticated_at: standing.started_at,
        })
    }

    /// The claims of a token that is ours and within its time, and the id of its key.
    pub(super) async fn verified(&self, token: &str, now: DateTime<Utc>) -> Result<(AccessClaims, String), CheckError> {
        match self.verify_with_known_keys(token, now) {
            // Perhaps another node made a key since.
            Err(TokenRefusal::KeyUnknown) if self.signing().learn().await? => {
                self.verify_with_known_keys(token, now).map_err(refused)
            }
            other => other.map_err(refused),
        }
    }

    fn verify_with_known_keys(&self, token: &str, now: DateTime<Utc>) -> Result<(AccessClaims, String), TokenRefusal> {
        let rules = &self.inner.tokens;
        let expected = Expectations {
            issuer: &rules.issuer,
            audience: &rules.audience,
            form: rules.form,
            tolerance: rules.tolerance,
            now,
        };
        let ring = self.signing().ring();
        verify_naming_key(token, &ring, &expected).map(|(claims, key)| (claims, key.id().as_str().to_owned()))
    }

    async fn ask_store(&self, claims: &AccessClaims, key_id: String, now: DateTime<Utc>) -> Result<Known, StoreError> {
        let session_id = claims.session_id;
        let sessions = self.clone();
        self.store()
            .read(move |db| {
                let standing = sessions::standing(db, session_id)?;
                let not_before = match &standing {
                    Some(standing) => not_befores::covering(db, standing.user_id, standing.client_id.as_ref())?,
                    None => None,
                };
                Ok(Known { key_is_good: sessions.signing().accepts(db, &key_id, now)?, standing, not_before })
            })
            .await
    }

    /// The user, if session and user are both good. A flat list; the first fault names the end.
    fn good_user(
        &self,
        claims: &AccessClaims,
        standing: &Standing,
        not_before: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<UserStanding, CheckError> {
        if let Some(reason) = standing.ended {
            return Err(CheckError::Ended(reason));
        }
        let seen = self.inner.last_seen.of(claims.session_id);
        let idle_expires_at =
            seen.map_or(standing.idle_expires_at, |seen| seen.idle_expires_at.max(standing.idle_expires_at));
        if let Some(end) = overdue(standing.expires_at, idle_expires_at, now) {
            return Err(CheckError::Ended(end.reason));
        }
        // Every credential of a session that was started before the moment was issued before it, or descends from one that was.
        if not_before.is_some_and(|moment| standing.started_at < moment) {
            return Err(CheckError::Ended(EndReason::NotBefore));
        }
        match &standing.user {
            None => Err(CheckError::Ended(EndReason::UserDeleted)),
            Some(user) if user.state == UserState::Disabled => Err(CheckError::Ended(EndReason::UserDisabled)),
            Some(user) => Ok(user.clone()),
        }
    }

    fn note_use(&self, id: SessionId, standing: &Standing, ip: IpAddr, now: DateTime<Utc>) {
        if now < standing.last_seen_at {
            return;
        }
        let idle_expires_at = Session::idle_end(now, self.inner.limits.idle_timeout, standing.expires_at);
        self.inner.last_seen.note(id, Seen { at: now, ip, idle_expires_at });
    }
}

fn refused(refusal: TokenRefusal) -> CheckError {
    if refusal.is_expired() { CheckError::Expired } else { CheckError::Invalid(refusal.as_str()) }
}
