//! The reviewers' inbox: list, show, acknowledge.

use actix_web::{HttpResponse, get, post, web};

use super::filter_query::Filtered;
use super::sessions::NoteBody;
use crate::app::App;
use crate::http::authenticate::Reviewer;
use crate::http::authenticated_body::Authenticated;
use crate::http::error::ApiError;
use crate::http::input::Given;
use crate::http::input::OptionalBody;
use crate::http::paging::{List, PageOptions, Pager};
use crate::http::problems::{BadBody, BadQuery, NotFound, Refused};
use crate::model::alert::Alert;
use crate::model::filter::AlertFilter;
use crate::model::id::AlertId;
use crate::view::AlertObject;

const PAGER: Pager = Pager("alerts");

fn alert_id(path: &web::Path<String>) -> Result<AlertId, ApiError> {
    path.parse().map_err(|_| ApiError::NotFound)
}

fn shown(app: &App, alert: &Alert) -> AlertObject {
    AlertObject::new(alert, app.alerts.overdue_after(), app.clock.now())
}

/// Find alerts, newest first.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(AlertFilter, PageOptions),
    responses((status = 200, description = "A page of alerts", body = List<AlertObject>), Refused, BadQuery)
)]
#[get("/admin/alerts")]
pub async fn find_alerts(
    reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<AlertFilter, PageOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let (after, limit) = PAGER.asked(options.limit, options.cursor.as_deref())?;
    let page = app.alerts.list(filter, after, limit, &reviewer.context()).await?;
    Ok(HttpResponse::Ok().json(PAGER.list(&page, |alert| shown(&app, alert))))
}

/// Show an alert.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The alert")),
    responses((status = 200, description = "The alert", body = AlertObject), Refused, NotFound)
)]
#[get("/admin/alerts/{id}")]
pub async fn show_alert(
    reviewer: Reviewer,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let alert = app.alerts.find(alert_id(&id)?, &reviewer.context()).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(shown(&app, &alert)))
}

/// Acknowledge an alert: somebody has looked at it. Reviewers may, since the inbox is theirs; the first who does is kept.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The alert")),
    request_body = Option<NoteBody>,
    responses((status = 204, description = "The alert is acknowledged"), Refused, BadBody, NotFound)
)]
#[post("/admin/alerts/{id}/acknowledge")]
pub async fn acknowledge_alert(
    asked: Authenticated<Reviewer, OptionalBody<NoteBody>>,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (Authenticated(reviewer, body), id) = (asked, alert_id(&id)?);
    let note = body.0.and_then(|body| body.note).map(|note| note.0);
    let is_there = app.alerts.acknowledge(id, note, &reviewer.context()).await?;
    if is_there { Ok(HttpResponse::NoContent().finish()) } else { Err(ApiError::NotFound) }
}
