//! How a digest is written: the members one after the other, each with its length, so that no two different things are written
//! alike; and the commitments to those that can be removed.

use std::io::Write as _;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use ipnet::IpNet;
use uuid::Uuid;

use super::kind::RecordKind;
use super::proof::{Commitments, Digest, Group, Proof, Proofs};
use super::table::Column;
use super::tables;
use super::value::{Shape, Value};
use crate::model::address::{cut, kept_network};
use crate::model::attempt::Attempt;
use crate::model::audit::RecordedEvent;
use crate::model::details::ERASED_DETAILS;
use crate::model::session::Session;
use crate::model::user::ERASED;

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
            (
                Shape::OptionalText | Shape::OptionalId | Shape::OptionalAddress | Shape::OptionalBytes,
                Value::Missing,
            ) => write_optional(bytes, None),
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
            (Shape::OptionalBytes, Value::Bytes(value)) => {
                bytes.push(1);
                write_bytes(bytes, value);
            }
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
        self.are_possible.then(|| self.sha256())
    }

    /// What covers them all, of members that the model has: each is what it can be.
    pub(super) fn sha256(&self) -> Digest {
        sha256(&self.bytes)
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

    fn of(kind: RecordKind, proofs: &Proofs) -> Self {
        let mut members = Self::new();
        members.begin(kind, kind.form(), proofs.clone());
        members
    }

    pub(in crate::model) fn of_event(recorded: &RecordedEvent, proofs: &Proofs) -> Self {
        let mut members = Self::of(RecordKind::Event, proofs);
        tables::event(recorded, &mut |column, value| members.column(column, value));
        members.commit();
        members
    }

    pub(in crate::model) fn of_attempt(attempt: &Attempt, proofs: &Proofs) -> Self {
        let mut members = Self::of(RecordKind::Attempt, proofs);
        tables::attempt(attempt, &mut |column, value| members.column(column, value));
        members.commit();
        members
    }

    pub(super) fn of_start(session: &Session, proofs: &Proofs) -> Self {
        let mut members = Self::of(RecordKind::SessionStarted, proofs);
        members.start(session);
        members
    }

    /// Those of the end of a session: of one that has ended.
    pub(in crate::model) fn of_end(session: &Session, proofs: &Proofs) -> Self {
        let mut members = Self::of(RecordKind::SessionEnded, proofs);
        members.start(session);
        tables::session_end(session, &mut |column, value| members.column(column, value));
        members.commit();
        members
    }

    fn start(&mut self, session: &Session) {
        tables::session_start(session, &mut |column, value| self.column(column, value));
        self.commit();
    }

    fn column(&mut self, column: &Column, value: Value<'_>) {
        if column.since <= self.form {
            self.write(column.shape, value);
        }
    }

    /// The commitments to the members of a group.
    pub(in crate::model) fn commitments(self, group: Group) -> Commitments {
        match group {
            Group::Addresses => self.addresses.commitments,
            Group::Person => self.person.commitments,
        }
    }
}

/// What covers that a versioned row is gone. No version is digested to this: what that begins with has no space in it.
pub(super) fn removal(kind: RecordKind, subject: &str) -> Digest {
    let mut bytes = Vec::with_capacity(USUAL);
    write_bytes(&mut bytes, format!("{kind} removed").as_bytes());
    write_bytes(&mut bytes, subject.as_bytes());
    sha256(&bytes)
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

pub(super) fn length(part: &[u8]) -> [u8; LENGTH] {
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

/// Whether this is what is left of an address.
fn is_cut(ip: IpAddr) -> bool {
    cut(ip) == ip
}

#[cfg(test)]
mod tests {
    use super::*;

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
                Shape::OptionalBytes => &[0, 4],
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
}
