//! The lock under which migrations are applied: nothing of it outlasts the run, and who waits for it is told who holds it.

use std::time::Duration;

use rstest::rstest;
use vigie::store::{Address, OpenError, Settings, Store};

use super::migrated;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::postgres::OwnDatabase;
use crate::support::until::until;

/// The bytes of `vigie`: other versions take the same.
const LOCK: i64 = 0x76_69_67_69_65;
/// Longer than the lock is waited for.
const AT_LAST: Duration = Duration::from_mins(1);

fn open(url: &str) -> Store {
    let address = Address::parse(url).expect("an address");
    Store::open(Settings { address, pool_size: 2, wait: Duration::from_millis(100) }).expect("it can be reached")
}

/// Holds the lock for as long as the connection lasts, as a start through a pooler once left it.
fn intruder(database: &OwnDatabase) -> Beside {
    let mut beside = Beside::connect(&database.url);
    beside.execute("SET application_name = 'intruder'").unwrap();
    beside.execute(&format!("SELECT pg_advisory_lock({LOCK})")).unwrap();
    beside
}

#[actix_web::test]
async fn who_waits_for_the_migration_lock_is_told_who_holds_it_and_since_when() {
    let database = OwnDatabase::create();
    let mut beside = intruder(&database);
    let pid = beside.lines("SELECT pg_backend_pid()::text AS line").remove(0);
    let store = open(&database.url);
    for asked in ["migrate", "pending"] {
        let refused = tokio::time::timeout(AT_LAST, async {
            match asked {
                "migrate" => store.migrate().await.map(drop),
                _ => store.pending_migrations().await.map(drop),
            }
        });
        let refused = refused.await.expect("it does not hang").expect_err("the lock is held");
        assert!(matches!(refused, OpenError::Locked(_)), "{refused:?}");
        let told = refused.to_string();
        for word in [&*format!("process {pid} "), "intruder", "127.0.0.1", "idle since 20", " UTC"] {
            assert!(told.contains(word), "{word}: {told}");
        }
    }
    drop(beside);
    assert!(!store.migrate().await.expect("it was released").applied.is_empty());
}

#[actix_web::test]
async fn a_start_that_has_nothing_to_apply_needs_no_lock() {
    let database = OwnDatabase::create();
    let store = open(&database.url);
    store.migrate().await.expect("the migrations apply");
    let _beside = intruder(&database);
    let applied = tokio::time::timeout(AT_LAST, store.migrate()).await.expect("it does not hang").expect("up to date");
    assert!(applied.applied.is_empty());
    assert!(store.pending_migrations().await.expect("it can be asked").is_empty());
}

#[actix_web::test]
async fn a_start_waits_for_another_that_is_applying_them() {
    let database = OwnDatabase::create();
    let mut beside = Beside::connect(&database.url);
    beside.execute("BEGIN").unwrap();
    beside.execute(&format!("SELECT pg_advisory_xact_lock({LOCK})")).unwrap();
    let (one, other) = (open(&database.url), open(&database.url));
    let waiting = async {
        until("both wait", async || beside.waiting_for_this() == 2).await;
        beside.execute("COMMIT").unwrap();
    };
    let (one, other, ()) = tokio::join!(one.migrate(), other.migrate(), waiting);
    let (one, other) = (one.expect("it waited"), other.expect("it waited"));
    assert!(one.applied.is_empty() != other.applied.is_empty(), "one of them applied all: {one:?} {other:?}");
}

/// A run that fails half way leaves nothing of it: neither tables nor the lock.
#[rstest]
#[actix_web::test]
async fn a_run_that_fails_is_undone_as_a_whole(#[values(Sqlite, Postgres)] backend: Backend) {
    let database = backend.database();
    let mut beside = Beside::connect(&database.url);
    // In the way of a later migration.
    beside.execute("CREATE TABLE deliveries (id INTEGER)").unwrap();
    let store = super::open(&database.url);
    assert!(matches!(store.migrate().await, Err(OpenError::Migration(_))));
    assert_eq!(beside.tables(), ["deliveries"]);
    beside.execute("DROP TABLE deliveries").unwrap();
    assert_eq!(store.migrate().await.expect("nothing is in the way").applied.len(), applied_at_once(backend).await);
}

async fn applied_at_once(backend: Backend) -> usize {
    let (_store, database) = migrated(backend).await;
    Beside::connect(&database.url).lines("SELECT version AS line FROM __diesel_schema_migrations").len()
}
