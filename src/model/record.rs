//! Records: what the chain keeps of each audit event, attempt and session, so that none can be changed unseen (P6).
//!
//! A digest covers every member of what it stands for. The members are written one after the other, each with its length,
//! so that no two different things are written alike. What can be removed before its row is covered by commitments
//! (`model::redaction`).

use std::fmt::Display;
use std::io::Write as _;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};

use super::address::kept_network;
use super::attempt::Attempt;
use super::audit::RecordedEvent;
use super::redaction::{Commitments, ERASED, Group, Proof, Proofs, erased_details, is_cut};
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
    pub fn of_event(event: &RecordedEvent, proofs: &Proofs) -> Self {
        Members::of_event(event, proofs).record(event.seq.to_string(), event.event.at)
    }

    /// The record of an attempt.
    #[must_use]
    pub fn of_attempt(attempt: &Attempt, proofs: &Proofs) -> Self {
        Members::of_attempt(attempt, proofs).record(attempt.id.to_string(), attempt.at)
    }

    /// The record of a session as it began: what does not change while it lives.
    #[must_use]
    pub fn of_start(session: &Session, proofs: &Proofs) -> Self {
        Members::of_start(session, proofs).record(session.id.to_string(), session.started_at)
    }

    /// The record of a session as it ended: from here on nothing of it changes. `None` while it lives.
    #[must_use]
    pub fn of_end(session: &Session, proofs: &Proofs) -> Option<Self> {
        let at = session.end.as_ref()?.at;
        Some(Members::of_end(session, proofs)?.record(session.id.to_string(), at))
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

/// Members that are to be digested, one after the other. Those of the two groups that can be removed are put apart, and
/// covered by commitments.
pub(super) struct Members<'a> {
    kind: RecordKind,
    bytes: Vec<u8>,
    addresses: Apart<'a>,
    person: Apart<'a>,
}

impl<'a> Members<'a> {
    fn of(kind: RecordKind, proofs: &'a Proofs) -> Self {
        let addresses = Apart::new("addresses", &proofs.addresses);
        let person = Apart::new("person", &proofs.person);
        let mut members = Self { kind, bytes: Vec::with_capacity(USUAL), addresses, person };
        members.text(kind.as_str());
        if *proofs != Proofs::default() {
            // No digest of the one form is ever one of the other.
            members.text("removable");
        }
        members
    }

    pub(super) fn of_event(RecordedEvent { seq, event }: &RecordedEvent, proofs: &'a Proofs) -> Self {
        let mut members = Self::of(RecordKind::Event, proofs);
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
        members.bytes.push(u8::from(event.cause.ip.is_some()));
        match event.cause.ip {
            Some(ip) => members.address(ip),
            None => members.text(""),
        }
        members.optional(event.cause.request_id.as_deref());
        // Objects are sorted by their members' names, in both databases.
        members.person(&event.details, &event.details == erased_details());
        members.commit();
        members
    }

    pub(super) fn of_attempt(attempt: &Attempt, proofs: &'a Proofs) -> Self {
        let mut members = Self::of(RecordKind::Attempt, proofs);
        members.shown(attempt.id);
        members.time(attempt.at);
        members.person(&attempt.username, attempt.username == ERASED);
        members.optional(attempt.user_id);
        members.text(attempt.outcome.as_str());
        members.address(attempt.ip);
        members.optional_person(attempt.user_agent.as_deref());
        members.optional(attempt.client_id.as_ref().map(super::client::ClientId::as_str));
        members.optional(attempt.session_id);
        members.text(&attempt.request_id);
        members.commit();
        members
    }

    fn of_start(session: &Session, proofs: &'a Proofs) -> Self {
        let mut members = Self::of(RecordKind::SessionStarted, proofs);
        members.start(session);
        members
    }

    pub(super) fn of_end(session: &Session, proofs: &'a Proofs) -> Option<Self> {
        let End { at, reason, by, note } = session.end.as_ref()?;
        let mut members = Self::of(RecordKind::SessionEnded, proofs);
        members.start(session);
        members.time(session.last_seen_at);
        members.address(session.last_ip);
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
        members.optional_person(note.as_deref());
        members.commit();
        Some(members)
    }

    fn start(&mut self, session: &Session) {
        self.shown(session.id);
        self.shown(session.user_id);
        self.person(&session.username, session.username.as_str() == ERASED);
        self.text(session.role.as_str());
        self.optional(session.client_id.as_ref().map(super::client::ClientId::as_str));
        self.optional_person(session.device_name.as_deref());
        self.address(session.origin.ip);
        self.optional_person(session.origin.user_agent.as_deref());
        self.optional(session.device.browser.as_deref());
        self.optional(session.device.os.as_deref());
        self.optional(session.device.kind.as_deref());
        self.text(&session.methods.join(" "));
        self.time(session.started_at);
        self.time(session.expires_at);
        self.commit();
    }

    fn bytes(&mut self, bytes: &[u8]) {
        write_bytes(&mut self.bytes, bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn shown(&mut self, value: impl Display) {
        write_shown(&mut self.bytes, value);
    }

    fn optional(&mut self, value: Option<impl Display>) {
        write_optional(&mut self.bytes, value);
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

    /// An address. Where it can be cut, its network is covered as well: that stays.
    fn address(&mut self, ip: IpAddr) {
        if *self.addresses.proof != Proof::Clear {
            self.shown(kept_network(ip));
        }
        write_shown(self.addresses.or(&mut self.bytes, is_cut(ip)), ip);
    }

    /// What names a person; whether it is what stands in its place when it was removed.
    fn person(&mut self, value: impl Display, is_left: bool) {
        write_shown(self.person.or(&mut self.bytes, is_left), value);
    }

    /// The same, where it may be missing, as it is when it was removed.
    fn optional_person(&mut self, value: Option<&str>) {
        write_optional(self.person.or(&mut self.bytes, value.is_none()), value);
    }

    /// Covers what was put apart up to here.
    fn commit(&mut self) {
        for apart in [&mut self.addresses, &mut self.person] {
            if let Some(commitment) = apart.commit() {
                self.bytes.extend(commitment);
            }
        }
    }

    /// The commitments to the members of a group.
    pub(super) fn commitments(self, group: Group) -> Commitments {
        match group {
            Group::Addresses => self.addresses.commitments,
            Group::Person => self.person.commitments,
        }
    }

    fn record(self, subject: String, at: DateTime<Utc>) -> Record {
        Record { kind: self.kind, subject, at, digest: covering(&self.bytes) }
    }
}

/// The members of a group, put apart from the others since its last commitment.
struct Apart<'a> {
    group: &'static str,
    proof: &'a Proof,
    bytes: Vec<u8>,
    commitments: Commitments,
}

impl<'a> Apart<'a> {
    const fn new(group: &'static str, proof: &'a Proof) -> Self {
        Self { group, proof, bytes: Vec::new(), commitments: Commitments::new_const() }
    }

    /// Where a member of the group is written: apart, or with the others. What was removed is written to no avail; but
    /// what is neither that nor what is left in its place goes to the others, where it makes another digest.
    fn or<'b>(&'b mut self, others: &'b mut Vec<u8>, is_left: bool) -> &'b mut Vec<u8> {
        match self.proof {
            Proof::Clear => others,
            Proof::Removed(_) if !is_left => others,
            Proof::Salt(_) | Proof::Removed(_) => &mut self.bytes,
        }
    }

    fn commit(&mut self) -> Option<Digest> {
        let commitment = match self.proof {
            Proof::Clear => return None,
            Proof::Removed(commitments) => commitments.get(self.commitments.len()).copied().unwrap_or_default(),
            Proof::Salt(salt) => {
                let mut bytes = Vec::with_capacity(USUAL);
                bytes.extend(salt);
                write_bytes(&mut bytes, self.group.as_bytes());
                bytes.push(u8::try_from(self.commitments.len()).unwrap_or(u8::MAX));
                bytes.extend(&self.bytes);
                covering(&bytes)
            }
        };
        self.bytes.clear();
        self.commitments.push(commitment);
        Some(commitment)
    }
}

fn write_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend(length(bytes));
    to.extend(bytes);
}

/// What is shown as a text, without making that text first.
fn write_shown(to: &mut Vec<u8>, value: impl Display) {
    let begin = to.len();
    to.extend(length(&[]));
    write!(to, "{value}").expect("memory takes it");
    let (before, shown) = to.split_at_mut(begin + LENGTH);
    before[begin..].copy_from_slice(&length(shown));
}

fn write_optional(to: &mut Vec<u8>, value: Option<impl Display>) {
    to.push(u8::from(value.is_some()));
    match value {
        Some(value) => write_shown(to, value),
        None => write_bytes(to, &[]),
    }
}

fn covering(bytes: &[u8]) -> Digest {
    let mut covering = [0; 32];
    covering.copy_from_slice(digest(&SHA256, bytes).as_ref());
    covering
}
