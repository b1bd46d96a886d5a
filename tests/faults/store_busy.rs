//! SQLite has one writer: what happens while somebody else is it, and when two nodes share the file; and what needs no lock.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;
use vigie::model::audit::AuditContext;
use vigie::user::import::{self, Format, ImportError, Imported};

use super::assert_unavailable;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

#[rstest]
#[actix_web::test]
async fn while_another_connection_holds_the_lock_checks_go_on_and_writes_are_told_503(
    #[values("BEGIN IMMEDIATE", "BEGIN EXCLUSIVE")] lock: &str,
) {
    let app = TestApp::start_with(Sqlite, &[("VIGIE__DATABASE__WAIT", "300ms")]).await;
    let alice = app.signed_in("alice").await;
    let before = app.dump_of_history();
    let mut other = Beside::connect(&app.database.url);
    other.execute(lock).unwrap();

    alice.get("/auth/me").await.expect(200);
    alice.get("/auth/verify").await.expect(200);
    app.nobody().get("/health/ready").await.expect(200);
    let begun = Instant::now();
    let nobody = app.nobody();
    let login = |password| nobody.post("/auth/login", json!({ "username": "alice", "password": password }));
    for (asked, answer) in [
        ("a login", login(PASSWORD).await),
        ("a failed login", login("quatre lapins bleus dansent").await),
        ("a refresh", alice.refresh().await),
        ("a logout", alice.post_empty("/auth/logout").await),
        ("a logout everywhere", alice.post_empty("/auth/logout-all").await),
    ] {
        assert_unavailable(&answer, asked);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    alice.get("/auth/me").await.expect(200);

    other.execute("ROLLBACK").unwrap();
    assert_eq!(app.dump_of_history(), before);
    let refreshed = alice.refresh().await.expect(200);
    app.client(&refreshed).post_empty("/auth/logout").await.expect(204);
    login(PASSWORD).await.expect(200);
}

/// A trial of an import takes no lock that somebody else has to wait for, so it needs none; and what is refused is found
/// before any is taken.
#[rstest]
#[actix_web::test]
async fn a_trial_of_an_import_takes_no_lock(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__DATABASE__WAIT", "300ms")]).await;
    app.user("taken", "agent").await;
    let mut other = Beside::connect(&app.database.url);
    other.batch(match backend {
        Sqlite => "BEGIN IMMEDIATE",
        Postgres => "BEGIN; LOCK TABLE users, audit_events, unsealed_records IN EXCLUSIVE MODE",
    });
    let import = async |name: &str, dry_run| {
        // More than one query asks for.
        let names = (0..1_200).map(|number| format!("user{number}")).chain([name.to_owned()]);
        let file = names.fold("username,role\n".to_owned(), |file, name| file + &name + ",agent\n");
        let lines = import::read(file.as_bytes(), Format::Csv, app.now()).expect("a good file");
        app.app.users.import(lines, dry_run, &AuditContext::command_line(), |_| ()).await
    };
    assert_eq!(import("new", true).await.expect("it is tried"), Imported { users: 1_201, dry_run: true });
    for dry_run in [true, false] {
        let refused = import("TAKEN", dry_run).await;
        assert!(matches!(&refused, Err(ImportError::Refused(lines)) if lines[0].line == 1_202), "{refused:?}");
    }
    import("new", false).await.expect_err("somebody else writes");
    other.execute("ROLLBACK").unwrap();
    assert!(app.app.users.find_by_id_or_name("user7").await.unwrap().is_none(), "nothing is half imported");
    assert_eq!(import("new", false).await.expect("it is imported"), Imported { users: 1_201, dry_run: false });
}

#[actix_web::test]
async fn a_lock_that_is_held_for_a_moment_is_waited_for() {
    let app = TestApp::start(Sqlite).await;
    let alice = app.signed_in("alice").await;
    let mut other = Beside::connect(&app.database.url);
    other.execute("BEGIN IMMEDIATE").unwrap();
    let (answer, ()) = tokio::join!(alice.post_empty("/auth/logout"), async {
        // How long the lock is held. Who waits for a file is not seen from outside.
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.execute("COMMIT").unwrap();
    });
    answer.expect(204);
}

#[actix_web::test]
async fn two_nodes_write_to_one_file_without_turning_anybody_away() {
    let one = TestApp::start_with(Sqlite, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    let two = one.another_node().await;
    let (alice, bob) = (one.signed_in("alice").await, two.signed_in("bob").await);
    let work = async |app: &TestApp, name: &str, client| {
        let mut client: crate::support::app::TestClient<'_> = client;
        for _ in 0..25 {
            client = app.client(&client.refresh().await.expect(200));
            let again = app.log_in(name).await;
            again.post_empty("/auth/logout").await.expect(204);
            client.get("/auth/me").await.expect(200);
        }
        client.session_id
    };
    let (of_alice, of_bob) = tokio::join!(work(&one, "alice", alice), work(&two, "bob", bob));
    // Each sees what the other did.
    for (app, id) in [(&one, of_bob), (&two, of_alice)] {
        let session = app.app.sessions.find(id.parse().unwrap()).await.unwrap().expect("a session of the other node");
        assert_eq!((session.refresh.generation, session.end), (25, None));
    }
}

#[actix_web::test]
async fn many_writes_at_once_are_all_kept() {
    let app = TestApp::start_with(Sqlite, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    let users = join_all((0..12).map(async |number| app.signed_in(&format!("user-{number}")).await)).await;
    for answer in join_all(users.iter().map(|user| user.post_empty("/auth/logout"))).await {
        answer.expect(204);
    }
    let ended = "SELECT CAST(count(*) AS TEXT) AS line FROM sessions WHERE end_reason = 'logout'";
    assert_eq!(Beside::connect(&app.database.url).lines(ended), ["12"]);
}
