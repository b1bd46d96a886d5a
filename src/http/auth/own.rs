//! What is one's own: who am I, my sessions, tries on my account.

use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpResponse, delete, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::http::authenticate::{Caller, LogoutCaller};
use crate::http::error::ApiError;
use crate::http::input::{Given, Query};
use crate::http::paging::{List, PageOptions, Pager};
use crate::http::problems::{BadQuery, CallerRefused, NotFound, PasswordChangeFirst};
use crate::model::filter::StateFilter;
use crate::model::id::SessionId;
use crate::view::{AttemptObject, SessionObject, UserSummary};

/// Made once: "who am I" is asked all the time.
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const SESSIONS: Pager = Pager("own sessions");
const ATTEMPTS: Pager = Pager("own attempts");

/// The user and the session of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeAnswer<'a> {
    /// The user, as of now.
    user: UserSummary<'a>,
    /// The session.
    session: SessionObject<'a>,
}

/// Which of one's own sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OwnSessionsQuery {
    /// Active ones unless said otherwise.
    #[param(inline)]
    state: Option<StateFilter>,
    /// Rows of the page.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// Where the page begins.
    cursor: Option<String>,
}

/// Who am I, and in which session?
#[utoipa::path(
    tag = "people", security(("bearer" = [])),
    responses((status = 200, description = "The user and the session", body = MeAnswer), CallerRefused)
)]
#[get("/auth/me")]
pub async fn me(caller: Caller, app: web::Data<App>) -> Result<HttpResponse, ApiError> {
    let (checked, ip) = (&caller.checked, caller.address());
    let session = app.sessions.current(checked, ip).await?.ok_or(ApiError::SessionEnded)?;
    let answer = MeAnswer {
        user: UserSummary::new(checked.user_id, &checked.user.username, &checked.user.role),
        session: session.shown(app.clock.now()),
    };
    // As much as it takes as a rule: asked all the time, it is not to grow bit by bit.
    let mut body = Vec::with_capacity(1024);
    serde_json::to_writer(&mut body, &answer).map_err(|_| ApiError::Unavailable)?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, JSON)).body(body))
}

/// My sessions, newest first.
#[utoipa::path(
    tag = "people", security(("bearer" = [])), params(OwnSessionsQuery),
    responses((status = 200, description = "A page of sessions", body = List<SessionObject>), CallerRefused, PasswordChangeFirst, BadQuery)
)]
#[get("/auth/sessions")]
pub async fn list_sessions(
    caller: Caller,
    app: web::Data<App>,
    query: Given<Query<OwnSessionsQuery>>,
) -> Result<HttpResponse, ApiError> {
    let Query(query) = query?;
    let state = query.state.unwrap_or(StateFilter::Active);
    let (after, limit) = SESSIONS.asked(query.limit, query.cursor.as_deref())?;
    let page = app.sessions.own(caller.checked.user_id, state, after, limit).await?;
    let now = app.clock.now();
    let show = |session| SessionObject::new(session, now).seen_from(caller.checked.session_id);
    Ok(HttpResponse::Ok().json(SESSIONS.list(&page, show)))
}

/// End one of my sessions. Another one than this asks for a recent login.
#[utoipa::path(
    tag = "people", security(("bearer" = [])), params(("id" = String, Path, description = "The session", format = "uuid")),
    responses((status = 204, description = "The session is over"), CallerRefused, PasswordChangeFirst, NotFound)
)]
#[delete("/auth/sessions/{id}")]
pub async fn end_session(
    LogoutCaller(caller): LogoutCaller,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id: SessionId = id.parse().map_err(|_| ApiError::NotFound)?;
    if id != caller.checked.session_id {
        caller.require_recent_login(&app)?;
    }
    let ended = app.sessions.end_own(caller.checked.user_id, id, &caller.context()).await?;
    ended.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::NoContent().finish())
}

/// Recent tries to log in to my account, newest first.
#[utoipa::path(
    tag = "people", security(("bearer" = [])), params(PageOptions),
    responses((status = 200, description = "A page of attempts", body = List<AttemptObject>), CallerRefused, PasswordChangeFirst, BadQuery)
)]
#[get("/auth/attempts")]
pub async fn list_attempts(
    caller: Caller,
    app: web::Data<App>,
    query: Given<Query<PageOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Query(options) = query?;
    let (after, limit) = ATTEMPTS.asked(options.limit, options.cursor.as_deref())?;
    let page = app.sessions.own_attempts(caller.checked.user_id, after, limit).await?;
    Ok(HttpResponse::Ok().json(ATTEMPTS.list(&page, AttemptObject::from)))
}
