//! The session object.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::audit::ActorObject;
use super::{TimeText, optional_time, time};
use crate::model::client::ClientId;
use crate::model::id::SessionId;
use crate::model::session::{End, Session};

/// One login and what follows from it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionObject<'a> {
    /// The claim `sid` of its tokens.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// Whose, with name and role at the time of login.
    pub user: SessionUser<'a>,
    /// `active` or `ended`.
    pub state: &'static str,
    /// When the user logged in.
    #[schema(value_type = String, format = "date-time")]
    pub started_at: TimeText,
    /// When it was last used.
    #[schema(value_type = String, format = "date-time")]
    pub last_seen_at: TimeText,
    /// When it ends in any case.
    #[schema(value_type = String, format = "date-time")]
    pub expires_at: TimeText,
    /// When it ends unless it is used before.
    #[schema(value_type = String, format = "date-time")]
    pub idle_expires_at: TimeText,
    /// When it ended.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub ended_at: Option<TimeText>,
    /// Why it ended, of a closed list.
    pub end_reason: Option<&'static str>,
    /// Who ended it.
    pub ended_by: Option<ActorObject>,
    /// What an administrator noted.
    pub note: Option<String>,
    /// Where the login came from.
    pub ip: Cow<'a, str>,
    /// Where it was last used from.
    pub last_ip: Cow<'a, str>,
    /// The raw user agent of the login.
    pub user_agent: Option<&'a str>,
    /// What that says of the device.
    pub device: DeviceObject<'a>,
    /// What the user or application called the device at login.
    pub device_name: Option<&'a str>,
    /// What the user calls the session since.
    pub name: Option<&'a str>,
    /// The application that authenticated at login: the session is its own.
    pub client_id: Option<&'a str>,
    /// The application that was only named at login.
    pub claimed_client_id: Option<&'a str>,
    /// How the user proved the identity (RFC 8176).
    pub amr: Vec<&'a str>,
    /// The access token issued last; `null` for a session of Vigie's own pages, which a cookie continues.
    pub token: Option<TokenObject>,
    /// Whether it is the session of this very request; only in one's own list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<bool>,
}

/// A user as at the time of a login.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionUser<'a> {
    /// Names the user for ever.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// The name at the time.
    pub username: &'a str,
    /// The role at the time.
    pub role: &'a str,
}

/// A device, as far as it is recognised.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeviceObject<'a> {
    /// Such as `Firefox`.
    pub browser: Option<&'a str>,
    /// Such as `Windows 10`.
    pub os: Option<&'a str>,
    /// Such as `pc` or `smartphone`.
    pub kind: Option<&'a str>,
}

/// The access token issued last; never its text.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenObject {
    /// Its claim `jti`.
    #[schema(value_type = String, format = "uuid")]
    pub jti: Uuid,
    /// When it was issued.
    #[schema(value_type = String, format = "date-time")]
    pub issued_at: TimeText,
    /// Until when it verifies.
    #[schema(value_type = String, format = "date-time")]
    pub expires_at: TimeText,
    /// How often the session was refreshed.
    pub refreshes: u32,
}

impl<'a> SessionObject<'a> {
    /// The session as it stands at `now`.
    #[must_use]
    pub fn new(session: &'a Session, now: DateTime<Utc>) -> Self {
        let end: Option<End> = session.end.clone().or_else(|| session.expired(now));
        Self {
            id: session.id.0,
            user: SessionUser {
                id: session.user_id.0,
                username: session.username.as_str(),
                role: session.role.as_str(),
            },
            state: session.state(now).as_str(),
            started_at: time(session.started_at),
            last_seen_at: time(session.last_seen_at),
            expires_at: time(session.expires_at),
            idle_expires_at: time(session.idle_expires_at),
            ended_at: optional_time(end.as_ref().map(|end| end.at)),
            end_reason: end.as_ref().map(|end| end.reason.as_str()),
            ended_by: end.as_ref().map(|end| ActorObject::from(&end.by)),
            note: end.and_then(|end| end.note),
            ip: session.client_info.ip.to_string().into(),
            last_ip: session.last_ip.to_string().into(),
            user_agent: session.client_info.user_agent.as_deref(),
            device: DeviceObject {
                browser: session.device.browser.as_deref(),
                os: session.device.os.as_deref(),
                kind: session.device.kind.as_deref(),
            },
            device_name: session.device_name.as_deref(),
            name: session.name.as_deref(),
            client_id: session.client.authenticated().map(ClientId::as_str),
            claimed_client_id: session.client.claimed().map(ClientId::as_str),
            amr: session.methods.iter().map(String::as_str).collect(),
            token: session.issued_token().map(|token| TokenObject {
                jti: token.id.0,
                issued_at: time(token.issued_at),
                expires_at: time(token.expires_at),
                refreshes: session.refresh.generation,
            }),
            current: None,
        }
    }

    /// The same, saying whether it is the session of this request.
    #[must_use]
    pub fn seen_from(mut self, current: SessionId) -> Self {
        self.current = Some(self.id == current.0);
        self
    }
}
