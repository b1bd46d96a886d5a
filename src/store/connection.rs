//! How a connection is opened, and what may be asked of one that is open.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::connection::{InstrumentationEvent, SimpleConnection as _};
use diesel::prelude::*;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

use super::address::Address;
use super::backend::Db;
use super::error::{self, OpenError, StoreError};
use crate::config::{MASK, PostgresAddress, is_shown};

impl Address {
    /// Opens a connection that may write.
    pub(super) fn connect(&self, wait: Duration) -> Result<Db, OpenError> {
        let connected = match self {
            Self::Sqlite(path) => open_sqlite(path, wait).map(Db::Sqlite),
            Self::Postgres(url) => open_postgres(url, wait).map(|(connection, _)| Db::Postgres(connection)),
        };
        connected.map_err(|error| OpenError::Connect(error.to_string()))
    }

    /// Opens a connection for the pool, on SQLite one that cannot write; also says what it leads to.
    pub(super) fn connect_pooled(&self, wait: Duration) -> Result<(Db, Server), ConnectionError> {
        match self {
            Self::Sqlite(path) => {
                let mut connection = open_sqlite(path, wait)?;
                connection
                    .batch_execute("PRAGMA query_only = ON")
                    .map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok((Db::Sqlite(connection), Server::default()))
            }
            Self::Postgres(url) => {
                open_postgres(url, wait).map(|(connection, server)| (Db::Postgres(connection), server))
            }
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
///
/// Also names the server. One that takes no writes is refused, whatever the URL allows: a newer primary may be elsewhere.
fn open_postgres(url: &SecretString, wait: Duration) -> ConnectionResult<(PgConnection, Server)> {
    let mut connection = establish(&postgres_url(url.expose_secret(), wait))?;
    put_own_names_first(&mut connection).map_err(ConnectionError::CouldntSetupConfiguration)?;
    let settings = format!(
        "SET TIME ZONE 'UTC'; SET synchronous_commit = on; SET statement_timeout = '60s'; SET lock_timeout = '{}ms';
         SET standard_conforming_strings = on;
         SET idle_in_transaction_session_timeout = '{}ms'; SET client_min_messages = warning; SET application_name = 'vigie';",
        wait.as_millis(),
        (wait / 2).max(SHORTEST_STANDSTILL).as_millis()
    );
    connection.batch_execute(&settings).map_err(ConnectionError::CouldntSetupConfiguration)?;
    let server: Server =
        diesel::sql_query(SERVER).get_result(&mut connection).map_err(ConnectionError::CouldntSetupConfiguration)?;
    if server.is_read_only {
        return Err(ConnectionError::BadConnection("the server is read-only".into()));
    }
    Ok((connection, server))
}

/// How the client begins what it says of a server. Whatever else it says before there is a connection is of the address, and
/// quotes it: also a password that is not percent-encoded, which it takes for a port or a parameter.
const OF_THE_SERVER: &[&str] = &["connection to server", "could not translate host name"];

/// Connects to a server; the error never quotes the address.
pub(super) fn establish(url: &str) -> ConnectionResult<PgConnection> {
    PgConnection::establish(url).map_err(|error| match error {
        ConnectionError::BadConnection(said) if !OF_THE_SERVER.iter().any(|words| said.starts_with(words)) => {
            ConnectionError::BadConnection(
                "the address cannot be read: look for a character that is not percent-encoded, and at its parameters"
                    .into(),
            )
        }
        ConnectionError::BadConnection(said) if quotes_a_parameter(&said, url) => ConnectionError::BadConnection(
            "the server does not accept what the address asks for: look at its parameters".into(),
        ),
        ConnectionError::BadConnection(said) => ConnectionError::BadConnection(without_user(said, url)),
        ConnectionError::InvalidConnectionUrl(_) => ConnectionError::BadConnection("the address cannot be read".into()),
        other => other,
    })
}

/// Whether something of a parameter that may be a secret stands in what was said. Shorter pieces tell nothing.
fn quotes_a_parameter(said: &str, url: &str) -> bool {
    const SHORTEST: usize = 3;
    let (_, query) = url.split_once('?').unwrap_or((url, ""));
    // The server tells every user's name that it refuses: that alone is masked.
    let masked = query.split('&').filter_map(|member| member.split_once('='));
    let masked = masked.filter(|(name, _)| *name != "user" && !is_shown(name));
    // Options are words, with their own names and values in them: `-cname=value`.
    let is_between = |character: char| character.is_whitespace() || "='\"\\".contains(character);
    masked.map(|(_, value)| percent_decode_str(value).decode_utf8_lossy()).any(|value| {
        let words = value.split(is_between).map(|word| word.strip_prefix("-c").unwrap_or(word));
        words.filter(|word| word.len() >= SHORTEST).any(|word| said.contains(word))
    })
}

/// What was said, without the user that the address names: the server tells whom it refuses, and a password may stand there. A
/// database of the same name is told: it is shown elsewhere too.
fn without_user(said: String, url: &str) -> String {
    let Ok(address) = PostgresAddress::read(url) else { return said };
    let of_login = address.login.and_then(|login| login.split(':').next());
    let users = of_login.into_iter().chain(address.given("user")).filter(|user| !user.is_empty());
    users.fold(said, |said, user| {
        let name = percent_decode_str(user).decode_utf8_lossy();
        // A server of PostgreSQL, and a pooler before it.
        let told = ["user \"", "role \"", "user: "]
            .into_iter()
            .fold(said, |said, before| said.replace(&format!("{before}{name}"), &format!("{before}{MASK}")));
        // Where the address names no database, that of the user's name is meant.
        let is_of_database = address.database.is_some_and(|database| database == user);
        if is_of_database { told } else { told.replace(&format!("\"{name}\""), &format!("\"{MASK}\"")) }
    })
}

/// Takes `pg_catalog` out of the search path, so that it comes first as PostgreSQL has it by itself: whoever may change the
/// settings of a database could have views and operators of theirs found in the place of its own.
fn put_own_names_first(connection: &mut PgConnection) -> QueryResult<()> {
    #[derive(QueryableByName)]
    struct SearchPath {
        #[diesel(sql_type = diesel::sql_types::Text)]
        search_path: String,
    }
    // Neither looks anything up by name.
    let current: SearchPath = diesel::sql_query("SHOW search_path").get_result(connection)?;
    match without_own_names(&current.search_path) {
        Some(path) => connection.batch_execute(&format!("SET search_path TO {path}")),
        None => Ok(()),
    }
}

/// A search path without `pg_catalog`; `None` where it does not name it.
fn without_own_names(path: &str) -> Option<String> {
    let mut is_quoted = false;
    let names = path.split(|character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    });
    let (own, others): (Vec<&str>, Vec<&str>) =
        names.map(str::trim).partition(|name| name.trim_matches('"') == "pg_catalog");
    if own.is_empty() {
        return None;
    }
    Some(if others.is_empty() { "''".to_owned() } else { others.join(", ") })
}

/// A server that starts is another: it may have forgotten what was not durable.
const SERVER: &str = "SELECT pg_postmaster_start_time()::text AS name, pg_backend_pid() AS session,
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS is_read_only";

/// What a connection leads to; of a file there is nothing to say.
#[derive(Debug, Default, QueryableByName)]
pub(super) struct Server {
    /// Another after each start.
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub name: String,
    /// Which of its sessions answers, by the number of its process: the same for as long as a connection lasts.
    #[diesel(sql_type = diesel::sql_types::Integer)]
    pub session: i32,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    is_read_only: bool,
}

/// Adds what libpq lacks by default: of several servers the one that takes writes, a limit on connecting, keep-alives that
/// notice a server that went away, and for `sslrootcert=system` the machine's own certificates, which the compiled-in OpenSSL
/// would look for elsewhere. As with libpq itself, whoever trusts all of these has the name checked too. Anything else stays
/// as it was written: a URL may name several hosts.
pub(super) fn postgres_url(url: &str, wait: Duration) -> String {
    let (address, given) = url.split_once('?').unwrap_or((url, ""));
    let given: Vec<(&str, &str)> = given.split('&').filter_map(|parameter| parameter.split_once('=')).collect();
    let seconds = wait.as_secs().max(2).to_string();
    let milliseconds = (wait.as_millis().max(2000) * 5).to_string();
    let mut defaults = vec![
        ("connect_timeout", &*seconds),
        ("keepalives_idle", "30"),
        ("tcp_user_timeout", &*milliseconds),
        ("target_session_attrs", "read-write"),
    ];
    let trusts_system = given.contains(&("sslrootcert", "system"));
    if trusts_system {
        defaults.push(("sslmode", "verify-full"));
    }
    let mut query: Vec<String> = Vec::new();
    for (name, value) in &given {
        query.push(match *name {
            "sslrootcert" if trusts_system => format!("{name}={}", utf8_percent_encode(&system_certificates(), PLAIN)),
            "sslmode" if trusts_system => format!("{name}=verify-full"),
            _ => format!("{name}={value}"),
        });
    }
    for (name, value) in defaults {
        if !given.iter().any(|(given, _)| *given == name) {
            query.push(format!("{name}={value}"));
        }
    }
    format!("{address}?{}", query.join("&"))
}

/// What stands in a value as it is. libpq reads `%20` but takes `+` literally, so form encoding does not serve.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b',').remove(b':');

fn system_certificates() -> String {
    let usual = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    let named = std::env::var("SSL_CERT_FILE").ok();
    named
        .or_else(|| usual.iter().find(|path| Path::new(path).exists()).map(|path| (*path).to_owned()))
        .unwrap_or_else(|| "system".to_owned())
}

/// Whether the database answers and takes writes.
pub(super) fn ping(db: &mut Db) -> Result<(), StoreError> {
    server(db).map(drop)
}

/// Asks what a connection leads to; a server that takes no writes is an error.
pub(super) fn server(db: &mut Db) -> Result<Server, StoreError> {
    let Db::Postgres(connection) = db else {
        diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>("1")).execute(db)?;
        return Ok(Server::default());
    };
    let server: Server = diesel::sql_query(SERVER).get_result(connection)?;
    if server.is_read_only { Err(StoreError::ReadOnly("it takes no writes".into())) } else { Ok(server) }
}

/// Has it told whenever a statement finds no room on the server's disk. On SQLite every write finds none then, and fails.
pub(super) fn note_when_full(db: &mut Db, is_full: &Arc<AtomicBool>) {
    let Db::Postgres(connection) = db else { return };
    let is_full = Arc::clone(is_full);
    connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::FinishQuery { error: Some(error), .. } = event
            && error::is_full(error)
        {
            is_full.store(true, Ordering::Relaxed);
        }
    });
}

/// Whether the other side has not hung up, as far as is known here: nothing is sent and nothing is waited for. A server that
/// ends a connection says so first, and hangs up behind that: the first look may only hear what it says.
pub(super) fn has_not_hung_up(db: &mut Db) -> bool {
    match db {
        Db::Sqlite(_) => true,
        Db::Postgres(connection) => (0..2).all(|_| connection.notifications_iter().all(|heard| heard.is_ok())),
    }
}

/// Moves what stands in SQLite's write-ahead log into the file, as far as nobody needs it there; waits for nobody.
pub(super) fn checkpoint_wal(db: &mut Db) -> Result<(), StoreError> {
    if let Db::Sqlite(connection) = db {
        connection.batch_execute("PRAGMA wal_checkpoint(PASSIVE)")?;
    }
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
    fn a_search_path_finds_the_databases_own_names_first() {
        assert_eq!(without_own_names("\"$user\", public"), None);
        assert_eq!(without_own_names("\"pg_catalog,\", public"), None);
        assert_eq!(without_own_names("evil, pg_catalog, \"a,b\"").as_deref(), Some("evil, \"a,b\""));
        assert_eq!(without_own_names("\"pg_catalog\"").as_deref(), Some("''"));
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
        assert!(url.ends_with("&target_session_attrs=read-write"), "{url}");
    }

    #[test]
    fn an_address_of_several_hosts_asks_for_the_one_that_takes_writes_unless_it_says_another() {
        let limits = "connect_timeout=2&keepalives_idle=30&tcp_user_timeout=10000&target_session_attrs=read-write";
        for address in [
            "postgres://app:a%2Bb@one:5432,two:5433/vigie",
            "postgres:///vigie",
            "postgresql://one,two",
            "postgres://[::1]:5432,[::2]:5432/vigie",
        ] {
            assert_eq!(postgres_url(address, Duration::from_secs(2)), format!("{address}?{limits}"));
            for given in ["host=one,two&port=1,2", "options=-ca%3Db+c"] {
                let url = postgres_url(&format!("{address}?{given}"), Duration::from_secs(2));
                assert_eq!(url, format!("{address}?{given}&{limits}"));
            }
            for given in ["any", "primary", "prefer-standby"] {
                let url = postgres_url(&format!("{address}?target_session_attrs={given}"), Duration::from_secs(2));
                assert!(url.matches("target_session_attrs=").count() == 1 && url.contains(given), "{url}");
            }
        }
    }

    #[test]
    fn trusting_every_authority_of_the_machine_asks_for_the_name_as_well() {
        for given in ["sslrootcert=system", "sslmode=require&sslrootcert=system"] {
            let url = postgres_url(&format!("postgres://db/vigie?{given}"), Duration::from_secs(2));
            assert_eq!(url.matches("sslmode=").count(), 1, "{url}");
            assert!(url.contains("sslmode=verify-full") && !url.contains("sslrootcert=system&"), "{url}");
        }
    }

    #[test]
    fn what_the_server_says_of_a_parameter_is_recognised() {
        for (query, said, quotes) in [
            ("options=--hunter2", "FATAL:  --hunter2 requires a value", true),
            ("options=-c%20hunter2", "FATAL:  -c hunter2 requires a value", true),
            ("options=-cwork_mem%3Dhunter2", "invalid value for parameter \"work_mem\": \"hunter2\"", true),
            ("sslmode=prefer&options=-c%20a%3Dhunter2", "unrecognized: hunter2", true),
            ("replication=hunter2", "invalid value for parameter \"replication\": \"hunter2\"", true),
            ("sslpassword=hunter%zz", "no key: hunter%zz", true),
            ("options=-c%20a%3Db", "FATAL: a database is missing", false),
            ("options=-csearch_path%3Dvigie_own", "connection to server failed: Connection refused", false),
            ("sslmode=require", "server does not support SSL, but SSL was required: require", false),
            ("user=vigie", "password authentication failed for user \"vigie\"", false),
            ("", "Connection refused", false),
        ] {
            let url = format!("postgres://vigie:x@127.0.0.1/x?{query}");
            assert_eq!(quotes_a_parameter(said, &url), quotes, "{query}: {said}");
        }
    }

    #[test]
    fn what_the_server_says_of_a_user_does_not_name_it() {
        for (address, said, told) in [
            ("hunter2@db/x", "FATAL: role \"hunter2\" does not exist", "FATAL: role \"********\" does not exist"),
            (
                "hunter2:v@db/x",
                "authentication failed for user \"hunter2\"",
                "authentication failed for user \"********\"",
            ),
            ("db/x?user=p%40hunter2", "for user \"p@hunter2\"", "for user \"********\""),
            ("hunter2@db/x", "FATAL:  no such user: hunter2", "FATAL:  no such user: ********"),
            ("hunter2@db", "database \"hunter2\" does not exist", "database \"********\" does not exist"),
            (
                "v:p@db/v",
                "no entry for host \"db\", user \"v\", database \"v\"",
                "no entry for host \"db\", user \"********\", database \"v\"",
            ),
            ("db/x", "Connection refused", "Connection refused"),
            ("@db/x", "role \"\" does not exist", "role \"\" does not exist"),
        ] {
            let url = postgres_url(&format!("postgres://{address}"), Duration::from_secs(2));
            assert_eq!(without_user(said.to_owned(), &url), told, "{address}");
        }
    }

    #[test]
    fn what_is_said_of_an_address_does_not_quote_it() {
        for address in [
            "postgres://vigie:hunter2/zz@127.0.0.1:1/x",
            "postgres://vigie:p%hunter2@127.0.0.1:1/x",
            "postgres://127.0.0.1:1/x?hunter2",
            "postgres://127.0.0.1:1/x?passwort=hunter2",
            "postgres://127.0.0.1:1/x?sslmode=hunter2",
        ] {
            let error = establish(address).err().expect("nobody is there").to_string();
            assert!(error.contains("the address cannot be read"), "{error}");
        }
        let error = establish("postgres://vigie:hunter2@127.0.0.1:1/x").err().expect("nobody is there").to_string();
        assert!(error.contains("127.0.0.1") && !error.contains("hunter2"), "{error}");
    }
}
