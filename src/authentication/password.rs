//! Authentication by a password: the try waits for its lock, is let in by the throttle, costs the same whoever it is, and is
//! recorded.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio::time::Instant;

use super::Authentication;
use super::keyed_lock::{KeyedLock, Slot};
use super::known_device::DeviceToken;
use crate::alert::Alerts;
use crate::credential::password::HashingError;
use crate::credential::scheme::Scheme;
use crate::credential::throttle::{ThrottleDigests, ThrottleKeys, account_form};
use crate::model::alert::{AlertDetails, NewAlert};
use crate::model::attempt::{Attempt, AttemptOutcome};
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Subject, SubjectKind};
use crate::model::client::LoginClient;
use crate::model::device::SystemHint;
use crate::model::folding::fold;
use crate::model::id::{AttemptId, SessionId, UserId};
use crate::model::session::{Actor, ClientInfo};
use crate::model::user::{PasswordHash, User, UserState};
use crate::refusals::Refusals;
use crate::store::throttles::ThrottleKey;
use crate::store::{Db, StoreError, attempts, audit, throttles, users};

/// What somebody shows to prove who they are.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The name, as typed.
    pub username: String,
    /// The password, as typed.
    pub password: SecretString,
    /// Where the request came from.
    pub client_info: ClientInfo,
    /// What the browser's hints say of the system.
    pub system: Option<SystemHint>,
    /// The application through which somebody logs in, if one was named.
    pub client: LoginClient,
    /// What should make the device known.
    pub device: Option<DeviceToken>,
    /// The id of the request.
    pub request_id: String,
}

/// Why somebody was not believed.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    /// Unknown user, wrong password or disabled: not told which.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// Too many failures; the password was not looked at.
    #[error("too many attempts")]
    Throttled(Duration),
    /// Too many passwords are being hashed.
    #[error("too many logins at once")]
    Busy,
    /// Nothing could be decided.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Somebody who was believed. Nothing is recorded yet: that belongs into the transaction of what follows from it.
#[derive(Debug)]
pub struct Authenticated {
    /// The user who was authenticated.
    pub user: User,
    credentials: Credentials,
    keys: ThrottleKeys,
    digests: ThrottleDigests,
    upgrade: Option<(PasswordHash, String)>,
    at: DateTime<Utc>,
    alerts: Alerts,
    /// Further tries on the account, and from its sources, wait until this one is recorded.
    _under_way: (KeyedLock, Slot),
}

/// What there is to know before a password is looked at.
struct Admission {
    slot: Slot,
    /// How long the try must wait, if it must.
    wait: Option<Duration>,
    /// Whether that was closed by a clock that was ahead.
    exceeds_longest_wait: bool,
    user: Option<User>,
}

impl Authentication {
    /// Believes the credentials, or records why not: as an attempt, and as an event of the kind `failure`. What has begun is recorded
    /// also when whoever tried has gone.
    pub async fn authenticate(
        &self,
        credentials: Credentials,
        failure: AuditKind,
    ) -> Result<Authenticated, AuthenticationError> {
        let authentication = self.clone();
        let trying =
            self.inner.runtime.spawn(async move { authentication.try_to_authenticate(credentials, failure).await });
        trying.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the try was broken off".into()).into()))
    }

    async fn try_to_authenticate(
        &self,
        credentials: Credentials,
        failure: AuditKind,
    ) -> Result<Authenticated, AuthenticationError> {
        let begun = Instant::now();
        let name: String = credentials.username.chars().take(256).collect();
        let folded = fold(&name);
        let (lock, keys) = self.lock(&name, &credentials).await?;
        let Admission { slot, wait, exceeds_longest_wait, user } = self.admission(keys, &name).await?;
        let now = self.now();
        if let Some(wait) = wait {
            let attempt = self.attempt(&credentials, &folded, user.as_ref(), AttemptOutcome::Throttled, now);
            self.inner.dependencies.refusals.note_attempt(failure, &attempt);
            let is_kept = self.inner.dependencies.refusals.keeps_throttled(&attempt, &folded);
            if is_kept || exceeds_longest_wait {
                let authentication = self.clone();
                let noted = self.store().write(move |db| {
                    authentication.inner.throttle.cap_wait(db, &keys, now)?;
                    if is_kept { attempts::insert(db, &attempt) } else { Ok(()) }
                });
                noted.await?;
            }
            self.inner.dependencies.metrics.login(AttemptOutcome::Throttled.as_str());
            // Others need not wait for that.
            drop((lock, slot));
            tokio::time::sleep_until(begun + UNSEEN * ticks(begun.elapsed())).await;
            return Err(AuthenticationError::Throttled(wait));
        }
        match self.compare(&credentials, user).await? {
            Ok((user, upgrade)) => {
                let alerts = self.inner.dependencies.alerts.clone();
                let digests = self.inner.dependencies.keys.throttles.clone();
                Ok(Authenticated {
                    user,
                    credentials,
                    keys,
                    digests,
                    upgrade,
                    at: now,
                    alerts,
                    _under_way: (lock, slot),
                })
            }
            Err((user, outcome)) => {
                let attempt = self.attempt(&credentials, &folded, user.as_ref(), outcome, now);
                self.inner.dependencies.refusals.note_attempt(failure, &attempt);
                self.record_failure(attempt, name, keys).await?;
                Err(AuthenticationError::InvalidCredentials)
            }
        }
    }

    /// Waits for the account's lock, and says what the try is counted under by then.
    async fn lock(
        &self,
        name: &str,
        credentials: &Credentials,
    ) -> Result<(KeyedLock, ThrottleKeys), AuthenticationError> {
        let mut keys = self.throttle_keys(name, credentials).await?;
        loop {
            let lock = self.inner.locks.lock(keys.account).await.ok_or(AuthenticationError::Busy)?;
            let now = self.throttle_keys(name, credentials).await?;
            if now == keys {
                return Ok((lock, keys));
            }
            // The device was known when this try began to wait, or the user has another name.
            keys = now;
        }
    }

    async fn throttle_keys(&self, name: &str, credentials: &Credentials) -> Result<ThrottleKeys, StoreError> {
        let (authentication, name, now) = (self.clone(), name.to_owned(), self.now());
        let (device, ip) = (credentials.device.clone(), credentials.client_info.ip);
        self.store()
            .read(move |db| {
                let user = users::find_by_name(db, &name)?.map(|user| user.id);
                let owner = DeviceToken::owner(device.as_ref(), db, now)?;
                let own = device.filter(|_| user.is_some() && owner == user).map(|device| device.digest());
                // The same is asked of nobody: one query less would tell that there is no such user (D5-34).
                let form = users::kept_form(db, user.unwrap_or(NOBODY))?.filter(|_| user.is_some());
                let form = form.unwrap_or_else(|| fold(&name));
                ThrottleKeys::find(db, &authentication.inner.dependencies.keys.throttles, &form, ip, own)
            })
            .await
    }

    /// Waits until no more tries from the same sources are under way than may still fail. Then says how long this one must
    /// wait, if it must, and who is tried.
    async fn admission(&self, keys: ThrottleKeys, name: &str) -> Result<Admission, AuthenticationError> {
        let locks = &self.inner.locks;
        loop {
            let slot_freed = locks.slot_freed();
            let (authentication, now) = (self.clone(), self.now());
            let room = self.store().read(move |db| authentication.inner.throttle.attempts_left(db, &keys, now)).await?;
            if let Some(slot) = locks.take_slot(&room) {
                let (authentication, name, now) = (self.clone(), name.to_owned(), self.now());
                let read = self.store().read(move |db| {
                    let throttle = &authentication.inner.throttle;
                    let (wait, exceeds_longest_wait) =
                        (throttle.wait(db, &keys, now)?, throttle.exceeds_longest_wait(db, &keys, now)?);
                    let (room, user) = (throttle.attempts_left(db, &keys, now)?, users::find_by_name(db, &name)?);
                    Ok::<_, StoreError>((room, Admission { slot, wait, exceeds_longest_wait, user }))
                });
                let (room, admission) = read.await?;
                // Others may have failed since there was room.
                if admission.wait.is_some() || admission.slot.fits(&room) {
                    return Ok(admission);
                }
            }
            let _waits = locks.wait().ok_or(AuthenticationError::Busy)?;
            slot_freed.await;
        }
    }

    /// Does the same work whoever it is; then says who, or the true reason why not.
    async fn compare(
        &self,
        credentials: &Credentials,
        user: Option<User>,
    ) -> Result<Result<(User, Option<(PasswordHash, String)>), (Option<User>, AttemptOutcome)>, AuthenticationError>
    {
        let passwords = &self.inner.dependencies.passwords;
        let may_log_in = user.as_ref().is_some_and(|user| user.state == UserState::Active);
        let stored = user.as_ref().filter(|_| may_log_in).and_then(|user| user.password_hash.clone());
        let verified = passwords.verify(credentials.password.clone(), stored.clone()).await;
        self.inner.dependencies.metrics.hashing_queue(passwords.waiting());
        let verification = match verified {
            Ok(verification) => verification,
            Err(HashingError::Busy | HashingError::Stopped) => return Err(AuthenticationError::Busy),
            Err(HashingError::Corrupt) => {
                return Err(StoreError::Corrupt("users: a password hash cannot be read".into()).into());
            }
        };
        let Some(user) = user else { return Ok(Err((None, AttemptOutcome::UnknownUser))) };
        if !may_log_in {
            return Ok(Err((Some(user), AttemptOutcome::Disabled)));
        }
        if stored.is_none() {
            return Ok(Err((Some(user), AttemptOutcome::NoPassword)));
        }
        if !verification.matches {
            return Ok(Err((Some(user), AttemptOutcome::WrongPassword)));
        }
        let upgrade = if verification.outdated { self.rehash(credentials).await } else { None };
        Ok(Ok((user, upgrade)))
    }

    /// The password hashed at today's cost (PWD-07). Where that cannot be done now, the old hash stays until the next login.
    async fn rehash(&self, credentials: &Credentials) -> Option<(PasswordHash, String)> {
        let hash = self.inner.dependencies.passwords.rehash(credentials.password.clone()).await.ok()?;
        let scheme = Scheme::of(&hash).ok()?.to_string();
        Some((hash, scheme))
    }
}

/// A try that is refused unseen takes this, or a multiple of it where it waited for others. To look a user up takes some
/// microseconds more where there is one, which no hash hides here (ATH-01).
const UNSEEN: Duration = Duration::from_millis(10);

/// How often [`UNSEEN`] passes until the first answer that is still to come.
fn ticks(elapsed: Duration) -> u32 {
    u32::try_from(elapsed.as_nanos() / UNSEEN.as_nanos()).map_or(u32::MAX, |passed| passed.saturating_add(1))
}

/// What is asked for where there is no user, so that as much is asked. What is found is not looked at: a row that was written by
/// hand may have this id.
pub(super) const NOBODY: UserId = UserId(uuid::Uuid::nil());

impl Authenticated {
    /// Where the proof came from.
    #[must_use]
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Records the success in the transaction of what follows from it. `false`, and nothing but the attempt is written,
    /// where the user was disabled, deleted or given another password meanwhile.
    pub(crate) fn record_success_in(&self, db: &mut Db, session_id: Option<SessionId>) -> Result<bool, StoreError> {
        let user = users::lock(db, self.user.id)?;
        let unchanged = |now: &User| now.state == UserState::Active && now.password_hash == self.user.password_hash;
        let user = user.filter(unchanged);
        attempts::insert(db, &self.attempt(session_id, user.is_some()))?;
        let Some(user) = user else { return Ok(false) };
        // As the user is called by now.
        let account = self.keys.of_account(&self.digests, &account_form(db, &user)?);
        self.alert_to_failures_before_in(db, account, session_id)?;
        for key in std::iter::once(account).chain(self.keys.device) {
            throttles::clear(db, key)?;
        }
        if let (Some((hash, scheme)), Some(old)) = (&self.upgrade, &self.user.password_hash)
            && users::upgrade_password(db, self.user.id, old, (hash, scheme), self.at)?
        {
            let subject = Subject::new(SubjectKind::User, self.user.id);
            let details = Details::PasswordUpgraded { to: scheme.clone() };
            audit::record(db, &AuditEvent::new(self.at, details, &self.context(), subject))?;
        }
        Ok(true)
    }

    /// Raises an alert where many failures came before this success.
    fn alert_to_failures_before_in(
        &self,
        db: &mut Db,
        account: ThrottleKey,
        session_id: Option<SessionId>,
    ) -> Result<(), StoreError> {
        let threshold = i64::from(self.alerts.rules().failures_before_login);
        let failures = throttles::find(db, account)?.map_or(0, |count| count.failures);
        if threshold == 0 || i64::from(failures) < threshold {
            return Ok(());
        }
        let subject = Subject::new(SubjectKind::User, self.user.id);
        let details = AlertDetails::LoginAfterFailures { failures, known_device: self.keys.is_known };
        let alert = NewAlert::new(self.at, details, subject)
            .of_user(self.user.id)
            .from_address(self.credentials.client_info.ip);
        self.alerts.raise_in(db, &NewAlert { session_id, ..alert }).map(drop)
    }

    fn attempt(&self, session_id: Option<SessionId>, accepted: bool) -> Attempt {
        Attempt {
            id: AttemptId::new(self.at),
            at: self.at,
            username: self.user.username.as_str().to_owned(),
            user_id: Some(self.user.id),
            outcome: if accepted { AttemptOutcome::Success } else { AttemptOutcome::Disabled },
            ip: self.credentials.client_info.ip,
            user_agent: self.credentials.client_info.user_agent.clone(),
            client: self.credentials.client.clone(),
            session_id: session_id.filter(|_| accepted),
            request_id: self.credentials.request_id.clone(),
        }
    }

    /// Notes for the record that the user was disabled, deleted or given another password meanwhile.
    pub(crate) fn note_overtaken(&self, refusals: &Refusals, failure: AuditKind) {
        refusals.note_attempt(failure, &self.attempt(None, false));
    }

    /// The user, acting in this request.
    #[must_use]
    pub fn context(&self) -> AuditContext {
        AuditContext {
            actor: Actor::user(self.user.id),
            ip: Some(self.credentials.client_info.ip),
            request_id: Some(self.credentials.request_id.clone()),
            acting: None,
        }
    }
}
