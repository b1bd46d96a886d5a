//! A session as the live view keeps it: all that the check and "who am I" need, in little memory.

use chrono::{DateTime, Utc};

use crate::model::client::ClientId;
use crate::model::id::{SessionId, TokenId, UserId};
use crate::model::session::{CurrentToken, Device, End, Origin, RefreshTokens, Session};
use crate::model::user::{Role, Username};

/// A session. Its texts lie in one piece: a `String` each would take more than they say.
#[derive(Debug)]
pub struct LiveSession {
    /// Whose it is.
    pub user_id: UserId,
    started_at: Micros,
    last_seen_at: Micros,
    expires_at: Micros,
    idle_expires_at: Micros,
    token_id: TokenId,
    token_issued_at: Micros,
    token_expires_at: Micros,
    generation: u32,
    /// How it ended. Ended sessions are asked for a few times at most, so theirs may be large.
    pub end: Option<Box<End>>,
    texts: Texts,
}

impl LiveSession {
    /// What is kept of a session.
    #[must_use]
    pub fn new(session: &Session) -> Self {
        let device = &session.device;
        let methods = session.methods.join(" ");
        let (ip, last_ip) = (session.origin.ip.to_string(), session.last_ip.to_string());
        Self {
            user_id: session.user_id,
            started_at: Micros::of(session.started_at),
            last_seen_at: Micros::of(session.last_seen_at),
            expires_at: Micros::of(session.expires_at),
            idle_expires_at: Micros::of(session.idle_expires_at),
            token_id: session.token.id,
            token_issued_at: Micros::of(session.token.issued_at),
            token_expires_at: Micros::of(session.token.expires_at),
            generation: session.refresh.generation,
            end: session.end.clone().map(Box::new),
            texts: Texts::new([
                Some(session.username.as_str()),
                Some(session.role.as_str()),
                Some(&methods),
                session.client_id.as_ref().map(ClientId::as_str),
                session.device_name.as_deref(),
                session.origin.user_agent.as_deref(),
                device.browser.as_deref(),
                device.os.as_deref(),
                device.kind.as_deref(),
                Some(&ip),
                Some(&last_ip).filter(|last_ip| **last_ip != ip).map(String::as_str),
            ]),
        }
    }

    /// When the user logged in.
    #[must_use]
    pub fn started_at(&self) -> DateTime<Utc> {
        self.started_at.time()
    }

    /// When it was last used, as far as the store knew.
    #[must_use]
    pub fn last_seen_at(&self) -> DateTime<Utc> {
        self.last_seen_at.time()
    }

    /// When it ends in any case.
    #[must_use]
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at.time()
    }

    /// When it ends unless it is used before, as far as the store knew: not earlier than this.
    #[must_use]
    pub fn idle_expires_at(&self) -> DateTime<Utc> {
        self.idle_expires_at.time()
    }

    /// The application that was named at login.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.texts.get(3)
    }

    /// The session as the store knows it, without what refresh tokens are made of. `None` where a text is not what it was
    /// when it was put down, which cannot be.
    #[must_use]
    pub fn session(&self, id: SessionId) -> Option<Session> {
        let text = |number| self.texts.get(number).map(str::to_owned);
        let ip = self.texts.get(9)?.parse().ok()?;
        Some(Session {
            id,
            user_id: self.user_id,
            username: Username::parse(self.texts.get(0)?).ok()?,
            role: Role::parse(self.texts.get(1)?).ok()?,
            client_id: self.client_id().map(ClientId::parse).transpose().ok()?,
            device_name: text(4),
            origin: Origin { ip, user_agent: text(5) },
            device: Device { browser: text(6), os: text(7), kind: text(8) },
            methods: self.texts.get(2)?.split_whitespace().map(str::to_owned).collect(),
            started_at: self.started_at.time(),
            last_seen_at: self.last_seen_at.time(),
            last_ip: self.texts.get(10).map_or(Ok(ip), str::parse).ok()?,
            expires_at: self.expires_at.time(),
            idle_expires_at: self.idle_expires_at.time(),
            token: CurrentToken {
                id: self.token_id,
                issued_at: self.token_issued_at.time(),
                expires_at: self.token_expires_at.time(),
            },
            refresh: RefreshTokens { generation: self.generation, seed: [0; 32], spent_at: None },
            end: self.end.as_deref().cloned(),
        })
    }
}

/// A time as microseconds since 1970: four bytes less than the calendar's own.
#[derive(Debug, Clone, Copy)]
struct Micros(i64);

impl Micros {
    fn of(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }

    fn time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

/// Eleven texts in one piece of memory, each up to 64 KiB in all.
#[derive(Debug)]
struct Texts {
    joined: Box<str>,
    /// Where each text ends; the one that is not there at all has its bit in `missing`.
    ends: [u16; Texts::COUNT],
    missing: u16,
}

impl Texts {
    const COUNT: usize = 11;

    fn new(texts: [Option<&str>; Self::COUNT]) -> Self {
        let mut joined = String::with_capacity(texts.iter().flatten().map(|text| text.len()).sum());
        let (mut ends, mut missing) = ([0; Self::COUNT], 0);
        for (number, text) in texts.into_iter().enumerate() {
            match text {
                // Each is bounded where it comes in, all together far below the limit.
                Some(text) if u16::try_from(joined.len() + text.len()).is_ok() => joined.push_str(text),
                _ => missing |= 1 << number,
            }
            ends[number] = u16::try_from(joined.len()).unwrap_or(u16::MAX);
        }
        Self { joined: joined.into_boxed_str(), ends, missing }
    }

    fn get(&self, number: usize) -> Option<&str> {
        if self.missing & (1 << number) != 0 {
            return None;
        }
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.joined.get(usize::from(begin)..usize::from(self.ends[number]))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;
    use crate::model::session::{Actor, EndReason};

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
            refresh: RefreshTokens { generation: 3, seed: [0; 32], spent_at: None },
            end: None,
        }
    }

    #[test]
    fn nothing_is_lost_but_what_refresh_tokens_are_made_of() {
        let plain = session();
        assert_eq!(LiveSession::new(&plain).session(plain.id), Some(plain.clone()));
        let end = End { at: plain.started_at, reason: EndReason::Logout, by: Actor::system("x"), note: None };
        let bare = Session {
            client_id: None,
            device_name: Some(String::new()),
            origin: Origin { user_agent: None, ..plain.origin },
            device: Device::default(),
            end: Some(end),
            ..plain
        };
        assert_eq!(LiveSession::new(&bare).session(bare.id), Some(bare));
    }

    #[test]
    fn it_is_small() {
        let (key, counts, cache) = (16, 16, 24);
        assert!(size_of::<LiveSession>() + key + counts + cache <= 256, "{} bytes", size_of::<LiveSession>());
    }
}
