//! Notifications that there are changes to read: `LISTEN` and `NOTIFY` on PostgreSQL, `PRAGMA data_version` on SQLite.
//!
//! A notification only saves time. It is sent after the commit, not in the transaction: there `NOTIFY` takes a lock that the whole
//! server shares, and ends would queue for it.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::address::Address;
use super::backend::Db;
use super::error::{OpenError, StoreError};

/// Tells everybody who listens.
pub(super) fn send(db: &mut Db) -> Result<(), StoreError> {
    match db {
        // Every connection to the file sees that it changed.
        Db::Sqlite(_) => Ok(()),
        Db::Postgres(connection) => Ok(connection.batch_execute("NOTIFY vigie_changes")?),
    }
}

/// Hears notifications, on a connection of its own.
#[derive(Debug)]
pub struct Notifications {
    address: Address,
    wait: Duration,
    listening: Option<Listening>,
    server: u64,
}

struct Listening {
    connection: Db,
    /// SQLite's count of what other connections committed.
    version: i64,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Notifications {
    pub(super) const fn new(address: Address, wait: Duration) -> Self {
        Self { address, wait, listening: None, server: 0 }
    }

    /// Whether a notification came since it was asked last, without waiting for one. After an error the next call connects anew,
    /// which counts as a notification: some may have been missed. So it does where `server` ([`Store::server_changes`](super::Store))
    /// is another.
    pub fn came(&mut self, server: u64) -> Result<bool, OpenError> {
        if std::mem::replace(&mut self.server, server) != server {
            self.listening = None;
        }
        let Some(mut listening) = self.listening.take() else {
            self.listening = Some(Listening::start(&self.address, self.wait)?);
            return Ok(true);
        };
        let came = listening.came()?;
        self.listening = Some(listening);
        Ok(came)
    }
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

impl Listening {
    fn start(address: &Address, wait: Duration) -> Result<Self, OpenError> {
        let mut connection = address.connect(wait)?;
        if let Db::Postgres(connection) = &mut connection {
            diesel::sql_query("LISTEN vigie_changes").execute(connection).map_err(StoreError::from)?;
        }
        Ok(Self { connection, version: 0 })
    }

    fn came(&mut self) -> Result<bool, StoreError> {
        match &mut self.connection {
            Db::Sqlite(connection) => {
                let Version { data_version } = diesel::sql_query("PRAGMA data_version").get_result(connection)?;
                Ok(std::mem::replace(&mut self.version, data_version) != data_version)
            }
            Db::Postgres(connection) => {
                let heard: Vec<_> = connection.notifications_iter().collect::<Result<_, _>>()?;
                Ok(!heard.is_empty())
            }
        }
    }
}
