//! The audit event object.

use serde::Serialize;
use utoipa::ToSchema;

use super::{TimeText, time};
use crate::model::audit::{Reason, RecordedEvent};
use crate::model::session::Actor;

/// One thing that happened to a user, session, client or key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EventObject {
    /// Its number; higher is later.
    pub seq: i64,
    /// When it happened.
    #[schema(value_type = String, format = "date-time")]
    pub at: TimeText,
    /// What happened: a word of a closed list.
    pub kind: &'static str,
    /// `success` or `failure`.
    pub outcome: &'static str,
    /// Why it was not done, of a closed list.
    pub reason: Option<&'static str>,
    /// Who did it.
    pub actor: ActorObject,
    /// What it was done to.
    pub subject: SubjectObject,
    /// The session in which it happened; null outside one.
    #[schema(format = "uuid")]
    pub session_id: Option<String>,
    /// The client's address; null where no client asked.
    pub ip: Option<String>,
    /// The id of the request that did it; null where none did.
    pub request_id: Option<String>,
    /// What else there is to say.
    #[schema(value_type = Object)]
    pub details: serde_json::Value,
}

/// Who did something.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActorObject {
    /// `user`, `admin`, `client` or `system`.
    pub kind: &'static str,
    /// The id of the user or client, or the name of the part of Vigie.
    pub id: String,
}

/// What something was done to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SubjectObject {
    /// `user`, `session`, `client`, `key`, `everybody`, `network`, `throttle`, `alert` or `unknown`.
    pub kind: &'static str,
    /// The id of the user, session or other thing; null where there is none.
    pub id: Option<String>,
}

impl From<&Actor> for ActorObject {
    fn from(actor: &Actor) -> Self {
        Self { kind: actor.kind.as_str(), id: actor.id.clone() }
    }
}

impl From<&RecordedEvent> for EventObject {
    fn from(RecordedEvent { seq, event }: &RecordedEvent) -> Self {
        Self {
            seq: *seq,
            at: time(event.at),
            kind: event.kind.as_str(),
            outcome: event.outcome.as_str(),
            reason: event.reason.map(Reason::as_str),
            actor: ActorObject::from(&event.context.actor),
            subject: SubjectObject { kind: event.subject.kind.as_str(), id: event.subject.id.clone() },
            session_id: event.session_id.map(|id| id.to_string()),
            ip: event.context.ip.map(|ip| ip.to_string()),
            request_id: event.context.request_id.clone(),
            details: event.details.clone(),
        }
    }
}
