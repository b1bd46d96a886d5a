//! What happened, each with its moments. Nothing is judged here.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::doors::Door;
use super::faults::Kind;
use super::random::Random;

/// Ended sessions that are still asked about: the latest.
const STILL_ASKED: usize = 40;

/// A session, its credentials, and all that was asked with them.
#[derive(Debug)]
pub struct Session {
    pub id: String,
    /// Every access token it was given: all are good while it lives.
    pub access: Vec<String>,
    refresh: Mutex<String>,
    history: Mutex<History>,
}

/// What happened to a session.
#[derive(Debug, Default, Clone)]
pub struct History {
    /// Before the first request was sent that ends it.
    pub end_asked: Option<Instant>,
    /// After the whole answer to a request that ended it was there: the earliest.
    pub end_acknowledged: Option<Instant>,
    pub checks: Vec<Check>,
}

/// Which credential was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    Access,
    Refresh,
}

/// One use of a credential.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    pub node: usize,
    pub credential: Credential,
    /// Before the connection was made and the request sent.
    pub started: Instant,
    /// When the answer was there, or nobody waited for it any more.
    pub over: Instant,
    /// `None`: no answer.
    pub status: Option<u16>,
}

/// How an end came to be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// By the answer to the first request.
    AtOnce,
    /// That request was answered by 503 or not at all; another one, elsewhere, was then acknowledged.
    AfterAll,
}

/// An end that was acknowledged.
#[derive(Debug, Clone)]
pub struct End {
    pub door: Door,
    pub course: Course,
    /// `None`: on the command line.
    pub node: Option<usize>,
    /// When the request was sent that was acknowledged.
    pub asked: Instant,
    pub acknowledged: Instant,
    pub sessions: usize,
}

impl End {
    pub fn took(&self) -> Duration {
        self.acknowledged - self.asked
    }
}

/// Something that was broken for a while.
#[derive(Debug, Clone)]
pub struct Fault {
    pub kind: Kind,
    /// `None`: all, for it was the database.
    pub node: Option<usize>,
    pub begun: Instant,
    /// When it was taken away.
    pub lifted: Instant,
    /// When the nodes had recovered.
    pub over: Instant,
    /// The kinds that happened together with it, itself included.
    pub of: Vec<Kind>,
}

/// A while in which the database committed nothing, whoever asked.
#[derive(Debug, Clone, Copy)]
pub struct Standstill {
    pub begun: Instant,
    pub over: Instant,
}

/// All of a run.
#[derive(Debug, Default)]
pub struct Record {
    live: Mutex<Vec<Arc<Session>>>,
    ended: Mutex<VecDeque<Arc<Session>>>,
    sessions: Mutex<Vec<Arc<Session>>>,
    ends: Mutex<Vec<End>>,
    faults: Mutex<Vec<Fault>>,
    standstills: Mutex<Vec<Standstill>>,
    checks: AtomicU64,
}

/// Nothing is left half done by a holder that panics, and then the run has failed anyway.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Session {
    pub fn new(id: &str, access: Vec<String>, refresh: &str) -> Self {
        Self {
            id: id.to_owned(),
            access,
            refresh: Mutex::new(refresh.to_owned()),
            history: Mutex::new(History::default()),
        }
    }

    /// The token with which it acts.
    pub fn token(&self) -> &str {
        self.access.last().expect("it was given one")
    }

    /// The refresh token it was given last.
    pub fn refresh_token(&self) -> String {
        locked(&self.refresh).clone()
    }

    pub fn set_refresh_token(&self, token: &str) {
        token.clone_into(&mut locked(&self.refresh));
    }

    pub fn history(&self) -> History {
        locked(&self.history).clone()
    }

    pub fn end_is_asked(&self) {
        locked(&self.history).end_asked.get_or_insert_with(Instant::now);
    }

    pub fn end_is_acknowledged(&self, at: Instant) {
        let mut history = locked(&self.history);
        history.end_acknowledged = Some(history.end_acknowledged.map_or(at, |before| before.min(at)));
    }
}

impl Record {
    /// A session that may be asked about from now on.
    pub fn begin(&self, session: &Arc<Session>) {
        locked(&self.sessions).push(Arc::clone(session));
        locked(&self.live).push(Arc::clone(session));
    }

    /// An end that was acknowledged, and whose.
    pub fn end(&self, end: End, sessions: &[Arc<Session>]) {
        for session in sessions {
            session.end_is_acknowledged(end.acknowledged);
        }
        locked(&self.live).retain(|live| !sessions.iter().any(|ended| Arc::ptr_eq(ended, live)));
        let mut ended = locked(&self.ended);
        ended.extend(sessions.iter().cloned());
        let beyond = ended.len().saturating_sub(STILL_ASKED);
        ended.drain(..beyond);
        locked(&self.ends).push(end);
    }

    pub fn check(&self, session: &Session, check: Check) {
        locked(&session.history).checks.push(check);
        self.checks.fetch_add(1, Ordering::Relaxed);
    }

    pub fn fault(&self, fault: Fault) {
        locked(&self.faults).push(fault);
    }

    pub fn standstill(&self, standstill: Standstill) {
        locked(&self.standstills).push(standstill);
    }

    /// A session to ask about: one that lives, or one that has ended not long ago.
    pub fn some_session(&self, random: &mut Random) -> Option<Arc<Session>> {
        let mut ended = locked(&self.ended);
        if random.one_in(2) && !ended.is_empty() {
            return Some(Arc::clone(random.of(ended.make_contiguous())));
        }
        drop(ended);
        let live = locked(&self.live);
        (!live.is_empty()).then(|| Arc::clone(random.of(&live)))
    }

    pub fn checks(&self) -> u64 {
        self.checks.load(Ordering::Relaxed)
    }

    pub fn ends(&self) -> u64 {
        locked(&self.ends).len() as u64
    }

    pub fn all_sessions(&self) -> Vec<Arc<Session>> {
        locked(&self.sessions).clone()
    }

    pub fn all_ends(&self) -> Vec<End> {
        locked(&self.ends).clone()
    }

    pub fn all_faults(&self) -> Vec<Fault> {
        locked(&self.faults).clone()
    }

    pub fn all_standstills(&self) -> Vec<Standstill> {
        locked(&self.standstills).clone()
    }
}
