//! `/logout`: a link asks, its button ends.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde::Deserialize;

use super::caller::PageCaller;
use super::cookies::{CookieUse, Cookies, add};
use super::form::PageForm;
use super::frame::{Frame, base};
use super::half_filled::Refill;
use super::shell::is_from_elsewhere;
use super::{answer, see_other};
use crate::app::App;
use crate::http::authenticate::{Caller, authenticate_cookie};
use crate::http::authenticated_body::Anonymous;
use crate::http::error::ApiError;
use crate::model::secret::SecretKind;
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

/// Asks whether to log out. Changes nothing: anybody's link may lead here. Whoever is logged in at the sites alone is asked too.
pub(super) async fn ask(
    caller: Result<PageCaller, ApiError>,
    app: web::Data<App>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let caller = match caller {
        Ok(PageCaller(caller)) => caller,
        // The browser has kept the session's cookie back, and not the gate's.
        Err(error) if is_from_elsewhere(&request) => return Err(error),
        Err(error) => live_callers(&app, &request).await?.pop().ok_or(error)?,
    };
    answer(StatusCode::OK, &LogoutPage { frame: Frame::of(&app, &request, &caller).await? })
}

/// Ends every session of which this browser holds a cookie. Succeeds also where all have ended; where that cannot be known, the
/// cookies stay (P3).
pub(super) async fn log_out(
    app: web::Data<App>,
    request: HttpRequest,
    _: Anonymous<PageForm<Button>>,
) -> Result<HttpResponse, ApiError> {
    for caller in live_callers(&app, &request).await? {
        app.sessions.end(caller.checked.session_id, EndReason::Logout, None, &caller.context()).await?;
    }
    logged_out(&app, "logged-out")
}

/// Whoever the cookies of a request make known, each session once: that of the pages and that of the gate, and each of them where there
/// are several. When it returns, those that have ended are over on every node (P2).
async fn live_callers(app: &App, request: &HttpRequest) -> Result<Vec<Caller>, ApiError> {
    let mut callers: Vec<Caller> = Vec::new();
    let mut has_ended = false;
    for (of, kind) in [(CookieUse::Session, SecretKind::SessionCookie), (CookieUse::Gate, SecretKind::GateCookie)] {
        for cookie in Cookies::of(app).read_all(request, of) {
            match authenticate_cookie(kind, &cookie, request.clone()).await {
                Ok(caller) if callers.iter().any(|known| known.checked.session_id == caller.checked.session_id) => {}
                Ok(caller) => callers.push(caller),
                Err(ApiError::SessionEnded) => has_ended = true,
                Err(ApiError::TokenExpired | ApiError::TokenInvalid) => {}
                Err(error) => return Err(error),
            }
        }
    }
    if has_ended {
        app.coherence.wait_for_all_nodes().await;
    }
    Ok(callers)
}

/// The answer where the session of this browser is over.
pub(super) fn logged_out(app: &App, why: &str) -> Result<HttpResponse, ApiError> {
    let mut response = see_other(&format!("{}/login?why={why}", base(app)));
    response.headers_mut().insert(CLEAR_SITE_DATA, CLEARED);
    add(&mut response, &Cookies::of(app).without_session())?;
    add(&mut response, &[Cookies::of(app).remove(CookieUse::HalfFilledForm)])?;
    Ok(response)
}
