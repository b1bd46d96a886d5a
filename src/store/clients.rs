//! Queries on `clients`.

use chrono::{DateTime, Utc};
use diesel::deserialize;
use diesel::prelude::*;

use super::backend::{Db, MultiBackend};
use super::columns::{At, fixed, parsed};
use super::error::StoreError;
use super::keyset::Page;
use super::schema::clients;
use super::states::{self, Thing};
use crate::model::client::{Client, ClientId};
use crate::model::secret::SecretDigest;

type Row = (String, String, String, Vec<u8>, At, At);

const COLUMNS: (
    clients::id,
    clients::name,
    clients::scopes,
    clients::secret_digest,
    clients::created_at,
    clients::secret_changed_at,
) = (
    clients::id,
    clients::name,
    clients::scopes,
    clients::secret_digest,
    clients::created_at,
    clients::secret_changed_at,
);

fn client((id, name, scopes, secret, created_at, secret_changed_at): Row) -> Result<Client, StoreError> {
    let read = || -> deserialize::Result<Client> {
        Ok(Client {
            id: ClientId::parse(&id)?,
            name,
            scopes: scopes.split_whitespace().map(parsed).collect::<Result<_, _>>()?,
            secret: SecretDigest(fixed(secret)?),
            created_at: created_at.0,
            secret_changed_at: secret_changed_at.0,
        })
    };
    read().map_err(|error| StoreError::Corrupt(format!("clients {id}: {error}")))
}

/// The client with this id.
pub fn find(db: &mut Db, id: &ClientId) -> Result<Option<Client>, StoreError> {
    clients::table.find(id.as_str()).select(COLUMNS).first::<Row>(db).optional()?.map(client).transpose()
}

/// Lets the client not be removed until the transaction is over; false where there is none.
pub fn hold(db: &mut Db, id: &ClientId) -> Result<bool, StoreError> {
    let row = clients::table.find(id.as_str()).select(clients::id);
    let held: Option<String> = match db {
        Db::Postgres(connection) => row.for_key_share().first(connection).optional()?,
        Db::Sqlite(connection) => row.first(connection).optional()?,
    };
    Ok(held.is_some())
}

/// Waits until nobody holds the client, and lets nobody until the transaction is over; false where there is none.
pub fn lock(db: &mut Db, id: &ClientId) -> Result<bool, StoreError> {
    let row = clients::table.find(id.as_str()).select(clients::id);
    let locked: Option<String> = match db {
        Db::Postgres(connection) => row.for_update().first(connection).optional()?,
        Db::Sqlite(connection) => row.first(connection).optional()?,
    };
    Ok(locked.is_some())
}

/// Clients by id, those after `after`.
pub fn list(db: &mut Db, after: Option<&ClientId>, limit: i64) -> Result<Page<Client, ClientId>, StoreError> {
    let mut query = clients::table.select(COLUMNS).into_boxed::<MultiBackend>();
    if let Some(after) = after {
        query = query.filter(clients::id.gt(after.as_str().to_owned()));
    }
    let rows: Vec<Row> = query.order(clients::id.asc()).limit(limit + 1).load(db)?;
    Ok(Page::cut(rows.into_iter().map(client).collect::<Result<_, _>>()?, limit, |last| last.id.clone()))
}

/// Adds a client. A taken id is a [`StoreError::Conflict`].
pub fn insert(db: &mut Db, client: &Client) -> Result<(), StoreError> {
    let scopes: Vec<&str> = client.scopes.iter().map(|scope| scope.as_str()).collect();
    let row = (
        clients::id.eq(client.id.as_str()),
        clients::name.eq(client.name.clone()),
        clients::scopes.eq(scopes.join(" ")),
        clients::secret_digest.eq(client.secret.0.to_vec()),
        clients::created_at.eq(At(client.created_at)),
        clients::secret_changed_at.eq(At(client.secret_changed_at)),
        clients::version.eq(0),
        clients::salt.eq(states::salt().to_vec()),
    );
    let insert = |db: &mut Db| Ok(diesel::insert_into(clients::table).values(row).execute(db)? == 1);
    states::change(db, &Thing::Client(client.id.clone()), client.created_at, insert)?;
    Ok(())
}

/// Replaces the client's secret.
pub fn set_secret(db: &mut Db, id: &ClientId, secret: SecretDigest, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let set = (clients::secret_digest.eq(secret.0.to_vec()), clients::secret_changed_at.eq(At(now)));
    let update = |db: &mut Db| Ok(diesel::update(clients::table.find(id.as_str())).set(set).execute(db)? == 1);
    states::change(db, &Thing::Client(id.clone()), now, update)
}

/// Removes the client; sessions keep its id.
pub fn remove(db: &mut Db, id: &ClientId, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let delete = |db: &mut Db| Ok(diesel::delete(clients::table.find(id.as_str())).execute(db)? == 1);
    states::change(db, &Thing::Client(id.clone()), at, delete)
}
