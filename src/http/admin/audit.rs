//! The record of what happened: find, export.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::export;
use super::member::{Moment, Text};
use super::query::{ExportOptions, Filtered, PageOptions, described};
use crate::app::App;
use crate::audit::export::Selection;
use crate::http::authenticate::Reviewer;
use crate::http::error::ApiError;
use crate::http::input::Given;
use crate::http::paging::list;
use crate::http::paging::{self, List};
use crate::http::problems::{BadQuery, Refused};
use crate::model::audit::{AuditKind, Outcome, RecordedEvent};
use crate::model::id::SessionId;
use crate::store::audit::{AuditFilter, Position};
use crate::view::EventObject;

/// The list that cursors belong to.
const LIST: &str = "audit";

/// Which events. All members together; one that is left out leaves nothing out.
#[derive(Debug, Deserialize, Serialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventMembers {
    /// Of this kind.
    #[param(inline)]
    kind: Option<AuditKind>,
    /// With this outcome.
    #[param(inline)]
    outcome: Option<Outcome>,
    /// Done by the party with this id.
    #[param(inline)]
    actor: Option<Text>,
    /// Done to the thing with this id.
    #[param(inline)]
    subject: Option<Text>,
    /// In this session.
    session_id: Option<Uuid>,
    /// At this moment or later.
    #[param(inline)]
    from: Option<Moment>,
    /// Before this moment.
    #[param(inline)]
    to: Option<Moment>,
}

impl EventMembers {
    fn filter(&self) -> AuditFilter {
        AuditFilter {
            kind: self.kind,
            outcome: self.outcome,
            actor: self.actor.as_ref().map(|actor| actor.0.clone()),
            subject: self.subject.as_ref().map(|subject| subject.0.clone()),
            session_id: self.session_id.map(SessionId),
            from: self.from.map(|from| from.0),
            to: self.to.map(|to| to.0),
        }
    }
}

fn position(cursor: Option<&str>) -> Result<Option<Position>, ApiError> {
    let Some([at, seq]) = paging::keys(LIST, cursor)? else { return Ok(None) };
    Ok(Some(Position { at: paging::time_from(&at)?, seq: paging::key_from(&seq)? }))
}

/// Find events, newest first.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(EventMembers, PageOptions),
    responses((status = 200, description = "A page of events", body = List<EventObject>), Refused, BadQuery)
)]
#[get("/admin/audit")]
pub async fn find_events(
    reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<EventMembers, PageOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let limit = paging::limit(options.limit)?;
    let after = position(options.cursor.as_deref())?;
    let page = app.history.events(filter.filter(), after, limit, described(&filter), &reviewer.context()).await?;
    let cursor =
        |last: &RecordedEvent| paging::cursor(LIST, &[&paging::time_key(last.event.at), &last.seq.to_string()]);
    Ok(HttpResponse::Ok().json(list(&page, EventObject::from, cursor)))
}

/// Export events as CSV, NDJSON or OCSF events, all that match.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(EventMembers, ExportOptions),
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
    query: Given<Filtered<EventMembers, ExportOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let form = options.form()?;
    let selection = Selection::Events(filter.filter());
    let (described, context) = (described(&filter), reviewer.context());
    let export = app.history.export(selection, form, described, options.purpose, &context).await?;
    export::answer(export, "audit", form.format()).await
}
