//! Locks that name no row: on PostgreSQL advisory ones, until the transaction is over. SQLite has one writer at a time anyway.

use diesel::connection::SimpleConnection as _;

use super::backend::Db;
use super::error::StoreError;

/// What is locked. The numbers name these locks among PostgreSQL's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lock {
    /// Setting not-befores.
    NotBefores = 0x6e62_6672,
    /// Which names somebody has, as far as failures are counted for them.
    Names = 0x6e61_6d65,
}

/// Shares the lock with all who do.
pub(super) fn lock_shared(db: &mut Db, lock: Lock) -> Result<(), StoreError> {
    take(db, lock, "pg_advisory_xact_lock_shared")
}

/// Waits until nobody holds the lock, and lets nobody until the transaction is over.
pub(super) fn lock_exclusive(db: &mut Db, lock: Lock) -> Result<(), StoreError> {
    take(db, lock, "pg_advisory_xact_lock")
}

fn take(db: &mut Db, lock: Lock, function: &str) -> Result<(), StoreError> {
    if let Db::Postgres(connection) = db {
        // Other installations in the same database are other schemas.
        connection.batch_execute(&format!("SELECT {function}({}, hashtext(current_schema()))", lock as i32))?;
    }
    Ok(())
}
