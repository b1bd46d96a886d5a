//! What may be done with sessions: one operation, one file, each a method of [`Sessions`].
//!
//! Five doors lead to "end this session" (the API, a client's revocation, the console, the command line, the clock); all
//! come through [`end`]. The question asked on every request is [`check`].

mod acting;
pub mod bulk_end;
pub mod change;
pub mod check;
pub mod end;
mod end_of_client;
mod ended_use;
mod gathered;
mod high_water;
pub mod issue;
pub mod known_device;
pub mod lease;
pub mod list;
pub mod live;
mod new_device;
pub mod not_before;
pub mod overdue;
pub mod prove;
pub mod refresh;
pub mod refused;
mod renew;
mod renewals;
pub mod seen;
pub mod signing;
pub mod start;
pub mod throttled;
mod turns;
mod watch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::runtime::Handle;

use crate::alert::Alerts;
use crate::clock::Clock;
use crate::config;
use crate::credential::password::Passwords;
use crate::credential::throttle::{Throttle, ThrottleDigests};
use crate::key::Key;
use crate::keyring::{Keyring, Purpose};
use crate::model::id::NodeId;
use crate::store::Store;
use crate::telemetry::Metrics;
use change::Rounds;
use ended_use::EndedUses;
use gathered::Gathering;
use issue::TokenRules;
use lease::Lease;
use live::LiveView;
use refused::Refusals;
use renewals::Renewals;
use seen::LastSeen;
use signing::Signing;
use turns::Turns;

/// The operations on sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

/// What the operations stand on.
#[derive(Debug)]
pub struct Parts {
    /// The store.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Checks passwords.
    pub passwords: Passwords,
    /// Derives refresh tokens and digests.
    pub keys: Keys,
    /// Signs and verifies access tokens.
    pub signing: Signing,
    /// Raises alerts.
    pub alerts: Alerts,
    /// Counts what happens.
    pub metrics: Arc<Metrics>,
}

/// The keys that operations on sessions need.
#[derive(Debug)]
pub struct Keys {
    refresh_token: Key,
    unknown_name: Key,
    earlier_unknown_names: Vec<Key>,
    throttles: ThrottleDigests,
}

impl Keys {
    /// Those of this keyring.
    #[must_use]
    pub fn new(keyring: &Keyring) -> Self {
        let earlier = keyring.earlier(Purpose::UnknownName).into_iter();
        Self {
            refresh_token: keyring.key(Purpose::RefreshToken).clone(),
            unknown_name: keyring.key(Purpose::UnknownName).clone(),
            earlier_unknown_names: earlier.map(|earlier| earlier.key).collect(),
            throttles: ThrottleDigests::new(keyring),
        }
    }
}

#[derive(Debug)]
struct Inner {
    parts: Parts,
    limits: Limits,
    tokens: TokenRules,
    throttle: Throttle,
    last_seen: Arc<LastSeen>,
    turns: Turns,
    refusals: Refusals,
    ended_uses: EndedUses,
    gathering: Gathering,
    live: Arc<LiveView>,
    live_rules: LiveRules,
    lease: Lease,
    /// Of this node and of those that were seen last, in milliseconds; as long as any may be, before anybody looked.
    longest_lease: AtomicU64,
    /// Whether there were other nodes when this one looked last.
    has_company: AtomicBool,
    /// The row by which other nodes know this one, while it has one.
    node: Mutex<Option<NodeId>>,
    rounds: Rounds,
    renewals: Renewals,
    /// Held while the keys and not-befores are read anew.
    reading: tokio::sync::Mutex<()>,
}

/// The rules of `[nodes]`.
#[derive(Debug, Clone)]
struct LiveRules {
    lease: Duration,
    is_used: bool,
    data_dir: PathBuf,
}

/// The rules of `[sessions]`.
#[derive(Debug, Clone, Copy)]
struct Limits {
    idle_timeout: TimeDelta,
    lifetime: TimeDelta,
    per_user: usize,
    refresh_grace: TimeDelta,
}

impl Sessions {
    /// The operations, by these rules. Ends are committed on the runtime in which this is called: it outlives every request.
    #[must_use]
    pub fn new(parts: Parts, config: &config::Config) -> Self {
        let rules = &config.sessions;
        let delta = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        let limits = Limits {
            idle_timeout: delta(rules.idle_timeout),
            lifetime: delta(rules.lifetime),
            per_user: usize::try_from(rules.max_per_user).unwrap_or(usize::MAX),
            refresh_grace: delta(rules.refresh_grace),
        };
        let inner = Inner {
            parts,
            limits,
            tokens: TokenRules::new(config),
            throttle: Throttle::new(config.throttle.clone()),
            last_seen: Arc::new(LastSeen::new(limits.idle_timeout)),
            turns: Turns::default(),
            refusals: Refusals::default(),
            ended_uses: EndedUses::default(),
            gathering: Gathering::new(Handle::current()),
            live: Arc::new(LiveView::new(config.nodes.live_sessions)),
            live_rules: LiveRules {
                lease: config.nodes.lease,
                is_used: config.nodes.live_view,
                data_dir: config.data.dir.clone(),
            },
            lease: Lease::default(),
            longest_lease: AtomicU64::new(milliseconds(config::LONGEST_LEASE)),
            has_company: AtomicBool::new(false),
            node: Mutex::default(),
            rounds: Rounds::default(),
            renewals: Renewals::default(),
            reading: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    fn store(&self) -> &Store {
        &self.inner.parts.store
    }

    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.inner.parts.clock.now()
    }

    /// The keys that sign and verify.
    #[must_use]
    pub fn signing(&self) -> &Signing {
        &self.inner.parts.signing
    }
}

/// The database that served last from this data directory, as its high-water mark has it.
#[must_use]
pub fn remembered_database(directory: &std::path::Path) -> Option<String> {
    high_water::database_in(directory)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
