//! Proves who somebody is by a password: throttled, one try on an account at a time, each try recorded with its true
//! reason. To the person trying, an unknown name, a wrong password and a disabled user look and cost the same (ATH-01).

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::json;
use tokio::time::Instant;

use super::Sessions;
use super::known_device::DeviceToken;
use super::turns::{Place, Turn};
use crate::alert::Alerts;
use crate::credential::password::HashingError;
use crate::credential::scheme::Scheme;
use crate::credential::throttle::{ThrottleDigests, ThrottleKeys, account_form};
use crate::model::alert::{AlertKind, NewAlert};
use crate::model::attempt::{Attempt, AttemptOutcome, mask};
use crate::model::audit::{AuditEvent, AuditKind, Cause, Subject, SubjectKind};
use crate::model::client::ClientId;
use crate::model::folding::{fold, forms};
use crate::model::id::{AttemptId, SessionId, UserId};
use crate::model::session::{Actor, Origin};
use crate::model::user::{PasswordHash, User, UserState};
use crate::store::throttles::ThrottleKey;
use crate::store::{Db, StoreError, attempts, audit, throttles, users};

/// A try to prove who one is.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The name, as typed.
    pub username: String,
    /// The password, as typed.
    pub password: SecretString,
    /// From where.
    pub origin: Origin,
    /// Through which application.
    pub client_id: Option<ClientId>,
    /// What should make the device known.
    pub device: Option<DeviceToken>,
    /// In which request.
    pub request_id: String,
}

/// Why somebody was not believed.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
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
pub struct Proof {
    /// Who.
    pub user: User,
    claim: Claim,
    keys: ThrottleKeys,
    digests: ThrottleDigests,
    upgrade: Option<(PasswordHash, String)>,
    at: DateTime<Utc>,
    alerts: Alerts,
    /// Further tries on the account, and from its sources, wait until this one is recorded.
    _under_way: (Turn, Place),
}

/// What there is to know before a password is looked at.
struct Looked {
    place: Place,
    /// How long the try must wait, if it must.
    wait: Option<Duration>,
    /// Whether that was closed by a clock that was ahead.
    outlasts: bool,
    user: Option<User>,
}

impl Sessions {
    /// Believes the claim, or records why not: as an attempt, and as an event of the kind `failure`. What has begun is recorded
    /// also when whoever tried has gone.
    pub async fn prove(&self, claim: Claim, failure: AuditKind) -> Result<Proof, ProveError> {
        let sessions = self.clone();
        let trying = self.inner.gathering.runtime().spawn(async move { sessions.try_to_prove(claim, failure).await });
        trying.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the try was broken off".into()).into()))
    }

    async fn try_to_prove(&self, claim: Claim, failure: AuditKind) -> Result<Proof, ProveError> {
        let begun = Instant::now();
        let name: String = claim.username.chars().take(256).collect();
        let folded = fold(&name);
        let (turn, keys) = self.turn(&name, &claim).await?;
        let Looked { place, wait, outlasts, user } = self.place(keys, &name).await?;
        let now = self.now();
        if let Some(wait) = wait {
            let attempt = self.attempt(&claim, &folded, user.as_ref(), AttemptOutcome::Throttled, now);
            self.refuse_attempt(failure, &attempt);
            let is_kept = self.inner.refusals.keeps_throttled(&attempt, &folded);
            if is_kept || outlasts {
                let sessions = self.clone();
                let noted = self.store().write(move |db| {
                    sessions.inner.throttle.shorten(db, &keys, now)?;
                    if is_kept { attempts::insert(db, &attempt) } else { Ok(()) }
                });
                noted.await?;
            }
            self.inner.parts.metrics.login(AttemptOutcome::Throttled.as_str());
            // Others need not wait for that.
            drop((turn, place));
            tokio::time::sleep_until(begun + UNSEEN).await;
            return Err(ProveError::Throttled(wait));
        }
        match self.compare(&claim, user).await? {
            Ok((user, upgrade)) => {
                let alerts = self.inner.parts.alerts.clone();
                let digests = self.inner.parts.keys.throttles.clone();
                Ok(Proof { user, claim, keys, digests, upgrade, at: now, alerts, _under_way: (turn, place) })
            }
            Err((user, outcome)) => {
                let attempt = self.attempt(&claim, &folded, user.as_ref(), outcome, now);
                self.refuse_attempt(failure, &attempt);
                self.record_failure(attempt, name, keys).await?;
                Err(ProveError::InvalidCredentials)
            }
        }
    }

    /// Waits for the turn of a try, and says what it is counted under by then.
    async fn turn(&self, name: &str, claim: &Claim) -> Result<(Turn, ThrottleKeys), ProveError> {
        let mut keys = self.throttle_keys(name, claim).await?;
        loop {
            let turn = self.inner.turns.take(keys.account).await.ok_or(ProveError::Busy)?;
            let now = self.throttle_keys(name, claim).await?;
            if now == keys {
                return Ok((turn, keys));
            }
            // The device was known when this try began to wait, or the user has another name.
            keys = now;
        }
    }

    async fn throttle_keys(&self, name: &str, claim: &Claim) -> Result<ThrottleKeys, StoreError> {
        let (sessions, name, now) = (self.clone(), name.to_owned(), self.now());
        let (device, ip) = (claim.device.clone(), claim.origin.ip);
        self.store()
            .read(move |db| {
                let user = users::find_by_name(db, &name)?.map(|user| user.id);
                let owner = DeviceToken::owner(device.as_ref(), db, now)?;
                let own = device.filter(|_| user.is_some() && owner == user).map(|device| device.digest());
                // The same is asked of nobody: one query less would tell that there is no such user (D5-34).
                let form = users::kept_form(db, user.unwrap_or(NOBODY))?.unwrap_or_else(|| fold(&name));
                ThrottleKeys::find(db, &sessions.inner.parts.keys.throttles, &form, ip, own)
            })
            .await
    }

    /// Waits until no more tries from the same sources are under way than may still fail. Then says how long this one must
    /// wait, if it must, and who is tried.
    async fn place(&self, keys: ThrottleKeys, name: &str) -> Result<Looked, ProveError> {
        let turns = &self.inner.turns;
        loop {
            let one_leaves = turns.one_leaves();
            let (sessions, now) = (self.clone(), self.now());
            let room = self.store().read(move |db| sessions.inner.throttle.room(db, &keys, now)).await?;
            if let Some(place) = turns.enter(&room) {
                let (sessions, name, now) = (self.clone(), name.to_owned(), self.now());
                let read = self.store().read(move |db| {
                    let throttle = &sessions.inner.throttle;
                    let (wait, outlasts) = (throttle.wait(db, &keys, now)?, throttle.outlasts(db, &keys, now)?);
                    let (room, user) = (throttle.room(db, &keys, now)?, users::find_by_name(db, &name)?);
                    Ok::<_, StoreError>((room, Looked { place, wait, outlasts, user }))
                });
                let (room, looked) = read.await?;
                // Others may have failed since there was room.
                if looked.wait.is_some() || looked.place.fits(&room) {
                    return Ok(looked);
                }
            }
            let _waits = turns.wait().ok_or(ProveError::Busy)?;
            one_leaves.await;
        }
    }

    /// Does the same work whoever it is; then says who, or the true reason why not.
    async fn compare(
        &self,
        claim: &Claim,
        user: Option<User>,
    ) -> Result<Result<(User, Option<(PasswordHash, String)>), (Option<User>, AttemptOutcome)>, ProveError> {
        let passwords = &self.inner.parts.passwords;
        let may_log_in = user.as_ref().is_some_and(|user| user.state == UserState::Active);
        let stored = user.as_ref().filter(|_| may_log_in).and_then(|user| user.password_hash.clone());
        let verified = passwords.verify(claim.password.clone(), stored.clone()).await;
        self.inner.parts.metrics.hashing_queue(passwords.waiting());
        let verification = match verified {
            Ok(verification) => verification,
            Err(HashingError::Busy | HashingError::Stopped) => return Err(ProveError::Busy),
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
        let upgrade = if verification.outdated { self.rehash(claim).await } else { None };
        Ok(Ok((user, upgrade)))
    }

    /// The password hashed at today's cost (PWD-07). Where that cannot be done now, the old hash stays until the next login.
    async fn rehash(&self, claim: &Claim) -> Option<(PasswordHash, String)> {
        let hash = self.inner.parts.passwords.rehash(claim.password.clone()).await.ok()?;
        let scheme = Scheme::of(&hash).ok()?.to_string();
        Some((hash, scheme))
    }

    fn attempt(
        &self,
        claim: &Claim,
        folded: &str,
        user: Option<&User>,
        outcome: AttemptOutcome,
        now: DateTime<Utc>,
    ) -> Attempt {
        let username = match user {
            Some(user) => user.username.as_str().to_owned(),
            None => self.masked(folded),
        };
        Attempt {
            id: AttemptId::new(now),
            at: now,
            username,
            user_id: user.map(|user| user.id),
            outcome,
            ip: claim.origin.ip,
            user_agent: claim.origin.user_agent.clone(),
            client_id: claim.client_id.clone(),
            session_id: None,
            request_id: claim.request_id.clone(),
        }
    }

    /// Notes a failed attempt for the record.
    fn refuse_attempt(&self, failure: AuditKind, attempt: &Attempt) {
        self.refuse(AuditEvent::of_failed_attempt(failure, attempt));
    }

    async fn record_failure(&self, attempt: Attempt, name: String, keys: ThrottleKeys) -> Result<(), StoreError> {
        self.inner.parts.metrics.login(attempt.outcome.as_str());
        let sessions = self.clone();
        self.store()
            .write(move |db| {
                attempts::insert(db, &attempt)?;
                let account = sessions.account_of_failure(db, &attempt, &name, &keys)?;
                let counted = sessions.inner.throttle.count_failure(db, account, &keys, &attempt)?;
                sessions.inner.parts.alerts.look_for_patterns_in(db, &attempt, &counted)?;
                let Some(user_id) = attempt.user_id.filter(|_| counted.locked) else { return Ok(()) };
                let cause = Cause {
                    actor: Actor::system("throttle"),
                    ip: Some(attempt.ip),
                    request_id: Some(attempt.request_id.clone()),
                    acting: None,
                };
                let subject = Subject::new(SubjectKind::User, user_id);
                audit::record(db, &AuditEvent::new(attempt.at, AuditKind::UserLocked, &cause, subject))
            })
            .await
    }

    /// What a failure is counted under: the account of the user whose password was looked at, as that user is called by now; or
    /// the name that nobody has. `None` where somebody has taken it since: nobody pays for tries from before. The same is asked
    /// whoever it is (D5-34).
    fn account_of_failure(
        &self,
        db: &mut Db,
        attempt: &Attempt,
        name: &str,
        keys: &ThrottleKeys,
    ) -> Result<Option<ThrottleKey>, StoreError> {
        // The user first: whoever renames one holds the row before the names.
        let user = users::lock(db, attempt.user_id.unwrap_or(NOBODY))?;
        throttles::hold_names(db)?;
        let has_name = users::find_by_name(db, name)?;
        let form = users::kept_form(db, attempt.user_id.unwrap_or(NOBODY))?;
        let form = match (&user, attempt.user_id) {
            (Some(user), _) => form.unwrap_or_else(|| user.username.folded()),
            (None, None) if has_name.is_none() => fold(name),
            (None, _) => return Ok(None),
        };
        Ok(Some(keys.of_account(&self.inner.parts.keys.throttles, &form)))
    }

    /// A name that nobody has, as it is kept.
    fn masked(&self, folded: &str) -> String {
        mask(folded, &self.inner.parts.keys.unknown_name.digest(folded.as_bytes()))
    }

    /// The forms under which attempts with this name are kept: as it is, and masked, also as it was by earlier keys.
    #[must_use]
    pub fn attempt_names(&self, username: &str) -> Vec<String> {
        let (forms, keys) = (forms(username), &self.inner.parts.keys);
        let all = || std::iter::once(&keys.unknown_name).chain(&keys.earlier_unknown_names);
        let masked =
            |form: &String| all().map(|key| fold(&mask(form, &key.digest(form.as_bytes())))).collect::<Vec<_>>();
        forms.iter().flat_map(masked).chain(forms.clone()).collect()
    }

    /// Forgets throttling counts that no rule looks at any more, and devices that are not known any more.
    pub async fn forget_old_throttles(&self) -> Result<usize, StoreError> {
        let (sessions, now) = (self.clone(), self.now());
        let forget = move |db: &mut Db| {
            DeviceToken::forget_old(db, now)?;
            sessions.inner.throttle.forget_old(db, now)
        };
        self.store().write(forget).await
    }
}

/// What a try takes at least that is refused unseen. To look a user up takes some microseconds more where there is one, which no
/// hash hides here (ATH-01).
const UNSEEN: Duration = Duration::from_millis(10);

/// An id that no user has.
const NOBODY: UserId = UserId(uuid::Uuid::nil());

impl Proof {
    /// Where the proof came from.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Records the success in the transaction of what follows from it. `false`, and nothing but the attempt is written,
    /// where the user was disabled, deleted or given another password meanwhile.
    pub(crate) fn accept_in(&self, db: &mut Db, session_id: Option<SessionId>) -> Result<bool, StoreError> {
        let user = users::lock(db, self.user.id)?;
        let unchanged = |now: &User| now.state == UserState::Active && now.password_hash == self.user.password_hash;
        let user = user.filter(unchanged);
        attempts::insert(db, &self.attempt(session_id, user.is_some()))?;
        let Some(user) = user else { return Ok(false) };
        // As the user is called by now.
        let account = self.keys.of_account(&self.digests, &account_form(db, &user)?);
        self.tell_failures_before_in(db, account, session_id)?;
        for key in std::iter::once(account).chain(self.keys.device) {
            throttles::forget(db, key)?;
        }
        if let (Some((hash, scheme)), Some(old)) = (&self.upgrade, &self.user.password_hash)
            && users::upgrade_password(db, self.user.id, old, (hash, scheme), self.at)?
        {
            let subject = Subject::new(SubjectKind::User, self.user.id);
            let event = AuditEvent::new(self.at, AuditKind::PasswordUpgraded, &self.cause(), subject);
            audit::record(db, &event.with(json!({ "to": scheme })))?;
        }
        Ok(true)
    }

    /// Raises an alert where many failures came before this success.
    fn tell_failures_before_in(
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
        let alert = NewAlert::new(self.at, AlertKind::LoginAfterFailures, subject)
            .of_user(self.user.id)
            .from_address(self.claim.origin.ip)
            .with(json!({ "failures": failures, "known_device": self.keys.is_known }));
        self.alerts.raise_in(db, &NewAlert { session_id, ..alert }).map(drop)
    }

    fn attempt(&self, session_id: Option<SessionId>, accepted: bool) -> Attempt {
        Attempt {
            id: AttemptId::new(self.at),
            at: self.at,
            username: self.user.username.as_str().to_owned(),
            user_id: Some(self.user.id),
            outcome: if accepted { AttemptOutcome::Success } else { AttemptOutcome::Disabled },
            ip: self.claim.origin.ip,
            user_agent: self.claim.origin.user_agent.clone(),
            client_id: self.claim.client_id.clone(),
            session_id: session_id.filter(|_| accepted),
            request_id: self.claim.request_id.clone(),
        }
    }

    /// Notes for the record that the user was disabled, deleted or given another password meanwhile.
    pub(crate) fn refuse_late(&self, sessions: &Sessions, failure: AuditKind) {
        sessions.refuse_attempt(failure, &self.attempt(None, false));
    }

    /// The user, acting in this request.
    #[must_use]
    pub fn cause(&self) -> Cause {
        Cause {
            actor: Actor::user(self.user.id),
            ip: Some(self.claim.origin.ip),
            request_id: Some(self.claim.request_id.clone()),
            acting: None,
        }
    }
}
