//! Logs somebody in: the session row is committed before its tokens leave (P1).

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::Sessions;
use super::change::Changes;
use super::end::{end_by, end_in, end_same_in};
use super::issue::Issued;
use crate::authentication::known_device::DeviceToken;
use crate::authentication::password::{Authenticated, AuthenticationError, Credentials};
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Reason, Subject, SubjectKind};
use crate::model::client::LoginClient;
use crate::model::device::{device, device_with_hint};
use crate::model::id::{SessionId, UserId};
use crate::model::secret::Secret;
use crate::model::session::{
    Actor, ClientInfo, CurrentToken, EndReason, RefreshTokens, Session, SessionCredential, expired,
};
use crate::model::user::User;
use crate::signing_keys::SigningError;
use crate::store::{Db, StoreError, access_tokens, audit, clients, not_befores, sessions};
use crate::token::keys::KeyError;

/// A login that succeeded.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The tokens and the session.
    pub issued: Issued,
    /// When and from where the user logged in before.
    pub previous_login: Option<(DateTime<Utc>, IpAddr)>,
    /// Makes the device known at the next login.
    pub device: DeviceToken,
}

/// A session that has just been started.
pub(super) struct Started {
    pub session: Session,
    /// As of its login.
    pub user: User,
    /// When and from where the user logged in before.
    pub previous_login: Option<(DateTime<Utc>, IpAddr)>,
    /// Makes the device known at the next login.
    pub device: DeviceToken,
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Name and password were not believed, or could not be looked at.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// No client of this id is registered.
    #[error("no such client")]
    UnknownClient,
    /// Nothing could be decided.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No token can be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

impl From<KeyError> for LoginError {
    fn from(error: KeyError) -> Self {
        Self::Signing(error.into())
    }
}

impl Sessions {
    /// Logs in with name and password, on a device that may have been given a name.
    pub async fn log_in(&self, credentials: Credentials, device_name: Option<String>) -> Result<LoggedIn, LoginError> {
        let authenticated = self.authenticate(credentials).await?;
        self.start(authenticated, device_name).await
    }

    /// Believes a name and a password, and a client that is registered.
    pub(super) async fn authenticate(&self, credentials: Credentials) -> Result<Authenticated, LoginError> {
        if let Some(id) = credentials.client.id().cloned()
            && self.store().read(move |db| clients::find(db, &id)).await?.is_none()
        {
            self.refuse_client(&credentials);
            return Err(LoginError::UnknownClient);
        }
        let authentication = &self.inner.dependencies.authentication;
        Ok(authentication.authenticate(credentials, AuditKind::LoginFailed).await?)
    }

    /// Notes for the record that a login named a client that is not registered. The user is not
    /// looked for.
    fn refuse_client(&self, credentials: &Credentials) {
        let (ip, request_id) = (Some(credentials.client_info.ip), Some(credentials.request_id.clone()));
        let context = AuditContext { actor: Actor::system("login"), ip, request_id, acting: None };
        let details = Details::login_failed(None, &credentials.client);
        let event = AuditEvent::new(self.now(), details, &context, Subject::unknown());
        self.refusals().note(event.because(Reason::UnknownClient));
    }

    /// Starts a session for somebody who has proved who they are.
    pub async fn start(
        &self,
        authenticated: Authenticated,
        device_name: Option<String>,
    ) -> Result<LoggedIn, LoginError> {
        let key = self.signing_key().await?;
        let Started { session, user, previous_login, device } =
            self.start_session(authenticated, device_name, SessionCredential::Tokens).await?;
        Ok(LoggedIn { issued: self.hand_out(session, (user.username, user.role), &key)?, previous_login, device })
    }

    /// The same, whatever its holder is given.
    pub(super) async fn start_session(
        &self,
        authenticated: Authenticated,
        device_name: Option<String>,
        credential: SessionCredential,
    ) -> Result<Started, LoginError> {
        let shown = authenticated.credentials();
        let (client_info, client) = (shown.client_info.clone(), shown.client.clone());
        let device = device_with_hint(client_info.user_agent.as_deref(), shown.system);
        let session = self.new_session(&authenticated.user, client_info, client, device_name);
        let session = Session { device, credential, ..session };
        let (sessions, user) = (self.clone(), authenticated.user.clone());
        let started = self
            .change(move |db, changes| {
                not_befores::lock_shared(db)?;
                if !authenticated.record_success_in(db, Some(session.id))? {
                    authenticated.note_overtaken(sessions.refusals(), AuditKind::LoginFailed);
                    return Ok(None);
                }
                if let Some(client) = session.client.id()
                    && !clients::lock_shared(db, client)?
                {
                    sessions.refuse_client(authenticated.credentials());
                    return Err(LoginError::UnknownClient);
                }
                let session = sessions.begun_after_not_before_in(db, session)?;
                let (previous_login, replaced) = sessions.start_in(db, changes, &session, &authenticated.context())?;
                let shown = authenticated.credentials().device.as_ref();
                let device = DeviceToken::keep_in(shown, db, session.user_id, session.started_at)?;
                Ok(Some((session, previous_login, replaced, device)))
            })
            .await?;
        let Some((session, previous_login, replaced, device)) = started else {
            return Err(AuthenticationError::InvalidCredentials.into());
        };
        self.inner.dependencies.metrics.login("success");
        self.inner.dependencies.metrics.session_started();
        self.count_ends(EndReason::SessionLimit, replaced);
        Ok(Started { session, user, previous_login, device })
    }

    /// A session of this user that starts now, not yet in the store.
    #[must_use]
    pub fn new_session(
        &self,
        user: &User,
        client_info: ClientInfo,
        client: LoginClient,
        device_name: Option<String>,
    ) -> Session {
        let now = self.now();
        let expires_at = now + self.inner.limits.lifetime;
        let token: CurrentToken = self.inner.tokens.next_token(now, expires_at);
        Session {
            id: SessionId::new(now),
            user_id: user.id,
            username: user.username.clone(),
            role: user.role.clone(),
            client,
            device_name,
            name: None,
            device: device(client_info.user_agent.as_deref()),
            methods: vec!["pwd".to_owned()],
            started_at: now,
            last_seen_at: now,
            last_ip: client_info.ip,
            expires_at,
            idle_expires_at: Session::idle_end(now, self.inner.limits.idle_timeout, expires_at),
            credential: SessionCredential::Tokens,
            token,
            refresh: RefreshTokens::first(*Secret::random().as_bytes()),
            end: None,
            client_info,
        }
    }

    /// Writes the session, ending the oldest where the user has too many; returns the login before it and how many ended.
    #[expect(clippy::type_complexity, reason = "a pair of two facts about one write, taken apart at the one call")]
    pub(crate) fn start_in(
        &self,
        db: &mut Db,
        changes: &mut Changes<'_>,
        session: &Session,
        context: &AuditContext,
    ) -> Result<(Option<(DateTime<Utc>, IpAddr)>, i64), StoreError> {
        let previous = sessions::latest_of_user(db, session.user_id)?;
        let replaced = self.enforce_session_limit_in(db, changes, session.user_id, session.started_at, context)?;
        let new_device = previous.is_none() || self.notice_new_device_in(db, session)?;
        sessions::insert(db, session)?;
        if let Some(token) = session.issued_token() {
            access_tokens::insert(db, session.id, token)?;
        }
        let details = Details::SessionStarted {
            token: session.issued_token().map(|token| token.id),
            credential: Some(session.credential).filter(|credential| *credential != SessionCredential::Tokens),
            client_id: session.client.id().cloned(),
            client_authenticated: session.client.authenticated().map(|_| true),
            methods: session.methods.clone(),
            new_device,
        };
        let subject = Subject::new(SubjectKind::User, session.user_id);
        let event = AuditEvent::new(session.started_at, details, context, subject);
        audit::record(db, &event.in_session(session.id))?;
        Ok((previous, replaced))
    }

    /// Ends the user's oldest sessions until one more fits (SES-15).
    fn enforce_session_limit_in(
        &self,
        db: &mut Db,
        changes: &mut Changes<'_>,
        user_id: UserId,
        now: DateTime<Utc>,
        context: &AuditContext,
    ) -> Result<i64, StoreError> {
        if self.inner.limits.per_user == 0 {
            return Ok(0);
        }
        let mut active = Vec::new();
        for limits in sessions::open_of_user(db, user_id)? {
            let idle = self.inner.last_seen.idle_end(limits.id, limits.idle_expires_at);
            match expired(limits.expires_at, idle, now) {
                Some(end) => drop(end_in(db, changes, limits.id, &end, &AuditContext::system("expiry"))?),
                None => active.push(limits.id),
            }
        }
        let surplus = (active.len() + 1).saturating_sub(self.inner.limits.per_user);
        let by = AuditContext { actor: Actor::system("session_limit"), ..context.clone() };
        active.truncate(surplus);
        end_same_in(db, changes, &active, &end_by(&by, EndReason::SessionLimit, now, None), &by)
    }
}
