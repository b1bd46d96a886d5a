//! Events leave the house (LOG-08): what is sealed is sent on at once, in the order of the chain, to systems that whoever
//! gains power over this one has no power over.
//!
//! Each sink has a cursor in the database, which moves when the sink has taken a shipment: nothing is lost by an outage or
//! a restart, and no request waits. What was taken without an answer reaching us is sent again: positions in the chain tell
//! doubles. One node ships to a sink at a time, by a claim that runs out.

mod error;
mod file;
mod shipment;
mod sink;
mod syslog;
mod webhook;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

pub use error::{InvalidSink, SinkError};
pub use sink::Sink;

use crate::clock::Clock;
use crate::config::Config;
use crate::model::id::NodeId;
use crate::signed_removal::RemovalKey;
use crate::store::shipping::{self, Claim, Cursor, SinkStatus};
use crate::store::{Db, Store, StoreError, chain};
use crate::telemetry::Metrics;
use shipment::Following;

/// Records looked at for one shipment.
const BATCH: i64 = 200;
/// How long a claim lasts: half of it is longer than a sink may take for a shipment, clocks that differ included.
const CLAIM: TimeDelta = TimeDelta::seconds(30);

/// The sinks of this node, and what is sent to them.
#[derive(Debug)]
pub struct Shipping {
    dependencies: Dependencies,
    node: NodeId,
    sinks: Vec<Sink>,
}

/// What shipping stands on.
#[derive(Debug)]
pub struct Dependencies {
    /// Reads and writes the database.
    pub store: Store,
    /// Tells the time of day, in UTC.
    pub clock: Arc<dyn Clock>,
    /// Told how far sinks lag behind.
    pub metrics: Arc<Metrics>,
    /// Tells what retention has removed from what was lost.
    pub removal_key: Arc<RemovalKey>,
    /// The name that checkpoints call the chain by.
    pub history: String,
}

/// What a step has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// There was nothing to send, or another node sends it.
    Idle,
    /// The sink took a shipment, and the cursor moved.
    Shipped,
    /// The claim ran out while the sink took a shipment: another node may have sent the same.
    LostClaim,
}

/// Nothing was sent, or nobody knows whether it was: the cursor stays.
#[derive(Debug, thiserror::Error)]
pub enum ShippingError {
    /// The sink did not take it.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The database cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Shipping {
    /// Makes the configured sinks ready; nothing is sent yet.
    pub fn new(dependencies: Dependencies, config: &Config) -> Result<Self, InvalidSink> {
        let node = NodeId::new(dependencies.clock.now());
        Ok(Self { dependencies, node, sinks: Sink::configured(config)? })
    }

    /// The sinks of `[shipping]`, in the order of its sections.
    #[must_use]
    pub fn sinks(&self) -> &[Sink] {
        &self.sinks
    }

    /// Sends one shipment to a sink, if there is anything to send.
    pub async fn step(&self, sink: &Sink) -> Result<Progress, ShippingError> {
        let (name, now) = (sink.name(), self.dependencies.clock.now());
        let backlog = self.dependencies.store.read(move |db| Backlog::of(db, name)).await?;
        self.report_lag(name, &backlog, now);
        if backlog.is_empty() || backlog.is_claimed_by_another(self.node, now) {
            return Ok(Progress::Idle);
        }
        let Some(from) = self.claim(name, &backlog, now).await? else { return Ok(Progress::Idle) };
        let removal_key = Arc::clone(&self.dependencies.removal_key);
        let following = self.dependencies.store.read(move |db| Following::after(db, from, BATCH, &removal_key)).await?;
        let shipment = following.shipment(sink.format(), &self.dependencies.history);
        if !shipment.items.is_empty() {
            sink.take(&shipment, now).await.inspect_err(|_| self.dependencies.metrics.shipping_failed(name))?;
        }
        let (to, claim) = (following.until(), self.claim_from(self.dependencies.clock.now()));
        let is_ours = self.dependencies.store.write(move |db| shipping::advance(db, name, claim, from, to)).await?;
        Ok(if is_ours { Progress::Shipped } else { Progress::LostClaim })
    }

    /// Makes sure that no other node ships until a sink has had its time; the cursor to go on from. `None` where another was
    /// quicker.
    async fn claim(
        &self,
        sink: &'static str,
        backlog: &Backlog,
        now: DateTime<Utc>,
    ) -> Result<Option<Cursor>, StoreError> {
        let SinkStatus { cursor, claim: held } = backlog.status;
        if held.is_some_and(|held| held.node == self.node && held.until - now > CLAIM / 2) {
            return Ok(Some(cursor));
        }
        let claim = self.claim_from(now);
        self.dependencies.store.write(move |db| shipping::claim(db, sink, claim, now)).await
    }

    fn claim_from(&self, now: DateTime<Utc>) -> Claim {
        Claim { node: self.node, until: now + CLAIM }
    }

    /// Lets other nodes ship at once.
    pub async fn release(&self) -> Result<(), StoreError> {
        let node = self.node;
        self.dependencies.store.write(move |db| shipping::release(db, node)).await
    }

    fn report_lag(&self, sink: &'static str, backlog: &Backlog, now: DateTime<Utc>) {
        let age = backlog.oldest.map(|at| (now - at).to_std().unwrap_or_default());
        self.dependencies.metrics.shipping_lag(sink, backlog.records, age.unwrap_or_default());
    }
}

/// What a sink has not taken yet.
struct Backlog {
    status: SinkStatus,
    records: i64,
    oldest: Option<DateTime<Utc>>,
    has_checkpoint: bool,
}

impl Backlog {
    fn of(db: &mut Db, sink: &str) -> Result<Self, StoreError> {
        let status = shipping::status(db, sink)?;
        let Cursor { position, checkpoint_size } = status.cursor;
        let size = chain::head(db)?.size;
        let oldest = chain::page(db, position, size, 1)?.first().map(|sealed| sealed.record.at);
        let newest = chain::newest_checkpoint(db)?;
        let has_checkpoint = newest.is_some_and(|checkpoint| checkpoint.size > checkpoint_size);
        Ok(Self { status, records: (size - position).max(0), oldest, has_checkpoint })
    }

    const fn is_empty(&self) -> bool {
        self.records == 0 && !self.has_checkpoint
    }

    fn is_claimed_by_another(&self, node: NodeId, now: DateTime<Utc>) -> bool {
        self.status.claim.is_some_and(|claim| claim.node != node && claim.until > now)
    }
}
