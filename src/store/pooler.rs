//! Recognises a pooler that gives the server's session to another client after each transaction or statement (`PgBouncer`:
//! `pool_mode = transaction` or `statement`).
//!
//! Nothing that Vigie sets on a connection would last there: how durable a commit is (P3), how long a statement may take, who
//! is told of changes; and other clients would inherit it. Whoever pools by sessions (`pool_mode = session`) changes nothing.
//!
//! How it is told: two clients at the same time, each asks again and again which of the server's sessions runs its
//! transactions. Of its own, each sees one and the same, and not the other's. Where sessions are shared, the first client
//! leaves one behind that the second gets; where that is another, because the pool is busy or takes turns, both hold one at
//! once and give them back in a known order. A pool gives out either what came back last or what came back first: each is
//! asked for by the client that did not have it. Nothing is set and nothing is locked, so that nothing is left behind.

use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;

use secrecy::ExposeSecret as _;

use super::address::Address;
use super::connection;
use super::error::OpenError;

/// One client of the server, or of what stands before it.
struct Client(PgConnection);

impl Client {
    fn connect(url: &str) -> Result<Self, String> {
        connection::establish(url).map(Self).map_err(|error| error.to_string())
    }

    /// Begins a transaction; which of the server's sessions runs it. The number of a process is given again some day, and by
    /// other servers.
    fn begin(&mut self) -> Result<String, String> {
        let session = "(SELECT pid || ' ' || backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())";
        self.0.batch_execute("BEGIN").map_err(|error| error.to_string())?;
        diesel::select(sql::<Text>(session)).get_result(&mut self.0).map_err(|error| error.to_string())
    }

    fn end(&mut self) -> Result<(), String> {
        self.0.batch_execute("COMMIT").map_err(|error| error.to_string())
    }
}

/// Refuses a server whose sessions others get between two transactions, and one that gives two clients no two sessions in
/// this time. As the first connection that is made, this also says where nothing answers.
pub(super) fn refuse_shared_sessions(address: &Address, wait: Duration, patience: Duration) -> Result<(), OpenError> {
    let Address::Postgres(url) = address else { return Ok(()) };
    let url = connection::postgres_url(url.expose_secret(), wait);
    let (sender, answer) = mpsc::channel();
    // A pool without a second session keeps its client waiting, which cannot be called back.
    let asking = std::thread::Builder::new().name("pooler".into()).spawn(move || sender.send(keeps_sessions(&url)));
    asking.map_err(|error| OpenError::Connect(format!("no thread can be started: {error}")))?;
    match answer.recv_timeout(patience) {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(OpenError::SharedSessions),
        Ok(Err(error)) if is_of_shared_sessions(&error) => Err(OpenError::SharedSessions),
        Ok(Err(error)) => Err(OpenError::Connect(error)),
        Err(_) => Err(OpenError::Connect(format!(
            "two connections at once are not answered within {} s: is the pool of a pooler too small?",
            patience.as_secs_f32()
        ))),
    }
}

/// Whether each client keeps a session of its own.
fn keeps_sessions(url: &str) -> Result<bool, String> {
    let (mut one, mut other) = (Client::connect(url)?, Client::connect(url)?);
    let first = match one.begin() {
        Ok(first) => first,
        // Whoever answers, and hangs up on each transaction that begins, pools by statements.
        Err(error) => return if Client::connect(url)?.begin().is_err() { Ok(false) } else { Err(error) },
    };
    one.end()?;
    let second = other.begin()?;
    if first == second || one.begin()? != first {
        return Ok(false);
    }
    one.end()?;
    other.end()?;
    // Given back last: the second. Whoever asks first would get it, or a third.
    if one.begin()? != first || other.begin()? != second {
        return Ok(false);
    }
    one.end()?;
    other.end()?;
    // Given back first: the first, as far as those go that wait longest.
    Ok(other.begin()? == second && one.begin()? == first)
}

/// Whether what a connection had prepared a moment ago was lost.
fn is_of_shared_sessions(error: &str) -> bool {
    error.contains("prepared statement")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_prepared_in_another_session_is_understood() {
        for error in [
            "prepared statement \"\" does not exist",
            "bind message supplies 0 parameters, but prepared statement \"\" requires 1",
        ] {
            assert!(is_of_shared_sessions(error), "{error}");
        }
        assert!(!is_of_shared_sessions("FATAL: password authentication failed for user \"vigie\""));
    }
}
