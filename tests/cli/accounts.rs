//! `vigie user` and `vigie client`.

use rstest::rstest;
use serde_json::{Value, json};
use vigie::config::Algorithm;
use vigie::token::keys::SigningKey;

use crate::support::app::PASSWORD;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::program::Program;

fn names(program: &Program, arguments: &[&str]) -> Vec<String> {
    let list = program.run(&[&["user", "list", "--json"], arguments].concat()).json();
    let name = |user: &Value| user["username"].as_str().expect("a name").to_owned();
    list.as_array().expect("users").iter().map(name).collect()
}

#[rstest]
#[actix_web::test]
async fn a_user_is_added_before_the_first_start_and_logs_in(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let arguments = ["user", "add", "Zoé", "--role", "chef", "--password-stdin", "--json"];
    let user = program.run_with(&arguments, &format!("{PASSWORD}\r\nnot this line\n")).json();
    assert_eq!(
        (&user["username"], &user["role"], &user["has_password"]),
        (&json!("Zoé"), &json!("chef"), &json!(true))
    );
    program.run_with(&arguments, &format!("{PASSWORD}\n")).fails(1, "taken");
    let refused = program.run_with(&["user", "add", "x", "--role", "a", "--password-stdin"], "short\n");
    assert_eq!(refused.remarks.matches("at least 15 characters").count(), 1, "{refused:?}");
    refused.fails(1, "15");
    program.run_with(&["user", "add", "x", "--role", "a", "--password-stdin"], "").fails(1, "no password");
    program.run(&["user", "add", "x"]).fails(2, "--role");
    let server = program.serve();
    assert_eq!(server.setup_token(), None, "there is a user: nobody else may make the first administrator");
    server.get("/auth/me", &server.token("zoé").await).await.expect(200);
}

/// Without a password on the standard input the new user gets a one-time token.
#[rstest]
#[actix_web::test]
async fn a_user_without_a_password_sets_one_by_a_token(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let added = program.run(&["user", "add", "alice", "--role", "agent", "--no-password", "--json"]).json();
    let again = program.run(&["user", "reset-password", "ALICE", "--json"]).json();
    // And the page that takes it, where people reach the server.
    let link = again["link"].as_str().expect("a link");
    let (address, token) = link.split_once("/reset?token=").expect("the page");
    assert!(address.starts_with("http://") && Some(token) == again["token"].as_str(), "{link}");
    let told = program.run(&["user", "reset-password", "alice"]).output;
    assert!(told.contains("/reset?token=vgt_"), "{told}");
    let again = program.run(&["user", "reset-password", "alice", "--json"]).json();
    let server = program.serve();
    let reset =
        async |token: &Value| server.post("/auth/reset", "", json!({ "token": token, "new_password": PASSWORD })).await;
    reset(&added["token"]).await.problem(401, "token_invalid");
    reset(&again["token"]).await.expect(204);
    server.token("alice").await;
}

/// Everything takes effect on a running server with the next request.
#[rstest]
#[actix_web::test]
async fn changes_of_users_hold_on_a_running_server(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let server = program.serve();
    let token = server.token("alice").await;
    server.get("/admin/sessions", &token).await.problem(403, "not_allowed");
    program.run(&["user", "role", "alice", "auditor"]).expect(0);
    server.get("/admin/sessions", &token).await.expect(200);
    program.run(&["user", "disable", "alice"]).expect(0);
    server.get("/auth/me", &token).await.problem(401, "session_ended");
    assert_eq!(names(&program, &["--state", "disabled"]), ["alice"]);
    program.run(&["user", "enable", "alice"]).expect(0);
    let token = server.token("alice").await;
    program.run(&["user", "delete", "alice"]).expect(0);
    server.get("/auth/me", &token).await.problem(401, "session_ended");
    assert_eq!(names(&program, &[]), [""; 0]);
    for command in ["show", "enable", "disable", "delete", "unlock", "reset-password"] {
        program.run(&["user", command, "alice"]).fails(1, "there is no user alice");
    }
}

#[rstest]
#[actix_web::test]
async fn a_throttled_user_is_unlocked(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let server = program.serve();
    for _ in 0..6 {
        server.post("/auth/login", "", json!({ "username": "alice", "password": "wrong wrong wrong" })).await;
    }
    let login = json!({ "username": "alice", "password": PASSWORD });
    server.post("/auth/login", "", login).await.problem(429, "too_many_attempts");
    program.run(&["user", "unlock", "alice"]).expect(0);
    server.token("alice").await;
}

/// D5-36: a lock-out is seen and lifted, on a running server.
#[rstest]
#[actix_web::test]
async fn what_is_throttled_is_listed_and_lifted(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let server = program.serve();
    for _ in 0..6 {
        server.post("/auth/login", "", json!({ "username": "alice", "password": "wrong wrong wrong" })).await;
    }
    let list = program.run(&["throttle", "list", "--json"]).json();
    assert_eq!((list.as_array().map(Vec::len), &list[0]["user"]["username"]), (Some(1), &json!("alice")));
    assert!(program.run(&["throttle", "list", "--all"]).expect(0).contains("127.0.0.1/32"));
    let id = list[0]["id"].as_str().expect("an id");
    program.run(&["throttle", "lift", id]).expect(0);
    server.token("alice").await;
    program.run(&["throttle", "lift", id]).fails(1, "there is no throttle");
    assert!(program.run(&["audit", "export", "--format", "ndjson"]).expect(0).contains("throttle.lifted"));
}

#[rstest]
fn a_user_has_an_email_address_or_none(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let added = ["user", "add", "alice", "--role", "agent", "--email", "alice@example.org", "--no-password", "--json"];
    assert_eq!(program.run(&added).json()["user"]["email"], "alice@example.org");
    program.run(&["user", "email", "alice", "nowhere"]).fails(2, "name@domain");
    program.run(&["user", "email", "alice", "a@example.org"]).expect(0);
    assert_eq!(program.run(&["user", "show", "alice", "--json"]).json()["email"], "a@example.org");
    program.run(&["user", "email", "alice"]).expect(0);
    assert_eq!(program.run(&["user", "show", "alice", "--json"]).json()["email"], Value::Null);
    let users = "username,role,email\nbob,agent,bob@example.org\ncarol,agent,\n";
    program.run_with(&["user", "import", "-", "--format", "csv"], users).expect(0);
    assert_eq!(program.run(&["user", "show", "bob", "--json"]).json()["email"], "bob@example.org");
    assert_eq!(program.run(&["user", "show", "carol", "--json"]).json()["email"], Value::Null);
    let wrong = "username,role,email\ndave,agent,dave\n";
    program.run_with(&["user", "import", "-", "--format", "csv"], wrong).fails(1, "email");
}

/// ADM-08.
#[rstest]
fn the_last_administrator_stays(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("root", "admin");
    for arguments in [&["user", "disable", "root"][..], &["user", "delete", "root"], &["user", "role", "root", "agent"]]
    {
        program.run(arguments).fails(1, "last");
    }
    assert_eq!(names(&program, &["--role", "admin"]), ["root"]);
}

const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuqF2ZmyO1XzjNSa9uTq9w3AL7x1XgmBy";

/// All of a file or nothing; each refused line by its number.
#[rstest]
fn an_import_takes_all_of_a_file_or_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("taken", "agent");
    let bad = program.file(
        "bad.csv",
        &format!(
            "id,username,role,password_hash,disabled\n\
             ,good,agent,{HASH},\n\
             ,TAKEN,agent,{HASH},\n\
             ,,agent,{HASH},\n\
             ,clear,agent,my-password,\n\
             not-an-id,x,agent,{HASH},\n\
             ,GOOD,agent,{HASH},\n\
             ,y,agent,{HASH},perhaps\n"
        ),
    );
    let refused = program.run(&["user", "import", &bad]);
    for line in [4, 5, 6, 7, 8] {
        assert!(refused.remarks.contains(&format!("line {line}: ")), "{refused:?}");
    }
    assert!(!refused.remarks.contains("line 2: ") && !refused.remarks.contains("my-password"), "{refused:?}");
    refused.fails(1, "nothing was imported");
    let taken =
        program.file("taken.csv", &format!("username,role,password_hash\na,agent,{HASH}\ntaken,agent,{HASH}\n"));
    program.run(&["user", "import", &taken]).fails(1, "line 3: a user of this name exists");
    assert_eq!(names(&program, &[]), ["taken"], "nothing is half imported");

    let id = "0197c2a4-8a5e-7c3e-9f6e-0123456789ab";
    let good = format!("id,username,role,password_hash,disabled\n{id},Ünal,chef,{HASH},true\n,second,agent,,\n");
    let good = program.file("good.csv", &good);
    assert_eq!(program.run(&["user", "import", &good, "--dry-run"]).expect(0).trim(), "2 users would be imported");
    assert_eq!(names(&program, &[]), ["taken"], "a trial keeps nothing");
    assert_eq!(program.run(&["user", "import", &good]).expect(0).trim(), "2 users imported");
    let user = program.run(&["user", "show", "ünal", "--json"]).json();
    assert_eq!((&user["id"], &user["state"], &user["has_password"]), (&json!(id), &json!("disabled"), &json!(true)));
    let line = json!({ "username": "third", "role": "agent", "password_hash": HASH }).to_string();
    let imported = program.run_with(&["user", "import", "-", "--format", "ndjson"], &format!("{line}\n"));
    assert_eq!(imported.expect(0).trim(), "1 users imported");
    program.run(&["user", "import", "nowhere.csv"]).fails(1, "nowhere.csv");
    program.run(&["user", "import", "users.txt"]).fails(2, "--format");
}

/// As spreadsheets and databases write it: their ends of lines, separators, byte order marks and booleans.
#[rstest]
fn an_import_reads_what_spreadsheets_and_databases_write(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    for (name, text) in [
        ("excel.csv", "\u{feff}username;role;disabled\r\nzoé;agent;FAUX\r\n".to_owned()),
        ("tabs.tsv", "username\trole\tdisabled\r\nyann\tagent\tno\r\n".to_owned()),
        ("psql.csv", "id,username,role,disabled\n,xavier,agent,t\n,wim,agent,f\n".to_owned()),
        ("marked.ndjson", format!("\u{feff}{}\r\n", json!({ "username": "vera", "role": "agent" }))),
    ] {
        program.run(&["user", "import", &program.file(name, &text)]).expect(0);
    }
    assert_eq!(names(&program, &[]), ["vera", "wim", "xavier", "yann", "zoé"]);
    assert_eq!(names(&program, &["--state", "disabled"]), ["xavier"]);
}

/// A fault is told once, where it is, in words that stand in the file.
#[rstest]
fn an_import_says_what_is_wrong_where(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let told = |name: &str, text: &str| {
        let file = program.file(name, text);
        let finished = program.run(&["user", "import", &file]);
        assert_eq!(finished.code, 1, "{finished:?}");
        finished.remarks.lines().filter(|line| line.starts_with("line ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told("crlf.csv", "username,role\r\nann,agent\r\n,agent\r\n"), ["line 3: username is missing"]);
    let quoted = "username,role\r\n\"a\r\nb\",agent\r\nbob,\r\n";
    let lines = told("quoted.csv", quoted);
    assert!(
        matches!(&lines[..], [first, second] if first.starts_with("line 2: username")
        && second == "line 4: role is missing"),
        "{lines:?}"
    );
    let rows = (0..3_000).fold(String::new(), |rows, number| rows + &format!("user{number},agent\n"));
    let lines = told("header.csv", &format!("username,roll\n{rows}"));
    assert!(matches!(&lines[..], [line] if line.starts_with("line 1: ") && line.len() < 200), "{lines:?}");
    for empty in ["", "\r\n", "username,role\r\n"] {
        assert_eq!(told("empty.csv", empty), ["line 1: there is no user in the file"]);
    }
    let misplaced = "username,role\r\nann,agent\r\n\"zed\"2,\"adm\"in\r\nbob,\"admin";
    let reasons =
        ["line 3: a cell continues after its closing quotation mark", "line 4: a quotation mark that is not closed"];
    assert_eq!(told("misplaced.csv", misplaced), reasons);
    let lines = told("unseen.csv", "username,role\nann,adm\u{200b}in\nbob,agent\n");
    assert!(matches!(&lines[..], [line] if line.starts_with("line 2: role: ")), "{lines:?}");
    for (line, reason) in
        [("{\"username\":\"a\"}", "role is missing"), ("7", "no JSON object: it begins with { and ends with }")]
    {
        assert_eq!(told("a.ndjson", line), [format!("line 1: {reason}")]);
    }
    assert_eq!(names(&program, &[]), [""; 0]);
}

/// A fault that is in every line is told twenty times, however long the file is.
#[rstest]
fn an_import_does_not_tell_a_fault_of_the_whole_file_once_a_line(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let objects = (0..200).fold(String::new(), |objects, number| {
        objects + &json!({ "Username": format!("user{number}"), "role": "agent" }).to_string() + "\n"
    });
    let rows = (0..200).fold("username,role\n".to_owned(), |rows, number| rows + &format!("user{number},agent\n"));
    let (objects, rows) = (program.file("objects.ndjson", &objects), program.file("rows.csv", &rows));
    program.run(&["user", "import", &rows]).expect(0);
    for (file, others, reason) in [
        (&objects, "21 to 200", "the member Username is none of id"),
        (&rows, "22 to 201", "a user of this name exists"),
    ] {
        let refused = program.run(&["user", "import", file]);
        let told = refused.remarks.lines().filter(|line| line.starts_with("line ")).count();
        assert!(told == 20 && refused.remarks.len() < 4_000, "{refused:?}");
        refused.fails(1, &format!("and 180 further lines ({others}): {reason}"));
    }
}

#[rstest]
#[actix_web::test]
async fn clients_are_kept(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let added = program.run(&["client", "add", "crm", "--name", "Relations", "--scope", "introspect,revoke", "--json"]);
    let added = added.json();
    assert!(added["client_secret"].as_str().is_some_and(|secret| secret.starts_with("vgc_")));
    assert_eq!(added["client"]["scopes"], json!(["introspect", "revoke"]));
    program.run(&["client", "add", "crm"]).fails(1, "taken");
    program.run(&["client", "add", "CRM"]).fails(2, "CRM");
    let list = program.run(&["client", "list", "--json"]).expect(0);
    assert!(list.contains("\"crm\"") && !list.contains("vgc_"), "{list}");
    let rotated = program.run(&["client", "rotate-secret", "crm", "--json"]).json();
    assert_ne!(rotated["client_secret"], added["client_secret"]);
    let server = program.serve();
    let login = json!({ "username": "alice", "password": PASSWORD, "client_id": "crm" });
    let session = server.post("/auth/login", "", login.clone()).await.expect(200);
    assert_eq!(session["session"]["claimed_client_id"], "crm");
    program.run(&["client", "remove", "crm"]).expect(0);
    server.post("/auth/login", "", login).await.problem(422, "invalid_input");
    program.run(&["client", "remove", "crm"]).fails(1, "no such client");
}

#[rstest]
#[test]
fn a_client_is_registered_with_its_audiences_and_public_keys(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let set = json!({ "keys": [key.public_jwk().expect("it is public")] });
    let file = program.file("keys.json", &set.to_string());
    let add = ["client", "add", "crm", "--audience", "crm", "--audience", "erp", "--jwks", &file, "--json"];
    let added = program.run(&add).json();
    let shown = program.run(&["client", "show", "crm", "--json"]).json();
    assert_eq!(shown, added["client"]);
    assert_eq!(shown["audiences"], json!(["crm", "erp"]));
    assert_eq!(shown["jwks"]["keys"][0]["x"], set["keys"][0]["x"]);
    program.run(&["client", "show", "erp"]).fails(1, "no such client");

    let until = |arguments: &[&str]| program.run(arguments).json()["previous_secret_until"].clone();
    assert!(until(&["client", "rotate-secret", "crm", "--json"]).is_string(), "the one before counts for a while");
    assert_eq!(until(&["client", "rotate-secret", "crm", "--void-old", "--json"]), Value::Null);

    let empty = program.file("none.json", "{}");
    for no_keys in ["/dev/zero", "/nowhere/keys.json", empty.as_str()] {
        program.run(&["client", "add", "erp", "--jwks", no_keys]).fails(1, no_keys);
    }
}
