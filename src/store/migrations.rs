//! Applies the embedded migrations. Both folders have the same names; each database runs its own SQL.

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource as _, MigrationVersion};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::backend::{self, Db};
use super::error::{OpenError, StoreError};
use super::older_nodes;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Names this lock among PostgreSQL's advisory locks: the bytes of `vigie`.
pub(super) const LOCK: i64 = 0x76_69_67_69_65;

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
    let missing = missing(&mut db)?;
    if missing.is_empty() {
        return Ok(Migrated { applied: Vec::new() });
    }
    older_nodes::refuse(&mut db, &missing)?;
    refuse_stranger(&mut db, missing)?;
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

/// Waits for others that look at migrations or apply them; the turn ends with the connection.
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
    missing(db)
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
