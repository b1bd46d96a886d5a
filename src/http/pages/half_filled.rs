//! A form that was sent when its session was over: it is shown again after the next login, to the same user alone, and is sent again by
//! nobody but that user. Until then it waits in the browser, encrypted; it is never in the database.
//!
//! Which members are kept, each form says itself ([`Refill`]): never a secret.

use actix_web::HttpMessage as _;
use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use actix_web::http::Method;
use serde::{Deserialize, Serialize};

use super::cookies::{CookieUse, Cookies, FORM_KEPT_FOR};
use super::current_page::current_page;
use crate::app::App;
use crate::model::id::UserId;
use crate::model::secret::SecretKind;

/// Longest that its members may be together, in bytes: a cookie has 4096 in all. What is longer is not kept.
const LONGEST: usize = 1024;
/// What is encrypted cannot be taken for anything else that is.
const CONTEXT: &str = "half-filled form";

/// What a form may be shown again with.
pub(super) trait Refill {
    /// Members that are kept over a login; `None` where the form is not worth a word after it.
    const MEMBERS: Option<&'static [&'static str]>;
}

/// A form of this request that was read, whether or not it was carried out: what may be kept of it.
#[derive(Debug)]
struct Sent(Vec<(String, String)>);

/// The cookie has done its work.
#[derive(Debug)]
struct Over;

/// A form that waits for a login.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HalfFilled {
    user_id: UserId,
    /// The page on which the form stands.
    page: String,
    /// Until when it is shown, in seconds since 1970.
    until: i64,
    members: Vec<(String, String)>,
}

/// Notes what may be kept of a form, before it is known whether its session lives.
pub(super) fn note<T: Refill>(request: &HttpRequest, members: &[(String, String)]) {
    let Some(kept) = T::MEMBERS else { return };
    let members = members.iter().filter(|(name, _)| kept.contains(&name.as_str())).cloned().collect();
    request.extensions_mut().insert(Sent(members));
}

/// The cookie in which the form of a request waits that was not carried out; `None` where there is none, or nobody knows whose it is.
pub(super) fn keep(app: &App, request: &HttpRequest) -> Option<Cookie<'static>> {
    let Sent(members) = request.extensions_mut().remove::<Sent>()?;
    let text = Cookies::of(app).read(request, CookieUse::Session)?;
    let session = app.sessions.genuine_cookie(SecretKind::SessionCookie, &text).ok()?;
    if members.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > LONGEST {
        return None;
    }
    let until = app.clock.now().timestamp() + FORM_KEPT_FOR.whole_seconds();
    let form = HalfFilled { user_id: session.user_id, page: current_page(request).to_owned(), until, members };
    let sealed = app.sessions.seal_for_browser(CONTEXT, &serde_json::to_vec(&form).ok()?);
    Some(Cookies::of(app).set(CookieUse::HalfFilledForm, sealed))
}

impl HalfFilled {
    /// The form that waits for this user on the page of the request. It is shown once; what waits for somebody else, or for too long,
    /// is thrown away.
    pub fn of(app: &App, request: &HttpRequest, user_id: UserId) -> Option<Self> {
        let sealed = Cookies::of(app).read(request, CookieUse::HalfFilledForm)?;
        let opened = app.sessions.open_from_browser(CONTEXT, &sealed);
        let form = opened.and_then(|plain| serde_json::from_slice::<Self>(&plain).ok());
        let form = form.filter(|form| form.user_id == user_id && app.clock.now().timestamp() < form.until);
        let waits_elsewhere = form.as_ref().is_some_and(|form| form.page != request.path());
        if waits_elsewhere || *request.method() != Method::GET {
            return None;
        }
        request.extensions_mut().insert(Over);
        form
    }

    /// What was in a member.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, value)| value.as_str())
    }

    /// The name of the text that says why the form is shown again.
    pub const fn text(&self) -> &'static str {
        if self.members.is_empty() { "form-not-sent" } else { "form-again" }
    }
}

/// The cookie that throws a form away which was shown.
pub(super) fn thrown_away(app: &App, request: &HttpRequest) -> Option<Cookie<'static>> {
    request.extensions_mut().remove::<Over>().map(|Over| Cookies::of(app).remove(CookieUse::HalfFilledForm))
}
