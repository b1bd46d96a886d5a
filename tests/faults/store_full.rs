//! The disk is full: 503, nothing half-written, and all works again once there is room.

use std::process::Command;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use serde_json::{Value, json};
use vigie::store::{Db, StoreError};

use super::assert_unavailable;
use crate::support::app::{PASSWORD, TestApp, until_status};
use crate::support::backend::Backend::{Postgres, Sqlite};
use crate::support::child::in_own_process;
use crate::support::dump::Beside;
use crate::support::dump::dump_but_nodes;
use crate::support::program::Program;

/// The largest size of a file that this process may write, as the system allows it: a full disk for one process.
fn limit_files(limit: &str) {
    let arguments = [format!("--pid={}", std::process::id()), format!("--fsize={limit}:unlimited")];
    let set = Command::new("prlimit").args(arguments).status().expect("prlimit of util-linux");
    assert!(set.success(), "the limit cannot be set");
}

/// Asks until readiness has this status.
async fn until_ready_is(app: &TestApp, status: u16) -> Value {
    until_status(status, async || app.nobody().get("/health/ready").await).await.json()
}

#[actix_web::test]
async fn while_files_cannot_grow_writes_are_told_503_and_checks_go_on() {
    // A process that meets the limit is killed unless it ignores the signal.
    if !in_own_process(&["bash", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""], &[]) {
        return;
    }
    let app = TestApp::start(Sqlite).await;
    let alice = app.signed_in("alice").await;
    let before = dump_but_nodes(&app.database.url);
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
    // Readiness says that logins fail, and why.
    let ready = until_ready_is(&app, 503).await;
    assert!(ready["reason"].as_str().is_some_and(|reason| reason.contains("logins")), "{ready}");
    alice.get("/auth/verify").await.expect(200);

    limit_files("unlimited");
    until_ready_is(&app, 200).await;
    assert_eq!(dump_but_nodes(&app.database.url), before);
    let refreshed = alice.refresh().await.expect(200);
    app.client(&refreshed).post_empty("/auth/logout").await.expect(204);
    login().await.expect(200);
}

/// `PRAGMA max_page_count` counts for the connection it is set on: here the writing one, from inside a unit of work.
#[actix_web::test]
async fn a_full_database_undoes_the_whole_batch_and_tells_each_caller_so() {
    let app = TestApp::start(Sqlite).await;
    let alice = app.signed_in("alice").await;
    let (before, nobody) = (dump_but_nodes(&app.database.url), app.nobody());
    let fill = app.app.store.write(|db| {
        let Db::Sqlite(connection) = db else { unreachable!("SQLite was asked for") };
        connection.batch_execute("PRAGMA max_page_count = 1")?;
        let large =
            "INSERT INTO clients (id, name, scopes, secret_digest, created_at, secret_changed_at, version, salt)
             SELECT 'large', 'x', hex(zeroblob(1000000)), zeroblob(32), 0, 0, 1, zeroblob(16)";
        Ok::<_, StoreError>(connection.batch_execute(large)?)
    });
    let (filled, login) =
        tokio::join!(fill, nobody.post("/auth/login", json!({ "username": "alice", "password": PASSWORD })));
    assert!(matches!(&filled, Err(StoreError::Full(_))), "{filled:?}");
    if login.status != 200 {
        assert_unavailable(&login, "a login beside it");
        assert_eq!(dump_but_nodes(&app.database.url), before);
    }
    alice.get("/auth/me").await.expect(200);
    alice.post_empty("/auth/logout").await.expect(204);
}

/// What PostgreSQL says when a table cannot grow. Renewing a lease takes no room, and goes on.
const FILL_THE_DISK: &[&str] = &[
    "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       RAISE EXCEPTION USING ERRCODE = 'disk_full',
         MESSAGE = 'could not extend file \"base/5/16384\": No space left on device';
     END $$",
    "CREATE TRIGGER no_room BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION no_room()",
    "CREATE TRIGGER no_room BEFORE INSERT ON nodes FOR EACH ROW EXECUTE FUNCTION no_room()",
];

#[actix_web::test]
async fn while_the_disk_of_postgresql_is_full_readiness_says_so_and_checks_go_on() {
    let app = TestApp::start(Postgres).await;
    let alice = app.signed_in("alice").await;
    until_ready_is(&app, 200).await;
    let mut beside = Beside::connect(&app.database.url);
    for statement in FILL_THE_DISK {
        beside.execute(statement).expect(statement);
    }
    let nobody = app.nobody();
    let login = || nobody.post("/auth/login", json!({ "username": "alice", "password": PASSWORD }));
    assert_unavailable(&login().await, "a login");
    let ready = until_ready_is(&app, 503).await;
    assert!(ready["reason"].as_str().is_some_and(|reason| reason.contains("disk of the database is full")), "{ready}");
    alice.get("/auth/verify").await.expect(200);
    // It stays so until there is room, also after the node has looked for some, as it does with each renewal of its lease.
    tokio::time::sleep(Duration::from_secs(1)).await;
    until_ready_is(&app, 503).await;
    alice.get("/auth/verify").await.expect(200);

    for table in ["sessions", "nodes"] {
        beside.execute(&format!("DROP TRIGGER no_room ON {table}")).expect("dropped");
    }
    until_ready_is(&app, 200).await;
    login().await.expect(200);
}

#[test]
fn the_doctor_finds_a_full_disk() {
    let program = Program::new(Postgres);
    program.add_user("root", "admin");
    let finds = |code: i32| program.run(&["doctor"]).expect(code);
    assert!(finds(0).contains("ok    database writes: there is room"), "{}", finds(0));
    let mut beside = Beside::connect(&program.database.url);
    for statement in FILL_THE_DISK {
        beside.execute(statement).expect(statement);
    }
    let found = finds(1);
    assert!(found.contains("fail  database writes: its disk is full"), "{found}");
}
