//! `/login`: name and password, and back to the page that was wanted.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::caller::PageCaller;
use super::cookies::{CookieUse, Cookies, add};
use super::form::OpenForm;
use super::frame::{Frame, base, home, password_page};
use super::return_to::Destination;
use super::shell::{is_from_elsewhere, reload};
use super::{answer, see_other};
use crate::app::App;
use crate::authentication::known_device::DeviceToken;
use crate::authentication::password::{AuthenticationError, Credentials};
use crate::http::authenticate::{Caller, PLATFORM, PLATFORM_VERSION, RequestInfo};
use crate::http::authenticated_body::Anonymous;
use crate::http::error::ApiError;
use crate::http::input::parse_query;
use crate::model::client::LoginClient;
use crate::model::secret::SecretKind;
use crate::model::session::EndReason;
use crate::model::user::Permissions;
use crate::session::cookie::CookieLogin;
use crate::session::start::LoginError;

const ACCEPT_CH: HeaderName = HeaderName::from_static("accept-ch");

/// Why somebody is led to the login page, and where to from there. Whatever else an address holds is not looked at.
#[derive(Debug, Default, Deserialize)]
struct LoginQuery {
    return_to: Option<String>,
    why: Option<String>,
}

/// The form of the login page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginForm {
    username: String,
    password: SecretString,
    return_to: Option<String>,
}

/// Why a login is asked for once more, as its text is named.
#[derive(Debug, Clone, Copy)]
enum Refused {
    Credentials,
    Throttled,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    return_to: Option<String>,
    /// The name of a text that says why this page is shown.
    why: Option<&'static str>,
    /// The name of a text that says why a login was refused.
    refused: Option<&'static str>,
    username: String,
}

#[derive(Template)]
#[template(path = "cookies.html")]
struct CookiesPage {
    frame: Frame,
    /// Of the site.
    host: String,
    page: String,
}

/// Shows the form; whoever is logged in goes on to the page that was wanted, unless a new proof of identity is.
pub(super) async fn show(
    app: web::Data<App>,
    request: HttpRequest,
    caller: Result<PageCaller, ApiError>,
) -> Result<HttpResponse, ApiError> {
    if caller.is_err() && is_from_elsewhere(&request) {
        return reload(&app, &request);
    }
    let query: LoginQuery = parse_query(request.query_string()).unwrap_or_default();
    let why = match query.why.as_deref() {
        Some("ended") => Some("login-why-ended"),
        Some("again") => Some("login-why-again"),
        Some("logged-out") => Some("login-why-logged-out"),
        Some("password-set") => Some("login-why-password-set"),
        Some("cookies") => Some("login-why-cookies"),
        _ => None,
    };
    let return_to = Destination::parse(&app, query.return_to.as_deref());
    let tossed = match &return_to {
        Some(Destination::Site(page)) if query.why.as_deref() == Some("cookies") => Some(page),
        _ => None,
    };
    if caller.is_ok() && query.why.as_deref() != Some("again") {
        return match tossed {
            Some(page) => mend_cookies(&app, &request, &caller?.0, page).await,
            None => go_on(&app, &request, &caller?.0, return_to.as_ref()),
        };
    }
    let username = match caller {
        Ok(PageCaller(caller)) => caller.checked.user.username.as_str().to_owned(),
        Err(_) => String::new(),
    };
    let frame = Frame::new(&app, &request);
    let removals = tossed.map(|page| Cookies::of(&app).without_tossed(page)).unwrap_or_default();
    let return_to = return_to.map(|to| to.to_string());
    let page = LoginPage { frame, return_to, why, refused: None, username };
    let mut response = asking_for_hints(answer(StatusCode::OK, &page)?)?;
    add(&mut response, &removals)?;
    Ok(response)
}

/// The page for somebody who is logged in, and whose browser shows two cookies at a site. It takes away what can be taken away from
/// here, sets ours again, and says so: to lead back at once might lead here again.
async fn mend_cookies(
    app: &web::Data<App>,
    request: &HttpRequest,
    caller: &Caller,
    page: &Url,
) -> Result<HttpResponse, ApiError> {
    let host = page.host_str().unwrap_or_default().to_owned();
    let shown = CookiesPage { frame: Frame::of(app, request, caller).await?, host, page: page.to_string() };
    let mut response = answer(StatusCode::OK, &shown)?;
    add(&mut response, &Cookies::of(app).without_tossed(page))?;
    set_session_again(app, request, &mut response)?;
    Ok(response)
}

/// Logs in. The session that this browser has had ends: no credential from before a login is good after it (SES-04).
pub(super) async fn log_in(
    app: web::Data<App>,
    request: HttpRequest,
    request_info: RequestInfo,
    before: Result<PageCaller, ApiError>,
    form: Anonymous<OpenForm<LoginForm>>,
) -> Result<HttpResponse, ApiError> {
    let Anonymous(OpenForm(form)) = form;
    let return_to = Destination::parse(&app, form.return_to.as_deref());
    let device = Cookies::of(&app).read(&request, CookieUse::Device);
    let credentials = Credentials {
        username: form.username.clone(),
        password: form.password,
        client: LoginClient::Unnamed,
        device: device.as_deref().and_then(DeviceToken::parse),
        client_info: request_info.client_info,
        system: request_info.system,
        request_id: request_info.request_id,
    };
    match app.sessions.log_in_by_cookie(credentials).await {
        Ok(login) => {
            if let Ok(PageCaller(before)) = before {
                app.sessions.end(before.checked.session_id, EndReason::Logout, None, &before.context()).await?;
            }
            let permissions = app.users.roles().permissions(&login.role);
            let to = match return_to.as_ref() {
                _ if login.must_change_password => password_page(&app),
                to => location(&app, permissions, to),
            };
            logged_in(&app, &login, &to)
        }
        Err(LoginError::Authentication(AuthenticationError::InvalidCredentials)) => {
            refuse(&app, &request, form.username, return_to.as_ref(), Refused::Credentials)
        }
        Err(LoginError::Authentication(AuthenticationError::Throttled(wait))) => {
            let mut response = refuse(&app, &request, form.username, return_to.as_ref(), Refused::Throttled)?;
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

/// The same answer, which asks for what the login form is sent with: the system, which user agents do not tell. Browsers listen to it over
/// https, and on their own machine.
pub(super) fn asking_for_hints(mut response: HttpResponse) -> Result<HttpResponse, ApiError> {
    let asked = HeaderValue::from_str(&format!("{PLATFORM}, {PLATFORM_VERSION}")).map_err(|_| ApiError::Unavailable)?;
    response.headers_mut().insert(ACCEPT_CH, asked);
    Ok(response)
}

/// The answer to a login that succeeded.
pub(super) fn logged_in(app: &App, login: &CookieLogin, location: &str) -> Result<HttpResponse, ApiError> {
    let cookies = Cookies::of(app);
    let mut response = see_other(location);
    add(&mut response, &cookies.of_session(app, &login.cookie))?;
    add(&mut response, &[cookies.set(CookieUse::Device, login.device.reveal())])?;
    Ok(response)
}

fn refuse(
    app: &web::Data<App>,
    request: &HttpRequest,
    username: String,
    return_to: Option<&Destination>,
    refused: Refused,
) -> Result<HttpResponse, ApiError> {
    let (status, text) = match refused {
        Refused::Credentials => (StatusCode::UNPROCESSABLE_ENTITY, "login-refused"),
        Refused::Throttled => (StatusCode::TOO_MANY_REQUESTS, "login-throttled"),
    };
    let (frame, return_to) = (Frame::new(app, request), return_to.map(ToString::to_string));
    answer(status, &LoginPage { frame, return_to, why: None, refused: Some(text), username })
}

/// Leads whoever is logged in to the page that was wanted. A browser that asks at a site has no cookie for it, or one that is good
/// no more: it gets the one of its session.
fn go_on(
    app: &App,
    request: &HttpRequest,
    caller: &Caller,
    to: Option<&Destination>,
) -> Result<HttpResponse, ApiError> {
    let mut response = see_other(&location(app, caller.permissions, to));
    if let Some(Destination::Site(_)) = to {
        set_session_again(app, request, &mut response)?;
    }
    Ok(response)
}

fn set_session_again(app: &App, request: &HttpRequest, response: &mut HttpResponse) -> Result<(), ApiError> {
    let Some(text) = Cookies::of(app).read(request, CookieUse::Session) else { return Ok(()) };
    let cookie = app.sessions.genuine_cookie(SecretKind::SessionCookie, &text)?;
    add(response, &Cookies::of(app).of_session(app, &cookie))
}

fn location(app: &App, permissions: Permissions, to: Option<&Destination>) -> String {
    match to {
        Some(Destination::Site(page)) => page.to_string(),
        Some(Destination::Own(page)) => format!("{}{page}", base(app)),
        None => home(app, permissions),
    }
}
