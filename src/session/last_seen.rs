//! When and where sessions were used: kept in memory and written in batches. A write for each request would be half of
//! the database's work, and one every few seconds for each session in use still a good part of it.
//!
//! The rule, which nothing else knows:
//!
//! - A use is kept in memory. It is due to be written half a minute after the last use that was (with idle times below five
//!   minutes: a tenth of the idle time), and what is due is written every five seconds. So a session in use is written each
//!   half minute, and one that is used now and then within five seconds.
//! - It is written before it is answered where the store's idle end is nearer than that and `MARGIN`. So no other node
//!   finds a session idle that is in use here.
//! - It is written before a reader is shown the session, with the end of the session, and at a clean stop.
//! - Whoever would call a session idle asks here first. A failed write refuses nobody; it is tried again with the next batch.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::Sessions;
use crate::coherence::live::LiveSession;
use crate::model::id::SessionId;
use crate::model::session::Session;
use crate::store::StoreError;
use crate::store::sessions::{self, SessionUse};

/// The time between two writes of a session that is in use.
const WRITTEN_EVERY: TimeDelta = TimeDelta::seconds(30);
/// Such a part of the idle time at most.
const PART_OF_IDLE: i32 = 10;
/// What the write may take besides: due ones are written every five seconds.
const MARGIN: TimeDelta = TimeDelta::seconds(15);
/// Sessions written in one transaction. Until it is over nobody else can end them, so it is a short one.
const BATCH: usize = 100;
/// Parts that are locked on their own, so that a look at all of them holds up no check.
const PARTS: usize = 64;

/// The uses of sessions that are not written yet.
#[derive(Debug)]
pub(super) struct LastSeen {
    idle_timeout: TimeDelta,
    parts: [Mutex<HashMap<SessionId, UnwrittenUse, ahash::RandomState>>; PARTS],
}

/// The use of a session that is not written yet.
#[derive(Debug)]
struct UnwrittenUse {
    /// The last use, unless the session in memory has a later one.
    seen: SessionUse,
    session: Option<Arc<LiveSession>>,
    due: DateTime<Utc>,
}

impl LastSeen {
    pub fn new(idle_timeout: TimeDelta) -> Self {
        Self { idle_timeout, parts: std::array::from_fn(|_| Mutex::default()) }
    }

    /// The time between two writes of a session that is in use.
    fn written_every(&self) -> TimeDelta {
        WRITTEN_EVERY.min(self.idle_timeout / PART_OF_IDLE)
    }

    /// A use this close to the idle end, as the store has it, is written before it is answered.
    pub fn nearly_idle(&self) -> TimeDelta {
        self.written_every() + MARGIN
    }

    fn seen(&self, session: &LiveSession, (at, ip): (DateTime<Utc>, IpAddr)) -> SessionUse {
        SessionUse { at, ip, idle_expires_at: Session::idle_end(at, self.idle_timeout, session.expires_at()) }
    }

    /// Notes a use of a session in memory. `true` where all before it were written.
    pub fn note_live(&self, id: SessionId, session: &Arc<LiveSession>, seen: SessionUse) -> bool {
        // One whose uses wait already is here.
        let written = session.note_use(seen.at, seen.ip);
        if let Some(written) = written {
            self.keep(id, Some(Arc::clone(session)), seen, written);
        }
        written.is_some()
    }

    /// Notes a use of a session that was last written at `written`.
    pub fn note(&self, id: SessionId, seen: SessionUse, written: DateTime<Utc>) {
        self.keep(id, None, seen, written);
    }

    fn keep(&self, id: SessionId, session: Option<Arc<LiveSession>>, seen: SessionUse, written: DateTime<Utc>) {
        let due = written + self.written_every();
        let mut part = self.part(id);
        let kept = part.entry(id).or_insert_with(|| UnwrittenUse { seen, session: None, due });
        kept.seen = later(kept.seen, seen);
        if let Some(session) = session
            && let Some(other) = kept.session.replace(session)
        {
            // It was read twice at the same time, or anew. Should the other be used once more, it comes here first.
            kept.seen = later(kept.seen, self.seen(&other, other.take_use()));
        }
    }

    fn latest(&self, kept: &UnwrittenUse) -> SessionUse {
        kept.session.as_deref().map_or(kept.seen, |session| later(kept.seen, self.seen(session, session.last_use())))
    }

    /// The last use of a session, if it is not written yet.
    pub fn of(&self, id: SessionId) -> Option<SessionUse> {
        self.part(id).get(&id).map(|kept| self.latest(kept))
    }

    /// The idle end of a session that the store has with this one, by its uses that are not written yet too.
    pub fn idle_end(&self, id: SessionId, stored: DateTime<Utc>) -> DateTime<Utc> {
        self.of(id).map_or(stored, |seen| seen.idle_expires_at.max(stored))
    }

    /// What is due at `now`, or all that waits, by id: nodes that write the same sessions at the same time then wait for each
    /// other and never in a circle.
    fn waiting(&self, due: Option<DateTime<Utc>>) -> Vec<(SessionId, SessionUse)> {
        let mut waiting = Vec::new();
        for part in &self.parts {
            let part = locked(part);
            let wanted = part.iter().filter(|(_, kept)| due.is_none_or(|now| kept.due <= now));
            waiting.extend(wanted.map(|(id, kept)| (*id, self.latest(kept))));
        }
        waiting.sort_unstable_by_key(|(id, _)| id.0);
        waiting
    }

    /// Forgets what was written, unless the session was used again meanwhile.
    fn remove_written(&self, written: &[(SessionId, SessionUse)]) {
        for (id, seen) in written {
            let mut part = self.part(*id);
            let Some(kept) = part.get_mut(id) else { continue };
            if let Some(session) = &kept.session {
                session.note_written(seen.at);
            }
            if self.latest(kept).at <= seen.at {
                part.remove(id);
            } else {
                kept.due = seen.at + self.written_every();
            }
        }
    }

    fn part(&self, id: SessionId) -> MutexGuard<'_, HashMap<SessionId, UnwrittenUse, ahash::RandomState>> {
        // The last byte of an id is random.
        locked(&self.parts[usize::from(id.0.as_bytes()[15]) % PARTS])
    }
}

fn locked<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

fn later(one: SessionUse, other: SessionUse) -> SessionUse {
    if other.at > one.at { other } else { one }
}

impl Sessions {
    /// Writes all that has been seen by now; returns how many sessions that were. What is seen meanwhile waits for the next
    /// time: sessions that are always in use would otherwise keep this going for ever, and a bulk end that waits for it.
    pub async fn flush_last_seen(&self) -> Result<usize, StoreError> {
        self.write_seen(self.inner.last_seen.waiting(None)).await
    }

    /// Writes what is due; returns how many sessions that were.
    pub async fn flush_due(&self) -> Result<usize, StoreError> {
        self.write_seen(self.inner.last_seen.waiting(Some(self.now()))).await
    }

    /// Writes the last uses of these sessions, given in order; returns how many there were that were not written yet.
    pub(super) async fn flush_of(&self, ids: impl Iterator<Item = SessionId>) -> Result<usize, StoreError> {
        let last_seen = &self.inner.last_seen;
        self.write_seen(ids.filter_map(|id| Some((id, last_seen.of(id)?))).collect()).await
    }

    async fn write_seen(&self, waiting: Vec<(SessionId, SessionUse)>) -> Result<usize, StoreError> {
        for batch in waiting.chunks(BATCH) {
            let rows = batch.to_vec();
            self.store().write(move |db| sessions::touch_all(db, &rows)).await?;
            self.inner.last_seen.remove_written(batch);
        }
        Ok(waiting.len())
    }
}
