//! The session of the request that is being answered, from memory where it is there.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Sessions;
use super::check::CheckedCredential;
use crate::coherence::live::LiveSession;
use crate::model::id::SessionId;
use crate::model::session::{Session, SessionState, expired};
use crate::store::{StoreError, sessions};
use crate::view::{self, ActorObject, DeviceObject, SessionObject, SessionUser, TokenObject};

/// The session of a request, with its use by that request.
#[derive(Debug)]
pub struct CurrentSession {
    /// The id of the session.
    pub id: SessionId,
    /// What is kept of it.
    pub session: Arc<LiveSession>,
    /// When it was last used.
    pub last_seen_at: DateTime<Utc>,
    /// The address from which it was last used.
    pub last_ip: IpAddr,
    /// When it ends unless it is used before.
    pub idle_expires_at: DateTime<Utc>,
}

impl CurrentSession {
    /// As the contract has it, straight from memory: nothing is copied that need not be.
    #[must_use]
    pub fn shown(&self, now: DateTime<Utc>) -> SessionObject<'_> {
        let Self { id, session: kept, last_seen_at, last_ip, idle_expires_at } = self;
        let end = kept.end().cloned().or_else(|| expired(kept.expires_at(), *idle_expires_at, now));
        let state = if end.is_some() { SessionState::Ended } else { SessionState::Active };
        SessionObject {
            id: id.0,
            user: SessionUser { id: kept.user_id.0, username: kept.username(), role: kept.role() },
            state: state.as_str(),
            started_at: view::time(kept.started_at()),
            last_seen_at: view::time(*last_seen_at),
            expires_at: view::time(kept.expires_at()),
            idle_expires_at: view::time(*idle_expires_at),
            ended_at: view::optional_time(end.as_ref().map(|end| end.at)),
            end_reason: end.as_ref().map(|end| end.reason.as_str()),
            ended_by: end.as_ref().map(|end| ActorObject::from(&end.by)),
            note: end.and_then(|end| end.note),
            ip: kept.ip().into(),
            last_ip: last_ip.to_string().into(),
            user_agent: kept.user_agent(),
            device: DeviceObject { browser: kept.browser(), os: kept.os(), kind: kept.device_kind() },
            device_name: kept.device_name(),
            name: kept.name(),
            client_id: kept.client_id().filter(|_| kept.is_of_client()),
            claimed_client_id: kept.client_id().filter(|_| !kept.is_of_client()),
            amr: kept.methods().collect(),
            token: kept.token_id().map(|token_id| TokenObject {
                jti: token_id.0,
                issued_at: view::time(kept.token_issued_at()),
                expires_at: view::time(kept.token_expires_at()),
                refreshes: kept.generation,
            }),
            current: Some(true),
        }
    }
}

impl Sessions {
    /// The session of the request that is being answered, which came from `ip`.
    pub async fn current(&self, checked: &CheckedCredential, ip: IpAddr) -> Result<Option<CurrentSession>, StoreError> {
        let id = checked.session_id;
        let session = match &checked.session {
            Some(session) => Arc::clone(session),
            None => match self.store().read(move |db| sessions::find(db, id)).await? {
                Some(session) => Arc::new(LiveSession::new(&session)),
                None => return Ok(None),
            },
        };
        if checked.session.is_none() {
            // The use by this very request; where it is written already, it is not in memory any more.
            let (at, ip) = self.inner.last_seen.of(id).map_or_else(|| (self.now(), ip), |seen| (seen.at, seen.ip));
            session.note_use(at, ip);
        }
        let (last_seen_at, last_ip) = session.last_use();
        let idle_expires_at = Session::idle_end(last_seen_at, self.inner.limits.idle_timeout, session.expires_at());
        Ok(Some(CurrentSession { id, session, last_seen_at, last_ip, idle_expires_at }))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use uuid::Uuid;

    use super::*;
    use crate::model::client::{ClientId, LoginClient};
    use crate::model::id::{TokenId, UserId};
    use crate::model::session::{
        Actor, ClientInfo, CurrentToken, Device, End, EndReason, RefreshTokens, SessionCredential,
    };
    use crate::model::user::{Role, Username};

    fn session() -> Session {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Session {
            id: SessionId::new(now),
            user_id: UserId::new(now),
            username: Username::parse("Zoé").unwrap(),
            role: Role::parse("agent").unwrap(),
            client: LoginClient::Claimed(ClientId::parse("courrier").unwrap()),
            device_name: None,
            name: None,
            client_info: ClientInfo { ip: [192, 0, 2, 1].into(), user_agent: Some("Mozilla/5.0".to_owned()) },
            device: Device { browser: Some("Firefox".to_owned()), os: None, kind: Some("pc".to_owned()) },
            methods: vec!["pwd".to_owned(), "otp".to_owned()],
            started_at: now,
            last_seen_at: now,
            last_ip: [192, 0, 2, 2].into(),
            expires_at: now + TimeDelta::hours(12),
            idle_expires_at: now + TimeDelta::minutes(30),
            credential: SessionCredential::Tokens,
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
        let shown = current.shown(last_seen_at);
        assert_eq!(json!(shown), json!(SessionObject::new(session, last_seen_at).seen_from(id)));
    }

    #[test]
    fn a_session_from_memory_is_shown_as_one_from_the_store() {
        let plain = session();
        are_shown_alike(&plain);
        let client = LoginClient::Authenticated(ClientId::parse("courrier").unwrap());
        are_shown_alike(&Session { client, ..plain.clone() });
        are_shown_alike(&Session { credential: SessionCredential::Cookie, ..plain.clone() });
        let end = End { at: plain.started_at, reason: EndReason::Logout, by: Actor::system("x"), note: None };
        are_shown_alike(&Session {
            client: LoginClient::Unnamed,
            device_name: Some(String::new()),
            name: Some("bureau".to_owned()),
            client_info: ClientInfo { user_agent: None, ..plain.client_info.clone() },
            device: Device::default(),
            last_ip: plain.client_info.ip,
            end: Some(end),
            ..plain
        });
    }
}
