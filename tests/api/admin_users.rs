//! Accounts and applications as administrators keep them.

use chrono::TimeDelta;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::audit::AuditContext;
use vigie::model::user::UserState;
use vigie::user::change::UserChange;

use crate::support::app::{PASSWORD, TestApp, TestClient, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::history::every_page;

const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// The path of the user with this name.
async fn path_of(admin: &TestClient<'_>, name: &str) -> String {
    let found = admin.get(&format!("/admin/users?name={name}")).await.expect(200);
    format!("/admin/users/{}", found["items"][0]["id"].as_str().expect("an id"))
}

async fn kinds_about(admin: &TestClient<'_>, path: &str) -> Vec<String> {
    let id = path.rsplit('/').next().expect("an id");
    let events = every_page(admin, &format!("/admin/audit?subject={id}"), 500).await;
    events.iter().filter_map(|event| event["kind"].as_str().map(str::to_owned)).collect()
}

#[rstest]
#[actix_web::test]
async fn an_administrator_creates_and_shows_users(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let body = json!({ "username": "Zoé Dupont", "role": "chef de service", "password": PASSWORD });
    let answer = admin.post("/admin/users", body.clone()).await;
    let location = answer.header("location").expect("where it is found").to_owned();
    let created = answer.expect(201);
    assert_eq!(created["username"], "Zoé Dupont");
    assert_eq!((&created["state"], &created["has_password"]), (&json!("active"), &json!(true)));
    assert_eq!(admin.get(&location).await.expect(200), created);
    assert!(!created.to_string().contains("argon2"));
    assert_eq!(created["password_change_required"], true);
    app.log_in("ZOÉ DUPONT").await.get("/auth/me").await.expect(200);
    admin.post("/admin/users", body).await.problem(409, "conflict");
    let same = json!({ "username": "zoé dupont", "role": "agent" });
    admin.post("/admin/users", same).await.problem(409, "conflict");
    for (body, pointer) in [
        (json!({ "username": "", "role": "agent" }), "/username"),
        (json!({ "username": " x", "role": "agent" }), "/username"),
        (json!({ "username": "x", "role": "" }), "/role"),
        (json!({ "username": "x", "role": "agent", "password": "short" }), "/password"),
        (json!({ "username": "x", "role": "agent", "state": "disabled" }), "state"),
        (json!({ "username": "x" }), "role"),
    ] {
        let problem = admin.post("/admin/users", body).await.problem(422, "invalid_input");
        assert!(problem["errors"].to_string().contains(pointer), "{problem}");
    }
    assert_eq!(kinds_about(&admin, &location).await, ["session.started", "user.created"]);
}

#[rstest]
#[actix_web::test]
async fn users_are_listed_by_name_in_pages(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    for name in ["bob", "Alice", "Élodie", "carol", "a_b", "a%b", "axb"] {
        app.user(name, "agent").await;
    }
    let rows = every_page(&admin, "/admin/users", 2).await;
    let names: Vec<&str> = rows.iter().filter_map(|user| user["username"].as_str()).collect();
    assert_eq!(names, ["a%b", "a_b", "Alice", "axb", "bob", "carol", "root", "Élodie"]);
    let path = path_of(&admin, "bob").await;
    admin.patch(&path, json!({ "state": "disabled" })).await.expect(200);
    for (query, expected) in [
        ("state=disabled", "bob"),
        ("role=admin", "root"),
        ("name=ALI", "Alice"),
        ("name=%C3%89LO", "Élodie"),
        ("name=a_b", "a_b"),
        ("name=%25", "a%b"),
        ("name=a&state=disabled", ""),
    ] {
        let rows = every_page(&admin, &format!("/admin/users?{query}"), 50).await;
        let names: Vec<&str> = rows.iter().filter_map(|user| user["username"].as_str()).collect();
        assert_eq!(names.join(" "), expected, "{query}");
    }
    admin.get("/admin/users?nme=x").await.problem(422, "invalid_input");
    admin.get("/admin/users?cursor=AAAA").await.problem(400, "malformed_request");
    for id in [NIL, "x"] {
        admin.get(&format!("/admin/users/{id}")).await.problem(404, "not_found");
        admin.patch(&format!("/admin/users/{id}"), json!({})).await.problem(404, "not_found");
        admin.delete(&format!("/admin/users/{id}")).await.problem(404, "not_found");
        for action in ["unlock", "reset-password", "end-sessions"] {
            admin.post_empty(&format!("/admin/users/{id}/{action}")).await.problem(404, "not_found");
        }
    }
}

/// What a password that somebody else chose is good for: to be changed. The change holds on every node at once.
#[rstest]
#[actix_web::test]
async fn a_password_that_somebody_else_chose_is_changed_first_of_all(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(true, false)] live_view: bool,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__NODES__LIVE_VIEW", &live_view.to_string())]).await;
    let admin = app.admin().await;
    let new = json!({ "username": "alice", "role": "admin", "password": PASSWORD });
    admin.post("/admin/users", new).await.expect(201);
    let alice = app.log_in("alice").await;
    alice.get("/auth/me").await.expect(200);
    for path in ["/auth/verify", "/auth/sessions", "/auth/attempts", "/auth/export", "/admin/sessions"] {
        alice.get(path).await.problem(403, "password_change_required");
    }
    assert_eq!(send(alice.request(Method::HEAD, "/auth/verify")).await.status, 403);
    alice.post_empty("/auth/logout-all").await.problem(403, "password_change_required");
    alice
        .post("/admin/users", json!({ "username": "m", "role": "admin" }))
        .await
        .problem(403, "password_change_required");
    alice.refresh().await.problem(403, "password_change_required");
    let second = app.log_in("alice").await;
    second.post_empty("/auth/logout").await.expect(204);
    let change = |new: &str| json!({ "current_password": PASSWORD, "new_password": new });
    alice.post("/auth/password", change("short")).await.problem(422, "invalid_input");
    alice.get("/auth/verify").await.problem(403, "password_change_required");
    let alice = app.client(&alice.post("/auth/password", change("neuf renards roux courent vite")).await.expect(200));
    alice.get("/auth/verify").await.expect(200);
    alice.get("/admin/sessions").await.expect(200);
    alice.refresh().await.expect(200);
    let path = path_of(&admin, "alice").await;
    assert_eq!(admin.get(&path).await.expect(200)["password_change_required"], false);
}

/// Without a password the answer has what the user sets one with, once.
#[rstest]
#[actix_web::test]
async fn a_user_without_a_password_sets_one_with_the_token_of_the_answer(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (admin, nobody) = (app.admin().await, app.nobody());
    let created = admin.post("/admin/users", json!({ "username": "alice", "role": "agent" })).await.expect(201);
    assert_eq!((&created["has_password"], &created["password_change_required"]), (&json!(false), &json!(false)));
    assert!(created["reset_token_expires_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{created}");
    let body = json!({ "token": created["reset_token"], "new_password": PASSWORD });
    nobody.post("/auth/reset", body.clone()).await.expect(204);
    nobody.post("/auth/reset", body).await.problem(401, "token_invalid");
    app.log_in("alice").await.get("/auth/sessions").await.expect(200);
    let shown = admin.get(&path_of(&admin, "alice").await).await.expect(200);
    assert!(shown["reset_token"].is_null(), "{shown}");
}

/// ADM-03.
#[rstest]
#[actix_web::test]
async fn adm_03_a_role_holds_from_the_next_request(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let alice = app.signed_in("alice").await;
    let path = path_of(&admin, "alice").await;
    alice.get("/admin/sessions").await.problem(403, "not_allowed");
    for (role, read, write) in [("auditor", 200, 403), ("admin", 200, 422), ("agent", 403, 403)] {
        let changed = admin.patch(&path, json!({ "role": role })).await.expect(200);
        assert_eq!(changed["role"], role);
        alice.get("/admin/sessions").await.expect(read);
        alice.post("/admin/users", json!({})).await.expect(write);
        assert_eq!(alice.get("/auth/verify").await.header("x-auth-role"), Some(role));
    }
    assert_eq!(kinds_about(&admin, &path).await.iter().filter(|kind| *kind == "user.role_changed").count(), 3);
}

#[rstest]
#[actix_web::test]
async fn a_role_change_may_end_the_sessions(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__END_ON_ROLE_CHANGE", "true")]).await;
    let admin = app.admin().await;
    let alice = app.signed_in("alice").await;
    let path = path_of(&admin, "alice").await;
    admin.patch(&path, json!({ "role": "agent" })).await.expect(200);
    alice.get("/auth/me").await.expect(200);
    admin.patch(&path, json!({ "role": "chef" })).await.expect(200);
    alice.get("/auth/me").await.problem(401, "session_ended");
    let found = admin.get("/admin/sessions?user=alice").await.expect(200);
    assert_eq!(found["items"][0]["end_reason"], "rights_changed");
}

/// SES-09.
#[rstest]
#[actix_web::test]
async fn ses_09_disabling_a_user_ends_all_sessions(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let sessions = [app.signed_in("alice").await, app.log_in("alice").await, app.log_in("alice").await];
    let path = path_of(&admin, "alice").await;
    let changed = admin.patch(&path, json!({ "state": "disabled" })).await.expect(200);
    assert_eq!(changed["state"], "disabled");
    for session in &sessions {
        session.get("/auth/me").await.problem(401, "session_ended");
        session.refresh().await.problem(401, "session_ended");
    }
    let login = json!({ "username": "alice", "password": PASSWORD });
    app.nobody().post("/auth/login", login).await.problem(401, "invalid_credentials");
    let ended = admin.get("/admin/sessions?reason=user_disabled").await.expect(200);
    assert_eq!(ended["items"].as_array().map(Vec::len), Some(3));
    admin.patch(&path, json!({ "state": "active" })).await.expect(200);
    app.log_in("alice").await.get("/auth/me").await.expect(200);
    sessions[0].get("/auth/me").await.problem(401, "session_ended");
}

/// P5.
#[rstest]
#[actix_web::test]
async fn a_deleted_user_stays_in_the_history_by_name(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let alice = app.signed_in("alice").await;
    let path = path_of(&admin, "alice").await;
    admin.delete(&path).await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    admin.get(&path).await.problem(404, "not_found");
    admin.delete(&path).await.problem(404, "not_found");
    let found = admin.get("/admin/sessions?user=alice").await.expect(200);
    let session = &found["items"][0];
    assert_eq!((&session["user"]["username"], &session["end_reason"]), (&json!("alice"), &json!("user_deleted")));
    let attempts = admin.get("/admin/attempts?username=alice").await.expect(200);
    assert_eq!(attempts["items"][0]["username"], "alice");
    assert!(kinds_about(&admin, &path).await.contains(&"user.deleted".to_owned()));
    // The name is free again; its new owner has nothing of the old one's.
    let again = app.signed_in("alice").await;
    let own = again.get("/auth/sessions?state=all").await.expect(200);
    assert_eq!(own["items"].as_array().map(Vec::len), Some(1));
}

#[rstest]
#[actix_web::test]
async fn a_user_may_be_renamed_unless_the_name_is_taken(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let alice = app.signed_in("alice").await;
    app.user("bob", "agent").await;
    let path = path_of(&admin, "alice").await;
    admin.patch(&path, json!({ "username": "BOB" })).await.problem(409, "conflict");
    admin.patch(&path, json!({ "username": "Alice" })).await.expect(200);
    assert_eq!(alice.get("/auth/me").await.expect(200)["user"]["username"], "Alice");
    admin.patch(&path, json!({ "username": "alicia" })).await.expect(200);
    app.log_in("alicia").await.get("/auth/me").await.expect(200);
    admin.patch(&path, json!({ "usrname": "x" })).await.problem(422, "invalid_input");
    admin.patch(&path, json!({ "password": PASSWORD })).await.problem(422, "invalid_input");
    admin.patch(&path, json!({ "state": "gone" })).await.problem(422, "invalid_input");
}

/// ADM-08.
#[rstest]
#[actix_web::test]
async fn adm_08_the_last_administrator_stays(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let path = path_of(&admin, "root").await;
    let refused = async || {
        admin.patch(&path, json!({ "state": "disabled" })).await.problem(409, "conflict");
        admin.patch(&path, json!({ "role": "auditor" })).await.problem(409, "conflict");
        admin.delete(&path).await.problem(409, "conflict");
    };
    refused().await;
    // Another name of the same right is no loss; a disabled administrator is none.
    admin.patch(&path, json!({ "role": "administrateur" })).await.expect(200);
    app.user("second", "admin").await;
    let second = path_of(&admin, "second").await;
    admin.patch(&second, json!({ "state": "disabled" })).await.expect(200);
    refused().await;
    admin.get("/auth/me").await.expect(200);
    admin.patch(&second, json!({ "state": "active" })).await.expect(200);
    admin.patch(&path, json!({ "role": "agent" })).await.expect(200);
    admin.get("/admin/users").await.problem(403, "not_allowed");
}

/// ADM-08, when two administrators act at the same moment.
#[rstest]
#[actix_web::test]
async fn adm_08_of_two_administrators_who_demote_each_other_one_remains(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let users = [app.user("root", "admin").await, app.user("second", "admin").await];
    let paths = users.clone().map(|user| format!("/admin/users/{}", user.id));
    for round in 0..20 {
        let change = if round % 2 == 0 { json!({ "role": "agent" }) } else { json!({ "state": "disabled" }) };
        let (first, second) = (app.log_in("root").await, app.log_in("second").await);
        let (one, two) = tokio::join!(first.patch(&paths[1], change.clone()), second.patch(&paths[0], change));
        let done = [&one, &two].iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 1, "round {round}: {one:?} {two:?}");
        for user in &users {
            let (role, state) = (Some(user.role.clone()), Some(UserState::Active));
            let restored = UserChange { role, state, username: None, email: None };
            app.app
                .users
                .change(user.id, restored, &AuditContext::command_line())
                .await
                .expect("an administrator again");
        }
    }
}

/// A reset can make the password useless at once; and whoever sets another leaves no link that could.
/// Voiding a password that somebody else chose gives a session by it no more than it had.
#[rstest]
#[actix_web::test]
async fn a_session_by_a_password_to_be_changed_stays_so_when_the_password_is_voided(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    let admin = app.admin().await;
    let new = json!({ "username": "alice", "role": "admin", "password": PASSWORD });
    let id = admin.post("/admin/users", new).await.expect(201)["id"].as_str().expect("an id").to_owned();
    let alice = app.log_in("alice").await;
    let path = format!("/admin/users/{id}/reset-password");
    admin.post(&path, json!({ "void_password": true })).await.expect(200);
    let node = app.another_node().await;
    for app in [&app, &node] {
        let alice = app.nobody().with_token(alice.token());
        alice.get("/admin/sessions").await.problem(403, "password_change_required");
        alice.get("/auth/verify").await.problem(403, "password_change_required");
    }
    alice.refresh().await.problem(403, "password_change_required");
}

#[rstest]
#[actix_web::test]
async fn a_reset_voids_the_password_if_it_should_and_a_new_password_voids_the_token(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let alice = app.signed_in("alice").await;
    let path = format!("{}/reset-password", path_of(&admin, "alice").await);
    let (old, new) = (PASSWORD, "sept corbeaux gris nagent");
    let log_in = async |password: &str| {
        app.nobody().post("/auth/login", json!({ "username": "alice", "password": password })).await
    };
    let kept = admin.post(&path, json!({ "void_password": false })).await.expect(200)["token"].clone();
    log_in(old).await.expect(200);
    let alice = app.client(
        &alice.post("/auth/password", json!({ "current_password": old, "new_password": new })).await.expect(200),
    );
    let body = json!({ "token": kept, "new_password": old });
    app.nobody().post("/auth/reset", body).await.problem(401, "token_invalid");
    let issued = admin.post(&path, json!({ "void_password": true })).await.expect(200)["token"].clone();
    log_in(new).await.problem(401, "invalid_credentials");
    alice.get("/auth/me").await.expect(200);
    app.nobody().post("/auth/reset", json!({ "token": issued, "new_password": old })).await.expect(204);
    log_in(old).await.expect(200);
    admin.post(&path, json!({ "void": true })).await.problem(422, "invalid_input");
}

/// PWD-11, PWD-12: a one-time token, never a password chosen by somebody else.
#[rstest]
#[actix_web::test]
async fn a_reset_hands_over_a_token_and_ends_the_sessions(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let alice = app.signed_in("alice").await;
    let path = format!("{}/reset-password", path_of(&admin, "alice").await);
    let void = admin.post_empty(&path).await.expect(200)["token"].clone();
    let issued = admin.post_empty(&path).await.expect(200);
    let token = &issued["token"];
    assert!(token.as_str().expect("a token").starts_with("vgt_"));
    alice.get("/auth/me").await.expect(200);
    let reset = async |token: &Value, password: &str| {
        app.nobody().post("/auth/reset", json!({ "token": token, "new_password": password })).await
    };
    let new = "sept corbeaux gris nagent";
    reset(&void, new).await.problem(401, "token_invalid");
    reset(token, "short").await.problem(422, "invalid_input");
    reset(token, new).await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    reset(token, new).await.problem(401, "token_invalid");
    let log_in = async |password: &str| {
        app.nobody().post("/auth/login", json!({ "username": "alice", "password": password })).await
    };
    log_in(PASSWORD).await.problem(401, "invalid_credentials");
    log_in(new).await.expect(200);
    let late = admin.post_empty(&path).await.expect(200)["token"].clone();
    app.advance(TimeDelta::hours(24));
    reset(&late, new).await.problem(401, "token_expired");
}

#[rstest]
#[actix_web::test]
async fn an_administrator_lifts_throttling(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    app.user("alice", "agent").await;
    let path = path_of(&admin, "alice").await;
    let log_in = async |password: &str| {
        app.nobody().post("/auth/login", json!({ "username": "alice", "password": password })).await
    };
    for _ in 0..6 {
        log_in("not the password at all").await;
    }
    log_in(PASSWORD).await.problem(429, "too_many_attempts");
    admin.post_empty(&format!("{path}/unlock")).await.expect(204);
    log_in(PASSWORD).await.expect(200);
    assert!(kinds_about(&admin, &path).await.contains(&"user.unlocked".to_owned()));
}

/// SES-12.
#[rstest]
#[actix_web::test]
async fn an_administrator_ends_all_sessions_of_a_user(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let sessions = [app.signed_in("alice").await, app.log_in("alice").await];
    let bob = app.signed_in("bob").await;
    let path = format!("{}/end-sessions", path_of(&admin, "alice").await);
    assert_eq!(admin.post(&path, json!({ "note": "left" })).await.expect(200), json!({ "ended": 2 }));
    assert_eq!(admin.post_empty(&path).await.expect(200), json!({ "ended": 0 }));
    for session in &sessions {
        session.get("/auth/me").await.problem(401, "session_ended");
    }
    bob.get("/auth/me").await.expect(200);
    let ended = admin.get("/admin/sessions?user=alice&reason=ended_by_admin").await.expect(200);
    assert!(ended["items"].as_array().expect("rows").iter().all(|row| row["note"] == "left"));
}

#[rstest]
#[actix_web::test]
async fn a_client_secret_is_shown_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let body = json!({ "id": "crm", "name": "Relations", "scopes": ["revoke", "introspect", "revoke"] });
    let created = admin.post("/admin/clients", body.clone()).await.expect(201);
    let secret = created["client_secret"].as_str().expect("a secret");
    assert!(secret.starts_with("vgc_"));
    assert_eq!(created["client"]["scopes"], json!(["introspect", "revoke"]));
    admin.post("/admin/clients", body).await.problem(409, "conflict");
    for body in [
        json!({ "id": "CRM", "name": "x", "scopes": [] }),
        json!({ "id": "x", "name": "", "scopes": [] }),
        json!({ "id": "x", "name": "x", "scopes": ["everything"] }),
        json!({ "id": "x", "name": "x" }),
    ] {
        admin.post("/admin/clients", body).await.problem(422, "invalid_input");
    }
    admin.post("/admin/clients", json!({ "id": "abc", "name": "x", "scopes": [] })).await.expect(201);
    let list = admin.get("/admin/clients").await;
    assert!(!list.body.contains("vgc_") && !list.body.contains(&secret[4..]) && !list.body.contains("\"secret\""));
    let rows = every_page(&admin, "/admin/clients", 1).await;
    assert_eq!(rows.iter().map(|row| &row["id"]).collect::<Vec<_>>(), ["abc", "crm"]);
    app.advance(TimeDelta::seconds(1));
    let rotated = admin.post_empty("/admin/clients/crm/rotate-secret").await.expect(200);
    assert_ne!(rotated["client_secret"], created["client_secret"]);
    let after = admin.get("/admin/clients").await.expect(200)["items"][1].clone();
    assert_ne!(after["secret_changed_at"], after["created_at"]);
    admin.delete("/admin/clients/crm").await.expect(204);
    admin.delete("/admin/clients/crm").await.problem(404, "not_found");
    admin.post_empty("/admin/clients/crm/rotate-secret").await.problem(404, "not_found");
    admin.delete("/admin/clients/CRM%2F").await.problem(404, "not_found");
}

/// SES-14, ASVS 7.5.3: what is hard to undo asks for a recent login; the rest does not.
#[rstest]
#[actix_web::test]
async fn what_is_hard_to_undo_asks_for_a_recent_login(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut admin = app.admin().await;
    let path = {
        app.user("alice", "agent").await;
        path_of(&admin, "alice").await
    };
    admin.post("/admin/clients", json!({ "id": "crm", "name": "x", "scopes": [] })).await.expect(201);
    app.advance(TimeDelta::minutes(9));
    admin = app.client(&admin.refresh().await.expect(200));
    admin.patch(&path, json!({})).await.expect(200);
    app.advance(TimeDelta::minutes(2));
    let sensitive = [
        admin.patch(&path, json!({ "role": "admin" })).await,
        admin.delete(&path).await,
        admin.post_empty(&format!("{path}/reset-password")).await,
        admin.post_empty(&format!("{path}/erase")).await,
        admin.post("/admin/sessions/end", json!({ "everything": true })).await,
        admin.post("/admin/not-before", json!({ "note": "x" })).await,
        admin.delete("/admin/clients/crm").await,
        admin.post_empty("/admin/clients/crm/rotate-secret").await,
        admin.post("/admin/clients", json!({ "id": "spy", "name": "x", "scopes": ["introspect"] })).await,
        admin.post("/admin/users", json!({ "username": "mallory", "role": "admin" })).await,
        admin.post_empty(&format!("{path}/unlock")).await,
        admin.get("/admin/sessions/export?format=csv").await,
        admin.get("/admin/attempts/export?format=csv").await,
        admin.get("/admin/audit/export?format=csv").await,
    ];
    for answer in sensitive {
        let challenge = answer.header("www-authenticate").map(str::to_owned);
        answer.problem(401, "reauthentication_required");
        let challenge = challenge.unwrap_or_default();
        assert!(
            challenge.starts_with("Bearer error=\"insufficient_user_authentication\", max_age=\"600\","),
            "{challenge}"
        );
    }
    admin.get(&path).await.expect(200);
    admin.post_empty(&format!("{path}/end-sessions")).await.expect(200);
    app.log_in("root").await.patch(&path, json!({ "role": "admin" })).await.expect(200);
}

/// Where a setting says so, reviewers export without one.
#[rstest]
#[actix_web::test]
async fn exports_ask_for_a_recent_login_as_a_setting_has_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let settings = [("VIGIE__SESSIONS__REAUTHENTICATION_FOR_EXPORTS", "false"), ("VIGIE__TOKENS__ACCESS_TTL", "1h")];
    let app = TestApp::start_with(backend, &settings).await;
    let auditor = app.auditor().await;
    app.advance(TimeDelta::minutes(11));
    for list in ["sessions", "attempts", "audit"] {
        assert_eq!(auditor.get(&format!("/admin/{list}/export?format=csv")).await.status, 200);
    }
}
