//! Set another password: knowing the old one, or with a one-time token.

use actix_web::{HttpResponse, post, web};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;

use super::TokenAnswer;
use crate::app::App;
use crate::http::authenticate::{Caller, RequestInfo};
use crate::http::authenticated_body::{Anonymous, Authenticated};
use crate::http::error::ApiError;
use crate::http::input::Body;
use crate::http::problems::{BadBody, SecretRefused};
use crate::model::session::Actor;
use crate::user::UserError;
use crate::user::password::{OneTimeTokenError, PasswordChange};

/// The old password and the new one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordBody {
    /// The old password.
    #[schema(value_type = String, format = "password")]
    current_password: SecretString,
    /// The new one.
    #[schema(value_type = String, format = "password")]
    new_password: SecretString,
}

/// A one-time token and the new password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetBody {
    /// The token that an administrator handed over.
    #[schema(value_type = String)]
    token: SecretString,
    /// The new password.
    #[schema(value_type = String, format = "password")]
    new_password: SecretString,
}

/// Set another password. All other sessions end at once; this one goes on with the tokens of the answer, and those it had are
/// void.
#[utoipa::path(
    tag = "people", security(("bearer" = [])), request_body = PasswordBody,
    responses((status = 200, description = "The password is set", body = TokenAnswer), SecretRefused, BadBody)
)]
#[post("/auth/password")]
pub async fn change_password(
    asked: Authenticated<Caller, Body<PasswordBody>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(caller, Body(body)) = asked;
    let (context, request_info) = (caller.context(), caller.request_info());
    let change = PasswordChange {
        user_id: caller.checked.user_id,
        session_id: caller.checked.session_id,
        current: body.current_password,
        new: body.new_password,
        context,
        client_info: request_info.client_info,
        request_id: request_info.request_id,
    };
    let issued = app.users.change_password(change).await?;
    Ok(HttpResponse::Ok().json(TokenAnswer::new(&issued, None, app.config.tokens.legacy_claims)))
}

/// Set a new password with a one-time token. All sessions end; nobody is logged in.
#[utoipa::path(
    tag = "people", request_body = ResetBody,
    responses((status = 204, description = "The password is set"), SecretRefused, BadBody)
)]
#[post("/auth/reset")]
pub async fn reset_password(
    app: web::Data<App>,
    request_info: RequestInfo,
    body: Anonymous<Body<ResetBody>>,
) -> Result<HttpResponse, ApiError> {
    let Anonymous(Body(body)) = body;
    let context = request_info.context(Actor::system("reset"));
    let reset = app.users.reset_password(body.token.expose_secret(), &body.new_password, context).await;
    reset.map_err(|error| match error {
        OneTimeTokenError::User(UserError::Unacceptable(reason)) => ApiError::invalid("/new_password", reason),
        other => other.into(),
    })?;
    Ok(HttpResponse::NoContent().finish())
}
