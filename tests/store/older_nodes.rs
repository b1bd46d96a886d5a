//! Migrations that no node of an older version survives: not beside one that serves, and nothing is left to it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rstest::rstest;
use vigie::store::{OpenError, Store};

use super::migrated;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::backend::TestDatabase;
use crate::support::dump::Beside;

/// From here on, older nodes are left nothing.
const ALONE: &str = "2026-11-28-000020_key_the_record_chain";

/// A database as the version before left it, with a node of it whose lease is this long.
async fn as_before(backend: Backend, lease: Duration) -> (Store, TestDatabase) {
    let (store, database) = migrated(backend).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(match backend {
        Sqlite => "sqlite",
        Postgres => "postgres",
    });
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.as_str() >= ALONE && name.starts_with("20")).collect();
    names.sort_unstable_by(|one, other| other.cmp(one));
    let mut beside = Beside::connect(&database.url);
    for name in names {
        beside.batch(&std::fs::read_to_string(folder.join(&name).join("down.sql")).unwrap());
        let version = name.split('_').next().unwrap().replace('-', "");
        let forget = format!("DELETE FROM __diesel_schema_migrations WHERE version = '{version}'");
        assert_eq!(beside.execute(&forget).unwrap(), 1, "{name}");
    }
    assert_eq!(join(&mut beside, backend, lease), Ok(1));
    (store, database)
}

/// As the version before joins.
fn join(beside: &mut Beside, backend: Backend, lease: Duration) -> Result<usize, String> {
    let at = if backend == Sqlite { "1" } else { "now()" };
    let joined = beside.execute(&format!(
        "INSERT INTO nodes (id, lease_no, applied_seq, address, started_at, lease_ms)
         VALUES ('01234567-89ab-7cde-8f01-23456789abcd', 1, 0, '192.0.2.7:8080', {at}, {})",
        lease.as_millis()
    ));
    joined.map_err(|error| error.to_string())
}

#[rstest]
#[actix_web::test]
async fn the_chain_gets_its_key_only_where_no_older_node_serves(#[values(Sqlite, Postgres)] backend: Backend) {
    let lease = Duration::from_millis(800);
    let (store, database) = as_before(backend, lease).await;
    let serves = Arc::new(AtomicBool::new(true));
    let (serving, url) = (Arc::clone(&serves), database.url.clone());
    let node = tokio::task::spawn_blocking(move || renew(&url, lease / 4, &serving));
    let refused = store.migrate().await.unwrap_err();
    assert!(matches!(&refused, OpenError::OlderNode { address, .. } if address == "192.0.2.7:8080"), "{refused:?}");
    assert!(refused.to_string().contains("stop every such node first"), "{refused}");
    assert!(store.pending_migrations().await.unwrap().contains(&ALONE.to_owned()));

    // It stops without a word: when its lease has run out, its row is no reason any more.
    serves.store(false, Ordering::SeqCst);
    node.await.unwrap();
    let applied = store.migrate().await.unwrap().applied;
    assert!(!applied.is_empty());
    // Should it go on after all, it has no row, and cannot join or seal.
    let mut beside = Beside::connect(&database.url);
    assert_eq!(beside.execute("UPDATE nodes SET lease_no = lease_no + 1").unwrap(), 0);
    join(&mut beside, backend, lease).unwrap_err();
    let link = beside.execute("UPDATE chain_head SET link = link").unwrap_err().to_string();
    assert!(link.contains("link"), "{link}");
}

#[expect(clippy::disallowed_methods, reason = "on a thread of its own")]
fn renew(url: &str, pace: Duration, serves: &AtomicBool) {
    let mut beside = Beside::connect(url);
    while serves.load(Ordering::SeqCst) {
        // While the migration looks, the file may be locked.
        let _ = beside.execute("UPDATE nodes SET lease_no = lease_no + 1");
        std::thread::sleep(pace);
    }
}
