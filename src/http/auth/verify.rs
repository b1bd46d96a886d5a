//! Forward-auth: a reverse proxy asks whether a request may pass, and hands the answer's headers on.
//!
//! Proxies ask in ways of their own: some keep the method of the request, some append its path, some announce its body. None of
//! that belongs to the question, so all is answered alike, and no body is waited for.

use std::borrow::Cow;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, get, head};
use uuid::Uuid;

use crate::http::authenticate::Caller;
use crate::http::error::ApiError;
use crate::http::problems::{CallerRefused, PasswordChangeFirst};

const USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");
const USERNAME: HeaderName = HeaderName::from_static("x-auth-username");
const ROLE: HeaderName = HeaderName::from_static("x-auth-role");
const SESSION_ID: HeaderName = HeaderName::from_static("x-auth-session-id");

/// May a request with this token pass? An empty answer; who it is stands in its headers.
///
/// Every method is answered alike.
#[utoipa::path(
    tag = "applications", security(("bearer" = [])),
    responses(
        (status = 200, description = "It may pass", headers(
            ("X-Auth-User-Id" = String, description = "The user's id"),
            ("X-Auth-Username" = String, description = "The user's present name, percent-encoded where it is not ASCII"),
            ("X-Auth-Role" = String, description = "The user's present role, percent-encoded where it is not ASCII"),
            ("X-Auth-Session-Id" = String, description = "The session's id"),
        )),
        CallerRefused, PasswordChangeFirst
    )
)]
#[get("/auth/verify")]
pub async fn verify(caller: Caller) -> HttpResponse {
    answer(&caller)
}

/// The same, without a body by nature.
#[utoipa::path(
    tag = "applications", security(("bearer" = [])),
    responses((status = 200, description = "It may pass"), (status = 401, description = "It may not"), (status = 403, description = "It may not before the password is changed"), (status = 503, description = "Nothing was decided"))
)]
#[head("/auth/verify")]
pub async fn verify_head(caller: Result<Caller, ApiError>) -> Result<HttpResponse, ApiError> {
    caller.map(|caller| answer(&caller))
}

/// The same where the path of the request is appended. Every method is answered alike.
#[utoipa::path(
    tag = "applications", security(("bearer" = [])),
    params(("path" = String, Path, description = "Anything: it is not looked at, and neither is a query")),
    responses((status = 200, description = "It may pass; the headers are those of `/auth/verify`"), CallerRefused, PasswordChangeFirst)
)]
#[get("/auth/verify/{path:.*}")]
pub async fn verify_below(caller: Caller) -> HttpResponse {
    answer(&caller)
}

/// The same by any method.
pub async fn verify_any(caller: Caller) -> HttpResponse {
    answer(&caller)
}

fn answer(caller: &Caller) -> HttpResponse {
    let checked = &caller.checked;
    let mut response = HttpResponse::Ok().finish();
    let (mut user_id, mut session_id) = (Uuid::encode_buffer(), Uuid::encode_buffer());
    let members = [
        (USER_ID, &*checked.user_id.0.hyphenated().encode_lower(&mut user_id)),
        (USERNAME, &*header_text(checked.user.username.as_str())),
        (ROLE, &*header_text(checked.user.role.as_str())),
        (SESSION_ID, &*checked.session_id.0.hyphenated().encode_lower(&mut session_id)),
    ];
    for (name, value) in members {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Names and roles may hold any letter, headers only ASCII: everything else, and `%` itself, is percent-encoded as UTF-8.
fn header_text(text: &str) -> Cow<'_, str> {
    use std::fmt::Write as _;
    let is_plain = |byte: u8| (0x21..0x7f).contains(&byte) && byte != b'%';
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_letters_fits_into_a_header() {
        assert_eq!(header_text("alice"), "alice");
        assert_eq!(header_text("Zoé 50%"), "Zo%C3%A9%2050%25");
    }
}
