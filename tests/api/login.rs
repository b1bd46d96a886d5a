//! Log in, be checked, log out (P1, P2, SES-01, SES-08).

use rstest::rstest;
use serde_json::json;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

#[rstest]
#[actix_web::test]
async fn a_token_dies_with_its_session(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    alice.get("/auth/me").await.expect(200);
    alice.post_empty("/auth/logout").await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    alice.refresh().await.problem(401, "session_ended");
    alice.post_empty("/auth/logout").await.expect(204);
}

#[rstest]
#[actix_web::test]
async fn a_login_answers_with_a_pair_of_tokens_and_says_when_the_one_before_was(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let login = json!({ "username": "ALICE", "password": PASSWORD, "device_name": "bureau" });
    let first = app.nobody().post("/auth/login", login.clone()).await.expect(200);
    assert_eq!(first["token_type"], "Bearer");
    assert_eq!(first["expires_in"], 600);
    assert_eq!(first["refresh_expires_in"], 1800);
    assert_eq!(first["user"]["username"], "alice");
    assert_eq!(first["session"]["device_name"], "bureau");
    assert_eq!(first["previous_login"], serde_json::Value::Null);
    app.advance(chrono::TimeDelta::minutes(1));
    let second = app.nobody().post("/auth/login", login).await.expect(200);
    assert_eq!(second["previous_login"]["at"], first["session"]["started_at"]);
    assert_eq!(second["previous_login"]["ip"], "127.0.0.1");
}
