//! `/console/sessions`: everybody's sessions, by every filter and in every order of the API.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::super::agent::Agent;
use super::super::frame::Frame;
use super::super::moment::Moment;
use super::super::{answer, see_other};
use super::caller::ConsoleReviewer;
use super::chips::{Chip, chips, users_meant};
use super::filter_form::FilterForm;
use super::members::Members;
use super::near::{Near, near, of_user};
use super::people::People;
use super::words;
use crate::app::App;
use crate::http::admin::filter_query::{Filtered, Ordered};
use crate::http::admin::sessions::pager;
use crate::http::error::ApiError;
use crate::http::paging::PageOptions;
use crate::model::filter::{SessionFilter, Sort};
use crate::model::id::SessionId;
use crate::model::session::Session;

/// Rows of a page unless the address says otherwise: with its form and its links, a page stays small.
const ROWS: i64 = 25;

/// A session in the list.
struct Row {
    id: String,
    is_this: bool,
    username: String,
    role: String,
    /// The query string of the list of this user's sessions.
    of_user: String,
    started: Moment,
    last_seen: Moment,
    ip: String,
    last_ip: String,
    device: String,
    /// What its user or application calls it.
    name: Option<String>,
    client: Option<String>,
    /// When it ended and why.
    end: Option<(Moment, String)>,
    near: Vec<Near>,
}

#[derive(Template)]
#[template(path = "console/sessions.html")]
struct SessionsPage {
    frame: Frame,
    form: FilterForm,
    /// The orders to choose from, what they are called, and which it is.
    orders: Vec<(&'static str, String, bool)>,
    /// What is wrong with the order.
    wrong_order: bool,
    limit: Option<String>,
    chips: Vec<Chip>,
    /// The rows in their order, as that is called; `None` where something is wrong with the filter, so that nothing was looked for.
    found: Option<(String, Vec<Row>)>,
    /// The query strings of the next page, and of the first, where this is another one.
    next: Option<String>,
    first: Option<String>,
}

/// The address of a list.
pub(super) fn address(base: &str, query: &str) -> String {
    format!("{base}/console/sessions{}{query}", if query.is_empty() { "" } else { "?" })
}

/// Shows the list. What is wrong in the address is shown at its field, and everything else is kept.
pub(in crate::http::pages) async fn show(
    ConsoleReviewer(reviewer): ConsoleReviewer,
    app: web::Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let frame = Frame::of(&app, &request, &reviewer.0).await?;
    let given = Members::read(request.query_string());
    let members = given.canonical::<SessionFilter>(frame.zone);
    if members != given {
        return Ok(see_other(&address(&frame.base, &members.query())));
    }
    let (filter, Ordered { order, options }) =
        match Filtered::<SessionFilter, Ordered<PageOptions>>::parse(request.query_string()) {
            Ok(Filtered { filter, options }) => (filter, options),
            Err(error) => return refuse(&app, frame, &members, error).await,
        };
    let (after, limit) = pager(order).asked(options.limit.or(Some(ROWS)), options.cursor.as_deref())?;
    let page = app.history.sessions(filter, order, after, limit, &reviewer.context()).await?;
    let mut people = People::default();
    for session in &page.items {
        people.learn(session.user_id, session.username.as_str());
    }
    people.look_up(&app, users_meant(&members)).await?;
    let (now, this) = (app.clock.now(), reviewer.0.checked.session_id);
    let rows = page.items.iter().map(|session| row(&frame, session, this, now)).collect();
    let page = SessionsPage {
        chips: chips::<SessionFilter>(&frame, &members, &people),
        found: Some((frame.text(order_text(order)), rows)),
        next: page.next.as_ref().map(|place| members.at(Some(pager(order).cursor(place))).query()),
        first: after.map(|_| members.at(None).query()),
        ..unread(frame, &members, order)
    };
    answer(StatusCode::OK, &page)
}

/// The page of an address with something wrong in it.
async fn refuse(app: &App, frame: Frame, members: &Members, error: ApiError) -> Result<HttpResponse, ApiError> {
    let mut page = unread(frame, members, Sort::default());
    page.wrong_order = members.values("sort").any(|order| order.parse::<Sort>().is_err());
    if page.wrong_order {
        page.form.wrong.push((Some("order".to_owned()), page.frame.text("wrong-order")));
    }
    if page.form.wrong.is_empty() {
        return Err(error);
    }
    let mut people = People::default();
    people.look_up(app, users_meant(members)).await?;
    page.chips = chips::<SessionFilter>(&page.frame, members, &people);
    answer(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// The page without any rows.
fn unread(frame: Frame, members: &Members, order: Sort) -> SessionsPage {
    let orders = Sort::ALL.iter().map(|one| {
        // The usual order needs no word in the address.
        let word = if *one == Sort::default() { "" } else { one.as_str() };
        (word, frame.text(order_text(*one)), *one == order)
    });
    SessionsPage {
        form: FilterForm::of::<SessionFilter>(&frame, members),
        orders: orders.collect(),
        wrong_order: false,
        limit: members.values("limit").next().map(str::to_owned),
        chips: Vec::new(),
        found: None,
        next: None,
        first: None,
        frame,
    }
}

const fn order_text(order: Sort) -> &'static str {
    match order {
        Sort::NewestStart => "order-newest-start",
        Sort::OldestStart => "order-oldest-start",
        Sort::LastSeen => "order-last-seen",
    }
}

fn row(frame: &Frame, session: &Session, this: SessionId, now: chrono::DateTime<chrono::Utc>) -> Row {
    let end = session.end.clone().or_else(|| session.expired(now));
    Row {
        id: session.id.to_string(),
        is_this: session.id == this,
        username: session.username.as_str().to_owned(),
        role: session.role.as_str().to_owned(),
        of_user: of_user(session),
        started: frame.moment(session.started_at),
        last_seen: frame.moment(session.last_seen_at),
        ip: session.client_info.ip.to_string(),
        last_ip: session.last_ip.to_string(),
        device: Agent::new(frame, &session.device, session.client_info.user_agent.as_deref()).short,
        name: session.name.clone().or_else(|| session.device_name.clone()),
        client: session.client.id().map(ToString::to_string),
        end: end.map(|end| (frame.moment(end.at), words::reason(frame, end.reason))),
        near: near(frame, session),
    }
}
