//! Applies the embedded migrations. Both folders have the same names; each database runs its own SQL.

use diesel::connection::SimpleConnection as _;
use diesel::migration::{Migration, MigrationSource as _, MigrationVersion};
use diesel::pg::Pg;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::backend::{self, Db, on_backend};
use super::error::OpenError;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Names this lock among PostgreSQL's advisory locks: the bytes of `vigie`.
const LOCK: i64 = 0x76_69_67_69_65;

/// What a migration run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The migrations that were applied, in order.
    pub applied: Vec<String>,
}

/// Applies what is missing. Two processes may start at once: on PostgreSQL an advisory lock makes one wait; on SQLite the
/// write lock does, and the whole run is one transaction.
pub(super) fn run(mut db: Db) -> Result<Migrated, OpenError> {
    if let Db::Postgres(connection) = &mut db {
        // Nothing waits for a migration, so nothing cuts it off, however slowly a busy machine goes through it.
        let unlimited = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";
        connection.batch_execute(unlimited).map_err(failed)?;
    }
    take_turn(&mut db)?;
    refuse_newer(&mut db)?;
    match &mut db {
        Db::Postgres(connection) => {
            let applied = connection.run_pending_migrations(POSTGRES).map_err(failed)?;
            Ok(Migrated { applied: names(&applied) })
        }
        Db::Sqlite(_) => {
            backend::begin(&mut db)?;
            let applied = on_sqlite(&mut db, |connection| {
                connection.run_pending_migrations(SQLITE).map(|versions| names(&versions))
            });
            match applied {
                Ok(applied) => {
                    backend::commit(&mut db)?;
                    Ok(Migrated { applied })
                }
                Err(error) => {
                    backend::roll_back(&mut db);
                    Err(error)
                }
            }
        }
    }
}

/// Waits for others that look at migrations or apply them; the turn ends with the connection. Even looking makes
/// diesel's own table where there is none, and on PostgreSQL two that make it at once collide.
fn take_turn(db: &mut Db) -> Result<(), OpenError> {
    match db {
        Db::Postgres(connection) => {
            let lock = format!("SET lock_timeout = 0; SELECT pg_advisory_lock({LOCK})");
            connection.batch_execute(&lock).map_err(failed)
        }
        Db::Sqlite(_) => Ok(()),
    }
}

fn on_sqlite<T>(
    db: &mut Db,
    work: impl FnOnce(&mut diesel::SqliteConnection) -> diesel::migration::Result<T>,
) -> Result<T, OpenError> {
    match db {
        Db::Sqlite(connection) => work(connection).map_err(failed),
        Db::Postgres(_) => Err(OpenError::Migration("not a SQLite database".into())),
    }
}

/// Names of the migrations that are missing.
pub(super) fn pending(db: &mut Db) -> Result<Vec<String>, OpenError> {
    take_turn(db)?;
    refuse_newer(db)?;
    match db {
        Db::Postgres(connection) => {
            connection.pending_migrations(POSTGRES).map(|list| list.iter().map(|one| one.name().to_string()).collect())
        }
        Db::Sqlite(connection) => {
            connection.pending_migrations(SQLITE).map(|list| list.iter().map(|one| one.name().to_string()).collect())
        }
    }
    .map_err(failed)
}

/// Undoes all, newest first.
pub(super) fn revert_all(db: &mut Db) -> Result<(), OpenError> {
    match db {
        Db::Postgres(connection) => connection.revert_all_migrations(POSTGRES).map(|_| ()),
        Db::Sqlite(connection) => connection.revert_all_migrations(SQLITE).map(|_| ()),
    }
    .map_err(failed)
}

/// An older Vigie must not write to tables it does not understand.
fn refuse_newer(db: &mut Db) -> Result<(), OpenError> {
    let applied = on_backend!(db, |connection| connection.applied_migrations()).map_err(failed)?;
    let known = known_versions()?;
    let unknown: Vec<String> =
        applied.iter().map(ToString::to_string).filter(|version| !known.contains(version)).collect();
    if unknown.is_empty() { Ok(()) } else { Err(OpenError::Newer(unknown.join(", "))) }
}

fn known_versions() -> Result<Vec<String>, OpenError> {
    let sqlite: Vec<Box<dyn Migration<Sqlite>>> = SQLITE.migrations().map_err(failed)?;
    let postgres: Vec<Box<dyn Migration<Pg>>> = POSTGRES.migrations().map_err(failed)?;
    let sqlite = sqlite.iter().map(|one| one.name().version().to_string());
    Ok(sqlite.chain(postgres.iter().map(|one| one.name().version().to_string())).collect())
}

fn names(versions: &[MigrationVersion<'_>]) -> Vec<String> {
    versions.iter().map(ToString::to_string).collect()
}

fn failed(error: impl std::fmt::Display) -> OpenError {
    OpenError::Migration(error.to_string())
}
