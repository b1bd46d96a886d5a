//! Pooled connections (r2d2): reading ones for SQLite, all for PostgreSQL.

use std::time::{Duration, Instant};

use diesel::prelude::*;

use super::Settings;
use super::backend::{self, Address, Db};
use super::error::{OpenError, StoreError};

/// A connection that served well this recently is taken without asking whether it still lives: one query saved on a busy
/// server. Should it be dead after all, that one unit of work fails; whoever comes next asks first.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Pool(r2d2::Pool<Manager>);

#[derive(Debug)]
struct Manager {
    address: Address,
    wait: Duration,
}

/// A connection, and since when it is trusted: when it last served well, unless it failed since.
pub(super) struct Pooled {
    db: Db,
    trusted_since: Option<Instant>,
    broken: bool,
}

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = ConnectionError;

    fn connect(&self) -> Result<Pooled, ConnectionError> {
        let db = self.address.connect_pooled(self.wait)?;
        Ok(Pooled { db, trusted_since: Some(Instant::now()), broken: false })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), ConnectionError> {
        if pooled.trusted_since.is_some_and(|moment| moment.elapsed() < TRUSTED_FOR) {
            return Ok(());
        }
        backend::ping(&mut pooled.db).map_err(|error| ConnectionError::BadConnection(error.to_string()))
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.broken || std::thread::panicking()
    }
}

/// r2d2 reports connections it cannot make to the log only; the unit of work that waited in vain is told `Unavailable`.
#[derive(Debug)]
struct LogOnce;

impl r2d2::HandleError<ConnectionError> for LogOnce {
    fn handle_error(&self, error: ConnectionError) {
        tracing::debug!(cause = %error, "a database connection could not be made");
    }
}

impl Pool {
    pub fn new(settings: &Settings) -> Result<Self, OpenError> {
        let manager = Manager { address: settings.address.clone(), wait: settings.wait };
        let pool = r2d2::Pool::builder()
            .max_size(settings.pool_size)
            .min_idle(Some(1))
            .connection_timeout(settings.wait)
            .error_handler(Box::new(LogOnce))
            .build(manager)
            .map_err(|error| OpenError::Connect(error.to_string()))?;
        Ok(Self(pool))
    }

    /// Runs `work` on a connection. A connection that failed it for an outside reason is not used again.
    pub fn run<T, E: From<StoreError>>(&self, work: impl FnOnce(&mut Db) -> Result<T, E>) -> Result<T, E> {
        let mut pooled = self.0.get().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let result = work(&mut pooled.db);
        pooled.broken = is_broken(&mut pooled.db);
        pooled.trusted_since = result.is_ok().then(Instant::now);
        result
    }
}

/// Whether a transaction was left open, or the server has gone.
fn is_broken(db: &mut Db) -> bool {
    use diesel::connection::{TransactionManager, TransactionManagerStatus};
    let status: &mut TransactionManagerStatus =
        <Db as Connection>::TransactionManager::transaction_manager_status_mut(db);
    !matches!(status.transaction_depth(), Ok(None))
}
