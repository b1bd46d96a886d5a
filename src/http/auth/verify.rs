//! Forward-auth: a reverse proxy asks whether a request may pass, and hands the answer's headers on.
//!
//! Proxies ask in ways of their own: some keep the method of the request, some append its path, some announce its body. None of
//! that belongs to the question, so all is answered alike, and no body is waited for.

use std::borrow::Cow;

use actix_web::http::header::{COOKIE, HeaderName, HeaderValue};
use actix_web::{HttpResponse, get, head};
use uuid::Uuid;

use crate::http::authenticate::Caller;
use crate::http::gate::Visitor;
use crate::http::problems::{CallerRefused, PasswordChangeFirst};

const USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");
const USERNAME: HeaderName = HeaderName::from_static("x-auth-username");
const ROLE: HeaderName = HeaderName::from_static("x-auth-role");
const SESSION_ID: HeaderName = HeaderName::from_static("x-auth-session-id");

/// May a request with this token pass? An empty answer; who it is stands in its headers.
///
/// Every method is answered alike. With `login`, which is believed from trusted proxies only, the cookie of the gate counts instead.
#[utoipa::path(
    tag = "applications", security(("bearer" = [])),
    params(("login" = Option<String>, Query, description = "How a page that needs a login is answered: `redirect` (302) or `location` (401 with `Location`)")),
    responses(
        (status = 302, description = "The page is opened by a login, at this address", headers(("Location" = String, description = "The login page"))),
        (status = 200, description = "It may pass", headers(
            ("X-Auth-User-Id" = String, description = "The user's id"),
            ("X-Auth-Username" = String, description = "The user's present name, percent-encoded where it is not ASCII"),
            ("X-Auth-Role" = String, description = "The user's present role, percent-encoded where it is not ASCII"),
            ("X-Auth-Session-Id" = String, description = "The session's id"),
            ("Cookie" = String, description = "With `login`: the cookies of the request but for Vigie's own. The application is to get these alone"),
        )),
        CallerRefused, PasswordChangeFirst
    )
)]
#[get("/auth/verify")]
pub async fn verify(visitor: Visitor) -> HttpResponse {
    answer(visitor)
}

/// The same, without a body by nature.
#[utoipa::path(
    tag = "applications", security(("bearer" = [])),
    responses((status = 200, description = "It may pass"), (status = 401, description = "It may not"), (status = 403, description = "It may not before the password is changed"), (status = 503, description = "Nothing was decided"))
)]
#[head("/auth/verify")]
pub async fn verify_head(visitor: Visitor) -> HttpResponse {
    answer(visitor)
}

/// The same where the path of the request is appended. Every method is answered alike.
#[utoipa::path(
    tag = "applications", security(("bearer" = [])),
    params(("path" = String, Path, description = "Anything: it is not looked at, and neither is a query")),
    responses((status = 200, description = "It may pass; the headers are those of `/auth/verify`"), CallerRefused, PasswordChangeFirst)
)]
#[get("/auth/verify/{path:.*}")]
pub async fn verify_below(caller: Caller) -> HttpResponse {
    answer(caller.into())
}

/// The same by any method.
pub async fn verify_any(visitor: Visitor) -> HttpResponse {
    answer(visitor)
}

/// The same by any method where the path of the request is appended.
pub async fn verify_any_below(caller: Caller) -> HttpResponse {
    answer(caller.into())
}

fn answer(visitor: Visitor) -> HttpResponse {
    let checked = &visitor.caller.checked;
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
    if let Some(other_cookies) = visitor.other_cookies {
        response.headers_mut().insert(COOKIE, other_cookies);
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
