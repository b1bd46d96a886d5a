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
use crate::model::session::{End, Session, SessionState, overdue};
use crate::session::list::CurrentSession;

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
    /// What the user calls the device.
    pub device_name: Option<&'a str>,
    /// The application named at login.
    pub client_id: Option<&'a str>,
    /// How the user proved the identity (RFC 8176).
    pub amr: Vec<&'a str>,
    /// The access token issued last.
    pub token: TokenObject,
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
        let end: Option<End> = session.end.clone().or_else(|| session.overdue(now));
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
            ip: session.origin.ip.to_string().into(),
            last_ip: session.last_ip.to_string().into(),
            user_agent: session.origin.user_agent.as_deref(),
            device: DeviceObject {
                browser: session.device.browser.as_deref(),
                os: session.device.os.as_deref(),
                kind: session.device.kind.as_deref(),
            },
            device_name: session.device_name.as_deref(),
            client_id: session.client_id.as_ref().map(ClientId::as_str),
            amr: session.methods.iter().map(String::as_str).collect(),
            token: TokenObject {
                jti: session.token.id.0,
                issued_at: time(session.token.issued_at),
                expires_at: time(session.token.expires_at),
                refreshes: session.refresh.generation,
            },
            current: None,
        }
    }

    /// The session of the request that is being answered, straight from memory: nothing is copied that need not be.
    #[must_use]
    pub fn current(session: &'a CurrentSession, now: DateTime<Utc>) -> Self {
        let CurrentSession { id, session: kept, last_seen_at, last_ip, idle_expires_at } = session;
        let end = kept.end().cloned().or_else(|| overdue(kept.expires_at(), *idle_expires_at, now));
        let state = if end.is_some() { SessionState::Ended } else { SessionState::Active };
        Self {
            id: id.0,
            user: SessionUser { id: kept.user_id.0, username: kept.username(), role: kept.role() },
            state: state.as_str(),
            started_at: time(kept.started_at()),
            last_seen_at: time(*last_seen_at),
            expires_at: time(kept.expires_at()),
            idle_expires_at: time(*idle_expires_at),
            ended_at: optional_time(end.as_ref().map(|end| end.at)),
            end_reason: end.as_ref().map(|end| end.reason.as_str()),
            ended_by: end.as_ref().map(|end| ActorObject::from(&end.by)),
            note: end.and_then(|end| end.note),
            ip: kept.ip().into(),
            last_ip: last_ip.to_string().into(),
            user_agent: kept.user_agent(),
            device: DeviceObject { browser: kept.browser(), os: kept.os(), kind: kept.device_kind() },
            device_name: kept.device_name(),
            client_id: kept.client_id(),
            amr: kept.methods().collect(),
            token: TokenObject {
                jti: kept.token_id.0,
                issued_at: time(kept.token_issued_at()),
                expires_at: time(kept.token_expires_at()),
                refreshes: kept.generation,
            },
            current: Some(true),
        }
    }

    /// The same, saying whether it is the session of this request.
    #[must_use]
    pub fn seen_from(mut self, current: SessionId) -> Self {
        self.current = Some(self.id == current.0);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;
    use crate::model::id::{TokenId, UserId};
    use crate::model::session::{Actor, CurrentToken, Device, EndReason, Origin, RefreshTokens};
    use crate::model::user::{Role, Username};
    use crate::session::live::LiveSession;

    fn session() -> Session {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Session {
            id: SessionId::new(now),
            user_id: UserId::new(now),
            username: Username::parse("Zoé").unwrap(),
            role: Role::parse("agent").unwrap(),
            client_id: Some(ClientId::parse("courrier").unwrap()),
            device_name: None,
            origin: Origin { ip: [192, 0, 2, 1].into(), user_agent: Some("Mozilla/5.0".to_owned()) },
            device: Device { browser: Some("Firefox".to_owned()), os: None, kind: Some("pc".to_owned()) },
            methods: vec!["pwd".to_owned(), "otp".to_owned()],
            started_at: now,
            last_seen_at: now,
            last_ip: [192, 0, 2, 2].into(),
            expires_at: now + TimeDelta::hours(12),
            idle_expires_at: now + TimeDelta::minutes(30),
            token: CurrentToken { id: TokenId(Uuid::max()), issued_at: now, expires_at: now + TimeDelta::minutes(10) },
            refresh: RefreshTokens { generation: 3, seed: [0; 32], spent_at: None, valid_from: 0 },
            end: None,
        }
    }

    fn are_shown_alike(session: &Session) {
        let kept = Arc::new(LiveSession::new(session));
        let Session { id, last_seen_at, last_ip, idle_expires_at, .. } = *session;
        assert_eq!(kept.last_use(), (last_seen_at, last_ip));
        let current = CurrentSession { id, session: kept, last_seen_at, last_ip, idle_expires_at };
        let shown = SessionObject::current(&current, last_seen_at);
        assert_eq!(json!(shown), json!(SessionObject::new(session, last_seen_at).seen_from(id)));
    }

    #[test]
    fn a_session_from_memory_is_shown_as_one_from_the_store() {
        let plain = session();
        are_shown_alike(&plain);
        let end = End { at: plain.started_at, reason: EndReason::Logout, by: Actor::system("x"), note: None };
        are_shown_alike(&Session {
            client_id: None,
            device_name: Some(String::new()),
            origin: Origin { user_agent: None, ..plain.origin.clone() },
            device: Device::default(),
            last_ip: plain.origin.ip,
            end: Some(end),
            ..plain
        });
    }
}
