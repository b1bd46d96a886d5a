//! `/not-me`: where the link in a mail about a new device leads. Opening it changes nothing; its button ends all sessions and voids
//! the password.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

use super::answer;
use super::cookies::{CookieUse, Cookies};
use super::form::{LinkForm, link_token};
use super::frame::Frame;
use super::logout::Button;
use super::one_time::{follow_link, forget_token};
use super::shell::{is_from_elsewhere, reload};
use crate::app::App;
use crate::http::authenticate::RequestInfo;
use crate::http::authenticated_body::Anonymous;
use crate::http::error::ApiError;
use crate::http::input::parse_query;
use crate::model::session::Actor;
use crate::user::password::{OneTimeTokenError, OneTimeUse};

/// The page, for links that lead here from elsewhere.
pub(in crate::http) const PATH: &str = "/not-me";

#[derive(Debug, Default, Deserialize)]
struct LinkQuery {
    token: Option<SecretString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asks,
    Done,
    Over,
}

#[derive(Template)]
#[template(path = "not_me.html")]
struct NotMePage {
    frame: Frame,
    state: State,
    /// What the form must hold, where there is one.
    link_token: Option<String>,
}

/// Asks whether a login was not one's own.
pub(super) async fn show(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query: LinkQuery = parse_query(request.query_string()).unwrap_or_default();
    if let Some(token) = query.token {
        return follow_link(&app, &token, PATH);
    }
    match Cookies::of(&app).read(&request, CookieUse::OneTimeToken) {
        Some(token) if app.users.is_good_token(&token, OneTimeUse::Report).await? => {
            let (frame, link_token) = (Frame::new(&app, &request), Some(link_token(&app, &token)));
            answer(StatusCode::OK, &NotMePage { frame, state: State::Asks, link_token })
        }
        _ if is_from_elsewhere(&request) => reload(&app, &request),
        _ => say(&app, &request, StatusCode::GONE, State::Over),
    }
}

/// Ends all sessions, and voids the password.
pub(super) async fn report(
    app: web::Data<App>,
    request: HttpRequest,
    request_info: RequestInfo,
    _: Anonymous<LinkForm<Button>>,
) -> Result<HttpResponse, ApiError> {
    let Some(token) = Cookies::of(&app).read(&request, CookieUse::OneTimeToken) else {
        return say(&app, &request, StatusCode::GONE, State::Over);
    };
    let context = request_info.context(Actor::system("not_me"));
    let mut response = match app.users.report_unrecognised_login(&token, context).await {
        Ok(()) => say(&app, &request, StatusCode::OK, State::Done)?,
        Err(OneTimeTokenError::Malformed | OneTimeTokenError::Invalid | OneTimeTokenError::Expired) => {
            say(&app, &request, StatusCode::GONE, State::Over)?
        }
        Err(error) => return Err(error.into()),
    };
    forget_token(&app, &mut response)?;
    Ok(response)
}

fn say(
    app: &web::Data<App>,
    request: &HttpRequest,
    status: StatusCode,
    state: State,
) -> Result<HttpResponse, ApiError> {
    answer(status, &NotMePage { frame: Frame::new(app, request), state, link_token: None })
}
