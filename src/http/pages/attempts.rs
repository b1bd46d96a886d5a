//! `/account/attempts`: tries to log in to one's own account.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::agent::Agent;
use super::answer;
use super::caller::PageCaller;
use super::frame::Frame;
use super::moment::Moment;
use crate::app::App;
use crate::http::error::ApiError;
use crate::http::input::parse_query;
use crate::http::paging::Pager;
use crate::model::attempt::AttemptOutcome;
use crate::model::device::device;

const ATTEMPTS: Pager = Pager("own attempts");

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttemptsQuery {
    cursor: Option<String>,
}

/// An attempt in the table.
struct Row {
    at: Moment,
    is_success: bool,
    outcome: String,
    ip: String,
    agent: Agent,
}

#[derive(Template)]
#[template(path = "attempts.html")]
struct AttemptsPage {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
}

/// Shows the list, newest first.
pub(super) async fn show(
    PageCaller(caller): PageCaller,
    app: web::Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query: AttemptsQuery = parse_query(request.query_string())?;
    let (after, limit) = ATTEMPTS.asked(None, query.cursor.as_deref())?;
    let page = app.sessions.own_attempts(caller.checked.user_id, after, limit).await?;
    let frame = Frame::of(&app, &request, &caller).await?;
    let rows = page
        .items
        .iter()
        .map(|attempt| Row {
            at: frame.moment(attempt.at),
            is_success: attempt.outcome == AttemptOutcome::Success,
            outcome: frame.text(&format!("outcome-{}", attempt.outcome.as_str().replace('_', "-"))),
            ip: attempt.ip.to_string(),
            agent: Agent::new(&frame, &device(attempt.user_agent.as_deref()), attempt.user_agent.as_deref()),
        })
        .collect();
    let next = page.next.as_ref().map(|place| ATTEMPTS.cursor(place));
    answer(StatusCode::OK, &AttemptsPage { frame, rows, next })
}
