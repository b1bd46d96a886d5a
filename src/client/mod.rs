//! Registered applications: each operation a method of [`Clients`]. A client's secret is shown once.
//!
//! | file | knows |
//! |---|---|
//! | `registration` | register, give another secret, remove: each holds on every node when it is answered |
//! | `authenticate` | who is this client? |
//! | `failures` | what failed authentications cost, and what many of them together are |
//! | `last_use` | when clients were last used |

pub mod authenticate;
mod failures;
mod last_use;
pub mod registration;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::alert::Alerts;
use crate::clock::Clock;
use crate::coherence::Coherence;
use crate::config;
use crate::model::audit::{AuditContext, AuditKind, Reason, Subject, SubjectKind};
use crate::model::client::{Client, ClientId};
use crate::refusals::Refusals;
use crate::session::Sessions;
use crate::store::{Constraint, Page, Store, StoreError, clients};
use failures::Failures;
use last_use::LastUses;

/// The operations on clients. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clients {
    inner: Arc<Inner>,
}

/// What the operations stand on.
#[derive(Debug)]
pub struct Dependencies {
    /// Reads and writes the database.
    pub store: Store,
    /// Tells the time of day, in UTC.
    pub clock: Arc<dyn Clock>,
    /// Makes changes known to every node, and says what this one may answer from memory.
    pub coherence: Coherence,
    /// Ends the sessions of clients that are removed.
    pub sessions: Sessions,
    /// Notes what was refused.
    pub refusals: Refusals,
    /// Raises alerts for reviewers, in the transaction of what they are about.
    pub alerts: Alerts,
}

#[derive(Debug)]
struct Inner {
    dependencies: Dependencies,
    rules: Rules,
    failures: Failures,
    last_uses: LastUses,
}

/// The rules of `[clients]` and `[tokens]`.
#[derive(Debug)]
struct Rules {
    secret_overlap: TimeDelta,
    /// What assertions are meant for.
    issuer: String,
    /// How far in the future their times may lie.
    tolerance: std::time::Duration,
}

/// Why an operation on a client was not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no such client.
    #[error("there is no such client")]
    NotFound,
    /// Another client has this id, or it is Vigie's own.
    #[error("the id is taken, or means something else already")]
    IdTaken,
    /// The store cannot be asked.
    #[error(transparent)]
    Store(StoreError),
}

impl ClientError {
    /// Why it was refused; `None` where nothing was decided.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::NotFound => Some(Reason::NotFound),
            Self::IdTaken => Some(Reason::IdTaken),
            Self::Store(error) => error.reason(),
        }
    }
}

impl From<StoreError> for ClientError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(Constraint::ClientId) => Self::IdTaken,
            other => Self::Store(other),
        }
    }
}

impl Clients {
    /// The operations, by these rules.
    #[must_use]
    pub fn new(dependencies: Dependencies, config: &config::Config) -> Self {
        let rules = Rules {
            secret_overlap: TimeDelta::from_std(config.clients.secret_overlap).unwrap_or(TimeDelta::MAX),
            issuer: config.issuer(),
            tolerance: config.tokens.clock_tolerance,
        };
        let failures = Failures::new(config.alerts.client_failures);
        Self { inner: Arc::new(Inner { dependencies, rules, failures, last_uses: LastUses::default() }) }
    }

    fn store(&self) -> &Store {
        &self.inner.dependencies.store
    }

    fn now(&self) -> DateTime<Utc> {
        self.inner.dependencies.clock.now()
    }

    fn refusals(&self) -> &Refusals {
        &self.inner.dependencies.refusals
    }

    /// Hands an outcome on; a refusal is noted for the record.
    fn noted<T>(
        &self,
        outcome: Result<T, ClientError>,
        operation: AuditKind,
        id: &ClientId,
        context: &AuditContext,
    ) -> Result<T, ClientError> {
        if let Some(reason) = outcome.as_ref().err().and_then(ClientError::reason) {
            self.refusals().note_operation(operation, reason, Subject::new(SubjectKind::Client, id), context);
        }
        outcome
    }

    /// Clients by id, those after `after`.
    pub async fn list(&self, after: Option<ClientId>, limit: i64) -> Result<Page<Client, ClientId>, StoreError> {
        self.store().read(move |db| clients::list(db, after.as_ref(), limit)).await
    }

    /// The client with this id.
    pub async fn find(&self, id: ClientId) -> Result<Option<Client>, StoreError> {
        self.store().read(move |db| clients::find(db, &id)).await
    }
}
