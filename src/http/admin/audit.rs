//! The record of what happened: find, export.

use actix_web::{HttpResponse, get, web};

use super::export;
use super::query::{ExportOptions, Filtered, PageOptions};
use crate::app::App;
use crate::audit::export::Selection;
use crate::http::authenticate::Reviewer;
use crate::http::error::ApiError;
use crate::http::input::Given;
use crate::http::paging::list;
use crate::http::paging::{self, List};
use crate::http::problems::{BadQuery, Refused};
use crate::model::audit::RecordedEvent;
use crate::model::filter::EventFilter;
use crate::store::audit::Position;
use crate::view::EventObject;

/// The list that cursors belong to.
const LIST: &str = "audit";

fn position(cursor: Option<&str>) -> Result<Option<Position>, ApiError> {
    let Some([at, seq]) = paging::keys(LIST, cursor)? else { return Ok(None) };
    Ok(Some(Position { at: paging::time_from(&at)?, seq: paging::key_from(&seq)? }))
}

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
    let limit = paging::limit(options.limit)?;
    let after = position(options.cursor.as_deref())?;
    let page = app.history.events(filter, after, limit, &reviewer.context()).await?;
    let cursor =
        |last: &RecordedEvent| paging::cursor(LIST, &[&paging::time_key(last.event.at), &last.seq.to_string()]);
    Ok(HttpResponse::Ok().json(list(&page, EventObject::from, cursor)))
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
    let form = options.form()?;
    let selection = Selection::Events(filter);
    let export = app.history.export(selection, form, options.purpose, &reviewer.context()).await?;
    export::answer(export, "audit", form.format()).await
}
