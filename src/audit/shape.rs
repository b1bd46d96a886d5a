//! How each kind of row is written: its object in the API, its columns, its OCSF event.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::model::attempt::Attempt;
use crate::model::audit::RecordedEvent;
use crate::model::session::Session;
use crate::view::{AttemptObject, EventObject, SessionObject, ocsf};

/// How the rows of one list are written in each format, as of a moment.
pub(super) struct Shape<Row> {
    /// Adds the object of the API.
    pub object: fn(&Row, DateTime<Utc>, &mut Vec<u8>),
    /// The names of the columns.
    pub columns: &'static [&'static str],
    /// The cells under them.
    pub cells: fn(&Row, DateTime<Utc>) -> Vec<String>,
    /// Adds the OCSF event.
    pub ocsf: fn(&Row, DateTime<Utc>, &mut Vec<u8>),
}

pub(super) const SESSIONS: Shape<Session> = Shape {
    object: |session, now, to| json(&SessionObject::new(session, now), to),
    columns: SESSION_COLUMNS,
    cells: |session, now| session_row(&SessionObject::new(session, now)),
    ocsf: |session, now, to| json(&ocsf::session(session, now), to),
};

pub(super) const ATTEMPTS: Shape<Attempt> = Shape {
    object: |attempt, _, to| json(&AttemptObject::from(attempt), to),
    columns: ATTEMPT_COLUMNS,
    cells: |attempt, _| attempt_row(&AttemptObject::from(attempt)),
    ocsf: |attempt, _, to| json(&ocsf::attempt(attempt), to),
};

pub(super) const EVENTS: Shape<RecordedEvent> = Shape {
    object: |event, _, to| json(&EventObject::from(event), to),
    columns: EVENT_COLUMNS,
    cells: |event, _| event_row(&EventObject::from(event)),
    ocsf: |event, _, to| json(&ocsf::event(event), to),
};

fn json(object: &impl Serialize, to: &mut Vec<u8>) {
    serde_json::to_writer(to, object).expect("objects of the contract are JSON, memory takes them");
}

const SESSION_COLUMNS: &[&str] = &[
    "id",
    "user_id",
    "username",
    "role",
    "state",
    "started_at",
    "last_seen_at",
    "expires_at",
    "idle_expires_at",
    "ended_at",
    "end_reason",
    "ended_by_kind",
    "ended_by_id",
    "note",
    "ip",
    "last_ip",
    "user_agent",
    "browser",
    "os",
    "device_kind",
    "device_name",
    "client_id",
    "amr",
    "jti",
    "token_issued_at",
    "token_expires_at",
    "refreshes",
];

fn session_row(session: &SessionObject) -> Vec<String> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let by = session.ended_by.as_ref();
    vec![
        session.id.to_string(),
        session.user.id.to_string(),
        session.user.username.to_owned(),
        session.user.role.to_owned(),
        session.state.to_owned(),
        session.started_at.to_string(),
        session.last_seen_at.to_string(),
        session.expires_at.to_string(),
        session.idle_expires_at.to_string(),
        text(session.ended_at.as_deref()),
        session.end_reason.unwrap_or_default().to_owned(),
        by.map(|by| by.kind.to_owned()).unwrap_or_default(),
        by.map(|by| by.id.clone()).unwrap_or_default(),
        text(session.note.as_deref()),
        session.ip.to_string(),
        session.last_ip.to_string(),
        text(session.user_agent),
        text(session.device.browser),
        text(session.device.os),
        text(session.device.kind),
        text(session.device_name),
        text(session.client_id),
        session.amr.join(" "),
        session.token.jti.to_string(),
        session.token.issued_at.to_string(),
        session.token.expires_at.to_string(),
        session.token.refreshes.to_string(),
    ]
}

const ATTEMPT_COLUMNS: &[&str] =
    &["id", "at", "username", "user_id", "outcome", "ip", "user_agent", "client_id", "session_id", "request_id"];

fn attempt_row(attempt: &AttemptObject) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    vec![
        attempt.id.clone(),
        attempt.at.to_string(),
        attempt.username.clone(),
        text(&attempt.user_id),
        attempt.outcome.to_owned(),
        attempt.ip.clone(),
        text(&attempt.user_agent),
        text(&attempt.client_id),
        text(&attempt.session_id),
        attempt.request_id.clone(),
    ]
}

const EVENT_COLUMNS: &[&str] = &[
    "seq",
    "at",
    "kind",
    "outcome",
    "reason",
    "actor_kind",
    "actor_id",
    "subject_kind",
    "subject_id",
    "session_id",
    "ip",
    "request_id",
    "details",
];

fn event_row(event: &EventObject) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    vec![
        event.seq.to_string(),
        event.at.to_string(),
        event.kind.to_owned(),
        event.outcome.to_owned(),
        event.reason.unwrap_or_default().to_owned(),
        event.actor.kind.to_owned(),
        event.actor.id.clone(),
        event.subject.kind.to_owned(),
        text(&event.subject.id),
        text(&event.session_id),
        text(&event.ip),
        text(&event.request_id),
        event.details.to_string(),
    ]
}
