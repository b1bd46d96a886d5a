//! Failures are counted under names, and belong to the user who has the name: whoever gets another takes them along, and
//! nobody inherits any (ATH-02, ATH-03).

use futures_util::future::join;
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;
use vigie::model::audit::AuditContext;
use vigie::model::id::UserId;
use vigie::model::user::{User, Username};
use vigie::store::users;
use vigie::user::change::UserChange;
use vigie::user::import::{Format, read};

use super::throttling::{expect_wait, try_login};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

async fn fail(app: &TestApp, name: &str) {
    for _ in 0..5 {
        try_login(app, name, "wrong").await.problem(401, "invalid_credentials");
    }
}

async fn rename(app: &TestApp, user: &User, to: &str) {
    let change = UserChange { username: Username::parse(to).ok(), ..UserChange::default() };
    app.app.users.change(user.id, change, &AuditContext::command_line()).await.expect("renamed");
}

#[rstest]
#[actix_web::test]
async fn a_new_user_inherits_no_failures_of_whoever_tried_the_name_before(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("created", "imported", "renamed")] way: &str,
) {
    let app = TestApp::start(backend).await;
    let other = app.user("other", "agent").await;
    fail(&app, "alice").await;
    expect_wait(try_login(&app, "alice", PASSWORD).await, 60);
    match way {
        "created" => drop(app.user("Alice", "agent").await),
        "imported" => {
            let hash = other.password_hash.expect("a hash").0;
            let line = json!({ "username": "ALICE", "role": "agent", "password_hash": hash }).to_string();
            let lines = read(line.as_bytes(), Format::Ndjson, app.now()).expect("a line");
            app.app.users.import(lines, false, &AuditContext::command_line(), |_| ()).await.expect("imported");
        }
        _ => rename(&app, &other, "Alice").await,
    }
    try_login(&app, "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn a_user_who_is_renamed_takes_the_failures_along(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.user("alice", "agent").await;
    fail(&app, "alice").await;
    rename(&app, &alice, "Alicia").await;
    expect_wait(try_login(&app, "alicia", PASSWORD).await, 60);
    // The same name in another case is the same.
    rename(&app, &alice, "ALICIA").await;
    expect_wait(try_login(&app, "alicia", PASSWORD).await, 60);
    // The old name is nobody's, and has no failures.
    try_login(&app, "alice", PASSWORD).await.problem(401, "invalid_credentials");
    let root = app.admin().await;
    let shown = root.get(&format!("/admin/throttles?user={}", alice.id)).await.expect(200);
    assert_eq!((shown["items"].as_array().map(Vec::len), &shown["items"][0]["failures"]), (Some(1), &json!(5)));
    root.post_empty(&format!("/admin/users/{}/unlock", alice.id)).await.expect(204);
    try_login(&app, "alicia", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn the_failures_of_a_user_go_with_the_user(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.user("alice", "agent").await;
    // From a network that is known, and from elsewhere.
    fail(&app, "alice").await;
    app.app.users.unlock(alice.id, &AuditContext::command_line()).await.expect("unlocked");
    app.log_in("alice").await;
    fail(&app, "alice").await;
    app.app.users.delete(alice.id, &AuditContext::command_line()).await.expect("deleted");
    app.user("alice", "agent").await;
    try_login(&app, "alice", PASSWORD).await.expect(200);
    let root = app.admin().await;
    for scope in ["account", "known_device"] {
        let shown = root.get(&format!("/admin/throttles?state=all&scope={scope}")).await.expect(200);
        assert_eq!(shown["items"], json!([]), "{scope}");
    }
}

/// What is asked for where there is no user finds a row that was written by hand with the id of nobody, and does not take it.
#[rstest]
#[actix_web::test]
async fn nobodys_failures_are_not_those_of_a_user_with_the_nil_id(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.user("alice", "agent").await;
    let nina = User { id: UserId(Uuid::nil()), username: Username::parse("nina").expect("a name"), ..alice };
    app.app.store.write(move |db| users::insert(db, &nina, None)).await.expect("inserted");
    for number in 0..7 {
        try_login(&app, &format!("stranger{number}"), "wrong").await.problem(401, "invalid_credentials");
    }
    try_login(&app, "nina", PASSWORD).await.expect(200);
}

/// A password takes seconds to compare: what else happens is over by then.
const SLOW: [(&str, &str); 2] =
    [("VIGIE__PASSWORDS__ARGON2_MEMORY_KIB", "65536"), ("VIGIE__PASSWORDS__ARGON2_ITERATIONS", "32")];

/// Fails at a name, and meanwhile renames a user.
async fn fail_while_renamed(app: &TestApp, name: &str, user: &User, to: &str) {
    let renamed = async {
        // The password is being compared by then, which nobody sees from outside.
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        rename(app, user, to).await;
    };
    let (failed, ()) = join(try_login(app, name, "wrong"), renamed).await;
    failed.problem(401, "invalid_credentials");
}

/// A try counts for whose password was looked at, as that user is called by now, or for nobody.
#[rstest]
#[actix_web::test]
async fn tries_that_are_under_way_count_for_whom_they_were_meant(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &SLOW).await;
    let user = app.user("first", "agent").await;
    let root = app.admin().await;
    let counted = async || root.get("/admin/throttles?state=all&scope=account").await.expect(200)["items"].clone();
    fail_while_renamed(&app, "second", &user, "second").await;
    assert_eq!(counted().await, json!([]), "the name was nobody's");
    fail_while_renamed(&app, "second", &user, "third").await;
    let shown = counted().await;
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!((&shown[0]["user"]["id"], &shown[0]["failures"]), (&json!(user.id.to_string()), &json!(1)));
    try_login(&app, "third", PASSWORD).await.expect(200);
    assert_eq!(counted().await, json!([]), "a success clears what was counted for the user");
}
