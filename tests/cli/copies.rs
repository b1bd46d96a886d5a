//! Copies of the database, and a start on another one than the data directory remembers.

use std::path::Path;

use rstest::rstest;

use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::program::{Program, Server};
use crate::support::until::until_blocking;

const WARNING: &str = "remembers another database";

/// What the doctor says of it.
fn doctor(program: &Program) -> String {
    let told = program.run(&["doctor"]).output;
    told.lines().find(|line| line.contains("remembered database")).expect("a line about it").to_owned()
}

/// How many events say that the server started on another database.
fn recorded(url: &str) -> usize {
    Beside::connect(url).lines("SELECT kind AS line FROM audit_events WHERE kind = 'database.unexpected'").len()
}

fn stop(server: Server) -> String {
    let log = server.log();
    assert_eq!(server.stop().0, Some(0));
    log
}

#[rstest]
fn a_start_on_another_database_than_the_data_directory_remembers_is_told_and_recorded(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let (program, other) = (Program::new(backend), backend.database());
    for start in ["the first", "the second"] {
        let log = stop(program.serve());
        assert!(!log.contains(WARNING), "{start}: {log}");
    }
    assert!(doctor(&program).starts_with("ok "), "{}", doctor(&program));
    let own = program.database.url.clone();
    assert_eq!(recorded(&own), 0);

    let program = program.with("DATABASE_URL", &other.url);
    program.run(&["migrate"]).expect(0);
    let told = doctor(&program);
    assert!(told.starts_with("warn") && told.contains(WARNING), "{told}");
    let log = stop(program.serve());
    assert!(log.contains(WARNING), "{log}");
    assert_eq!(recorded(&other.url), 1);
    // Back at the right one, that is told as well: the directory remembers the last.
    let program = program.with("DATABASE_URL", &own);
    assert!(stop(program.serve()).contains(WARNING));
    assert_eq!(recorded(&own), 1);
}

/// The next start would make a new database, without users and history.
#[rstest]
fn a_database_that_is_gone_is_told() {
    let program = Program::new(Sqlite);
    assert!(program.run(&["doctor"]).output.contains("database: there is none yet"));
    stop(program.serve());
    let moved = program.with("DATABASE_URL", "sqlite:/nowhere/vigie.db");
    let found = moved.run(&["doctor"]);
    assert_eq!(found.code, 1, "{found:?}");
    assert!(found.output.contains("fail  database: there is none, but the data directory"), "{}", found.output);
}

/// The first moments of a server stand in the write-ahead log alone: a copy of the file is an empty database.
#[rstest]
fn a_start_on_a_hollow_copy_of_the_file_is_told() {
    let program = Program::new(Sqlite);
    let server = program.serve();
    let mark = program.path("data").join("high-water.json");
    until_blocking("the server has marked how far it came", || mark.exists());
    let copy = program.path("copy.db");
    std::fs::copy(file_of(&program.database.url), &copy).expect("it is copied");
    server.kill();
    drop(server);
    let program = program.with("DATABASE_URL", &format!("sqlite:{}", copy.display()));
    let server = program.serve();
    assert!(server.setup_token().is_some(), "it takes itself for a new installation");
    assert!(stop(server).contains(WARNING));
}

#[rstest]
#[actix_web::test]
async fn a_copy_by_vacuum_into_of_a_running_server_has_everything() {
    let program = Program::new(Sqlite);
    program.add_user("alice", "agent");
    let server = program.serve();
    let (out, stays) = (server.token("alice").await, server.token("alice").await);
    server.post("/auth/logout", &out, serde_json::Value::Null).await.expect(204);
    let copy = program.path("copy.db");
    Beside::connect(&program.database.url).execute(&format!("VACUUM INTO '{}'", copy.display())).unwrap();
    server.kill();
    drop(server);
    let program = program.with("DATABASE_URL", &format!("sqlite:{}", copy.display()));
    let server = program.serve();
    server.get("/auth/me", &out).await.problem(401, "session_ended");
    server.get("/auth/me", &stays).await.expect(200);
    assert!(!stop(server).contains(WARNING));
}

/// What the job every ten seconds does, and the stop: the file alone has what was committed.
#[rstest]
#[case::while_it_runs(false)]
#[case::after_a_stop(true)]
#[actix_web::test]
async fn the_file_is_brought_up_to_what_was_committed(#[case] is_stopped: bool) {
    let mut app = TestApp::start(Sqlite).await;
    app.user("alice", "agent").await;
    let file = file_of(&app.database.url).to_owned();
    if is_stopped {
        app.close().await;
    } else {
        app.app.store.checkpoint_wal().await.expect("nobody holds it");
    }
    let copy = app.data.path().join("copy.db");
    std::fs::copy(file, &copy).expect("it is copied");
    let mut copy = Beside::connect(&format!("sqlite:{}", copy.display()));
    assert_eq!(copy.lines("SELECT username AS line FROM users"), ["alice"]);
}

fn file_of(url: &str) -> &Path {
    Path::new(url.strip_prefix("sqlite:").expect("a file"))
}
