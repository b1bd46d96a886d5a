//! One connection type for two databases, where it is, and how it is opened.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sqlite::Sqlite;
use secrecy::{ExposeSecret as _, SecretString};

use super::error::{OpenError, StoreError};

/// A connection to either database. Queries on it are written once.
#[derive(diesel::MultiConnection)]
pub enum Db {
    /// PostgreSQL.
    Postgres(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// Runs one statement on the open database with its real types, for SQL that `MultiConnection` cannot express.
macro_rules! on_backend {
    ($db:expr, |$connection:ident| $statement:expr) => {
        match $db {
            $crate::store::backend::Db::Postgres($connection) => $statement,
            $crate::store::backend::Db::Sqlite($connection) => $statement,
        }
    };
}
pub(super) use on_backend;

/// A statement that is valid on both databases although the enum itself says no, such as `ON CONFLICT`.
#[derive(Debug)]
pub(super) struct Both<T>(pub T);

impl<T: QueryFragment<Pg> + QueryFragment<Sqlite>> QueryFragment<MultiBackend> for Both<T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        MultiBackend::walk_variant_ast(&self.0, pass)
    }
}

impl<T: QueryId> QueryId for Both<T> {
    type QueryId = Both<T::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = T::HAS_STATIC_QUERY_ID;
}

impl<T: Query> Query for Both<T> {
    type SqlType = T::SqlType;
}

impl<T> RunQueryDsl<Db> for Both<T> {}

/// Where the database is. Decided once from the configured text: SQLite would take nearly any text as a file name, so
/// trying one after the other would serve an empty database during an outage.
#[derive(Debug, Clone)]
pub enum Address {
    /// A file.
    Sqlite(PathBuf),
    /// A server, by URL; it holds the password.
    Postgres(SecretString),
}

/// The text names neither database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a database address begins with sqlite: or postgres://")]
pub struct InvalidAddress;

impl Address {
    /// Reads `sqlite:PATH` or `postgres://…`.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(InvalidAddress) } else { Ok(Self::Sqlite(PathBuf::from(path))) };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(SecretString::from(text.to_owned())));
        }
        Err(InvalidAddress)
    }

    /// Makes the directory of a SQLite file, for its owner alone: the history is nobody else's to read.
    pub(super) fn prepare(&self) -> Result<(), OpenError> {
        let Self::Sqlite(path) = self else { return Ok(()) };
        let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else {
            return Ok(());
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| OpenError::Connect(format!("{}: {error}", directory.display())))
    }

    /// Opens a connection that may write.
    pub(super) fn connect(&self, wait: Duration) -> Result<Db, OpenError> {
        let connected = match self {
            Self::Sqlite(path) => open_sqlite(path, wait).map(Db::Sqlite),
            Self::Postgres(url) => open_postgres(url, wait).map(Db::Postgres),
        };
        connected.map_err(|error| OpenError::Connect(error.to_string()))
    }

    /// Opens a connection for the pool: on SQLite one that cannot write.
    pub(super) fn connect_pooled(&self, wait: Duration) -> Result<Db, ConnectionError> {
        match self {
            Self::Sqlite(path) => {
                let mut connection = open_sqlite(path, wait)?;
                connection
                    .batch_execute("PRAGMA query_only = ON")
                    .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(Db::Sqlite(connection))
            }
            Self::Postgres(url) => open_postgres(url, wait).map(Db::Postgres),
        }
    }
}

/// `busy_timeout` comes first, because switching to WAL needs the lock. `synchronous = FULL`: with NORMAL a power cut
/// may take back a commit, and an end that was acknowledged would come back to life (P3).
fn open_sqlite(path: &Path, wait: Duration) -> ConnectionResult<SqliteConnection> {
    let path = path.to_str().ok_or_else(|| ConnectionError::BadConnection("the path is not UTF-8".into()))?;
    let mut connection = SqliteConnection::establish(path)?;
    let pragmas = format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; PRAGMA journal_size_limit = 67108864;
         PRAGMA trusted_schema = OFF;",
        wait.as_millis()
    );
    connection.batch_execute(&pragmas).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// A machine that is only busy is not taken for one that stands still.
const SHORTEST_STANDSTILL: Duration = Duration::from_millis(500);

/// Times are written and read in UTC, a statement may not hang for ever, and a commit is on disk when it is answered (P3).
/// A node that stands still in the middle of a transaction loses it before those who wait for its locks give up: otherwise
/// nobody could end the sessions that it has touched.
fn open_postgres(url: &SecretString, wait: Duration) -> ConnectionResult<PgConnection> {
    let mut connection = PgConnection::establish(&postgres_url(url.expose_secret(), wait))?;
    let settings = format!(
        "SET TIME ZONE 'UTC'; SET synchronous_commit = on; SET statement_timeout = '60s'; SET lock_timeout = '{}ms';
         SET idle_in_transaction_session_timeout = '{}ms'; SET client_min_messages = warning; SET application_name = 'vigie';",
        wait.as_millis(),
        (wait / 2).max(SHORTEST_STANDSTILL).as_millis()
    );
    connection.batch_execute(&settings).map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// Adds what libpq lacks by default: a limit on connecting, keep-alives that notice a server that went away, and for
/// `sslrootcert=system` the machine's own certificates, which the compiled-in OpenSSL would look for elsewhere. As with
/// libpq itself, whoever trusts all of these has the name checked too.
fn postgres_url(url: &str, wait: Duration) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return url.to_owned() };
    let given: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
    let seconds = wait.as_secs().max(2).to_string();
    let milliseconds = (wait.as_millis().max(2000) * 5).to_string();
    let mut defaults =
        vec![("connect_timeout", &*seconds), ("keepalives_idle", "30"), ("tcp_user_timeout", &*milliseconds)];
    let trusts_system = given.iter().any(|(name, value)| name == "sslrootcert" && value == "system");
    if trusts_system {
        defaults.push(("sslmode", "verify-full"));
    }
    let mut query: Vec<String> = Vec::new();
    for (name, value) in &given {
        let value = match name.as_str() {
            "sslrootcert" if trusts_system => system_certificates(),
            "sslmode" if trusts_system => "verify-full".to_owned(),
            _ => value.clone(),
        };
        query.push(format!("{name}={}", percent_encode(&value)));
    }
    for (name, value) in defaults {
        if !given.iter().any(|(given, _)| given == name) {
            query.push(format!("{name}={value}"));
        }
    }
    parsed.set_query(Some(&query.join("&")));
    parsed.to_string()
}

/// libpq reads `%20` but takes `+` literally, so form encoding does not serve.
fn percent_encode(value: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/,:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn system_certificates() -> String {
    let usual = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    let named = std::env::var("SSL_CERT_FILE").ok();
    named
        .or_else(|| usual.iter().find(|path| Path::new(path).exists()).map(|path| (*path).to_owned()))
        .unwrap_or_else(|| "system".to_owned())
}

/// Runs `work` in one transaction. On SQLite it takes the write lock first: a transaction that reads and then writes
/// would fail at once with "database is locked" if another wrote in between.
pub(super) fn transaction<T, E: From<StoreError>>(
    db: &mut Db,
    work: impl FnOnce(&mut Db) -> Result<T, E>,
) -> Result<T, E> {
    begin(db)?;
    match work(db) {
        Ok(value) => {
            commit(db)?;
            Ok(value)
        }
        Err(error) => {
            roll_back(db);
            Err(error)
        }
    }
}

pub(super) fn begin(db: &mut Db) -> Result<(), StoreError> {
    match db {
        Db::Sqlite(connection) => AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE"),
        Db::Postgres(connection) => AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN"),
    }
    .map_err(StoreError::from)
}

/// Lets the transaction that is open be answered before it is on the disk: for what may be forgotten in a crash.
pub(super) fn relax(db: &mut Db) -> Result<(), StoreError> {
    if let Db::Postgres(connection) = db {
        diesel::sql_query("SET LOCAL synchronous_commit = off").execute(connection)?;
    }
    Ok(())
}

pub(super) fn commit(db: &mut Db) -> Result<(), StoreError> {
    let committed = <Db as Connection>::TransactionManager::commit_transaction(db).map_err(StoreError::from);
    if committed.is_err() {
        roll_back(db);
    }
    committed
}

/// A rollback that fails leaves a connection that the pool throws away; there is nothing else to do.
pub(super) fn roll_back(db: &mut Db) {
    let _ = <Db as Connection>::TransactionManager::rollback_transaction(db);
}

pub(super) fn ping(db: &mut Db) -> Result<(), StoreError> {
    diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1")).execute(db)?;
    Ok(())
}

/// `None` on SQLite, which has no clock but this machine's.
pub(super) fn database_time(db: &mut Db) -> Result<Option<DateTime<Utc>>, StoreError> {
    match db {
        Db::Sqlite(_) => Ok(None),
        Db::Postgres(connection) => {
            let time = diesel::dsl::sql::<diesel::sql_types::Timestamptz>("clock_timestamp()");
            Ok(Some(diesel::select(time).get_result(connection)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_exactly_one_database() {
        assert!(
            matches!(Address::parse("sqlite:data/vigie.db"), Ok(Address::Sqlite(path)) if path == Path::new("data/vigie.db"))
        );
        assert!(
            matches!(Address::parse("sqlite:///var/vigie.db"), Ok(Address::Sqlite(path)) if path == Path::new("/var/vigie.db"))
        );
        assert!(matches!(Address::parse("postgres://db/vigie"), Ok(Address::Postgres(_))));
        for text in ["", "sqlite:", "host=127.0.0.1 dbname=x", "mysql://db/vigie", "vigie.db"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_postgres_address_keeps_what_was_said_and_gains_limits() {
        let url = postgres_url(
            "postgres://app:p%40ss@db:5432/vigie?sslmode=require&options=-csearch_path%3Dx",
            Duration::from_secs(2),
        );
        assert!(
            url.starts_with("postgres://app:p%40ss@db:5432/vigie?sslmode=require&options=-csearch_path%3Dx&"),
            "{url}"
        );
        assert!(url.contains("connect_timeout=2"), "{url}");
    }

    #[test]
    fn trusting_every_authority_of_the_machine_asks_for_the_name_as_well() {
        for given in ["sslrootcert=system", "sslmode=require&sslrootcert=system"] {
            let url = postgres_url(&format!("postgres://db/vigie?{given}"), Duration::from_secs(2));
            assert_eq!(url.matches("sslmode=").count(), 1, "{url}");
            assert!(url.contains("sslmode=verify-full") && !url.contains("sslrootcert=system&"), "{url}");
        }
    }
}
