//! `/console/sessions/{id}`: one session, with what happened in it and what shows that nobody changed it since.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::super::agent::Agent;
use super::super::answer;
use super::super::frame::Frame;
use super::super::moment::Moment;
use super::caller::ConsoleReviewer;
use super::event::EventRow;
use super::near::{Near, near, of_user};
use super::people::{People, user_of};
use super::words;
use crate::app::App;
use crate::audit::history::SessionDetail;
use crate::http::error::ApiError;
use crate::http::input::parse_query;
use crate::model::id::SessionId;
use crate::model::record::RecordKind;
use crate::model::session::{End, Session, SessionState};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionQuery {
    /// Whether the reader has just ended it, or found it ended.
    ended: Option<bool>,
}

/// The access token issued last.
struct Token {
    id: String,
    issued: Moment,
    expires: Moment,
    refreshes: u32,
}

/// How a session ended.
struct Ending {
    at: Moment,
    reason: String,
    means: String,
    by: String,
    note: Option<String>,
}

/// A record of the session in the chain.
struct Sealed {
    /// The name of the text that says of what.
    of: &'static str,
    /// The place in the chain, how many records the checkpoint covers, and when it was made; `None` before a checkpoint covers it.
    place: Option<(i64, i64, Moment)>,
}

/// Another session of the same user.
struct Sibling {
    id: String,
    started: Moment,
    ip: String,
    device: String,
    /// Why it ended; `None` while it lives.
    ended: Option<String>,
}

#[derive(Template)]
#[template(path = "console/session.html")]
struct SessionPage {
    frame: Frame,
    id: String,
    is_this: bool,
    /// Whether the reader may end it.
    may_end: bool,
    done: Option<String>,
    username: String,
    role: String,
    of_user: String,
    name: Option<String>,
    device_name: Option<String>,
    started: Moment,
    ip: String,
    methods: String,
    agent: Agent,
    client: Option<String>,
    /// Whether the application authenticated, and was not only named.
    client_is_sure: bool,
    last_seen: Moment,
    last_ip: String,
    idle_expires: Moment,
    expires: Moment,
    end: Option<Ending>,
    token: Option<Token>,
    records: Vec<Sealed>,
    events: Vec<EventRow>,
    siblings: Vec<Sibling>,
    near: Vec<Near>,
}

/// Shows the session.
pub(in crate::http::pages) async fn show(
    ConsoleReviewer(reviewer): ConsoleReviewer,
    app: web::Data<App>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id: SessionId = id.parse().map_err(|_| ApiError::NotFound)?;
    let query: SessionQuery = parse_query(request.query_string())?;
    let found = app.history.session(id, &reviewer.context()).await?;
    let SessionDetail { session, timeline, siblings } = found.ok_or(ApiError::NotFound)?;
    let frame = Frame::of(&app, &request, &reviewer.0).await?;
    let now = app.clock.now();
    let end = session.end.clone().or_else(|| session.expired(now));
    let mut people = People::default();
    people.learn(session.user_id, session.username.as_str());
    let actors = timeline.iter().map(|recorded| &recorded.event.context.actor).chain(end.as_ref().map(|end| &end.by));
    people.look_up(&app, actors.filter_map(user_of)).await?;
    let (is_this, is_over) = (id == reviewer.0.checked.session_id, end.is_some());
    let page = SessionPage {
        id: id.to_string(),
        is_this,
        may_end: reviewer.0.permissions.admin && !is_over,
        done: query.ended.map(|ended| frame.text(if ended { "end-done" } else { "end-was-over" })),
        username: session.username.as_str().to_owned(),
        role: session.role.as_str().to_owned(),
        of_user: of_user(&session),
        name: session.name.clone(),
        device_name: session.device_name.clone(),
        started: frame.moment(session.started_at),
        ip: session.client_info.ip.to_string(),
        methods: session.methods.iter().map(|method| words::method(&frame, method)).collect::<Vec<_>>().join(", "),
        agent: Agent::new(&frame, &session.device, session.client_info.user_agent.as_deref()),
        client: session.client.id().map(ToString::to_string),
        client_is_sure: session.client.authenticated().is_some(),
        last_seen: frame.moment(session.last_seen_at),
        last_ip: session.last_ip.to_string(),
        idle_expires: frame.moment(session.idle_expires_at),
        expires: frame.moment(session.expires_at),
        end: end.as_ref().map(|end| ending(&frame, &people, end)),
        token: session.issued_token().map(|token| Token {
            id: token.id.to_string(),
            issued: frame.moment(token.issued_at),
            expires: frame.moment(token.expires_at),
            refreshes: session.refresh.generation,
        }),
        records: records(&app, &frame, &session).await?,
        events: timeline.iter().map(|recorded| EventRow::new(&frame, &people, recorded)).collect(),
        siblings: siblings.iter().map(|sibling| self::sibling(&frame, sibling, now)).collect(),
        near: near(&frame, &session),
        frame,
    };
    answer(StatusCode::OK, &page)
}

fn ending(frame: &Frame, people: &People, end: &End) -> Ending {
    Ending {
        at: frame.moment(end.at),
        reason: words::reason(frame, end.reason),
        means: words::meaning(frame, end.reason),
        by: people.actor(frame, &end.by),
        note: end.note.clone().filter(|note| !note.is_empty()),
    }
}

fn sibling(frame: &Frame, session: &Session, now: chrono::DateTime<chrono::Utc>) -> Sibling {
    let end = session.end.clone().or_else(|| session.expired(now));
    let is_over = session.state(now) == SessionState::Ended;
    Sibling {
        id: session.id.to_string(),
        started: frame.moment(session.started_at),
        ip: session.client_info.ip.to_string(),
        device: Agent::new(frame, &session.device, session.client_info.user_agent.as_deref()).short,
        ended: end.filter(|_| is_over).map(|end| words::reason(frame, end.reason)),
    }
}

/// Where the chain holds the session: as it began, and as it ended.
async fn records(app: &App, frame: &Frame, session: &Session) -> Result<Vec<Sealed>, ApiError> {
    let mut records = Vec::new();
    let ended = session.end.is_some().then_some((RecordKind::SessionEnded, "proof-end"));
    for (kind, of) in std::iter::once((RecordKind::SessionStarted, "proof-start")).chain(ended) {
        let proof = app.chain.prove_inclusion(kind, session.id.to_string()).await?;
        let place =
            proof.map(|proof| (proof.sealed.position, proof.checkpoint.size, frame.moment(proof.checkpoint.at)));
        records.push(Sealed { of, place });
    }
    Ok(records)
}
