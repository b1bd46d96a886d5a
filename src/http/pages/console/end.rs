//! `/console/sessions/{id}/end`: a page that asks, and ends the session by its button.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::super::agent::Agent;
use super::super::form::PageForm;
use super::super::frame::{Frame, base};
use super::super::half_filled::Refill;
use super::super::logout::logged_out;
use super::super::moment::Moment;
use super::super::{answer, see_other};
use super::caller::ConsoleAdmin;
use super::sessions::address;
use crate::app::App;
use crate::http::admin::member::Note;
use crate::http::authenticate::Admin;
use crate::http::authenticated_body::Authenticated;
use crate::http::error::ApiError;
use crate::model::id::SessionId;
use crate::model::session::{EndReason, Session, SessionState};

/// The form: why it ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http::pages) struct EndForm {
    #[serde(default)]
    note: String,
}

impl Refill for EndForm {
    const MEMBERS: Option<&'static [&'static str]> = Some(&["note"]);
}

#[derive(Template)]
#[template(path = "console/end.html")]
struct EndPage {
    frame: Frame,
    id: String,
    is_this: bool,
    username: String,
    agent: Agent,
    started: Moment,
    ip: String,
    note: String,
    is_wrong: bool,
}

/// Asks whether to end it; one that is over already is shown as it is.
pub(in crate::http::pages) async fn ask(
    ConsoleAdmin(admin): ConsoleAdmin,
    app: web::Data<App>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(&id)?;
    let session = session(&app, &admin, id).await?;
    if session.state(app.clock.now()) == SessionState::Ended {
        return Ok(see_other(&place(&app, id, "")));
    }
    answer(StatusCode::OK, &page(&app, &request, &admin, &session).await?)
}

/// Ends it. After one's own session comes the login page.
pub(in crate::http::pages) async fn end(
    asked: Authenticated<ConsoleAdmin, PageForm<EndForm>>,
    app: web::Data<App>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(ConsoleAdmin(admin), PageForm(form)) = asked;
    let id = session_id(&id)?;
    // Browsers send the end of a line as two characters.
    let text = form.note.replace("\r\n", "\n");
    let Some(Note(note)) = Note::new(text.trim().to_owned()) else {
        let session = session(&app, &admin, id).await?;
        let page = EndPage { note: text, is_wrong: true, ..page(&app, &request, &admin, &session).await? };
        return answer(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let note = Some(note).filter(|note| !note.is_empty());
    let ended = app.sessions.end(id, EndReason::EndedByAdmin, note, &admin.context()).await?;
    let ended = ended.ok_or(ApiError::NotFound)?;
    if id == admin.0.checked.session_id {
        return logged_out(&app, "logged-out");
    }
    Ok(see_other(&place(&app, id, &format!("?ended={ended}"))))
}

fn session_id(path: &web::Path<String>) -> Result<SessionId, ApiError> {
    path.parse().map_err(|_| ApiError::NotFound)
}

/// The session, read as every reading of other people's history is.
async fn session(app: &App, admin: &Admin, id: SessionId) -> Result<Session, ApiError> {
    let found = app.history.session(id, &admin.context()).await?;
    Ok(found.ok_or(ApiError::NotFound)?.session)
}

async fn page(
    app: &web::Data<App>,
    request: &HttpRequest,
    admin: &Admin,
    session: &Session,
) -> Result<EndPage, ApiError> {
    let frame = Frame::of(app, request, &admin.0).await?;
    let note = frame.again.as_ref().and_then(|again| again.value("note")).map(str::to_owned);
    Ok(EndPage {
        id: session.id.to_string(),
        is_this: session.id == admin.0.checked.session_id,
        username: session.username.as_str().to_owned(),
        agent: Agent::new(&frame, &session.device, session.client_info.user_agent.as_deref()),
        started: frame.moment(session.started_at),
        ip: session.client_info.ip.to_string(),
        note: note.unwrap_or_default(),
        is_wrong: false,
        frame,
    })
}

fn place(app: &App, id: SessionId, query: &str) -> String {
    format!("{}/{id}{query}", address(&base(app), ""))
}
