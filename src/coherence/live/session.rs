//! A session as the live view keeps it: all that the check and "who am I" need, in little memory.

use std::net::{IpAddr, Ipv6Addr};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::model::client::LoginClient;
use crate::model::id::{TokenId, UserId};
use crate::model::session::{End, Session};

/// A session. Its texts lie in one piece: a `String` each would take more than they say.
#[derive(Debug)]
pub struct LiveSession {
    /// The user whose session it is.
    pub user_id: UserId,
    started_at: Micros,
    expires_at: Micros,
    idle_expires_at: Micros,
    /// The access token issued last; nil where a cookie continues the session: it has none.
    token_id: Uuid,
    token_issued_at: Micros,
    token_expires_at: Micros,
    /// How often the session was refreshed.
    pub generation: u32,
    /// What most sessions have not, so it may be large.
    rare: Option<Box<Rare>>,
    /// Ten texts in one piece of memory.
    texts: Box<str>,
    /// Apart from them, so that no gap is left between these fields.
    ends: TextEnds,
    /// The one part that changes: everything else is replaced as a whole.
    last_use: Mutex<LastUse>,
}

/// What few sessions have that are asked for.
#[derive(Debug)]
struct Rare {
    end: Option<End>,
    valid_from: u32,
    name: Option<Box<str>>,
}

impl Rare {
    fn of(session: &Session) -> Option<Box<Self>> {
        let (end, valid_from, name) = (session.end.clone(), session.refresh.valid_from, session.name.as_deref());
        let is_there = end.is_some() || valid_from > 0 || name.is_some();
        is_there.then(|| Box::new(Self { end, valid_from, name: name.map(Into::into) }))
    }
}

/// When and from where a session was last used, in bytes, which leave no gaps.
#[derive(Debug, Clone, Copy)]
struct LastUse {
    micros: [u8; 8],
    /// As IPv6, which takes a byte less than either.
    ip: Ipv6Addr,
    /// Whether the store does not know of it yet.
    waits: bool,
}

impl LastUse {
    fn new(at: Micros, ip: IpAddr, waits: bool) -> Self {
        Self { micros: at.0.to_ne_bytes(), ip: as_ipv6(ip), waits }
    }

    const fn at(self) -> Micros {
        Micros(i64::from_ne_bytes(self.micros))
    }

    fn shown(self) -> (DateTime<Utc>, IpAddr) {
        (self.at().time(), self.ip.to_canonical())
    }
}

impl LiveSession {
    /// What the live view keeps of a session.
    #[must_use]
    pub fn new(session: &Session) -> Self {
        let device = &session.device;
        let methods = session.methods.join(" ");
        let ip = session.client_info.ip.to_string();
        let client = client_text(&session.client);
        let (texts, ends) = joined([
            Some(session.username.as_str()),
            Some(session.role.as_str()),
            Some(&methods),
            client.as_deref(),
            session.device_name.as_deref(),
            session.client_info.user_agent.as_deref(),
            device.browser.as_deref(),
            device.os.as_deref(),
            device.kind.as_deref(),
            Some(&ip),
        ]);
        Self {
            user_id: session.user_id,
            started_at: Micros::of(session.started_at),
            expires_at: Micros::of(session.expires_at),
            idle_expires_at: Micros::of(session.idle_expires_at),
            token_id: session.issued_token().map_or(Uuid::nil(), |token| token.id.0),
            token_issued_at: Micros::of(session.token.issued_at),
            token_expires_at: Micros::of(session.token.expires_at),
            generation: session.refresh.generation,
            rare: Rare::of(session),
            texts,
            ends,
            last_use: Mutex::new(LastUse::new(Micros::of(session.last_seen_at), session.last_ip, false)),
        }
    }

    /// The end of the session; `None` while nobody has ended it.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.rare.as_ref()?.end.as_ref()
    }

    /// Access tokens of an earlier generation are void.
    #[must_use]
    pub fn valid_from(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.valid_from)
    }

    /// When the user logged in.
    #[must_use]
    pub fn started_at(&self) -> DateTime<Utc> {
        self.started_at.time()
    }

    /// When and from where it was last used, as far as this node knows.
    #[must_use]
    pub fn last_use(&self) -> (DateTime<Utc>, IpAddr) {
        self.last_use.lock().shown()
    }

    /// Notes a use. Where all before it were written, says when the last one of those was: this one waits to be written
    /// from now on.
    pub fn note_use(&self, at: DateTime<Utc>, ip: IpAddr) -> Option<DateTime<Utc>> {
        let (at, mut last) = (Micros::of(at), self.last_use.lock());
        let before = *last;
        if at < before.at() {
            return None;
        }
        let is_later = at > before.at();
        *last = LastUse::new(at, ip, before.waits || is_later);
        (!before.waits && is_later).then(|| before.at().time())
    }

    /// Notes that its use at this moment was written.
    pub fn note_written(&self, at: DateTime<Utc>) {
        let mut last = self.last_use.lock();
        last.waits &= Micros::of(at) < last.at();
    }

    /// The last use, which waits elsewhere from now on: the next one is noted as one after all others were written.
    pub fn take_use(&self) -> (DateTime<Utc>, IpAddr) {
        let mut last = self.last_use.lock();
        last.waits = false;
        last.shown()
    }

    fn text(&self, number: usize) -> Option<&str> {
        self.ends.text(&self.texts, number)
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

    /// The access token issued last, if any was.
    #[must_use]
    pub fn token_id(&self) -> Option<TokenId> {
        (!self.token_id.is_nil()).then_some(TokenId(self.token_id))
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
        self.text(0).unwrap_or_default()
    }

    /// The user's role at login.
    #[must_use]
    pub fn role(&self) -> &str {
        self.text(1).unwrap_or_default()
    }

    /// How the user proved the identity (RFC 8176).
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.text(2).unwrap_or_default().split_ascii_whitespace()
    }

    /// The application that was named at login, whether or not it authenticated.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.text(3).map(|text| text.strip_prefix(AUTHENTICATED).unwrap_or(text))
    }

    /// Whether that application authenticated.
    #[must_use]
    pub fn is_of_client(&self) -> bool {
        self.text(3).is_some_and(|text| text.starts_with(AUTHENTICATED))
    }

    /// What the user calls the session.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.rare.as_ref()?.name.as_deref()
    }

    /// What the user or application called the device at login.
    #[must_use]
    pub fn device_name(&self) -> Option<&str> {
        self.text(4)
    }

    /// The raw user agent of the login.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.text(5)
    }

    /// The name of the browser, such as `Firefox`, as the user agent says.
    #[must_use]
    pub fn browser(&self) -> Option<&str> {
        self.text(6)
    }

    /// The name of the operating system, as the user agent says.
    #[must_use]
    pub fn os(&self) -> Option<&str> {
        self.text(7)
    }

    /// The kind of device.
    #[must_use]
    pub fn device_kind(&self) -> Option<&str> {
        self.text(8)
    }

    /// Where the login came from.
    #[must_use]
    pub fn ip(&self) -> &str {
        self.text(9).unwrap_or_default()
    }
}

/// Stands before the id of a client that authenticated; no id holds it.
const AUTHENTICATED: char = '=';

fn client_text(client: &LoginClient) -> Option<String> {
    match client {
        LoginClient::Unnamed => None,
        LoginClient::Claimed(id) => Some(id.to_string()),
        LoginClient::Authenticated(id) => Some(format!("{AUTHENTICATED}{id}")),
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

/// How many texts there are.
const TEXTS: usize = 10;

/// Where each text but the last ends, in the piece of memory that holds all of them; with the highest bit set where it is
/// not there at all. The last one always is.
#[derive(Debug)]
struct TextEnds([u16; TEXTS - 1]);

const MISSING: u16 = 1 << 15;

/// The texts one after the other, up to 32 KiB in all.
fn joined(texts: [Option<&str>; TEXTS]) -> (Box<str>, TextEnds) {
    let mut joined = String::with_capacity(texts.iter().flatten().map(|text| text.len()).sum());
    let mut ends = [0; TEXTS - 1];
    for (number, text) in texts.into_iter().enumerate() {
        // Each is bounded where it comes in, all together far below the limit.
        let text = text.filter(|text| joined.len() + text.len() < usize::from(MISSING));
        joined.push_str(text.unwrap_or_default());
        if let Some(end) = ends.get_mut(number) {
            let missing = if text.is_none() { MISSING } else { 0 };
            *end = u16::try_from(joined.len()).unwrap_or_default() | missing;
        }
    }
    (joined.into_boxed_str(), TextEnds(ends))
}

impl TextEnds {
    fn text<'a>(&self, joined: &'a str, number: usize) -> Option<&'a str> {
        let place = |end: u16| usize::from(end & !MISSING);
        let begin = number.checked_sub(1).map_or(0, |before| place(self.0[before]));
        match self.0.get(number) {
            Some(end) if end & MISSING != 0 => None,
            Some(end) => joined.get(begin..place(*end)),
            None => joined.get(begin..),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small() {
        // With the two counts of its `Arc` it just fills one of the allocator's sizes.
        assert!(size_of::<LiveSession>() + 16 <= 160, "{} bytes", size_of::<LiveSession>());
    }
}
