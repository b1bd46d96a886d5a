//! Forward-auth: what a reverse proxy asks and hands on (P9, ADM-03).

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::Method;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
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
}

/// Proxies ask in ways of their own (Envoy keeps the method and appends path and query): what the client chose is no part of
/// the question.
#[rstest]
#[actix_web::test]
async fn p9_every_method_and_path_is_answered_alike(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SERVER__CORS_ORIGINS", "https://app.example.org")]).await;
    let alice = app.signed_in("alice").await;
    let paths = [
        "/auth/verify",
        "/auth/verify/",
        "/auth/verify/admin/users",
        "/auth/verify//a%2F..%2Fb;c=%0A?access_token=of-the-application",
        "/auth/verify/?login=redirect",
    ];
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
        let method: Method = method.parse().expect("a method");
        for path in paths {
            let answer = send(alice.request(method.clone(), path)).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{method} {path}");
            assert_eq!(told(&answer)[1..], [Some("alice"), Some("agent"), Some(alice.session_id.as_str())]);
            // Also where it is the preflight of an application whose pages may call us: a yes to it would let it pass.
            let preflight = app.nobody().request(method.clone(), path).header("origin", "https://app.example.org");
            let refused = send(preflight.header("access-control-request-method", "POST")).await;
            assert_eq!((refused.status, told(&refused)), (401, [None; 4]), "{method} {path}");
            assert!(refused.header("www-authenticate").is_some(), "{method} {path}");
        }
    }
    alice.post_empty("/auth/logout").await.expect(204);
    for path in paths {
        assert_eq!(send(alice.request(Method::PUT, path)).await.status, 401, "{path}");
    }
    app.nobody().get("/auth/verifyx").await.problem(404, "not_found");
}

/// What a client chose of a question is neither logged nor recorded: there would be as many kinds of refusals as methods.
#[rstest]
#[actix_web::test]
async fn a_refusal_is_recorded_by_the_route_alone(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    for number in 0..3 {
        let method = format!("M{number}").parse().expect("a method");
        let path = format!("/auth/verify/path-of-a-client-{number}");
        send(app.nobody().with_token("x.y.z").request(method, &path)).await.problem(401, "token_invalid");
    }
    app.app.refusals.write_all().await.expect("the store answers");
    let admin = app.admin().await;
    let recorded = admin.get("/admin/audit?kind=token.refused").await.expect(200);
    // The first of them, and how many were like it.
    assert_eq!(recorded["items"].as_array().map(Vec::len), Some(2), "{recorded}");
    let recorded = recorded.to_string();
    assert!(!recorded.contains("path-of-a-client") && !recorded.contains("M0"), "{recorded}");
}

/// A proxy may announce the body of the request and never send it. Nobody waits for it, and nothing that follows on the
/// connection is taken for it.
#[rstest]
#[actix_web::test]
async fn p9_a_body_is_not_waited_for(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("/auth/verify", "/auth/verify/upload")] path: &str,
    #[values("Content-Length: 100000", "Transfer-Encoding: chunked")] announced: &str,
) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    for (token, status) in [(alice.token(), "200"), ("x.y.z", "401")] {
        let mut stream = TcpStream::connect(app.address).await.expect("the server listens");
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: vigie\r\nAuthorization: Bearer {token}\r\n{announced}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("it is taken");
        let mut answer = [0; 12];
        let answered = tokio::time::timeout(Duration::from_secs(10), stream.read_exact(&mut answer)).await;
        answered.expect("an answer in time").expect("an answer");
        assert_eq!(std::str::from_utf8(&answer), Ok(format!("HTTP/1.1 {status}").as_str()));
    }
}

/// `X-Forwarded-*` says who asks only where a trusted proxy says it.
#[rstest]
#[actix_web::test]
async fn the_address_of_a_question_is_believed_from_trusted_proxies_alone(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(true, false)] is_trusted: bool,
) {
    let (trusted, recorded) = if is_trusted { ("127.0.0.1", "203.0.113.9") } else { ("10.0.0.1", "127.0.0.1") };
    let app = TestApp::start_with(backend, &[("VIGIE__SERVER__TRUSTED_PROXIES", trusted)]).await;
    let nobody = app.nobody().with_token("x.y.z");
    let question = nobody.request(Method::GET, "/auth/verify").header("x-forwarded-for", "203.0.113.9");
    send(question.header("x-forwarded-uri", "/anything").header("x-forwarded-method", "POST"))
        .await
        .problem(401, "token_invalid");
    app.app.refusals.write_all().await.expect("the store answers");
    let refusals = app.admin().await.get("/admin/audit?kind=token.refused").await.expect(200);
    assert_eq!(refusals["items"][0]["ip"], recorded);
}
