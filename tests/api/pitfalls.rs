//! Pitfalls that other servers fell into, as far as no other test names them: the client's address (D4), guessing and
//! passwords (D5), exposure through the feature itself (D7). `docs/requirements.md` lists them all.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::session::ActorKind;

use super::throttling::{HOME, PROXIED, try_from};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// D4-31: failures are kept with the same address as successes.
#[rstest]
#[actix_web::test]
async fn d4_31_failures_and_successes_have_the_same_address(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    app.user("alice", "agent").await;
    let forged = format!("198.51.100.1, {HOME}");
    try_from(&app, &forged, "alice", "wrong").await.problem(401, "invalid_credentials");
    let session = try_from(&app, &forged, "alice", PASSWORD).await.expect(200)["session"].clone();
    let attempts: Vec<String> = app.attempts().await.iter().map(|attempt| attempt.ip.to_string()).collect();
    assert_eq!((attempts, &session["ip"]), (vec![HOME.to_owned(), HOME.to_owned()], &json!(HOME)));
    let events = app.events().await;
    assert!(events.iter().filter_map(|event| event.event.context.ip).all(|ip| ip.to_string() == HOME));
    assert!(!app.dump().contains("198.51.100.1"));
}

/// D4-33: a list of proxies says whom to believe, not whom to serve.
#[rstest]
#[actix_web::test]
async fn d4_33_who_is_no_proxy_is_served_under_its_own_address(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SERVER__TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    app.user("alice", "agent").await;
    for path in ["/health/live", "/health/ready"] {
        app.nobody().get(path).await.expect(200);
    }
    let session = try_from(&app, HOME, "alice", PASSWORD).await.expect(200)["session"].clone();
    assert_eq!(session["ip"], "127.0.0.1");
}

/// D5-38: nothing that a password was made into is in a token.
#[rstest]
#[actix_web::test]
async fn d5_38_a_token_holds_no_more_than_its_claims(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let payload = alice.token().split('.').nth(1).expect("a payload");
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON");
    let names: BTreeSet<&str> = claims.as_object().expect("claims").keys().map(String::as_str).collect();
    let known = ["amr", "aud", "auth_time", "client_id", "exp", "gen", "iat", "iss", "jti", "role", "sid", "sub"];
    assert!(names.is_subset(&BTreeSet::from(known)), "{names:?}");
}

/// D5-39: a password that was replaced is not kept, in no form.
#[rstest]
#[actix_web::test]
async fn d5_39_no_earlier_password_is_kept(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let user = app.app.users.find_by_id_or_name("alice").await.expect("the store answers").expect("a user");
    let before = user.password_hash.expect("a password").0;
    assert!(app.dump().contains(&before));
    let change = json!({ "current_password": PASSWORD, "new_password": "cinq canards bleus nagent" });
    alice.post("/auth/password", change).await.expect(200);
    assert!(!app.dump().contains(&before));
}

/// D7-47: whoever may list sessions can use none of them.
#[rstest]
#[actix_web::test]
async fn d7_47_a_list_of_sessions_holds_nothing_that_can_be_used(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, root) = (app.signed_in("alice").await, app.admin().await);
    for (reader, path) in
        [(&alice, "/auth/sessions"), (&root, "/admin/sessions"), (&root, "/admin/sessions/export?format=csv")]
    {
        let body = reader.get(path).await.body;
        assert!(body.contains(&alice.session_id), "{path}");
        for secret in [alice.token(), &alice.refresh_token, &alice.refresh_token[4..], "vgr_", "eyJ"] {
            assert!(!body.contains(secret), "{path}: {secret}");
        }
    }
    let row = alice.get("/auth/sessions").await.expect(200)["items"][0].clone();
    for id in [&row["id"], &row["token"]["jti"]] {
        let id = id.as_str().expect("an id");
        app.nobody().with_token(id).get("/auth/me").await.problem(401, "token_invalid");
        app.nobody().post("/auth/refresh", json!({ "refresh_token": id })).await.problem(401, "token_invalid");
    }
}

/// D7-50: what happens in one request is recorded, all of it.
#[rstest]
#[actix_web::test]
async fn d7_50_every_event_of_one_request_is_kept(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, root) = (app.signed_in("alice").await, app.admin().await);
    let id = app.session_row(&alice.session_id).await.user_id;
    let change = json!({ "username": "alicia", "role": "chef", "state": "disabled", "email": "a@example.org" });
    let answer = root.patch(&format!("/admin/users/{id}"), change).await;
    let request = answer.header("x-request-id").expect("an id").to_owned();
    answer.expect(200);
    let of_request: BTreeSet<&str> = app
        .events()
        .await
        .iter()
        .filter(|event| event.event.context.request_id.as_deref() == Some(&request))
        .map(|event| event.event.kind.as_str())
        .collect();
    let expected = ["session.ended", "user.disabled", "user.email_changed", "user.renamed", "user.role_changed"];
    assert!(of_request.is_superset(&BTreeSet::from(expected)), "{of_request:?}");
}

/// D7-51: what an administrator does to a user is never the user's deed.
#[rstest]
#[actix_web::test]
async fn d7_51_the_record_names_who_acted(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, root) = (app.signed_in("alice").await, app.admin().await);
    let administrator = app.session_row(&root.session_id).await.user_id.to_string();
    let before = app.events().await.len();
    let id = app.session_row(&alice.session_id).await.user_id;
    root.post(&format!("/admin/sessions/{}/end", alice.session_id), json!({ "note": "x" })).await.expect(204);
    root.patch(&format!("/admin/users/{id}"), json!({ "state": "disabled" })).await.expect(200);
    root.post_empty(&format!("/admin/users/{id}/unlock")).await.expect(204);
    let events = app.events().await;
    for event in &events[before..] {
        let actor = &event.event.context.actor;
        assert_eq!((actor.kind, &actor.id), (ActorKind::Admin, &administrator), "{event:?}");
    }
    assert!(events.len() >= before + 3);
    let end = app.session_row(&alice.session_id).await.end.expect("ended");
    assert_eq!((end.by.kind, end.by.id), (ActorKind::Admin, administrator));
}
