//! What people, and the applications that act for them, may ask: log in and out, refresh, see and end their own sessions,
//! change a password, and the forward-auth check.

pub mod export;
pub mod login;
pub mod own;
pub mod password;
pub mod unrecognised_login;
pub mod verify;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::session::issue::Issued;
use crate::session::start::LoggedIn;
use crate::view::{SessionObject, TimeText, UserSummary};

/// A pair of tokens, and whose they are.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenAnswer<'a> {
    /// The signed access token.
    access_token: &'a str,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token is past its time.
    expires_in: i64,
    /// Continues the session, once.
    refresh_token: String,
    /// Seconds until the session ends unless it is used.
    refresh_expires_in: i64,
    /// The session.
    session: SessionObject<'a>,
    /// The user, as of now.
    user: UserSummary<'a>,
    /// The login before this one.
    previous_login: Option<PreviousLogin>,
    /// To show at the next login: it makes the device known. After a login, not after a refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<String>,
    /// The access token once more, for applications that expect it here (`[tokens] legacy_claims`).
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

/// When and from where the user logged in before.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviousLogin {
    /// When the user logged in before.
    #[schema(value_type = String, format = "date-time")]
    at: TimeText,
    /// The client's address at that login.
    ip: String,
}

impl<'a> TokenAnswer<'a> {
    fn new(issued: &'a Issued, previous_login: Option<PreviousLogin>, legacy: bool) -> Self {
        let Issued { access_token, refresh_token, session, username, role, at } = issued;
        let seconds = |until: DateTime<Utc>| TimeDelta::num_seconds(&(until - *at)).max(0);
        Self {
            token: legacy.then_some(access_token.as_str()),
            expires_in: seconds(session.token.expires_at),
            refresh_expires_in: seconds(session.idle_expires_at),
            user: UserSummary::new(session.user_id, username, role),
            session: SessionObject::new(session, *at),
            refresh_token: refresh_token.reveal(),
            token_type: "Bearer",
            access_token,
            previous_login,
            device_token: None,
        }
    }

    fn logged_in(logged_in: &'a LoggedIn, legacy: bool) -> Self {
        let previous =
            logged_in.previous_login.map(|(at, ip)| PreviousLogin { at: crate::view::time(at), ip: ip.to_string() });
        let answer = Self::new(&logged_in.issued, previous, legacy);
        Self { device_token: Some(logged_in.device.reveal()), ..answer }
    }
}
