//! Records: what the chain keeps of each audit event, attempt and session, so that none can be changed unseen (P6).
//!
//! A digest covers every member of what it stands for. The members are written one after the other, each with its length,
//! so that no two different things are written alike.

use std::fmt::Display;
use std::io::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};

use super::attempt::Attempt;
use super::audit::RecordedEvent;
use super::session::{End, Session};
use super::words::words;

words! {
    /// What a record is of.
    pub enum RecordKind {
        /// An audit event; the subject is its number.
        Event = "event",
        /// An attempt; the subject is its id.
        Attempt = "attempt",
        /// A session as it began; the subject is its id.
        SessionStarted = "session_started",
        /// A session as it ended; the subject is its id.
        SessionEnded = "session_ended",
    }
}

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// What the chain keeps of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is of.
    pub kind: RecordKind,
    /// Which one.
    pub subject: String,
    /// When that happened.
    pub at: DateTime<Utc>,
    /// Covers every member.
    pub digest: Digest,
}

impl Record {
    /// The record of an audit event.
    #[must_use]
    pub fn of_event(RecordedEvent { seq, event }: &RecordedEvent) -> Self {
        let mut members = Members::of(RecordKind::Event);
        members.number(*seq);
        members.time(event.at);
        members.text(event.kind.as_str());
        members.text(event.outcome.as_str());
        members.optional(event.reason.map(super::audit::Reason::as_str));
        members.text(event.cause.actor.kind.as_str());
        members.text(&event.cause.actor.id);
        members.text(event.subject.kind.as_str());
        members.optional(event.subject.id.as_deref());
        members.optional(event.session_id);
        members.optional(event.cause.ip);
        members.optional(event.cause.request_id.as_deref());
        // Objects are sorted by their members' names, in both databases.
        members.shown(&event.details);
        members.record(seq.to_string(), event.at)
    }

    /// The record of an attempt.
    #[must_use]
    pub fn of_attempt(attempt: &Attempt) -> Self {
        let mut members = Members::of(RecordKind::Attempt);
        members.shown(attempt.id);
        members.time(attempt.at);
        members.text(&attempt.username);
        members.optional(attempt.user_id);
        members.text(attempt.outcome.as_str());
        members.shown(attempt.ip);
        members.optional(attempt.user_agent.as_deref());
        members.optional(attempt.client_id.as_ref().map(super::client::ClientId::as_str));
        members.optional(attempt.session_id);
        members.text(&attempt.request_id);
        members.record(attempt.id.to_string(), attempt.at)
    }

    /// The record of a session as it began: what does not change while it lives.
    #[must_use]
    pub fn of_start(session: &Session) -> Self {
        let mut members = Members::of(RecordKind::SessionStarted);
        members.start(session);
        members.record(session.id.to_string(), session.started_at)
    }

    /// The record of a session as it ended: from here on nothing of it changes. `None` while it lives.
    #[must_use]
    pub fn of_end(session: &Session) -> Option<Self> {
        let End { at, reason, by, note } = session.end.as_ref()?;
        let mut members = Members::of(RecordKind::SessionEnded);
        members.start(session);
        members.time(session.last_seen_at);
        members.shown(session.last_ip);
        members.time(session.idle_expires_at);
        members.shown(session.token.id);
        members.time(session.token.issued_at);
        members.time(session.token.expires_at);
        members.number(i64::from(session.refresh.generation));
        members.bytes(&session.refresh.seed);
        members.optional_time(session.refresh.spent_at);
        members.time(*at);
        members.text(reason.as_str());
        members.text(by.kind.as_str());
        members.text(&by.id);
        members.optional(note.as_deref());
        Some(members.record(session.id.to_string(), *at))
    }

    /// What the chain and the tree are made of: the record, as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96 + self.subject.len());
        for part in [self.kind.as_str().as_bytes(), self.subject.as_bytes(), &self.at.timestamp_micros().to_be_bytes()]
        {
            bytes.extend(length(part));
            bytes.extend(part);
        }
        bytes.extend(self.digest);
        bytes
    }
}

/// Bytes that a length takes.
const LENGTH: usize = 8;

fn length(part: &[u8]) -> [u8; LENGTH] {
    u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()
}

/// Room for the members of nearly everything.
const USUAL: usize = 1_024;

/// Members that are to be digested, one after the other.
struct Members {
    kind: RecordKind,
    bytes: Vec<u8>,
}

impl Members {
    fn of(kind: RecordKind) -> Self {
        let mut members = Self { kind, bytes: Vec::with_capacity(USUAL) };
        members.text(kind.as_str());
        members
    }

    fn start(&mut self, session: &Session) {
        self.shown(session.id);
        self.shown(session.user_id);
        self.text(session.username.as_str());
        self.text(session.role.as_str());
        self.optional(session.client_id.as_ref().map(super::client::ClientId::as_str));
        self.optional(session.device_name.as_deref());
        self.shown(session.origin.ip);
        self.optional(session.origin.user_agent.as_deref());
        self.optional(session.device.browser.as_deref());
        self.optional(session.device.os.as_deref());
        self.optional(session.device.kind.as_deref());
        self.text(&session.methods.join(" "));
        self.time(session.started_at);
        self.time(session.expires_at);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend(length(bytes));
        self.bytes.extend(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// What is shown as a text, without making that text first.
    fn shown(&mut self, value: impl Display) {
        let begin = self.bytes.len();
        self.bytes.extend(length(&[]));
        write!(self.bytes, "{value}").expect("memory takes it");
        let (before, shown) = self.bytes.split_at_mut(begin + LENGTH);
        before[begin..].copy_from_slice(&length(shown));
    }

    fn optional(&mut self, value: Option<impl Display>) {
        self.bytes.push(u8::from(value.is_some()));
        match value {
            Some(value) => self.shown(value),
            None => self.text(""),
        }
    }

    fn number(&mut self, number: i64) {
        self.bytes(&number.to_be_bytes());
    }

    fn time(&mut self, at: DateTime<Utc>) {
        self.number(at.timestamp_micros());
    }

    fn optional_time(&mut self, at: Option<DateTime<Utc>>) {
        self.bytes.push(u8::from(at.is_some()));
        self.number(at.map_or(0, |at| at.timestamp_micros()));
    }

    fn record(self, subject: String, at: DateTime<Utc>) -> Record {
        let mut covering = [0; 32];
        covering.copy_from_slice(digest(&SHA256, &self.bytes).as_ref());
        Record { kind: self.kind, subject, at, digest: covering }
    }
}
