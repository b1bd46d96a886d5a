//! Transactions: how they begin, and what makes sure that a commit is durable.

use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
use diesel::prelude::*;

use super::backend::Db;
use super::error::StoreError;

/// Begins a transaction. On SQLite it takes the write lock first: a transaction that reads and then writes would fail at once
/// with "database is locked" if another wrote in between.
pub(super) fn begin(db: &mut Db) -> Result<(), StoreError> {
    match db {
        Db::Sqlite(connection) => AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE"),
        Db::Postgres(connection) => AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN"),
    }
    .map_err(StoreError::from)
}

/// Runs `work` in the transaction that is open, and commits or undoes it.
pub(super) fn complete<T, E: From<StoreError>>(
    db: &mut Db,
    work: impl FnOnce(&mut Db) -> Result<T, E>,
) -> Result<T, E> {
    match work(db) {
        Ok(value) => {
            let began = Instant::now();
            commit(db)?;
            confirm(db, began)?;
            Ok(value)
        }
        Err(error) => {
            roll_back(db);
            Err(error)
        }
    }
}

/// Nobody cancels a commit that waits for a standby sooner than this.
const PROMPT: Duration = Duration::from_millis(250);
/// After this long a standby is not waited for any more.
const GIVEN_UP: Duration = Duration::from_mins(1);

/// Makes sure of a commit that took long since `began`.
///
/// One whose wait for the standby is cancelled (by `statement_timeout`, or by an administrator) is answered like any other:
/// the server only warns, and its warnings are not seen here. What it committed is not replicated, and a failover takes it
/// back. So a further commit must pass the standby promptly, which everything before it has passed then.
pub(super) fn confirm(db: &mut Db, began: Instant) -> Result<(), StoreError> {
    let Db::Postgres(connection) = db else { return Ok(()) };
    if began.elapsed() < PROMPT || !waits_for_a_standby(connection)? {
        return Ok(());
    }
    while began.elapsed() < GIVEN_UP {
        let again = Instant::now();
        diesel::sql_query("SELECT pg_logical_emit_message(true, 'vigie', 'confirm')").execute(connection)?;
        if again.elapsed() < PROMPT {
            return Ok(());
        }
    }
    Err(StoreError::Unavailable("the standby does not confirm what was committed".into()))
}

fn waits_for_a_standby(connection: &mut PgConnection) -> Result<bool, StoreError> {
    let names = diesel::dsl::sql::<diesel::sql_types::Bool>("current_setting('synchronous_standby_names') <> ''");
    Ok(diesel::select(names).get_result(connection)?)
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
