//! Forward-auth: what a reverse proxy asks and hands on (P9, ADM-03).

use chrono::TimeDelta;
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use vigie::model::audit::AuditContext;
use vigie::model::user::{Role, Username};
use vigie::user::change::UserChange;

use crate::support::app::{Answer, TestApp, TestClient, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

async fn head(client: &TestClient<'_>) -> Answer {
    send(client.request(Method::HEAD, "/auth/verify")).await
}

/// What the answer tells the proxy: id, name, role, session.
fn told(answer: &Answer) -> [Option<&str>; 4] {
    ["x-auth-user-id", "x-auth-username", "x-auth-role", "x-auth-session-id"].map(|name| answer.header(name))
}

#[rstest]
#[actix_web::test]
async fn a_good_token_is_answered_with_who_it_is_and_no_body(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.user("alice", "agent").await;
    let alice = app.log_in("alice").await;
    let id = user.id.to_string();
    for answer in [alice.get("/auth/verify").await, head(&alice).await] {
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(told(&answer), [Some(id.as_str()), Some("alice"), Some("agent"), Some(alice.session_id.as_str())]);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[rstest]
#[actix_web::test]
async fn adm_03_name_and_role_are_those_of_now_not_those_of_the_token(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.user("alice", "admin").await;
    app.user("root", "admin").await;
    let alice = app.log_in("alice").await;
    let change = UserChange {
        username: Username::parse("Zoé 50%").ok(),
        role: Role::parse("stagiaire été").ok(),
        ..UserChange::default()
    };
    app.app.users.change(user.id, change, &AuditContext::command_line()).await.expect("changed");
    let answer = alice.get("/auth/verify").await;
    assert_eq!(told(&answer)[1..3], [Some("Zo%C3%A9%2050%25"), Some("stagiaire%20%C3%A9t%C3%A9")]);
    let me = alice.get("/auth/me").await.expect(200);
    assert_eq!(
        (me["user"]["username"].as_str(), me["user"]["role"].as_str()),
        (Some("Zoé 50%"), Some("stagiaire été"))
    );
    // The login is history: it keeps the name and the role it had.
    assert_eq!(
        (me["session"]["user"]["username"].as_str(), me["session"]["user"]["role"].as_str()),
        (Some("alice"), Some("admin"))
    );
}

#[rstest]
#[actix_web::test]
async fn what_the_gate_refuses_forward_auth_refuses_with_the_same_code(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let ended = app.log_in("alice").await;
    ended.post_empty("/auth/logout").await.expect(204);
    let agree = async |client: &TestClient<'_>, code: &str| {
        let (gate, verify, head) = (client.get("/auth/me").await, client.get("/auth/verify").await, head(client).await);
        assert_eq!((head.status, head.body.as_str()), (401, ""), "{code}");
        assert_eq!(told(&head), [None; 4]);
        assert_eq!(told(&verify), [None; 4]);
        let challenge = gate.header("www-authenticate").map(str::to_owned);
        assert_eq!(verify.header("www-authenticate").map(str::to_owned), challenge);
        assert_eq!(head.header("www-authenticate").map(str::to_owned), challenge);
        gate.problem(401, code);
        verify.problem(401, code);
    };
    agree(&app.nobody(), "credentials_required").await;
    agree(&alice.with_token("a.b.c"), "token_invalid").await;
    agree(&ended, "session_ended").await;
    app.advance(TimeDelta::minutes(10));
    agree(&alice, "token_expired").await;
}

#[rstest]
#[actix_web::test]
async fn asking_counts_as_use_of_the_session(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__TOKENS__ACCESS_TTL", "2h")]).await;
    let alice = app.signed_in("alice").await;
    for _ in 0..3 {
        app.advance(TimeDelta::minutes(29));
        assert_eq!(head(&alice).await.status, 200);
    }
    app.advance(TimeDelta::minutes(30));
    assert_eq!(head(&alice).await.status, 401);
}

#[rstest]
#[actix_web::test]
async fn headers_of_the_client_are_not_handed_on(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let request =
        alice.request(Method::GET, "/auth/verify").header("x-auth-username", "root").header("x-auth-role", "admin");
    let answer = send(request).await;
    assert_eq!(answer.headers.get_all("x-auth-username").iter().count(), 1);
    assert_eq!(told(&answer)[1..3], [Some("alice"), Some("agent")]);
    alice.post("/auth/verify", json!({})).await.problem(405, "method_not_allowed");
}
