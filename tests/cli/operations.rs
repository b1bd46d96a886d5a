//! `vigie migrate`, `doctor`, `key`, `config`, `hash`, `openapi`, and exit codes.

use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rstest::rstest;
use serde_json::{Value, json};

use crate::store::migrations::names;
use crate::support::app::PASSWORD;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::certificates::{Certificates, write_private};
use crate::support::dump::Beside;
use crate::support::postgres::Cluster;
use crate::support::program::{Program, Server, finish};
use crate::support::smtp::Smtp;

#[rstest]
fn a_database_is_brought_up_to_date(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    assert_eq!(program.run(&["migrate", "--check"]).code, 1);
    let applied = program.run(&["migrate"]).expect(0);
    assert_eq!(applied.lines().count(), names("sqlite").len());
    assert!(applied.lines().all(|line| line.starts_with("applied ")), "{applied}");
    assert_eq!(program.run(&["migrate"]).expect(0).trim(), "the database is up to date");
    assert_eq!(program.run(&["migrate", "--check"]).expect(0).trim(), "the database is up to date");
}

/// A check changes nothing: the server that comes after it still has everything to do.
#[rstest]
fn a_server_told_not_to_migrate_refuses_to_start(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend).with("VIGIE__DATABASE__MIGRATE_ON_START", "false");
    program.run(&["serve"]).fails(1, "vigie migrate");
    program.run(&["migrate"]).expect(0);
    program.serve();
}

fn check<'r>(report: &'r Value, name: &str) -> &'r Value {
    let checks = report.as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
}

#[rstest]
fn the_doctor_finds_a_healthy_installation_healthy(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("root", "admin");
    let report = program.run(&["doctor", "--json"]).json();
    for name in ["database", "migrations", "master key", "signing keys", "administrator", "data directory"] {
        assert_eq!(check(&report, name)["status"], "ok", "{report}");
    }
    assert!(program.run(&["doctor"]).expect(0).contains("database"));
}

/// Until it is sealed, what is written can be changed unseen.
#[rstest]
#[actix_web::test]
async fn the_doctor_tells_where_sealing_stands_still(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let server = program.serve();
    server.token("alice").await;
    let sealing = || {
        let report: Value = serde_json::from_str(&program.run(&["doctor", "--json"]).output).expect("JSON");
        check(&report, "sealing")["status"].clone()
    };
    assert_eq!(sealing(), "ok");
    let mut beside = Beside::connect(&program.database.url);
    beside.batch(match backend {
        Sqlite => "CREATE TRIGGER held BEFORE INSERT ON sealed_records BEGIN SELECT RAISE(ABORT, 'held'); END",
        Postgres => {
            "CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''held''; END';
             CREATE TRIGGER held BEFORE INSERT ON sealed_records FOR EACH ROW EXECUTE FUNCTION held()"
        }
    });
    server.token("alice").await;
    assert_eq!(sealing(), "fail");
    server.kill();
}

/// Names from before they were refused stay; people hear of them, and lists show what is in them.
#[rstest]
fn the_doctor_lists_names_that_are_not_what_they_look_like(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("root", "admin");
    let report = program.run(&["doctor", "--json"]).json();
    assert_eq!((&check(&report, "names")["status"], &check(&report, "roles")["status"]), (&json!("ok"), &json!("ok")));
    let names = ["d41d8cd98f00b204e9800998ecf8427e", "al\u{200b}ice", "(erased)", "admi\u{307}n"];
    for (number, name) in names.iter().enumerate() {
        program.add_user(&format!("user-{number}"), "agent");
        let set = format!("username = '{name}', username_folded = '{name}' WHERE username = 'user-{number}'");
        Beside::connect(&program.database.url).execute(&format!("UPDATE users SET {set}")).expect("renamed");
    }
    // Two whose names were told apart before they were compared as they are today.
    for (number, name) in ["οδυσσεύς", "οδυσσεύσ"].iter().enumerate() {
        program.add_user(&format!("greek-{number}"), "agent");
        let set = format!("username = '{name}', username_folded = '{name}' WHERE username = 'greek-{number}'");
        Beside::connect(&program.database.url).execute(&format!("UPDATE users SET {set}")).expect("renamed");
    }
    let report: Value = serde_json::from_str(&program.run(&["doctor", "--json"]).output).expect("JSON");
    let (status, text) = (&check(&report, "names")["status"], &check(&report, "names")["text"]);
    assert_eq!(status, "warn");
    assert!(text.as_str().is_some_and(|text| names.iter().all(|name| text.contains(name))), "{text}");
    let told = |text: &str| text.contains("exact name") && text.contains("οδυσσεύς");
    let all = report.as_array().expect("a list").iter().filter(|check| check["name"] == "names");
    assert!(all.filter_map(|check| check["text"].as_str()).any(told), "{report}");
    let listed = program.run(&["user", "list"]).expect(0);
    assert!(listed.contains("al\\u200bice") && !listed.contains('\u{200b}'), "{listed}");
    let refused = program.run(&["user", "add", "al\u{200b}ice", "--role", "agent", "--no-password"]);
    refused.fails(2, "not seen");
    program.run(&["user", "add", "d41d8cd98f00b204e9800998ecf8427e", "--role", "agent"]).fails(2, "UUID");
    program.run(&["user", "add", "(erased)", "--role", "agent", "--no-password"]).fails(2, "erased");
    let disabled = program.run(&["user", "disable", "d41d8cd98f00b204e9800998ecf8427e"]).expect(0);
    assert!(disabled.contains("disabled"), "{disabled}");
}

/// Also those of the configuration.
#[rstest]
fn the_doctor_lists_roles_that_are_not_what_they_look_like(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend).with("VIGIE__ROLES__AUDITOR", "\u{ff41}uditor");
    program.add_user("root", "admin");
    program.add_user("alice", "agent");
    let set = "UPDATE users SET role = '\u{430}dmin' WHERE username = 'alice'";
    Beside::connect(&program.database.url).execute(set).expect("changed");
    let report: Value = serde_json::from_str(&program.run(&["doctor", "--json"]).output).expect("JSON");
    let (status, text) = (&check(&report, "roles")["status"], &check(&report, "roles")["text"]);
    assert_eq!(status, "warn");
    let names = |role: &str| text.as_str().is_some_and(|text| text.contains(role));
    assert!(names("`\u{430}dmin`") && names("`\u{ff41}uditor`") && !names("`agent`"), "{text}");
    let refused = program.run(&["user", "add", "bob", "--role", "\u{430}dmin", "--no-password"]);
    refused.fails(2, "look like another");
}

#[rstest]
fn the_doctor_changes_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let _ = program.run(&["doctor"]);
    assert!(!program.path("data").exists());
    assert_eq!(program.run(&["migrate", "--check"]).code, 1);
}

/// KEY: a master key that others can read is a fault, with the cure.
#[rstest]
fn the_doctor_finds_a_master_key_that_others_can_read(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("root", "admin");
    let key = program.path("data").join("master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("the mode is set");
    let found = program.run(&["doctor", "--json"]);
    assert_eq!(found.code, 1, "{found:?}");
    let report: Value = serde_json::from_str(&found.output).expect("JSON");
    let check = check(&report, "master key");
    assert_eq!(check["status"], "fail");
    assert!(check["text"].as_str().is_some_and(|text| text.contains("chmod 600")), "{check}");
    let serving = program.run(&["serve"]);
    assert!(serving.code == 1 && serving.remarks.contains("chmod 600"), "{serving:?}");
    std::fs::remove_file(&key).expect("the key is gone");
    assert_eq!(program.run(&["doctor"]).code, 1, "keys are encrypted with it");
    program.run(&["serve"]).fails(1, "master.key");
}

/// Those who are told of alerts: what is needed for it, and whether they are there and who they should be.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_looks_at_those_who_are_told(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("smtp", "smtps")] scheme: &str,
) {
    let directory = tempfile::tempdir().expect("a directory");
    let certificates = Certificates::write(directory.path());
    let smtp = Smtp::secure(scheme, directory.path()).await;
    let secrets = directory.path().join("secret");
    write_private(&secrets, &format!("whsec_{}", "A".repeat(32)));
    let receiver = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let open = format!("http://{}/hook", receiver.local_addr().expect("an address"));
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
    let program = Program::new(backend);
    let examine = |webhook: &str, authority: &std::path::Path| {
        let mut command = program.command(&["doctor", "--json"]);
        command
            .env("VIGIE__ALERTS__WEBHOOK_URL", webhook)
            .env("VIGIE__ALERTS__WEBHOOK_SECRET_FILE", &secrets)
            .env("VIGIE__MAIL__SMTP_URL", smtp.url.replace("://", "://vigie@"))
            .env("VIGIE__MAIL__PASSWORD_FILE", &secrets)
            .env("VIGIE__MAIL__CA_FILE", authority)
            .env("VIGIE__MAIL__FROM", "vigie@example.org");
        let report: Value = serde_json::from_str(&finish(command, "").output).expect("JSON");
        ["alert webhook", "mail"].map(|name| {
            let check = check(&report, name);
            (check["status"].as_str().expect("a status").to_owned(), check["text"].as_str().expect("a text").to_owned())
        })
    };
    let [webhook, mail] = examine(&open, &certificates.root);
    assert_eq!((webhook.0.as_str(), mail.0.as_str()), ("ok", "ok"), "{webhook:?} {mail:?}");
    let [webhook, mail] = examine(&format!("http://{gone}/hook"), &certificates.stranger);
    assert!(webhook.0 == "warn" && webhook.1.contains("refused"), "{webhook:?}");
    assert!(mail.0 == "warn" && mail.1.contains("UnknownIssuer"), "{mail:?}");
    // Nobody speaks TLS there, and nobody answers.
    let [webhook, _] = examine(&open.replace("http:", "https:"), &certificates.root);
    assert!(webhook.0 == "warn" && webhook.1.contains("no answer in 3 seconds"), "{webhook:?}");
    std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o644)).expect("the mode is set");
    for (status, text) in examine(&open, &certificates.root) {
        assert!(status == "fail" && text.contains("chmod 600"), "{text}");
    }
    assert!(smtp.mails().is_empty());
}

/// KEY-02: a rotation is taken up by a running server, and old tokens stay good; a revocation refuses them.
#[rstest]
#[actix_web::test]
async fn keys_are_rotated_and_revoked_beside_a_running_server(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let server = program.serve();
    let old = server.token("alice").await;
    let before = program.run(&["key", "list", "--json"]).json();
    let old_id = before[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(before[0]["state"], "current");
    let told = program.run(&["key", "rotate"]).expect(0);
    let new_id = told.split_whitespace().next().expect("an id").to_owned();
    assert!(told.contains("signs in a minute"), "{told}");
    let state = |id: &str| {
        let keys = program.run(&["key", "list", "--json"]).json();
        keys.as_array().expect("keys").iter().find(|key| key["id"] == id).map(|key| key["state"].clone())
    };
    assert_eq!((state(&old_id), state(&new_id)), (Some(json!("current")), Some(json!("next"))));
    server.get("/auth/me", &old).await.expect(200);
    // A command whose settings differ from the server's changes nothing of the keys.
    let mut other = program.command(&["client", "list"]);
    other.env("VIGIE__TOKENS__ALGORITHM", "HS256");
    finish(other, "").expect(0);
    assert_eq!(program.run(&["key", "list", "--json"]).json().as_array().map(Vec::len), Some(2));
    let kid = |token: &str| {
        use base64::Engine as _;
        let header = token.split('.').next().expect("a header");
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).expect("base64url");
        serde_json::from_slice::<Value>(&header).expect("JSON")["kid"].as_str().expect("a kid").to_owned()
    };
    assert_eq!((kid(&old), kid(&server.token("alice").await)), (old_id.clone(), old_id.clone()));
    program.run(&["key", "revoke", &old_id]).expect(0);
    assert_eq!((state(&old_id), state(&new_id)), (Some(json!("revoked")), Some(json!("current"))));
    server.get("/auth/me", &old).await.problem(401, "token_invalid");
    let new = server.token("alice").await;
    assert_eq!(kid(&new), new_id, "the running server signs with the new key");
    server.get("/auth/me", &new).await.expect(200);
    program.run(&["key", "revoke", &old_id]).fails(1, "revoked already");
    program.run(&["key", "revoke", "nothing"]).fails(1, "there is no key");
    assert!(!program.run(&["key", "list"]).expect(0).contains("PRIVATE"));
}

#[test]
fn every_fault_of_the_configuration_is_listed_by_key() {
    let program = Program::new(Sqlite)
        .with("VIGIE__TOKENS__ACCESS_TTL", "25h")
        .with("VIGIE__TOKENS__ALGORITM", "ES256")
        .with("VIGIE__SESSIONS__MAX_PER_USER", "many")
        .with("VIGIE__PASSWORDS__MIN_LENGTH", "4");
    let checked = program.run(&["config", "check"]);
    assert_eq!(checked.code, 1);
    for key in ["tokens.access_ttl", "algoritm", "sessions.max_per_user", "passwords.min_length"] {
        assert!(checked.output.to_lowercase().contains(key), "{key}: {}", checked.output);
    }
    let program = Program::new(Sqlite);
    assert!(program.run(&["config", "check"]).expect(0).contains("the configuration is valid"));
    let report = program.run(&["config", "check", "--json"]).json();
    assert_eq!(report["faults"], json!([]));
    let file = program.file("vigie.toml", "[server]\nlisten = \"127.0.0.1:1\"\nlissen = 1\n");
    let checked = program.run(&["--config", &file, "config", "check"]);
    assert!(checked.code == 1 && checked.output.contains("server.lissen"), "{checked:?}");
    assert_eq!(program.run(&["--config", "nowhere.toml", "config", "check"]).code, 1);
}

/// What a start would refuse is a fault before it, and is told once.
#[test]
fn a_list_of_passwords_that_cannot_be_read_is_told_once() {
    let program = Program::new(Sqlite);
    let with = |path: &str, arguments: &[&str]| {
        let mut command = program.command(arguments);
        command.env("VIGIE__PASSWORDS__BLOCKLIST_FILE", path);
        finish(command, "")
    };
    for path in ["/dev/zero", "/dev", "/"] {
        let checked = with(path, &["config", "check"]);
        assert!(checked.code == 1 && checked.output.contains("passwords.blocklist_file"), "{path}: {checked:?}");
        with(path, &["serve"]).fails(1, "passwords.blocklist_file: names no regular file");
    }
    // Not there yet: the configuration may be for another machine.
    let absent = "lists/absent.txt";
    assert!(with(absent, &["config", "check"]).expect(0).contains("the configuration is valid"));
    let refused = with(absent, &["serve"]);
    assert_eq!(refused.remarks.matches("No such file").count(), 1, "{refused:?}");
    let examined = with(absent, &["doctor"]);
    assert!(examined.code == 1 && examined.output.contains(absent), "{examined:?}");
    let file = program.file("list.txt", "correct horse battery\n");
    let report: Value = serde_json::from_str(&with(&file, &["doctor", "--json"]).output).expect("JSON");
    assert_eq!(check(&report, "refused passwords")["status"], "ok");
}

#[test]
fn the_configuration_is_printed_without_secrets() {
    let master = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let program = Program::new(Sqlite)
        .with("DATABASE_URL", "postgres://vigie:s3cret-word@db.example:5432/vigie")
        .with("VIGIE__KEYS__MASTER_KEY", master);
    let printed = program.run(&["config", "print"]).expect(0);
    assert!(!printed.contains("s3cret-word") && !printed.contains(master), "{printed}");
    assert!(printed.contains("db.example") && printed.contains("[sessions]"), "{printed}");
    // What is printed is a configuration.
    let file = program.file("printed.toml", &printed.replace("********", ""));
    Program::new(Sqlite).run(&["--config", &file, "config", "check"]).expect(0);
}

#[test]
fn a_password_is_hashed_and_the_document_printed_without_a_database() {
    let program = Program::new(Sqlite).with("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing");
    let hash = program.run_with(&["hash"], &format!("{PASSWORD}\n")).expect(0);
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
    program.run_with(&["hash"], "short\n").fails(1, "15");
    let document = program.run(&["openapi"]).json();
    assert_eq!(document, serde_json::to_value(vigie::http::openapi::document()).expect("JSON"));
    // A database that cannot be reached fails a command and tells no password.
    let failed = program.run(&["user", "list"]);
    assert!(failed.code == 1 && !failed.remarks.is_empty(), "{failed:?}");
}

#[test]
fn wrong_use_is_told_from_failure() {
    let program = Program::new(Sqlite);
    for arguments in [
        &["fly"][..],
        &["user", "add"],
        &["user", "add", " x", "--role", "agent"],
        &["session", "list", "--usr", "x"],
        &["serve", "--port", "1"],
    ] {
        let refused = program.run(arguments);
        assert!(
            refused.code == 2 && refused.output.is_empty() && !refused.remarks.is_empty(),
            "{arguments:?}: {refused:?}"
        );
    }
    for arguments in [&["--help"][..], &["--version"], &["user", "--help"]] {
        assert!(!program.run(arguments).expect(0).is_empty());
    }
    assert!(!program.path("data").exists(), "nothing was opened");
}

/// LOG-11: the inbox by hand.
#[rstest]
#[actix_web::test]
async fn alerts_are_listed_shown_and_acknowledged(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend).with("VIGIE__ALERTS__FAILURES_BEFORE_LOGIN", "1");
    program.add_user("alice", "agent");
    let server = program.serve();
    server.post("/auth/login", "", json!({ "username": "alice", "password": "wrong" })).await.expect(401);
    server.token("alice").await;
    let list = program.run(&["alert", "list", "--kind", "login_after_failures", "--json"]).json();
    assert_eq!((list.as_array().map(Vec::len), &list[0]["user"]["username"]), (Some(1), &json!("alice")));
    let id = list[0]["id"].as_str().expect("an id");
    let shown = program.run(&["alert", "show", id]).expect(0);
    assert!(shown.contains("login_after_failures") && shown.contains("failures"), "{shown}");
    program.run(&["alert", "acknowledge", id, "--note", "hers"]).expect(0);
    assert_eq!(program.run(&["alert", "list", "--json"]).json(), json!([]));
    for acknowledged in [["--all", "--json"].as_slice(), &["--state", "acknowledged", "--json"]] {
        let list = program.run(&[&["alert", "list"], acknowledged].concat()).json();
        assert_eq!(list[0]["acknowledged"]["note"], "hers", "{acknowledged:?}");
    }
    // ADM-06: the record keeps the filter as that of the API.
    let asked = "SELECT CAST(details AS TEXT) AS line FROM audit_events WHERE kind = 'history.read' ORDER BY seq";
    let asked = Beside::connect(&program.database.url).lines(asked).into_iter();
    let asked = asked.map(|details| serde_json::from_str::<Value>(&details).expect("an object"));
    let filters: Vec<_> = asked.filter(|read| read["what"] == "alerts").map(|read| read["filter"].clone()).collect();
    let expected = [
        json!({ "kind": "login_after_failures" }),
        json!({}),
        json!({ "state": "all" }),
        json!({ "state": "acknowledged" }),
    ];
    assert_eq!(filters, expected);
    for unknown in [["--kind", "new_moon"].as_slice(), &["--subject", ""], &["--all", "--state", "open"]] {
        assert_eq!(program.run(&[&["alert", "list"], unknown].concat()).code, 2, "{unknown:?}");
    }
    for command in ["show", "acknowledge"] {
        program.run(&["alert", command, "00000000-0000-0000-0000-000000000000"]).fails(1, "there is no alert");
    }
}

/// A password that is not percent-encoded is read as a port, a host or a parameter, and the database's client quotes those.
#[rstest]
#[case("postgres://vigie:hunter2/zz@127.0.0.1:1/vigie")]
#[case("postgres://vigie:p%hunter2@127.0.0.1:1/vigie")]
#[case("postgres://vigie:p@hunter2@127.0.0.1:1/vigie")]
#[case("postgres://vigie:hunter2@127.0.0.1:1/vigie?passwort=hunter2")]
#[case("postgres://127.0.0.1:1/vigie?user=v&password=p@hunter2&sslmode=require")]
#[case("postgres://127.0.0.1:1/vigie&password=hunter2")]
#[case("postgres://127.0.0.1:1/vigie;password=hunter2")]
#[case("postgres://127.0.0.1:1/vigie password=hunter2")]
#[case("postgres://127.0.0.1:1/vigie?sslmode=require?password=hunter2")]
#[case("postgres://127.0.0.1:1/vigie?sslmode=require;password=hunter2")]
#[case("postgres://127.0.0.1:1/vigie?sslmode=require%26password=hunter2")]
#[case("postgres://127.0.0.1:1/vigie?connect_timeout=10;password=hunter2")]
#[case("postgres://127.0.0.1:1/vigie?dbname=host=1 password=hunter2")]
#[case("postgres:///x?host=127.0.0.1&port=1&password=a@hunter2")]
#[case("sqlite://vigie:hunter2@127.0.0.1/x")]
#[case("sqlite:x.db?password=hunter2")]
#[case("host=127.0.0.1 port=1 password=hunter2")]
fn no_message_quotes_an_address(#[case] address: &str) {
    let program = Program::new(Sqlite).with("DATABASE_URL", address).with("VIGIE__LOG__LEVEL", "trace");
    for arguments in [&["doctor"][..], &["serve"], &["migrate"], &["config", "check"], &["config", "print"]] {
        let done = program.run(arguments);
        assert!(!done.output.contains("hunter2") && !done.remarks.contains("hunter2"), "{arguments:?}: {done:?}");
        assert_eq!(done.code == 0, arguments == ["config", "print"], "{done:?}");
    }
    assert!(!program.path("data").exists(), "nothing was opened");
}

/// The server quotes an option that it refuses, and what is refused may be a password.
#[rstest]
#[case("options=--hunter2")]
#[case("options=-c%20hunter2")]
#[case("options=-cwork_mem%3Dhunter2")]
fn no_message_repeats_what_the_server_says_of_a_parameter(#[case] parameter: &str) {
    let url = Cluster::shared().url();
    let separator = if url.contains('?') { '&' } else { '?' };
    let program = Program::new(Sqlite).with("DATABASE_URL", &format!("{url}{separator}{parameter}"));
    for arguments in [&["doctor"][..], &["serve"], &["migrate"]] {
        let done = program.run(arguments);
        let told = format!("{done:?}");
        assert!(done.code != 0 && told.contains("look at its parameters") && !told.contains("hunter2"), "{told}");
    }
}

/// The server tells whom it does not know: also a password that was written in the place of the user.
#[test]
fn no_message_tells_the_user_of_an_address() {
    let mut url = url::Url::parse(Cluster::shared().url()).expect("a database URL");
    url.set_username("hunter2").expect("an address of a server");
    let program = Program::new(Sqlite).with("DATABASE_URL", url.as_str()).with("VIGIE__LOG__LEVEL", "trace");
    for arguments in [&["doctor"][..], &["serve"], &["migrate"]] {
        let done = program.run(arguments);
        let told = format!("{done:?}");
        assert!(done.code != 0 && told.contains("********") && !told.contains("hunter2"), "{told}");
    }
}

/// Whoever mistakes the variables writes the address of the database where the file should be.
#[test]
fn an_address_given_as_the_configuration_file_is_not_repeated() {
    let (program, address) = (Program::new(Sqlite), "postgres://vigie:hunter2@127.0.0.1/vigie");
    for arguments in [["config", "print"], ["config", "check"]] {
        let by_argument = program.run(&[&arguments[..], &["--config", address]].concat());
        let mut command = program.command(&arguments);
        command.env("VIGIE_CONFIG", address);
        for done in [by_argument, finish(command, "")] {
            let told = format!("{done:?}");
            assert!(done.code == 1 && told.contains("--config or VIGIE_CONFIG") && !told.contains("hunter2"), "{told}");
        }
    }
}

#[test]
fn config_print_shows_no_secret_and_no_line_of_a_file_that_is_not_toml() {
    let program = Program::new(Sqlite).with("VIGIE__SHIPPING__WEBHOOK__URL", "https://siem.example.org/T0/hunter2");
    let printed = program.run(&["config", "print"]).expect(0);
    assert!(printed.contains("https://siem.example.org/****") && !printed.contains("hunter2"), "{printed}");
    let file = program.file("vigie.toml", "[keys]\nmaster_key = \"hunter2\n");
    for arguments in [["config", "print"], ["config", "check"]] {
        let done = program.run(&[&arguments[..], &["--config", &file]].concat());
        assert!(done.code == 1 && format!("{done:?}").contains("line 2"), "{done:?}");
        assert!(!format!("{done:?}").contains("hunter2"), "{done:?}");
    }
}

/// The default would be an empty database.
#[test]
fn a_variable_that_is_not_utf_8_stops_the_start() {
    for name in ["DATABASE_URL", "VIGIE__DATA__DIR"] {
        let program = Program::new(Sqlite);
        for arguments in [&["serve"][..], &["doctor"], &["config", "check"], &["config", "print"]] {
            let mut command = program.command(arguments);
            command.env(name, std::ffi::OsStr::from_bytes(b"sqlite:\xff.db"));
            let done = finish(command, "");
            assert!(done.code == 1 && format!("{done:?}").contains(name), "{arguments:?}: {done:?}");
        }
        assert!(!program.path("data").exists(), "{name}");
    }
}

/// Whoever mistakes the variables writes the address of the database, or a key, in the place of something else.
#[rstest]
#[case("VIGIE__DATABASE__POOL_SIZE", "postgres://v:hunter2zz@h/x")]
#[case("VIGIE__SERVER__LISTEN", "postgres://v:hunter2zz@h/x")]
#[case("VIGIE__SERVER__TRUSTED_PROXIES", "postgres://v:hunter2zz@h/x")]
#[case("VIGIE__LOG__FORMAT", "postgres://v:hunter2zz@h/x")]
#[case("VIGIE__DATABASE__WAIT", "postgres://v:hunter2zz@h/x")]
#[case("VIGIE__NODES__LEASE", "v:hunter2zz@h")]
#[case("VIGIE__RETENTION__AUDIT", "v:hunter2zz@h")]
#[case("VIGIE__TOKENS__ISSUER", "https://v:hunter2zz@h")]
#[case("VIGIE__SERVER__CORS_ORIGINS", "https://v:hunter2zz@h")]
#[case("VIGIE__SHIPPING__SYSLOG__ADDRESS", "v:hunter2zz@h:514")]
#[case("VIGIE__PASSWORDS__BLOCKLIST_FILE", "https://v:hunter2zz@h/list")]
#[case("VIGIE__KEYS__MASTER_KEY_FILE", "hunter2zzAQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxw=")]
#[case("VIGIE__MAIL__PASSWORD_FILE", "whsec_hunter2zz")]
fn no_message_repeats_a_secret_in_the_place_of_something_else(#[case] name: &str, #[case] value: &str) {
    let program = Program::new(Sqlite).with(name, value);
    for arguments in [&["doctor"][..], &["serve"], &["config", "check"], &["config", "print"]] {
        let done = program.run(arguments);
        assert!(!format!("{done:?}").contains("hunter2zz"), "{arguments:?}: {done:?}");
        assert!(done.code == 1 || arguments == ["config", "print"], "{arguments:?}: {done:?}");
    }
    assert!(!program.path("data").exists(), "nothing was opened");
}

/// A name alone may be the password itself.
#[test]
fn a_file_that_is_not_there_is_not_named_if_its_name_may_be_the_secret() {
    let program = Program::new(Sqlite).with("VIGIE__TOKENS__ALGORITHM", "HS256");
    let program = program.with("VIGIE__TOKENS__HS256_SECRET_FILE", "hunter2zz");
    for arguments in [&["doctor"][..], &["serve"], &["config", "print"]] {
        let done = program.run(arguments);
        assert!(format!("{done:?}").contains("********"), "{arguments:?}: {done:?}");
        assert!(!format!("{done:?}").contains("hunter2zz"), "{arguments:?}: {done:?}");
    }
}

/// Without it, the default would hold, and an empty database be served.
#[test]
fn a_misspelt_variable_stops_the_start_and_is_named() {
    for (name, right) in [
        ("VIGIE_DATABASE_URL", "VIGIE__DATABASE__URL"),
        ("vigie__database__url", "VIGIE__DATABASE__URL"),
        ("database_url", "DATABASE_URL"),
        ("VIGIE_CONFIG_FILE", "VIGIE_CONFIG"),
    ] {
        let program = Program::new(Sqlite).with(name, "postgres://v:hunter2zz@h/x");
        for arguments in [&["serve"][..], &["doctor"], &["config", "check"], &["config", "print"]] {
            let done = program.run(arguments);
            let said = format!("{done:?}");
            assert!(done.code == 1 && said.contains(name) && said.contains(&format!("write {right}")), "{said}");
            assert!(!said.contains("hunter2zz"), "{said}");
        }
        assert!(!program.path("data").exists(), "{name}");
    }
}

/// The same command where the umask leaves everything open.
fn with_open_umask(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 000; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// The history is nobody else's to read, whatever the directory around it and the umask; and however the files were left.
#[test]
fn the_files_of_sqlite_are_their_owners_alone() {
    let program = Program::new(Sqlite);
    let directory = program.path("open");
    std::fs::create_dir(&directory).expect("made");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).expect("open");
    let file = directory.join("vigie.db");
    let program = program.with("DATABASE_URL", &format!("sqlite:{}", file.display()));
    let mode = |ending: &str| {
        let file = format!("{}{ending}", file.display());
        std::fs::metadata(file).expect("a file").permissions().mode() & 0o777
    };
    let add = program.command(&["user", "add", "alice", "--role", "agent", "--no-password"]);
    finish(with_open_umask(&add), "").expect(0);
    assert_eq!(mode(""), 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("left open");
    let server = Server::start(with_open_umask(&program.command(&["serve"])), program.path("serve.log"));
    assert_eq!(["", "-wal", "-shm"].map(mode), [0o600; 3]);
    assert_eq!(server.stop().0, Some(0));
}
