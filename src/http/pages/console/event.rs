//! An event of a session's timeline.

use super::super::frame::Frame;
use super::super::moment::Moment;
use super::people::People;
use super::words;
use crate::model::audit::{Outcome, Reason, RecordedEvent};

/// A row of the timeline.
pub(super) struct EventRow {
    pub at: Moment,
    pub seq: i64,
    /// What happened, in the reader's language.
    pub text: Option<String>,
    /// The word for it.
    pub word: &'static str,
    /// The word for why it was not done, where it was not.
    pub refused: Option<&'static str>,
    pub actor: String,
    pub ip: Option<String>,
}

impl EventRow {
    /// An event as a row.
    pub fn new(frame: &Frame, people: &People, RecordedEvent { seq, event }: &RecordedEvent) -> Self {
        let refused = event.reason.filter(|_| event.outcome == Outcome::Failure);
        Self {
            at: frame.moment(event.at),
            seq: *seq,
            text: words::event(frame, event.kind),
            word: event.kind.as_str(),
            refused: refused.map(Reason::as_str),
            actor: people.actor(frame, &event.context.actor),
            ip: event.context.ip.map(|ip| ip.to_string()),
        }
    }
}
