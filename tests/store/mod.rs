//! The two databases against each other: the same schema, the same answers.

mod embedded;
mod migration_lock;
pub mod migrations;
mod older_nodes;
mod paging;
mod parity;
mod plans;
mod poolers;
mod roles;

use std::time::Duration;

use vigie::store::{Address, Settings, Store};

use crate::support::backend::{Backend, TestDatabase};

/// A store on an empty database; the database lasts as long as its guard.
fn empty(backend: Backend) -> (Store, TestDatabase) {
    let database = backend.database();
    (open(&database.url), database)
}

fn open(url: &str) -> Store {
    let address = Address::parse(url).expect("an address");
    Store::open(Settings { address, pool_size: 8, wait: Duration::from_secs(2) }).expect("the database can be opened")
}

/// The same with all migrations applied.
async fn migrated(backend: Backend) -> (Store, TestDatabase) {
    let (store, database) = empty(backend);
    store.migrate().await.expect("the migrations apply");
    (store, database)
}
