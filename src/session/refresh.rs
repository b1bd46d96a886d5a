//! Spends a refresh token for the next pair. Within the grace a retry gets the same lineage again, never a fork; a token
//! spent before that means theft, and ends the session (RFC 9700 §4.14.2, TOK-02 to TOK-04).

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Sessions;
use super::change::Changes;
use super::end::{end_by, end_in};
use super::issue::Issued;
use crate::model::alert::{AlertDetails, NewAlert};
use crate::model::audit::{AuditContext, AuditEvent, Details, Reason, Subject, SubjectKind};
use crate::model::change::Change;
use crate::model::client::ClientId;
use crate::model::session::{Actor, ClientInfo, CurrentToken, EndReason, RefreshTokenStatus, RefreshTokens, Session};
use crate::model::user::UserStatus;
use crate::signing_keys::SigningError;
use crate::store::sessions::SessionUse;
use crate::store::{Db, StoreError, access_tokens, audit, sessions};
use crate::token::keys::KeyError;
use crate::token::refresh::RefreshToken;

/// Why a refresh token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It was never issued.
    #[error("refresh token refused")]
    Invalid,
    /// Its session is over.
    #[error("session ended: {0}")]
    Ended(EndReason),
    /// Somebody else chose the user's password: until it is changed the session does not go on.
    #[error("password change required")]
    PasswordChangeRequired,
    /// Nothing could be decided.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No token can be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl From<KeyError> for RefreshError {
    fn from(error: KeyError) -> Self {
        Self::Signing(error.into())
    }
}

/// What a refresh came to, inside its transaction.
enum Outcome {
    /// The session goes on with this state.
    Continues(Box<Session>, Arc<UserStatus>),
    /// The user's password is to be changed first.
    WaitsForPassword,
    /// It is over; ended just now where the flag says so.
    Over(EndReason, bool),
    /// The token was replaced when the password was changed.
    Replaced,
    /// The session is a client's that did not authenticate: whoever has the token alone neither goes on with it nor ends it.
    OfAnotherClient,
    /// The token is not one of its own.
    NotIssued,
}

/// What is shown for a refresh.
#[derive(Clone, Copy)]
struct PresentedCredential<'a> {
    token: &'a RefreshToken,
    /// The client that has authenticated, if one has.
    client: Option<&'a ClientId>,
}

impl Sessions {
    /// Spends `token` for the next pair. `client` has authenticated: a session of a client goes on with it alone (TOK-05).
    pub async fn refresh(
        &self,
        token: &str,
        client: Option<ClientId>,
        client_info: &ClientInfo,
        request_id: &str,
    ) -> Result<Issued, RefreshError> {
        let result = self.try_refresh(token, client, client_info, request_id).await;
        self.inner.dependencies.metrics.refresh(match &result {
            Ok(_) => "success",
            Err(RefreshError::Invalid) => "invalid",
            Err(RefreshError::Ended(EndReason::RefreshReused)) => "reused",
            Err(RefreshError::Ended(_)) => "session_ended",
            Err(RefreshError::PasswordChangeRequired) => "password_change_required",
            Err(RefreshError::Store(_) | RefreshError::Signing(_)) => "unavailable",
        });
        result
    }

    async fn try_refresh(
        &self,
        token: &str,
        client: Option<ClientId>,
        client_info: &ClientInfo,
        request_id: &str,
    ) -> Result<Issued, RefreshError> {
        let (ip, asked_in) = (Some(client_info.ip), Some(request_id.to_owned()));
        let nobody = AuditContext { actor: Actor::system("refresh"), ip, request_id: asked_in, acting: None };
        let Ok(token) = RefreshToken::parse(token) else {
            self.refusals().note_refresh(Reason::Malformed, &nobody);
            return Err(RefreshError::Invalid);
        };
        // Who refuses a token writes nothing, so a server that was left behind would do it too.
        self.coherence().confirm_store().await?;
        let (now, session_id) = (self.now(), token.session_id);
        let key = self.signing().current().await?;
        let (sessions, client_info, request_id) = (self.clone(), client_info.clone(), request_id.to_owned());
        let (outcome, _) = self
            .commit(move |db, changes| {
                let shown = PresentedCredential { token: &token, client: client.as_ref() };
                sessions.refresh_in(db, changes, shown, &client_info, &request_id, now)
            })
            .await?;
        match outcome {
            Outcome::Continues(session, user) => {
                Ok(self.hand_out(*session, (user.username.clone(), user.role.clone()), &key)?)
            }
            Outcome::WaitsForPassword => {
                self.refusals().note_refresh(Reason::PasswordChangeRequired, &nobody);
                Err(RefreshError::PasswordChangeRequired)
            }
            Outcome::Over(reason, just_now) => {
                // Also of an end that another request has committed, and may still be waiting for.
                self.coherence().wait_for_all_nodes().await;
                self.count_ends(reason, i64::from(just_now));
                let refused = if just_now { Reason::RefreshReused } else { Reason::SessionEnded };
                self.refusals().note_refresh_of(session_id, refused, reason, &nobody);
                Err(RefreshError::Ended(reason))
            }
            Outcome::Replaced => {
                self.refusals().note_refresh(Reason::Replaced, &nobody);
                Err(RefreshError::Invalid)
            }
            Outcome::OfAnotherClient => {
                self.refusals().note_refresh(Reason::OtherClient, &nobody);
                Err(RefreshError::Invalid)
            }
            Outcome::NotIssued => {
                self.refusals().note_refresh(Reason::TokenUnknown, &nobody);
                Err(RefreshError::Invalid)
            }
        }
    }

    /// The session's live refresh token.
    pub(super) fn refresh_token(&self, session: &Session) -> RefreshToken {
        RefreshToken::derive(
            &self.inner.dependencies.refresh_key,
            session.id,
            session.refresh.generation,
            &session.refresh.seed,
        )
    }

    fn refresh_in(
        &self,
        db: &mut Db,
        changes: &mut Changes<'_>,
        PresentedCredential { token, client }: PresentedCredential<'_>,
        client_info: &ClientInfo,
        request_id: &str,
        now: DateTime<Utc>,
    ) -> Result<Outcome, StoreError> {
        // A refresh that another one overtakes looks again: it is then a retry within the grace, or theft.
        loop {
            let Some(session) = sessions::find(db, token.session_id)? else { return Ok(Outcome::NotIssued) };
            if token.generation > session.refresh.generation
                || !token.is_genuine(&self.inner.dependencies.refresh_key, &session.refresh.seed)
            {
                return Ok(Outcome::NotIssued);
            }
            if session.client.authenticated().is_some_and(|owner| Some(owner) != client) {
                return Ok(Outcome::OfAnotherClient);
            }
            let actor = Actor::user(session.user_id);
            let (ip, request_id) = (Some(client_info.ip), Some(request_id.to_owned()));
            let context = AuditContext { actor, ip, request_id, acting: None };
            let user = match self.judge_in(db, &session, now)? {
                Ok(user) if user.must_change_password => return Ok(Outcome::WaitsForPassword),
                Ok(user) => user,
                Err(reason) => return Ok(Outcome::Over(reason, false)),
            };
            let presented = session.refresh.presented(token.generation, self.inner.limits.refresh_grace, now);
            let continued = match presented {
                RefreshTokenStatus::Void => return Ok(Outcome::Replaced),
                RefreshTokenStatus::Reused => {
                    let theft = AuditContext { actor: Actor::system("refresh"), ..context };
                    let just_now =
                        end_in(db, changes, session.id, &end_by(&theft, EndReason::RefreshReused, now, None), &theft)?;
                    if just_now {
                        self.alert_to_theft_in(db, &session, token.generation, &theft, now)?;
                    }
                    return Ok(Outcome::Over(EndReason::RefreshReused, just_now));
                }
                RefreshTokenStatus::Live => {
                    let next = session.refresh.next(now);
                    self.advance(db, session, next, client_info, now)?
                }
                RefreshTokenStatus::Again => {
                    let token = self.inner.tokens.next_token(now, session.expires_at);
                    again(db, session, token)?
                }
            };
            if let Some(session) = continued {
                // Others show which token a session had last; nobody is let in or kept out by it, so nobody waits.
                changes.note(Change::Session(session.id));
                record(
                    db,
                    &session,
                    &context,
                    if presented == RefreshTokenStatus::Again { TokenOrigin::Again } else { TokenOrigin::Next },
                )?;
                return Ok(Outcome::Continues(Box::new(session), user));
            }
        }
    }

    /// Raises the alert that a spent token was used again.
    fn alert_to_theft_in(
        &self,
        db: &mut Db,
        session: &Session,
        generation: u32,
        theft: &AuditContext,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let subject = Subject::new(SubjectKind::Session, session.id);
        let (live_generation, last_ip) = (session.refresh.generation, session.last_ip);
        let details = AlertDetails::SpentTokenUsed { generation, live_generation, last_ip };
        let alert = NewAlert::new(now, details, subject).of_user(session.user_id).in_session(session.id);
        self.inner.dependencies.alerts.raise_in(db, &NewAlert { ip: theft.ip, ..alert }).map(drop)
    }

    /// The session with this next generation of tokens; `None` where another refresh came first.
    pub(super) fn advance(
        &self,
        db: &mut Db,
        session: Session,
        refresh: RefreshTokens,
        client_info: &ClientInfo,
        now: DateTime<Utc>,
    ) -> Result<Option<Session>, StoreError> {
        let token = self.inner.tokens.next_token(now, session.expires_at);
        let idle_expires_at = Session::idle_end(now, self.inner.limits.idle_timeout, session.expires_at);
        let seen = SessionUse { at: now, ip: client_info.ip, idle_expires_at };
        if !sessions::spend(db, session.id, session.refresh.generation, &refresh, &token, seen)? {
            return Ok(None);
        }
        Ok(Some(Session { refresh, token, last_seen_at: now, last_ip: client_info.ip, idle_expires_at, ..session }))
    }

    /// The key that signs, for operations that hand out tokens.
    pub(crate) async fn signing_key(&self) -> Result<Arc<crate::token::keys::SigningKey>, SigningError> {
        self.signing().current().await
    }
}

/// The session with another access token of the same generation; `None` where another refresh came first.
fn again(db: &mut Db, session: Session, token: CurrentToken) -> Result<Option<Session>, StoreError> {
    let noted = sessions::reissue(db, session.id, session.refresh.generation, &token)?;
    Ok(noted.then_some(Session { token, ..session }))
}

/// How a session came by its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenOrigin {
    /// They follow those that were spent for them.
    Next,
    /// They were issued once more: an answer got lost.
    Again,
    /// They take the place of those before, which are void.
    Replaced,
}

pub(super) fn record(
    db: &mut Db,
    session: &Session,
    context: &AuditContext,
    origin: TokenOrigin,
) -> Result<(), StoreError> {
    if let Some(token) = session.issued_token() {
        access_tokens::insert(db, session.id, token)?;
    }
    let details = Details::SessionRefreshed {
        token: session.issued_token().map(|token| token.id),
        generation: session.refresh.generation,
        again: (origin == TokenOrigin::Again).then_some(true),
        replaced: (origin == TokenOrigin::Replaced).then_some(true),
    };
    let subject = Subject::new(SubjectKind::Session, session.id);
    let event = AuditEvent::new(session.token.issued_at, details, context, subject);
    audit::record(db, &event.in_session(session.id))
}
