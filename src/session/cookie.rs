//! Sessions that a cookie continues: those of browsers on Vigie's own pages. They are rows in `sessions` like all others, judged
//! by the same rule; only the credential is another one.

use std::net::IpAddr;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use zeroize::Zeroizing;

use super::Sessions;
use super::check::{CheckError, CheckedCredential, CheckedFor};
use super::start::{LoginError, Started};
use crate::authentication::known_device::DeviceToken;
use crate::authentication::password::Credentials;
use crate::coherence::live::Named;
use crate::key::Key;
use crate::model::audit::Reason;
use crate::model::secret::SecretKind;
use crate::model::session::{Session, SessionCredential};
use crate::model::user::Role;
use crate::token::session_cookie::SessionCookie;

/// A login on the login page that succeeded.
#[derive(Debug, Clone)]
pub struct CookieLogin {
    /// What the browser holds from now on.
    pub cookie: SessionCookie,
    /// When and from where the user logged in before.
    pub previous_login: Option<(DateTime<Utc>, IpAddr)>,
    /// Makes the device known at the next login.
    pub device: DeviceToken,
    /// What the user's role is now.
    pub role: Role,
    /// Whether somebody else chose the password: nothing is open before it is changed.
    pub must_change_password: bool,
}

/// A cookie that is ours. Whether its session lives is not known by that.
#[derive(Debug, Clone)]
pub struct GenuineCookie(SessionCookie);

impl Deref for GenuineCookie {
    type Target = SessionCookie;

    fn deref(&self) -> &SessionCookie {
        &self.0
    }
}

/// The key that session cookies are made with, of the one that refresh tokens are derived with: both are void together.
#[must_use]
pub fn cookie_key(refresh_key: &Key) -> Key {
    Key::from_bytes(refresh_key.digest(b"session cookie"))
}

impl Sessions {
    /// Logs in with name and password, in a browser.
    pub async fn log_in_by_cookie(&self, credentials: Credentials) -> Result<CookieLogin, LoginError> {
        let authenticated = self.authenticate(credentials).await?;
        let Started { session, user, previous_login, device } =
            self.start_session(authenticated, None, SessionCredential::Cookie).await?;
        let must_change_password = user.must_change_password_since.is_some();
        let (cookie, role) = (self.cookie_of(&session), user.role);
        Ok(CookieLogin { cookie, previous_login, device, role, must_change_password })
    }

    /// The cookie that continues a session from now on.
    #[must_use]
    pub fn cookie_of(&self, session: &Session) -> SessionCookie {
        let (kind, key) = (SecretKind::SessionCookie, &self.inner.cookie_key);
        SessionCookie::derive(key, kind, session.id, session.user_id, session.refresh.generation)
    }

    /// The cookie of the same session and generation for sites behind a proxy.
    #[must_use]
    pub fn gate_cookie_of(&self, cookie: &SessionCookie) -> SessionCookie {
        let SessionCookie { session_id, user_id, generation, .. } = *cookie;
        SessionCookie::derive(&self.inner.cookie_key, SecretKind::GateCookie, session_id, user_id, generation)
    }

    /// What a form of this session's pages must hold: nobody else can make it. It is of the session that the cookie names, whether
    /// or not the cookie is genuine.
    #[must_use]
    pub fn form_token(&self, cookie: &str) -> String {
        let session_id = SessionCookie::parse(SecretKind::SessionCookie, cookie).map(|cookie| cookie.session_id);
        let named = session_id.map(|id| *id.0.as_bytes()).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(self.inner.cookie_key.digest(&[b"form".as_slice(), &named].concat()))
    }

    /// What the form of a one-time link's page must hold: nobody else can make it, and it says nothing of the link's token.
    #[must_use]
    pub fn link_token(&self, one_time_token: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.inner.cookie_key.digest(&[b"link".as_slice(), one_time_token.as_bytes()].concat()))
    }

    /// Encrypts what a browser is to keep for a while: nobody reads it there, or makes another.
    #[must_use]
    pub fn seal_for_browser(&self, context: &str, plain: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.browser_key().encrypt(context, plain))
    }

    /// Reads what [`Sessions::seal_for_browser`] has written for the same `context`.
    #[must_use]
    pub fn open_from_browser(&self, context: &str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        self.browser_key().decrypt(context, &bytes).ok()
    }

    fn browser_key(&self) -> Key {
        Key::from_bytes(self.inner.cookie_key.digest(b"kept by browsers"))
    }

    /// Checks a cookie of this kind that came from `ip`, and notes that its session was used.
    pub async fn check_cookie(
        &self,
        kind: SecretKind,
        cookie: &str,
        ip: IpAddr,
    ) -> Result<CheckedCredential, CheckError> {
        match self.genuine_cookie(kind, cookie) {
            Ok(cookie) => self.check_genuine_cookie(&cookie, ip).await,
            Err(error) => self.count(Err(error)),
        }
    }

    /// The same of one that is known to be ours.
    pub async fn check_genuine_cookie(
        &self,
        cookie: &GenuineCookie,
        ip: IpAddr,
    ) -> Result<CheckedCredential, CheckError> {
        let result = self.decide_on_cookie(cookie, CheckedFor::Holder(ip)).await;
        self.count(result)
    }

    async fn decide_on_cookie(&self, cookie: &GenuineCookie, by: CheckedFor) -> Result<CheckedCredential, CheckError> {
        let named = Named { session_id: cookie.session_id, subject: cookie.user_id, generation: cookie.generation };
        let now = self.now();
        // Before anything is looked up: a lease renewed in between would hide that what was found is old.
        let presented = if self.coherence().is_live() {
            self.named_in_memory(named, None, now).await?
        } else {
            self.named_in_store(named).await?
        };
        self.decide_on(presented, by, now).await
    }

    /// A cookie that is ours; whether its session lives is not known here.
    pub fn genuine_cookie(&self, kind: SecretKind, text: &str) -> Result<GenuineCookie, CheckError> {
        let cookie = SessionCookie::parse(kind, text).map_err(|_| CheckError::Invalid(Reason::Malformed))?;
        if !cookie.is_genuine(&self.inner.cookie_key) {
            return Err(CheckError::Invalid(Reason::Signature));
        }
        Ok(GenuineCookie(cookie))
    }
}
