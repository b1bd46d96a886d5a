//! Retention (PRV-01, PRV-02): what is older than it is kept is removed, and old addresses are cut, in batches that may
//! break off anywhere: the next run goes on.
//!
//! What is to be removed is recorded, and that event sealed, before the first row goes. So whoever verifies the history
//! learns from the history itself which rows may be missing, and nobody can say so afterwards.

mod clock_jump;
mod run;

use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clock_jump::ClockJumpWatch;
pub use run::Run;

use super::chain::{Chain, cutoffs};
use crate::clock::{Clock, uptime};
use crate::config;
use crate::model::audit::AuditContext;
use crate::model::retention::{Counts, RetentionCutoffs, before};
use crate::signed_removal::RemovalKey;
use crate::store::{Db, Store, StoreError, attempts, audit, retention, sessions};
use crate::telemetry::{LastLogged, Metrics};

/// The pause after a run, before the next that nobody asks for.
const PERIOD: TimeDelta = TimeDelta::hours(1);

/// The operations of retention. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Retention {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dependencies: Dependencies,
    clock_jumps: ClockJumpWatch,
    /// Why this process removes nothing by itself.
    hindrance: LastLogged<Option<Discriminant<RetentionError>>>,
}

/// What the operations stand on.
#[derive(Debug)]
pub struct Dependencies {
    /// Reads and writes the database.
    pub store: Store,
    /// Tells the time of day, in UTC.
    pub clock: Arc<dyn Clock>,
    /// Seals what is recorded of a run.
    pub chain: Chain,
    /// Told what was removed and what is the oldest.
    pub metrics: Arc<Metrics>,
    /// How long what is kept.
    pub rules: config::Retention,
}

/// Why nothing was removed.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The database does not let this process remove anything.
    #[error(
        "the database lets this role remove nothing from the history: run `vigie retention run` as a role that may \
         (docs/retention.md), and set [retention] run = false here"
    )]
    NotAllowed,
    /// Another process is at it.
    #[error("another process removes what is old, or broke off less than ten minutes ago")]
    Claimed,
    /// The clock leapt ahead, or nobody looked at it for a month: somebody has to look.
    #[error("the clock says {0}, far ahead of when it was believed last: if that is right, run `vigie retention run`")]
    ClockAhead(DateTime<Utc>),
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a run removes: the moments before which rows go, and how many rows that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The moments before which something goes.
    pub cutoffs: RetentionCutoffs,
    /// How many rows that concerns now.
    pub counts: Counts,
}

impl Retention {
    /// The operations of retention, by the rules of `[retention]`.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self {
            inner: Arc::new(Inner {
                dependencies,
                clock_jumps: ClockJumpWatch::default(),
                hindrance: LastLogged::default(),
            }),
        }
    }

    fn store(&self) -> &Store {
        &self.inner.dependencies.store
    }

    fn now(&self) -> DateTime<Utc> {
        self.inner.dependencies.clock.now()
    }

    fn removal_key(&self) -> Arc<RemovalKey> {
        Arc::clone(self.inner.dependencies.chain.removal_key())
    }

    /// What a run would remove now.
    pub async fn plan(&self) -> Result<Plan, StoreError> {
        let (asked, removal_key) = (self.asked(), self.removal_key());
        self.store().read_long(move |db| plan(db, asked, &removal_key)).await
    }

    /// How many rows were sealed in the clear, before addresses could be cut, and are so old that theirs should be: they keep
    /// them until they are removed.
    pub async fn sealed_in_the_clear(&self) -> Result<u64, StoreError> {
        let Some(before) = self.asked().addresses else { return Ok(0) };
        let count = self.store().read_long(move |db| retention::in_the_clear(db, before)).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Removes all that is old.
    pub async fn run(&self, context: &AuditContext) -> Result<Run, RetentionError> {
        let mut run = self.begin(context).await?;
        while run.step().await?.is_some() {}
        Ok(run)
    }

    /// Whether a run by itself is due: no process has finished one within the hour. A moment to come is one of a clock that
    /// was put back since.
    pub async fn is_due(&self) -> Result<bool, StoreError> {
        let ran_at = self.store().read(retention::ran_at).await?;
        Ok(ran_at.is_none_or(|ran_at| !(TimeDelta::zero()..PERIOD).contains(&(self.now() - ran_at))))
    }

    /// The same by the clock, if it can be believed; that this process may not is told once.
    pub async fn run_by_itself(&self) -> Result<(), StoreError> {
        let outcome = match self.check_clock().await {
            Ok(()) => self.run(&AuditContext::system("retention")).await,
            Err(error) => Err(error),
        };
        let is_news = self.inner.hindrance.changes_to(outcome.as_ref().err().map(discriminant));
        match outcome {
            Ok(run) => {
                if !run.removed.is_none() {
                    tracing::info!(removed = ?run.removed, "retention removed old history");
                }
                Ok(())
            }
            Err(RetentionError::Claimed) => Ok(()),
            Err(error @ (RetentionError::NotAllowed | RetentionError::ClockAhead(_))) => {
                if is_news {
                    tracing::warn!(cause = %error, "retention skipped");
                }
                Ok(())
            }
            Err(RetentionError::Store(error)) => Err(error),
        }
    }

    /// Refuses a clock that leapt ahead of the moment that was believed last, and says so of a process that would remove
    /// something by it. Where none was believed yet, the oldest event is what cannot have been dated by such a clock.
    async fn check_clock(&self) -> Result<(), RetentionError> {
        let read = |db: &mut Db| {
            let known = match retention::believed_at(db)? {
                Some(believed_at) => Some(believed_at),
                None => audit::oldest(db)?,
            };
            Ok::<_, StoreError>((retention::may_remove(db)?, known))
        };
        let (may_remove, known) = self.store().read(read).await?;
        if !may_remove {
            return Err(RetentionError::NotAllowed);
        }
        let now = self.now();
        if self.inner.clock_jumps.is_believable(now, uptime(), known) {
            Ok(())
        } else {
            Err(RetentionError::ClockAhead(now))
        }
    }

    /// Tells the metrics how old the oldest rows are, and when a run was last finished by whatever process.
    pub async fn measure(&self) -> Result<(), StoreError> {
        let read = |db: &mut Db| {
            let oldest = [
                ("sessions", sessions::oldest(db)?),
                ("attempts", attempts::oldest(db)?),
                ("audit_events", audit::oldest(db)?),
            ];
            Ok::<_, StoreError>((oldest, retention::ran_at(db)?))
        };
        let (oldest, ran_at) = self.store().read(read).await?;
        let metrics = &self.inner.dependencies.metrics;
        for (table, oldest) in oldest {
            let age = oldest.and_then(|oldest| (self.now() - oldest).to_std().ok());
            metrics.oldest_row(table, age.unwrap_or(Duration::ZERO));
        }
        if let Some(since_1970) = ran_at.and_then(|ran_at| u64::try_from(ran_at.timestamp()).ok()) {
            metrics.retention_ran(Duration::from_secs(since_1970));
        }
        Ok(())
    }

    /// What is configured, as moments.
    fn asked(&self) -> RetentionCutoffs {
        let (rules, now) = (self.inner.dependencies.rules, self.now());
        RetentionCutoffs {
            sessions: before(now, rules.sessions.0),
            attempts: before(now, rules.attempts.0),
            events: before(now, rules.audit.0),
            addresses: before(now, rules.addresses.0),
            records: None,
        }
    }
}

/// What is to be removed where so much is asked for, and how many rows that concerns.
fn plan(db: &mut Db, asked: RetentionCutoffs, removal_key: &RemovalKey) -> Result<Plan, StoreError> {
    let cutoffs = cutoffs(db, removal_key)?.or_later(asked);
    let erasures = cutoffs.of_erasures();
    let count = |count: Result<i64, StoreError>| count.map(|count| u64::try_from(count).unwrap_or(0));
    let mut counts = Counts::default();
    if let Some(before) = cutoffs.sessions {
        counts.sessions = count(sessions::count_ended_before(db, before))?;
    }
    if let Some(before) = cutoffs.attempts {
        counts.attempts = count(attempts::count_before(db, before))?;
    }
    if let Some((before, erasures)) = cutoffs.events.zip(erasures) {
        counts.events = count(audit::count_before(db, before, erasures))?;
    }
    if let Some(before) = cutoffs.addresses {
        let whole = [
            sessions::count_whole_addresses(db, before),
            attempts::count_whole_addresses(db, before),
            audit::count_whole_addresses(db, before),
        ];
        counts.addresses = whole.into_iter().map(count).sum::<Result<_, _>>()?;
    }
    Ok(Plan { cutoffs, counts })
}
