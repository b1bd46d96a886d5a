//! The public keys with which anybody verifies tokens (RFC 7517, JWT-09).

use actix_web::{HttpRequest, HttpResponse, get, web};

use super::document;
use crate::app::App;
use crate::http::error::ApiError;
use crate::http::problems::Unanswered;

/// Seconds for which the set may be kept. A new key signs at once, so this bounds for how long a verifier that never looks
/// again on an unknown `kid` refuses new tokens; and it bounds for how long one that looks at signatures alone goes on
/// accepting a key that was revoked. A retired key stays in the set for more than an hour longer.
const MAX_AGE: u32 = 60;

/// The public keys whose tokens are accepted now, as a JWK set. Empty where tokens are signed with a shared secret.
///
/// A token of a key that is not in the set any more is not accepted. A token of a key that is in it may still be refused: its
/// session may be over. `kid` is the RFC 7638 thumbprint. A verifier that finds no key for a `kid` should ask again.
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
    Ok(document(&request, "application/jwk-set+json", MAX_AGE, body))
}
