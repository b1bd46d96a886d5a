//! Queries on `client_assertions`: which assertions of clients were used, until they count no more.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::Binary;

use super::backend::Db;
use super::columns::{At, Moment};
use super::error::StoreError;
use super::rows::Listing;
use super::schema::client_assertions;

/// Notes that an assertion is used; `false` where it was before. Of two at once, one is first.
///
/// Need not be on the disk ([`Store::write_non_durable`](super::Store)): what a crash takes back can be shown again for minutes, by
/// whoever has it.
pub fn use_once(db: &mut Db, digest: [u8; 32], expires_at: DateTime<Utc>) -> Result<bool, StoreError> {
    let noted = match db {
        Db::Postgres(connection) => Listing::new(
            "WITH given (digest, expires_at) AS (SELECT ",
            ")
             INSERT INTO client_assertions (digest, expires_at)
             SELECT digest, expires_at FROM given WHERE set_config('synchronous_commit', 'off', true) = 'off'
             ON CONFLICT DO NOTHING",
        )
        .value::<Binary, _>(digest.to_vec())
        .value::<Moment, _>(At(expires_at))
        .execute(connection)?,
        Db::Sqlite(connection) => {
            let row = (client_assertions::digest.eq(digest.to_vec()), client_assertions::expires_at.eq(At(expires_at)));
            diesel::insert_into(client_assertions::table).values(row).on_conflict_do_nothing().execute(connection)?
        }
    };
    Ok(noted == 1)
}

/// Forgets those that expired before `before`; returns how many.
pub fn prune(db: &mut Db, before: DateTime<Utc>) -> Result<usize, StoreError> {
    Ok(diesel::delete(client_assertions::table.filter(client_assertions::expires_at.lt(At(before)))).execute(db)?)
}
