//! Revoke a token (RFC 7009): its session ends.

use actix_web::{HttpResponse, post, web};

use super::client_authentication::AuthenticatedForm;
use super::error::{ClientRefused, OAuthError};
use super::introspect::TokenForm;
use crate::app::App;
use crate::model::client::Scope;

/// End the session of a token, an access token or a refresh token, on every node. Succeeds also where there is nothing to end.
#[utoipa::path(
    tag = "applications", security(("client" = [])),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The token is good for nothing"), ClientRefused)
)]
#[post("/oauth/revoke")]
pub async fn revoke(asked: AuthenticatedForm, app: web::Data<App>) -> Result<HttpResponse, OAuthError> {
    asked.require(Scope::Revoke)?;
    app.sessions.revoke(asked.token()?, &asked.client, &asked.context()).await?;
    Ok(HttpResponse::Ok().finish())
}
