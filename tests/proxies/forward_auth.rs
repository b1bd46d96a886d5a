//! Forward-auth behind real proxies (P9): whoever has a good token passes as whoever it is, and nobody else does; logged out
//! means logged out at the very next request; and what cannot be asked is refused with 503.

use rstest::rstest;
use serde_json::Value;

use super::application;
use super::front::{APPLICATION, Front, Start, VIGIE, caddy, envoy, haproxy, nginx};
use super::wire::{Question, Told};
use crate::support::app::PASSWORD;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::lookout::{Lookout, address};
use crate::support::program::Server;
use crate::support::until::until;

/// Headers of ours, as a client forges them: by whatever spelling an application takes for the same.
const FORGED: [&str; 8] = [
    "X-Auth-User-Id",
    "x-auth-username",
    "X-AUTH-ROLE",
    "X-Auth-Session-Id",
    "X_Auth_User_Id",
    "X_AUTH_USERNAME",
    "X-Auth_Role",
    "x_auth-session_id",
];
/// Paths that a client may write, and that each program reads in its own way.
const TARGETS: [&str; 7] = [
    "/reports/../admin?x=1",
    "/reports/%2e%2e/admin",
    "/a%2Fb",
    "/a;b=c?x=%2F&y",
    "/a?access_token=of-the-application",
    "/auth/verify",
    "/?login=redirect",
];

/// A proxy, and what is its own.
struct Recipe {
    files: &'static [&'static str],
    start: Start,
    /// Whether it can take away every header that begins with `X-Auth-`.
    strips_all: bool,
}

async fn get(front: &Front, token: &str) -> Told {
    Question::get("/").bearer(token).ask(front.address).await
}

/// Everything that a recipe promises.
async fn holds(recipe: &Recipe, backend: Backend) {
    let lookout = Lookout::new(backend);
    lookout.program.add_user("alice", "agent");
    let expired = lookout.expired_token().await;
    let server = lookout.program.serve();
    let addresses = [(VIGIE, address(&server)), (APPLICATION, application::start())];
    let front = Front::run(recipe.files, &addresses, recipe.start);
    let login = server.log_in("alice").await;
    let token = login["access_token"].as_str().expect("a token");

    tells_the_application_who_it_is(&front, token, &login, recipe.strips_all).await;
    refuses_everybody_else(&front, &expired).await;
    leaves_the_request_as_it_is(&front, token).await;
    refuses_a_password_of_somebody_else(&lookout, &server, &front).await;

    let ended = token;
    server.post("/auth/logout", ended, Value::Null).await.expect(204);
    refused(&get(&front, ended).await, 401, Some("Bearer error=\"invalid_token\""));

    let token = server.token("alice").await;
    if let Some(line) = &lookout.line {
        get(&front, &token).await.asked();
        line.cut();
        fails_closed(&front, &[&token, ended]).await;
        line.restore();
        until("the store is back", async || get(&front, &token).await.status == 200).await;
    }
    server.stop();
    fails_closed(&front, &[&token, ended, "x.y.z", ""]).await;
}

async fn tells_the_application_who_it_is(front: &Front, token: &str, login: &Value, strips_all: bool) {
    let mut question = Question::get("/start").bearer(token).with("X-Forwarded-For", "203.0.113.9");
    for name in FORGED.iter().copied().chain(strips_all.then_some("X-Auth-Groups")) {
        question = question.with(name, "forged");
    }
    let asked = question.with("Cookie", "theme=dark").ask(front.address).await.asked();
    let user = &login["user"];
    for (name, value) in [
        ("X-Auth-User-Id", &user["id"]),
        ("X-Auth-Username", &user["username"]),
        ("X-Auth-Role", &user["role"]),
        ("X-Auth-Session-Id", &login["session"]["id"]),
    ] {
        assert_eq!(asked.header(name), [value.as_str().expect("a text")], "{name}");
    }
    assert!(!format!("{asked:?}").contains("forged"), "{asked:?}");
    assert_eq!(asked.header("authorization"), [""; 0], "the recipe keeps the token to itself");
    assert_eq!(asked.header("cookie"), ["theme=dark"]);
    // Of a client on this very machine, Envoy writes another address of it.
    let from = asked.header("x-forwarded-for").join(",");
    assert!(!from.ends_with("203.0.113.9"), "the last is whom the proxy saw: {from}");
}

async fn refuses_everybody_else(front: &Front, expired: &str) {
    refused(&Question::get("/").ask(front.address).await, 401, Some("Bearer"));
    refused(&Question::get("/").with("Authorization", "Basic YTpi").ask(front.address).await, 401, Some("Bearer"));
    for token in ["x.y.z", expired] {
        refused(&get(front, token).await, 401, Some("Bearer error=\"invalid_token\""));
    }
    // Whatever the path and the method are, nobody passes without a token.
    for target in TARGETS {
        refused(&Question::get(target).ask(front.address).await, 401, Some("Bearer"));
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        refused(&Question { method, ..Question::get("/") }.ask(front.address).await, 401, Some("Bearer"));
    }
    let preflight = Question { method: "OPTIONS", ..Question::get("/") }.with("Origin", "https://app.example.org");
    let preflight = preflight.with("Access-Control-Request-Method", "POST");
    refused(&preflight.ask(front.address).await, 401, Some("Bearer"));
}

async fn leaves_the_request_as_it_is(front: &Front, token: &str) {
    for target in TARGETS {
        let asked = Question::get(target).bearer(token).ask(front.address).await.asked();
        assert_eq!((asked.text("method"), asked.text("target")), ("GET", target));
    }
    let body = "motif=mutation&note=très%20urgent";
    for method in ["POST", "PUT"] {
        let question = Question { method, body, ..Question::get("/send") }.bearer(token);
        let asked = question.with("Content-Type", "application/x-www-form-urlencoded").ask(front.address).await.asked();
        assert_eq!((asked.text("method"), asked.text("target"), asked.text("body")), (method, "/send", body));
    }
    let heard = Question::get("/socket").bearer(token).talk(front.address, "bonjour").await;
    assert_eq!(heard.expect("a WebSocket"), "bonjour");
    let refused = Question::get("/socket").bearer("x.y.z").talk(front.address, "bonjour").await;
    assert_eq!(refused.expect_err("no WebSocket").status, 401);
}

async fn refuses_a_password_of_somebody_else(lookout: &Lookout, server: &Server, front: &Front) {
    let add = ["user", "add", "bob", "--role", "agent", "--password-stdin", "--change-at-login"];
    lookout.program.run_with(&add, &format!("{PASSWORD}\n")).expect(0);
    refused(&get(front, &server.token("bob").await).await, 403, None);
}

/// Refused, and by nothing that the application said.
#[track_caller]
fn refused(told: &Told, status: u16, challenge: Option<&str>) {
    assert_eq!(told.status, status, "{told:?}");
    let named = told.header("www-authenticate").unwrap_or_default();
    assert!(challenge.is_none_or(|challenge| named.starts_with(challenge)), "{told:?}");
    assert_eq!(named.contains("resource_metadata=\"http"), challenge.is_some(), "{told:?}");
    assert!(!told.body.contains("\"target\""), "{told:?}");
}

/// Nobody is let in, and nobody is told that a token is bad.
async fn fails_closed(front: &Front, tokens: &[&str]) {
    for token in tokens {
        let told = get(front, token).await;
        refused(&told, 503, None);
        assert!(told.header("retry-after").is_some(), "{told:?}");
        assert_eq!(told.header("cache-control"), Some("no-store"), "{told:?}");
    }
}

#[rstest]
#[actix_web::test]
async fn p9_nginx_asks_vigie_and_fails_closed(#[values(Sqlite, Postgres)] backend: Backend) {
    holds(&Recipe { files: &["nginx.conf"], start: nginx, strips_all: false }, backend).await;
}

#[rstest]
#[actix_web::test]
async fn p9_caddy_asks_vigie_and_fails_closed(#[values(Sqlite, Postgres)] backend: Backend) {
    holds(&Recipe { files: &["Caddyfile"], start: caddy, strips_all: true }, backend).await;
}

#[rstest]
#[actix_web::test]
async fn p9_haproxy_asks_vigie_and_fails_closed(#[values(Sqlite, Postgres)] backend: Backend) {
    holds(&Recipe { files: &["haproxy.cfg", "vigie.lua"], start: haproxy, strips_all: true }, backend).await;
}

#[rstest]
#[actix_web::test]
async fn p9_envoy_asks_vigie_and_fails_closed(#[values(Sqlite, Postgres)] backend: Backend) {
    holds(&Recipe { files: &["envoy.yaml"], start: envoy, strips_all: true }, backend).await;
}
