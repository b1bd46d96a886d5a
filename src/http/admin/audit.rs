//! The record of what happened: find, export.

use actix_web::{HttpResponse, get, web};

use super::filter_query::{ExportOptions, Filtered};
use crate::app::App;
use crate::audit::export::Selection;
use crate::http::authenticate::Reviewer;
use crate::http::error::ApiError;
use crate::http::export;
use crate::http::input::Given;
use crate::http::paging::{List, PageOptions, Pager};
use crate::http::problems::{BadQuery, Refused};
use crate::model::filter::EventFilter;
use crate::view::EventObject;

const PAGER: Pager = Pager("audit");

/// Find events, newest first.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(EventFilter, PageOptions),
    responses((status = 200, description = "A page of events", body = List<EventObject>), Refused, BadQuery)
)]
#[get("/admin/audit")]
pub async fn find_events(
    reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<EventFilter, PageOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let (after, limit) = PAGER.asked(options.limit, options.cursor.as_deref())?;
    let page = app.history.events(filter, after, limit, &reviewer.context()).await?;
    Ok(HttpResponse::Ok().json(PAGER.list(&page, EventObject::from)))
}

/// Export events as CSV, NDJSON or OCSF events, all that match.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(EventFilter, ExportOptions),
    responses(
        (status = 200, description = "Every event that matches", content(
            (String = "text/csv; charset=utf-8; header=present"), (String = "application/x-ndjson"),
        )),
        Refused, BadQuery,
    )
)]
#[get("/admin/audit/export")]
pub async fn export_events(
    reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<EventFilter, ExportOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let selection = Selection::Events(filter);
    let export = app.history.export(selection, options.form()?, options.purpose, &reviewer.context()).await?;
    export::answer(export, "audit").await
}
