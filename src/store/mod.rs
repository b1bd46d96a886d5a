//! The store: the only folder that knows diesel. Queries are plain functions on `&mut Db`, one file a table; a unit of
//! work runs any number of them together: [`Store::read`] changes nothing, [`Store::write`] is one transaction.
//!
//! "Not there" is `Option`; "could not ask" is [`StoreError`], which is answered 503 and never decides about a token.

pub mod access_tokens;
pub mod attempts;
pub mod audit;
mod backend;
pub mod clients;
mod columns;
mod error;
mod keyset;
mod migrations;
pub mod not_befores;
pub mod one_time_tokens;
mod pool;
mod schema;
pub mod sessions;
pub mod signing_keys;
pub mod statistics;
pub mod throttles;
pub mod users;
mod writer;

use std::sync::Arc;
use std::time::Duration;

pub use backend::{Address, Db, InvalidAddress};
pub use error::{Constraint, OpenError, StoreError};
pub use keyset::Page;
pub use migrations::Migrated;
use pool::Pool;
use writer::Writer;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which database.
    pub address: Address,
    /// Connections kept (reading ones, for SQLite).
    pub pool_size: u32,
    /// How long a unit of work waits for a connection or a lock.
    pub wait: Duration,
}

/// An open database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    pool: Pool,
    /// SQLite has one writer at a time: a thread that owns its connection makes the queue. PostgreSQL needs none.
    writer: Option<Writer>,
}

impl Store {
    /// Opens the database; a SQLite file that is not there is made. Migrations are not run.
    ///
    /// A PostgreSQL server that cannot be reached is an error here: a start should fail loudly.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        settings.address.prepare()?;
        let first = settings.address.connect(settings.wait)?;
        let writer = match &settings.address {
            Address::Sqlite(_) => Some(Writer::start(first, settings.address.clone(), settings.wait)),
            Address::Postgres(_) => None,
        };
        let pool = Pool::new(&settings)?;
        Ok(Self { inner: Arc::new(Inner { settings, pool, writer }) })
    }

    /// Which database it is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.inner.settings.address
    }

    /// Runs queries that change nothing.
    pub async fn read<T, E>(&self, work: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.pool.run(work)).await
    }

    /// Runs queries in one transaction: kept on `Ok`, undone on `Err`. Returns after the commit is durable (P3).
    ///
    /// An error while committing leaves open whether it was kept; it is reported as [`StoreError::Unavailable`].
    pub async fn write<T, E>(&self, work: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        if let Some(writer) = &self.inner.writer {
            return writer.run(work).await;
        }
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.pool.run(|db| backend::transaction(db, work))).await
    }

    /// Applies the migrations that are missing, under a lock, so that nodes may start together.
    pub async fn migrate(&self) -> Result<Migrated, OpenError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || migrations::run(inner.settings.address.connect(inner.settings.wait)?)).await
    }

    /// The migrations that are missing, by name.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, OpenError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || migrations::pending(&mut inner.settings.address.connect(inner.settings.wait)?)).await
    }

    /// Undoes every migration: for tests of the `down.sql` files.
    pub async fn revert_all(&self) -> Result<(), OpenError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || migrations::revert_all(&mut inner.settings.address.connect(inner.settings.wait)?)).await
    }

    /// Whether the database answers now.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read(backend::ping).await
    }

    /// The database's own clock, for comparing with this machine's.
    pub async fn database_time(&self) -> Result<Option<chrono::DateTime<chrono::Utc>>, StoreError> {
        self.read(backend::database_time).await
    }

    /// Stops taking work, finishes what waits, and closes the connections.
    pub fn close(&self) {
        if let Some(writer) = &self.inner.writer {
            writer.stop();
        }
    }
}

/// Runs blocking work on a thread kept for it: actix workers run single-threaded runtimes, where blocking in place panics.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failed) => Err(StoreError::Unavailable(format!("the unit of work did not finish: {failed}")).into()),
    }
}

/// The pattern of `LIKE … ESCAPE '\'` for texts that contain `part`.
fn containing(part: &str) -> String {
    let mut pattern = String::with_capacity(part.len() + 2);
    pattern.push('%');
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
