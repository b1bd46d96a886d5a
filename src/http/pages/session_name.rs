//! `/account/sessions/{id}/name`: what somebody calls one of their own sessions.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::agent::Agent;
use super::caller::PageCaller;
use super::form::PageForm;
use super::frame::{Frame, base};
use super::half_filled::Refill;
use super::moment::Moment;
use super::{answer, see_other};
use crate::app::App;
use crate::http::authenticate::Caller;
use crate::http::authenticated_body::Authenticated;
use crate::http::error::ApiError;
use crate::model::device::given_name;
use crate::model::id::SessionId;
use crate::model::session::{Session, SessionState};

/// The form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NameForm {
    name: String,
}

impl Refill for NameForm {
    const MEMBERS: Option<&'static [&'static str]> = Some(&["name"]);
}

#[derive(Template)]
#[template(path = "session_name.html")]
struct SessionNamePage {
    frame: Frame,
    id: String,
    name: String,
    is_this: bool,
    agent: Agent,
    started: Moment,
    ip: String,
    wrong: Option<String>,
}

/// Shows the form.
pub(super) async fn show(
    PageCaller(caller): PageCaller,
    app: web::Data<App>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    answer(StatusCode::OK, &page(&app, &request, &caller, &id).await?)
}

/// Gives the name.
pub(super) async fn set(
    asked: Authenticated<PageCaller, PageForm<NameForm>>,
    app: web::Data<App>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(PageCaller(caller), PageForm(form)) = asked;
    let Ok(name) = given_name(form.name.trim().to_owned()) else {
        let page = page(&app, &request, &caller, &id).await?;
        let wrong = Some(page.frame.text("name-wrong"));
        return answer(StatusCode::UNPROCESSABLE_ENTITY, &SessionNamePage { name: form.name, wrong, ..page });
    };
    let id: SessionId = id.parse().map_err(|_| ApiError::NotFound)?;
    let named = app.sessions.name_own(caller.checked.user_id, id, name, &caller.context()).await?;
    named.ok_or(ApiError::NotFound)?;
    Ok(see_other(&format!("{}/account/sessions?named=true", base(&app))))
}

async fn page(
    app: &web::Data<App>,
    request: &HttpRequest,
    caller: &Caller,
    id: &str,
) -> Result<SessionNamePage, ApiError> {
    let id: SessionId = id.parse().map_err(|_| ApiError::NotFound)?;
    let session = app.sessions.find_own(caller.checked.user_id, id).await?;
    let lives = |session: &Session| session.end.is_none() && session.state(app.clock.now()) == SessionState::Active;
    let is_this = id == caller.checked.session_id;
    // The use by this very request may not be written yet.
    let session = session.filter(|session| is_this || lives(session)).ok_or(ApiError::NotFound)?;
    let frame = Frame::of(app, request, caller).await?;
    let name = frame.again.as_ref().and_then(|again| again.value("name")).map(str::to_owned);
    Ok(SessionNamePage {
        id: id.to_string(),
        name: name.or(session.name).unwrap_or_default(),
        is_this,
        agent: Agent::new(&frame, &session.device, session.client_info.user_agent.as_deref()),
        started: frame.moment(session.started_at),
        ip: session.client_info.ip.to_string(),
        wrong: None,
        frame,
    })
}
