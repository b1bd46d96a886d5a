//! `vigie session` and `vigie audit`, beside a running server.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::program::Program;
use crate::support::signals::terminate;

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().expect("sessions").iter().filter_map(|session| session["id"].as_str()).collect()
}

/// P2 from the command line: ended there, refused by the server with the next request.
#[rstest]
#[actix_web::test]
async fn a_session_ended_on_the_command_line_is_over_on_the_server(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    program.add_user("bob", "agent");
    let server = program.serve();
    let (first, second) = (server.log_in("alice").await, server.log_in("alice").await);
    let bob = server.token("bob").await;
    let (id, token) =
        (first["session"]["id"].as_str().expect("an id"), first["access_token"].as_str().expect("a token"));
    server.get("/auth/me", token).await.expect(200);
    let trial = program.run(&["session", "end", id, "--dry-run", "--json"]).json();
    assert_eq!(trial, json!({ "matched": 1, "ended": 0 }));
    server.get("/auth/me", token).await.expect(200);
    let done = program.run(&["session", "end", id, "--note", "left the house", "--json"]).json();
    assert_eq!(done, json!({ "matched": 1, "ended": 1 }));
    server.get("/auth/me", token).await.problem(401, "session_ended");
    let again = program.run(&["session", "end", id, "--json"]).json();
    assert_eq!(again, json!({ "matched": 0, "ended": 0 }));
    let shown = program.run(&["session", "show", id, "--json"]).json();
    assert_eq!(shown["session"]["ended_by"], json!({ "kind": "system", "id": "cli" }));
    assert_eq!(shown["session"]["note"], "left the house");
    assert_eq!(shown["siblings"][0]["id"], second["session"]["id"]);
    assert!(program.run(&["session", "show", id]).expect(0).contains("left the house"));
    program.run(&["session", "end", "--user", "alice"]).expect(0);
    let token = second["access_token"].as_str().expect("a token");
    server.get("/auth/me", token).await.problem(401, "session_ended");
    server.get("/auth/me", &bob).await.expect(200);
    let nil = "00000000-0000-0000-0000-000000000000";
    program.run(&["session", "show", nil]).fails(1, "there is no session");
    program.run(&["session", "end", nil]).fails(1, "there is no session");
    for arguments in [&["session", "end"][..], &["session", "end", "--state", "active"], &["session", "end", "x"]] {
        assert_eq!(program.run(arguments).code, 2);
    }
    server.get("/auth/me", &bob).await.expect(200);
    program.run(&["session", "end", "--everything"]).expect(0);
    server.get("/auth/me", &bob).await.problem(401, "session_ended");
}

#[rstest]
#[actix_web::test]
async fn the_history_is_listed_and_exported(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    program.add_user("bob", "chef");
    let server = program.serve();
    let (alice, bob) = (server.log_in("alice").await, server.log_in("bob").await);
    server.post("/auth/login", "", json!({ "username": "bob", "password": "wrong wrong wrong" })).await;
    let list = |arguments: &[&str]| program.run(&[&["session", "list", "--json"], arguments].concat()).json();
    let (alice, bob) = (alice["session"]["id"].as_str().expect("an id"), bob["session"]["id"].as_str().expect("an id"));
    assert_eq!(ids(&list(&[])), [bob, alice]);
    assert_eq!(ids(&list(&["--sort", "started_at"])), [alice, bob]);
    assert_eq!(ids(&list(&["--user", "ALICE"])), [alice]);
    assert_eq!(ids(&list(&["--role", "chef", "--state", "active", "--ip", "127.0.0.0/8"])), [bob]);
    assert_eq!(ids(&list(&["--state", "ended"])), [""; 0]);
    assert_eq!(ids(&list(&["--limit", "1"])), [bob]);
    program.run(&["session", "list", "--ip", "localhost"]).fails(2, "localhost");
    let table = program.run(&["session", "list"]).expect(0);
    assert!(table.starts_with("ID ") && table.contains("alice") && table.lines().count() == 3, "{table}");

    let csv = program.run(&["session", "export", "--format", "csv", "--user", "alice"]).expect(0);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!((rows.len(), &rows[0][0]), (1, alice));
    let file = program.path("sessions.ndjson");
    let name = file.display().to_string();
    program.run(&["session", "export", "--format", "ndjson", "--output", &name]).expect(0);
    assert_eq!(std::fs::read_to_string(&file).expect("the file").lines().count(), 2);
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner may read it");
    let csv = program.run(&["session", "export", "--format", "csv", "--separator", "semicolon", "--bom"]).expect(0);
    assert!(csv.starts_with("\u{feff}id;user_id;username;"), "{csv}");
    let csv = program.run(&["audit", "export", "--format", "csv", "--separator", "tab"]).expect(0);
    assert!(csv.starts_with("seq\tat\tkind\t"), "{csv}");
    program.run(&["session", "export", "--format", "csv", "--separator", "pipe"]).fails(2, "comma, semicolon, tab");
    program.run(&["audit", "export", "--format", "ndjson", "--bom"]).fails(2, "--bom");
    let events = program.run(&["audit", "export", "--format", "ndjson", "--kind", "history.exported"]).expect(0);
    let event: Value = serde_json::from_str(events.lines().next().expect("an event")).expect("JSON");
    assert_eq!(event["actor"], json!({ "kind": "system", "id": "cli" }));
    assert_eq!(events.lines().count(), 5, "an export is an event, this one too (ADM-06): {events}");
}

/// ADM-10: flags are the members of the API: several values by repeating a flag, excluded ones by its twin.
#[rstest]
#[actix_web::test]
async fn flags_take_several_values_and_exclude_others(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    for (name, role) in [("alice", "agent"), ("bob", "chef"), ("carol", "agent")] {
        program.add_user(name, role);
    }
    let server = program.serve();
    let (alice, bob, carol) = (server.log_in("alice").await, server.log_in("bob").await, server.log_in("carol").await);
    let [alice, bob, carol] = [&alice, &bob, &carol].map(|answer| answer["session"]["id"].as_str().expect("an id"));
    let list = |arguments: &[&str]| {
        let listed = program.run(&[&["session", "list", "--json", "--sort", "started_at"], arguments].concat()).json();
        ids(&listed).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list(&["--user", "ALICE", "--user", "bob"]), [alice, bob]);
    assert_eq!(list(&["--not-user", "alice", "--not-user", "bob"]), [carol]);
    assert_eq!(list(&["--role", "agent", "--not-user", "carol", "--not-client", "shop"]), [alice]);
    assert_eq!(list(&["--ip", "192.0.2.0/24", "--ip", "127.0.0.0/8", "--not-reason", "logout"]).len(), 3);
    program.run(&["session", "list", "--not-ip", "localhost"]).fails(2, "localhost");
    program.run(&["session", "list", "--ended-to", "2026-01-01", "--ended-to", "2026-01-02"]).fails(2, "--ended-to");
    let exported = program.run(&["session", "export", "--format", "ndjson", "--not-user", "bob"]).expect(0);
    assert_eq!(exported.lines().count(), 2);
    assert!(!exported.contains(bob));

    // What is excluded alone is not everybody.
    let ended = program.run(&["session", "end", "--not-user", "alice", "--not-user", "bob", "--json"]).json();
    assert_eq!(ended, json!({ "matched": 1, "ended": 1 }));
    assert_eq!(list(&["--state", "ended"]), [carol]);
    program.run(&["session", "end", "--not-state", "ended"]).fails(2, "say which");
    let kinds = ["--kind", "sessions.ended", "--kind", "history.exported", "--not-actor", "expiry"];
    let events = program.run(&[&["audit", "export", "--format", "ndjson"][..], &kinds].concat()).expect(0);
    let filters =
        events.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["details"]["filter"].clone());
    let expected = [
        json!({ "kind": ["sessions.ended", "history.exported"], "not_actor": "expiry" }),
        json!({ "not_user": ["alice", "bob"] }),
        json!({ "not_user": "bob" }),
    ];
    assert_eq!(filters.collect::<Vec<_>>(), expected);
}

/// An export that does not say what it is for leaves a file as it was, where that is asked for.
#[rstest]
fn prv_05_an_export_by_command_says_what_it_is_for(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend).with("VIGIE__AUDIT__PURPOSE_REQUIRED", "true");
    program.add_user("alice", "agent");
    let file = program.file("events.ndjson", "of last month");
    for what in ["session", "audit"] {
        let export =
            |rest: &[&str]| program.run(&[&[what, "export", "--format", "ndjson", "--output", &file], rest].concat());
        export(&[]).fails(1, "say what the export is for");
        export(&["--purpose", " "]).fails(2, "1 to 200 characters");
        assert_eq!(std::fs::read_to_string(&file).expect("the file"), "of last month");
    }
    program.run(&["audit", "export", "--format", "ndjson", "--output", &file, "--purpose", "yearly review"]).expect(0);
    let exported = std::fs::read_to_string(&file).expect("the file");
    let events: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let purposes = events.iter().filter(|event| event["kind"] == "history.exported");
    let purposes: Vec<&Value> = purposes.map(|event| &event["details"]["purpose"]).collect();
    assert_eq!(purposes, ["yearly review"], "those that were refused exported nothing");
}

/// Logins and ends are followed as they happen.
#[rstest]
#[actix_web::test]
async fn logins_and_ends_are_watched(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let server = program.serve();
    let before = server.log_in("alice").await;
    let mut watching =
        program.command(&["session", "watch", "--json"]).stdout(Stdio::piped()).spawn().expect("it starts");
    // It follows from its own start on, which the record tells.
    let begun = || program.run(&["audit", "export", "--format", "ndjson", "--kind", "history.read"]).expect(0);
    while !begun().contains("\"watch\"") {}
    let answer = server.log_in("alice").await;
    server.post("/auth/logout", answer["access_token"].as_str().expect("a token"), Value::Null).await.expect(204);
    let mut lines = BufReader::new(watching.stdout.take().expect("a pipe")).lines();
    for expected in ["session.started", "session.ended"] {
        let line = lines.next().expect("a line").expect("text");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(line["event"], expected);
        assert_eq!(line["session"]["id"], answer["session"]["id"]);
        assert_ne!(line["session"]["id"], before["session"]["id"]);
    }
    terminate(&watching);
    watching.wait().expect("it ends");
}
