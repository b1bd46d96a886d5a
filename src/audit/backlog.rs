//! Looks whether sealing goes on. What is written to the history can be changed unseen until it is sealed, so reviewers are
//! alerted where that stands still, whatever the reason: a lock that somebody holds, a row that nobody can read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::alert::Alerts;
use crate::clock::Clock;
use crate::model::alert::{AlertDetails, NewAlert};
use crate::model::audit::Subject;
use crate::store::{Store, StoreError, chain};
use crate::telemetry::Metrics;

/// How long a record may wait; as a rule it is half a second.
pub const STANDSTILL: Duration = Duration::from_secs(5);
/// More are not counted.
const MOST_COUNTED: i64 = 100_000;

/// What the look stands on.
#[derive(Debug)]
pub struct Dependencies {
    /// Reads and writes the database.
    pub store: Store,
    /// Tells the time of day, in UTC.
    pub clock: Arc<dyn Clock>,
    /// Raises alerts for reviewers, in the transaction of what they are about.
    pub alerts: Alerts,
    /// The metrics that show how many records wait, and how long.
    pub metrics: Arc<Metrics>,
}

/// Records that wait to be sealed, as one process sees them.
#[derive(Debug)]
pub struct Backlog {
    dependencies: Dependencies,
    /// The record that waits longest, and since when it was seen doing so: what time it bears says nothing of that.
    oldest: Mutex<Option<(i64, Duration)>>,
    is_told: AtomicBool,
}

impl Backlog {
    /// Nothing was seen yet.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self { dependencies, oldest: Mutex::default(), is_told: AtomicBool::new(false) }
    }

    /// Looks at what waits, at this uptime. Raises one alert for each standstill.
    pub async fn look(&self, uptime: Duration) -> Result<(), StoreError> {
        let waiting = self.dependencies.store.read(|db| chain::backlog(db, MOST_COUNTED)).await?;
        let age = self.age(waiting.oldest, uptime);
        self.dependencies.metrics.record_waiting(waiting.count, age);
        if age < STANDSTILL {
            self.is_told.store(false, Ordering::Relaxed);
            return Ok(());
        }
        if self.is_told.load(Ordering::Relaxed) {
            return Ok(());
        }
        tracing::error!(records = waiting.count, seconds = age.as_secs(), "sealing has stopped");
        let details = AlertDetails::SealingStopped { records: waiting.count };
        let alert = NewAlert::new(self.dependencies.clock.now(), details, Subject::everybody());
        self.dependencies.alerts.raise(alert).await?;
        self.is_told.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// How long this record has been the oldest.
    fn age(&self, oldest: Option<i64>, uptime: Duration) -> Duration {
        let mut seen = self.oldest.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = oldest.map(|id| match *seen {
            Some((before, since)) if before == id => (id, since),
            _ => (id, uptime),
        });
        seen.map_or(Duration::ZERO, |(_, since)| uptime.saturating_sub(since))
    }
}
