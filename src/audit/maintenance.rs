//! Maintenance of the record, run as background jobs. The whole history is verified now and then: damage is recorded, and
//! reviewers are alerted (P6, LOG-11). Of several nodes, one does it. Each signs checkpoints, and tells where there is nothing
//! to be signed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

use super::chain::{Chain, Damage, NotSigned, Verified};
use crate::alert::Alerts;
use crate::clock::Clock;
use crate::model::alert::{AlertDetails, NewAlert};
use crate::model::audit::{AuditContext, AuditEvent, Details, Reason, Subject};
use crate::store::{Db, Store, StoreError, audit};
use crate::telemetry::Metrics;

/// What the watch stands on.
#[derive(Debug)]
pub struct Dependencies {
    /// Reads and writes the database.
    pub store: Store,
    /// Tells the time of day, in UTC.
    pub clock: Arc<dyn Clock>,
    /// The record chain that is verified, sealed and signed.
    pub chain: Chain,
    /// Raises alerts for reviewers, in the transaction of what they are about.
    pub alerts: Alerts,
    /// Shows what was found.
    pub metrics: Arc<Metrics>,
}

/// What keeps the record sealed, signed and verified.
#[derive(Debug)]
pub struct Maintenance {
    dependencies: Dependencies,
    period: TimeDelta,
    /// Whether this process has recorded why it signs nothing.
    reported: AtomicBool,
}

/// What verifying has found, in the words of the record; `Err` says what is damaged.
type Verification = Result<Verified, String>;

impl Maintenance {
    /// Maintenance that verifies once in `period`; zero switches that off.
    #[must_use]
    pub fn new(dependencies: Dependencies, period: std::time::Duration) -> Self {
        Self {
            dependencies,
            period: TimeDelta::from_std(period).unwrap_or(TimeDelta::MAX),
            reported: AtomicBool::new(false),
        }
    }

    /// Verifies, unless some node did within the period. `None` where it is not due.
    pub async fn verify_when_due(&self) -> Result<Option<Verification>, StoreError> {
        if self.period.is_zero() {
            return Ok(None);
        }
        let last = self.dependencies.store.read(audit::last_verified).await?;
        if let Some((at, intact)) = last {
            self.dependencies.metrics.record_verified(at, intact);
        }
        if last.is_some_and(|(at, _)| self.dependencies.clock.now() < at + self.period) {
            return Ok(None);
        }
        let found = self.verify().await?;
        let at = self.dependencies.clock.now();
        self.dependencies.metrics.record_verified(at, found.is_ok());
        self.record(at, &found).await?;
        Ok(Some(found))
    }

    /// Makes sure that a key links the records ([`Chain::begin_key`]); what is wrong with older ones is recorded.
    pub async fn begin_key(&self) -> Result<(), NotSigned> {
        let Some(keyed) = self.dependencies.chain.begin_key().await? else { return Ok(()) };
        tracing::info!(position = keyed.first, "record chain uses keyed hashes from here on");
        if let Some(damage) = keyed.damage {
            self.record(self.dependencies.clock.now(), &Err(damage.to_string())).await?;
        }
        Ok(())
    }

    /// Seals what waits, and signs it into the file.
    pub async fn seal(&self) -> Result<(), StoreError> {
        self.dependencies.chain.seal().await?;
        match self.dependencies.chain.checkpoint_to_file().await {
            Err(NotSigned::Damaged(damage)) => self.report_damage(&damage).await,
            Err(NotSigned::Store(error)) => Err(error),
            Ok(()) => Ok(()),
        }
    }

    /// Signs a checkpoint of the chain. Where it does not continue what was signed before, or the file of the newest cannot
    /// be believed, that is damage: recorded once, and again only after the history was found intact.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        let damage = match self.dependencies.chain.checkpoint().await {
            Ok(_) => self.dependencies.chain.own_checkpoint().err().map(Damage::File),
            Err(NotSigned::Damaged(damage)) => Some(damage),
            Err(NotSigned::Store(error)) => return Err(error),
        };
        if let Some(damage) = damage {
            return self.report_damage(&damage).await;
        }
        self.reported.store(false, Ordering::Relaxed);
        Ok(())
    }

    async fn report_damage(&self, damage: &Damage) -> Result<(), StoreError> {
        let last = self.dependencies.store.read(audit::last_verified).await?;
        if self.reported.load(Ordering::Relaxed) && last.is_some_and(|(_, intact)| !intact) {
            return Ok(());
        }
        let at = self.dependencies.clock.now();
        self.dependencies.metrics.record_verified(at, false);
        self.record(at, &Err(damage.to_string())).await?;
        self.reported.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        let kept = match self.dependencies.chain.own_checkpoint() {
            Ok(kept) => kept,
            Err(unusable) => return Ok(Err(Damage::from(unusable).to_string())),
        };
        let verified = self.dependencies.chain.verify(kept.as_slice(), |_, _| {}).await?;
        Ok(verified.map_err(|damage| damage.to_string()))
    }

    async fn record(&self, at: DateTime<Utc>, found: &Verification) -> Result<(), StoreError> {
        let context = AuditContext::system("watch");
        let (event, alert) = match found {
            Ok(Verified { records, checkpoints, .. }) => {
                let details = Details::RecordVerified { records: *records, checkpoints: *checkpoints };
                (AuditEvent::new(at, details, &context, Subject::everybody()), None)
            }
            Err(damage) => {
                tracing::error!(%damage, "history altered");
                let details = Details::RecordDamaged { damage: damage.clone() };
                let event = AuditEvent::new(at, details, &context, Subject::everybody()).because(Reason::Altered);
                let details = AlertDetails::RecordDamaged { damage: damage.clone() };
                (event, Some(NewAlert::new(at, details, Subject::everybody())))
            }
        };
        let alerts = self.dependencies.alerts.clone();
        let write = move |db: &mut Db| {
            audit::record(db, &event)?;
            alert.map_or(Ok(()), |alert| alerts.raise_in(db, &alert).map(drop))
        };
        self.dependencies.store.write(write).await
    }
}
