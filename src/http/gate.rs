//! The gate: one login for sites behind a proxy. The proxy asks `/auth/verify?login=…` for each request. Then only the gate's cookie
//! counts, at one of `[gate] hosts`, and the header `Authorization` is the application's own. Who asks for a page and has no good
//! cookie is led to the login page, and from there back to exactly that page. The answer names the cookies that are not ours: the
//! application is to get these alone.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT, HeaderName, HeaderValue, LOCATION, UPGRADE, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError};
use url::Url;

use super::authenticate::{Caller, app_of, authenticate_genuine_cookie, refused_cookie, refused_request};
use super::error::ApiError;
use super::pages::cookies::{CookieUse, Cookies};
use super::request_extension::RequestExtension;
use crate::app::App;
use crate::model::secret::SecretKind;
use crate::session::cookie::GenuineCookie;

const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// Longest address of the login page, in bytes: proxies take only so much of a header. For a longer one, a login leads to the root of
/// the site.
const MAX_LOGIN_ADDRESS: usize = 3 * 1024;

/// Whoever a proxy asks about: by the bearer token of the request or, at the gate, by its cookie.
#[derive(Debug)]
pub struct Visitor {
    /// Who it is.
    pub caller: Caller,
    /// At the gate: the cookies of the request but for ours.
    pub other_cookies: Option<HeaderValue>,
}

/// Why a request may not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VisitorError {
    /// As for everybody.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The page is opened by a login, at this address.
    #[error("login required")]
    Login(LoginAnswer, String),
}

/// How a proxy passes on that the login page is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginAnswer {
    /// It passes our answer on as it is: 302.
    Redirect,
    /// It passes on 401 and 403 only (nginx): 401, and the address beside it.
    Location,
}

impl ResponseError for VisitorError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Api(error) => error.status_code(),
            Self::Login(LoginAnswer::Redirect, _) => StatusCode::FOUND,
            Self::Login(LoginAnswer::Location, _) => StatusCode::UNAUTHORIZED,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Api(error) => error.error_response(),
            Self::Login(answer, address) => {
                let mut response = HttpResponse::build(self.status_code());
                response.insert_header((LOCATION, address.as_str()));
                if *answer == LoginAnswer::Location {
                    response.insert_header((WWW_AUTHENTICATE, "Bearer"));
                }
                response.finish()
            }
        }
    }
}

impl From<Caller> for Visitor {
    fn from(caller: Caller) -> Self {
        Self { caller, other_cookies: None }
    }
}

impl FromRequest for Visitor {
    type Error = VisitorError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, VisitorError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if request.query_string().is_empty() {
            let caller = Caller::from_request(request, payload);
            return Box::pin(async { Ok(caller.await?.into()) });
        }
        let request = request.clone();
        Box::pin(async move {
            match login_answer(&request) {
                None => Ok(Caller::extract(&request).await?.into()),
                Some(answer) => at_gate(request, answer).await,
            }
        })
    }
}

/// What the parameter `login` says; a word that is unknown is taken for the stricter one.
fn login_answer(request: &HttpRequest) -> Option<LoginAnswer> {
    let mut query = url::form_urlencoded::parse(request.query_string().as_bytes());
    let (_, word) = query.find(|(name, _)| name == "login")?;
    Some(if word == "redirect" { LoginAnswer::Redirect } else { LoginAnswer::Location })
}

async fn at_gate(request: HttpRequest, answer: LoginAnswer) -> Result<Visitor, VisitorError> {
    let app = app_of(&request)?;
    if !is_asked_for_a_site(&app, &request) {
        return Err(ApiError::CredentialsRequired.into());
    }
    let found = cookie(&app, &request);
    let checked = match &found {
        Ok(cookie) => authenticate_genuine_cookie(cookie, request.clone()).await,
        Err(_) => Err(ApiError::CredentialsRequired),
    };
    let error = match checked {
        Ok(caller) => {
            let other_cookies = Some(Cookies::of(&app).others(&request));
            return Ok(Visitor { caller, other_cookies });
        }
        Err(error) => error,
    };
    Err(match (&error, wanted_page(&app, &request)) {
        (ApiError::PasswordChangeRequired, Some(_)) => VisitorError::Login(answer, password_address(&app)),
        (error, Some(page)) if error.status_code() == StatusCode::UNAUTHORIZED => {
            VisitorError::Login(answer, login_address(&app, page, found.err()))
        }
        _ => error.into(),
    })
}

/// Whether a trusted proxy asks, about a request to one of the sites. Whoever asks past the proxy says of itself what was asked for;
/// and what else a proxy serves, the cookie does not open.
fn is_asked_for_a_site(app: &App, request: &HttpRequest) -> bool {
    let is_proxy =
        request.extensions().get::<RequestExtension>().is_some_and(|extension| extension.remote.through_proxy);
    let (proto, host) = (only(request, &FORWARDED_PROTO), only(request, &FORWARDED_HOST));
    is_proxy && proto.zip(host).is_some_and(|(proto, host)| app.config.gate.is_site(proto, host))
}

/// The text of a header that is there once.
fn only<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    let mut values = request.headers().get_all(name);
    let first = values.next()?;
    values.next().is_none().then(|| first.to_str().ok()).flatten()
}

/// Why no cookie of a request counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoCookie {
    /// None is ours.
    Missing,
    /// There are two of different sessions.
    Differ,
}

/// The gate's cookie of a request. A sibling host can set another one for the domain: one that is not ours counts for nothing, and of
/// two that are, for different sessions, neither (`gate.cookies_differ`).
fn cookie(app: &App, request: &HttpRequest) -> Result<GenuineCookie, NoCookie> {
    let mut newest: Option<GenuineCookie> = None;
    let mut refused = None;
    for text in Cookies::of(app).read_all(request, CookieUse::Gate) {
        let cookie = match app.sessions.genuine_cookie(SecretKind::GateCookie, &text) {
            Ok(cookie) => cookie,
            Err(error) => {
                refused = Some(error);
                continue;
            }
        };
        match &newest {
            Some(other) if other.session_id != cookie.session_id => {
                app.refusals.note_cookies_that_differ(&refused_request(request));
                return Err(NoCookie::Differ);
            }
            Some(other) if other.generation >= cookie.generation => {}
            _ => newest = Some(cookie),
        }
    }
    newest.ok_or_else(|| {
        if let Some(error) = refused {
            refused_cookie(app, request, None, error);
        }
        NoCookie::Missing
    })
}

/// The page that a browser's user wants to see, where it is one: what a script or a form asks for, a login page would not answer.
fn wanted_page(app: &App, request: &HttpRequest) -> Option<Url> {
    let text = |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let method = text(&FORWARDED_METHOD).unwrap_or(request.method().as_str());
    let is_page = [Method::GET.as_str(), Method::HEAD.as_str()].contains(&method)
        && text(&ACCEPT).is_some_and(|accept| accept.contains("text/html"))
        && !request.headers().contains_key(UPGRADE)
        && !request
            .headers()
            .get("sec-fetch-mode")
            .is_some_and(|mode| ["cors", "no-cors", "websocket"].iter().any(|other| mode == other));
    if !is_page {
        return None;
    }
    let (proto, host) = (only(request, &FORWARDED_PROTO)?, only(request, &FORWARDED_HOST)?);
    let uri = only(request, &FORWARDED_URI)?;
    let (path, query) = uri.split_at(uri.find('?').unwrap_or(uri.len()));
    // Browsers leave it there as it is; in a path they turn it round.
    let query = query.replace('\\', "%5C");
    app.config.gate.page(&format!("{proto}://{host}{path}{query}"))
}

/// The login page, which leads to the page afterwards. Where cookies differ, it says so: leading back and forth would not end.
fn login_address(app: &App, mut page: Url, why: Option<NoCookie>) -> String {
    let address = |page: &Url| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("return_to", page.as_str());
        if why == Some(NoCookie::Differ) {
            query.append_pair("why", "cookies");
        }
        format!("{}/login?{}", public_address(app), query.finish())
    };
    let whole = address(&page);
    if whole.len() <= MAX_LOGIN_ADDRESS {
        return whole;
    }
    page.set_path("/");
    page.set_query(None);
    page.set_fragment(None);
    address(&page)
}

/// Where somebody chooses a password whose own was chosen by somebody else.
fn password_address(app: &App) -> String {
    format!("{}/account/password?why=required", public_address(app))
}

fn public_address(app: &App) -> &str {
    app.config.server.public_url.as_str().trim_end_matches('/')
}
