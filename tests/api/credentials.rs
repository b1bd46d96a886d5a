//! How a credential is shown and refused, and the headers of every answer (TOK-10, TOK-11, TOK-12, WEB-03).

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use rstest::rstest;
use serde_json::json;
use vigie::model::audit::AuditContext;
use vigie::model::secret::SecretKind;

use crate::support::app::{Answer, PASSWORD, TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// RFC 9728 §5.1: each challenge names the description of the API.
const DESCRIBED: &str = "resource_metadata=\"http://127.0.0.1:8080/.well-known/oauth-protected-resource\"";
const NO_CREDENTIAL: &str = "Bearer resource_metadata=\"http://127.0.0.1:8080/.well-known/oauth-protected-resource\"";
const INVALID_TOKEN: &str =
    "Bearer error=\"invalid_token\", resource_metadata=\"http://127.0.0.1:8080/.well-known/oauth-protected-resource\"";

/// What asks for the token of a person.
const GUARDED: &[(Method, &str)] = &[
    (Method::GET, "/auth/me"),
    (Method::GET, "/auth/sessions"),
    (Method::GET, "/auth/attempts"),
    (Method::GET, "/auth/verify"),
    (Method::DELETE, "/auth/sessions/01890000-0000-7000-8000-000000000000"),
    (Method::POST, "/auth/logout"),
    (Method::POST, "/auth/logout-all"),
    (Method::POST, "/auth/password"),
];

#[rstest]
#[actix_web::test]
async fn tok_10_without_a_credential_the_challenge_names_no_error(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    for (method, path) in GUARDED {
        let body = json!({ "current_password": "x", "new_password": "y" });
        let mut request = app.nobody().request(method.clone(), path);
        if *path == "/auth/password" {
            request = request.json(&body);
        }
        let answer = send(request).await;
        assert_eq!(answer.header("www-authenticate"), Some(NO_CREDENTIAL), "{method} {path}");
        answer.problem(401, "credentials_required");
    }
}

#[rstest]
#[actix_web::test]
async fn tok_10_each_refusal_has_its_literal_challenge(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let challenge = |answer: &Answer| answer.header("www-authenticate").map(str::to_owned);

    let unknown = alice.with_token("x.y.z").get("/auth/me").await;
    assert_eq!(challenge(&unknown).as_deref(), Some(INVALID_TOKEN));
    unknown.problem(401, "token_invalid");

    app.advance(chrono::TimeDelta::minutes(11));
    let expired = alice.get("/auth/me").await;
    assert_eq!(challenge(&expired).as_deref(), Some(INVALID_TOKEN));
    expired.problem(401, "token_expired");
    let stale = app.client(&alice.refresh().await.expect(200));
    let other = app.log_in("alice").await;
    let refused = stale.delete(&format!("/auth/sessions/{}", other.session_id)).await;
    let sufficient = format!("Bearer error=\"insufficient_user_authentication\", max_age=\"600\", {DESCRIBED}");
    assert_eq!(challenge(&refused).as_deref(), Some(sufficient.as_str()), "RFC 9470 §3");
    refused.problem(401, "reauthentication_required");

    other.post_empty("/auth/logout").await.expect(204);
    let ended = other.get("/auth/me").await;
    assert_eq!(challenge(&ended).as_deref(), Some(INVALID_TOKEN));
    ended.problem(401, "session_ended");
}

#[rstest]
#[actix_web::test]
async fn another_scheme_is_no_credential(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let token = alice.token();
    for value in ["Basic YWxpY2U6eA==", "Basic", "Digest a=b", "DPoP x.y.z", token, &format!("Token {token}")] {
        let answer = send(app.nobody().request(Method::GET, "/auth/me").header(AUTHORIZATION, value)).await;
        assert_eq!(answer.header("www-authenticate"), Some(NO_CREDENTIAL), "{value}");
        answer.problem(401, "credentials_required");
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let request = app.nobody().request(Method::GET, "/auth/me").header(AUTHORIZATION, format!("{scheme} {token}"));
        send(request).await.expect(200);
    }
}

#[rstest]
#[actix_web::test]
async fn tok_11_two_credentials_at_once_are_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    for (method, path) in GUARDED {
        for second in [format!("Bearer {}", alice.token()), "Basic YWxpY2U6eA==".to_owned()] {
            let mut request = alice.request(method.clone(), path).header(AUTHORIZATION, second);
            if *path == "/auth/password" {
                request = request.json(&json!({ "current_password": "x", "new_password": "y" }));
            }
            send(request).await.problem(400, "malformed_request");
        }
    }
    let both = json!({ "refresh_token": alice.refresh_token });
    alice.post("/auth/logout", both).await.problem(400, "malformed_request");
    alice.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn tok_11_a_token_in_the_address_is_refused_and_does_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    for query in ["access_token=", "x=1&access_token=", "access%5Ftoken="] {
        let query = format!("{query}{}", alice.token());
        for path in ["/auth/me", "/auth/verify", "/auth/sessions"] {
            for client in [&app.nobody(), &alice] {
                client.get(&format!("{path}?{query}")).await.problem(400, "malformed_request");
            }
        }
        alice.post_empty(&format!("/auth/logout?{query}")).await.problem(400, "malformed_request");
    }
    alice.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn no_other_secret_is_a_bearer_token(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.user("alice", "agent").await;
    let alice = app.log_in("alice").await;
    let reset = app.app.users.issue_reset(user.id, false, &AuditContext::command_line()).await.expect("a reset token");
    let secrets =
        [alice.refresh_token.clone(), reset.secret.reveal(SecretKind::OneTimeToken), alice.session_id.clone()];
    for secret in &secrets {
        for path in ["/auth/me", "/auth/verify"] {
            let answer = alice.with_token(secret).get(path).await;
            assert_eq!(answer.header("www-authenticate"), Some(INVALID_TOKEN));
            answer.problem(401, "token_invalid");
        }
        alice.with_token(secret).post_empty("/auth/logout").await.problem(401, "token_invalid");
    }
    alice.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn a_credential_that_is_no_text_or_far_too_long_is_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    for length in [8 * 1024, 8 * 1024 + 1, 12 * 1024] {
        alice.with_token(&"x".repeat(length)).get("/auth/me").await.problem(401, "token_invalid");
    }
    for length in [16 * 1024, 20 * 1024, 60 * 1024] {
        let answer = alice.with_token(&"x".repeat(length)).get("/auth/me").await;
        assert!(matches!(answer.status, 400 | 401 | 431), "{length}: {} {}", answer.status, answer.body);
    }
    let bytes = reqwest::header::HeaderValue::from_bytes(b"Bearer \xff\xfe.\xff.\xff").expect("a header");
    let request = app.nobody().request(Method::GET, "/auth/me").header(AUTHORIZATION, bytes);
    send(request).await.problem(401, "token_invalid");
}

/// One answer of every kind: success and refusal of each route, an unknown path, an unknown method.
async fn answers(app: &TestApp) -> Vec<(String, Answer)> {
    app.user("alice", "agent").await;
    let (nobody, login) = (app.nobody(), json!({ "username": "alice", "password": PASSWORD }));
    let first = nobody.post("/auth/login", login.clone()).await;
    let alice = app.client(&first.json());
    let mut all = vec![
        ("login".to_owned(), first),
        ("wrong login".to_owned(), nobody.post("/auth/login", json!({ "username": "alice", "password": "x" })).await),
        ("empty login".to_owned(), nobody.post("/auth/login", json!({})).await),
        ("no JSON".to_owned(), nobody.post_empty("/auth/login").await),
        ("refresh".to_owned(), alice.refresh().await),
        ("wrong refresh".to_owned(), nobody.post("/auth/refresh", json!({ "refresh_token": "x" })).await),
        ("wrong reset".to_owned(), nobody.post("/auth/reset", json!({ "token": "x", "new_password": "y" })).await),
        ("wrong password".to_owned(), {
            alice.post("/auth/password", json!({ "current_password": "x", "new_password": "y" })).await
        }),
        ("unknown path".to_owned(), nobody.get("/nothing").await),
        ("unknown method".to_owned(), nobody.get("/auth/login").await),
        ("live".to_owned(), nobody.get("/health/live").await),
    ];
    for path in ["/auth/me", "/auth/sessions", "/auth/attempts", "/auth/verify"] {
        all.push((path.to_owned(), alice.get(path).await));
        all.push((format!("{path} by nobody"), nobody.get(path).await));
        all.push((format!("{path} with a bad token"), alice.with_token("a.b.c").get(path).await));
    }
    all.push(("logout".to_owned(), alice.post_empty("/auth/logout").await));
    all.push(("ended".to_owned(), alice.get("/auth/me").await));
    let again = app.client(&nobody.post("/auth/login", login).await.expect(200));
    all.push(("logout-all".to_owned(), again.post_empty("/auth/logout-all").await));
    all
}

#[rstest]
#[actix_web::test]
async fn tok_12_no_answer_is_stored_and_each_has_its_own_request_id(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let answers = answers(&app).await;
    let mut ids = std::collections::HashSet::new();
    for (what, answer) in &answers {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        let id = answer.header("x-request-id").unwrap_or_else(|| panic!("{what} has a request id"));
        assert!(uuid::Uuid::parse_str(id).is_ok(), "{what}: {id}");
        assert!(ids.insert(id.to_owned()), "{what}: {id} twice");
    }
}

#[rstest]
#[actix_web::test]
async fn web_03_every_answer_tells_browsers_what_not_to_do_with_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let expected = [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ];
    for (what, answer) in answers(&app).await {
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{what}");
        }
        for absent in ["strict-transport-security", "server", "x-powered-by", "set-cookie"] {
            assert_eq!(answer.header(absent), None, "{what}");
        }
    }
}

#[rstest]
#[actix_web::test]
async fn behind_https_every_answer_insists_on_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SERVER__PUBLIC_URL", "https://vigie.example")]).await;
    for (what, answer) in answers(&app).await {
        let year = Some("max-age=31536000; includeSubDomains");
        assert_eq!(answer.header("strict-transport-security"), year, "{what}");
    }
}

#[rstest]
#[actix_web::test]
async fn a_request_id_is_taken_over_from_a_trusted_proxy_only(#[values(Sqlite, Postgres)] backend: Backend) {
    let direct = TestApp::start(backend).await;
    let proxied = TestApp::start_with(backend, &[("VIGIE__SERVER__TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    let ask = |app: &TestApp, id: &str| app.nobody().request(Method::GET, "/auth/me").header("x-request-id", id);
    let shown = |answer: &Answer| answer.header("x-request-id").expect("an id").to_owned();
    assert_ne!(shown(&send(ask(&direct, "chosen-by-client")).await), "chosen-by-client");
    let answer = send(ask(&proxied, "chosen-by-proxy")).await;
    assert_eq!(shown(&answer), "chosen-by-proxy");
    assert_eq!(answer.problem(401, "credentials_required")["request_id"], "chosen-by-proxy");
    for bad in ["", "a b", "<script>", &"x".repeat(65), "a\tb"] {
        let shown = shown(&send(ask(&proxied, bad)).await);
        assert!(uuid::Uuid::parse_str(&shown).is_ok(), "{bad:?}: {shown}");
    }
    // The id of the request is that of the attempt.
    let login = proxied.nobody().request(Method::POST, "/auth/login").header("x-request-id", "login-1");
    send(login.json(&json!({ "username": "nobody", "password": "x" }))).await.problem(401, "invalid_credentials");
    assert_eq!(proxied.attempts().await[0].request_id, "login-1");
}
