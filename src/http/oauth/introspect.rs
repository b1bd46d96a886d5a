//! Is this token good (RFC 7662)? On request the answer is signed (RFC 9701).

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, post, web};
use utoipa::ToSchema;

use super::client_authentication::{AuthenticatedForm, SIGNED_ANSWER};
use super::error::{ClientRefused, OAuthError};
use crate::app::App;
use crate::model::client::Scope;
use crate::view::IntrospectionObject;

/// What a client asks about, or revokes, and how it authenticates where it does not by HTTP Basic.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes the form, which is read by its parameters")]
pub struct TokenForm {
    /// An access token or a refresh token.
    token: String,
    /// `access_token` or `refresh_token`: only a hint.
    token_type_hint: Option<String>,
    /// The client.
    client_id: Option<String>,
    /// Its secret.
    client_secret: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    client_assertion_type: Option<String>,
    /// What it signed (RFC 7523), instead of its secret.
    client_assertion: Option<String>,
}

/// Is a token good? An access token, or a refresh token of the client's own sessions. Every other is `{"active":false}`. With
/// `Accept: application/token-introspection+jwt` the answer is a token for this client (RFC 9701).
#[utoipa::path(
    tag = "applications", security(("client" = [])),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Whether it is good", content(
            (IntrospectionObject = "application/json"), (String = "application/token-introspection+jwt")
        )),
        ClientRefused
    )
)]
#[post("/oauth/introspect")]
pub async fn introspect(asked: AuthenticatedForm, app: web::Data<App>) -> Result<HttpResponse, OAuthError> {
    asked.require(Scope::Introspect)?;
    let answer = app.sessions.introspect(asked.token()?, &asked.client).await?;
    // What is signed with a shared secret the client could not verify; it asked for what there is not (RFC 9110 §12.1).
    if !asked.wants_signed_answer() || !app.config.tokens.algorithm.has_public_keys() {
        return Ok(HttpResponse::Ok().json(answer));
    }
    let signed = app.sessions.sign_introspection(&answer, &asked.client.id).await?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, SIGNED_ANSWER)).body(signed))
}
