//! Logging out: with what, and with what no longer.

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use rstest::rstest;
use serde_json::json;

use crate::support::app::{Answer, TestApp, TestClient, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::token::Forger;

/// Many clients send `{}` where there is nothing to say.
#[rstest]
#[actix_web::test]
async fn an_empty_object_is_as_no_body(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    app.nobody().post("/auth/logout", json!({})).await.problem(401, "credentials_required");
    app.nobody().post("/auth/logout", json!({ "refresh_tokem": "x" })).await.problem(422, "invalid_input");
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
    use vigie::model::audit::AuditContext;
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__IDLE_TIMEOUT", "12h")]).await;
    let alice = app.signed_in("alice").await;
    let id = app.app.sessions.signing().current().await.expect("a key").id().to_string();
    app.app.sessions.rotate_key(&AuditContext::command_line()).await.expect("a new key");
    app.advance(TimeDelta::hours(3));
    if key == "revoked" {
        app.app.sessions.revoke_key(&id, &AuditContext::command_line()).await.expect("revoked");
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

async fn log_out_with(client: &TestClient<'_>, media_type: Option<&str>, body: impl Into<reqwest::Body>) -> Answer {
    let request = client.request(Method::POST, "/auth/logout").body(body);
    send(match media_type {
        Some(media_type) => request.header(CONTENT_TYPE, media_type),
        None => request,
    })
    .await
}

const JSON: Option<&str> = Some("application/json");
const TEXT: Option<&str> = Some("text/plain;charset=UTF-8");
const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

/// Where only the body says whose session ends, it is read as strictly as any.
#[rstest]
#[actix_web::test]
async fn without_an_access_token_a_body_must_be_what_it_should(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let good = json!({ "refresh_token": alice.refresh_token }).to_string();
    for (media_type, body, status, code) in [
        (FORM, good.clone(), 415, "unsupported_media_type"),
        (TEXT, good.clone(), 415, "unsupported_media_type"),
        (None, good.clone(), 415, "unsupported_media_type"),
        (FORM, "{}".to_owned(), 415, "unsupported_media_type"),
        (JSON, " \r\n".to_owned(), 400, "malformed_request"),
        (JSON, format!("\u{feff}{good}"), 400, "malformed_request"),
        (JSON, "{".to_owned(), 400, "malformed_request"),
        (JSON, r#"{"refresh_token":7}"#.to_owned(), 422, "invalid_input"),
        (JSON, "null".to_owned(), 401, "credentials_required"),
    ] {
        log_out_with(&app.nobody(), media_type, body).await.problem(status, code);
    }
    alice.get("/auth/me").await.expect(200);
    log_out_with(&app.nobody(), JSON, good).await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
}

/// Whoever names a second session beside the first is not told that both are over.
#[rstest]
#[actix_web::test]
async fn a_refresh_token_beside_an_access_token_is_refused_however_it_is_written(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let other = app.log_in("alice").await;
    let good = json!({ "refresh_token": other.refresh_token }).to_string();
    let more = json!({ "refresh_token": other.refresh_token, "reason": "bye" }).to_string();
    for media_type in [JSON, TEXT, FORM, None] {
        for body in [good.clone(), more.clone(), format!("\u{feff}{good}"), format!("\n {good}\n")] {
            log_out_with(&alice, media_type, body).await.problem(400, "malformed_request");
        }
    }
    for client in [&alice, &other] {
        client.get("/auth/me").await.expect(200);
    }
    log_out_with(&alice, JSON, r#"{"refresh_token":null}"#).await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    other.get("/auth/me").await.expect(200);
}

/// A body may mean nothing, but not be of any length; and an access token that is not good is told so, whatever the body.
#[rstest]
#[actix_web::test]
async fn beside_an_access_token_a_body_counts_by_its_length_alone(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    log_out_with(&alice, TEXT, "x".repeat(64 * 1024 + 1)).await.problem(413, "too_large");
    log_out_with(&alice.with_token("a.b.c"), FORM, "{}").await.problem(401, "token_invalid");
    alice.get("/auth/me").await.expect(200);
    log_out_with(&alice, TEXT, "x".repeat(64 * 1024)).await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
}
