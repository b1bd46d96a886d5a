//! What surrounds the handlers of pages: an error becomes a page in the reader's language, or leads to where it can be mended.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, web};
use askama::Template;

use super::assets::Assets;
use super::cookies::add;
use super::current_page::current_page;
use super::frame::{Frame, base, password_page};
use super::half_filled;
use super::return_to::ReturnTo;
use super::{answer, see_other};
use crate::app::App;
use crate::http::authenticate::app_of;
use crate::http::error::ApiError;
use crate::http::problem::Problem;

/// Refusals after which the same form may be sent again, once somebody has logged in.
const LOGIN_FIRST: [&str; 3] = ["session_ended", "token_expired", "reauthentication_required"];

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    title: String,
    text: String,
}

#[derive(Template)]
#[template(path = "reload.html")]
struct ReloadPage {
    frame: Frame,
}

/// Shows the problem that a page answered with, if it did.
pub(super) async fn shell<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let app = app_of(request.request())?;
    // A handler asks the store several times.
    let response = app.store.within_one_wait(next.call(request)).await?;
    let (request, mut response) = response.into_parts();
    let policy = request.app_data::<web::Data<Assets>>().map(|assets| assets.policy.clone());
    let problem = response.extensions_mut().remove::<Problem>();
    let Some(problem) = problem else {
        if let Ok(app) = app_of(&request)
            && let Some(cookie) = half_filled::thrown_away(&app, &request)
        {
            response.add_cookie(&cookie)?;
        }
        if let Some(policy) = policy {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        return Ok(ServiceResponse::new(request, response.map_into_left_body()));
    };
    let mut shown = app_of(&request)
        .and_then(|app| {
            let mut shown = show(&app, &request, &problem)?;
            if LOGIN_FIRST.contains(&&*problem.code)
                && let Some(cookie) = half_filled::keep(&app, &request)
            {
                add(&mut shown, &[cookie])?;
            }
            Ok(shown)
        })
        .unwrap_or_else(|error| actix_web::ResponseError::error_response(&error));
    for (name, value) in response.headers() {
        if !shown.headers().contains_key(name)
            && *name != CONTENT_TYPE
            && (*name == RETRY_AFTER || shown.status() == response.status())
        {
            shown.headers_mut().insert(name.clone(), value.clone());
        }
    }
    if let Some(policy) = policy {
        shown.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    if shown.status() != StatusCode::UNAUTHORIZED {
        shown.headers_mut().remove(WWW_AUTHENTICATE);
    }
    Ok(ServiceResponse::new(request, shown.map_into_right_body()))
}

/// The page for an address at which there is nothing; `None` where there are no pages.
pub(super) fn not_found(request: &HttpRequest) -> Option<HttpResponse> {
    let assets = request.app_data::<web::Data<Assets>>()?;
    let mut shown = problem_page(&app_of(request).ok()?, request, "not_found", StatusCode::NOT_FOUND).ok()?;
    shown.headers_mut().insert(CONTENT_SECURITY_POLICY, assets.policy.clone());
    Some(shown)
}

fn show(app: &web::Data<App>, request: &HttpRequest, problem: &Problem) -> Result<HttpResponse, ApiError> {
    match &*problem.code {
        "credentials_required" if is_from_elsewhere(request) => reload(app, request),
        "credentials_required" => Ok(see_other(&login_address(app, request, None))),
        // The cookie stays: this may be a late answer, to a browser that has got another one meanwhile.
        "session_ended" | "token_expired" | "token_invalid" => {
            Ok(see_other(&login_address(app, request, Some("ended"))))
        }
        "reauthentication_required" => Ok(see_other(&login_address(app, request, Some("again")))),
        "password_change_required" => Ok(see_other(&password_page(app))),
        code => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            problem_page(app, request, code, status)
        }
    }
}

/// The page that says what went wrong.
fn problem_page(
    app: &web::Data<App>,
    request: &HttpRequest,
    code: &str,
    status: StatusCode,
) -> Result<HttpResponse, ApiError> {
    let frame = Frame::new(app, request);
    let known = ["not_allowed", "not_found", "method_not_allowed", "too_many_attempts", "unavailable"];
    let name = known.into_iter().find(|known| *known == code).unwrap_or("malformed_request").replace('_', "-");
    let (title, text) = (frame.text(&format!("problem-{name}")), frame.text(&format!("problem-{name}-text")));
    answer(status, &ProblemPage { frame, title, text })
}

/// The login page, which leads back here; after a form to where that stands.
fn login_address(app: &App, request: &HttpRequest, why: Option<&str>) -> String {
    let here = ReturnTo::parse(current_page(request)).filter(|here| !matches!(here.as_str(), "/" | "/logout"));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(here) = here {
        query.append_pair("return_to", here.as_str());
    }
    if let Some(why) = why {
        query.append_pair("why", why);
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/login{mark}{query}", base(app))
}

/// The page that loads itself once more.
pub(super) fn reload(app: &web::Data<App>, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    answer(StatusCode::OK, &ReloadPage { frame: Frame::new(app, request) })
}

/// Whether a reader has followed a link on another site: then the browser has kept our cookies back (`SameSite=Strict`), and sends
/// them when the page loads itself once more.
pub(super) fn is_from_elsewhere(request: &HttpRequest) -> bool {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    *request.method() == Method::GET
        && matches!(text("sec-fetch-site"), Some("cross-site" | "same-site"))
        && text("sec-fetch-mode") == Some("navigate")
}
