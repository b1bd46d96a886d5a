//! Apache asks Vigie about each token (RFC 7662): a good one passes as whoever it is of, and a logout is noticed as soon as the
//! recipe says. What cannot be asked is refused, with 401: neither module has another answer.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use super::application;
use super::front::{APPLICATION, Front, VIGIE, VIGIE_TLS, apache};
use super::tls::Tls;
use super::wire::{Question, Told};
use crate::support::app::{PASSWORD, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::lookout::{Lookout, address};
use crate::support::until::until;

/// A module of Apache, with the recipe for it.
struct Recipe {
    file: &'static str,
    module: &'static str,
    /// Whether it reaches Vigie by TLS alone.
    needs_tls: bool,
    /// For how long a token may pass whose session is over.
    keeps_answers_for: Duration,
}

async fn get(front: &Front, token: &str) -> Told {
    Question::get("/").bearer(token).ask(front.address).await
}

/// Puts the secret of the client into the recipe, as whoever installs it does.
fn fill_in(recipe: &Path, secret: &str) {
    let text = std::fs::read_to_string(recipe).expect("a recipe");
    assert_eq!(text.matches("CLIENT_SECRET").count(), 1, "{text}");
    std::fs::write(recipe, text.replace("CLIENT_SECRET", secret)).expect("the file is written");
}

/// What a main file has. The cache of `mod_auth_openidc` takes no key as long as our tokens unless it encrypts: it does here, so
/// that the recipe itself must say that nothing is kept.
fn openidc_settings(tls: &Tls) -> String {
    let root = tls.root();
    format!("OIDCCABundlePath {}\nOIDCCacheEncrypt On\nOIDCCryptoPassphrase of-this-test", root.display())
}

async fn asks_vigie(recipe: &Recipe, backend: Backend) {
    let lookout = Lookout::new(backend);
    let program = &lookout.program;
    program.add_user("alice", "agent");
    program.add_user("Hélène", "chef de bureau");
    let client = program.run(&["client", "add", "apache", "--scope", "introspect", "--json"]).json();
    let secret = client["client_secret"].as_str().expect("a secret");
    let expired = lookout.expired_token().await;
    let server = program.serve();
    let tls = Tls::in_front_of(address(&server));
    let addresses = [(VIGIE, address(&server)), (VIGIE_TLS, tls.address), (APPLICATION, application::start())];
    let further = if recipe.needs_tls { openidc_settings(&tls) } else { String::new() };
    let start = |directory: &Path| {
        fill_in(&directory.join(recipe.file), secret);
        apache(directory, recipe.file, recipe.module, &further)
    };
    let front = Front::run(&[recipe.file], &addresses, start);

    let login = server.log_in("alice").await;
    tells_the_application_who_it_is(&front, &login).await;
    let other = server.log_in("Hélène").await;
    tells_the_application_who_it_is(&front, &other).await;

    // A browser's preflight has no token, and is let pass by neither.
    for method in ["GET", "POST", "OPTIONS"] {
        let told = Question { method, ..Question::get("/") }.ask(front.address).await;
        assert!(told.status == 401 && !told.body.contains("\"target\""), "{method}: {told:?}");
    }
    // A refresh token of a session of its own client is active, and is no access token.
    let own = server.request(Method::POST, "/auth/login", "").basic_auth("apache", Some(secret));
    let own = send(own.json(&json!({ "username": "alice", "password": PASSWORD }))).await.expect(200);
    tells_the_application_who_it_is(&front, &own).await;
    let told = get(&front, own["refresh_token"].as_str().expect("a token")).await;
    assert!(told.status == 401 && !told.body.contains("\"target\""), "{told:?}");

    let must_change = ["user", "add", "bob", "--role", "agent", "--password-stdin", "--change-at-login"];
    program.run_with(&must_change, &format!("{PASSWORD}\n")).expect(0);
    for token in ["x.y.z", &expired, &server.token("bob").await] {
        refused(&get(&front, token).await);
    }

    let ended = login["access_token"].as_str().expect("a token");
    server.post("/auth/logout", ended, Value::Null).await.expect(204);
    is_refused_soon(&front, ended, recipe.keeps_answers_for).await;

    // Nobody is let in while nobody can be asked.
    let token = server.token("alice").await;
    if let Some(line) = &lookout.line {
        line.cut();
        refused(&get(&front, &token).await);
        refused(&get(&front, ended).await);
        line.restore();
        until("the store is back", async || get(&front, &token).await.status == 200).await;
        actix_web::rt::time::sleep(recipe.keeps_answers_for).await;
    }
    server.stop();
    for token in [&token, ended, "x.y.z"] {
        refused(&get(&front, token).await);
    }
}

async fn tells_the_application_who_it_is(front: &Front, login: &Value) {
    let token = login["access_token"].as_str().expect("a token");
    let forged = Question::get("/start").bearer(token).with("X-Auth-Username", "root").with("x-auth-role", "admin");
    let asked = forged.with("X-AUTH-USER-ID", "forged").with("X-Auth-Session-Id", "x").ask(front.address).await.asked();
    let user = &login["user"];
    for (name, value) in [
        ("x-auth-user-id", &user["id"]),
        ("x-auth-username", &user["username"]),
        ("x-auth-role", &user["role"]),
        ("x-auth-session-id", &login["session"]["id"]),
    ] {
        assert_eq!(asked.header(name), [value.as_str().expect("a text")], "{name}");
    }
    assert_eq!(asked.header("authorization"), [""; 0]);
}

/// Whoever asks all the time is refused as soon as one who asks for the first time.
async fn is_refused_soon(front: &Front, token: &str, limit: Duration) {
    let logged_out = Instant::now();
    loop {
        let asked_after = logged_out.elapsed();
        let told = get(front, token).await;
        if told.status != 200 {
            return refused(&told);
        }
        assert!(asked_after < limit, "it passes {asked_after:?} after the logout");
    }
}

/// Refused, and by nothing that the application said.
#[track_caller]
fn refused(told: &Told) {
    assert_eq!(told.status, 401, "{told:?}");
    let challenge = told.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{told:?}");
    assert!(!told.body.contains("\"target\""), "{told:?}");
}

#[rstest]
#[actix_web::test]
async fn rev_08_mod_auth_openidc_asks_vigie_and_refuses_at_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let recipe = Recipe {
        file: "apache-openidc-introspection.conf",
        module: "auth_openidc",
        needs_tls: true,
        keeps_answers_for: Duration::ZERO,
    };
    asks_vigie(&recipe, backend).await;
}

#[rstest]
#[actix_web::test]
async fn rev_08_mod_oauth2_asks_vigie_and_refuses_within_its_expiry(#[values(Sqlite, Postgres)] backend: Backend) {
    let recipe = Recipe {
        file: "apache-oauth2-introspection.conf",
        module: "oauth2",
        needs_tls: false,
        // `expiry`, and what is left of the second in which it ends.
        keeps_answers_for: Duration::from_secs(2),
    };
    asks_vigie(&recipe, backend).await;
}
