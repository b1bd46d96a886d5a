//! Apache verifies tokens by itself, with the keys that Vigie publishes: it takes ours, refuses all others, and knows nothing of
//! a logout.

use std::path::Path;

use rstest::rstest;
use serde_json::Value;
use vigie::clock::{Clock as _, SystemClock};

use super::application;
use super::front::{APPLICATION, Front, VIGIE, VIGIE_TLS, apache};
use super::tls::Tls;
use super::wire::{Question, Told};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::ports::free_address;
use crate::support::program::{Program, Server};
use crate::support::token::claims;
use crate::support::until::until;

async fn get(front: &Front, token: &str) -> Told {
    Question::get("/").bearer(token).ask(front.address).await
}

/// A token that this installation signs, and that has expired.
async fn expired_token(program: &Program) -> String {
    let mut command = program.command(&["serve"]);
    command.env("VIGIE__TOKENS__ACCESS_TTL", "1s");
    let server = Server::start(command, program.path("first.log"));
    let token = server.token("alice").await;
    let expired = async || server.get("/auth/me", &token).await.body.contains("token_expired");
    until("the token has expired", expired).await;
    // Apache counts in whole seconds, and takes a token in the one in which it ends.
    let end = claims(&token)["exp"].as_i64().expect("a time");
    until("that second is over", async || SystemClock.now().timestamp() > end + 1).await;
    server.stop();
    token
}

/// A token of the same installation under another name.
async fn foreign_token(program: &Program, setting: &str, value: &str) -> String {
    let mut command = program.command(&["serve"]);
    command.env(setting, value);
    let server = Server::start(command, program.path("foreign.log"));
    let token = server.token("alice").await;
    server.stop();
    token
}

/// A module of Apache, with the recipe for it.
struct Recipe {
    file: &'static str,
    module: &'static str,
    /// Whether it reaches Vigie by TLS alone.
    needs_tls: bool,
}

async fn verifies_by_itself(recipe: &Recipe, backend: Backend) {
    let vigie = free_address();
    let tls = Tls::in_front_of(vigie);
    let public_url = if recipe.needs_tls { format!("https://{}", tls.address) } else { format!("http://{vigie}") };
    let program = Program::new(backend)
        .with("VIGIE__SERVER__LISTEN", &vigie.to_string())
        .with("VIGIE__SERVER__PUBLIC_URL", &public_url);
    program.add_user("alice", "agent");
    let expired = expired_token(&program).await;
    let of_another_issuer = foreign_token(&program, "VIGIE__TOKENS__ISSUER", "https://other.example.org").await;
    let for_another = foreign_token(&program, "VIGIE__TOKENS__AUDIENCE", "another").await;
    let server = program.serve();
    let addresses = [(VIGIE, vigie), (VIGIE_TLS, tls.address), (APPLICATION, application::start())];
    let trusted = if recipe.needs_tls { format!("OIDCCABundlePath {}", tls.root().display()) } else { String::new() };
    let start = |directory: &Path| apache(directory, recipe.file, recipe.module, &trusted);
    let front = Front::run(&[recipe.file], &addresses, start);

    let login = server.log_in("alice").await;
    let token = login["access_token"].as_str().expect("a token");
    let forged = Question::get("/start").bearer(token).with("X-Auth-Username", "root").with("x-auth-role", "admin");
    let asked = forged.with("X-AUTH-USER-ID", "forged").ask(front.address).await.asked();
    assert_eq!(asked.header("x-auth-user-id"), [login["user"]["id"].as_str().expect("an id")]);
    assert_eq!(asked.header("x-auth-session-id"), [login["session"]["id"].as_str().expect("an id")]);
    assert_eq!(asked.header("x-auth-role"), ["agent"]);
    assert_eq!(asked.header("x-auth-username"), [""; 0]);
    assert_eq!(asked.header("authorization"), [""; 0]);

    assert_eq!(Question::get("/").ask(front.address).await.status, 401);
    for (what, token) in [
        ("no token", "x.y.z"),
        ("expired", &expired),
        ("of another issuer", &of_another_issuer),
        ("for another audience", &for_another),
    ] {
        let told = get(&front, token).await;
        assert_eq!(told.status, 401, "{what}: {told:?}");
    }

    // A key that had to sign at once is found when the first token of it comes.
    let old = program.run(&["key", "list", "--json"]).json()[0]["id"].as_str().expect("an id").to_owned();
    program.run(&["key", "revoke", &old]).expect(0);
    let token = &server.token("alice").await;
    get(&front, token).await.asked();

    // And this is what it does not know.
    server.post("/auth/logout", token, Value::Null).await.expect(204);
    server.get("/auth/verify", token).await.problem(401, "session_ended");
    get(&front, token).await.asked();
    // It goes on without Vigie, with the keys it has.
    server.stop();
    get(&front, token).await.asked();
}

#[rstest]
#[actix_web::test]
async fn mod_auth_openidc_verifies_tokens_and_knows_no_logout(#[values(Sqlite, Postgres)] backend: Backend) {
    let recipe = Recipe { file: "apache-openidc-jwks.conf", module: "auth_openidc", needs_tls: true };
    verifies_by_itself(&recipe, backend).await;
}

#[rstest]
#[actix_web::test]
async fn mod_oauth2_verifies_tokens_and_knows_no_logout(#[values(Sqlite, Postgres)] backend: Backend) {
    let recipe = Recipe { file: "apache-oauth2-jwks.conf", module: "oauth2", needs_tls: false };
    verifies_by_itself(&recipe, backend).await;
}
