//! A session as the live view keeps it: all that the check and "who am I" need, in little memory.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::model::client::ClientId;
use crate::model::id::{TokenId, UserId};
use crate::model::session::{End, Session};

/// A session. Its texts lie in one piece: a `String` each would take more than they say.
#[derive(Debug)]
pub struct LiveSession {
    /// Whose it is.
    pub user_id: UserId,
    started_at: Micros,
    expires_at: Micros,
    idle_expires_at: Micros,
    /// The access token issued last.
    pub token_id: TokenId,
    token_issued_at: Micros,
    token_expires_at: Micros,
    /// How often the session was refreshed.
    pub generation: u32,
    /// How it ended. Ended sessions are asked for a few times at most, so theirs may be large.
    pub end: Option<Box<End>>,
    texts: Texts,
    /// The one part that changes: everything else is replaced as a whole.
    last_use: Mutex<LastUse>,
}

/// When and from where a session was last used, and of which use the store knows.
#[derive(Debug, Clone, Copy)]
struct LastUse {
    at: Micros,
    /// As IPv6, which takes a byte less than either.
    ip: Ipv6Addr,
    written: Micros,
}

impl LiveSession {
    /// What is kept of a session.
    #[must_use]
    pub fn new(session: &Session) -> Self {
        let device = &session.device;
        let methods = session.methods.join(" ");
        let (ip, last_seen_at) = (session.origin.ip.to_string(), Micros::of(session.last_seen_at));
        Self {
            user_id: session.user_id,
            started_at: Micros::of(session.started_at),
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
            ]),
            last_use: Mutex::new(LastUse { at: last_seen_at, ip: as_ipv6(session.last_ip), written: last_seen_at }),
        }
    }

    /// When the user logged in.
    #[must_use]
    pub fn started_at(&self) -> DateTime<Utc> {
        self.started_at.time()
    }

    /// When and from where it was last used, as far as this node knows.
    #[must_use]
    pub fn last_use(&self) -> (DateTime<Utc>, IpAddr) {
        let last = *self.locked();
        (last.at.time(), last.ip.to_canonical())
    }

    /// Notes a use. Where all before it were written, says when the last one of those was: this one waits to be written
    /// from now on.
    pub fn note_use(&self, at: DateTime<Utc>, ip: IpAddr) -> Option<DateTime<Utc>> {
        let (at, mut last) = (Micros::of(at), self.locked());
        if at < last.at {
            return None;
        }
        let waits = last.at > last.written;
        (last.at, last.ip) = (at, as_ipv6(ip));
        (!waits && at > last.written).then(|| last.written.time())
    }

    /// Notes that its use at this moment was written.
    pub fn note_written(&self, at: DateTime<Utc>) {
        let mut last = self.locked();
        last.written = last.written.max(Micros::of(at));
    }

    /// The last use, which waits elsewhere from now on: the next one is noted as one after all others were written.
    pub fn take_use(&self) -> (DateTime<Utc>, IpAddr) {
        let mut last = self.locked();
        last.written = last.at;
        (last.at.time(), last.ip.to_canonical())
    }

    fn locked(&self) -> MutexGuard<'_, LastUse> {
        self.last_use.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// When the access token issued last was issued.
    #[must_use]
    pub fn token_issued_at(&self) -> DateTime<Utc> {
        self.token_issued_at.time()
    }

    /// Until when the access token issued last verifies.
    #[must_use]
    pub fn token_expires_at(&self) -> DateTime<Utc> {
        self.token_expires_at.time()
    }

    /// The user's name at login.
    #[must_use]
    pub fn username(&self) -> &str {
        self.texts.get(0).unwrap_or_default()
    }

    /// The user's role at login.
    #[must_use]
    pub fn role(&self) -> &str {
        self.texts.get(1).unwrap_or_default()
    }

    /// How the user proved the identity (RFC 8176).
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.texts.get(2).unwrap_or_default().split_ascii_whitespace()
    }

    /// The application that was named at login.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.texts.get(3)
    }

    /// What the user calls the device.
    #[must_use]
    pub fn device_name(&self) -> Option<&str> {
        self.texts.get(4)
    }

    /// The raw user agent of the login.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.texts.get(5)
    }

    /// The browser.
    #[must_use]
    pub fn browser(&self) -> Option<&str> {
        self.texts.get(6)
    }

    /// The operating system.
    #[must_use]
    pub fn os(&self) -> Option<&str> {
        self.texts.get(7)
    }

    /// The kind of device.
    #[must_use]
    pub fn device_kind(&self) -> Option<&str> {
        self.texts.get(8)
    }

    /// Where the login came from.
    #[must_use]
    pub fn ip(&self) -> &str {
        self.texts.get(9).unwrap_or_default()
    }
}

fn as_ipv6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// A time as microseconds since 1970: four bytes less than the calendar's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Micros(i64);

impl Micros {
    fn of(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }

    fn time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

/// Ten texts in one piece of memory, each up to 64 KiB in all.
#[derive(Debug)]
struct Texts {
    joined: Box<str>,
    /// Where each text ends; the one that is not there at all has its bit in `missing`.
    ends: [u16; Texts::COUNT],
    missing: u16,
}

impl Texts {
    const COUNT: usize = 10;

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
    use super::*;

    #[test]
    fn it_is_small() {
        let (key, counts, cache) = (16, 16, 24);
        assert!(size_of::<LiveSession>() + key + counts + cache <= 256, "{} bytes", size_of::<LiveSession>());
    }
}
