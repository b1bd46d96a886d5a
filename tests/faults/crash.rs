//! The real program: killed right after it answered, and told to stop while it answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::{Answer, PASSWORD, TEST_SETTINGS, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::backend::TestDatabase;

/// A database and a directory, and the program that is started on them.
struct Installation {
    database: TestDatabase,
    data: TempDir,
}

impl Installation {
    fn new(backend: Backend) -> Self {
        Self { database: backend.database(), data: tempfile::tempdir().expect("a directory") }
    }

    fn command(&self, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
        command
            .args(arguments)
            .env("DATABASE_URL", &self.database.url)
            .env("VIGIE__DATA__DIR", self.data.path())
            .envs(TEST_SETTINGS.iter().chain(settings).copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    /// Creates a user with the password of tests, by the command line.
    fn add_user(&self, name: &str, settings: &[(&str, &str)]) {
        let arguments = ["user", "add", name, "--role", "agent", "--password-stdin"];
        let mut adding = self.command(&arguments, settings).spawn().expect("the program starts");
        let mut input = adding.stdin.take().expect("it was piped above");
        writeln!(input, "{PASSWORD}").expect("it reads the password");
        drop(input);
        assert!(adding.wait().expect("it ends").success());
    }

    fn serve(&self, settings: &[(&str, &str)]) -> Serving {
        let mut process = self.command(&["serve"], settings).spawn().expect("the program starts");
        let output = BufReader::new(process.stdout.take().expect("it was piped above"));
        let announced = output.lines().map_while(Result::ok).find_map(|line| {
            line.strip_prefix("listening on http://").and_then(|address| address.trim_end_matches('/').parse().ok())
        });
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build().expect("a client");
        Serving { address: announced.expect("it says where it listens"), process, http }
    }
}

/// A server under way; killed with the test.
struct Serving {
    address: SocketAddr,
    process: Child,
    http: reqwest::Client,
}

impl Serving {
    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(format!("http://{}{path}", self.address)).json(body)
    }

    async fn log_in(&self, name: &str) -> Value {
        send(self.post("/auth/login", &json!({ "username": name, "password": PASSWORD }))).await.expect(200)
    }

    async fn with_token(&self, method: reqwest::Method, path: &str, token: &Value) -> Answer {
        let request = self.http.request(method, format!("http://{}{path}", self.address));
        send(request.bearer_auth(token.as_str().expect("a token"))).await
    }

    async fn me(&self, token: &Value) -> Answer {
        self.with_token(reqwest::Method::GET, "/auth/me", token).await
    }

    /// SIGKILL: nothing is written, closed or said any more.
    fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    fn tell_to_stop(&self) {
        let told = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        assert!(told.expect("kill").success());
    }

    async fn ended(mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.process.try_wait().expect("its own child") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[rstest]
#[actix_web::test]
async fn an_end_that_was_acknowledged_outlives_kill_9(#[values(Sqlite, Postgres)] backend: Backend) {
    let installation = Installation::new(backend);
    installation.add_user("alice", &[]);
    for round in 0..3 {
        let server = installation.serve(&[]);
        let (ended, spent, open) =
            (server.log_in("alice").await, server.log_in("alice").await, server.log_in("alice").await);
        let refresh = |of: &Value| json!({ "refresh_token": of["refresh_token"] });
        let next = send(server.post("/auth/refresh", &refresh(&spent))).await.expect(200);
        let logout = server.with_token(reqwest::Method::POST, "/auth/logout", &ended["access_token"]).await;
        logout.expect(204);
        server.kill();

        let server = installation.serve(&[]);
        server.me(&ended["access_token"]).await.problem(401, "session_ended");
        send(server.post("/auth/refresh", &refresh(&ended))).await.problem(401, "session_ended");
        // What was not ended goes on, with the tokens that were handed out last.
        server.me(&open["access_token"]).await.expect(200);
        server.me(&next["access_token"]).await.expect(200);
        let once_more = send(server.post("/auth/refresh", &refresh(&next))).await.expect(200);
        assert_eq!(once_more["session"]["id"], spent["session"]["id"], "round {round}");
        let everywhere = server.with_token(reqwest::Method::POST, "/auth/logout-all", &open["access_token"]).await;
        everywhere.expect(200);
        server.kill();

        let server = installation.serve(&[]);
        server.me(&open["access_token"]).await.problem(401, "session_ended");
        server.me(&once_more["access_token"]).await.problem(401, "session_ended");
        server.kill();
    }
}

/// Killed at no moment in particular: what was answered holds, and the next start needs no repair.
#[rstest]
#[actix_web::test]
async fn killed_in_the_middle_of_many_logouts_no_answered_one_is_undone(#[values(Sqlite, Postgres)] backend: Backend) {
    let installation = Installation::new(backend);
    let settings = [("VIGIE__SESSIONS__MAX_PER_USER", "0")];
    installation.add_user("alice", &settings);
    for pause in [0, 3, 9] {
        let server = installation.serve(&settings);
        let mut tokens = Vec::new();
        for _ in 0..12 {
            tokens.push(server.log_in("alice").await["access_token"].clone());
        }
        let logouts = tokens.iter().map(async |token| {
            let url = format!("http://{}/auth/logout", server.address);
            let request = server.http.post(url).bearer_auth(token.as_str().expect("a token"));
            // The server is killed meanwhile: no answer is an answer here.
            request.send().await.is_ok_and(|response| response.status() == 204)
        });
        let killing = async {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            Command::new("kill").args(["-KILL", &server.process.id().to_string()]).status().expect("kill")
        };
        let (answered, killed) = tokio::join!(futures_util::future::join_all(logouts), killing);
        assert!(killed.success());
        server.kill();

        let server = installation.serve(&settings);
        for (token, answered) in tokens.iter().zip(answered) {
            let after = server.me(token).await;
            if answered {
                after.problem(401, "session_ended");
            } else {
                assert!(matches!(after.status, 200 | 401), "{after:?}");
            }
        }
        server.kill();
    }
}

/// SIGTERM while a password is being hashed: the login is answered, then the program ends well.
#[rstest]
#[actix_web::test]
async fn told_to_stop_it_answers_what_is_under_way_and_ends_well(#[values(Sqlite, Postgres)] backend: Backend) {
    let slow = [("VIGIE__PASSWORDS__ARGON2_MEMORY_KIB", "65536"), ("VIGIE__PASSWORDS__ARGON2_ITERATIONS", "30")];
    let installation = Installation::new(backend);
    installation.add_user("alice", &slow);
    let server = installation.serve(&slow);
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.tell_to_stop();
        let told = Instant::now();
        tokio::time::sleep(Duration::from_millis(100)).await;
        // No new connections meanwhile.
        let late =
            server.http.get(format!("http://{}/health/live", server.address)).timeout(Duration::from_millis(200));
        (told, late.send().await.is_err())
    };
    let login = async { (server.log_in("alice").await, Instant::now()) };
    let ((answer, answered), (told, late_is_refused)) = tokio::join!(login, stopping);
    assert!(answered > told, "the login was over before the stop: make it slower");
    assert!(late_is_refused);
    let status = tokio::time::timeout(Duration::from_secs(20), server.ended()).await.expect("it ends");
    assert_eq!(status.code(), Some(0));

    let server = installation.serve(&slow);
    server.me(&answer["access_token"]).await.expect(200);
}
