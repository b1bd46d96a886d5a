//! The question asked on every request: is this token ours, and is its session good, now?
//!
//! Positive (P1): no row, no entry. Role and state of the user are what the store says, not the token. While this node holds
//! a lease the answer comes from memory; without one, and with `[nodes] live_view = false`, from a query each time, where the
//! store may be believed (`coherence::renewals`). Both collect the same facts, and one rule judges them (`judge`).

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Sessions;
use super::judge::Facts;
use crate::coherence::live::{Digest, Found, LiveSession, LiveUser, Named, Verified};
use crate::model::audit::Reason;
use crate::model::id::{SessionId, UserId};
use crate::model::not_before::Scope;
use crate::model::session::{EndReason, Session};
use crate::model::user::UserStatus;
use crate::signing_keys::SigningError;
use crate::store::not_befores;
use crate::store::sessions::{SessionStatus, SessionUse};
use crate::store::signing_keys::KeyStatus;
use crate::store::{Db, StoreError, sessions, users};
use crate::token::claims::AccessClaims;
use crate::token::refusal::TokenRefusal;
use crate::token::verify::{Expectations, check_times, genuine};

/// Somebody whose credential and session are good.
#[derive(Debug, Clone)]
pub struct CheckedCredential {
    /// The session that the credential continues.
    pub session_id: SessionId,
    /// The user whose session it is.
    pub user_id: UserId,
    /// The user's present name and role.
    pub user: Arc<UserStatus>,
    /// When the user last proved who they are.
    pub authenticated_at: DateTime<Utc>,
    /// The session, where it was found in memory.
    pub(super) session: Option<Arc<LiveSession>>,
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is not ours, not meant for us, or names no session we know. The reason is for the record.
    #[error("token refused: {0}")]
    Invalid(Reason),
    /// Ours, but past its time.
    #[error("token expired")]
    Expired,
    /// Ours, but from the future: the clock was set back since, or is behind another node's. It is as good as its session, so
    /// clients are told the same as of one past its time: they refresh it, and throw nothing away.
    #[error("token from the future")]
    NotYetValid,
    /// Ours, and its session lives, but it was replaced when the password was changed. Clients are told the same as of one past
    /// its time.
    #[error("token replaced")]
    Replaced,
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
            Self::Invalid(reason) => reason.as_str(),
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Replaced => "replaced",
            Self::Ended(_) => "session_ended",
            Self::Store(_) => "unavailable",
        }
    }

    /// How the session ended; `None` where it is not over.
    #[must_use]
    pub const fn end(&self) -> Option<EndReason> {
        match self {
            Self::Ended(reason) => Some(*reason),
            _ => None,
        }
    }

    /// Why the token was refused; `None` where nothing was decided.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Invalid(reason) => Some(*reason),
            Self::Expired => Some(Reason::Expired),
            Self::NotYetValid => Some(Reason::NotYetValid),
            Self::Replaced => Some(Reason::Replaced),
            Self::Ended(_) => Some(Reason::SessionEnded),
            Self::Store(_) => None,
        }
    }
}

impl From<SigningError> for CheckError {
    fn from(error: SigningError) -> Self {
        Self::Store(error.into())
    }
}

/// A genuine credential, and what is known of its session.
pub(super) struct PresentedCredential {
    named: Named,
    user_id: UserId,
    known_by: StateSource,
    /// Credentials of an earlier generation are void.
    valid_from: u32,
    session: Facts,
}

/// What a use of the session is compared with.
enum StateSource {
    Memory(Arc<LiveSession>),
    /// Which knew of a use at this time, from this address.
    Store(DateTime<Utc>, IpAddr),
}

impl StateSource {
    fn last_ip(&self) -> IpAddr {
        match self {
            Self::Memory(session) => session.last_use().1,
            Self::Store(_, ip) => *ip,
        }
    }
}

/// For whom a token is checked, and so whether that is a use of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckedFor {
    /// Whoever holds it, at this address: that is a use of the session.
    Holder(IpAddr),
    /// An application that was shown it: a use, and where from is not known.
    Application,
    /// An application that was shown it, where that is no use of the session.
    Introspection,
}

impl Sessions {
    /// Checks a token that came from `ip`, and notes that its session was used.
    pub async fn check(&self, token: &str, ip: IpAddr) -> Result<CheckedCredential, CheckError> {
        self.check_for(token, CheckedFor::Holder(ip)).await
    }

    /// The same, whoever asks.
    pub async fn check_for(&self, token: &str, by: CheckedFor) -> Result<CheckedCredential, CheckError> {
        if let Some(result) = self.look_at_once(token, by) {
            return result;
        }
        let now = self.now();
        let result = self.decide(token, by, now).await;
        self.count(result)
    }

    /// [`Self::check`] where all that is needed is in memory; `None` where it is not, or no lease is held.
    #[must_use]
    pub fn check_at_once(&self, token: &str, ip: IpAddr) -> Option<Result<CheckedCredential, CheckError>> {
        self.look_at_once(token, CheckedFor::Holder(ip))
    }

    fn look_at_once(&self, token: &str, by: CheckedFor) -> Option<Result<CheckedCredential, CheckError>> {
        // Before anything is looked up: a lease renewed in between would hide that what was found is old.
        if !self.coherence().is_live() {
            return None;
        }
        let (now, tokens) = (self.now(), &self.live().tokens);
        let (digest, key_set_version) = (Digest::of(token), self.signing().key_set_version());
        let token = tokens.get(&digest, key_set_version)?;
        let found = self.kept(&token.named, token.found.as_ref(), now)?;
        if token.found.as_ref().is_none_or(|before| before.versions != found.versions) {
            tokens.remember(digest, key_set_version, Verified { found: Some(found.clone()), ..token.clone() });
        }
        self.inner.dependencies.metrics.looked_up(true);
        let result = self.still_verified(&token, now).and_then(|()| {
            let presented = self.in_memory(token.named, found.session, &found.user);
            let user = self.judge_use(&presented, by, now)?;
            self.note_use(&presented, by, now);
            Ok(checked(presented, user))
        });
        Some(self.count(result))
    }

    pub(super) fn count(&self, result: Result<CheckedCredential, CheckError>) -> Result<CheckedCredential, CheckError> {
        self.inner.dependencies.metrics.check(result.as_ref().err().map(CheckError::word));
        result
    }

    async fn decide(&self, token: &str, by: CheckedFor, now: DateTime<Utc>) -> Result<CheckedCredential, CheckError> {
        // As above: before anything is looked up.
        let presented = if self.coherence().is_live() {
            self.found_in_memory(token, now).await?
        } else {
            self.found_in_store(token, now).await?
        };
        self.decide_on(presented, by, now).await
    }

    /// Judges what was presented, and notes the use.
    pub(super) async fn decide_on(
        &self,
        presented: PresentedCredential,
        by: CheckedFor,
        now: DateTime<Utc>,
    ) -> Result<CheckedCredential, CheckError> {
        let user = self.judge_use(&presented, by, now)?;
        if self.note_use(&presented, by, now)
            && let Err(error) = self.flush_of(std::iter::once(presented.named.session_id)).await
        {
            // Nobody is refused for that: it is written with the next ones.
            tracing::debug!(cause = %error, "last use not written at once");
        }
        Ok(checked(presented, user))
    }

    async fn found_in_memory(&self, token: &str, now: DateTime<Utc>) -> Result<PresentedCredential, CheckError> {
        let token = self.remembered(token, now).await?;
        self.named_in_memory(token.named, token.found.as_ref(), now).await
    }

    /// What is known of the session that a genuine credential names, from memory; what is not there is read into it.
    pub(super) async fn named_in_memory(
        &self,
        named: Named,
        before: Option<&Found>,
        now: DateTime<Utc>,
    ) -> Result<PresentedCredential, CheckError> {
        let kept = self.kept(&named, before, now);
        self.inner.dependencies.metrics.looked_up(kept.is_some());
        let found = match kept {
            Some(found) => Some((found.session, found.user)),
            None => self.look_up(&named).await?,
        };
        let Some((session, user)) = found else { return Err(unknown(named.session_id)) };
        Ok(self.in_memory(named, session, &user))
    }

    /// Session and user, if both are in memory and that can be relied on.
    fn kept(&self, named: &Named, before: Option<&Found>, now: DateTime<Utc>) -> Option<Found> {
        let found = self.live().find(named, before)?;
        // Other nodes may have seen it since: before a session is called idle, the store is asked.
        let session = &found.session;
        let is_fresh = session.end().is_some() || now + self.inner.last_seen.nearly_idle() < session.idle_expires_at();
        is_fresh.then_some(found)
    }

    fn in_memory(&self, named: Named, session: Arc<LiveSession>, user: &LiveUser) -> PresentedCredential {
        let facts = Facts {
            id: named.session_id,
            started_at: session.started_at(),
            expires_at: session.expires_at(),
            idle_expires_at: session.idle_expires_at(),
            ended: session.end().map(|end| end.reason),
            not_before: self.live().not_before(&session, user),
            user: user.status.clone(),
        };
        let (user_id, valid_from) = (session.user_id, session.valid_from());
        PresentedCredential { named, user_id, valid_from, known_by: StateSource::Memory(session), session: facts }
    }

    /// Reads a session and its user from the store and keeps them, unless they change meanwhile.
    async fn look_up(&self, named: &Named) -> Result<Option<(Arc<LiveSession>, Arc<LiveUser>)>, StoreError> {
        let (session_id, user_id) = (named.session_id, named.subject);
        let live = self.live();
        let (session_load, user_load) = (live.sessions.begin_load(session_id), live.users.begin_load(user_id));
        let read = self.store().read(move |db| {
            let Some(session) = sessions::find(db, session_id)? else { return Ok::<_, StoreError>(None) };
            Ok(Some((LiveSession::new(&session), read_user(db, user_id)?)))
        });
        let Some((session, user)) = read.await? else { return Ok(None) };
        let (session, user) = (Arc::new(session), Arc::new(user));
        session_load.keep(Arc::clone(&session));
        // Who is not there may be imported with the same id.
        if user.status.is_some() {
            user_load.keep(Arc::clone(&user));
        }
        Ok(Some((session, user)))
    }

    async fn found_in_store(&self, token: &str, now: DateTime<Utc>) -> Result<PresentedCredential, CheckError> {
        let (claims, key_id) = self.verified(token, now).await?;
        // Before it is asked, as with the lease.
        self.coherence().confirm_store().await?;
        let (named, sessions) = (Verified::new(&claims, None).named, self.clone());
        let read = self.store().read(move |db| {
            let known = stored(db, named.session_id)?;
            Ok::<_, StoreError>((sessions.signing().accepts(db, &key_id, now)?, known))
        });
        let (key_is_good, known) = read.await?;
        if !key_is_good {
            return Err(CheckError::Invalid(Reason::KeyRevoked));
        }
        presented_by_store(named, known)
    }

    /// What is known of the session that a genuine credential names, by a query.
    pub(super) async fn named_in_store(&self, named: Named) -> Result<PresentedCredential, CheckError> {
        // Before it is asked, as with the lease.
        self.coherence().confirm_store().await?;
        let known = self.store().read(move |db| stored(db, named.session_id)).await?;
        presented_by_store(named, known)
    }

    /// What a token says that is ours and within its time; its text is verified once.
    async fn remembered(&self, token: &str, now: DateTime<Utc>) -> Result<Verified, CheckError> {
        let (tokens, digest) = (&self.live().tokens, Digest::of(token));
        if let Some(verified) = tokens.get(&digest, self.signing().key_set_version()) {
            self.still_verified(&verified, now)?;
            return Ok(verified);
        }
        // The version of the key set is read before the keys: should they change from here on, it is one that no longer counts.
        let key_set_version = self.signing().key_set_version();
        let (claims, key_id) = self.verified(token, now).await?;
        if self.signing().status(&key_id).is_none() {
            // Another node made it a moment ago.
            self.signing().reload().await?;
        }
        let key_until = match self.signing().status(&key_id) {
            Some(KeyStatus::Current) => None,
            Some(KeyStatus::RetiredUntil(until)) => Some(until),
            Some(KeyStatus::Revoked) | None => return Err(CheckError::Invalid(Reason::KeyRevoked)),
        };
        let verified = Verified::new(&claims, key_until);
        self.still_verified(&verified, now)?;
        tokens.remember(digest, key_set_version, verified.clone());
        Ok(verified)
    }

    /// A token that was verified before is still within its own time and its key's.
    fn still_verified(&self, token: &Verified, now: DateTime<Utc>) -> Result<(), CheckError> {
        if token.key_until.is_some_and(|until| now >= until) {
            return Err(CheckError::Invalid(Reason::KeyRevoked));
        }
        check_times(&token.times, &self.expectations(now)).map_err(refused)
    }

    /// The claims of a token that is ours and within its time, and the id of its key.
    async fn verified(&self, token: &str, now: DateTime<Utc>) -> Result<(AccessClaims, String), CheckError> {
        let (claims, key_id) = self.genuine(token, now).await?;
        check_times(&claims.times(), &self.expectations(now)).map_err(refused)?;
        Ok((claims, key_id))
    }

    /// The same of a token that is ours, whatever its times.
    pub(super) async fn genuine(&self, token: &str, now: DateTime<Utc>) -> Result<(AccessClaims, String), CheckError> {
        match self.genuine_by_known_keys(token, now) {
            // Perhaps another node made a key since.
            Err(TokenRefusal::KeyUnknown) => {
                self.signing().reload_if_unknown().await?;
                self.genuine_by_known_keys(token, now).map_err(refused)
            }
            other => other.map_err(refused),
        }
    }

    fn genuine_by_known_keys(&self, token: &str, now: DateTime<Utc>) -> Result<(AccessClaims, String), TokenRefusal> {
        let keys = self.signing().verification_keys();
        let claims = genuine(token, &keys, &self.expectations(now));
        claims.map(|(claims, key)| (claims, key.id().as_str().to_owned()))
    }

    fn expectations(&self, now: DateTime<Utc>) -> Expectations<'_> {
        let rules = &self.inner.tokens;
        Expectations {
            issuer: &rules.issuer,
            audience: &rules.audience,
            form: rules.form,
            tolerance: rules.tolerance,
            now,
        }
    }

    /// Judges, and counts uses of what has ended.
    fn judge_use(
        &self,
        presented: &PresentedCredential,
        by: CheckedFor,
        now: DateTime<Utc>,
    ) -> Result<Arc<UserStatus>, CheckError> {
        let judged = self.judge_token(presented, now);
        if let (Err(CheckError::Ended(_)), CheckedFor::Holder(ip)) = (&judged, by) {
            self.inner.ended_uses.note(presented.named.session_id, ip, now);
        }
        judged
    }

    /// The user, if the token is its session's, and session and user are both good.
    fn judge_token(&self, presented: &PresentedCredential, now: DateTime<Utc>) -> Result<Arc<UserStatus>, CheckError> {
        if presented.user_id != presented.named.subject {
            return Err(CheckError::Invalid(Reason::Subject));
        }
        let user = self.judge(&presented.session, now).map_err(CheckError::Ended)?;
        if presented.named.generation < presented.valid_from {
            return Err(CheckError::Replaced);
        }
        Ok(Arc::clone(user))
    }

    /// Notes the use. `true` where that should be written before it is answered: the session is nearly idle.
    fn note_use(
        &self,
        PresentedCredential { named, user_id, known_by, session: facts, .. }: &PresentedCredential,
        by: CheckedFor,
        now: DateTime<Utc>,
    ) -> bool {
        let ip = match by {
            CheckedFor::Holder(ip) => ip,
            CheckedFor::Application => known_by.last_ip(),
            CheckedFor::Introspection => return false,
        };
        let (id, last_seen) = (named.session_id, &self.inner.last_seen);
        let idle_expires_at = Session::idle_end(now, self.inner.limits.idle_timeout, facts.expires_at);
        let seen = SessionUse { at: now, ip, idle_expires_at };
        match known_by {
            StateSource::Memory(session) if last_seen.note_live(id, session, seen) => {
                // So that they are not taken for what nobody asks for: tokens lead to them without a look-up.
                let live = self.live();
                drop((live.sessions.get(&id), live.users.get(user_id)));
            }
            StateSource::Store(last_seen_at, _) if now > *last_seen_at => last_seen.note(id, seen, *last_seen_at),
            StateSource::Memory(_) | StateSource::Store(..) => {}
        }
        now + last_seen.nearly_idle() >= facts.idle_expires_at && idle_expires_at > facts.idle_expires_at
    }
}

fn checked(presented: PresentedCredential, user: Arc<UserStatus>) -> CheckedCredential {
    CheckedCredential {
        session_id: presented.named.session_id,
        user_id: presented.user_id,
        user,
        authenticated_at: presented.session.started_at,
        session: match presented.known_by {
            StateSource::Memory(session) => Some(session),
            StateSource::Store(..) => None,
        },
    }
}

/// What the store knows of a session, and what covers it.
type Stored = Option<(SessionStatus, Option<DateTime<Utc>>)>;

fn stored(db: &mut Db, id: SessionId) -> Result<Stored, StoreError> {
    let Some(status) = sessions::status(db, id)? else { return Ok(None) };
    let not_before = not_befores::newest_of(db, status.user_id, status.client_id.as_ref())?;
    Ok(Some((status, not_before)))
}

fn presented_by_store(named: Named, known: Stored) -> Result<PresentedCredential, CheckError> {
    let Some((status, not_before)) = known else { return Err(unknown(named.session_id)) };
    let session = Facts {
        id: named.session_id,
        started_at: status.started_at,
        expires_at: status.expires_at,
        idle_expires_at: status.idle_expires_at,
        ended: status.ended,
        not_before,
        user: status.user.map(Arc::new),
    };
    let known_by = StateSource::Store(status.last_seen_at, status.last_ip);
    Ok(PresentedCredential { named, user_id: status.user_id, valid_from: status.valid_from, known_by, session })
}

/// What the live view keeps of a user.
fn read_user(db: &mut Db, id: UserId) -> Result<LiveUser, StoreError> {
    let status = users::status(db, id)?.map(Arc::new);
    Ok(LiveUser { status, not_before: not_befores::of(db, &Scope::User(id))? })
}

/// The refusal of a token of ours whose session was never there (SES-05): somebody else signs with our key, or the database
/// lost rows.
pub(super) fn unknown(id: SessionId) -> CheckError {
    tracing::warn!(session.id = %id, "token refused: its signature is good, its session is unknown");
    CheckError::Invalid(Reason::SessionUnknown)
}

fn refused(refusal: TokenRefusal) -> CheckError {
    match refusal {
        TokenRefusal::Expired => CheckError::Expired,
        TokenRefusal::NotYetValid => CheckError::NotYetValid,
        other => CheckError::Invalid(other.into()),
    }
}
