//! `vigie serve`: its start, its stop, its demonstration.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::app::{PASSWORD, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::program::{Program, Server};
use crate::support::signals::terminate;
use crate::support::token::claims;
use crate::support::until::until;

/// PWD-13: no default account; the first start prints a token, which works once.
#[rstest]
#[actix_web::test]
async fn the_first_start_prints_a_set_up_token_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let server = program.serve();
    let void = server.setup_token().expect("a token");
    assert!(!server.log().contains(&void), "a token is not logged");
    server.get("/health/ready", "").await.expect(200);
    assert_eq!(server.stop().0, Some(0));
    // Until somebody used one, each start prints a new one, and only the newest is good.
    let server = program.serve();
    let token = server.setup_token().expect("a token");
    let set_up = async |token: &str, name: &str| {
        let body = json!({ "token": token, "username": name, "password": PASSWORD });
        server.post("/auth/setup", "", body).await
    };
    set_up(&void, "root").await.problem(401, "token_invalid");
    let file = server.greeting.lines().map(str::trim).find(|line| line.ends_with("/setup-token")).expect("a file");
    assert!(Path::new(file).exists(), "it is good still");
    let admin = set_up(&token, "root").await.expect(201);
    assert!(!Path::new(file).exists(), "it is of no use any more");
    assert_eq!(admin["user"]["role"], "admin");
    set_up(&token, "second").await.problem(401, "token_invalid");
    let (code, rest) = server.stop();
    assert_eq!((code, rest.as_str()), (Some(0), ""));
    let server = program.serve();
    assert_eq!((server.setup_token(), server.greeting.as_str()), (None, ""));
    // A session outlives the restart.
    server.get("/auth/me", admin["access_token"].as_str().expect("a token")).await.expect(200);
}

/// What a newcomer types first: without a command the server runs.
#[rstest]
fn without_a_command_the_server_runs(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let server = Server::start(program.command(&[]), program.path("serve.log"));
    assert!(server.setup_token().is_some());
    assert_eq!(server.stop().0, Some(0));
}

/// A stop ends no session and loses nothing.
#[rstest]
#[actix_web::test]
async fn a_stop_keeps_what_was_ended_ended(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let server = program.serve();
    let (out, stays) = (server.token("alice").await, server.token("alice").await);
    server.post("/auth/logout", &out, serde_json::Value::Null).await.expect(204);
    assert_eq!(server.stop().0, Some(0));
    let server = program.serve();
    server.get("/auth/me", &out).await.problem(401, "session_ended");
    server.get("/auth/me", &stays).await.expect(200);
}

#[rstest]
fn a_server_that_cannot_start_says_why(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend).with("VIGIE__TOKENS__ACCESS_TTL", "25h").with("VIGIE__LOG__FORMAT", "loud");
    let refused = program.run(&["serve"]);
    assert!(refused.remarks.contains("tokens.access_ttl") && refused.remarks.contains("log.format"), "{refused:?}");
    assert!(!refused.output.contains("listening"));
    assert_eq!(refused.code, 1);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for (name, key) in [("LISTEN", "listen"), ("METRICS_LISTEN", "metrics_listen")] {
        let program = Program::new(backend).with(&format!("VIGIE__SERVER__{name}"), &address);
        let cause = format!("server.{key}: {address} cannot be listened on: Address already in use");
        program.run(&["serve"]).fails(1, &cause);
    }
}

/// A closed terminal, a rotated log, a curious operator: none of them ends a server, and each leaves a line.
#[rstest]
#[actix_web::test]
async fn signals_that_are_not_for_a_server_are_logged_and_change_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let server = program.serve();
    for (option, name) in
        [("-HUP", "SIGHUP"), ("-USR1", "SIGUSR1"), ("-USR2", "SIGUSR2"), ("-ALRM", "SIGALRM"), ("-IO", "SIGIO")]
    {
        server.signal(option);
        until("the signal is logged", async || server.log().contains(name)).await;
        server.get("/health/ready", "").await.expect(200);
    }
    assert_eq!(server.stop().0, Some(0));
}

/// What a closed terminal leaves behind: nobody reads the log any more.
#[rstest]
#[actix_web::test]
async fn a_server_whose_log_nobody_reads_goes_on(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let mut child =
        program.command(&["serve"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("listening on ") {
        line.clear();
        assert!(output.read_line(&mut line).expect("text") > 0, "it ended");
    }
    drop((child.stderr.take(), output));
    let url = line.trim_end().trim_start_matches("listening on ").to_owned();
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    for _ in 0..3 {
        let login = json!({ "username": "alice", "password": PASSWORD });
        send(http.post(format!("{url}/auth/login")).json(&login)).await.expect(200);
    }
    terminate(&child);
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

/// Who is told to stop twice stops at once, whatever is under way.
#[rstest]
#[actix_web::test]
async fn a_second_signal_ends_a_server_at_once(#[values("-TERM", "-INT", "-QUIT")] second: &str) {
    let program = Program::new(Sqlite);
    let mut server = program.serve();
    let _held = told_to_stop_with_a_request_under_way(&server).await;
    let begun = Instant::now();
    server.signal(second);
    assert_eq!(server.wait(), Some(1));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert!(server.log().contains("second stop signal"), "{}", server.log());
}

/// Sends half a request, then SIGINT: the stop waits for the other half.
async fn told_to_stop_with_a_request_under_way(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).await.expect("it listens");
    let half =
        "POST /auth/login HTTP/1.1\r\nHost: vigie\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{";
    stream.write_all(half.as_bytes()).await.expect("it is taken");
    until_read(server).await;
    server.signal("-INT");
    until("the stop is logged", async || server.log().contains("requests under way finish first")).await;
    stream
}

/// Half a body holds a stop as long as a body may take, and no longer, however slowly it goes on.
#[actix_web::test]
async fn half_a_body_that_goes_on_slowly_holds_no_stop() {
    let program = Program::new(Sqlite);
    let server = program.serve();
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).await.expect("it listens");
    let half =
        "POST /auth/login HTTP/1.1\r\nHost: vigie\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{";
    stream.write_all(half.as_bytes()).await.expect("it is taken");
    until_read(&server).await;
    let dribbling = actix_web::rt::spawn(async move {
        while stream.write_all(&[b' '; 400]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let begun = Instant::now();
    let stopped = actix_web::rt::task::spawn_blocking(move || server.stop()).await.expect("it stops");
    assert_eq!(stopped.0, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(16), "{:?}", begun.elapsed());
    dribbling.abort();
}

/// Lets the server read what was sent, which nobody sees from outside: a request that came a moment later has been answered.
async fn until_read(server: &Server) {
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.get("/health/live", "").await.expect(200);
}

fn demonstration(program: &Program) -> Server {
    Server::start(program.command(&["serve", "--demo"]), program.path("demo.log"))
}

/// What is made up goes nowhere and is signed by no key of the house, whatever is configured.
#[rstest]
#[actix_web::test]
async fn a_demonstration_uses_nothing_that_is_configured(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let secret = program.file("secret", &"s".repeat(64));
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("its owner's alone");
    let shipped = program.path("shipped.log");
    let collector = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    collector.set_nonblocking(true).expect("a socket");
    let address = collector.local_addr().expect("an address").to_string();
    let program = program
        .with("VIGIE__TOKENS__ALGORITHM", "HS256")
        .with("VIGIE__TOKENS__HS256_SECRET_FILE", &secret)
        .with("VIGIE__SHIPPING__FILE__PATH", &shipped.display().to_string())
        .with("VIGIE__SHIPPING__SYSLOG__ADDRESS", &address)
        .with("VIGIE__SHIPPING__SYSLOG__TLS", "false")
        .with("VIGIE__ALERTS__WEBHOOK_URL", &format!("http://{address}/hook"))
        .with("VIGIE__ALERTS__WEBHOOK_SECRET_FILE", &secret)
        .with("VIGIE__MAIL__SMTP_URL", &format!("smtp://{address}"));
    let server = demonstration(&program);
    assert!(server.url.starts_with("http://127.0.0.1:") && !server.url.ends_with(":8080"), "{}", server.url);
    let told =
        server.greeting.lines().find(|line| line.starts_with("Nothing that is configured is used")).expect("a line");
    for key in ["tokens.hs256_secret_file", "shipping.syslog.address", "alerts.webhook_url", "database.url"] {
        assert!(told.contains(key), "{told}");
    }
    let line = |name: &str| {
        let line = server.greeting.lines().map(str::trim).find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().to_owned()
    };
    let login = json!({ "username": line("username"), "password": line("password") });
    let admin = server.post("/auth/login", "", login).await.expect(200);
    let header = jsonwebtoken::decode_header(admin["access_token"].as_str().expect("a token")).expect("a header");
    assert_ne!(header.alg, jsonwebtoken::Algorithm::HS256);
    // Time to ship, for whoever would.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(!shipped.exists() && collector.accept().is_err(), "nothing is sent");
    assert_eq!(server.stop().0, Some(0));
    assert!(!program.path("data").exists(), "and nothing of the house is touched");
}

/// The first look is not at empty tables, and nothing that exists is touched.
#[rstest]
#[actix_web::test]
async fn the_demonstration_shows_some_weeks_of_history(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let server = demonstration(&program);
    let word = |name: &str| {
        let line = server.greeting.lines().map(str::trim).find(|line| line.starts_with(name)).expect("a line");
        line.split_once("  ").expect("two words").1.trim().to_owned()
    };
    let login = json!({ "username": word("username"), "password": word("password") });
    let admin = server.post("/auth/login", "", login).await.expect(200);
    let token = admin["access_token"].as_str().expect("a token");
    assert_eq!(claims(token)["iss"], server.url, "they name where it listens");
    for (list, least) in
        [("sessions?limit=500", 100), ("attempts?limit=500", 100), ("users", 5), ("audit?limit=500", 100)]
    {
        let rows = server.get(&format!("/admin/{list}"), token).await.expect(200);
        assert!(rows["items"].as_array().is_some_and(|rows| rows.len() >= least), "{list}");
    }
    let active = server.get("/admin/sessions?state=active", token).await.expect(200);
    assert!(active["items"].as_array().is_some_and(|rows| rows.len() > 1), "somebody else is there");
    let stats = server.get("/admin/stats", token).await.expect(200);
    assert!(stats["buckets"].as_array().is_some_and(|days| days.iter().all(|day| day["logins"].is_number())));
    for list in ["alerts", "throttles", "clients"] {
        let rows = server.get(&format!("/admin/{list}"), token).await.expect(200);
        assert!(rows["items"].as_array().is_some_and(|rows| !rows.is_empty()), "{list}");
    }
    let checkpoint = server.get("/audit/checkpoint", token).await;
    assert_eq!(checkpoint.status, 200, "{}", checkpoint.body);
    let directory = server.greeting.split_whitespace().find(|word| word.contains("vigie-demo-")).expect("its place");
    let directory = std::path::PathBuf::from(directory);
    assert!(directory.exists() && !program.path("data").exists());
    assert_eq!(server.stop().0, Some(0));
    assert!(!directory.exists(), "nothing is kept");
}

/// A demonstration that is being filled.
struct Filling {
    child: Child,
    /// Where its directory is, alone.
    place: PathBuf,
    log: PathBuf,
}

impl Filling {
    /// Starts one; returns once it has made its directory.
    async fn start(program: &Program, name: &str) -> Self {
        let (place, log) = (program.path(name), program.path("filling.log"));
        std::fs::create_dir(&place).expect("a directory");
        let mut command = program.command(&["serve", "--demo"]);
        command.env("TMPDIR", &place).stdout(Stdio::piped()).stderr(File::create(&log).expect("a log file"));
        let filling = Self { child: command.spawn().expect("it starts"), place, log };
        until("its directory is made", async || !is_empty(&filling.place)).await;
        filling
    }

    fn tell(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Its exit code, in time.
    async fn code(&mut self) -> Option<i32> {
        let ended = async || {
            let status = self.child.try_wait().expect("its state can be asked");
            status.ok_or_else(|| self.log())
        };
        until("it has ended", ended).await.code()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log can be read")
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).expect("it is there").next().is_none()
}

/// Nothing is kept, also where somebody thinks better of it at once.
#[actix_web::test]
async fn a_demonstration_that_is_stopped_while_it_is_filled_leaves_nothing() {
    let program = Program::new(Sqlite);
    for signal in ["-INT", "-TERM", "-QUIT"] {
        for moment in [0, 500] {
            let mut filling = Filling::start(&program, &format!("{signal}-{moment}")).await;
            tokio::time::sleep(Duration::from_millis(moment)).await;
            filling.tell(signal);
            assert_eq!(filling.code().await, Some(0), "{signal} {moment}: {}", filling.log());
            assert!(is_empty(&filling.place), "{signal} {moment}");
        }
    }
    // Twice: it ends at once, or has ended just before.
    let mut filling = Filling::start(&program, "twice").await;
    filling.tell("-INT");
    filling.tell("-TERM");
    assert!(matches!(filling.code().await, Some(0 | 1)), "{}", filling.log());
    assert!(is_empty(&filling.place));
}

#[actix_web::test]
async fn a_terminal_that_is_closed_while_a_demonstration_is_filled_changes_nothing() {
    let program = Program::new(Sqlite);
    let mut filling = Filling::start(&program, "hangup").await;
    filling.tell("-HUP");
    until("the signal is logged", async || filling.log().contains("SIGHUP")).await;
    let mut output = BufReader::new(filling.child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("listening on ") {
        line.clear();
        assert!(output.read_line(&mut line).expect("text") > 0, "it ended: {}", filling.log());
    }
    filling.tell("-TERM");
    assert_eq!(filling.code().await, Some(0));
    assert!(is_empty(&filling.place));
}

#[actix_web::test]
async fn a_demonstration_that_ends_at_once_leaves_nothing_either() {
    let program = Program::new(Sqlite);
    let place = program.path("temporary");
    std::fs::create_dir(&place).expect("a directory");
    let program = program.with("TMPDIR", &place.display().to_string());
    let mut server = demonstration(&program);
    assert!(!is_empty(&place), "it is there");
    let _held = told_to_stop_with_a_request_under_way(&server).await;
    server.signal("-INT");
    assert_eq!(server.wait(), Some(1));
    assert!(is_empty(&place), "nothing is kept");
}
