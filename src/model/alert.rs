//! Alerts: what a reviewer should look at soon (LOG-11).

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::audit::Subject;
use super::id::{AlertId, SessionId, UserId};
use super::words::words;

words! {
    /// What an alert is about. The words are stable: rules elsewhere match on them.
    pub enum AlertKind {
        /// Somebody logged in after many failures on the account.
        LoginAfterFailures = "login_after_failures",
        /// A user logged in from a device or network that is new for them.
        NewDevice = "new_device",
        /// The access token of an ended session was used again, from elsewhere.
        EndedTokenUsed = "ended_token_used",
        /// A spent refresh token was used again: one of the two who have it is a thief.
        SpentTokenUsed = "spent_token_used",
        /// Few tries on each of many accounts.
        PasswordSpraying = "password_spraying",
        /// Many names tried from one network.
        CredentialStuffing = "credential_stuffing",
        /// Many sessions were ended at once.
        ManyEnds = "many_ends",
        /// The database turned out to be an older copy of itself.
        HistoryWentBack = "history_went_back",
        /// The record was altered.
        RecordDamaged = "record_damaged",
        /// What is written to the history has not been sealed for some seconds.
        SealingStopped = "sealing_stopped",
    }
}

/// An alert that is about to be raised.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAlert {
    /// When.
    pub at: DateTime<Utc>,
    /// What it is about.
    pub kind: AlertKind,
    /// Whom or what it concerns; of one kind and subject there is one at a time.
    pub subject: Subject,
    /// The user concerned.
    pub user_id: Option<UserId>,
    /// The session concerned.
    pub session_id: Option<SessionId>,
    /// From where.
    pub ip: Option<IpAddr>,
    /// What else there is to say: an object, without secrets.
    pub details: Value,
}

impl NewAlert {
    /// An alert without details.
    #[must_use]
    pub fn new(at: DateTime<Utc>, kind: AlertKind, subject: Subject) -> Self {
        let details = Value::Object(serde_json::Map::new());
        Self { at, kind, subject, user_id: None, session_id: None, ip: None, details }
    }

    /// The same about a user.
    #[must_use]
    pub const fn of_user(mut self, id: UserId) -> Self {
        self.user_id = Some(id);
        self
    }

    /// The same about a session.
    #[must_use]
    pub const fn in_session(mut self, id: SessionId) -> Self {
        self.session_id = Some(id);
        self
    }

    /// The same from an address.
    #[must_use]
    pub const fn from_address(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }

    /// The same, with details (an object).
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

/// An alert as the store knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Names it.
    pub id: AlertId,
    /// What was raised first.
    pub raised: NewAlert,
    /// The user's present name.
    pub username: Option<String>,
    /// When it happened last.
    pub last_at: DateTime<Utc>,
    /// How often it happened.
    pub count: i32,
    /// When the user said that the login was not theirs.
    pub disowned_at: Option<DateTime<Utc>>,
    /// Who looked at it.
    pub acknowledged: Option<Acknowledged>,
}

/// That somebody looked at an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: a user's id, or `cli`.
    pub by: String,
    /// What they noted.
    pub note: Option<String>,
}

impl Alert {
    /// How long it has been open, or was until it was acknowledged.
    #[must_use]
    pub fn age(&self, now: DateTime<Utc>) -> TimeDelta {
        let until = self.acknowledged.as_ref().map_or(now, |acknowledged| acknowledged.at);
        (until - self.raised.at).max(TimeDelta::zero())
    }

    /// Whether it has been open for longer than it may.
    #[must_use]
    pub fn is_overdue(&self, now: DateTime<Utc>, limit: TimeDelta) -> bool {
        self.acknowledged.is_none() && self.age(now) > limit
    }
}
