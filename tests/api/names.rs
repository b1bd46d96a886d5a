//! Names and ids are not taken for each other, and names not for what they look like.

use rstest::rstest;
use secrecy::SecretString;
use serde_json::json;
use vigie::model::audit::AuditContext;
use vigie::model::user::{Role, User, Username};
use vigie::store::users;
use vigie::user::create::NewUser;
use vigie::user::import::{Format, read};

use super::throttling::try_login;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::history::every_page;

const LIKE_AN_ID: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// A user who got a name before such names were refused.
async fn named_before(app: &TestApp, name: &str) -> User {
    let new = NewUser {
        username: Username::parse(name).expect("a username"),
        role: Role::parse("agent").expect("a role"),
        password: Some(SecretString::from(PASSWORD)),
        change_at_login: false,
        email: None,
    };
    app.app.users.create(new, &AuditContext::command_line()).await.expect("created").user
}

#[rstest]
#[actix_web::test]
async fn nobody_is_given_a_name_that_is_taken_for_an_id_or_for_another_name(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let bob = app.user("bob", "agent").await;
    let names =
        [LIKE_AN_ID.to_owned(), bob.id.to_string(), bob.id.to_string().to_uppercase(), format!("{{{}}}", bob.id)];
    let unclear = [
        "al\u{200b}ice",
        "\u{202e}ecila",
        "\u{430}lice",
        "\u{458}\u{43e}\u{451}\u{4cf}",
        "admi\u{307}n",
        "o\u{b4}neil",
        "\u{1bf}aul",
        "alice\u{fffd}",
        "\u{a751}aypal",
        "(erased)",
        "(ERASED)",
    ];
    for name in names.into_iter().chain(unclear.map(str::to_owned)) {
        let refused = root.post("/admin/users", json!({ "username": name, "role": "agent" })).await;
        assert_eq!(refused.problem(422, "invalid_input")["errors"][0]["pointer"], "/username", "{name:?}");
        let path = format!("/admin/users/{}", bob.id);
        root.patch(&path, json!({ "username": name })).await.problem(422, "invalid_input");
        let line = json!({ "username": name, "role": "agent" }).to_string();
        assert!(read(line.as_bytes(), Format::Ndjson, app.now()).is_err(), "{name:?}");
    }
}

/// Not even the first administrator.
#[rstest]
#[actix_web::test]
async fn the_first_administrator_is_given_no_name_that_is_taken_for_another(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    for name in ["(erased)", "admi\u{307}n", "\u{458}\u{43e}\u{451}\u{4cf}"] {
        let body = json!({ "token": "none", "username": name, "password": PASSWORD });
        let refused = app.nobody().post("/auth/setup", body).await;
        assert_eq!(refused.problem(422, "invalid_input")["errors"][0]["pointer"], "/username", "{name:?}");
    }
}

/// A role that exists stays usable: its users log in, and lists find them.
#[rstest]
#[actix_web::test]
async fn nobody_is_given_a_role_that_is_taken_for_another(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let bob = app.user("bob", "agent").await;
    for role in ["\u{430}dmin", "\u{ff41}dmin", "\u{24d0}dmin", "admi\u{307}n", "admin\u{a0}x", "admin\u{fffd}"] {
        let refused = root.post("/admin/users", json!({ "username": "alice", "role": role })).await;
        assert_eq!(refused.problem(422, "invalid_input")["errors"][0]["pointer"], "/role", "{role:?}");
        let path = format!("/admin/users/{}", bob.id);
        root.patch(&path, json!({ "role": role })).await.problem(422, "invalid_input");
        let line = json!({ "username": "alice", "role": role }).to_string();
        assert!(read(line.as_bytes(), Format::Ndjson, app.now()).is_err(), "{role:?}");
    }
    app.user("carol", "\u{430}dmin").await;
    try_login(&app, "carol", PASSWORD).await.expect(200);
    let found = root.get("/admin/users?role=%D0%B0dmin").await.expect(200);
    assert_eq!(found["items"][0]["username"], "carol");
}

#[rstest]
#[actix_web::test]
async fn a_user_whose_name_is_written_like_an_id_is_found_by_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    for name in [LIKE_AN_ID, "d41d8cd9-8f00-b204-e980-0998ecf8427e"] {
        let user = named_before(&app, name).await;
        let session = app.log_in(name).await;
        let found = root.get(&format!("/admin/sessions?user={name}")).await.expect(200);
        assert_eq!(found["items"][0]["id"], session.session_id, "{name}");
        assert_eq!(app.app.users.find_by_id_or_name(name).await.unwrap().unwrap().id, user.id);
        let ended = root.post("/admin/sessions/end", json!({ "filter": { "user": name } })).await.expect(200);
        assert_eq!(ended["ended"], 1);
        session.get("/auth/me").await.problem(401, "session_ended");
    }
}

#[rstest]
#[actix_web::test]
async fn where_a_text_is_the_id_of_one_and_the_name_of_another_it_is_the_id(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let bob = app.user("bob", "agent").await;
    let of_bob = app.log_in("bob").await;
    let mallory = named_before(&app, &bob.id.to_string()).await;
    let of_mallory = app.log_in(mallory.username.as_str()).await;
    let text = bob.id.to_string();
    assert_eq!(app.app.users.find_by_id_or_name(&text).await.unwrap().unwrap().id, bob.id);
    let found = root.get(&format!("/admin/sessions?user={text}")).await.expect(200);
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(found["items"][0]["id"], of_bob.session_id);
    root.post("/admin/sessions/end", json!({ "filter": { "user": text } })).await.expect(200);
    of_mallory.get("/auth/me").await.expect(200);
}

/// Names were told apart once that are one today: both users stay, each is found by the exact name, and by nothing that could be
/// either. Who is alone is found in any case from then on.
#[rstest]
#[actix_web::test]
async fn users_whose_names_became_one_log_in_by_their_exact_names(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let first = app.user("first", "agent").await.id;
    app.advance(chrono::TimeDelta::seconds(1));
    let (second, alone) = (app.user("second", "agent").await.id, app.user("alone", "agent").await.id);
    let mut beside = Beside::connect(&app.database.url);
    for (id, name, folded) in
        [(first, "Οδυσσεύς", "οδυσσεύς"), (second, "ΟΔΥΣΣΕΎΣ", "οδυσσεύσ"), (alone, "Κάρολος", "κάρολος")]
    {
        let set = format!("username = '{name}', username_folded = '{folded}'");
        assert_eq!(beside.execute(&format!("UPDATE users SET {set} WHERE id = '{id}'")).expect("updated"), 1);
    }
    // As a start does after migrations; and again.
    for _ in 0..2 {
        let colliding = app.app.store.write(users::refold_usernames).await.expect("folded");
        assert_eq!(colliding, [Username::parse("Οδυσσεύς").expect("a username")]);
    }
    for (typed, id) in [("Οδυσσεύς", first), ("ΟΔΥΣΣΕΎΣ", second), ("Κάρολος", alone), ("ΚΆΡΟΛΟΣ", alone)]
    {
        let answer = try_login(&app, typed, PASSWORD).await.expect(200);
        assert_eq!(answer["user"]["id"], id.to_string(), "{typed}");
    }
    try_login(&app, "οδυσσεύς", PASSWORD).await.problem(401, "invalid_credentials");
    for (typed, sessions) in [("Οδυσσεύς", 1), ("ΟΔΥΣΣΕΎΣ", 1), ("οδυσσεύς", 0), ("κάρολοσ", 2)]
    {
        let found = every_page(&root, &format!("/admin/sessions?user={typed}"), 2).await;
        assert_eq!(found.len(), sessions, "{typed}");
    }
    // A page ends and begins between the two.
    let listed = every_page(&root, "/admin/users", 1).await;
    let ids: std::collections::HashSet<_> = listed.iter().map(|user| user["id"].to_string()).collect();
    assert_eq!((listed.len(), ids.len()), (4, 4), "{listed:?}");
    // Failures of one are not the other's.
    for _ in 0..5 {
        try_login(&app, "Οδυσσεύς", "wrong").await.problem(401, "invalid_credentials");
    }
    try_login(&app, "Οδυσσεύς", PASSWORD).await.problem(429, "too_many_attempts");
    try_login(&app, "ΟΔΥΣΣΕΎΣ", PASSWORD).await.expect(200);
    // What could be either's is counted for neither.
    for _ in 0..6 {
        try_login(&app, "οδυσσεύς", "wrong").await.problem(401, "invalid_credentials");
    }
    try_login(&app, "ΟΔΥΣΣΕΎΣ", PASSWORD).await.expect(200);
    // Nobody becomes a third; not even when one of the two has another name, and the other has this one alone.
    let refused = async || {
        for name in ["Οδυσσεύς", "οδυσσεύς", "ΚΆΡΟΛΟΣ"] {
            root.post("/admin/users", json!({ "username": name, "role": "agent" })).await.problem(409, "conflict");
        }
    };
    refused().await;
    root.patch(&format!("/admin/users/{second}"), json!({ "username": "second" })).await.expect(200);
    refused().await;
    app.advance(chrono::TimeDelta::minutes(1));
    let answer = try_login(&app, "ΟΔΥΣΣΕΎΣ", PASSWORD).await.expect(200);
    assert_eq!(answer["user"]["id"], first.to_string());
}
