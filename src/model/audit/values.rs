//! What the details of events are made of, and of no other part of the model.

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::super::details::{InvalidDetails, Member, members};
use super::super::words::words;
use super::AuditKind;

words! {
    /// A part of the history that is read or exported.
    pub enum HistoryPart {
        /// Sessions.
        Sessions = "sessions",
        /// Attempts.
        Attempts = "attempts",
        /// Audit events.
        Events = "audit",
        /// Alerts.
        Alerts = "alerts",
        /// One session in detail.
        Session = "session",
        /// One alert in detail.
        Alert = "alert",
    }
}

words! {
    /// A step of the rotation of the master key.
    pub enum RotationStep {
        /// Both master keys open the database.
        Begun = "begun",
        /// Only the new one does.
        Finished = "finished",
        /// Every key is to be replaced.
        Compromised = "compromised",
    }
}

/// What retention removed of one part of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed<Before> {
    /// What came before this: a moment, or a place in the chain. `None` where nothing was removed so far.
    pub before: Option<Before>,
    /// How many rows that were.
    pub rows: u64,
}

members! {
    /// The details of an event of any kind that stands for many refusals that were counted, in place of its own.
    pub struct Aggregate {
        /// how many more there were
        folded: u64,
        /// the first of all that were counted together
        from: DateTime<Utc>,
        /// the last of them
        to: DateTime<Utc>,
        /// the /24 or /48 they came from; null where they came from more of them than are told apart
        network: Option<IpNet> [network],
        /// of a caller who is known: what was asked for
        route: Option<String> [optional],
        /// of a caller who is known: the kind of the event that did not happen
        operation: Option<AuditKind> [optional],
    }
}
