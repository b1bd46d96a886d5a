//! Queries on `clients`.

use chrono::{DateTime, Utc};
use diesel::deserialize;
use diesel::prelude::*;

use super::backend::{Db, MultiBackend};
use super::columns::{At, fixed, parsed};
use super::error::StoreError;
use super::keyset::Page;
use super::schema::clients;
use super::versioned_rows::{self, VersionedRow};
use crate::model::client::{Client, ClientId, PreviousSecret};
use crate::model::secret::SecretDigest;

#[derive(Queryable, Selectable)]
#[diesel(table_name = clients)]
struct Row {
    id: String,
    name: String,
    scopes: String,
    audiences: Option<String>,
    jwks: Option<String>,
    secret_digest: Vec<u8>,
    previous_secret_digest: Option<Vec<u8>>,
    previous_secret_until: Option<At>,
    created_at: At,
    secret_changed_at: At,
    last_used_at: Option<At>,
}

impl Row {
    fn into_client(self) -> Result<Client, StoreError> {
        let id = self.id.clone();
        self.read().map_err(|error| StoreError::Corrupt(format!("clients {id}: {error}")))
    }

    fn read(self) -> deserialize::Result<Client> {
        let previous_secret = match (self.previous_secret_digest, self.previous_secret_until) {
            (Some(digest), Some(until)) => {
                Some(PreviousSecret { digest: SecretDigest(fixed(digest)?), until: until.0 })
            }
            _ => None,
        };
        Ok(Client {
            id: ClientId::parse(&self.id)?,
            name: self.name,
            scopes: self.scopes.split_whitespace().map(parsed).collect::<Result<_, _>>()?,
            audiences: self.audiences.map(|list| serde_json::from_str(&list)).transpose()?,
            jwks: self.jwks,
            secret: SecretDigest(fixed(self.secret_digest)?),
            previous_secret,
            created_at: self.created_at.0,
            secret_changed_at: self.secret_changed_at.0,
            last_used_at: self.last_used_at.map(|at| at.0),
        })
    }
}

/// The client with this id.
pub fn find(db: &mut Db, id: &ClientId) -> Result<Option<Client>, StoreError> {
    clients::table.find(id.as_str()).select(Row::as_select()).first(db).optional()?.map(Row::into_client).transpose()
}

/// Every registered client, in any order.
pub fn all(db: &mut Db) -> Result<Vec<Client>, StoreError> {
    let rows: Vec<Row> = clients::table.select(Row::as_select()).load(db)?;
    rows.into_iter().map(Row::into_client).collect()
}

/// Lets the client not be removed until the transaction is over; false where there is none.
pub fn lock_shared(db: &mut Db, id: &ClientId) -> Result<bool, StoreError> {
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
    let mut query = clients::table.select(Row::as_select()).into_boxed::<MultiBackend>();
    if let Some(after) = after {
        query = query.filter(clients::id.gt(after.as_str().to_owned()));
    }
    let rows: Vec<Row> = query.order(clients::id.asc()).limit(limit + 1).load(db)?;
    Ok(Page::cut(rows.into_iter().map(Row::into_client).collect::<Result<_, _>>()?, limit, |last| last.id.clone()))
}

/// Adds a client. A taken id is a [`StoreError::Conflict`].
pub fn insert(db: &mut Db, client: &Client) -> Result<(), StoreError> {
    let scopes: Vec<&str> = client.scopes.iter().map(|scope| scope.as_str()).collect();
    let audiences = client.audiences.as_ref().map(|audiences| serde_json::json!(audiences).to_string());
    let row = (
        clients::id.eq(client.id.as_str()),
        clients::name.eq(client.name.clone()),
        clients::scopes.eq(scopes.join(" ")),
        clients::audiences.eq(audiences),
        clients::jwks.eq(client.jwks.clone()),
        clients::secret_digest.eq(client.secret.0.to_vec()),
        clients::created_at.eq(At(client.created_at)),
        clients::secret_changed_at.eq(At(client.secret_changed_at)),
        clients::version.eq(0),
        clients::salt.eq(versioned_rows::salt().to_vec()),
    );
    let insert = |db: &mut Db| Ok(diesel::insert_into(clients::table).values(row).execute(db)? == 1);
    versioned_rows::change(db, &VersionedRow::Client(client.id.clone()), client.created_at, insert)?;
    Ok(())
}

/// Replaces the client's secret; the one before counts for as long as is said, or no more.
pub fn set_secret(
    db: &mut Db,
    id: &ClientId,
    secret: SecretDigest,
    previous: Option<PreviousSecret>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let set = (
        clients::secret_digest.eq(secret.0.to_vec()),
        clients::previous_secret_digest.eq(previous.map(|previous| previous.digest.0.to_vec())),
        clients::previous_secret_until.eq(previous.map(|previous| At(previous.until))),
        clients::secret_changed_at.eq(At(now)),
    );
    let update = |db: &mut Db| Ok(diesel::update(clients::table.find(id.as_str())).set(set).execute(db)? == 1);
    versioned_rows::change(db, &VersionedRow::Client(id.clone()), now, update)
}

/// Notes that clients were used, each at a moment. An older note than what is there changes nothing.
pub fn touch_all(db: &mut Db, used: &[(ClientId, DateTime<Utc>)]) -> Result<(), StoreError> {
    for (id, at) in used {
        let earlier = clients::last_used_at.is_null().or(clients::last_used_at.lt(At(*at)));
        let set = clients::last_used_at.eq(At(*at));
        diesel::update(clients::table.find(id.as_str()).filter(earlier)).set(set).execute(db)?;
    }
    Ok(())
}

/// Removes the client; sessions keep its id.
pub fn remove(db: &mut Db, id: &ClientId, at: DateTime<Utc>) -> Result<bool, StoreError> {
    let delete = |db: &mut Db| Ok(diesel::delete(clients::table.find(id.as_str())).execute(db)? == 1);
    versioned_rows::change(db, &VersionedRow::Client(id.clone()), at, delete)
}
