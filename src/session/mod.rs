//! What may be done with sessions: a file for each operation or a few that belong together, each a method of [`Sessions`].
//!
//! Whatever ends a session comes through [`end`]: logouts and other single ends, which share transactions (`end_queue`), ends of
//! many, which go in `batched_end`, and operations that end sessions as a part of what they do, such as a change of an account. The
//! question asked on every request is [`check`]; the rule by which it, the refresh and others judge a session is `judge`.

mod acting_session;
mod batched_end;
pub mod bulk_end;
pub mod change;
pub mod check;
pub mod cookie;
pub mod current;
pub mod end;
mod end_of_client;
mod end_queue;
mod ended_use;
pub mod expired;
pub mod introspect;
pub mod issue;
mod judge;
pub mod last_seen;
pub mod list;
pub mod name;
mod new_device;
pub mod not_before;
pub mod refresh;
mod renew;
pub mod revoke;
mod signing_keys;
pub mod single_end;
pub mod start;

use std::sync::Arc;

use chrono::TimeDelta;
use tokio::runtime::Handle;

use crate::alert::Alerts;
use crate::authentication::Authentication;
use crate::clock::Clock;
use crate::coherence::Coherence;
use crate::coherence::live::LiveView;
use crate::config;
use crate::key::Key;
use crate::refusals::Refusals;
use crate::signing_keys::Signing;
use crate::store::Store;
use crate::telemetry::Metrics;
use end_queue::EndQueue;
use ended_use::EndedUses;
use issue::TokenRules;
use last_seen::LastSeen;

/// The operations on sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

/// What the operations stand on.
#[derive(Debug)]
pub struct Dependencies {
    /// Reads and writes the database.
    pub store: Store,
    /// Tells the time of day, in UTC.
    pub clock: Arc<dyn Clock>,
    /// Says who somebody is.
    pub authentication: Authentication,
    /// Notes what was refused.
    pub refusals: Refusals,
    /// The key under which refresh tokens are derived.
    pub refresh_key: Key,
    /// Signs and verifies access tokens.
    pub signing: Arc<Signing>,
    /// Makes changes known to every node, and says what this one may answer from memory.
    pub coherence: Coherence,
    /// Raises alerts for reviewers, in the transaction of what they are about.
    pub alerts: Alerts,
    /// The metrics of this server, which operations count in.
    pub metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Inner {
    dependencies: Dependencies,
    limits: Limits,
    tokens: TokenRules,
    /// Makes session cookies.
    cookie_key: Key,
    last_seen: Arc<LastSeen>,
    ended_uses: EndedUses,
    end_queue: EndQueue,
    /// Where what has begun is done, also when whoever asked for it has gone: it outlives every request.
    runtime: Handle,
}

/// The rules of `[sessions]`.
#[derive(Debug, Clone, Copy)]
struct Limits {
    idle_timeout: TimeDelta,
    lifetime: TimeDelta,
    per_user: usize,
    refresh_grace: TimeDelta,
    introspection_is_use: bool,
}

impl Sessions {
    /// The operations, by these rules. Ends are committed on the runtime in which this is called: it outlives every request.
    #[must_use]
    pub fn new(dependencies: Dependencies, config: &config::Config) -> Self {
        let rules = &config.sessions;
        let delta = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        let limits = Limits {
            idle_timeout: delta(rules.idle_timeout),
            lifetime: delta(rules.lifetime),
            per_user: usize::try_from(rules.max_per_user).unwrap_or(usize::MAX),
            refresh_grace: delta(rules.refresh_grace),
            introspection_is_use: rules.introspection_is_use,
        };
        let inner = Inner {
            cookie_key: cookie::cookie_key(&dependencies.refresh_key),
            dependencies,
            limits,
            tokens: TokenRules::new(config),
            last_seen: Arc::new(LastSeen::new(limits.idle_timeout)),
            ended_uses: EndedUses::default(),
            end_queue: EndQueue::default(),
            runtime: Handle::current(),
        };
        Self { inner: Arc::new(inner) }
    }

    fn store(&self) -> &Store {
        &self.inner.dependencies.store
    }

    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.inner.dependencies.clock.now()
    }

    fn refusals(&self) -> &Refusals {
        &self.inner.dependencies.refusals
    }

    fn coherence(&self) -> &Coherence {
        &self.inner.dependencies.coherence
    }

    fn live(&self) -> &LiveView {
        self.coherence().live()
    }

    /// The keys that sign and verify.
    #[must_use]
    pub fn signing(&self) -> &Arc<Signing> {
        &self.inner.dependencies.signing
    }
}
