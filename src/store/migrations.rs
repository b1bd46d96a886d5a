//! Applies the embedded migrations. Both folders have the same names; each database runs its own SQL.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource as _, MigrationVersion};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::backend::Db;
use super::error::{OpenError, StoreError};
use super::transaction;
use super::{older_nodes, users};

pub(super) const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Names this lock among PostgreSQL's advisory locks: the bytes of `vigie`.
pub(super) const LOCK: i64 = 0x76_69_67_69_65;

/// What a migration run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The migrations that were applied, in order.
    pub applied: Vec<String>,
}

/// How many times [`Settings::wait`](super::Settings) the lock is waited for, once it was said who holds it.
const PATIENCE: u32 = 30;

/// Applies what is missing, all of it or nothing. Two processes may start at once: on PostgreSQL a lock of the transaction
/// makes one wait, which no connection can keep; on SQLite the write lock does. Where nothing is missing, nothing is locked.
pub(super) fn run(mut db: Db, wait: Duration) -> Result<Migrated, OpenError> {
    let missing = missing(&mut db)?;
    if missing.is_empty() {
        return Ok(Migrated { applied: Vec::new() });
    }
    // Before anything is locked: on SQLite a node that serves could not renew its lease then, and would look like one that is gone.
    older_nodes::refuse(&mut db, &missing)?;
    take_turn(&mut db, wait)?;
    match apply(&mut db, wait) {
        Ok(applied) => {
            transaction::commit(&mut db)?;
            Ok(Migrated { applied })
        }
        Err(error) => {
            transaction::roll_back(&mut db);
            Err(error)
        }
    }
}

/// Applies what is still missing now; the names. A table that somebody holds is waited for as long as the lock was.
fn apply(db: &mut Db, wait: Duration) -> Result<Vec<String>, OpenError> {
    let missing = missing(db)?;
    if missing.is_empty() {
        return Ok(missing);
    }
    refuse_stranger(db, missing)?;
    let applied = match db {
        Db::Postgres(connection) => {
            let bound = format!("SET LOCAL lock_timeout = '{}ms'", (wait * PATIENCE).as_millis());
            connection.batch_execute(&bound).map_err(failed)?;
            connection.run_pending_migrations(POSTGRES)
        }
        Db::Sqlite(connection) => connection.run_pending_migrations(SQLITE),
    };
    let applied = names(&applied.map_err(failed)?);
    // Names were compared otherwise once, which no statement can tell.
    let colliding = if applied.is_empty() { Vec::new() } else { users::refold_usernames(db)? };
    for name in colliding {
        tracing::warn!(user.name = %name, "another user's name is the same but for its case: both are found by their exact names");
    }
    Ok(applied)
}

/// Begins a transaction in which nobody else looks at migrations or applies them.
fn take_turn(db: &mut Db, wait: Duration) -> Result<(), OpenError> {
    match lock(db, wait) {
        Ok(()) => return Ok(()),
        Err(OpenError::Locked(holder)) => {
            tracing::warn!(%holder, "waiting for another process that applies migrations");
        }
        // Nobody holds it any more, or what went wrong does so again.
        Err(_) => {}
    }
    lock(db, wait * PATIENCE)
}

/// Begins a transaction and takes the lock in it. Nothing of this outlasts the transaction.
fn lock(db: &mut Db, patience: Duration) -> Result<(), OpenError> {
    transaction::begin(db)?;
    let Db::Postgres(connection) = db else { return Ok(()) };
    let taken = lock_in(connection, patience);
    if taken.is_err() {
        transaction::roll_back(db);
    }
    taken
}

/// Takes the lock in the transaction that is open. Nothing waits for a migration, so nothing cuts it off, however slowly a
/// busy machine goes through it; but what it waits for itself has an end.
pub(super) fn lock_in(connection: &mut PgConnection, patience: Duration) -> Result<(), OpenError> {
    let settings = format!(
        "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '{}ms'; \
         SAVEPOINT before",
        patience.as_millis()
    );
    connection.batch_execute(&settings).map_err(failed)?;
    let Err(error) = connection.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK})")) else { return Ok(()) };
    connection.batch_execute("ROLLBACK TO SAVEPOINT before").map_err(failed)?;
    Err(holder(connection)?.map_or_else(|| failed(error), OpenError::Locked))
}

/// Who holds the lock, in words; `None` where nobody does. A role that may not see the sessions of others sees their numbers.
fn holder(connection: &mut PgConnection) -> Result<Option<String>, StoreError> {
    let from =
        "CASE WHEN client_port = -1 THEN 'a local socket' ELSE coalesce(host(client_addr), 'an unknown address') END";
    let since = "to_char(coalesce(xact_start, state_change, backend_start) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"')";
    let query = format!(
        "SELECT format('process %s of the database server (%s from %s, %s since %s)', pid,
                       coalesce(nullif(application_name, ''), 'a client without a name'), {from},
                       coalesce(state, 'busy'), coalesce({since}, 'an unknown time')) AS holder
         FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND granted AND objsubid = 1
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND classid::bigint = {LOCK} >> 32 AND objid::bigint = {LOCK} & 4294967295"
    );
    let holder: Option<Holder> = diesel::sql_query(query).get_result(connection).optional()?;
    Ok(holder.map(|found| found.holder))
}

#[derive(QueryableByName)]
struct Holder {
    #[diesel(sql_type = Text)]
    holder: String,
}

/// Names of the migrations that are missing, once nobody is about to apply them.
pub(super) fn pending(mut db: Db, wait: Duration) -> Result<Vec<String>, OpenError> {
    let found = missing(&mut db)?;
    if found.is_empty() || matches!(db, Db::Sqlite(_)) {
        return Ok(found);
    }
    take_turn(&mut db, wait)?;
    missing(&mut db)
}

/// Undoes all, newest first.
pub(super) fn revert_all(db: &mut Db) -> Result<(), OpenError> {
    match db {
        Db::Postgres(connection) => connection.revert_all_migrations(POSTGRES).map(|_| ()),
        Db::Sqlite(connection) => connection.revert_all_migrations(SQLITE).map(|_| ()),
    }
    .map_err(failed)
}

diesel::table! {
    #[sql_name = "__diesel_schema_migrations"]
    schema_migrations (version) {
        version -> Text,
    }
}

/// Names of the migrations that are missing. An older Vigie must not write to tables it does not understand.
///
/// Looks by itself: diesel would make its table where there is none, which the server's role may not do.
fn missing(db: &mut Db) -> Result<Vec<String>, OpenError> {
    let applied = applied(db)?;
    let known = known()?;
    let is_known = |version: &&String| known.iter().any(|(known, _)| known == *version);
    let unknown: Vec<&str> = applied.iter().filter(|version| !is_known(version)).map(String::as_str).collect();
    if !unknown.is_empty() {
        return Err(OpenError::Newer(unknown.join(", ")));
    }
    Ok(known.into_iter().filter(|(version, _)| !applied.contains(version)).map(|(_, name)| name).collect())
}

/// Whether just those were applied that this program knows.
pub(super) fn are_those_of_this_version(db: &mut Db) -> Result<bool, StoreError> {
    let known = known().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Ok(known.into_iter().map(|(version, _)| version).eq(applied(db)?))
}

/// Versions of the migrations that were applied, in order.
fn applied(db: &mut Db) -> Result<Vec<String>, StoreError> {
    let is_there = match db {
        Db::Postgres(_) => "to_regclass('__diesel_schema_migrations') IS NOT NULL",
        Db::Sqlite(_) => "EXISTS (SELECT 1 FROM sqlite_master WHERE name = '__diesel_schema_migrations')",
    };
    if !diesel::select(sql::<Bool>(is_there)).get_result::<bool>(db)? {
        return Ok(Vec::new());
    }
    Ok(schema_migrations::table.select(schema_migrations::version).order(schema_migrations::version).load(db)?)
}

/// Versions and names of the migrations of this program, in order: the same in both folders.
fn known() -> Result<Vec<(String, String)>, OpenError> {
    let migrations: Vec<Box<dyn Migration<Pg>>> = POSTGRES.migrations().map_err(failed)?;
    let mut known: Vec<_> =
        migrations.iter().map(|one| (one.name().version().to_string(), one.name().to_string())).collect();
    known.sort_unstable();
    Ok(known)
}

/// A role that does not own the tables is told who must migrate, before a statement fails half way.
fn refuse_stranger(db: &mut Db, missing: Vec<String>) -> Result<(), OpenError> {
    let Db::Postgres(connection) = db else { return Ok(()) };
    let may_migrate = "coalesce(has_schema_privilege(current_schema(), 'CREATE'), true)
        AND coalesce((SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('users')), true)";
    let asked = diesel::select((sql::<Bool>(may_migrate), sql::<Text>("current_user::text")));
    let (may_migrate, role): (bool, String) = asked.get_result(connection).map_err(StoreError::from)?;
    if may_migrate { Ok(()) } else { Err(OpenError::MayNotMigrate { role, missing }) }
}

fn names(versions: &[MigrationVersion<'_>]) -> Vec<String> {
    versions.iter().map(ToString::to_string).collect()
}

fn failed(error: impl std::fmt::Display) -> OpenError {
    OpenError::Migration(error.to_string())
}
