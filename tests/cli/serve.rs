//! `vigie serve`: its start, its stop, its demonstration.

use rstest::rstest;
use serde_json::json;

use crate::support::app::PASSWORD;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::program::{Program, Server};

/// PWD-13: no default account; the first start prints a token, which works once.
#[rstest]
#[actix_web::test]
async fn the_first_start_prints_a_set_up_token_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let server = program.serve();
    let void = server.setup_token().expect("a token").to_owned();
    assert!(!server.log().contains(&void), "a token is not logged");
    server.get("/health/ready", "").await.expect(200);
    assert_eq!(server.stop().0, Some(0));
    // Until somebody used one, each start prints a new one, and only the newest is good.
    let server = program.serve();
    let token = server.setup_token().expect("a token").to_owned();
    let set_up = async |token: &str, name: &str| {
        let body = json!({ "token": token, "username": name, "password": PASSWORD });
        server.post("/auth/setup", "", body).await
    };
    set_up(&void, "root").await.problem(401, "token_invalid");
    let admin = set_up(&token, "root").await.expect(201);
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
    let program = Program::new(backend).with("VIGIE__SERVER__LISTEN", &address);
    program.run(&["serve"]).fails(1, "ddress");
}

/// The first look is not at empty tables, and nothing that exists is touched.
#[rstest]
#[actix_web::test]
async fn the_demonstration_shows_some_weeks_of_history(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let server = Server::start(program.command(&["serve", "--demo"]), program.path("demo.log"));
    let word = |name: &str| {
        let line = server.greeting.lines().map(str::trim).find(|line| line.starts_with(name)).expect("a line");
        line.split_once("  ").expect("two words").1.trim().to_owned()
    };
    let login = json!({ "username": word("username"), "password": word("password") });
    let admin = server.post("/auth/login", "", login).await.expect(200);
    let token = admin["access_token"].as_str().expect("a token");
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
    let directory = server.greeting.split_whitespace().find(|word| word.contains("vigie-demo-")).expect("its place");
    let directory = std::path::PathBuf::from(directory);
    assert!(directory.exists() && !program.path("data").exists());
    assert_eq!(server.stop().0, Some(0));
    assert!(!directory.exists(), "nothing is kept");
}
