//! The gate: from the credential of a request to somebody who may call. A handler's first argument says who that is.

use std::future::{Future, Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use chrono::TimeDelta;
use futures_util::future::Either;

use super::error::ApiError;
use super::middleware::Arrival;
use crate::app::App;
use crate::model::audit::Cause;
use crate::model::device::user_agent;
use crate::model::session::{Actor, Origin};
use crate::model::user::Permissions;
use crate::session::check::Checked;

/// Longest credential looked at, in bytes; a longer one is no token of ours.
const MAX_CREDENTIAL: usize = 8 * 1024;

/// Where a request came from, and its id: what the record keeps of it.
#[derive(Debug, Clone)]
pub struct Source {
    /// The client's address and user agent.
    pub origin: Origin,
    /// The request's id.
    pub request_id: String,
}

/// The text of a bearer token; nothing is known of it yet.
#[derive(Debug)]
pub struct Bearer(pub String);

/// Anybody with a good token and a live session.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who, and in which session.
    pub checked: Checked,
    /// What the role allows.
    pub permissions: Permissions,
    request: HttpRequest,
}

/// A caller who may read the history: auditors and administrators.
#[derive(Debug, Clone)]
pub struct Reviewer(pub Caller);

/// A caller who may do everything.
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

/// A caller who may do everything and logged in a moment ago: for what is hard to undo (ASVS 7.5.3).
#[derive(Debug, Clone)]
pub struct RecentAdmin(pub Caller);

impl Source {
    /// The source of a request.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        let extensions = request.extensions();
        let agent = request.headers().get(actix_web::http::header::USER_AGENT);
        Self {
            origin: Origin {
                ip: client_address(request),
                user_agent: agent.and_then(|header| user_agent(header.as_bytes())),
            },
            request_id: extensions
                .get::<Arrival>()
                .map(|arrival| arrival.identity.as_str().to_owned())
                .unwrap_or_default(),
        }
    }

    /// What the record keeps when this party acts.
    #[must_use]
    pub fn cause(&self, actor: Actor) -> Cause {
        Cause { actor, ip: Some(self.origin.ip), request_id: Some(self.request_id.clone()) }
    }
}

impl Caller {
    /// The client's address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        client_address(&self.request)
    }

    /// Where the request came from.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::of(&self.request)
    }

    /// The caller acting on what is the caller's own.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.source().cause(Actor::user(self.checked.user_id))
    }

    /// Refuses a caller whose last proof of identity is too old for a sensitive action.
    pub fn require_recent_login(&self, app: &App) -> Result<(), ApiError> {
        let limit = app.config.sessions.reauthentication_after;
        let age = app.clock.now() - self.checked.authenticated_at;
        let allowed = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
        if limit.is_zero() || age <= allowed { Ok(()) } else { Err(ApiError::ReauthenticationRequired(limit)) }
    }
}

impl Reviewer {
    /// The caller reading other people's history.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.0.source().cause(Actor::admin(self.0.checked.user_id))
    }
}

impl Admin {
    /// The caller acting on others.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.0.source().cause(Actor::admin(self.0.checked.user_id))
    }
}

impl RecentAdmin {
    /// The caller acting on others.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.0.source().cause(Actor::admin(self.0.checked.user_id))
    }
}

/// The bearer token of a request. Exactly one credential, and never in the address (RFC 6750 §2, TOK-10, TOK-11).
fn bearer(request: &HttpRequest) -> Result<&str, ApiError> {
    let query = request.query_string();
    if !query.is_empty() && url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token") {
        return Err(ApiError::Malformed("A token does not belong in the address.".to_owned()));
    }
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let Some(header) = headers.next() else { return Err(ApiError::CredentialsRequired) };
    if headers.next().is_some() {
        return Err(ApiError::Malformed("Two credentials at once.".to_owned()));
    }
    if header.len() > MAX_CREDENTIAL + "Bearer ".len() {
        return Err(ApiError::TokenInvalid);
    }
    let text = std::str::from_utf8(header.as_bytes()).map_err(|_| ApiError::TokenInvalid)?;
    let Some((scheme, token)) = text.split_once(' ') else { return Err(ApiError::CredentialsRequired) };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::CredentialsRequired);
    }
    Ok(token)
}

fn app_of(request: &HttpRequest) -> Result<web::Data<App>, ApiError> {
    request.app_data::<web::Data<App>>().cloned().ok_or(ApiError::Unavailable)
}

/// Answers from memory at once where that can be done: a request in a thousand must wait for the store, and only that one
/// pays for waiting.
fn authenticate(request: &HttpRequest) -> Extracting<Caller> {
    let at_once = || {
        let (token, app) = (bearer(request)?, app_of(request)?);
        let Some(result) = app.sessions.check_at_once(token, client_address(request)) else { return Ok(None) };
        Ok(Some(caller(&app, result?, request.clone())))
    };
    match at_once() {
        Ok(None) => Either::Right(Box::pin(authenticate_in_time(request.clone()))),
        Ok(Some(caller)) => Either::Left(ready(Ok(caller))),
        Err(error) => Either::Left(ready(Err(error))),
    }
}

async fn authenticate_in_time(request: HttpRequest) -> Result<Caller, ApiError> {
    let app = app_of(&request)?;
    let checked = app.sessions.check(bearer(&request)?, client_address(&request)).await?;
    Ok(caller(&app, checked, request))
}

fn caller(app: &App, checked: Checked, request: HttpRequest) -> Caller {
    let permissions = app.users.roles().permissions(&checked.user.role);
    Caller { checked, permissions, request }
}

fn client_address(request: &HttpRequest) -> IpAddr {
    request.extensions().get::<Arrival>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |arrival| arrival.peer.client)
}

type Extracting<T> = Either<Ready<Result<T, ApiError>>, Pin<Box<dyn Future<Output = Result<T, ApiError>>>>>;

/// The caller, if a further condition holds.
fn authenticate_if<T: 'static>(
    request: &HttpRequest,
    condition: impl FnOnce(Caller) -> Result<T, ApiError> + 'static,
) -> Extracting<T> {
    let caller = authenticate(request);
    Either::Right(Box::pin(async move { condition(caller.await?) }))
}

impl FromRequest for Source {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

impl FromRequest for Bearer {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(bearer(request).map(|token| Self(token.to_owned())))
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        authenticate(request)
    }
}

impl FromRequest for Reviewer {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        authenticate_if(
            request,
            |caller| {
                if caller.permissions.auditor { Ok(Self(caller)) } else { Err(ApiError::NotAllowed) }
            },
        )
    }
}

impl FromRequest for Admin {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        authenticate_if(
            request,
            |caller| {
                if caller.permissions.admin { Ok(Self(caller)) } else { Err(ApiError::NotAllowed) }
            },
        )
    }
}

impl FromRequest for RecentAdmin {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let admin = Admin::from_request(request, payload);
        let app = app_of(request);
        Either::Right(Box::pin(async move {
            let Admin(caller) = admin.await?;
            caller.require_recent_login(&*app?)?;
            Ok(Self(caller))
        }))
    }
}
