//! Records: what the chain keeps of each audit event, attempt and session, and of each state of a user, a client and a
//! not-before, so that none can be changed unseen (P6).
//!
//! A digest covers every member of what it stands for. The members are written one after the other, each with its length,
//! so that no two different things are written alike. What can be removed before its row is covered by commitments
//! (`model::redaction`).
//!
//! Which columns that are, and since which *form* of the digest each counts, stands in the tables below and nowhere else. A
//! column is added to its table with the next form of its kind: rows that were sealed before verify as they were.

use std::io::Write as _;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use uuid::Uuid;

use super::address::kept_network;
use super::attempt::Attempt;
use super::audit::{Reason, RecordedEvent};
use super::client::ClientId;
use super::redaction::{Commitments, ERASED, ERASED_DETAILS, Group, Proof, Proofs, is_cut};
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
        /// A user as a change left it; the subject is the id and the version, `<id>/<version>`.
        User = "user",
        /// A client as a change left it; the subject as of a user.
        Client = "client",
        /// A not-before as it was set; the subject is `<scope>:<whose>/<version>`.
        NotBefore = "not_before",
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
    /// Which columns the digest covers: those that count since this form of its kind, or an earlier one.
    pub form: i32,
    /// Covers every member.
    pub digest: Digest,
}

impl Record {
    /// The record of an audit event.
    #[must_use]
    pub fn of_event(event: &RecordedEvent, proofs: &Proofs) -> Self {
        Members::of_event(event, proofs).record(RecordKind::Event, event.seq.to_string(), event.event.at)
    }

    /// The record of an attempt.
    #[must_use]
    pub fn of_attempt(attempt: &Attempt, proofs: &Proofs) -> Self {
        Members::of_attempt(attempt, proofs).record(RecordKind::Attempt, attempt.id.to_string(), attempt.at)
    }

    /// The record of a session as it began: what does not change while it lives.
    #[must_use]
    pub fn of_start(session: &Session, proofs: &Proofs) -> Self {
        let members = Members::of_start(session, proofs);
        members.record(RecordKind::SessionStarted, session.id.to_string(), session.started_at)
    }

    /// The record of a session as it ended: from here on nothing of it changes. `None` while it lives.
    #[must_use]
    pub fn of_end(session: &Session, proofs: &Proofs) -> Option<Self> {
        let at = session.end.as_ref()?.at;
        Some(Members::of_end(session, proofs)?.record(RecordKind::SessionEnded, session.id.to_string(), at))
    }

    /// The record that a thing with many states is gone; its version is the next after its last state's.
    #[must_use]
    pub fn of_removal(kind: RecordKind, subject: String, at: DateTime<Utc>) -> Self {
        let digest = removal(kind, &subject);
        Self { kind, subject, at, form: kind.form(), digest }
    }

    /// Whether it says so.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        self.kind.has_states() && self.digest == removal(self.kind, &self.subject)
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

/// What a member is like, and so how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A text.
    Text,
    /// A text that may be missing.
    OptionalText,
    /// A text that is empty where it is missing.
    TextOrNothing,
    /// A UUID.
    Id,
    /// A UUID that may be missing.
    OptionalId,
    /// A whole number.
    Number,
    /// Microseconds since 1970.
    Time,
    /// The same, where it may be missing.
    OptionalTime,
    /// Bytes.
    Bytes,
    /// An address. Where it can be cut, its network is covered as well: that stays.
    Address,
    /// An address that may be missing.
    OptionalAddress,
    /// What names a person.
    Person,
    /// What describes a person; missing also where it was removed.
    OptionalPerson,
    /// A JSON object, printed without white space and its members in the order of their names. It may name a person.
    Details,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// It is not there.
    Missing,
    /// A text, or the text of an id.
    Text(&'a str),
    /// An id.
    Id(Uuid),
    /// A number, or a time.
    Number(i64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An address, and how it is written.
    Address(IpAddr, &'a str),
    /// Nothing that this member can be.
    Impossible,
}

impl<'a> Value<'a> {
    /// The text, if it is one.
    #[must_use]
    pub const fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if it is these.
    #[must_use]
    pub const fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// What the digest of an event covers.
const EVENT: [Column; 13] = [
    column("seq", Shape::Number),
    column("at", Shape::Time),
    column("kind", Shape::Text),
    column("outcome", Shape::Text),
    column("reason", Shape::OptionalText),
    column("actor_kind", Shape::Text),
    column("actor_id", Shape::Text),
    column("subject_kind", Shape::Text),
    column("subject_id", Shape::OptionalText),
    column("session_id", Shape::OptionalId),
    column("ip", Shape::OptionalAddress),
    column("request_id", Shape::OptionalText),
    column("details", Shape::Details),
];

/// What the digest of an attempt covers.
const ATTEMPT: [Column; 10] = [
    column("id", Shape::Id),
    column("at", Shape::Time),
    column("username", Shape::Person),
    column("user_id", Shape::OptionalId),
    column("outcome", Shape::Text),
    column("ip", Shape::Address),
    column("user_agent", Shape::OptionalPerson),
    column("client_id", Shape::OptionalText),
    column("session_id", Shape::OptionalId),
    column("request_id", Shape::Text),
];

/// What does not change of a session while it lives.
const START: [Column; 14] = [
    column("id", Shape::Id),
    column("user_id", Shape::Id),
    column("username", Shape::Person),
    column("role", Shape::Text),
    column("client_id", Shape::OptionalText),
    column("device_name", Shape::OptionalPerson),
    column("ip", Shape::Address),
    column("user_agent", Shape::OptionalPerson),
    column("browser", Shape::OptionalText),
    column("os", Shape::OptionalText),
    column("device_kind", Shape::OptionalText),
    column("methods", Shape::Text),
    column("started_at", Shape::Time),
    column("expires_at", Shape::Time),
];

/// What does not change of a session once it has ended.
const END: [Column; 14] = [
    column("last_seen_at", Shape::Time),
    column("last_ip", Shape::Address),
    column("idle_expires_at", Shape::Time),
    column("token_id", Shape::Id),
    column("token_issued_at", Shape::Time),
    column("token_expires_at", Shape::Time),
    column("refresh_generation", Shape::Number),
    column("refresh_seed", Shape::Bytes),
    column("refresh_spent_at", Shape::OptionalTime),
    column("ended_at", Shape::Time),
    column("end_reason", Shape::Text),
    column("ended_by_kind", Shape::Text),
    column("ended_by_id", Shape::TextOrNothing),
    column("end_note", Shape::OptionalPerson),
];

/// What lets a user in, and what the user may do then. The salt is another one in each state and goes with the row, so that
/// what is left, the digest, lets nobody find out by guessing who it was.
const USER: [Column; 12] = [
    column("id", Shape::Id),
    column("version", Shape::Number),
    column("salt", Shape::Bytes),
    column("username", Shape::Text),
    column("role", Shape::Text),
    column("state", Shape::Text),
    column("password_hash", Shape::OptionalText),
    column("password_scheme", Shape::OptionalText),
    column("created_at", Shape::Time),
    column("password_changed_at", Shape::OptionalTime),
    column("email", Shape::OptionalText),
    added("must_change_password_since", Shape::OptionalTime, 2),
];

/// What lets a client in, and what it may do then.
const CLIENT: [Column; 8] = [
    column("id", Shape::Text),
    column("version", Shape::Number),
    column("salt", Shape::Bytes),
    column("name", Shape::Text),
    column("scopes", Shape::Text),
    column("secret_digest", Shape::Bytes),
    column("created_at", Shape::Time),
    column("secret_changed_at", Shape::Time),
];

/// Whose sessions are refused, since when, by whom and why.
const NOT_BEFORE: [Column; 9] = [
    column("scope", Shape::Text),
    column("subject", Shape::Text),
    column("version", Shape::Number),
    column("salt", Shape::Bytes),
    column("at", Shape::Time),
    column("set_at", Shape::Time),
    column("set_by_kind", Shape::Text),
    column("set_by", Shape::Text),
    column("note", Shape::OptionalText),
];

impl RecordKind {
    /// What its digests cover, in this order. After each part come the commitments to what was put apart in it.
    #[must_use]
    pub const fn parts(self) -> &'static [&'static [Column]] {
        match self {
            Self::Event => &[&EVENT],
            Self::Attempt => &[&ATTEMPT],
            Self::SessionStarted => &[&START],
            Self::SessionEnded => &[&START, &END],
            Self::User => &[&USER],
            Self::Client => &[&CLIENT],
            Self::NotBefore => &[&NOT_BEFORE],
        }
    }

    /// The form of new digests: that of its newest column.
    #[must_use]
    pub fn form(self) -> i32 {
        Coverage { kind: self, parts: self.parts(), form: i32::MAX }
            .columns()
            .map(|column| column.since)
            .max()
            .unwrap_or(1)
    }

    /// Whether its things change: then each state has a record, and the newest is what they are.
    #[must_use]
    pub const fn has_states(self) -> bool {
        matches!(self, Self::User | Self::Client | Self::NotBefore)
    }
}

/// A column that digests cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name in the table.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// Since which form. A new one has the next number of every kind that it is in.
    pub since: i32,
}

const fn column(name: &'static str, shape: Shape) -> Column {
    Column { name, shape, since: 1 }
}

/// A column that was added later, with this form.
const fn added(name: &'static str, shape: Shape, since: i32) -> Column {
    Column { name, shape, since }
}

/// What the digests of one form cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// Of which kind.
    pub kind: RecordKind,
    /// All columns, in their parts.
    pub parts: &'static [&'static [Column]],
    /// Those count that are not of a later form.
    pub form: i32,
}

impl Coverage {
    /// That of a form; `None` where this kind has none such.
    #[must_use]
    pub fn of(kind: RecordKind, form: i32) -> Option<Self> {
        (1..=kind.form()).contains(&form).then_some(Self { kind, parts: kind.parts(), form })
    }

    /// That of new digests.
    #[must_use]
    pub fn newest(kind: RecordKind) -> Self {
        Self { kind, parts: kind.parts(), form: kind.form() }
    }

    /// Whether it counts.
    #[must_use]
    pub const fn covers(&self, column: &Column) -> bool {
        column.since <= self.form
    }

    /// The columns that count, in their order.
    pub fn columns(&self) -> impl Iterator<Item = &'static Column> {
        let form = self.form;
        self.parts.iter().copied().flatten().filter(move |column| column.since <= form)
    }
}

/// The version that a subject names, and of what; `None` where nobody names one so.
#[must_use]
pub fn versioned(subject: &str) -> Option<(&str, i64)> {
    let (thing, text) = subject.rsplit_once('/')?;
    let version: i64 = text.parse().ok()?;
    (version > 0 && version.to_string() == text).then_some((thing, version))
}

/// Room for the members of nearly everything.
const USUAL: usize = 1_024;

/// Members that are to be digested, one after the other. Those of the two groups that can be removed are put apart, and
/// covered by commitments. Used again and again it takes no new memory.
#[derive(Debug)]
pub struct Members {
    bytes: Vec<u8>,
    addresses: CommittedGroup,
    person: CommittedGroup,
    are_possible: bool,
    form: i32,
}

impl Default for Members {
    fn default() -> Self {
        Self::new()
    }
}

impl Members {
    /// None, of nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            addresses: CommittedGroup::new("addresses"),
            person: CommittedGroup::new("person"),
            are_possible: true,
            form: 1,
        }
    }

    /// Begins the digest of one thing.
    pub fn begin(&mut self, kind: RecordKind, form: i32, proofs: Proofs) {
        self.bytes.clear();
        self.bytes.reserve(USUAL);
        (self.are_possible, self.form) = (true, form);
        match form {
            1 => self.text(kind.as_str()),
            _ => self.text(&format!("{kind} form {form}")),
        }
        if proofs != Proofs::default() {
            // No digest of the one form is ever one of the other.
            self.text("removable");
        }
        self.addresses.begin(proofs.addresses);
        self.person.begin(proofs.person);
    }

    /// Writes the next member.
    pub fn write(&mut self, shape: Shape, value: Value<'_>) {
        let bytes = &mut self.bytes;
        match (shape, value) {
            (Shape::Text | Shape::Id | Shape::TextOrNothing, Value::Text(text)) => write_bytes(bytes, text.as_bytes()),
            (Shape::TextOrNothing, Value::Missing) => write_bytes(bytes, &[]),
            (Shape::Id, Value::Id(id)) => write_id(bytes, id),
            (Shape::OptionalText | Shape::OptionalId, Value::Text(text)) => write_optional(bytes, Some(text)),
            (Shape::OptionalText | Shape::OptionalId | Shape::OptionalAddress, Value::Missing) => {
                write_optional(bytes, None);
            }
            (Shape::OptionalId, Value::Id(id)) => {
                bytes.push(1);
                write_id(bytes, id);
            }
            (Shape::Number | Shape::Time, Value::Number(number)) => write_number(bytes, number),
            (Shape::OptionalTime, Value::Number(number)) => {
                bytes.push(1);
                write_number(bytes, number);
            }
            (Shape::OptionalTime, Value::Missing) => {
                bytes.push(0);
                write_number(bytes, 0);
            }
            (Shape::Bytes, Value::Bytes(value)) => write_bytes(bytes, value),
            (Shape::Address, Value::Address(ip, text)) => self.address(ip, text),
            (Shape::OptionalAddress, Value::Address(ip, text)) => {
                bytes.push(1);
                self.address(ip, text);
            }
            (Shape::Person, Value::Text(text)) => {
                write_bytes(self.person.or(bytes, || text == ERASED), text.as_bytes());
            }
            (Shape::Details, Value::Text(text)) => {
                write_bytes(self.person.or(bytes, || text == ERASED_DETAILS), text.as_bytes());
            }
            (Shape::OptionalPerson, Value::Text(text)) => write_optional(self.person.or(bytes, || false), Some(text)),
            (Shape::OptionalPerson, Value::Missing) => write_optional(self.person.or(bytes, || true), None),
            _ => self.are_possible = false,
        }
    }

    /// Covers what was put apart since the part before.
    pub fn commit(&mut self) {
        for apart in [&mut self.addresses, &mut self.person] {
            if let Some(commitment) = apart.commit() {
                self.bytes.extend(commitment);
            }
        }
    }

    /// What covers them all; `None` where one was nothing that it can be.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.are_possible.then(|| sha256(&self.bytes))
    }

    fn text(&mut self, text: &str) {
        write_bytes(&mut self.bytes, text.as_bytes());
    }

    fn address(&mut self, ip: IpAddr, text: &str) {
        if self.addresses.proof != Proof::Clear {
            write_network(&mut self.bytes, ip);
        }
        write_bytes(self.addresses.or(&mut self.bytes, || is_cut(ip)), text.as_bytes());
    }

    fn part<const N: usize>(&mut self, columns: &[Column; N], values: [Value<'_>; N]) {
        for (column, value) in columns.iter().zip(values) {
            if column.since <= self.form {
                self.write(column.shape, value);
            }
        }
        self.commit();
    }

    fn of(kind: RecordKind, proofs: &Proofs) -> Self {
        let mut members = Self::new();
        members.begin(kind, kind.form(), proofs.clone());
        members
    }

    pub(super) fn of_event(RecordedEvent { seq, event }: &RecordedEvent, proofs: &Proofs) -> Self {
        let mut members = Self::of(RecordKind::Event, proofs);
        let (ip, details) = (event.context.ip.map(|ip| (ip, ip.to_string())), event.details.to_string());
        let values = [
            Value::Number(*seq),
            time(event.at),
            Value::Text(event.kind.as_str()),
            Value::Text(event.outcome.as_str()),
            optional(event.reason.map(Reason::as_str)),
            Value::Text(event.context.actor.kind.as_str()),
            Value::Text(&event.context.actor.id),
            Value::Text(event.subject.kind.as_str()),
            optional(event.subject.id.as_deref()),
            event.session_id.map_or(Value::Missing, |id| Value::Id(id.0)),
            ip.as_ref().map_or(Value::Missing, |(ip, text)| Value::Address(*ip, text)),
            optional(event.context.request_id.as_deref()),
            Value::Text(&details),
        ];
        members.part(&EVENT, values);
        members
    }

    pub(super) fn of_attempt(attempt: &Attempt, proofs: &Proofs) -> Self {
        let mut members = Self::of(RecordKind::Attempt, proofs);
        let values = [
            Value::Id(attempt.id.0),
            time(attempt.at),
            Value::Text(&attempt.username),
            attempt.user_id.map_or(Value::Missing, |id| Value::Id(id.0)),
            Value::Text(attempt.outcome.as_str()),
            Value::Address(attempt.ip, &attempt.ip.to_string()),
            optional(attempt.user_agent.as_deref()),
            optional(attempt.client_id.as_ref().map(ClientId::as_str)),
            attempt.session_id.map_or(Value::Missing, |id| Value::Id(id.0)),
            Value::Text(&attempt.request_id),
        ];
        members.part(&ATTEMPT, values);
        members
    }

    fn of_start(session: &Session, proofs: &Proofs) -> Self {
        let mut members = Self::of(RecordKind::SessionStarted, proofs);
        members.start(session);
        members
    }

    pub(super) fn of_end(session: &Session, proofs: &Proofs) -> Option<Self> {
        let End { at, reason, by, note } = session.end.as_ref()?;
        let mut members = Self::of(RecordKind::SessionEnded, proofs);
        members.start(session);
        let values = [
            time(session.last_seen_at),
            Value::Address(session.last_ip, &session.last_ip.to_string()),
            time(session.idle_expires_at),
            Value::Id(session.token.id.0),
            time(session.token.issued_at),
            time(session.token.expires_at),
            Value::Number(i64::from(session.refresh.generation)),
            Value::Bytes(&session.refresh.seed),
            session.refresh.spent_at.map_or(Value::Missing, time),
            time(*at),
            Value::Text(reason.as_str()),
            Value::Text(by.kind.as_str()),
            Value::Text(&by.id),
            optional(note.as_deref()),
        ];
        members.part(&END, values);
        Some(members)
    }

    fn start(&mut self, session: &Session) {
        let values = [
            Value::Id(session.id.0),
            Value::Id(session.user_id.0),
            Value::Text(session.username.as_str()),
            Value::Text(session.role.as_str()),
            optional(session.client_id.as_ref().map(ClientId::as_str)),
            optional(session.device_name.as_deref()),
            Value::Address(session.client_info.ip, &session.client_info.ip.to_string()),
            optional(session.client_info.user_agent.as_deref()),
            optional(session.device.browser.as_deref()),
            optional(session.device.os.as_deref()),
            optional(session.device.kind.as_deref()),
            Value::Text(&session.methods.join(" ")),
            time(session.started_at),
            time(session.expires_at),
        ];
        self.part(&START, values);
    }

    /// The commitments to the members of a group.
    pub(super) fn commitments(self, group: Group) -> Commitments {
        match group {
            Group::Addresses => self.addresses.commitments,
            Group::Person => self.person.commitments,
        }
    }

    fn record(&self, kind: RecordKind, subject: String, at: DateTime<Utc>) -> Record {
        Record { kind, subject, at, form: self.form, digest: sha256(&self.bytes) }
    }
}

/// No state is digested to this: what that begins with has no space in it.
fn removal(kind: RecordKind, subject: &str) -> Digest {
    let mut bytes = Vec::with_capacity(USUAL);
    write_bytes(&mut bytes, format!("{kind} removed").as_bytes());
    write_bytes(&mut bytes, subject.as_bytes());
    sha256(&bytes)
}

const fn time(at: DateTime<Utc>) -> Value<'static> {
    Value::Number(at.timestamp_micros())
}

fn optional(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Missing, Value::Text)
}

/// The members of a group, put apart from the others since its last commitment.
#[derive(Debug)]
struct CommittedGroup {
    group: &'static str,
    proof: Proof,
    /// What the next commitment is made of.
    bytes: Vec<u8>,
    commitments: Commitments,
}

impl CommittedGroup {
    const fn new(group: &'static str) -> Self {
        Self { group, proof: Proof::Clear, bytes: Vec::new(), commitments: Commitments::new_const() }
    }

    fn begin(&mut self, proof: Proof) {
        self.proof = proof;
        self.commitments.clear();
        self.begin_part();
    }

    fn begin_part(&mut self) {
        self.bytes.clear();
        if let Proof::Salt(salt) = &self.proof {
            self.bytes.extend(salt);
            write_bytes(&mut self.bytes, self.group.as_bytes());
            self.bytes.push(u8::try_from(self.commitments.len()).unwrap_or(u8::MAX));
        }
    }

    /// Where a member of the group is written: apart, or with the others. What was removed is written to no avail; but
    /// what is neither that nor what is left in its place goes to the others, where it makes another digest.
    fn or<'b>(&'b mut self, others: &'b mut Vec<u8>, is_left: impl FnOnce() -> bool) -> &'b mut Vec<u8> {
        match self.proof {
            Proof::Clear => others,
            Proof::Removed(_) if !is_left() => others,
            Proof::Salt(_) | Proof::Removed(_) => &mut self.bytes,
        }
    }

    fn commit(&mut self) -> Option<Digest> {
        let commitment = match &self.proof {
            Proof::Clear => return None,
            Proof::Removed(commitments) => commitments.get(self.commitments.len()).copied().unwrap_or_default(),
            Proof::Salt(_) => sha256(&self.bytes),
        };
        self.commitments.push(commitment);
        self.begin_part();
        Some(commitment)
    }
}

/// Bytes that a length takes.
const LENGTH: usize = 8;

fn length(part: &[u8]) -> [u8; LENGTH] {
    u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()
}

fn write_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.reserve(LENGTH + bytes.len());
    to.extend_from_slice(&length(bytes));
    to.extend_from_slice(bytes);
}

fn write_number(to: &mut Vec<u8>, number: i64) {
    write_bytes(to, &number.to_be_bytes());
}

fn write_id(to: &mut Vec<u8>, id: Uuid) {
    let mut text = Uuid::encode_buffer();
    write_bytes(to, id.as_hyphenated().encode_lower(&mut text).as_bytes());
}

fn write_optional(to: &mut Vec<u8>, text: Option<&str>) {
    to.push(u8::from(text.is_some()));
    write_bytes(to, text.unwrap_or_default().as_bytes());
}

/// The network of an address that stays known.
fn write_network(to: &mut Vec<u8>, ip: IpAddr) {
    let begin = to.len();
    to.extend(length(&[]));
    match kept_network(ip) {
        // Nearly all are of this family, and what prints any takes four times as long.
        IpNet::V4(network) => {
            for (octet, after) in network.addr().octets().into_iter().zip(*b".../") {
                write_decimal(to, octet);
                to.push(after);
            }
            write_decimal(to, network.prefix_len());
        }
        IpNet::V6(network) => write!(to, "{network}").expect("memory takes it"),
    }
    let (before, shown) = to.split_at_mut(begin + LENGTH);
    before[begin..].copy_from_slice(&length(shown));
}

fn write_decimal(to: &mut Vec<u8>, number: u8) {
    for (unit, from) in [(100, 100), (10, 10), (1, 0)] {
        if number >= from {
            to.push(b'0' + number / unit % 10);
        }
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sha256
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attempt::AttemptOutcome;
    use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Outcome, Subject, SubjectKind};
    use crate::model::id::{AttemptId, SessionId, TokenId, UserId};
    use crate::model::session::{Actor, ClientInfo, CurrentToken, Device, EndReason, RefreshTokens};
    use crate::model::user::{Role, Username};

    /// Of an event, a bare one, an attempt, the start and the end of a session: in the clear, salted, without addresses.
    const GOLDEN: [[&str; 5]; 3] = [
        [
            "cf3594575ac7f471274426d6681d8e29e654e15d893e20651649fb262de37569",
            "634083fe985a47495356545deb80cd4c103034ea9fa5c00fc39be1e2760672e0",
            "9e5bd3b0b143b3fc7534df7d6aeafd640074f5ed98095bb9ed3aea3754bf31ea",
            "43ef0ec105761cdbde55d5bd086ce2c3907acc4050e91923044156d6d23e271d",
            "d1f86e9287d5123451d6c2490c9355495f04d6b244bf3aba2a264283ba851f3f",
        ],
        [
            "06ef2ca9a3f03031654d970a2f37ea98105b9fc2c77d91dbfdd190d8af6be187",
            "fe22c6ed26ad5251c9049cf7c700b2878b42c76657ac804deafb958ef3c00bf9",
            "d8b53a471d9efc2fa6affdfb0fbb02f4f24fd91a228894a154a14dc2abd2339d",
            "2bad3089ccfd4d882c61a2766b69b242d616697d95c33687f490dd1379ad06b2",
            "751bba94d811057483ce1f0bd669f7f3333b48afebbf8d49d2a4af8a4e6942ed",
        ],
        [
            "d92e625a215d5c730b8073609ccc5d05f40d08e905893301d80c753d8bb3b532",
            "d9100fc119ba3478f76c65e59181527764094e03f7c2ed394a0b18035f4c1892",
            "e69eb3695f9daaa56fdae7ac3939759ea8a9e0b933f1f9ca4676eccabc24c2f1",
            "e568e2f73f867dbe5ca828fcb7d18b21279a6b9fa4e3dd941cd4771f1bf823e6",
            "1076123f68881cc8f93a04fc949847f473c3ec086f5a8854dbbdbf7da74b968a",
        ],
    ];

    const SHAPES: [Value<'static>; 7] = [
        Value::Missing,
        Value::Text("a"),
        Value::Id(Uuid::nil()),
        Value::Number(1),
        Value::Bytes(b"a"),
        Value::Address(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), "127.0.0.1"),
        Value::Impossible,
    ];

    /// Of each shape the values that it has; all others are impossible.
    #[test]
    fn a_member_of_another_shape_has_no_digest() {
        let fits = |shape: Shape| -> &[usize] {
            match shape {
                Shape::Text | Shape::Person | Shape::Details => &[1],
                Shape::OptionalText | Shape::TextOrNothing | Shape::OptionalPerson => &[0, 1],
                Shape::Id => &[1, 2],
                Shape::OptionalId => &[0, 1, 2],
                Shape::Number | Shape::Time => &[3],
                Shape::OptionalTime => &[0, 3],
                Shape::Bytes => &[4],
                Shape::Address => &[5],
                Shape::OptionalAddress => &[0, 5],
            }
        };
        let columns = RecordKind::ALL.iter().flat_map(|kind| kind.parts()).copied().flatten();
        for shape in columns.map(|column| column.shape) {
            for (place, value) in SHAPES.into_iter().enumerate() {
                let mut members = Members::new();
                members.begin(RecordKind::Event, 1, Proofs::new());
                members.write(shape, value);
                assert_eq!(members.digest().is_some(), fits(shape).contains(&place), "{shape:?} {value:?}");
            }
        }
    }

    #[test]
    fn nothing_is_left_of_what_was_digested_before() {
        let (proofs, mut members) = (Proofs::new(), Members::new());
        let mut digest = |proofs: &Proofs| {
            members.begin(RecordKind::Attempt, 1, proofs.clone());
            members.write(Shape::Person, SHAPES[1]);
            members.write(Shape::Address, SHAPES[5]);
            members.commit();
            members.digest()
        };
        let first = digest(&proofs);
        assert_ne!(digest(&Proofs::default()), first);
        assert_eq!(digest(&proofs), first);
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 123_456_000).unwrap()
    }

    fn session() -> Session {
        let id = |text: &str| text.parse().unwrap();
        Session {
            id: SessionId(id("01890a5d-ac96-7000-8000-00000000000a")),
            user_id: UserId(id("01890a5d-ac96-7000-8000-00000000000b")),
            username: Username::parse("Zoé").unwrap(),
            role: Role::parse("agent d’accueil").unwrap(),
            client_id: ClientId::parse("crm").ok(),
            device_name: Some("Tablette".to_owned()),
            client_info: ClientInfo { ip: "2001:db8:1:2::9".parse().unwrap(), user_agent: Some("curl".to_owned()) },
            device: Device { browser: None, os: Some("Linux".to_owned()), kind: Some(String::new()) },
            methods: vec!["pwd".to_owned(), "otp".to_owned()],
            started_at: at(0),
            last_seen_at: at(1),
            last_ip: "192.0.2.77".parse().unwrap(),
            expires_at: at(2),
            idle_expires_at: at(3),
            token: CurrentToken {
                id: TokenId(id("01890a5d-ac96-7000-8000-00000000000c")),
                issued_at: at(4),
                expires_at: at(5),
            },
            refresh: RefreshTokens { generation: 6, seed: [7; 32], spent_at: Some(at(8)), valid_from: 0 },
            end: Some(End { at: at(9), reason: EndReason::Logout, by: Actor::system("cli"), note: None }),
        }
    }

    fn attempt() -> Attempt {
        let session = session();
        Attempt {
            id: AttemptId(session.id.0),
            at: at(10),
            username: "zoe".to_owned(),
            user_id: None,
            outcome: AttemptOutcome::Success,
            ip: "192.0.2.0".parse().unwrap(),
            user_agent: Some(String::new()),
            client_id: session.client_id,
            session_id: Some(session.id),
            request_id: "r".to_owned(),
        }
    }

    fn event() -> RecordedEvent {
        let subject = Subject::new(SubjectKind::Session, session().id);
        let context = AuditContext { ip: Some("::ffff:192.0.2.77".parse().unwrap()), ..AuditContext::command_line() };
        let event = AuditEvent {
            kind: AuditKind::LoginFailed,
            outcome: Outcome::Failure,
            details: serde_json::json!({ "token": "\"é\"", "again": [false, -1, 0.5], "a": {} }),
            ..AuditEvent::new(at(11), Details::KeyRotated {}, &context, subject)
        };
        RecordedEvent { seq: 7, event: event.in_session(session().id).because(Reason::WrongPassword) }
    }

    /// What was sealed once verifies for ever: these digests never change.
    #[test]
    fn a_digest_is_what_it_always_was() {
        let salted = Proofs { addresses: Proof::Salt([1; 16]), person: Proof::Salt([2; 16]) };
        let removed = Proofs { addresses: Proof::Removed([[3; 32], [4; 32]].into()), person: Proof::Salt([2; 16]) };
        let nowhere = AuditContext::command_line();
        let bare = AuditEvent::new(at(12), Details::KeyRotated {}, &nowhere, Subject::everybody());
        let bare = RecordedEvent { seq: 8, event: bare };
        let digests = [Proofs::default(), salted, removed].map(|proofs| {
            [
                Record::of_event(&event(), &proofs),
                Record::of_event(&bare, &proofs),
                Record::of_attempt(&attempt(), &proofs),
                Record::of_start(&session(), &proofs),
                Record::of_end(&session(), &proofs).unwrap(),
            ]
            .map(|record| record.digest.map(|byte| format!("{byte:02x}")).concat())
        });
        assert_eq!(digests, GOLDEN);
    }
}
