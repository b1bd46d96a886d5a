//! Sets passwords: by the user who knows the old one, or with a one-time token from an administrator.

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::change::record;
use super::{ONE_TIME_TOKEN_LIFE, UserError, Users, scheme_word};
use crate::authentication::password::{AuthenticationError, Credentials};
use crate::credential::throttle::clear_account;
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Reason, Subject, SubjectKind};
use crate::model::client::LoginClient;
use crate::model::delivery::AccountChange;
use crate::model::id::{SessionId, UserId};
use crate::model::secret::{Secret, SecretKind};
use crate::model::session::{Actor, ClientInfo, EndReason, Session};
use crate::model::user::{PasswordHash, User, UserState};
use crate::session::end::{end_by, end_of_user_in};
use crate::session::issue::Issued;
use crate::signing_keys::SigningError;
use crate::store::one_time_tokens::{self, TokenPurpose};
use crate::store::{Db, StoreError, users};
use crate::token::keys::KeyError;
use crate::token::session_cookie::SessionCookie;

/// A one-time token, just issued.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The secret; it is shown once.
    pub secret: Secret,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

impl IssuedToken {
    /// A new random token, good for [`ONE_TIME_TOKEN_LIFE`].
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { secret: Secret::random(), expires_at: now + ONE_TIME_TOKEN_LIFE }
    }
}

/// Why a password was not set with the old one.
#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    /// The old password was not believed.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// The new one was not accepted.
    #[error(transparent)]
    User(#[from] UserError),
    /// No token can be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl From<StoreError> for ChangePasswordError {
    fn from(error: StoreError) -> Self {
        Self::User(error.into())
    }
}

impl From<KeyError> for ChangePasswordError {
    fn from(error: KeyError) -> Self {
        Self::Signing(error.into())
    }
}

/// What a one-time token is used for on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneTimeUse {
    /// The first administrator.
    SetUp,
    /// A new password.
    Reset,
    /// A login that was not one's own.
    Report,
}

/// Why a one-time token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum OneTimeTokenError {
    /// It has not the form of one.
    #[error("token malformed")]
    Malformed,
    /// It was never issued, or has been used.
    #[error("token refused")]
    Invalid,
    /// The first administrator is there already.
    #[error("there is a user already")]
    AlreadySetUp,
    /// Its time is over.
    #[error("token expired")]
    Expired,
    /// The user or password was refused; the token is still good.
    #[error(transparent)]
    User(#[from] UserError),
}

impl OneTimeTokenError {
    /// Why it was refused; `None` where nothing was decided.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Malformed => Some(Reason::Malformed),
            Self::Invalid => Some(Reason::TokenUnknown),
            Self::AlreadySetUp => Some(Reason::AlreadySetUp),
            Self::Expired => Some(Reason::Expired),
            Self::User(error) => error.reason(),
        }
    }
}

impl From<StoreError> for OneTimeTokenError {
    fn from(error: StoreError) -> Self {
        Self::User(error.into())
    }
}

/// The change of one's own password.
#[derive(Debug, Clone)]
pub struct PasswordChange {
    /// The user who asks.
    pub user_id: UserId,
    /// In which session, which goes on; all others end.
    pub session_id: SessionId,
    /// The old password; it counts as an attempt (PWD-09).
    pub current: SecretString,
    /// The password that is to be set, as typed.
    pub new: SecretString,
    /// The user, acting in that session.
    pub context: AuditContext,
    /// Where the request came from.
    pub client_info: ClientInfo,
    /// The id of the request.
    pub request_id: String,
}

impl Users {
    /// Sets another password for a user who knows the old one. In the same transaction all other sessions end (SES-10), and
    /// this one gets other tokens: those it had are void.
    pub async fn change_password(&self, change: PasswordChange) -> Result<Issued, ChangePasswordError> {
        let key = self.inner.sessions.signing_key().await?;
        let (session, user) = self.change_own_password(change).await?;
        Ok(self.inner.sessions.hand_out(session, (user.username, user.role), &key)?)
    }

    /// The same of a session that a cookie continues: the next cookie.
    pub async fn change_password_by_cookie(
        &self,
        change: PasswordChange,
    ) -> Result<SessionCookie, ChangePasswordError> {
        let (session, _) = self.change_own_password(change).await?;
        Ok(self.inner.sessions.cookie_of(&session))
    }

    async fn change_own_password(&self, change: PasswordChange) -> Result<(Session, User), ChangePasswordError> {
        let user = self.find(change.user_id).await?.ok_or(UserError::NotFound)?;
        let accepted = self.inner.passwords.accept_another(&change.new, &change.current, user.username.as_str());
        let accepted = accepted.await.map_err(|refused| {
            self.refuse_new_password(&change.context, Reason::UnacceptablePassword);
            UserError::from(refused)
        })?;
        let credentials = Credentials {
            username: user.username.as_str().to_owned(),
            password: change.current,
            client_info: change.client_info.clone(),
            client: LoginClient::Unnamed,
            device: None,
            system: None,
            request_id: change.request_id,
        };
        let authentication = &self.inner.authentication;
        let authenticated = authentication.authenticate(credentials, AuditKind::PasswordChangeRefused).await?;
        let hash = self.inner.passwords.hash(accepted).await.map_err(UserError::from)?;
        let (now, sessions, asked) = (self.now(), self.inner.sessions.clone(), change.context.clone());
        let (alerts, refusals) = (self.inner.alerts.clone(), self.inner.refusals.clone());
        let renewed = self
            .inner
            .sessions
            .change(move |db, changes| {
                // Hashing may have taken long.
                sessions.ensure_allowed_in(db, &change.context)?;
                if !authenticated.record_success_in(db, None)? {
                    authenticated.note_overtaken(&refusals, AuditKind::PasswordChangeRefused);
                    return Ok::<_, StoreError>(None);
                }
                let context = authenticated.context();
                set_password(db, change.user_id, &hash, now)?;
                // As the user is by now: the role is in the token, and the mail goes to the address.
                let user = users::find(db, change.user_id)?;
                let user = user.ok_or_else(|| StoreError::Corrupt("users: one that is locked is not there".into()))?;
                alerts.notify_of_change_in(db, (&user, &user), AccountChange::PasswordChanged, now)?;
                one_time_tokens::remove_all(db, change.user_id)?;
                let end = end_by(&context, EndReason::PasswordChanged, now, None);
                let ended = end_of_user_in(db, changes, change.user_id, Some(change.session_id), &end, &context)?;
                record(db, change.user_id, Details::PasswordChanged { sessions_ended: ended }, &context, now)?;
                let Some(session) =
                    sessions.renew_in(db, changes, (change.session_id, &change.client_info), &context, now)?
                else {
                    // It ended since it was looked at: nothing is done for it.
                    sessions.ensure_allowed_in(db, &change.context)?;
                    return Err(StoreError::Unavailable("the session ended meanwhile".into()));
                };
                Ok(Some((session, user)))
            })
            .await;
        if let Some(reason) = renewed.as_ref().err().and_then(StoreError::reason) {
            self.refuse_new_password(&asked, reason);
        }
        Ok(renewed?.ok_or(AuthenticationError::InvalidCredentials)?)
    }

    /// Notes for the record that a new password does not meet the policy, or that the session that asked is over.
    fn refuse_new_password(&self, context: &AuditContext, reason: Reason) {
        let subject = Subject::new(SubjectKind::User, &context.actor.id);
        let event = AuditEvent::new(self.now(), Details::PasswordChangeRefused {}, context, subject).because(reason);
        self.inner.refusals.note(match &context.acting {
            Some(acting) => event.in_session(acting.session_id),
            None => event,
        });
    }

    /// Issues a one-time token with which the user sets a new password; an earlier one is void, and so is the password that
    /// there is, if it should be.
    pub async fn issue_reset(
        &self,
        id: UserId,
        void_password: bool,
        asked_by: &AuditContext,
    ) -> Result<IssuedToken, UserError> {
        let (sessions, now, context) = (self.inner.sessions.clone(), self.now(), asked_by.clone());
        let alerts = self.inner.alerts.clone();
        let issued = IssuedToken::new(now);
        let issuing = issued.clone();
        let written = self
            .store()
            .write(move |db| {
                sessions.while_allowed_in(db, &context, |db| {
                    let user = users::find(db, id)?.ok_or(UserError::NotFound)?;
                    if void_password {
                        users::void_password(db, id, now)?;
                        alerts.notify_of_change_in(db, (&user, &user), AccountChange::PasswordVoided, now)?;
                    }
                    Ok::<_, UserError>(issue_in(db, id, &issuing, void_password, &context, now)?)
                })
            })
            .await;
        self.noted(written, AuditKind::PasswordResetIssued, Subject::new(SubjectKind::User, id), asked_by)?;
        Ok(issued)
    }

    /// Whether a one-time token of this use would be taken now. A look uses nothing up.
    pub async fn is_good_token(&self, token: &str, use_: OneTimeUse) -> Result<bool, StoreError> {
        let Ok(secret) = Secret::parse(SecretKind::OneTimeToken, token) else { return Ok(false) };
        let (digest, now) = (secret.digest(), self.now());
        let found = self.store().read(move |db| one_time_tokens::find(db, digest)).await?;
        Ok(found.is_some_and(|found| {
            let is_of_use = match use_ {
                OneTimeUse::SetUp => found.purpose == TokenPurpose::Setup,
                OneTimeUse::Reset => matches!(found.purpose, TokenPurpose::Reset(_)),
                OneTimeUse::Report => matches!(found.purpose, TokenPurpose::ReportLink { .. }),
            };
            is_of_use && now < found.expires_at
        }))
    }

    /// Sets a new password with a one-time token. All sessions end, nobody is logged in (PWD-12).
    pub async fn reset_password(
        &self,
        token: &str,
        new: &SecretString,
        context: AuditContext,
    ) -> Result<(), OneTimeTokenError> {
        let reset = self.try_reset(token, new, context.clone()).await;
        if let Some(reason) = reset.as_ref().err().and_then(OneTimeTokenError::reason) {
            let event = AuditEvent::new(self.now(), Details::PasswordResetRefused {}, &context, Subject::unknown());
            self.inner.refusals.note(event.because(reason));
        }
        reset
    }

    async fn try_reset(&self, token: &str, new: &SecretString, context: AuditContext) -> Result<(), OneTimeTokenError> {
        let digest = Secret::parse(SecretKind::OneTimeToken, token).map_err(|_| OneTimeTokenError::Malformed)?.digest();
        let found = self.store().read(move |db| one_time_tokens::find(db, digest)).await?;
        let Some(TokenPurpose::Reset(id)) = found.map(|found| found.purpose) else {
            return Err(OneTimeTokenError::Invalid);
        };
        let user = self.find(id).await?.ok_or(OneTimeTokenError::Invalid)?;
        // A password that is refused leaves the token good for another try.
        let accepted = self.inner.passwords.accept(new, user.username.as_str()).await.map_err(UserError::from)?;
        let hash = self.inner.passwords.hash(accepted).await.map_err(UserError::from)?;
        let (now, throttles, alerts) = (self.now(), self.inner.throttles.clone(), self.inner.alerts.clone());
        let context = AuditContext { actor: Actor::user(id), ..context };
        self.inner
            .sessions
            .change(move |db, changes| {
                let presented = one_time_tokens::take(db, digest)?.ok_or(OneTimeTokenError::Invalid)?;
                if now >= presented.expires_at {
                    return Err(OneTimeTokenError::Expired);
                }
                let user = users::lock(db, id)?.filter(|user| user.state == UserState::Active);
                let user = user.ok_or(OneTimeTokenError::Invalid)?;
                set_password(db, id, &hash, now)?;
                alerts.notify_of_change_in(db, (&user, &user), AccountChange::PasswordReset, now)?;
                clear_account(db, &throttles, &user)?;
                // The password is new and all sessions end: older links have nothing left to do.
                one_time_tokens::remove_all(db, id)?;
                let ended = end_of_user_in(
                    db,
                    changes,
                    id,
                    None,
                    &end_by(&context, EndReason::PasswordChanged, now, None),
                    &context,
                )?;
                Ok(record(db, id, Details::PasswordReset { sessions_ended: ended }, &context, now)?)
            })
            .await
    }
}

/// Writes down that a token was issued with which the user sets a new password; an earlier one is void.
pub(super) fn issue_in(
    db: &mut Db,
    id: UserId,
    issued: &IssuedToken,
    void_password: bool,
    context: &AuditContext,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    one_time_tokens::replace(db, issued.secret.digest(), TokenPurpose::Reset(id), now, issued.expires_at)?;
    let details = Details::PasswordResetIssued { expires_at: issued.expires_at, password_voided: void_password };
    record(db, id, details, context, now)
}

fn set_password(db: &mut Db, id: UserId, hash: &PasswordHash, now: DateTime<Utc>) -> Result<(), StoreError> {
    let scheme = scheme_word(hash).unwrap_or_default();
    users::set_password(db, id, hash, &scheme, now)?;
    Ok(())
}
