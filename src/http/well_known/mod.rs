//! What anybody may read to use the tokens: the public keys, and what this server is and where. Documents that may be kept
//! for a while, and asked for again at the cost of a few bytes.

pub mod keys;
pub mod metadata;

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETag, EntityTag, IfNoneMatch};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::key::sha256;

/// A document, or that it is still the one the client has. For `max_age` nobody need ask again; afterwards
/// nobody may use it without asking.
fn document(request: &HttpRequest, media_type: &'static str, max_age: Duration, body: Vec<u8>) -> HttpResponse {
    let tag = EntityTag::new_strong(URL_SAFE_NO_PAD.encode(&sha256(&[&body])[..16]));
    let is_known = is_known(request, &tag);
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header(ETag(tag));
    answer.insert_header((CACHE_CONTROL, format!("public, max-age={}, must-revalidate", max_age.as_secs())));
    if is_known { answer.finish() } else { answer.insert_header((CONTENT_TYPE, media_type)).body(body) }
}

/// Whether the client says that it has this version (RFC 9110 §13.1.2).
fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match request.get_header::<IfNoneMatch>() {
        Some(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Some(IfNoneMatch::Any) => true,
        None => false,
    }
}
