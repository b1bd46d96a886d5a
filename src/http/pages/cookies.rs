//! The cookies of pages: for this host alone, closed to scripts, and sent by our own pages only (WEB-01); but for that of the gate.
//!
//! Over https their names begin with `__Host-`, which no other host can set. Over plain http, which is for one machine, browsers
//! keep no such cookie, so there the prefix is left out.

use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::{COOKIE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use url::Url;

use crate::app::App;
use crate::authentication::known_device::KNOWN_FOR;
use crate::http::error::ApiError;
use crate::token::session_cookie::SessionCookie;

/// How deep below a site's root cookies of others are taken away. Each part of a path costs two headers.
const TOSSED_DEPTH: usize = 8;
/// How long a form waits for a login.
pub(super) const FORM_KEPT_FOR: Duration = Duration::hours(1);

/// The names and values of a request's cookies, as they stand.
fn pairs(request: &HttpRequest) -> impl Iterator<Item = &[u8]> {
    let headers = request.headers().get_all(COOKIE);
    headers.flat_map(|header| header.as_bytes().split(|byte| *byte == b';')).map(<[u8]>::trim_ascii)
}

/// Adds cookies to an answer.
pub(super) fn add(response: &mut HttpResponse, cookies: &[Cookie<'_>]) -> Result<(), ApiError> {
    cookies.iter().try_for_each(|cookie| response.add_cookie(cookie).map_err(|_| ApiError::Unavailable))
}

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum CookieUse {
    /// The session.
    Session,
    /// Makes the device known at the next login.
    Device,
    /// The language that the reader chose.
    Language,
    /// The time zone that the reader chose.
    TimeZone,
    /// The one-time token of a link, once its address is cleaned.
    OneTimeToken,
    /// A form that is shown again after a login.
    HalfFilledForm,
    /// The session at sites behind a proxy: it is for a whole domain, and only good there.
    Gate,
}

impl CookieUse {
    const ALL: [Self; 7] = [
        Self::Session,
        Self::Device,
        Self::Language,
        Self::TimeZone,
        Self::OneTimeToken,
        Self::HalfFilledForm,
        Self::Gate,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Session => "vigie",
            Self::Device => "vigie-device",
            Self::Language => "vigie-language",
            Self::TimeZone => "vigie-zone",
            Self::OneTimeToken => "vigie-link",
            Self::HalfFilledForm => "vigie-form",
            Self::Gate => "vigie-gate",
        }
    }

    /// How long a browser keeps it; `None`: until it is closed. How long a session lives is decided here, not there.
    const fn kept_for(self) -> Option<Duration> {
        match self {
            Self::Session | Self::OneTimeToken | Self::Gate => None,
            Self::HalfFilledForm => Some(FORM_KEPT_FOR),
            Self::Device => Some(Duration::days(KNOWN_FOR.num_days())),
            Self::Language | Self::TimeZone => Some(Duration::days(365)),
        }
    }
}

/// Reads and writes them.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Cookies<'a> {
    is_https: bool,
    /// Of the gate's cookie; empty where there is no gate.
    domain: &'a str,
}

impl<'a> Cookies<'a> {
    /// As people reach this server.
    pub fn of(app: &'a App) -> Self {
        Self { is_https: app.config.server.public_url.scheme() == "https", domain: &app.config.gate.cookie_domain }
    }

    fn name(self, of: CookieUse) -> String {
        let prefix = match of {
            _ if !self.is_https => "",
            // A cookie for a domain cannot have the other prefix.
            CookieUse::Gate => "__Secure-",
            _ => "__Host-",
        };
        format!("{prefix}{}", of.name())
    }

    /// The cookie of a request; `None` also where there are two of it: one of them is somebody else's.
    pub fn read(self, request: &HttpRequest, of: CookieUse) -> Option<String> {
        let mut given = self.read_all(request, of).into_iter();
        let first = given.next()?;
        given.next().is_none().then_some(first)
    }

    /// All cookies of this name: a sibling host can set another one for the domain.
    pub fn read_all(self, request: &HttpRequest, of: CookieUse) -> Vec<String> {
        let name = self.name(of);
        // As they stand: a name that is only written like ours when it is decoded can be set by another host. By bytes: others may
        // have written theirs beside it in any way.
        let named = pairs(request).filter_map(|pair| {
            let (own, value) = pair.split_at_checked(pair.iter().position(|byte| *byte == b'=')?)?;
            (own.trim_ascii() == name.as_bytes()).then(|| value[1..].trim_ascii())
        });
        named.filter_map(|value| str::from_utf8(value).ok()).map(str::to_owned).collect()
    }

    /// The cookie that holds a value from now on.
    pub fn set(self, of: CookieUse, value: String) -> Cookie<'static> {
        let mut cookie = Cookie::build(self.name(of), value)
            .path("/")
            .secure(self.is_https)
            .http_only(true)
            .same_site(SameSite::Strict)
            .finish();
        cookie.set_max_age(of.kept_for());
        if of == CookieUse::Gate {
            cookie.set_domain(self.domain.to_owned());
            // A link to a site from elsewhere opens it.
            cookie.set_same_site(SameSite::Lax);
        }
        cookie
    }

    /// What a browser holds of a session from now on: the session's cookie, and where there is a gate, that for the sites.
    pub fn of_session(self, app: &App, cookie: &SessionCookie) -> Vec<Cookie<'static>> {
        let mut cookies = vec![self.set(CookieUse::Session, cookie.reveal())];
        if !self.domain.is_empty() {
            cookies.push(self.set(CookieUse::Gate, app.sessions.gate_cookie_of(cookie).reveal()));
        }
        cookies
    }

    /// What takes away the gate's cookies that another host has set for the domain and for a part of the path to this page: a browser
    /// shows them before ours. One for every path, ours replaces.
    pub fn without_tossed(self, page: &Url) -> Vec<Cookie<'static>> {
        let path = page.path();
        let ends = path.match_indices('/').map(|(place, _)| place).chain([path.len()]);
        // In the attribute of a cookie, a semicolon would end the path.
        let parts = ends.map(|end| &path[..end]).filter(|part| !part.is_empty() && !part.contains(';'));
        let parts = parts.take(TOSSED_DEPTH).flat_map(|part| [part.to_owned(), format!("{part}/")]);
        let removed = parts.map(|part| {
            let mut cookie = self.remove(CookieUse::Gate);
            cookie.set_path(part);
            cookie
        });
        removed.collect()
    }

    /// The cookies of a request but for ours, byte by byte, as one header has them; empty where there are none.
    pub fn others(self, request: &HttpRequest) -> HeaderValue {
        let others: Vec<&[u8]> = pairs(request).filter(|pair| !pair.is_empty() && !self.is_own(pair)).collect();
        // It was made of values of headers.
        HeaderValue::from_bytes(&others.join(&b"; "[..])).unwrap_or(HeaderValue::from_static(""))
    }

    /// Whether a name and value are of a cookie of ours, with whichever prefix.
    fn is_own(self, pair: &[u8]) -> bool {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        let bare = if self.is_https {
            name.strip_prefix(b"__Host-").or_else(|| name.strip_prefix(b"__Secure-"))
        } else {
            Some(name)
        };
        bare.is_some_and(|bare| CookieUse::ALL.iter().any(|of| of.name().as_bytes() == bare))
    }

    /// What takes both away.
    pub fn without_session(self) -> Vec<Cookie<'static>> {
        let mut cookies = vec![self.remove(CookieUse::Session)];
        if !self.domain.is_empty() {
            cookies.push(self.remove(CookieUse::Gate));
        }
        cookies
    }

    /// The cookie that takes it away.
    pub fn remove(self, of: CookieUse) -> Cookie<'static> {
        let mut cookie = self.set(of, String::new());
        cookie.make_removal();
        cookie
    }
}
