//! Alerts: raised in the transaction of what they are about, kept until a reviewer has looked at them (LOG-11). One
//! operation, one file, each a method of [`Alerts`].
//!
//! Of one kind and subject there is one open alert in a window, with a count; of one kind there is a bounded number in a
//! window, and what goes beyond is counted with one about everybody. So a flood fills neither the disk nor the inbox.
//!
//! What is told to others (a webhook, mails) waits in an outbox and is sent by a job: nothing waits for it.

mod account;
mod deliver;
pub mod inbox;
mod mail;
mod message;
mod notifier;
mod patterns;
mod raise;
mod unrecognised_login;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;
use crate::config;
use crate::connectivity::Connectivity;
use crate::key::Key;
use crate::refusals::Refusals;
use crate::store::Store;
use crate::store::alerts::Bounds;
use crate::telemetry::Metrics;
use mail::Mail;
pub use notifier::InvalidNotifier;
pub use unrecognised_login::REPORT_LINK_LIFE;
use webhook::Webhook;

/// The operations on alerts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Alerts {
    inner: Arc<Inner>,
}

/// What the operations stand on.
#[derive(Debug)]
pub struct Dependencies {
    /// Reads and writes the database.
    pub store: Store,
    /// Tells the time of day, in UTC.
    pub clock: Arc<dyn Clock>,
    /// Derives the tokens by which users report logins.
    pub report_link_key: Key,
    /// Notes what was refused.
    pub refusals: Refusals,
    /// Counts what is raised.
    pub metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Inner {
    dependencies: Dependencies,
    rules: config::Alerts,
    /// In which time failures are looked at together.
    failures_window: TimeDelta,
    webhook: Option<Webhook>,
    mail: Option<Mail>,
}

/// Whether alerts could be posted now. Nothing is posted.
pub async fn try_webhook(config: &config::Config, patience: Duration) -> Result<Option<Connectivity>, InvalidNotifier> {
    match Webhook::open(&config.alerts)? {
        Some(webhook) => Ok(Some(Connectivity::probe(patience, webhook.probe()).await)),
        None => Ok(None),
    }
}

/// Whether mail could leave now. None is sent.
pub async fn try_mail(config: &config::Config, patience: Duration) -> Result<Option<Connectivity>, InvalidNotifier> {
    match Mail::open(config)? {
        Some(mail) => Ok(Some(Connectivity::probe(patience, mail.probe()).await)),
        None => Ok(None),
    }
}

impl Alerts {
    /// The operations, by these rules.
    pub fn new(dependencies: Dependencies, config: &config::Config) -> Result<Self, InvalidNotifier> {
        let inner = Inner {
            dependencies,
            rules: config.alerts.clone(),
            failures_window: delta(config.throttle.window),
            webhook: Webhook::open(&config.alerts)?,
            mail: Mail::open(config)?,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn store(&self) -> &Store {
        &self.inner.dependencies.store
    }

    fn now(&self) -> DateTime<Utc> {
        self.inner.dependencies.clock.now()
    }

    /// The rules of `[alerts]`: from which numbers on alerts are raised.
    #[must_use]
    pub fn rules(&self) -> &config::Alerts {
        &self.inner.rules
    }

    /// How long an alert may be open.
    #[must_use]
    pub fn overdue_after(&self) -> TimeDelta {
        delta(self.inner.rules.overdue_after)
    }

    fn bounds(&self) -> Bounds {
        Bounds { window: delta(self.inner.rules.window), of_kind: i64::from(self.inner.rules.most_of_a_kind) }
    }
}

/// Configured durations are at most days long.
fn delta(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
