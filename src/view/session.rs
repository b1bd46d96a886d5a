//! The session object.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::audit::ActorObject;
use super::{optional_time, time};
use crate::model::id::SessionId;
use crate::model::session::{End, Session};

/// One login and what follows from it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionObject {
    /// The claim `sid` of its tokens.
    #[schema(format = "uuid")]
    pub id: String,
    /// Whose, with name and role at the time of login.
    pub user: SessionUser,
    /// `active` or `ended`.
    pub state: &'static str,
    /// When the user logged in.
    #[schema(format = "date-time")]
    pub started_at: String,
    /// When it was last used.
    #[schema(format = "date-time")]
    pub last_seen_at: String,
    /// When it ends in any case.
    #[schema(format = "date-time")]
    pub expires_at: String,
    /// When it ends unless it is used before.
    #[schema(format = "date-time")]
    pub idle_expires_at: String,
    /// When it ended.
    #[schema(format = "date-time")]
    pub ended_at: Option<String>,
    /// Why it ended, of a closed list.
    pub end_reason: Option<&'static str>,
    /// Who ended it.
    pub ended_by: Option<ActorObject>,
    /// What an administrator noted.
    pub note: Option<String>,
    /// Where the login came from.
    pub ip: String,
    /// Where it was last used from.
    pub last_ip: String,
    /// The raw user agent of the login.
    pub user_agent: Option<String>,
    /// What that says of the device.
    pub device: DeviceObject,
    /// What the user calls the device.
    pub device_name: Option<String>,
    /// The application named at login.
    pub client_id: Option<String>,
    /// How the user proved the identity (RFC 8176).
    pub amr: Vec<String>,
    /// The access token issued last.
    pub token: TokenObject,
    /// Whether it is the session of this very request; only in one's own list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<bool>,
}

/// A user as at the time of a login.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SessionUser {
    /// Names the user for ever.
    #[schema(format = "uuid")]
    pub id: String,
    /// The name at the time.
    pub username: String,
    /// The role at the time.
    pub role: String,
}

/// A device, as far as it is recognised.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeviceObject {
    /// Such as `Firefox`.
    pub browser: Option<String>,
    /// Such as `Windows 10`.
    pub os: Option<String>,
    /// Such as `pc` or `smartphone`.
    pub kind: Option<String>,
}

/// The access token issued last; never its text.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenObject {
    /// Its claim `jti`.
    #[schema(format = "uuid")]
    pub jti: String,
    /// When it was issued.
    #[schema(format = "date-time")]
    pub issued_at: String,
    /// Until when it verifies.
    #[schema(format = "date-time")]
    pub expires_at: String,
    /// How often the session was refreshed.
    pub refreshes: u32,
}

impl SessionObject {
    /// The session as it stands at `now`.
    #[must_use]
    pub fn new(session: &Session, now: DateTime<Utc>) -> Self {
        let end: Option<End> = session.end.clone().or_else(|| session.overdue(now));
        Self {
            id: session.id.to_string(),
            user: SessionUser {
                id: session.user_id.to_string(),
                username: session.username.as_str().to_owned(),
                role: session.role.as_str().to_owned(),
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
            ip: session.origin.ip.to_string(),
            last_ip: session.last_ip.to_string(),
            user_agent: session.origin.user_agent.clone(),
            device: DeviceObject {
                browser: session.device.browser.clone(),
                os: session.device.os.clone(),
                kind: session.device.kind.clone(),
            },
            device_name: session.device_name.clone(),
            client_id: session.client_id.as_ref().map(|id| id.as_str().to_owned()),
            amr: session.methods.clone(),
            token: TokenObject {
                jti: session.token.id.to_string(),
                issued_at: time(session.token.issued_at),
                expires_at: time(session.token.expires_at),
                refreshes: session.refresh.generation,
            },
            current: None,
        }
    }

    /// The same, saying whether it is the session of this request.
    #[must_use]
    pub fn seen_from(mut self, current: SessionId) -> Self {
        self.current = Some(self.id == current.to_string());
        self
    }
}
