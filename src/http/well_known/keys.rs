//! The public keys with which anybody verifies tokens (RFC 7517, JWT-09).

use actix_web::{HttpRequest, HttpResponse, get, web};

use super::document;
use crate::app::App;
use crate::http::error::ApiError;
use crate::http::problems::Unanswered;
use crate::signing_keys::PUBLISHED_BEFORE;

/// The public keys whose tokens are accepted now, as a JWK set. Empty where tokens are signed with a shared secret.
///
/// A token of a key that is not in the set any more is not accepted. A token of a key that is in it may still be refused: its
/// session may be over. `kid` is the RFC 7638 thumbprint. The set may be kept for a minute, and a new key is in it for a minute before
/// it signs; where the one before it was revoked, it signs at once, so a verifier that finds no key for a `kid` should ask again.
#[utoipa::path(
    tag = "applications",
    responses(
        (status = 200, description = "The JWK set (RFC 7517)", content_type = "application/jwk-set+json", body = Object),
        (status = 304, description = "It is still the one named in `If-None-Match`"),
        Unanswered
    )
)]
#[get("/.well-known/jwks.json")]
pub async fn jwks(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let keys = app.sessions.accepted_keys().await?;
    let body = keys.public_jwk_set().to_string().into_bytes();
    Ok(document(&request, "application/jwk-set+json", PUBLISHED_BEFORE, body))
}
