//! Sessions: one login and what follows from it, until its end.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::client::{ClientId, LoginClient};
use super::id::{SessionId, TokenId, UserId};
use super::user::{Role, Username};
use super::words::words;

words! {
    /// Why a session ended. The list is closed; the first end wins.
    pub enum EndReason {
        /// The user logged out.
        Logout = "logout",
        /// The user logged out everywhere.
        LogoutAll = "logout_all",
        /// The user ended it from the list of own sessions.
        EndedByOwner = "ended_by_owner",
        /// An administrator ended it.
        EndedByAdmin = "ended_by_admin",
        /// An administrator ended all that match a filter.
        BulkEnd = "bulk_end",
        /// A client revoked one of its tokens (RFC 7009).
        TokenRevoked = "token_revoked",
        /// The user set another password.
        PasswordChanged = "password_changed",
        /// The user's role changed, and the policy ends sessions then.
        RightsChanged = "rights_changed",
        /// The user was disabled.
        UserDisabled = "user_disabled",
        /// The user was deleted.
        UserDeleted = "user_deleted",
        /// A spent refresh token was presented again: it was stolen.
        RefreshReused = "refresh_reused",
        /// Nobody used it for too long.
        IdleTimeout = "idle_timeout",
        /// Its lifetime was over.
        Expired = "expired",
        /// A further login of the user took its place.
        SessionLimit = "session_limit",
        /// A not-before covers it.
        NotBefore = "not_before",
        /// The client that it belonged to was removed.
        ClientRemoved = "client_removed",
    }
}

words! {
    /// Whether a session can still be used.
    pub enum SessionState {
        /// It can be used.
        Active = "active",
        /// It cannot, and never will again.
        Ended = "ended",
    }
}

words! {
    /// What kind of party did something.
    pub enum ActorKind {
        /// The user concerned.
        User = "user",
        /// A user with the permission `admin` (or, where it reads, `auditor`).
        Admin = "admin",
        /// A registered client.
        Client = "client",
        /// Vigie itself, or its operator on the command line.
        System = "system",
    }
}

words! {
    /// What the holder of a session was given to continue it with.
    pub enum SessionCredential {
        /// An access token and a refresh token: an application.
        Tokens = "tokens",
        /// A cookie: a browser on Vigie's own pages. Its current token was never issued.
        Cookie = "cookie",
    }
}

impl SessionCredential {
    /// The word in the database and in digests, which have none for tokens: once there was nothing else.
    #[must_use]
    pub fn recorded(self) -> Option<&'static str> {
        (self != Self::Tokens).then(|| self.as_str())
    }
}

/// Who did something: `{"kind", "id"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of party.
    pub kind: ActorKind,
    /// The user's or client's id; for the system what acted, such as `cli` or `expiry`.
    pub id: String,
}

impl Actor {
    /// The user concerned, as an actor.
    #[must_use]
    pub fn user(id: UserId) -> Self {
        Self { kind: ActorKind::User, id: id.to_string() }
    }

    /// An administrator or reviewer.
    #[must_use]
    pub fn admin(id: UserId) -> Self {
        Self { kind: ActorKind::Admin, id: id.to_string() }
    }

    /// A registered client, as an actor.
    #[must_use]
    pub fn client(id: &ClientId) -> Self {
        Self { kind: ActorKind::Client, id: id.to_string() }
    }

    /// A part of Vigie.
    #[must_use]
    pub fn system(part: &str) -> Self {
        Self { kind: ActorKind::System, id: part.to_owned() }
    }

    /// The operator on the command line.
    #[must_use]
    pub fn command_line() -> Self {
        Self::system("cli")
    }
}

/// How a session ended: once, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The moment from which it was over.
    pub at: DateTime<Utc>,
    /// The reason of the end.
    pub reason: EndReason,
    /// The party that ended it.
    pub by: Actor,
    /// What an administrator noted.
    pub note: Option<String>,
}

/// Where a request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// The client's address, by the rule for trusted proxies.
    pub ip: IpAddr,
    /// `User-Agent`, at most 512 visible ASCII characters (PRV-06).
    pub user_agent: Option<String>,
}

/// What a user agent says of the device; each part is `None` where it is not recognised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// The name of the browser, such as `Firefox`.
    pub browser: Option<String>,
    /// The name of the operating system, such as `Windows 11`.
    pub os: Option<String>,
    /// `pc`, `smartphone`, `mobilephone`, `appliance`, `crawler` or `misc`.
    pub kind: Option<String>,
}

/// The access token issued last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentToken {
    /// The id of the token: its claim `jti` (RFC 7519 §4.1.7).
    pub id: TokenId,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// Until when it verifies.
    pub expires_at: DateTime<Utc>,
}

/// The refresh tokens of a session: numbered generations, of which one is live.
///
/// Each is derived from the seed and its number under a key that the database has only encrypted (`token::refresh`). So nothing
/// stored can be replayed, every token ever issued can be told from a forged one, and a retry within the grace is given
/// the very token that it missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshTokens {
    /// The number of the live token; how often the session was refreshed.
    pub generation: u32,
    /// Random, made with the session.
    pub seed: [u8; 32],
    /// When a generation was last spent: the one before the live one, or, where the live one replaced others, the one before those.
    pub spent_at: Option<DateTime<Utc>>,
    /// Tokens of an earlier generation are void.
    pub valid_from: u32,
}

impl RefreshTokens {
    /// The tokens of a new session: the first generation is live.
    #[must_use]
    pub const fn first(seed: [u8; 32]) -> Self {
        Self { generation: 0, seed, spent_at: None, valid_from: 0 }
    }

    /// The next generation, the live one being spent at `now`.
    #[must_use]
    pub const fn next(&self, now: DateTime<Utc>) -> Self {
        Self { generation: self.generation.saturating_add(1), spent_at: Some(now), ..*self }
    }

    /// The next generation, all tokens from before being void: there is no grace for those of the live one.
    #[must_use]
    pub fn replaced(&self, now: DateTime<Utc>) -> Self {
        let generation = self.generation.saturating_add(1);
        Self { generation, valid_from: generation, spent_at: self.spent_at.or(Some(now)), ..*self }
    }

    /// What presenting generation `presented` at `now` means (TOK-02, TOK-04).
    #[must_use]
    pub fn presented(&self, presented: u32, grace: TimeDelta, now: DateTime<Utc>) -> RefreshTokenStatus {
        if presented == self.generation {
            return RefreshTokenStatus::Live;
        }
        if presented.checked_add(1) == Some(self.valid_from) {
            return RefreshTokenStatus::Void;
        }
        // In either direction: the clock may have been set back since, or be behind that of the node where it was spent.
        let within_grace = self.spent_at.is_some_and(|spent_at| (now - spent_at).abs() < grace);
        let is_before = |generation: u32| presented.checked_add(1) == Some(generation);
        // A lost answer, had its successor not been replaced meanwhile: there is nothing to give again.
        let is_before_replaced =
            self.generation == self.valid_from && presented.checked_add(2) == Some(self.valid_from);
        match within_grace {
            true if is_before_replaced => RefreshTokenStatus::Void,
            true if is_before(self.generation) => RefreshTokenStatus::Again,
            _ => RefreshTokenStatus::Reused,
        }
    }
}

/// What presenting a refresh token means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshTokenStatus {
    /// It is the live one: it is spent for its successor.
    Live,
    /// It was spent a moment ago and its successor is unused: an answer got lost. The same successor again.
    Again,
    /// It was the live one when the user chose another password, and was replaced. Whoever shows it, another window or a thief, gets nothing by it, and
    /// ends nothing.
    Void,
    /// It was spent, and somebody went on with its successor or waited too long: one of the two stole it.
    Reused,
}

/// A session as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Names the session for ever: the claim `sid` of its tokens.
    pub id: SessionId,
    /// Whose it is; the user may have been deleted since.
    pub user_id: UserId,
    /// The user's name at the time of login.
    pub username: Username,
    /// The user's role at the time of login.
    pub role: Role,
    /// The application that was named at login.
    pub client: LoginClient,
    /// What the user or application called the device at login.
    pub device_name: Option<String>,
    /// What the user calls the session, given while it lives.
    pub name: Option<String>,
    /// The address and the user agent of the login.
    pub client_info: ClientInfo,
    /// What its user agent says of the device.
    pub device: Device,
    /// How the user proved the identity (RFC 8176), such as `pwd`.
    pub methods: Vec<String>,
    /// When the user logged in.
    pub started_at: DateTime<Utc>,
    /// When it was last used.
    pub last_seen_at: DateTime<Utc>,
    /// The address from which it was last used.
    pub last_ip: IpAddr,
    /// When it ends in any case.
    pub expires_at: DateTime<Utc>,
    /// When it ends unless it is used before.
    pub idle_expires_at: DateTime<Utc>,
    /// What its holder was given.
    pub credential: SessionCredential,
    /// The access token issued last; of a session that a cookie continues, one that was never issued.
    pub token: CurrentToken,
    /// The generations of its refresh tokens, of which one is live.
    pub refresh: RefreshTokens,
    /// When, by whom and why it ended; `None` while it is active.
    pub end: Option<End>,
}

impl Session {
    /// The access token issued last, if any was.
    #[must_use]
    pub fn issued_token(&self) -> Option<&CurrentToken> {
        (self.credential == SessionCredential::Tokens).then_some(&self.token)
    }

    /// Whether it has ended, or its time has come, at `now`.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> SessionState {
        if self.end.is_some() || self.expired(now).is_some() { SessionState::Ended } else { SessionState::Active }
    }

    /// The end that time has brought by `now`, whether or not it is recorded yet. A session is over when its time has
    /// come, not when somebody notices (SES-06, SES-07).
    #[must_use]
    pub fn expired(&self, now: DateTime<Utc>) -> Option<End> {
        expired(self.expires_at, self.idle_expires_at, now)
    }

    /// When the idle time ends for a session seen at `seen`.
    #[must_use]
    pub fn idle_end(seen: DateTime<Utc>, idle_timeout: TimeDelta, expires_at: DateTime<Utc>) -> DateTime<Utc> {
        (seen + idle_timeout).min(expires_at)
    }
}

/// The end that time has brought by `now` to a session with these two limits.
#[must_use]
pub fn expired(expires_at: DateTime<Utc>, idle_expires_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<End> {
    let (at, reason) = if idle_expires_at < expires_at {
        (idle_expires_at, EndReason::IdleTimeout)
    } else {
        (expires_at, EndReason::Expired)
    };
    (now >= at).then(|| End { at, reason, by: Actor::system("expiry"), note: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * minutes, 0).unwrap()
    }

    #[test]
    fn time_ends_a_session_at_the_earlier_of_its_limits() {
        assert_eq!(expired(at(720), at(30), at(29)), None);
        assert_eq!(
            expired(at(720), at(30), at(30)).map(|end| (end.at, end.reason)),
            Some((at(30), EndReason::IdleTimeout))
        );
        assert_eq!(
            expired(at(720), at(720), at(800)).map(|end| (end.at, end.reason)),
            Some((at(720), EndReason::Expired))
        );
    }

    #[test]
    fn idle_time_never_outlives_the_lifetime() {
        assert_eq!(Session::idle_end(at(710), TimeDelta::minutes(30), at(720)), at(720));
    }

    #[test]
    fn a_spent_token_is_a_lost_answer_only_in_the_grace_and_before_its_successor_is_used() {
        let grace = TimeDelta::seconds(30);
        let spent = at(0);
        let second = RefreshTokens::first([7; 32]).next(spent);
        assert_eq!(second.presented(1, grace, at(9)), RefreshTokenStatus::Live);
        assert_eq!(second.presented(0, grace, spent + TimeDelta::seconds(29)), RefreshTokenStatus::Again);
        assert_eq!(second.presented(0, grace, spent + grace), RefreshTokenStatus::Reused);
        assert_eq!(second.presented(0, TimeDelta::zero(), spent), RefreshTokenStatus::Reused);
        let third = second.next(spent + TimeDelta::seconds(1));
        assert_eq!(third.presented(0, grace, spent + TimeDelta::seconds(2)), RefreshTokenStatus::Reused);
        assert_eq!(third.presented(1, grace, spent + TimeDelta::seconds(2)), RefreshTokenStatus::Again);
        let fourth = third.replaced(spent);
        assert_eq!((fourth.valid_from, fourth.next(spent).valid_from), (3, 3));
        assert_eq!(fourth.presented(2, grace, spent + TimeDelta::seconds(2)), RefreshTokenStatus::Void);
        assert_eq!(fourth.next(spent).presented(2, grace, spent + grace), RefreshTokenStatus::Void);
        // Another window that had missed its answer before the password was changed ends nothing (TOK-02).
        assert_eq!(fourth.presented(1, grace, spent + grace), RefreshTokenStatus::Void);
        assert_eq!(fourth.presented(1, grace, spent + grace + TimeDelta::seconds(1)), RefreshTokenStatus::Reused);
        assert_eq!(fourth.presented(0, grace, spent), RefreshTokenStatus::Reused);
        assert_eq!(fourth.next(spent).presented(1, grace, spent), RefreshTokenStatus::Reused);
        let first = RefreshTokens::first([7; 32]).replaced(spent);
        assert_eq!(first.presented(0, grace, spent), RefreshTokenStatus::Void);
    }

    #[test]
    fn the_reasons_are_the_closed_list_of_the_product() {
        let words: Vec<_> = EndReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), 16);
        assert!(words.iter().all(|word| word.parse::<EndReason>().is_ok()));
    }
}
