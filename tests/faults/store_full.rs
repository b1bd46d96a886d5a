//! The disk is full: 503, nothing half-written, and all works again once there is room.

use std::process::Command;

use diesel::connection::SimpleConnection as _;
use serde_json::json;
use vigie::store::{Db, StoreError};

use super::assert_unavailable;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::Sqlite;
use crate::support::child::in_own_process;
use crate::support::dump::dump;

/// The largest size of a file that this process may write, as the system allows it: a full disk for one process.
fn limit_files(limit: &str) {
    let arguments = [format!("--pid={}", std::process::id()), format!("--fsize={limit}:unlimited")];
    let set = Command::new("prlimit").args(arguments).status().expect("prlimit of util-linux");
    assert!(set.success(), "the limit cannot be set");
}

#[actix_web::test]
async fn while_files_cannot_grow_writes_are_told_503_and_checks_go_on() {
    // A process that meets the limit is killed unless it ignores the signal.
    if !in_own_process(&["bash", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""], &[]) {
        return;
    }
    let app = TestApp::start(Sqlite).await;
    let alice = app.signed_in("alice").await;
    let before = dump(&app.database.url);
    limit_files("4096");
    let nobody = app.nobody();
    let login = || nobody.post("/auth/login", json!({ "username": "alice", "password": PASSWORD }));
    for (asked, answer) in [
        ("a login", login().await),
        ("a refresh", alice.refresh().await),
        ("a logout", alice.post_empty("/auth/logout").await),
        ("a logout everywhere", alice.post_empty("/auth/logout-all").await),
    ] {
        assert_unavailable(&answer, asked);
    }
    alice.get("/auth/me").await.expect(200);
    alice.get("/auth/verify").await.expect(200);

    limit_files("unlimited");
    assert_eq!(dump(&app.database.url), before);
    let refreshed = alice.refresh().await.expect(200);
    app.client(&refreshed).post_empty("/auth/logout").await.expect(204);
    login().await.expect(200);
}

/// `PRAGMA max_page_count` counts for the connection it is set on: here the writing one, from inside a unit of work.
#[actix_web::test]
async fn a_full_database_undoes_the_whole_batch_and_tells_each_caller_so() {
    let app = TestApp::start(Sqlite).await;
    let alice = app.signed_in("alice").await;
    let (before, nobody) = (dump(&app.database.url), app.nobody());
    let fill = app.app.store.write(|db| {
        let Db::Sqlite(connection) = db else { unreachable!("SQLite was asked for") };
        connection.batch_execute("PRAGMA max_page_count = 1")?;
        let large = "INSERT INTO clients SELECT 'large', 'x', hex(zeroblob(1000000)), zeroblob(32), 0, 0";
        Ok::<_, StoreError>(connection.batch_execute(large)?)
    });
    let (filled, login) =
        tokio::join!(fill, nobody.post("/auth/login", json!({ "username": "alice", "password": PASSWORD })));
    assert!(matches!(&filled, Err(StoreError::Unavailable(cause)) if cause.contains("full")), "{filled:?}");
    if login.status != 200 {
        assert_unavailable(&login, "a login beside it");
        assert_eq!(dump(&app.database.url), before);
    }
    alice.get("/auth/me").await.expect(200);
    alice.post_empty("/auth/logout").await.expect(204);
}
