//! `/logout`: a link asks, its button ends.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::caller::{LeavingCaller, PageCaller};
use super::cookies::{CookieUse, Cookies, add};
use super::form::PageForm;
use super::frame::{Frame, base};
use super::half_filled::Refill;
use super::{answer, see_other};
use crate::app::App;
use crate::http::authenticated_body::Anonymous;
use crate::http::error::ApiError;
use crate::model::session::EndReason;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// Without "cookies": that would clear those of the whole domain.
const CLEARED: HeaderValue = HeaderValue::from_static("\"cache\", \"storage\"");

/// A form that only has a button.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Button {}

impl Refill for Button {
    const MEMBERS: Option<&'static [&'static str]> = Some(&[]);
}

#[derive(Template)]
#[template(path = "logout.html")]
struct LogoutPage {
    frame: Frame,
}

/// Asks whether to log out. Changes nothing: anybody's link may lead here.
pub(super) async fn ask(
    caller: PageCaller,
    app: web::Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    answer(StatusCode::OK, &LogoutPage { frame: Frame::of(&app, &request, &caller.0).await? })
}

/// Ends the session of this browser. Succeeds also where it has ended; where that cannot be known, the cookie stays (P3).
pub(super) async fn log_out(
    app: web::Data<App>,
    _: Anonymous<PageForm<Button>>,
    caller: Result<LeavingCaller, ApiError>,
) -> Result<HttpResponse, ApiError> {
    match caller {
        Ok(LeavingCaller(caller)) => {
            app.sessions.end(caller.checked.session_id, EndReason::Logout, None, &caller.context()).await?;
        }
        Err(
            ApiError::CredentialsRequired | ApiError::SessionEnded | ApiError::TokenExpired | ApiError::TokenInvalid,
        ) => {}
        Err(error) => return Err(error),
    }
    logged_out(&app, "logged-out")
}

/// The answer where the session of this browser is over.
pub(super) fn logged_out(app: &App, why: &str) -> Result<HttpResponse, ApiError> {
    let mut response = see_other(&format!("{}/login?why={why}", base(app)));
    response.headers_mut().insert(CLEAR_SITE_DATA, CLEARED);
    add(&mut response, &Cookies::of(app).without_session())?;
    add(&mut response, &[Cookies::of(app).remove(CookieUse::HalfFilledForm)])?;
    Ok(response)
}
