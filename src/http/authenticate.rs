//! The gate: from the credential of a request to somebody who may call. A handler's first argument says who that is.

use std::future::{Future, Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use chrono::TimeDelta;
use futures_util::future::Either;

use super::error::ApiError;
use super::forward_auth_paths;
use super::middleware::method_word;
use super::request_extension::RequestExtension;
use super::step_up;
use crate::app::App;
use crate::model::audit::{ActingSession, AuditContext, Reason, Subject, SubjectKind};
use crate::model::device::{SystemHint, user_agent};
use crate::model::secret::SecretKind;
use crate::model::session::{Actor, ClientInfo};
use crate::model::user::Permissions;
use crate::refusals::{NamedSession, RefusedRequest};
use crate::session::check::{CheckError, CheckedCredential};
use crate::session::cookie::GenuineCookie;

/// What browsers are asked for on the login page (User-Agent Client Hints).
pub(super) const PLATFORM: HeaderName = HeaderName::from_static("sec-ch-ua-platform");
/// The version beside it.
pub(super) const PLATFORM_VERSION: HeaderName = HeaderName::from_static("sec-ch-ua-platform-version");
/// Longest credential looked at, in bytes; a longer one is no token of ours.
const MAX_CREDENTIAL: usize = 8 * 1024;
const TWO_CREDENTIALS: &str = "Two credentials at once.";

/// Where a request came from, and its id: what the record keeps of it.
#[derive(Debug, Clone)]
pub struct RequestInfo {
    /// The client's address and user agent.
    pub client_info: ClientInfo,
    /// What the browser's hints say of the system, where they were asked for.
    pub system: Option<SystemHint>,
    /// The id of the request, as the header `X-Request-Id` has it.
    pub request_id: String,
}

/// The text of a bearer token; nothing is known of it yet.
#[derive(Debug)]
pub struct Bearer(pub String);

/// Anybody with a good token and a live session.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who, and in which session.
    pub checked: CheckedCredential,
    /// What the role allows.
    pub permissions: Permissions,
    request: HttpRequest,
}

/// A caller who asks for an end of own sessions. Where this one is over already, the refusal comes when it is over on every node:
/// whoever asks once more, because no answer came, is told nothing sooner (P2).
#[derive(Debug, Clone)]
pub struct LogoutCaller(pub Caller);

/// A caller who may read the history: auditors and administrators.
#[derive(Debug, Clone)]
pub struct Reviewer(pub Caller);

/// A caller who may do everything. What gives power asks for a recent login (`step_up`).
#[derive(Debug, Clone)]
pub struct Admin(pub Caller);

fn system_hint(headers: &HeaderMap) -> Option<SystemHint> {
    SystemHint::read(headers.get(PLATFORM)?.as_bytes(), headers.get(PLATFORM_VERSION)?.as_bytes())
}

impl RequestInfo {
    /// The source of a request.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        let extensions = request.extensions();
        let agent = request.headers().get(actix_web::http::header::USER_AGENT);
        Self {
            client_info: ClientInfo {
                ip: client_address(request),
                user_agent: agent.and_then(|header| user_agent(header.as_bytes())),
            },
            system: system_hint(request.headers()),
            request_id: extensions
                .get::<RequestExtension>()
                .map(|extension| extension.identity.as_str().to_owned())
                .unwrap_or_default(),
        }
    }

    /// What the record keeps when this party acts.
    #[must_use]
    pub fn context(&self, actor: Actor) -> AuditContext {
        AuditContext { actor, ip: Some(self.client_info.ip), request_id: Some(self.request_id.clone()), acting: None }
    }
}

impl Caller {
    /// The address of the client, behind the trusted proxies.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        client_address(&self.request)
    }

    /// Where the request came from.
    #[must_use]
    pub fn request_info(&self) -> RequestInfo {
        RequestInfo::of(&self.request)
    }

    /// The caller acting on what is the caller's own.
    #[must_use]
    pub fn context(&self) -> AuditContext {
        self.acting(Actor::user(self.checked.user_id))
    }

    /// The caller acting on others.
    fn cause_on_others(&self) -> AuditContext {
        self.acting(Actor::admin(self.checked.user_id))
    }

    fn acting(&self, actor: Actor) -> AuditContext {
        let acting = ActingSession { session_id: self.checked.session_id, role: self.checked.user.role.clone() };
        AuditContext { acting: Some(acting), ..self.request_info().context(actor) }
    }

    /// Refuses a caller whose last proof of identity is too old for a sensitive action.
    pub fn require_recent_login(&self, app: &App) -> Result<(), ApiError> {
        let limit = app.config.sessions.reauthentication_after;
        // In either direction: a login that a clock dates into the far future is no recent one for as long as that takes.
        let age = (app.clock.now() - self.checked.authenticated_at).abs();
        let allowed = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
        if limit.is_zero() || age <= allowed {
            return Ok(());
        }
        self.note_refusal(app, Reason::ReauthenticationRequired);
        Err(ApiError::ReauthenticationRequired(limit))
    }

    /// Refuses a caller whose role does not allow it.
    fn not_allowed(&self, app: &App) -> ApiError {
        self.note_refusal(app, Reason::NotAllowed);
        ApiError::NotAllowed
    }

    fn note_refusal(&self, app: &App, reason: Reason) {
        let subject = Subject::new(SubjectKind::User, self.checked.user_id);
        app.refusals.note_access(reason, &self.context(), subject, &route(&self.request));
    }
}

impl Reviewer {
    /// The caller reading other people's history.
    #[must_use]
    pub fn context(&self) -> AuditContext {
        self.0.cause_on_others()
    }
}

impl Admin {
    /// The caller acting on others.
    #[must_use]
    pub fn context(&self) -> AuditContext {
        self.0.cause_on_others()
    }
}

/// Why there is no token to look at.
struct BearerError {
    /// For the record; `None` where no credential came at all.
    reason: Option<Reason>,
    answer: ApiError,
}

impl BearerError {
    const fn nothing() -> Self {
        Self { reason: None, answer: ApiError::CredentialsRequired }
    }

    const fn invalid(reason: Reason) -> Self {
        Self { reason: Some(reason), answer: ApiError::TokenInvalid }
    }

    fn malformed(reason: Reason, text: &str) -> Self {
        Self { reason: Some(reason), answer: ApiError::Malformed(text.to_owned()) }
    }
}

/// The bearer token of a request; where one is not even looked at, that is noted for the record.
fn bearer(request: &HttpRequest) -> Result<&str, ApiError> {
    read_bearer(request).map_err(|unread| {
        if let (Some(reason), Ok(app)) = (unread.reason, app_of(request)) {
            app.refusals.note_unread_token(reason, &refused_request(request));
        }
        unread.answer
    })
}

/// The bearer token of a request. Exactly one credential, and never in the address (RFC 6750 §2, TOK-10, TOK-11).
fn read_bearer(request: &HttpRequest) -> Result<&str, BearerError> {
    let query = request.query_string();
    if !query.is_empty()
        && !forward_auth_paths::is_below(request.path())
        && url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token")
    {
        return Err(BearerError::malformed(Reason::TokenInAddress, "A token does not belong in the address."));
    }
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let Some(header) = headers.next() else { return Err(BearerError::nothing()) };
    if headers.next().is_some() {
        return Err(BearerError::malformed(Reason::TwoCredentials, TWO_CREDENTIALS));
    }
    if header.len() > MAX_CREDENTIAL + "Bearer ".len() {
        return Err(BearerError::invalid(Reason::TooLarge));
    }
    let text = std::str::from_utf8(header.as_bytes()).map_err(|_| BearerError::invalid(Reason::Malformed))?;
    let Some((scheme, token)) = text.split_once(' ') else { return Err(BearerError::nothing()) };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(BearerError::nothing());
    }
    Ok(token)
}

pub(super) fn app_of(request: &HttpRequest) -> Result<web::Data<App>, ApiError> {
    request.app_data::<web::Data<App>>().cloned().ok_or(ApiError::Unavailable)
}

/// Answers from memory at once where that can be done: a request in a thousand must wait for the store, and only that one
/// pays for waiting.
fn authenticate(request: &HttpRequest) -> Extracting<Caller> {
    let at_once = || {
        let (token, app) = (bearer(request)?, app_of(request)?);
        let Some(result) = app.sessions.check_at_once(token, client_address(request)) else { return Ok(None) };
        let checked = result.map_err(|error| refused(&app, request, token, error))?;
        caller(&app, checked, request.clone()).map(Some)
    };
    match at_once() {
        Ok(None) => Either::Right(Box::pin(authenticate_in_time(request.clone()))),
        Ok(Some(caller)) => Either::Left(ready(Ok(caller))),
        Err(error) => Either::Left(ready(Err(error))),
    }
}

async fn authenticate_in_time(request: HttpRequest) -> Result<Caller, ApiError> {
    let app = app_of(&request)?;
    let token = bearer(&request)?;
    let checked = app.sessions.check(token, client_address(&request)).await;
    let checked = checked.map_err(|error| refused(&app, &request, token, error))?;
    caller(&app, checked, request)
}

/// The caller whose session this cookie continues.
pub(super) async fn authenticate_cookie(
    kind: SecretKind,
    cookie: &str,
    request: HttpRequest,
) -> Result<Caller, ApiError> {
    let app = app_of(&request)?;
    let checked = app.sessions.check_cookie(kind, cookie, client_address(&request)).await;
    let genuine = || app.sessions.genuine_cookie(kind, cookie).ok();
    let checked = checked.map_err(|error| refused_cookie(&app, &request, genuine().as_ref(), error))?;
    caller(&app, checked, request)
}

/// The same with a cookie that is known to be ours.
pub(super) async fn authenticate_genuine_cookie(
    cookie: &GenuineCookie,
    request: HttpRequest,
) -> Result<Caller, ApiError> {
    let app = app_of(&request)?;
    let checked = app.sessions.check_genuine_cookie(cookie, client_address(&request)).await;
    let checked = checked.map_err(|error| refused_cookie(&app, &request, Some(cookie), error))?;
    caller(&app, checked, request)
}

/// Notes for the record that the cookie of a request was refused, by its session where it is one of ours; the answer to it.
pub(super) fn refused_cookie(
    app: &App,
    request: &HttpRequest,
    genuine: Option<&GenuineCookie>,
    error: CheckError,
) -> ApiError {
    if let Some(reason) = error.reason() {
        let request = refused_request(request);
        match genuine {
            Some(cookie) => app.refusals.note_cookie(named_session(cookie), reason, error.end(), &request),
            None => app.refusals.note_unread_token(reason, &request),
        }
    }
    error.into()
}

/// The session that a cookie of ours names, for the record.
pub(super) fn named_session(cookie: &GenuineCookie) -> NamedSession {
    NamedSession { id: cookie.session_id, user_id: cookie.user_id }
}

/// Notes for the record that the token of a request was refused; the answer to it.
pub(super) fn refused(app: &App, request: &HttpRequest, token: &str, error: CheckError) -> ApiError {
    if let Some(reason) = error.reason() {
        app.refusals.note_token(token, reason, error.end(), &refused_request(request));
    }
    error.into()
}

/// Notes for the record that a request came with two credentials; the answer to it.
pub(super) fn two_credentials(app: &App, request: &HttpRequest) -> ApiError {
    app.refusals.note_unread_token(Reason::TwoCredentials, &refused_request(request));
    ApiError::Malformed(TWO_CREDENTIALS.to_owned())
}

/// A request of which a token is refused, as the record has it.
pub(super) fn refused_request(request: &HttpRequest) -> RefusedRequest {
    let RequestInfo { client_info, request_id, system: _ } = RequestInfo::of(request);
    RefusedRequest { ip: client_info.ip, request_id, route: route(request) }
}

/// What a request asks for: nothing in it was chosen by the client but which of our routes it is.
pub(super) fn route(request: &HttpRequest) -> String {
    format!("{} {}", method_word(request.method()), request.match_pattern().unwrap_or_default())
}

fn caller(app: &App, checked: CheckedCredential, request: HttpRequest) -> Result<Caller, ApiError> {
    let permissions = app.users.roles().permissions(&checked.user.role);
    let caller = Caller { checked, permissions, request };
    if caller.checked.user.must_change_password && !is_open_before_change(&caller.request) {
        caller.note_refusal(app, Reason::PasswordChangeRequired);
        return Err(ApiError::PasswordChangeRequired);
    }
    Ok(caller)
}

/// What a user may do whose password somebody else chose, besides logging out: see that, and change it.
fn is_open_before_change(request: &HttpRequest) -> bool {
    matches!(
        request.match_pattern().as_deref(),
        Some(
            "/auth/me" | "/auth/password" | "/account/password" | "/login" | "/logout" | "/privacy" | "/accessibility"
        )
    )
}

fn client_address(request: &HttpRequest) -> IpAddr {
    request
        .extensions()
        .get::<RequestExtension>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |extension| extension.remote.client)
}

type Extracting<T> = Either<Ready<Result<T, ApiError>>, Pin<Box<dyn Future<Output = Result<T, ApiError>>>>>;

/// The caller, if the role allows it, and if the login is recent enough for what asks for that.
pub(super) fn authorise(caller: Caller, app: &App, is_allowed: fn(Permissions) -> bool) -> Result<Caller, ApiError> {
    if !is_allowed(caller.permissions) {
        return Err(caller.not_allowed(app));
    }
    if step_up::is_asked_for(&caller.request, &app.config.sessions) {
        caller.require_recent_login(app)?;
    }
    Ok(caller)
}

/// The same of whoever holds a token.
fn authenticate_with(request: &HttpRequest, is_allowed: fn(Permissions) -> bool) -> Extracting<Caller> {
    let (caller, app) = (authenticate(request), app_of(request));
    Either::Right(Box::pin(async move {
        let (caller, app) = (caller.await?, app?);
        authorise(caller, &app, is_allowed)
    }))
}

impl FromRequest for RequestInfo {
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

impl FromRequest for LogoutCaller {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (caller, app) = (authenticate(request), app_of(request));
        Either::Right(Box::pin(async move {
            let caller = caller.await;
            if let Err(ApiError::SessionEnded) = caller {
                app?.coherence.wait_for_all_nodes().await;
            }
            caller.map(Self)
        }))
    }
}

impl FromRequest for Reviewer {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = authenticate_with(request, |permissions| permissions.auditor);
        Either::Right(Box::pin(async { caller.await.map(Self) }))
    }
}

impl FromRequest for Admin {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = authenticate_with(request, |permissions| permissions.admin);
        Either::Right(Box::pin(async { caller.await.map(Self) }))
    }
}
