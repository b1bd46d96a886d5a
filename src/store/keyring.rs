//! Queries on `keyring` and `master_key_uses`: the keys of the installation, encrypted; and which servers work with which
//! master key. This folder never sees a key decrypted.

use chrono::{DateTime, Utc};
use diesel::dsl;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::upsert::excluded;
use uuid::Uuid;

use super::backend::{Db, Portable};
use super::columns::{At, Id};
use super::error::StoreError;
use super::schema::{keyring, master_key_uses};

/// A keyring as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKeyring {
    /// Names the master key that opens it.
    pub master: String,
    /// Counts the master keys, from 1.
    pub number: i64,
    /// All keys, encrypted as one value with the master key.
    pub encrypted: Vec<u8>,
    /// When it was made.
    pub made_at: DateTime<Utc>,
}

/// The number of the row that says that the keys are still to be made.
const TO_BE_MADE: i64 = 0;

type Row = (String, i64, Vec<u8>, At);

fn stored((master, number, encrypted, made_at): Row) -> StoredKeyring {
    StoredKeyring { master, number, encrypted, made_at: made_at.0 }
}

/// The keyring of every master key, the oldest first.
pub fn list(db: &mut Db) -> Result<Vec<StoredKeyring>, StoreError> {
    let made = keyring::table.filter(keyring::number.ne(TO_BE_MADE)).order(keyring::number.asc());
    let rows: Vec<Row> = made.load(db)?;
    Ok(rows.into_iter().map(stored).collect())
}

/// Locks the keyring until the transaction ends: what is encrypted meanwhile would be encrypted with a key that is given up.
pub fn lock(db: &mut Db) -> Result<(), StoreError> {
    diesel::update(keyring::table).set(keyring::number.eq(keyring::number)).execute(db)?;
    Ok(())
}

/// Holds the keyring as it is until the transaction ends. Unlike [`lock`] it lets others do so too: none waits for another's
/// commit. A file has one writer at a time.
pub fn lock_shared(db: &mut Db) -> Result<(), StoreError> {
    if let Db::Postgres(connection) = db {
        diesel::sql_query("SELECT FROM keyring FOR SHARE").execute(connection)?;
    }
    Ok(())
}

/// Whether the connected role may do more than use them: on PostgreSQL that is for the owner of the tables.
pub fn may_replace(db: &mut Db) -> Result<bool, StoreError> {
    let Db::Postgres(connection) = db else { return Ok(true) };
    let may_insert =
        dsl::sql::<Bool>("has_table_privilege('keyring', 'INSERT') AND has_table_privilege('keyring', 'DELETE')");
    Ok(diesel::select(may_insert).get_result(connection)?)
}

/// The keyring that the master key of this name opens.
pub fn find(db: &mut Db, master: &str) -> Result<Option<StoredKeyring>, StoreError> {
    let made = keyring::table.find(master).filter(keyring::number.ne(TO_BE_MADE));
    Ok(made.first::<Row>(db).optional()?.map(stored))
}

/// Whether there is a keyring that the master key of this name opens.
pub fn is_there(db: &mut Db, master: &str) -> Result<bool, StoreError> {
    let made = keyring::table.find(master).filter(keyring::number.ne(TO_BE_MADE));
    Ok(made.count().get_result::<i64>(db)? > 0)
}

/// Whether the keys are still to be made: once, at the first start.
pub fn is_to_be_made(db: &mut Db) -> Result<bool, StoreError> {
    let marks: i64 = keyring::table.filter(keyring::number.eq(TO_BE_MADE)).count().get_result(db)?;
    Ok(marks > 0)
}

/// Keeps the first keyring. `false` where it was made already: of two nodes that start at once, one makes it.
pub fn make(db: &mut Db, first: &StoredKeyring) -> Result<bool, StoreError> {
    let set = (
        keyring::master.eq(first.master.clone()),
        keyring::number.eq(first.number),
        keyring::sealed.eq(first.encrypted.clone()),
        keyring::made_at.eq(At(first.made_at)),
    );
    let mark = keyring::table.filter(keyring::number.eq(TO_BE_MADE));
    Ok(diesel::update(mark).set(set).execute(db)? == 1)
}

/// Keeps a further keyring, in place of one with this master key.
pub fn put(db: &mut Db, stored: &StoredKeyring) -> Result<(), StoreError> {
    remove(db, &stored.master)?;
    let row = (
        keyring::master.eq(stored.master.clone()),
        keyring::number.eq(stored.number),
        keyring::sealed.eq(stored.encrypted.clone()),
        keyring::made_at.eq(At(stored.made_at)),
    );
    diesel::insert_into(keyring::table).values(row).execute(db)?;
    Ok(())
}

/// Forgets the keyring of a master key: it opens nothing any more.
pub fn remove(db: &mut Db, master: &str) -> Result<(), StoreError> {
    diesel::delete(keyring::table.find(master)).execute(db)?;
    Ok(())
}

/// Notes that a server works with a master key.
pub fn note_use(db: &mut Db, process: Uuid, master: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    let row = (
        master_key_uses::process.eq(Id(process)),
        master_key_uses::master.eq(master),
        master_key_uses::seen_at.eq(At(now)),
    );
    let noted = diesel::insert_into(master_key_uses::table)
        .values(row)
        .on_conflict(master_key_uses::process)
        .do_update()
        .set(master_key_uses::seen_at.eq(excluded(master_key_uses::seen_at)));
    Portable(noted).execute(db)?;
    Ok(())
}

/// Forgets a server that stops, and all that were seen last before `old`.
pub fn prune_uses(db: &mut Db, process: Option<Uuid>, old: DateTime<Utc>) -> Result<(), StoreError> {
    if let Some(process) = process {
        diesel::delete(master_key_uses::table.find(Id(process))).execute(db)?;
    }
    diesel::delete(master_key_uses::table.filter(master_key_uses::seen_at.lt(At(old)))).execute(db)?;
    Ok(())
}

/// The master keys of servers that were seen last between these moments, without either; one for each server.
pub fn uses_between(db: &mut Db, since: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
    let seen = master_key_uses::table
        .filter(master_key_uses::seen_at.gt(At(since)))
        .filter(master_key_uses::seen_at.lt(At(until)));
    Ok(seen.order(master_key_uses::process.asc()).select(master_key_uses::master).load(db)?)
}
