//! Sessions: one login and what follows from it, until its end.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};

use super::client::ClientId;
use super::id::{SessionId, TokenId, UserId};
use super::secret::SecretDigest;
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
    }
}

words! {
    /// Whether a session can still be used.
    pub enum SessionState {
        /// It can.
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

/// Who did something: `{"kind", "id"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What kind of party.
    pub kind: ActorKind,
    /// The user's or client's id; for the system what acted, such as `cli` or `expiry`.
    pub id: String,
}

impl Actor {
    /// The user concerned.
    #[must_use]
    pub fn user(id: UserId) -> Self {
        Self { kind: ActorKind::User, id: id.to_string() }
    }

    /// An administrator or reviewer.
    #[must_use]
    pub fn admin(id: UserId) -> Self {
        Self { kind: ActorKind::Admin, id: id.to_string() }
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
    /// Why.
    pub reason: EndReason,
    /// By whom.
    pub by: Actor,
    /// What an administrator noted.
    pub note: Option<String>,
}

/// Where a request came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, by the rule for trusted proxies.
    pub ip: IpAddr,
    /// `User-Agent`, at most 512 visible ASCII characters (PRV-06).
    pub user_agent: Option<String>,
}

/// What a user agent says of the device; each part is `None` where it is not recognised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// Such as `Firefox`.
    pub browser: Option<String>,
    /// Such as `Windows 11`.
    pub os: Option<String>,
    /// `pc`, `smartphone`, `mobilephone`, `appliance`, `crawler` or `misc`.
    pub kind: Option<String>,
}

/// The access token issued last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrentToken {
    /// Its claim `jti`.
    pub id: TokenId,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// Until when it verifies.
    pub expires_at: DateTime<Utc>,
}

/// The refresh tokens of a session: one live, and one spent that is remembered for the grace.
///
/// A successor is derived from the token it replaces and `salt`, so that a retry within the grace is given the same
/// one again, and neither the database nor the spent token alone yields it (`token::refresh`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshTokens {
    /// How often the session was refreshed; the live token's number.
    pub generation: u32,
    /// SHA-256 of the live token.
    pub live: SecretDigest,
    /// What the live token was derived with; `None` for the first.
    pub salt: Option<[u8; 32]>,
    /// SHA-256 of the token that was spent last, and when.
    pub spent: Option<(SecretDigest, DateTime<Utc>)>,
}

/// A session as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Claim `sid`.
    pub id: SessionId,
    /// Whose it is; the user may have been deleted since.
    pub user_id: UserId,
    /// The user's name at the time of login.
    pub username: Username,
    /// The user's role at the time of login.
    pub role: Role,
    /// The application that was named at login.
    pub client_id: Option<ClientId>,
    /// What the user or application calls the device.
    pub device_name: Option<String>,
    /// Where the login came from.
    pub origin: Origin,
    /// What its user agent says of the device.
    pub device: Device,
    /// How the user proved the identity (RFC 8176), such as `pwd`.
    pub methods: Vec<String>,
    /// When the user logged in.
    pub started_at: DateTime<Utc>,
    /// When it was last used.
    pub last_seen_at: DateTime<Utc>,
    /// Where it was last used from.
    pub last_ip: IpAddr,
    /// When it ends in any case.
    pub expires_at: DateTime<Utc>,
    /// When it ends unless it is used before.
    pub idle_expires_at: DateTime<Utc>,
    /// The access token issued last.
    pub token: CurrentToken,
    /// Its refresh tokens.
    pub refresh: RefreshTokens,
    /// How it ended, if it did.
    pub end: Option<End>,
}

impl Session {
    /// Whether it has ended, or its time has come, at `now`.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> SessionState {
        if self.end.is_some() || self.overdue(now).is_some() { SessionState::Ended } else { SessionState::Active }
    }

    /// The end that time has brought by `now`, whether or not it is recorded yet. A session is over when its time has
    /// come, not when somebody notices (SES-06, SES-07).
    #[must_use]
    pub fn overdue(&self, now: DateTime<Utc>) -> Option<End> {
        overdue(self.expires_at, self.idle_expires_at, now)
    }

    /// When the idle time ends for a session seen at `seen`.
    #[must_use]
    pub fn idle_end(seen: DateTime<Utc>, idle_timeout: TimeDelta, expires_at: DateTime<Utc>) -> DateTime<Utc> {
        (seen + idle_timeout).min(expires_at)
    }
}

/// The end that time has brought by `now` to a session with these two limits.
#[must_use]
pub fn overdue(expires_at: DateTime<Utc>, idle_expires_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<End> {
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
        assert_eq!(overdue(at(720), at(30), at(29)), None);
        assert_eq!(
            overdue(at(720), at(30), at(30)).map(|end| (end.at, end.reason)),
            Some((at(30), EndReason::IdleTimeout))
        );
        assert_eq!(
            overdue(at(720), at(720), at(800)).map(|end| (end.at, end.reason)),
            Some((at(720), EndReason::Expired))
        );
    }

    #[test]
    fn idle_time_never_outlives_the_lifetime() {
        assert_eq!(Session::idle_end(at(710), TimeDelta::minutes(30), at(720)), at(720));
    }

    #[test]
    fn the_reasons_are_the_closed_list_of_the_product() {
        let words: Vec<_> = EndReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), 15);
        assert!(words.iter().all(|word| word.parse::<EndReason>().is_ok()));
    }
}
