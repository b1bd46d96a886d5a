//! The examples for application servers, as they stand in `examples/` and in `docs/clients.md`.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::clock::{Clock as _, SystemClock};

use crate::support::app::{Answer, PASSWORD, http_client, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::lookout::Lookout;
use crate::support::packages::{node, project, python};
use crate::support::ports::free_address;
use crate::support::program::Server;
use crate::support::token::claims;
use crate::support::until::{until, until_blocking};

/// The application that asks, and another one.
const CRM: &str = "crm";
const WEB: &str = "web";

/// An example, and what is its own.
struct Stack {
    folder: &'static str,
    start: fn(&Path, SocketAddr) -> Command,
    /// What it answers of whoever it lets in.
    tells: fn(&Value) -> Value,
    /// For how long a token may pass whose session is over.
    keeps_answers_for: Duration,
    /// What it answers where Vigie cannot be asked.
    away: u16,
    /// Whether it tells an access token from a refresh token of its own client.
    looks_at_the_type: bool,
}

fn express(directory: &Path, address: SocketAddr, script: &str) -> Command {
    let packages = directory.join("node_modules");
    std::os::unix::fs::symlink(project("tests/clients/node_modules"), packages).expect("a link");
    let mut command = node("tests/clients", &directory.join(script));
    command.env("PORT", address.port().to_string());
    command
}

fn express_asking(directory: &Path, address: SocketAddr) -> Command {
    express(directory, address, "introspect.mjs")
}

fn express_verifying(directory: &Path, address: SocketAddr) -> Command {
    express(directory, address, "verify.mjs")
}

fn fastapi(_: &Path, address: SocketAddr) -> Command {
    let mut command = python("uvicorn");
    command.args(["app:app", "--port", &address.port().to_string()]);
    command
}

fn php(_: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new("php");
    command.args(["-S", &address.to_string(), "index.php"]);
    command
}

fn go(directory: &Path, address: SocketAddr) -> Command {
    let mut build = Command::new("go");
    // It needs no module but the language's own, and must ask nobody for one.
    build.env("GOPROXY", "off").env("GOFLAGS", "-mod=mod").env("GOCACHE", project("target/go"));
    build.args(["build", "-o", "application", "main.go"]).current_dir(directory);
    assert!(build.status().expect("go is installed: tests/run does that").success());
    let mut command = Command::new(directory.join("application"));
    command.env("PORT", address.port().to_string());
    command
}

fn django_with(settings: &str) -> Command {
    let mut command = python("django-admin");
    command.env("DJANGO_SETTINGS_MODULE", settings).env("PYTHONPATH", ".").env("DJANGO_SECRET_KEY", "of this test");
    command
}

fn django(_: &Path, address: SocketAddr) -> Command {
    let mut command = django_with("settings");
    command.args(["runserver", "--noreload", &address.to_string()]);
    command
}

fn django_toolkit(directory: &Path, address: SocketAddr) -> Command {
    let mut migrate = django_with("toolkit_settings");
    // The settings ask for these; no token is asked about yet.
    migrate.env("VIGIE_URL", "").env("CLIENT_ID", "").env("CLIENT_SECRET", "");
    let migrated = migrate.args(["migrate", "-v", "0"]).current_dir(directory).status().expect("it runs");
    assert!(migrated.success());
    let mut command = django_with("toolkit_settings");
    command.args(["runserver", "--noreload", &address.to_string()]);
    command
}

/// A running example. It is ended when this is dropped.
struct Running {
    child: Child,
    directory: tempfile::TempDir,
    url: String,
}

impl Running {
    fn start(stack: &Stack, server: &Server, secret: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for file in std::fs::read_dir(project("examples").join(stack.folder)).expect("a folder") {
            let file = file.expect("a file");
            if file.path().is_file() {
                std::fs::copy(file.path(), directory.path().join(file.file_name())).expect("a copy");
            }
        }
        let address = free_address();
        let log = std::fs::File::create(directory.path().join("log")).expect("a log");
        let mut command = (stack.start)(directory.path(), address);
        command.current_dir(directory.path()).env("NO_PROXY", "127.0.0.1").env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("VIGIE_URL", &server.url).env("CLIENT_ID", CRM).env("CLIENT_SECRET", secret);
        let said = log.try_clone().expect("a log");
        let child = command.stdin(Stdio::null()).stdout(said).stderr(log).spawn().expect("it starts");
        let running = Self { child, directory, url: format!("http://{address}/") };
        until_blocking("the application listens", || {
            TcpStream::connect(address).map(drop).map_err(|error| format!("{error}: {}", running.log()))
        });
        running
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    async fn ask(&self, token: &str) -> Answer {
        send(http_client().get(&self.url).bearer_auth(token)).await
    }

    #[track_caller]
    fn refused(&self, answer: &Answer, status: u16) {
        assert_eq!(answer.status, status, "{}\n{}", answer.body, self.log());
        assert!(!answer.body.contains("alice"), "{}", answer.body);
        if status == 401 {
            let challenge = answer.header("www-authenticate").expect("a challenge");
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        } else {
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
    }

    async fn lets_in(&self, stack: &Stack, login: &Value) {
        let answer = self.ask(token(login)).await;
        assert_eq!(answer.status, 200, "{}\n{}", answer.body, self.log());
        assert_eq!(answer.json(), (stack.tells)(login));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn token(login: &Value) -> &str {
    login["access_token"].as_str().expect("a token")
}

fn everything(login: &Value) -> Value {
    let user = &login["user"];
    json!({ "user": user["id"], "name": user["username"], "role": user["role"], "session": login["session"]["id"] })
}

fn the_name(login: &Value) -> Value {
    json!({ "name": login["user"]["username"] })
}

fn what_is_in_a_token(login: &Value) -> Value {
    json!({ "user": login["user"]["id"], "role": login["user"]["role"], "session": login["session"]["id"] })
}

/// A Vigie that can be found by its issuer, with a user and two applications; their secrets.
fn lookout(backend: Backend) -> (Lookout, HashMap<&'static str, String>) {
    let address = free_address();
    let mut lookout = Lookout::new(backend);
    lookout.program = lookout
        .program
        .with("VIGIE__SERVER__LISTEN", &address.to_string())
        .with("VIGIE__SERVER__PUBLIC_URL", &format!("http://{address}"));
    lookout.program.add_user("alice", "agent");
    let secret = |id| {
        let client = lookout.program.run(&["client", "add", id, "--scope", "introspect", "--json"]).json();
        (id, client["client_secret"].as_str().expect("a secret").to_owned())
    };
    let secrets = HashMap::from([CRM, WEB].map(secret));
    (lookout, secrets)
}

async fn asks_vigie(stack: &Stack, backend: Backend) {
    let (lookout, secrets) = lookout(backend);
    let expired = lookout.expired_token().await;
    let server = lookout.program.serve();
    let running = Running::start(stack, &server, &secrets[CRM]);

    let login = server.log_in("alice").await;
    running.lets_in(stack, &login).await;
    let answer = send(http_client().get(&running.url)).await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")));
    for bad in ["x.y.z", &expired] {
        running.refused(&running.ask(bad).await, 401);
    }

    // A refresh token is active for the client whose session it continues, and is no access token.
    for client in [Some(WEB), stack.looks_at_the_type.then_some(CRM)].into_iter().flatten() {
        let body = json!({ "username": "alice", "password": PASSWORD });
        let of_client = server.request(Method::POST, "/auth/login", "").basic_auth(client, Some(&secrets[client]));
        let own = send(of_client.json(&body)).await.expect(200);
        running.lets_in(stack, &own).await;
        running.refused(&running.ask(own["refresh_token"].as_str().expect("a token")).await, 401);
    }

    server.post("/auth/logout", token(&login), Value::Null).await.expect(204);
    let logged_out = Instant::now();
    loop {
        let asked_after = logged_out.elapsed();
        let answer = running.ask(token(&login)).await;
        if answer.status != 200 {
            running.refused(&answer, 401);
            break;
        }
        assert!(asked_after < stack.keeps_answers_for, "it passes {asked_after:?} after the logout");
    }

    let alive = server.log_in("alice").await;
    if let Some(line) = &lookout.line {
        line.cut();
        running.refused(&running.ask(token(&alive)).await, stack.away);
        line.restore();
        until("the store is back", async || running.ask(token(&alive)).await.status == 200).await;
        actix_web::rt::time::sleep(stack.keeps_answers_for).await;
    }
    server.stop();
    for token in [token(&alive), token(&login), "x.y.z"] {
        running.refused(&running.ask(token).await, stack.away);
    }
}

/// One that asks each time, and answers 503 where it cannot.
fn asking(folder: &'static str, start: fn(&Path, SocketAddr) -> Command) -> Stack {
    Stack { folder, start, tells: everything, keeps_answers_for: Duration::ZERO, away: 503, looks_at_the_type: true }
}

#[rstest]
#[actix_web::test]
async fn rev_08_express_asks_vigie_and_fails_closed(#[values(Sqlite, Postgres)] backend: Backend) {
    asks_vigie(&asking("express", express_asking), backend).await;
}

#[rstest]
#[actix_web::test]
async fn rev_08_fastapi_asks_vigie_and_fails_closed(#[values(Sqlite, Postgres)] backend: Backend) {
    asks_vigie(&asking("fastapi", fastapi), backend).await;
}

#[rstest]
#[actix_web::test]
async fn rev_08_django_asks_vigie_and_fails_closed(#[values(Sqlite, Postgres)] backend: Backend) {
    asks_vigie(&asking("django", django), backend).await;
}

#[rstest]
#[actix_web::test]
async fn rev_08_php_asks_vigie_and_fails_closed(#[values(Sqlite, Postgres)] backend: Backend) {
    asks_vigie(&asking("php", php), backend).await;
}

#[rstest]
#[actix_web::test]
async fn rev_08_go_asks_vigie_and_fails_closed(#[values(Sqlite, Postgres)] backend: Backend) {
    asks_vigie(&asking("go", go), backend).await;
}

/// The package answers 401 where it cannot ask, and keeps an answer for a second.
#[rstest]
#[actix_web::test]
async fn rev_08_django_oauth_toolkit_asks_vigie_again_after_a_second(#[values(Sqlite, Postgres)] backend: Backend) {
    let keeps_answers_for = Duration::from_secs(1);
    let own = Stack { tells: the_name, keeps_answers_for, away: 401, ..asking("django", django_toolkit) };
    asks_vigie(&Stack { looks_at_the_type: false, ..own }, backend).await;
}

#[rstest]
#[actix_web::test]
async fn jwt_09_express_verifies_tokens_and_knows_no_logout(#[values(Sqlite, Postgres)] backend: Backend) {
    let stack = Stack { tells: what_is_in_a_token, ..asking("express", express_verifying) };
    let (lookout, secrets) = lookout(backend);
    let expired = lookout.expired_token().await;
    // The package counts in whole seconds, and takes a token in the one in which it ends.
    let end = claims(&expired)["exp"].as_i64().expect("a time");
    until("that second is over", async || SystemClock.now().timestamp() > end).await;
    let mut command = lookout.program.command(&["serve"]);
    command.env("VIGIE__TOKENS__AUDIENCE", "another");
    let elsewhere = Server::start(command, lookout.program.path("elsewhere.log"));
    let for_another = elsewhere.token("alice").await;
    elsewhere.stop();
    let server = lookout.program.serve();
    let running = Running::start(&stack, &server, &secrets[CRM]);

    let login = server.log_in("alice").await;
    running.lets_in(&stack, &login).await;
    assert_eq!(send(http_client().get(&running.url)).await.status, 401);
    for bad in ["x.y.z", &expired, &for_another] {
        running.refused(&running.ask(bad).await, 401);
    }
    // A key that had to sign at once is found when the first token of it comes, a second after the set was fetched.
    let old = lookout.program.run(&["key", "list", "--json"]).json()[0]["id"].as_str().expect("an id").to_owned();
    lookout.program.run(&["key", "revoke", &old]).expect(0);
    let anew = server.log_in("alice").await;
    until("the new key is known", async || running.ask(token(&anew)).await.status == 200).await;
    // And this is what it does not know.
    server.post("/auth/logout", token(&anew), Value::Null).await.expect(204);
    server.get("/auth/verify", token(&anew)).await.problem(401, "session_ended");
    running.lets_in(&stack, &anew).await;
}
