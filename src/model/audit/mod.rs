//! Audit events: the append-only record of what happened to users, sessions, clients and keys, and of what was refused.

mod kind;
mod reason;
mod values;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::attempt::Attempt;
use super::details::InvalidDetails;
use super::id::SessionId;
use super::session::Actor;
use super::user::Role;
use super::words::words;
pub use kind::{AuditKind, Details, KindFacts};
pub use reason::Reason;
pub use values::{Aggregate, HistoryPart, Removed, RotationStep};

words! {
    /// Whether what was asked for was done.
    pub enum Outcome {
        /// It was done.
        Success = "success",
        /// It was refused, or went wrong.
        Failure = "failure",
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
        /// An address or network.
        Network = "network",
        /// What failures are counted for.
        Throttle = "throttle",
        /// An alert.
        Alert = "alert",
        /// Nothing that is known: a name that nobody has, a token that nobody issued, or many things at once.
        Unknown = "unknown",
    }
}

/// What an event is about: `{"kind", "id"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What kind of thing.
    pub kind: SubjectKind,
    /// The id of the subject; `None` for everybody.
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

    /// Nothing that is known.
    #[must_use]
    pub const fn unknown() -> Self {
        Self { kind: SubjectKind::Unknown, id: None }
    }
}

/// The request (or command) behind an operation, as far as the record keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditContext {
    /// The party that acts.
    pub actor: Actor,
    /// From which address; `None` on the command line.
    pub ip: Option<IpAddr>,
    /// In which request; `None` on the command line.
    pub request_id: Option<String>,
    /// In which session; `None` where none acts. It is looked at again in the transaction of what is done, and is no part of
    /// the record.
    pub acting: Option<ActingSession>,
}

/// A session that acts, as it was when it was last judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActingSession {
    /// The session in which somebody acts.
    pub session_id: SessionId,
    /// The role that allowed it.
    pub role: Role,
}

impl AuditContext {
    /// Something the operator does on the command line.
    #[must_use]
    pub fn command_line() -> Self {
        Self::system("cli")
    }

    /// Something Vigie does by itself.
    #[must_use]
    pub fn system(part: &str) -> Self {
        Self { actor: Actor::system(part), ip: None, request_id: None, acting: None }
    }
}

/// An event: about to be recorded, or as it was recorded. It is made of [`Details`], and keeps them as the JSON that is digested
/// and stored: what an older or newer version recorded is read as well.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// When it happened, to the microsecond.
    pub at: DateTime<Utc>,
    /// The kind of the event: what happened.
    pub kind: AuditKind,
    /// Whether it was done: what the kind says.
    pub outcome: Outcome,
    /// Why it was not done.
    pub reason: Option<Reason>,
    /// Who did it, from which address, in which request.
    pub context: AuditContext,
    /// The user, session, client or other thing that it happened to.
    pub subject: Subject,
    /// In which session, if in one.
    pub session_id: Option<SessionId>,
    /// What else there is to say: an object, without secrets.
    pub details: Value,
}

impl AuditEvent {
    /// An event outside any session.
    #[must_use]
    pub fn new(at: DateTime<Utc>, details: Details, context: &AuditContext, subject: Subject) -> Self {
        Self::of_kind(details.kind(), at, details.into_value(), context, subject)
    }

    /// One event in place of many of a kind, about nothing in particular.
    #[must_use]
    pub fn of_many(kind: AuditKind, at: DateTime<Utc>, counted: Aggregate, context: &AuditContext) -> Self {
        Self::of_kind(kind, at, counted.into_value(), context, Subject::unknown())
    }

    fn of_kind(kind: AuditKind, at: DateTime<Utc>, details: Value, context: &AuditContext, subject: Subject) -> Self {
        let (outcome, context) = (kind.facts().outcome, context.clone());
        Self { at, kind, outcome, reason: None, context, subject, session_id: None, details }
    }

    /// A failed attempt: at a change of the password if `kind` says so, or else at a login.
    #[must_use]
    pub fn of_failed_attempt(kind: AuditKind, attempt: &Attempt) -> Self {
        let (ip, request_id) = (Some(attempt.ip), Some(attempt.request_id.clone()));
        let subject = attempt.user_id.map_or_else(Subject::unknown, |id| Subject::new(SubjectKind::User, id));
        // Whoever logs in is not known to be the user; whoever changes a password has a session.
        let (actor, details) = if kind == AuditKind::PasswordChangeRefused {
            (attempt.user_id.map(Actor::user), Details::PasswordChangeRefused {})
        } else {
            (None, Details::login_failed(Some(attempt.username.clone()), &attempt.client))
        };
        let actor = actor.unwrap_or_else(|| Actor::system("login"));
        let event = Self::new(attempt.at, details, &AuditContext { actor, ip, request_id, acting: None }, subject);
        Self { reason: Reason::of_attempt(attempt.outcome), ..event }
    }

    /// The same event, in a session.
    #[must_use]
    pub const fn in_session(mut self, id: SessionId) -> Self {
        self.session_id = Some(id);
        self
    }

    /// The same, not done for this reason.
    #[must_use]
    pub const fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// What its details say. An error where it is no event of its own but stands for many, where the details were erased, and where
    /// it was recorded by a version that had other members.
    pub fn details(&self) -> Result<Details, InvalidDetails> {
        Details::read(self.kind, &self.details)
    }
}

/// An event as it was recorded, with its number.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// The number of the event: one that was recorded later has a higher one.
    pub seq: i64,
    /// The event.
    pub event: AuditEvent,
}
