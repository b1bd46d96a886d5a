//! Logging out: with what, and with what no longer.

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::token::Forger;

/// Many clients send `{}` where there is nothing to say.
#[rstest]
#[actix_web::test]
async fn an_empty_object_is_as_no_body(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    app.nobody().post("/auth/logout", json!({})).await.problem(401, "credentials_required");
    alice.post("/auth/logout", json!({ "refresh_tokem": "x" })).await.problem(422, "invalid_input");
    alice.get("/auth/me").await.expect(200);
    alice.post("/auth/logout", json!({})).await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    alice.post("/auth/logout", json!({})).await.expect(204);
    let again = app.log_in("alice").await;
    app.nobody().post("/auth/logout", json!({ "refresh_token": again.refresh_token })).await.expect(204);
    again.get("/auth/me").await.problem(401, "session_ended");
}

/// A laptop is opened after lunch, and its user clicks on "log out".
#[rstest]
#[actix_web::test]
async fn a_token_past_its_time_logs_out(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    let alice = app.signed_in("alice").await;
    app.advance(TimeDelta::minutes(11));
    alice.get("/auth/me").await.problem(401, "token_expired");
    let renewed = app.client(&alice.refresh().await.expect(200));
    alice.post_empty("/auth/logout").await.expect(204);
    renewed.get("/auth/me").await.problem(401, "session_ended");
    alice.post_empty("/auth/logout").await.expect(204);
}

/// Also where its key has been exchanged long since: that is a matter of time as well.
#[rstest]
#[actix_web::test]
async fn a_token_of_a_retired_key_logs_out_and_one_of_a_revoked_key_does_not(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("retired", "revoked")] key: &str,
) {
    use vigie::model::audit::Cause;
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__IDLE_TIMEOUT", "12h")]).await;
    let alice = app.signed_in("alice").await;
    let id = app.app.sessions.signing().current().await.expect("a key").id().to_string();
    app.app.sessions.rotate_key(&Cause::command_line()).await.expect("a new key");
    app.advance(TimeDelta::hours(3));
    if key == "revoked" {
        app.app.sessions.revoke_key(&id, &Cause::command_line()).await.expect("revoked");
        alice.post_empty("/auth/logout").await.problem(401, "token_invalid");
        alice.refresh().await.expect(200);
    } else {
        alice.post_empty("/auth/logout").await.expect(204);
        alice.refresh().await.problem(401, "session_ended");
    }
}

/// Nothing but time is forgiven.
#[rstest]
#[actix_web::test]
async fn a_token_that_is_not_ours_logs_nobody_out_whatever_its_time(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let now = app.now().timestamp();
    let mut forger = Forger::of(&alice).await;
    for (name, value) in [("iat", now + 3600), ("nbf", now + 3600), ("exp", now - 3600)] {
        let session = app.log_in("alice").await;
        let forger = Forger::of(&session).await;
        session.with_token(&forger.with_claim(name, value)).post_empty("/auth/logout").await.expect(204);
        session.get("/auth/me").await.problem(401, "session_ended");
    }
    forger.claims["exp"] = json!(now - 1);
    let other = uuid::Uuid::now_v7().to_string();
    let mut refused: Vec<String> =
        [("iss", "https://other.example"), ("aud", "other"), ("sub", &other), ("sid", &other)]
            .map(|(name, value)| forger.with_claim(name, value))
            .into();
    refused.push(forger.with_header("typ", "JWT"));
    refused.push(format!("{}x", forger.faithful()));
    for token in refused {
        alice.with_token(&token).post_empty("/auth/logout").await.problem(401, "token_invalid");
    }
    alice.get("/auth/me").await.expect(200);
}
