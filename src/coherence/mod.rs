//! The lease protocol: why a check answered from memory is never wrong, on however many nodes (P2, P3).
//!
//! ```text
//! node A ends a session                                        node B answers checks from its live view
//! ─────────────────────                                        ─────────────────────────────────────────
//! 1  change     write barrier on A's view; the end and its     renews its lease, again and again:
//!               row in `changes` are committed together          reads what has changed, applies it,
//! 2  number     the change gets its number; NOTIFY ───────────►  says so in its row of `nodes`, durably,
//! 3  wait       until each row of `nodes` has applied it,        and may then answer from memory for one
//!               or did not move for a lease and its margin       lease, counted from before it read
//!               (then the node is evicted)
//! 4  acknowledge: nobody can say yes any more                  without a lease every check asks the store
//! ```
//!
//! | file | knows |
//! |---|---|
//! | `lease` | until when the live view may be used; no wall clock takes part |
//! | `membership` | this node's part: join, renew, apply what has changed, leave |
//! | `changes` | a unit of work that nodes must know of, and how a node applies it |
//! | `acknowledgement` | the wait for other nodes; those who wait at the same time share one round |
//! | `peers`, `expiry` | which other nodes there are, and which of their leases have run out |
//! | `renewals` | whether the database still takes this node's writes, which says whether to believe it |
//! | `high_water` | how far the feed had come, kept beside the database: an older copy of it is noticed |
//! | `live` | the picture itself |
//!
//! The protocol as a machine of which every run is tried: `tests/coherence/model.rs`. The source: Gray and Cheriton, *Leases*,
//! SOSP 1989; the reasons: `docs/coherence.md`.
//!
//! A change gets its number after its commit. A number given in the transaction would hold one row's lock until the commit
//! is on the disk: ends would wait for each other's disk, and two that lock their sessions in another order would lock
//! each other out. The numbers are dense all the same, and a lower one never appears after a higher.

mod acknowledgement;
mod changes;
mod expiry;
mod high_water;
mod lease;
pub mod live;
mod membership;
mod peers;
mod renewals;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::alert::Alerts;
use crate::clock::Clock;
use crate::config;
use crate::signing_keys::Signing;
use crate::store::Store;
use crate::telemetry::Metrics;
use acknowledgement::AcknowledgementRounds;
pub use changes::Changes;
pub use high_water::remembered_database;
use lease::Lease;
use live::LiveView;
pub use membership::Membership;
use peers::Peers;
use renewals::Renewals;

/// This process's part in the protocol. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Coherence {
    inner: Arc<Inner>,
}

/// What the protocol stands on.
#[derive(Debug)]
pub struct Dependencies {
    /// Reads and writes the database.
    pub store: Store,
    /// The time that is written down; leases are timed by uptime.
    pub clock: Arc<dyn Clock>,
    /// The signing keys, which each node keeps opened.
    pub signing: Arc<Signing>,
    /// Told where the database went back in time.
    pub alerts: Alerts,
    /// The metrics of this server, which operations count in.
    pub metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Inner {
    dependencies: Dependencies,
    rules: Rules,
    live: Arc<LiveView>,
    lease: Lease,
    renewals: Renewals,
    peers: Peers,
    rounds: AcknowledgementRounds,
    /// Held while the keys and not-befores are read anew.
    reading: tokio::sync::Mutex<()>,
}

/// The rules of `[nodes]`.
#[derive(Debug, Clone)]
struct Rules {
    lease: Duration,
    uses_live_view: bool,
    data_dir: PathBuf,
}

impl Coherence {
    /// For a process that is no node yet ([`Coherence::member`]): its changes are known to every node all the same.
    #[must_use]
    pub fn new(dependencies: Dependencies, config: &config::Config) -> Self {
        let nodes = &config.nodes;
        let inner = Inner {
            dependencies,
            rules: Rules { lease: nodes.lease, uses_live_view: nodes.live_view, data_dir: config.data.dir.clone() },
            live: Arc::new(LiveView::new(nodes.live_sessions)),
            lease: Lease::default(),
            renewals: Renewals::default(),
            peers: Peers::default(),
            rounds: AcknowledgementRounds::default(),
            reading: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The picture from which checks are answered while [`Coherence::is_live`].
    #[must_use]
    pub fn live(&self) -> &LiveView {
        &self.inner.live
    }

    /// Whether checks are answered from memory now. Ask before anything is looked up: a lease renewed in between would hide
    /// that what was found is old.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.inner.rules.uses_live_view && self.inner.lease.is_held() && self.inner.live.is_current()
    }

    /// Whether this node holds a lease.
    #[must_use]
    pub fn holds_lease(&self) -> bool {
        self.inner.lease.is_held()
    }

    /// How much is left of the lease.
    #[must_use]
    pub fn lease_left(&self) -> Duration {
        self.inner.lease.left()
    }

    /// Whether there were other nodes when this process looked last.
    #[must_use]
    pub fn has_peers(&self) -> bool {
        self.inner.peers.are_there()
    }

    fn store(&self) -> &Store {
        &self.inner.dependencies.store
    }

    fn metrics(&self) -> &Metrics {
        &self.inner.dependencies.metrics
    }

    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.inner.dependencies.clock.now()
    }
}
