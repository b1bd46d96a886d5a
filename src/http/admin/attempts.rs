//! Everybody's tries to log in: find, export.

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
use crate::model::attempt::Attempt;
use crate::model::filter::AttemptFilter;
use crate::store::attempts::Position;
use crate::view::AttemptObject;

/// The list that cursors belong to.
const LIST: &str = "attempts";

fn position(cursor: Option<&str>) -> Result<Option<Position>, ApiError> {
    let Some([at, id]) = paging::keys(LIST, cursor)? else { return Ok(None) };
    Ok(Some(Position { at: paging::time_from(&at)?, id: paging::key_from(&id)? }))
}

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
    let limit = paging::limit(options.limit)?;
    let after = position(options.cursor.as_deref())?;
    let page = app.history.attempts(filter, after, limit, &reviewer.context()).await?;
    let cursor = |last: &Attempt| paging::cursor(LIST, &[&paging::time_key(last.at), &last.id.to_string()]);
    Ok(HttpResponse::Ok().json(list(&page, AttemptObject::from, cursor)))
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
    let form = options.form()?;
    let selection = Selection::Attempts(filter);
    let export = app.history.export(selection, form, options.purpose, &reviewer.context()).await?;
    export::answer(export, "attempts", form.format()).await
}
