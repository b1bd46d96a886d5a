//! Audit events: the append-only record of what happened to users, sessions, clients and keys.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::id::SessionId;
use super::session::Actor;
use super::words::words;

words! {
    /// What happened. The words are stable: reviewers filter on them.
    pub enum AuditKind {
        /// A login started a session.
        SessionStarted = "session.started",
        /// A refresh token was spent for a new pair of tokens.
        SessionRefreshed = "session.refreshed",
        /// A session ended.
        SessionEnded = "session.ended",
        /// Sessions were ended by a filter, or those of a user.
        SessionsEnded = "sessions.ended",
        /// A user was created.
        UserCreated = "user.created",
        /// A user was imported.
        UserImported = "user.imported",
        /// A user got another name.
        UserRenamed = "user.renamed",
        /// A user got another role.
        UserRoleChanged = "user.role_changed",
        /// A user may log in again.
        UserEnabled = "user.enabled",
        /// A user may no longer log in.
        UserDisabled = "user.disabled",
        /// A user was deleted.
        UserDeleted = "user.deleted",
        /// The throttling of a user was lifted.
        UserUnlocked = "user.unlocked",
        /// A user's logins are closed after too many failures in a row.
        UserLocked = "user.locked",
        /// A user set another password.
        PasswordChanged = "password.changed",
        /// A token for setting a new password was issued.
        PasswordResetIssued = "password.reset_issued",
        /// A password was set with such a token.
        PasswordReset = "password.reset",
        /// A stored password was hashed anew, at today's cost.
        PasswordUpgraded = "password.upgraded",
        /// The one-time token for the first administrator was issued.
        SetupIssued = "setup.issued",
        /// The first administrator was created.
        SetupCompleted = "setup.completed",
        /// A client was registered.
        ClientCreated = "client.created",
        /// A client was removed.
        ClientRemoved = "client.removed",
        /// A client got a new secret.
        ClientSecretRotated = "client.secret_rotated",
        /// A signing key was made.
        KeyCreated = "key.created",
        /// A signing key was replaced by a newer one.
        KeyRotated = "key.rotated",
        /// A signing key was revoked: its tokens are refused.
        KeyRevoked = "key.revoked",
        /// A not-before was set.
        NotBeforeSet = "not_before.set",
        /// The database turned out to be an older copy of itself: every session is refused.
        DatabaseWentBack = "database.went_back",
        /// A token with a good signature named a session that was never there.
        SessionUnknown = "session.unknown",
        /// Somebody read other people's history.
        HistoryRead = "history.read",
        /// Somebody exported other people's history.
        HistoryExported = "history.exported",
        /// Somebody looked up a session by a token.
        TokenLookedUp = "token.looked_up",
    }
}

words! {
    /// What kind of thing an event is about.
    pub enum SubjectKind {
        /// A user.
        User = "user",
        /// A session.
        Session = "session",
        /// A client.
        Client = "client",
        /// A signing key.
        Key = "key",
        /// Everybody, or the history as a whole.
        Everybody = "everybody",
    }
}

/// What an event is about: `{"kind", "id"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What kind of thing.
    pub kind: SubjectKind,
    /// Its id; `None` for everybody.
    pub id: Option<String>,
}

impl Subject {
    /// A thing with an id.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over the id they have")]
    pub fn new(kind: SubjectKind, id: impl ToString) -> Self {
        Self { kind, id: Some(id.to_string()) }
    }

    /// Everybody, or the history as a whole.
    #[must_use]
    pub const fn everybody() -> Self {
        Self { kind: SubjectKind::Everybody, id: None }
    }
}

/// The request (or command) behind an operation, as far as the record keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Who acts.
    pub actor: Actor,
    /// From which address; `None` on the command line.
    pub ip: Option<IpAddr>,
    /// In which request; `None` on the command line.
    pub request_id: Option<String>,
}

impl Cause {
    /// Something the operator does on the command line.
    #[must_use]
    pub fn command_line() -> Self {
        Self::system("cli")
    }

    /// Something Vigie does by itself.
    #[must_use]
    pub fn system(part: &str) -> Self {
        Self { actor: Actor::system(part), ip: None, request_id: None }
    }
}

/// An event that is about to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// What happened.
    pub kind: AuditKind,
    /// By whom, from where.
    pub cause: Cause,
    /// To what.
    pub subject: Subject,
    /// In which session, if in one.
    pub session_id: Option<SessionId>,
    /// What else there is to say: an object, without secrets.
    pub details: Value,
}

impl AuditEvent {
    /// An event without details and outside any session.
    #[must_use]
    pub fn new(at: DateTime<Utc>, kind: AuditKind, cause: &Cause, subject: Subject) -> Self {
        Self {
            at,
            kind,
            cause: cause.clone(),
            subject,
            session_id: None,
            details: Value::Object(serde_json::Map::new()),
        }
    }

    /// The same, in a session.
    #[must_use]
    pub const fn in_session(mut self, id: SessionId) -> Self {
        self.session_id = Some(id);
        self
    }

    /// The same, with details (an object).
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// Its number; higher is later.
    pub seq: i64,
    /// What was recorded.
    pub event: AuditEvent,
}
