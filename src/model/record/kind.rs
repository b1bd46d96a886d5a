//! What records are of, and what the digests of each kind cover.

use super::table::{Column, Table};
use super::tables::{ATTEMPTS, AUDIT_EVENTS, CLIENTS, NOT_BEFORES, SESSION_START, SESSIONS, USERS};
use crate::model::words::words;

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

impl RecordKind {
    /// Where its things are kept.
    #[must_use]
    pub const fn table(self) -> &'static Table {
        match self {
            Self::Event => &AUDIT_EVENTS,
            Self::Attempt => &ATTEMPTS,
            Self::SessionStarted | Self::SessionEnded => &SESSIONS,
            Self::User => &USERS,
            Self::Client => &CLIENTS,
            Self::NotBefore => &NOT_BEFORES,
        }
    }

    /// What its digests cover, in this order. After each part come the commitments to what was put apart in it.
    #[must_use]
    pub const fn parts(self) -> &'static [&'static [Column]] {
        match self {
            Self::SessionStarted => &[SESSION_START],
            _ => self.table().parts,
        }
    }

    /// The form of new digests: that of its newest column.
    #[must_use]
    pub fn form(self) -> i32 {
        self.parts().iter().copied().flatten().map(|column| column.since).max().unwrap_or(1)
    }

    /// Whether rows of this kind change: then each version has a record, and the newest is compared with the row.
    #[must_use]
    pub const fn is_versioned(self) -> bool {
        matches!(self, Self::User | Self::Client | Self::NotBefore)
    }
}

/// What the digests of one form cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// The kind of the records.
    pub kind: RecordKind,
    /// All columns that any form of the kind covers, in their parts.
    pub parts: &'static [&'static [Column]],
    /// The form: the digest covers the columns of this form and of earlier ones.
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

    /// Whether digests of this form cover the column.
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
