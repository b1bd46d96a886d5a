//! The store: the only folder that knows diesel. Queries are plain functions on `&mut Db`, one file a table; a unit of
//! work runs any number of them together: [`Store::read`] changes nothing, [`Store::write`] is one transaction.
//!
//! Which way a statement is run on two databases:
//!
//! | the statement | the way | for example |
//! |---|---|---|
//! | one that diesel's `MultiConnection` takes: select, join, update, insert of one row, delete | as it is, on `&mut Db` | `users::find` |
//! | one whose text both databases read, though `MultiConnection` refuses it: `ON CONFLICT` | `Portable(statement).execute(db)` | `not_befores::raise` |
//! | one that needs the real types: `eq_any` of a list, `RETURNING` | `on_backend!(db, \|connection\| …)`, written once | `sessions::owners` |
//! | many rows | `rows::Insert`, `rows::Listing`: one array a column on PostgreSQL, row by row on SQLite | `users::insert_all` |
//! | a million rows, read once | `raw::each`: values as the driver hands them out | `row_digests::in_range` |
//! | one that only one of them has: locks, notifications, pragmas | `match db`, in a file for that: `advisory`, `notifications`, `connection`, `transaction` | `advisory::lock_shared` |
//!
//! "Not there" is `Option`; "could not ask" is [`StoreError`], which is answered 503 and never decides about a token.

pub mod access_tokens;
mod address;
mod advisory;
pub mod alerts;
pub mod attempts;
pub mod audit;
mod backend;
pub mod catalogue;
pub mod chain;
pub mod changes;
pub mod client_assertions;
pub mod clients;
mod columns;
mod connection;
mod criteria;
pub mod deliveries;
pub mod devices;
mod error;
pub mod keyring;
mod keyset;
pub mod link_keys;
mod migrations;
pub mod nodes;
pub mod not_befores;
mod notifications;
mod older_nodes;
pub mod one_time_tokens;
pub mod pending_erasures;
mod pool;
mod pooler;
mod raw;
pub mod retention;
pub mod roles;
pub mod row_digests;
mod rows;
mod schema;
pub mod sessions;
pub mod shipping;
pub mod signing_keys;
pub mod statistics;
pub mod throttles;
mod transaction;
pub mod users;
pub mod versioned_rows;
mod writer;

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use address::Address;
pub use backend::Db;
pub use error::{Constraint, OpenError, Overtaken, StoreError};
pub use keyset::{Page, Position};
pub use migrations::Migrated;
pub use notifications::Notifications;
use pool::Pool;
pub use rows::PER_STATEMENT;
use writer::Writer;

/// How many times [`Settings::wait`] a caller waits for PostgreSQL to do a unit of work.
const PATIENCE: u32 = 5;

tokio::task_local! {
    /// How much longer the units of work of this task may take, where they are counted together.
    static LEFT: Cell<Duration>;
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address of the database.
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
    /// A PostgreSQL server that cannot be reached is an error here: a start should fail loudly. So is one behind a pooler that
    /// does not keep sessions.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        settings.address.prepare()?;
        pooler::refuse_shared_sessions(&settings.address, settings.wait, settings.wait * PATIENCE)?;
        let writer = match &settings.address {
            Address::Sqlite(_) => {
                let first = settings.address.connect(settings.wait)?;
                Some(Writer::start(first, settings.address.clone(), settings.wait))
            }
            Address::Postgres(_) => None,
        };
        let pool = Pool::new(&settings)?;
        Ok(Self { inner: Arc::new(Inner { settings, pool, writer }) })
    }

    /// The address of the database.
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
        self.in_time(self.read_long(work)).await
    }

    /// The same for reports, which may take as long as the database lets a statement run.
    pub async fn read_long<T, E>(&self, work: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.pool.run(work)).await
    }

    /// Runs queries in one transaction: kept on `Ok`, undone on `Err`. Returns after the commit is durable (P3).
    ///
    /// An error while committing, or no answer in time, leaves open whether it was kept, but it is kept whole or not at
    /// all; it is reported as [`StoreError::Unavailable`].
    pub async fn write<T, E>(&self, work: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let given_up = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&given_up);
        let unless_given_up = move |db: &mut Db| {
            let value = work(db)?;
            if seen.load(Ordering::SeqCst) { Err(out_of_time().into()) } else { Ok(value) }
        };
        let outcome = self.in_time(self.write_long(unless_given_up)).await;
        // Whoever is told that nothing is known finds nothing done later, unless the commit was under way already.
        given_up.store(true, Ordering::SeqCst);
        outcome
    }

    /// The same for units of work that grow with their input, such as an import.
    pub async fn write_long<T, E>(&self, work: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        if let Some(writer) = &self.inner.writer {
            return writer.run(work).await;
        }
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.pool.run_in_transaction(work)).await
    }

    /// Runs one statement that needs no transaction around it: a third of the way to PostgreSQL and back.
    pub async fn write_autocommit<T, E>(
        &self,
        statement: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let statement = move |db: &mut Db| {
            let began = Instant::now();
            let value = statement(db)?;
            transaction::confirm(db, began)?;
            Ok(value)
        };
        self.write_non_durable(statement).await
    }

    /// The same for a statement that need not be durable, and says so to PostgreSQL.
    pub async fn write_non_durable<T, E>(
        &self,
        statement: impl FnOnce(&mut Db) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match self.inner.writer {
            Some(_) => self.write(statement).await,
            None => self.read(statement).await,
        }
    }

    /// Gives up on a server that does not answer. libpq waits for ever where a network swallows the answer; the thread
    /// that waits there cannot be called back, its caller can. A file does answer.
    async fn in_time<T, E: From<StoreError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let patience = match LEFT.try_with(Cell::get) {
            Ok(left) => left,
            Err(_) if self.is_a_file() => return work.await,
            Err(_) => self.patience(),
        };
        let began = Instant::now();
        let outcome = tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(out_of_time().into()));
        // Where nobody counts, nothing is left to be set.
        LEFT.try_with(|left| left.set(patience.saturating_sub(began.elapsed()))).ok();
        outcome
    }

    /// Does work of which all units together wait for no longer than one may: what somebody looks at asks for several, one after the
    /// other. Whichever comes when the time is over is told that the database is not available, as when it alone had waited.
    pub async fn within_one_wait<T>(&self, work: impl Future<Output = T>) -> T {
        LEFT.scope(Cell::new(self.patience()), work).await
    }

    /// How long a unit of work may take. A file answers by itself when its lock was waited for; a moment later than that.
    fn patience(&self) -> Duration {
        let wait = self.inner.settings.wait;
        if self.is_a_file() { wait + wait / 4 } else { wait * PATIENCE }
    }

    /// Closes the files of a SQLite database to others on this machine.
    pub fn close_to_others(&self) -> std::io::Result<()> {
        self.inner.settings.address.close_to_others()
    }

    /// Applies the migrations that are missing, under a lock, so that nodes may start together.
    pub async fn migrate(&self) -> Result<Migrated, OpenError> {
        let Settings { address, wait, .. } = self.inner.settings.clone();
        blocking(move || migrations::run(address.connect(wait)?, wait)).await
    }

    /// The migrations that are missing, by name.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, OpenError> {
        let Settings { address, wait, .. } = self.inner.settings.clone();
        blocking(move || migrations::pending(address.connect(wait)?, wait)).await
    }

    /// Undoes every migration: for tests of the `down.sql` files.
    pub async fn revert_all(&self) -> Result<(), OpenError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || migrations::revert_all(&mut inner.settings.address.connect(inner.settings.wait)?)).await
    }

    /// Tells the nodes on this database that there are changes to read. Only saves them time: it may get lost.
    pub async fn notify(&self) -> Result<(), StoreError> {
        self.read(notifications::send).await
    }

    /// Hears such notifications on a connection of its own.
    #[must_use]
    pub fn notifications(&self) -> Notifications {
        Notifications::new(self.inner.settings.address.clone(), self.inner.settings.wait)
    }

    /// Whether it is a file: no other copy of it is written to.
    #[must_use]
    pub fn is_a_file(&self) -> bool {
        self.address().is_a_file()
    }

    /// How long a unit of work waits for a connection or a lock.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.inner.settings.wait
    }

    /// Uses none of the connections again that there are: the server may have been left behind by a failover.
    pub async fn reconnect(&self) {
        let inner = Arc::clone(&self.inner);
        // Closing connections may block.
        let closing = blocking(move || {
            inner.pool.reconnect();
            Ok::<_, StoreError>(())
        });
        let _ = closing.await;
    }

    /// How many connections were made so far. While that stays the same, the server has not started again.
    #[must_use]
    pub fn connections_made(&self) -> u64 {
        self.inner.pool.connections_made()
    }

    /// How often a connection led to another server than the one before. While that stays the same, it is one that answers.
    #[must_use]
    pub fn server_changes(&self) -> u64 {
        self.inner.pool.server_changes()
    }

    /// Whether a unit of work found no room since [`Self::note_free_space`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.inner.pool.is_full().load(Ordering::Relaxed)
    }

    /// There is room again.
    pub fn note_free_space(&self) {
        self.inner.pool.is_full().store(false, Ordering::Relaxed);
    }

    /// Whether the database answers now, and takes writes.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read(connection::ping).await
    }

    /// The database's own clock, for comparing with this machine's.
    pub async fn database_time(&self) -> Result<Option<chrono::DateTime<chrono::Utc>>, StoreError> {
        self.read(connection::database_time).await
    }

    /// Brings SQLite's file up to what was committed, as far as nobody is held up by it: what stands in the write-ahead log
    /// alone is not in a copy of the file.
    pub async fn checkpoint_wal(&self) -> Result<(), StoreError> {
        self.read(connection::checkpoint_wal).await
    }

    /// Stops taking work, finishes what waits, and closes the connections.
    pub fn close(&self) {
        let Some(writer) = &self.inner.writer else { return };
        writer.stop();
        if let Err(error) = self.inner.pool.run(connection::checkpoint_wal) {
            tracing::debug!(cause = %error, "the write-ahead log stays beside the database");
        }
    }
}

fn out_of_time() -> StoreError {
    StoreError::Unavailable("the database does not answer in time".into())
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
