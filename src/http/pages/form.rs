//! Forms that no other site can send (WEB-02): what browsers say of a form's origin must be ours, and where a session's cookie
//! comes with it, so must its token, which only our own pages hold.

use actix_web::dev::Payload;
use actix_web::http::header::{HOST, HeaderMap, ORIGIN};
use actix_web::{HttpRequest, web};
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq as _;
use url::Url;

use super::cookies::{CookieUse, Cookies};
use super::half_filled::{Refill, note};
use crate::app::App;
use crate::http::authenticate::{app_of, named_session, refused_request};
use crate::http::error::ApiError;
use crate::http::input::{FormPairs, Input, parse_query};
use crate::model::audit::Reason;
use crate::model::secret::SecretKind;

/// The member that holds the token of a session's forms.
pub(super) const TOKEN: &str = "form_token";
/// The member that holds the token of a link's form.
const LINK: &str = "link_token";

/// A form of one of our pages, which acts for whoever is logged in.
#[derive(Debug)]
pub struct PageForm<T>(pub T);

/// A form of the page of a one-time link, which acts for whom the link was made: for no other link that was followed meanwhile.
#[derive(Debug)]
pub struct LinkForm<T>(pub T);

/// A form of one of our pages that acts for nobody, such as that of the login page: there a session's token may be of an earlier
/// session, or be missing where the browser kept its cookie back.
#[derive(Debug)]
pub struct OpenForm<T>(pub T);

impl<T: DeserializeOwned + Refill + 'static> Input for PageForm<T> {
    async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, ApiError> {
        let members = members(request, payload, of_session).await?;
        note::<T>(request, &members);
        typed(&members).map(Self)
    }

    async fn refused(request: &HttpRequest, payload: Payload, refused: &ApiError) {
        // Of a cookie that was good once: nobody else is listened to.
        let is_of_somebody = matches!(refused, ApiError::SessionEnded | ApiError::TokenExpired);
        if is_of_somebody
            && T::MEMBERS.is_some()
            && let Ok(members) = members(request, payload, of_session).await
        {
            note::<T>(request, &members);
        }
    }
}

impl<T: DeserializeOwned + 'static> Input for OpenForm<T> {
    async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, ApiError> {
        typed(&members(request, payload, |_, _| None).await?).map(Self)
    }
}

impl<T: DeserializeOwned + 'static> Input for LinkForm<T> {
    async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, ApiError> {
        typed(&members(request, payload, of_link).await?).map(Self)
    }
}

/// A member that a form must have, and what it must hold; `None` where it needs none.
type Expected = Option<(&'static str, String)>;

fn of_session(app: &web::Data<App>, request: &HttpRequest) -> Expected {
    form_token(app, request).map(|token| (TOKEN, token))
}

fn of_link(app: &web::Data<App>, request: &HttpRequest) -> Expected {
    let cookie = Cookies::of(app).read(request, CookieUse::OneTimeToken)?;
    Some((LINK, link_token(app, &cookie)))
}

/// The members of a form of ours, without its tokens.
async fn members(
    request: &HttpRequest,
    payload: Payload,
    expected: fn(&web::Data<App>, &HttpRequest) -> Expected,
) -> Result<Vec<(String, String)>, ApiError> {
    let app = app_of(request)?;
    if !is_ours(request.headers(), &app.config.server.public_url) {
        return Err(refused(&app, request, Reason::OtherOrigin));
    }
    let FormPairs(members) = FormPairs::read(request, payload).await?;
    let (tokens, members): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(name, _)| [TOKEN, LINK].contains(&name.as_str()));
    if let Some((member, expected)) = expected(&app, request)
        && !tokens.iter().any(|(name, token)| name == member && token.as_bytes().ct_eq(expected.as_bytes()).into())
    {
        return Err(refused(&app, request, Reason::FormToken));
    }
    Ok(members)
}

fn typed<T: DeserializeOwned>(members: &[(String, String)]) -> Result<T, ApiError> {
    parse_query(&url::form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish())
}

/// Notes for the record that a form was refused; the answer to it.
fn refused(app: &App, request: &HttpRequest, reason: Reason) -> ApiError {
    let cookie = Cookies::of(app).read(request, CookieUse::Session);
    let genuine = cookie.and_then(|cookie| app.sessions.genuine_cookie(SecretKind::SessionCookie, &cookie).ok());
    app.refusals.note_form(genuine.as_ref().map(named_session), reason, &refused_request(request));
    ApiError::NotAllowed
}

/// The token that a form must hold which comes with the session's cookie of this request.
pub(super) fn form_token(app: &web::Data<App>, request: &HttpRequest) -> Option<String> {
    let cookie = Cookies::of(app).read(request, CookieUse::Session)?;
    Some(app.sessions.form_token(&cookie))
}

/// The token that the form of a one-time link must hold: it tells links of one browser apart, and says nothing of their secrets.
pub(super) fn link_token(app: &App, one_time_token: &str) -> String {
    app.sessions.link_token(one_time_token)
}

/// Whether a browser says that a form is from one of our pages (Fetch Metadata); where it does not say that, whether the origin it
/// names is the one it was sent to.
fn is_ours(headers: &HeaderMap, public_url: &Url) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text(ORIGIN.as_str()).and_then(|origin| Url::parse(origin).ok()) else { return false };
    if origin.origin() == public_url.origin() {
        return true;
    }
    let host = text(HOST.as_str()).and_then(|host| Url::parse(&format!("{}://{host}", origin.scheme())).ok());
    host.is_some_and(|host| host.origin() == origin.origin())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn web_02_a_form_of_another_site_is_not_ours() {
        let public_url = Url::parse("https://vigie.example.org").unwrap();
        let ours = |headers: &[(&'static str, &'static str)]| {
            let pairs =
                headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            is_ours(&pairs.collect(), &public_url)
        };
        assert!(ours(&[("sec-fetch-site", "same-origin")]));
        assert!(ours(&[("origin", "https://vigie.example.org")]));
        assert!(ours(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")]));
        for other in [
            &[][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://vigie.example.org")],
            &[("origin", "null")],
            &[("origin", "https://vigie.example.org.evil.example")],
            &[("origin", "http://vigie.example.org")],
            &[("origin", "https://evil.example"), ("host", "vigie.example.org")],
            &[("origin", "http://127.0.0.1:8081"), ("host", "127.0.0.1:8080")],
        ] {
            assert!(!ours(other), "{other:?}");
        }
    }
}
