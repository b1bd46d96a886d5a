//! Everybody's tries to log in: find, export.

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
use crate::model::filter::AttemptFilter;
use crate::view::AttemptObject;

const PAGER: Pager = Pager("attempts");

/// Find tries to log in, newest first.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(AttemptFilter, PageOptions),
    responses((status = 200, description = "A page of attempts", body = List<AttemptObject>), Refused, BadQuery)
)]
#[get("/admin/attempts")]
pub async fn find_attempts(
    reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<AttemptFilter, PageOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let (after, limit) = PAGER.asked(options.limit, options.cursor.as_deref())?;
    let page = app.history.attempts(filter, after, limit, &reviewer.context()).await?;
    Ok(HttpResponse::Ok().json(PAGER.list(&page, AttemptObject::from)))
}

/// Export tries to log in as CSV, NDJSON or OCSF events, all that match.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(AttemptFilter, ExportOptions),
    responses(
        (status = 200, description = "Every attempt that matches", content(
            (String = "text/csv; charset=utf-8; header=present"), (String = "application/x-ndjson"),
        )),
        Refused, BadQuery,
    )
)]
#[get("/admin/attempts/export")]
pub async fn export_attempts(
    reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<AttemptFilter, ExportOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let selection = Selection::Attempts(filter);
    let export = app.history.export(selection, options.form()?, options.purpose, &reviewer.context()).await?;
    export::answer(export, "attempts").await
}
