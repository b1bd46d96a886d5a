//! Everybody's sessions: find, export, look into, end.

use actix_web::{HttpResponse, get, post, web};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::export;
use super::member::{Moment, Network, Note, SessionOrder, StateFilter, Text};
use super::query::{Filtered, SessionExportOptions, SessionPageOptions, described};
use crate::app::App;
use crate::audit::export::Selection;
use crate::audit::history::SessionDetail;
use crate::http::asked::By;
use crate::http::authenticate::{Admin, Reviewer};
use crate::http::error::ApiError;
use crate::http::input::Given;
use crate::http::input::{Body, OptionalBody};
use crate::http::paging::list;
use crate::http::paging::{self, List};
use crate::http::problems::{BadBody, BadQuery, NotFound, Refused};
use crate::model::id::{SessionId, TokenId};
use crate::model::session::{EndReason, SessionState};
use crate::store::sessions::{Position, SessionFilter, Sort, UserSelector};
use crate::view::{EventObject, SessionObject};

/// Which sessions. All members together; one that is left out leaves nothing out.
#[derive(Debug, Default, Deserialize, Serialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionMembers {
    /// Of the user with this id, or of everybody who has this name or had it at a login.
    #[param(inline)]
    user: Option<Text>,
    /// Of users who had this role at login.
    #[param(inline)]
    role: Option<Text>,
    /// In this state; all unless said otherwise.
    #[param(inline)]
    state: Option<StateFilter>,
    /// Ended for this reason.
    #[param(inline)]
    reason: Option<EndReason>,
    /// Whose login came from this address or network.
    #[param(inline)]
    ip: Option<Network>,
    /// Through this application.
    #[param(inline)]
    client_id: Option<Text>,
    /// Whose user agent contains this, whatever the case.
    #[param(inline)]
    user_agent: Option<Text>,
    /// Started at this moment or later.
    #[param(inline)]
    started_from: Option<Moment>,
    /// Started before this moment.
    #[param(inline)]
    started_to: Option<Moment>,
    /// Last used at this moment or later.
    #[param(inline)]
    last_seen_from: Option<Moment>,
    /// Last used before this moment.
    #[param(inline)]
    last_seen_to: Option<Moment>,
    /// Ended at this moment or later.
    #[param(inline)]
    ended_from: Option<Moment>,
    /// Ended before this moment.
    #[param(inline)]
    ended_to: Option<Moment>,
    /// Ended by the party with this id.
    #[param(inline)]
    ended_by: Option<Text>,
    /// For which the access token with this `jti` was issued.
    token: Option<Uuid>,
}

/// Which sessions to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndSessionsBody {
    /// Those that match; the members are those of the list.
    #[serde(default)]
    filter: SessionMembers,
    /// Why; kept with each session.
    note: Option<Note>,
    /// Only count.
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

impl SessionMembers {
    fn filter(&self) -> SessionFilter {
        let text = |member: &Option<Text>| member.as_ref().map(|text| text.0.clone());
        let period = |from: Option<Moment>, to: Option<Moment>| (from.map(|from| from.0), to.map(|to| to.0));
        SessionFilter {
            user: self.user.as_ref().map(|user| match user.user() {
                Ok(id) => UserSelector::Id(id),
                Err(name) => UserSelector::Name(name.to_owned()),
            }),
            role: text(&self.role),
            state: self.state.and_then(StateFilter::state),
            reason: self.reason,
            network: self.ip.map(|network| network.0),
            client_id: text(&self.client_id),
            user_agent: text(&self.user_agent),
            started: period(self.started_from, self.started_to),
            last_seen: period(self.last_seen_from, self.last_seen_to),
            ended: period(self.ended_from, self.ended_to),
            ended_by: text(&self.ended_by),
            token: self.token.map(TokenId),
        }
    }

    /// The filter of sessions to be ended. They are active, so a state alone leaves none out.
    fn filter_to_end(&self, everything: bool) -> Result<SessionFilter, ApiError> {
        if self.state == Some(StateFilter::Ended) {
            return Err(ApiError::invalid("/filter/state", "must be active or all: an ended session stays ended"));
        }
        let filter = SessionFilter { state: None, ..self.filter() };
        if filter == SessionFilter::default() && !everything {
            return Err(ApiError::invalid("/filter", "must not be empty unless `everything` is true"));
        }
        Ok(SessionFilter { state: Some(SessionState::Active), ..filter })
    }
}

/// The list that a cursor belongs to: it holds for one order only.
const fn list_name(order: SessionOrder) -> &'static str {
    match order {
        SessionOrder::NewestStart => "sessions -started_at",
        SessionOrder::OldestStart => "sessions started_at",
        SessionOrder::LastSeen => "sessions -last_seen_at",
    }
}

fn position(order: SessionOrder, cursor: Option<&str>) -> Result<Option<Position>, ApiError> {
    let Some([at, id]) = paging::keys(list_name(order), cursor)? else { return Ok(None) };
    Ok(Some(Position { at: paging::time_from(&at)?, id: paging::key_from(&id)? }))
}

fn session_id(path: &web::Path<String>) -> Result<SessionId, ApiError> {
    path.parse().map_err(|_| ApiError::NotFound)
}

/// Find sessions, active and ended.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(SessionMembers, SessionPageOptions),
    responses((status = 200, description = "A page of sessions", body = List<SessionObject>), Refused, BadQuery)
)]
#[get("/admin/sessions")]
pub async fn find_sessions(
    reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<SessionMembers, SessionPageOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let limit = paging::limit(options.limit)?;
    let order = options.sort.unwrap_or(SessionOrder::NewestStart);
    let after = position(order, options.cursor.as_deref())?;
    let described = described(&filter);
    let page =
        app.history.sessions(filter.filter(), order.sort(), after, limit, described, &reviewer.context()).await?;
    let now = app.clock.now();
    let cursor = |last: &_| {
        let place = Position::of(last, order.sort());
        paging::cursor(list_name(order), &[&paging::time_key(place.at), &place.id.to_string()])
    };
    Ok(HttpResponse::Ok().json(list(&page, |session| SessionObject::new(session, now), cursor)))
}

/// Export sessions as CSV, NDJSON or OCSF events, all that match.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(SessionMembers, SessionExportOptions),
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
    query: Given<Filtered<SessionMembers, SessionExportOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let form = options.form()?;
    let sort = options.sort.map_or(Sort::NewestStart, SessionOrder::sort);
    let selection = Selection::Sessions(filter.filter(), sort);
    let (described, context) = (described(&filter), reviewer.context());
    let export = app.history.export(selection, form, described, options.purpose, &context).await?;
    export::answer(export, "sessions", form.format()).await
}

/// End every active session that matches.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), request_body = EndSessionsBody,
    responses((status = 200, description = "How many", body = EndSessionsAnswer), Refused, BadBody)
)]
#[post("/admin/sessions/end")]
pub async fn end_sessions_matching(
    asked: By<Admin, Body<EndSessionsBody>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let By(admin, Body(EndSessionsBody { filter, note, dry_run, everything })) = asked;
    let to_end = filter.filter_to_end(everything)?;
    let note = note.map(|note| note.0);
    let done = app.sessions.end_matching(to_end, described(&filter), note, dry_run, &admin.context()).await?;
    Ok(HttpResponse::Ok().json(EndSessionsAnswer { matched: done.matched, ended: done.ended }))
}

/// Find the session that a token belongs to.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), request_body = LookUpBody,
    responses((status = 200, description = "The session", body = SessionObject), Refused, BadBody, NotFound)
)]
#[post("/admin/sessions/lookup")]
pub async fn look_up_session(
    asked: By<Reviewer, Body<LookUpBody>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let By(reviewer, Body(body)) = asked;
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
    asked: By<Admin, OptionalBody<NoteBody>>,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let By(admin, body) = asked;
    let note = body.0.and_then(|body| body.note).map(|note| note.0);
    let ended = app.sessions.end(session_id(&id)?, EndReason::EndedByAdmin, note, &admin.context()).await?;
    ended.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn to_end(filter: Value, everything: bool) -> Result<SessionFilter, ApiError> {
        serde_json::from_value::<SessionMembers>(filter).unwrap().filter_to_end(everything)
    }

    #[test]
    fn a_filter_that_leaves_no_session_out_ends_nothing_by_accident() {
        for filter in [json!({}), json!({ "state": "active" }), json!({ "state": "all" }), json!({ "user": null })] {
            let refused = to_end(filter.clone(), false);
            assert_eq!(refused.err().map(|error| error.code()), Some("invalid_input"), "{filter}");
            assert!(to_end(filter, true).is_ok());
        }
        assert!(to_end(json!({ "user": "alice" }), false).is_ok());
    }

    #[test]
    fn ended_sessions_are_not_taken_for_active_ones() {
        assert!(to_end(json!({ "user": "alice", "state": "ended" }), true).is_err());
        assert_eq!(to_end(json!({ "state": "all" }), true).unwrap().state, Some(SessionState::Active));
    }

    #[test]
    fn every_member_reaches_the_filter() {
        let members = json!({
            "user": "Alice", "role": "admin", "state": "ended", "reason": "logout", "ip": "192.0.2.7/24",
            "client_id": "crm", "user_agent": "Firefox", "started_from": "2026-01-01T00:00:00Z",
            "started_to": "2026-01-02T00:00:00Z", "last_seen_from": "2026-01-03T00:00:00Z",
            "last_seen_to": "2026-01-04T00:00:00Z", "ended_from": "2026-01-05T00:00:00Z",
            "ended_to": "2026-01-06T00:00:00Z", "ended_by": "cli", "token": "0197c2a4-8a5e-7c3e-9f6e-0123456789ab",
        });
        let read: SessionMembers = serde_json::from_value(members.clone()).unwrap();
        let day = |day: &str| Some(format!("2026-01-{day}T00:00:00Z").parse().unwrap());
        let expected = SessionFilter {
            user: Some(UserSelector::Name("Alice".to_owned())),
            role: Some("admin".to_owned()),
            state: Some(SessionState::Ended),
            reason: Some(EndReason::Logout),
            network: Some("192.0.2.0/24".parse().unwrap()),
            client_id: Some("crm".to_owned()),
            user_agent: Some("Firefox".to_owned()),
            started: (day("01"), day("02")),
            last_seen: (day("03"), day("04")),
            ended: (day("05"), day("06")),
            ended_by: Some("cli".to_owned()),
            token: Some("0197c2a4-8a5e-7c3e-9f6e-0123456789ab".parse().unwrap()),
        };
        assert_eq!(read.filter(), expected);
        assert_eq!(described(&read).as_object().map(serde_json::Map::len), Some(15));
    }

    #[test]
    fn a_cursor_holds_for_one_order() {
        let id = SessionId(Uuid::nil());
        let made = paging::cursor(list_name(SessionOrder::LastSeen), &["17", &id.to_string()]);
        assert!(position(SessionOrder::LastSeen, Some(&made)).is_ok());
        assert_eq!(position(SessionOrder::NewestStart, Some(&made)), Err(paging::bad_cursor()));
    }
}
