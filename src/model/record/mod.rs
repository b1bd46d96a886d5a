//! Records: what the chain keeps of each audit event, attempt and session, and of each state of a user, a client and a
//! not-before, so that none can be changed unseen (P6).
//!
//! Each knows only what stands above it:
//!
//! | file | knows |
//! |---|---|
//! | `proof` | what shows that members of a row are what was sealed, also after they were removed |
//! | `value` | what a column holds, and what it says in a row |
//! | `table` | what a description of a table consists of, and what follows from it |
//! | `tables` | **the descriptions: one line for each column** |
//! | `kind` | what records are of, and what each form of their digests covers |
//! | `digest` | how a digest is written |
//!
//! What can be removed before its row, and how, knows `model::redaction`.

mod digest;
mod kind;
mod proof;
#[cfg(test)]
pub(crate) mod samples;
mod table;
pub mod tables;
mod value;

use chrono::{DateTime, Utc};

pub use digest::Members;
use digest::{length, removal};
pub use kind::{Coverage, RecordKind};
pub(in crate::model) use proof::Commitments;
pub use proof::{Digest, Group, InvalidProof, Proof, Proofs};
pub use table::{Column, Table, Uncovered, UncoveredKind};
pub use value::{Shape, Value};

use super::attempt::Attempt;
use super::audit::RecordedEvent;
use super::session::Session;

/// What the chain keeps of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The kind of row, or of state of a row, that it stands for.
    pub kind: RecordKind,
    /// Which one of its kind: an id, a number, or a name and a version.
    pub subject: String,
    /// When what it stands for happened, to the microsecond.
    pub at: DateTime<Utc>,
    /// Which columns the digest covers: those that count since this form of its kind, or an earlier one.
    pub form: i32,
    /// The SHA-256 digest of the members that the form covers.
    pub digest: Digest,
}

impl Record {
    /// The record of an audit event.
    #[must_use]
    pub fn of_event(recorded: &RecordedEvent, proofs: &Proofs) -> Self {
        let members = Members::of_event(recorded, proofs);
        Self::of(RecordKind::Event, recorded.seq.to_string(), recorded.event.at, &members)
    }

    /// The record of an attempt.
    #[must_use]
    pub fn of_attempt(attempt: &Attempt, proofs: &Proofs) -> Self {
        let members = Members::of_attempt(attempt, proofs);
        Self::of(RecordKind::Attempt, attempt.id.to_string(), attempt.at, &members)
    }

    /// The record of a session as it began: what does not change while it lives.
    #[must_use]
    pub fn of_start(session: &Session, proofs: &Proofs) -> Self {
        let members = Members::of_start(session, proofs);
        Self::of(RecordKind::SessionStarted, session.id.to_string(), session.started_at, &members)
    }

    /// The record of a session as it ended: from here on nothing of it changes. `None` while it lives.
    #[must_use]
    pub fn of_end(session: &Session, proofs: &Proofs) -> Option<Self> {
        let at = session.end.as_ref()?.at;
        let members = Members::of_end(session, proofs);
        Some(Self::of(RecordKind::SessionEnded, session.id.to_string(), at, &members))
    }

    fn of(kind: RecordKind, subject: String, at: DateTime<Utc>, members: &Members) -> Self {
        Self { kind, subject, at, form: kind.form(), digest: members.sha256() }
    }

    /// The record that a versioned row is gone; its version is the next after the last of the row.
    #[must_use]
    pub fn of_removal(kind: RecordKind, subject: String, at: DateTime<Utc>) -> Self {
        let digest = removal(kind, &subject);
        Self { kind, subject, at, form: kind.form(), digest }
    }

    /// Whether it says so.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        self.kind.is_versioned() && self.digest == removal(self.kind, &self.subject)
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

/// The version that a subject names, and of what; `None` where nobody names one so.
#[must_use]
pub fn versioned(subject: &str) -> Option<(&str, i64)> {
    let (thing, text) = subject.rsplit_once('/')?;
    let version: i64 = text.parse().ok()?;
    (version > 0 && version.to_string() == text).then_some((thing, version))
}

#[cfg(test)]
mod tests {
    use super::samples::{at, attempt, event, session};
    use super::*;
    use crate::model::audit::{AuditContext, AuditEvent, Details, Subject};

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

    /// Of an attempt, the start and the end of a session, in the clear, since digests tell how the client authenticated.
    const SECOND_FORM: [&str; 3] = [
        "73826e95dc237c884d419220bffebf08892b4eeca151604cf899171e644739b9",
        "d173cdde1e9dd5789c7aed0d78bf641ab8daf1c638f1a5373ef37da29bf345a0",
        "6b31f27e84f3d1e36fe9a6be112d86c9499fbfc16f6a693918f28a7740bad091",
    ];

    /// Of the start and the end of a session, since digests tell by what it is held.
    const THIRD_FORM: [&str; 2] = [
        "a37aa41855e6596cc849ce2b8dc976281757897a7c2bd630481e84f80ebce72d",
        "336046b02702597589569c0aab20abb5d1ae5dbc748a54f6d967184e83e3f7fb",
    ];

    /// Of the end of a session, since digests tell what its user called it.
    const FOURTH_FORM: &str = "8a2e9dd62f6e98b3bdad45de0f2020d6782fcc92976d32a692c5262c38d20df9";

    /// What covers a thing under a form: columns of later ones do not count.
    fn digest(kind: RecordKind, form: i32, proofs: &Proofs) -> String {
        let mut members = Members::new();
        members.begin(kind, form, proofs.clone());
        let write = |members: &mut Members, column: &Column, value: Value<'_>| {
            if column.since <= form {
                members.write(column.shape, value);
            }
        };
        match kind {
            RecordKind::Attempt => tables::attempt(&attempt(), &mut |column, value| write(&mut members, column, value)),
            _ => tables::session_start(&session(), &mut |column, value| write(&mut members, column, value)),
        }
        members.commit();
        if kind == RecordKind::SessionEnded {
            tables::session_end(&session(), &mut |column, value| write(&mut members, column, value));
            members.commit();
        }
        hex(members.digest().unwrap())
    }

    fn hex(digest: Digest) -> String {
        digest.map(|byte| format!("{byte:02x}")).concat()
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
                hex(Record::of_event(&event(), &proofs).digest),
                hex(Record::of_event(&bare, &proofs).digest),
                digest(RecordKind::Attempt, 1, &proofs),
                digest(RecordKind::SessionStarted, 1, &proofs),
                digest(RecordKind::SessionEnded, 1, &proofs),
            ]
        });
        assert_eq!(digests, GOLDEN);
        let new = [
            Record::of_attempt(&attempt(), &Proofs::default()),
            Record::of_start(&session(), &Proofs::default()),
            Record::of_end(&session(), &Proofs::default()).unwrap(),
        ];
        let kinds = [RecordKind::Attempt, RecordKind::SessionStarted, RecordKind::SessionEnded];
        assert_eq!(new.map(|record| hex(record.digest)), [SECOND_FORM[0], THIRD_FORM[0], FOURTH_FORM]);
        assert_eq!(kinds.map(|kind| digest(kind, 2, &Proofs::default())), SECOND_FORM);
        assert_eq!(kinds[1..].iter().map(|kind| digest(*kind, 3, &Proofs::default())).collect::<Vec<_>>(), THIRD_FORM);
    }
}
