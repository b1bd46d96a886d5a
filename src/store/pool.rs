//! Pooled connections (r2d2): reading ones for SQLite, all for PostgreSQL.
//!
//! A connection may have been cut while it lay idle: by a pooler, a firewall, a server that restarted. Nothing that is asked
//! for may fail by that. So a connection is looked at before it is used: whether the other side has hung up is known without
//! asking it, and one that has lain for longer is asked. One that passes and is dead all the same fails the BEGIN of a
//! transaction: nothing was done, so another is tried, once. Whatever was sent after that is never repeated: whether a COMMIT
//! whose answer is lost was done, nobody knows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use diesel::prelude::*;

use super::Settings;
use super::address::Address;
use super::backend::Db;
use super::connection;
use super::connection::Server;
use super::error::{OpenError, StoreError};
use super::transaction;

/// A connection that served well this recently is taken without asking whether it still lives: one query saved on a busy
/// server.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Connections that all lead to one server: that of the newest.
#[derive(Debug)]
pub(super) struct Pool {
    settings: Settings,
    servers: Arc<Servers>,
    known: Arc<Known>,
    connections: RwLock<r2d2::Pool<Manager>>,
}

/// Which servers were connected to.
#[derive(Debug, Default)]
struct Servers {
    /// The one that the newest connection leads to.
    newest: Mutex<String>,
    /// How often it was another than before.
    changes: AtomicU64,
    /// Connections made so far.
    connections: AtomicU64,
    /// Whether the last that was tried takes no writes.
    are_read_only: AtomicBool,
    /// Whether a unit of work found no room since it was looked for.
    is_full: Arc<AtomicBool>,
}

/// What was learnt of the connections by using them.
#[derive(Debug, Default)]
struct Known {
    /// When one was found dead last: those that served before are asked again.
    doubted: Mutex<Option<Instant>>,
    /// Whether one was found to be answered by another session of the server than before.
    sessions_are_shared: AtomicBool,
}

#[derive(Debug)]
struct Manager {
    address: Address,
    wait: Duration,
    servers: Arc<Servers>,
    known: Arc<Known>,
}

type Taken = r2d2::PooledConnection<Manager>;

/// A connection, and since when it is trusted: when it last served well, unless it failed since.
pub(super) struct Pooled {
    db: Db,
    session: i32,
    trusted_since: Option<Instant>,
    broken: bool,
    /// [`Servers::changes`] when it was made.
    server: u64,
}

impl Servers {
    /// A connection was made to this server.
    fn note(&self, server: String) -> u64 {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if *newest != server {
            *newest = server;
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        self.connections.fetch_add(1, Ordering::SeqCst);
        self.changes.load(Ordering::SeqCst)
    }

    fn is_newest(&self, server: u64) -> bool {
        self.changes.load(Ordering::SeqCst) == server
    }
}

impl Known {
    fn doubt_all(&self) {
        *self.doubted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_trusted(&self, since: Instant) -> bool {
        let doubted = *self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        since.elapsed() < TRUSTED_FOR && doubted.is_none_or(|moment| moment < since)
    }

    /// Goes on refusing: what was set on a connection before may hold on none of them.
    fn sessions_are_shared(&self) -> ConnectionError {
        if !self.sessions_are_shared.swap(true, Ordering::Relaxed) {
            tracing::error!("{}", OpenError::SharedSessions);
        }
        ConnectionError::BadConnection(OpenError::SharedSessions.to_string())
    }
}

impl r2d2::ManageConnection for Manager {
    type Connection = Pooled;
    type Error = ConnectionError;

    fn connect(&self) -> Result<Pooled, ConnectionError> {
        let connected = self.address.connect_pooled(self.wait);
        let fault = connected.as_ref().err().map(|error| StoreError::not_connected(&error.to_string()));
        self.servers.are_read_only.store(matches!(fault, Some(StoreError::ReadOnly(_))), Ordering::Relaxed);
        let (mut db, Server { name, session, .. }) = connected?;
        connection::note_when_full(&mut db, &self.servers.is_full);
        let server = self.servers.note(name);
        Ok(Pooled { db, session, trusted_since: Some(Instant::now()), broken: false, server })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), ConnectionError> {
        if !self.servers.is_newest(pooled.server) {
            return Err(ConnectionError::BadConnection("it leads to another server than the newest".into()));
        }
        if !connection::has_not_hung_up(&mut pooled.db) {
            return Err(ConnectionError::BadConnection("the other side has hung up".into()));
        }
        if pooled.trusted_since.is_some_and(|moment| self.known.is_trusted(moment)) {
            return Ok(());
        }
        match connection::server(&mut pooled.db) {
            Ok(Server { session, .. }) if session == pooled.session => Ok(()),
            Ok(_) => Err(self.known.sessions_are_shared()),
            Err(error) => Err(ConnectionError::BadConnection(error.to_string())),
        }
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
        tracing::debug!(cause = %error, "database connection failed");
    }
}

impl Pool {
    pub fn new(settings: &Settings) -> Result<Self, OpenError> {
        let (servers, known) = (Arc::<Servers>::default(), Arc::<Known>::default());
        let manager = Manager::new(settings, &servers, &known);
        let connections = builder(settings).build_unchecked(manager);
        drop(connections.get().map_err(|error| OpenError::Connect(error.to_string()))?);
        Ok(Self { settings: settings.clone(), servers, known, connections: RwLock::new(connections) })
    }

    /// Runs `work` on a connection. A connection that failed it for an outside reason is not used again. What a server said
    /// that has been replaced meanwhile counts for nothing.
    pub fn run<T, E: From<StoreError>>(&self, work: impl FnOnce(&mut Db) -> Result<T, E>) -> Result<T, E> {
        let taken = self.take()?;
        self.use_up(taken, work)
    }

    /// The same in one transaction: kept on `Ok`, undone on `Err`.
    pub fn run_in_transaction<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T, E>,
    ) -> Result<T, E> {
        let taken = self.begin()?;
        self.use_up(taken, |db| transaction::complete(db, work))
    }

    fn take(&self) -> Result<Taken, StoreError> {
        if self.known.sessions_are_shared.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable(OpenError::SharedSessions.to_string()));
        }
        let connections = self.connections.read().unwrap_or_else(PoisonError::into_inner).clone();
        connections.get().map_err(|error| self.not_connected(&error))
    }

    /// A connection with an open transaction. One that fails to begin it was dead before anything was done.
    fn begin(&self) -> Result<Taken, StoreError> {
        let mut taken = self.take()?;
        if self.begin_on(&mut taken).is_ok() {
            return Ok(taken);
        }
        drop(taken);
        let mut another = self.take()?;
        self.begin_on(&mut another).map(|()| another)
    }

    /// Where this fails, so may all that lay idle as long.
    fn begin_on(&self, pooled: &mut Pooled) -> Result<(), StoreError> {
        let begun = transaction::begin(&mut pooled.db);
        if begun.is_err() {
            pooled.broken = true;
            self.known.doubt_all();
        }
        begun
    }

    fn use_up<T, E: From<StoreError>>(
        &self,
        mut taken: Taken,
        work: impl FnOnce(&mut Db) -> Result<T, E>,
    ) -> Result<T, E> {
        let pooled = &mut *taken;
        let result = work(&mut pooled.db);
        pooled.broken = is_broken(&mut pooled.db);
        pooled.trusted_since = result.is_ok().then(Instant::now);
        if result.is_err() && !connection::has_not_hung_up(&mut pooled.db) {
            pooled.broken = true;
            self.known.doubt_all();
        }
        if !self.servers.is_newest(pooled.server) {
            return Err(StoreError::Unavailable("another server has taken its place".into()).into());
        }
        result
    }

    /// r2d2 may have waited in vain without an error of its own.
    fn not_connected(&self, error: &r2d2::Error) -> StoreError {
        if self.servers.are_read_only.load(Ordering::Relaxed) {
            return StoreError::ReadOnly(error.to_string());
        }
        StoreError::Unavailable(error.to_string())
    }

    /// Uses none of the connections again that there are.
    pub fn reconnect(&self) {
        let manager = Manager::new(&self.settings, &self.servers, &self.known);
        let new = builder(&self.settings).build_unchecked(manager);
        let old = std::mem::replace(&mut *self.connections.write().unwrap_or_else(PoisonError::into_inner), new);
        // Nobody waits while the idle ones are closed.
        drop(old);
    }

    /// How many connections to a server were made so far; to a file always 0, as that forgets nothing while a process lives.
    pub fn connections_made(&self) -> u64 {
        if self.settings.address.is_a_file() { 0 } else { self.servers.connections.load(Ordering::SeqCst) }
    }

    /// How often a connection led to another server than the one before.
    pub fn server_changes(&self) -> u64 {
        self.servers.changes.load(Ordering::SeqCst)
    }

    /// Set where a unit of work found no room.
    pub fn is_full(&self) -> &Arc<AtomicBool> {
        &self.servers.is_full
    }
}

impl Manager {
    fn new(settings: &Settings, servers: &Arc<Servers>, known: &Arc<Known>) -> Self {
        Self {
            address: settings.address.clone(),
            wait: settings.wait,
            servers: Arc::clone(servers),
            known: Arc::clone(known),
        }
    }
}

/// Connections to a server are all made at once, and kept while they are idle: each that is made lets those who time a lease
/// begin anew ([`Pool::connections_made`]). Those to a file are made as they are needed.
fn builder(settings: &Settings) -> r2d2::Builder<Manager> {
    r2d2::Pool::builder()
        .max_size(settings.pool_size)
        .min_idle(settings.address.is_a_file().then_some(1))
        .idle_timeout(None)
        .connection_timeout(settings.wait)
        .error_handler(Box::new(LogOnce))
}

/// Whether a transaction was left open, or the server has gone.
fn is_broken(db: &mut Db) -> bool {
    use diesel::connection::{TransactionManager, TransactionManagerStatus};
    let status: &mut TransactionManagerStatus =
        <Db as Connection>::TransactionManager::transaction_manager_status_mut(db);
    !matches!(status.transaction_depth(), Ok(None))
}
