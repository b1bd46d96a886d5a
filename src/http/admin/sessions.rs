//! Everybody's sessions: find, export, look into, end.

use actix_web::{HttpResponse, get, post, web};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filter_query::{ExportOptions, Filtered, Ordered, SessionOrder};
use super::member::Note;
use crate::app::App;
use crate::audit::export::Selection;
use crate::audit::history::SessionDetail;
use crate::http::authenticate::{Admin, Reviewer};
use crate::http::authenticated_body::Authenticated;
use crate::http::error::ApiError;
use crate::http::export;
use crate::http::input::Given;
use crate::http::input::{Body, OptionalBody};
use crate::http::paging::{List, PageOptions, Pager};
use crate::http::problems::{BadBody, BadQuery, NotFound, Refused};
use crate::model::filter::{SessionFilter, Sort};
use crate::model::id::SessionId;
use crate::model::session::{EndReason, SessionState};
use crate::session::bulk_end::SessionsToEnd;
use crate::view::{EventObject, SessionObject};

/// Which sessions to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndSessionsBody {
    /// Those that match; the members are those of the list.
    #[serde(default)]
    filter: SessionFilter,
    /// Why; kept with each session.
    note: Option<Note>,
    /// Only count the sessions that match, and end none.
    #[serde(default)]
    dry_run: bool,
    /// Allows a filter that leaves no session out.
    #[serde(default)]
    everything: bool,
}

/// How many sessions matched and ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndSessionsAnswer {
    /// Active sessions that match.
    matched: i64,
    /// Of these, ended by this request; 0 where it only counts.
    ended: i64,
}

/// Why something is done.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteBody {
    /// Kept with what is done.
    pub note: Option<Note>,
}

/// A token somebody found.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LookUpBody {
    /// An access or refresh token, of whatever age. It is not kept.
    #[schema(value_type = String)]
    token: SecretString,
}

/// A session in detail.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionDetailAnswer<'a> {
    /// The session.
    session: SessionObject<'a>,
    /// What happened in it, oldest first.
    timeline: Vec<EventObject>,
    /// The user's other sessions, newest first.
    siblings: Vec<SessionObject<'a>>,
}

impl EndSessionsBody {
    /// Which sessions to end. They are active, so a state alone leaves none out.
    fn to_end(filter: SessionFilter, everything: bool) -> Result<SessionsToEnd, ApiError> {
        if !filter.allows(SessionState::Active) {
            return Err(ApiError::invalid("/filter/state", "must be active or all: an ended session stays ended"));
        }
        if filter.matches_every_active() && !everything {
            return Err(ApiError::invalid("/filter", "must not be empty unless `everything` is true"));
        }
        Ok(filter.into())
    }
}

/// A cursor holds for one order only.
pub(in crate::http) const fn pager(order: Sort) -> Pager {
    Pager(match order {
        Sort::NewestStart => "sessions -started_at",
        Sort::OldestStart => "sessions started_at",
        Sort::LastSeen => "sessions -last_seen_at",
    })
}

fn session_id(path: &web::Path<String>) -> Result<SessionId, ApiError> {
    path.parse().map_err(|_| ApiError::NotFound)
}

/// Find sessions, active and ended.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(SessionFilter, SessionOrder, PageOptions),
    responses((status = 200, description = "A page of sessions", body = List<SessionObject>), Refused, BadQuery)
)]
#[get("/admin/sessions")]
pub async fn find_sessions(
    reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<SessionFilter, Ordered<PageOptions>>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options: Ordered { order, options } } = query?;
    let (after, limit) = pager(order).asked(options.limit, options.cursor.as_deref())?;
    let page = app.history.sessions(filter, order, after, limit, &reviewer.context()).await?;
    let now = app.clock.now();
    Ok(HttpResponse::Ok().json(pager(order).list(&page, |session| SessionObject::new(session, now))))
}

/// Export sessions as CSV, NDJSON or OCSF events, all that match.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(SessionFilter, ExportOptions, SessionOrder),
    responses(
        (status = 200, description = "Every session that matches", content(
            (String = "text/csv; charset=utf-8; header=present"), (String = "application/x-ndjson"),
        )),
        Refused, BadQuery,
    )
)]
#[get("/admin/sessions/export")]
pub async fn export_sessions(
    reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<SessionFilter, Ordered<ExportOptions>>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options: Ordered { order, options } } = query?;
    let selection = Selection::Sessions(Box::new(filter), order);
    let export = app.history.export(selection, options.form()?, options.purpose, &reviewer.context()).await?;
    export::answer(export, "sessions").await
}

/// End every active session that matches.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), request_body = EndSessionsBody,
    responses((status = 200, description = "How many", body = EndSessionsAnswer), Refused, BadBody)
)]
#[post("/admin/sessions/end")]
pub async fn end_sessions_matching(
    asked: Authenticated<Admin, Body<EndSessionsBody>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(admin, Body(EndSessionsBody { filter, note, dry_run, everything })) = asked;
    let to_end = EndSessionsBody::to_end(filter, everything)?;
    let done = app.sessions.end_matching(to_end, note.map(|note| note.0), dry_run, &admin.context()).await?;
    Ok(HttpResponse::Ok().json(EndSessionsAnswer { matched: done.matched, ended: done.ended }))
}

/// Find the session that a token belongs to.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), request_body = LookUpBody,
    responses((status = 200, description = "The session", body = SessionObject), Refused, BadBody, NotFound)
)]
#[post("/admin/sessions/lookup")]
pub async fn look_up_session(
    asked: Authenticated<Reviewer, Body<LookUpBody>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(reviewer, Body(body)) = asked;
    let found = app.history.look_up(body.token.expose_secret(), &reviewer.context()).await?;
    let session = found.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(SessionObject::new(&session, app.clock.now())))
}

/// Show a session, what happened in it, and the user's other sessions.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The session")),
    responses((status = 200, description = "The session", body = SessionDetailAnswer), Refused, NotFound)
)]
#[get("/admin/sessions/{id}")]
pub async fn show_session(
    reviewer: Reviewer,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let found = app.history.session(session_id(&id)?, &reviewer.context()).await?;
    let SessionDetail { session, timeline, siblings } = found.ok_or(ApiError::NotFound)?;
    let now = app.clock.now();
    Ok(HttpResponse::Ok().json(SessionDetailAnswer {
        session: SessionObject::new(&session, now),
        timeline: timeline.iter().map(EventObject::from).collect(),
        siblings: siblings.iter().map(|sibling| SessionObject::new(sibling, now)).collect(),
    }))
}

/// End a session. One that has ended already stays as it is.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The session")),
    request_body = Option<NoteBody>,
    responses((status = 204, description = "The session is over"), Refused, BadBody, NotFound)
)]
#[post("/admin/sessions/{id}/end")]
pub async fn end_any_session(
    asked: Authenticated<Admin, OptionalBody<NoteBody>>,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(admin, body) = asked;
    let note = body.0.and_then(|body| body.note).map(|note| note.0);
    let ended = app.sessions.end(session_id(&id)?, EndReason::EndedByAdmin, note, &admin.context()).await?;
    ended.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::store::Page;
    use crate::store::sessions::Position;

    fn to_end(filter: Value, everything: bool) -> Result<SessionsToEnd, ApiError> {
        EndSessionsBody::to_end(serde_json::from_value(filter).unwrap(), everything)
    }

    #[test]
    fn a_filter_that_leaves_no_session_out_ends_nothing_by_accident() {
        for filter in [json!({}), json!({ "state": "active" }), json!({ "state": "all" }), json!({ "user": null })] {
            let refused = to_end(filter.clone(), false);
            assert_eq!(refused.err().map(|error| error.code()), Some("invalid_input"), "{filter}");
            assert!(to_end(filter, true).is_ok());
        }
        assert!(to_end(json!({ "user": "alice" }), false).is_ok());
        assert!(to_end(json!({ "not_user": "alice" }), false).is_ok());
    }

    #[test]
    fn ended_sessions_are_not_taken_for_active_ones() {
        for filter in [json!({ "user": "alice", "state": "ended" }), json!({ "user": "alice", "not_state": "active" })]
        {
            assert!(to_end(filter, true).is_err());
        }
        assert!(to_end(json!({ "user": "alice", "state": ["active", "ended"] }), false).is_ok());
    }

    #[test]
    fn a_cursor_holds_for_one_order() {
        let place = Position { at: chrono::DateTime::UNIX_EPOCH, id: SessionId(uuid::Uuid::nil()) };
        let page = Page { items: vec![()], next: Some(place) };
        let made = pager(Sort::LastSeen).list(&page, |()| ()).next_cursor;
        let asked = |order| pager(order).asked::<Position>(None, made.as_deref());
        assert_eq!(asked(Sort::LastSeen), Ok((Some(place), 50)));
        assert!(asked(Sort::NewestStart).is_err());
    }
}
