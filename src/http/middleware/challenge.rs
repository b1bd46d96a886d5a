//! Every challenge for a token names the document that describes this resource (RFC 9728 §5.1): whoever is refused finds out from it
//! whose tokens are taken.

use actix_web::http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

/// Completes the challenge of an answer, where it asks for a token.
pub(super) fn complete(headers: &mut HeaderMap, resource_metadata: &str) {
    let Some(challenge) = headers.get(WWW_AUTHENTICATE).and_then(|challenge| challenge.to_str().ok()) else { return };
    if !challenge.starts_with("Bearer") {
        return;
    }
    // A scheme alone has no parameters yet.
    let separator = if challenge.contains(' ') { "," } else { "" };
    let completed = format!("{challenge}{separator} resource_metadata=\"{resource_metadata}\"");
    if let Ok(completed) = HeaderValue::from_str(&completed) {
        headers.insert(WWW_AUTHENTICATE, completed);
    }
}
