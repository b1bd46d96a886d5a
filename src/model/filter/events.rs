//! Which events.

use super::parse::{Criterion, filter};
use super::value::{Moment, Text};
use crate::model::audit::{AuditKind, Outcome};
use crate::model::id::SessionId;

filter! {
    /// Which events. All members together; one that is left out leaves nothing out.
    pub struct EventFilter {
        /// Of this kind.
        kind: Criterion<AuditKind>,
        /// With this outcome.
        outcome: Criterion<Outcome>,
        /// Done by the party with this id: a user, a client, or a part of Vigie such as `cli`.
        actor: Criterion<Text>,
        /// Done to the thing with this id.
        subject: Criterion<Text>,
        /// In this session.
        session_id: Criterion<SessionId>,
        /// At this moment or later.
        from: Option<Moment>,
        /// Before this moment.
        to: Option<Moment>,
    }
}
