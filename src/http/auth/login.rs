//! Log in, refresh, log out, set up.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, post, web};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TokenAnswer;
use crate::app::App;
use crate::authentication::known_device::DeviceToken;
use crate::authentication::password::Credentials;
use crate::http::authenticate::{Bearer, LogoutCaller, RequestInfo, refused, two_credentials};
use crate::http::authenticated_body::{Anonymous, Authenticated, WithClient};
use crate::http::error::ApiError;
use crate::http::input::{AnyBody, Body, OptionalBody};
use crate::http::problems::{BadBody, CallerRefused, Conflict, PasswordChangeFirst, SecretRefused};
use crate::model::client::{Client, ClientId, LoginClient};
use crate::model::device::given_name;
use crate::model::session::{Actor, EndReason};
use crate::model::user::Username;
use crate::session::start::LoginError;
use actix_web::FromRequest as _;

/// Name and password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginBody {
    /// The name; case does not matter.
    username: String,
    /// The password.
    #[schema(value_type = String, format = "password")]
    password: SecretString,
    /// The application that asks, by its registered id. Where it does not authenticate, that is kept as a claim.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9._-]*$")]
    client_id: Option<String>,
    /// What the user calls the device, at most 64 characters.
    #[schema(max_length = 64, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    device_name: Option<String>,
    /// What the last login on this device answered. It is then no fault if it is known no more.
    #[schema(value_type = Option<String>)]
    device_token: Option<SecretString>,
}

/// A refresh token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshBody {
    /// The refresh token of the last answer, `vgr_` and more.
    #[schema(value_type = String)]
    refresh_token: SecretString,
}

/// Whose session ends: without a refresh token that of the access token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogoutBody {
    /// The refresh token of the session to end, `vgr_` and more.
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
}

/// What counts of that beside an access token: whether there is a second credential.
#[derive(Debug, Deserialize)]
struct BesideBearer {
    refresh_token: Option<serde_json::Value>,
}

/// Which sessions `logout-all` spares.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogoutAllBody {
    /// Leave the session of this request alone.
    #[serde(default)]
    keep_current: bool,
}

/// How many sessions ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndedAnswer {
    /// How many sessions were ended.
    pub ended: i64,
}

/// The first administrator.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupBody {
    /// The one-time token that the first start printed.
    #[schema(value_type = String)]
    token: SecretString,
    /// The administrator's name: 1 to 128 characters, no control characters, no white space at its ends.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$"
    )]
    username: String,
    /// The administrator's password.
    #[schema(value_type = String, format = "password")]
    password: SecretString,
}

/// Log in with name and password. An application may authenticate by HTTP Basic: the session is then its own, and refreshes only
/// with it.
#[utoipa::path(
    tag = "people", request_body = LoginBody, security((), ("client" = [])),
    responses((status = 200, description = "Logged in", body = TokenAnswer), SecretRefused, BadBody)
)]
#[post("/auth/login")]
pub async fn login(
    asked: WithClient<Body<LoginBody>>,
    app: web::Data<App>,
    request_info: RequestInfo,
) -> Result<HttpResponse, ApiError> {
    let WithClient(client, Body(body)) = asked;
    let named = body.client_id.as_deref().map(ClientId::parse).transpose();
    let named = named.map_err(|error| ApiError::invalid("/client_id", error))?;
    let client = login_client(client, named)?;
    let credentials = Credentials {
        username: body.username,
        password: body.password,
        client,
        device: body.device_token.as_ref().and_then(|token| DeviceToken::parse(token.expose_secret())),
        client_info: request_info.client_info,
        system: request_info.system,
        request_id: request_info.request_id,
    };
    let is_authenticated = credentials.client.authenticated().is_some();
    let logged_in =
        app.sessions.log_in(credentials, device_name(body.device_name)?).await.map_err(|error| match error {
            // It was removed since.
            LoginError::UnknownClient if is_authenticated => ApiError::InvalidClient,
            error => error.into(),
        })?;
    Ok(HttpResponse::Ok().json(TokenAnswer::logged_in(&logged_in, app.config.tokens.legacy_claims)))
}

/// Spend a refresh token for the next pair of tokens. The application whose session it is authenticates by HTTP Basic.
#[utoipa::path(
    tag = "people", request_body = RefreshBody, security((), ("client" = [])),
    responses((status = 200, description = "Refreshed", body = TokenAnswer), SecretRefused, PasswordChangeFirst, BadBody)
)]
#[post("/auth/refresh")]
pub async fn refresh(
    asked: WithClient<Body<RefreshBody>>,
    app: web::Data<App>,
    request_info: RequestInfo,
) -> Result<HttpResponse, ApiError> {
    let WithClient(client, Body(body)) = asked;
    let token = body.refresh_token.expose_secret();
    let client = client.map(|client| client.id.clone());
    let issued = app.sessions.refresh(token, client, &request_info.client_info, &request_info.request_id).await?;
    Ok(HttpResponse::Ok().json(TokenAnswer::new(&issued, None, app.config.tokens.legacy_claims)))
}

/// Log out: end the session of the access token, also of one past its time, or of the refresh token in the body. Succeeds
/// also when it has ended.
#[utoipa::path(
    tag = "people", request_body(content = Option<LogoutBody>), security((), ("bearer" = [])),
    responses((status = 204, description = "The session is over"), CallerRefused, BadBody)
)]
#[post("/auth/logout")]
pub async fn logout(
    app: web::Data<App>,
    request: HttpRequest,
    request_info: RequestInfo,
    body: Anonymous<AnyBody>,
) -> Result<HttpResponse, ApiError> {
    let Anonymous(body) = body;
    let context = |actor: Actor| request_info.context(actor);
    match Bearer::extract(&request).await {
        Ok(Bearer(token)) => {
            // Whoever leaves is let go, whatever a client sends by habit where there is nothing to say.
            let refresh_token = body.leniently().and_then(|body: BesideBearer| body.refresh_token);
            if refresh_token.is_some_and(|given| given != "") {
                return Err(two_credentials(&app, &request));
            }
            let ended = app.sessions.logout(&token, context).await;
            ended.map_err(|error| refused(&app, &request, &token, error))?;
        }
        Err(ApiError::CredentialsRequired) => {
            let token = body.strictly()?.and_then(|body: LogoutBody| body.refresh_token);
            let token = token.ok_or(ApiError::CredentialsRequired)?;
            app.sessions.logout_by_refresh_token(token.expose_secret(), context).await?;
        }
        Err(error) => return Err(error),
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Log out everywhere, or everywhere else.
#[utoipa::path(
    tag = "people", request_body(content = Option<LogoutAllBody>), security(("bearer" = [])),
    responses((status = 200, description = "Sessions ended", body = EndedAnswer), CallerRefused, PasswordChangeFirst, BadBody)
)]
#[post("/auth/logout-all")]
pub async fn logout_all(
    asked: Authenticated<LogoutCaller, OptionalBody<LogoutAllBody>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(LogoutCaller(caller), OptionalBody(body)) = asked;
    caller.require_recent_login(&app)?;
    let keep = body.is_some_and(|body| body.keep_current).then_some(caller.checked.session_id);
    let user_id = caller.checked.user_id;
    let ended = app.sessions.end_of_user(user_id, keep, EndReason::LogoutAll, None, &caller.context()).await?;
    Ok(HttpResponse::Ok().json(EndedAnswer { ended }))
}

/// Create the first administrator, once, with the token that the first start printed.
#[utoipa::path(
    tag = "people", request_body = SetupBody,
    responses((status = 201, description = "Created and logged in", body = TokenAnswer), SecretRefused, BadBody, Conflict)
)]
#[post("/auth/setup")]
pub async fn setup(
    app: web::Data<App>,
    request_info: RequestInfo,
    body: Anonymous<Body<SetupBody>>,
) -> Result<HttpResponse, ApiError> {
    let Anonymous(Body(body)) = body;
    let username = Username::new(&body.username).map_err(|error| ApiError::invalid("/username", error))?;
    let password = body.password.clone();
    app.users
        .set_up(body.token.expose_secret(), username, password, request_info.context(Actor::system("setup")))
        .await?;
    app.remove_setup_token();
    let credentials = Credentials {
        username: body.username,
        password: body.password,
        client: LoginClient::Unnamed,
        device: None,
        client_info: request_info.client_info,
        system: request_info.system,
        request_id: request_info.request_id,
    };
    let logged_in = app.sessions.log_in(credentials, None).await?;
    Ok(HttpResponse::Created().json(TokenAnswer::logged_in(&logged_in, app.config.tokens.legacy_claims)))
}

/// The client of a login: who has authenticated is named by that, and may say so once more.
fn login_client(authenticated: Option<Arc<Client>>, named: Option<ClientId>) -> Result<LoginClient, ApiError> {
    let Some(client) = authenticated else { return Ok(LoginClient::of(named, false)) };
    if named.is_some_and(|named| named != client.id) {
        return Err(ApiError::invalid("/client_id", "is not the client that authenticates"));
    }
    Ok(LoginClient::Authenticated(client.id.clone()))
}

fn device_name(name: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(name) = name else { return Ok(None) };
    given_name(name).map_err(|error| ApiError::invalid("/device_name", error))
}
