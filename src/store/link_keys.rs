//! Queries on `link_keys`: from which record on chain hashes are made with which key.

use diesel::prelude::*;

use super::backend::Db;
use super::columns::fixed;
use super::error::StoreError;
use super::schema::link_keys;
use crate::model::record::Digest;

/// From which record on chain hashes are made with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkStart {
    /// The number of the key, from 1 on.
    pub number: i32,
    /// The position of the first record that is linked with it.
    pub first: i64,
    /// Made with this key over both.
    pub mac: Digest,
}

/// Every start, the first key's first.
pub fn list(db: &mut Db) -> Result<Vec<LinkStart>, StoreError> {
    let rows: Vec<(i32, i64, Vec<u8>)> = link_keys::table.order(link_keys::number.asc()).load(db)?;
    let start = |(number, first, mac)| Ok(LinkStart { number, first, mac: fixed(mac)? });
    let starts: diesel::deserialize::Result<_> = rows.into_iter().map(start).collect();
    starts.map_err(|error| StoreError::Corrupt(format!("link_keys: {error}")))
}

/// Adds a start. Under the lock of the chain, whose size it must be.
pub fn insert(db: &mut Db, start: &LinkStart) -> Result<(), StoreError> {
    let row = (
        link_keys::number.eq(start.number),
        link_keys::first_position.eq(start.first),
        link_keys::mac.eq(start.mac.to_vec()),
    );
    diesel::insert_into(link_keys::table).values(row).execute(db)?;
    Ok(())
}
