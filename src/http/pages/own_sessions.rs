//! `/account/sessions`: one's own sessions, each with a button that ends it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::agent::Agent;
use super::caller::{LeavingCaller, PageCaller};
use super::form::PageForm;
use super::frame::{Frame, base};
use super::half_filled::Refill;
use super::logout::{Button, logged_out};
use super::moment::Moment;
use super::return_to::{self, ReturnTo};
use super::{answer, see_other};
use crate::app::App;
use crate::http::authenticated_body::Authenticated;
use crate::http::error::ApiError;
use crate::http::input::parse_query;
use crate::http::paging::Pager;
use crate::model::filter::StateFilter;
use crate::model::id::SessionId;
use crate::model::session::{EndReason, Session, SessionState};

const SESSIONS: Pager = Pager("own sessions");

/// Which sessions, and where the page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionsQuery {
    state: Option<StateFilter>,
    cursor: Option<String>,
    ended: Option<i64>,
    named: Option<bool>,
}

/// The form of the warning before the session ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtendForm {
    #[serde(default, deserialize_with = "return_to::lenient")]
    return_to: Option<ReturnTo>,
}

impl Refill for ExtendForm {
    const MEMBERS: Option<&'static [&'static str]> = None;
}

/// A session in the table.
struct Row {
    id: String,
    is_this: bool,
    is_active: bool,
    /// What it is called: by its user, by its application, or after its browser.
    name: String,
    /// Its browser, as far as the name does not tell it.
    agent: Option<Agent>,
    client: Option<String>,
    started: Moment,
    last_seen: Moment,
    ip: String,
    last_ip: String,
    /// When it ended, and the name of the text that says why.
    end: Option<(Moment, String)>,
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    shows_all: bool,
    rows: Vec<Row>,
    next: Option<String>,
    /// What the reader has just done.
    done: Option<String>,
}

/// Shows the list, newest first.
pub(super) async fn show(
    PageCaller(caller): PageCaller,
    app: web::Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query: SessionsQuery = parse_query(request.query_string())?;
    let state = query.state.unwrap_or(StateFilter::Active);
    let (after, limit) = SESSIONS.asked(None, query.cursor.as_deref())?;
    let page = app.sessions.own(caller.checked.user_id, state, after, limit).await?;
    let frame = Frame::of(&app, &request, &caller).await?;
    let now = app.clock.now();
    let row = |session: &Session| row(&frame, session, session.id == caller.checked.session_id, now);
    let rows = page.items.iter().map(row).collect();
    let next = page.next.as_ref().map(|place| SESSIONS.cursor(place));
    let named = query.named.filter(|named| *named).map(|_| frame.text("name-done"));
    let done = query.ended.map(|ended| frame.count("sessions-ended", ended)).or(named);
    let page = SessionsPage { rows, next, shows_all: state == StateFilter::All, done, frame };
    answer(StatusCode::OK, &page)
}

fn row(frame: &Frame, session: &Session, is_this: bool, now: chrono::DateTime<chrono::Utc>) -> Row {
    let end = session.end.clone().or_else(|| session.expired(now));
    let agent = Agent::new(frame, &session.device, session.client_info.user_agent.as_deref());
    let given = session.name.clone().or_else(|| session.device_name.clone());
    let (name, agent) = match given {
        Some(name) => (name, Some(agent)),
        None => (agent.short, agent.whole.map(|whole| Agent { short: frame.text("agent-whole"), whole: Some(whole) })),
    };
    Row {
        id: session.id.to_string(),
        is_this,
        is_active: session.state(now) == SessionState::Active,
        name,
        agent,
        client: session.client.id().map(ToString::to_string),
        started: frame.moment(session.started_at),
        last_seen: frame.moment(session.last_seen_at),
        ip: session.client_info.ip.to_string(),
        last_ip: session.last_ip.to_string(),
        end: end
            .map(|end| (frame.moment(end.at), frame.text(&format!("end-{}", end.reason.as_str().replace('_', "-"))))),
    }
}

/// Ends one session. Another one than this asks for a recent login.
pub(super) async fn end(
    asked: Authenticated<LeavingCaller, PageForm<Button>>,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(LeavingCaller(caller), _) = asked;
    let id: SessionId = id.parse().map_err(|_| ApiError::NotFound)?;
    let is_this = id == caller.checked.session_id;
    if !is_this {
        caller.require_recent_login(&app)?;
    }
    let ended = app.sessions.end_own(caller.checked.user_id, id, &caller.context()).await?;
    ended.ok_or(ApiError::NotFound)?;
    if is_this { logged_out(&app, "logged-out") } else { Ok(see_other(&list(&app, 1))) }
}

/// Ends all others. Like the end of one, it asks for a recent login.
pub(super) async fn end_others(
    asked: Authenticated<LeavingCaller, PageForm<Button>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(LeavingCaller(caller), _) = asked;
    caller.require_recent_login(&app)?;
    let (user_id, this) = (caller.checked.user_id, caller.checked.session_id);
    let context = caller.context();
    let ended = app.sessions.end_of_user(user_id, Some(this), EndReason::LogoutAll, None, &context).await?;
    Ok(see_other(&list(&app, ended)))
}

/// Ends all, this one too. It asks for a recent login as well: others are among them.
pub(super) async fn end_all(
    asked: Authenticated<LeavingCaller, PageForm<Button>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(LeavingCaller(caller), _) = asked;
    caller.require_recent_login(&app)?;
    let context = caller.context();
    app.sessions.end_of_user(caller.checked.user_id, None, EndReason::LogoutAll, None, &context).await?;
    logged_out(&app, "logged-out")
}

/// Goes on with this session: the request itself is the use.
pub(super) async fn extend(
    asked: Authenticated<PageCaller, PageForm<ExtendForm>>,
    app: web::Data<App>,
) -> HttpResponse {
    let Authenticated(_, PageForm(form)) = asked;
    see_other(&format!("{}{}", base(&app), form.return_to.as_ref().map_or("/account", ReturnTo::as_str)))
}

/// The list, which says how many sessions were ended.
fn list(app: &App, ended: i64) -> String {
    format!("{}/account/sessions?ended={ended}", base(app))
}
