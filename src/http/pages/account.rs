//! `/account`: who I am here, this session, and the login before it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::answer;
use super::caller::PageCaller;
use super::frame::Frame;
use super::moment::Moment;
use crate::app::App;
use crate::http::error::ApiError;
use crate::model::filter::StateFilter;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    username: String,
    role: String,
    started: Moment,
    ip: String,
    /// When and from where the user logged in before.
    previous: Option<(Moment, String)>,
    expires: Moment,
    idle_expires: Moment,
}

/// Shows the account.
pub(super) async fn show(
    PageCaller(caller): PageCaller,
    app: web::Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let (checked, ip) = (&caller.checked, caller.address());
    let current = app.sessions.current(checked, ip).await?.ok_or(ApiError::SessionEnded)?;
    // Newest first: of those that began before this one, the first.
    let own = app.sessions.own(checked.user_id, StateFilter::All, None, 20).await?;
    let started_at = current.session.started_at();
    let previous =
        own.items.iter().find(|session| session.id != checked.session_id && session.started_at <= started_at);
    let frame = Frame::of(&app, &request, &caller).await?;
    let page = AccountPage {
        username: checked.user.username.as_str().to_owned(),
        role: checked.user.role.as_str().to_owned(),
        started: frame.moment(started_at),
        ip: current.session.ip().to_owned(),
        previous: previous.map(|session| (frame.moment(session.started_at), session.client_info.ip.to_string())),
        expires: frame.moment(current.session.expires_at()),
        idle_expires: frame.moment(current.idle_expires_at),
        frame,
    };
    answer(StatusCode::OK, &page)
}
