//! What does not fit is refused, with its place and its reason, and nothing of the inside is told (API-01, API-02).

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use rstest::rstest;
use serde_json::{Value, json};

use super::authorisation::routes;
use crate::support::app::{Answer, PASSWORD, TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// Words that only somebody who looks inside would know.
const INSIDE: &[&str] = &[
    "diesel",
    "sqlite",
    "postgres",
    "select ",
    "insert ",
    "update ",
    "syntax error",
    ".rs",
    "src/",
    "/work",
    "/home",
    "/tmp",
    "/usr",
    "panick",
    "backtrace",
    "actix",
    "serde",
    "tokio",
    "rustc",
    "libpq",
    "0.1.0",
    "unwrap",
    "master.key",
    "vigie::",
];

/// Words of the language that the server is written in, and of what reads its bodies.
const OF_THE_PROGRAM: &[&str] = &[
    "struct",
    "enum",
    "tuple",
    "variant",
    "sequence",
    "map",
    "boolean",
    "unit",
    "option",
    "borrowed",
    "str",
    "u8",
    "u16",
    "u32",
    "u64",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "isize",
    "f32",
    "f64",
    "digit",
    "parse",
    "parsing",
    "provided",
    "invalid",
    "formatted",
];

/// Expects a problem that tells nothing of the inside.
#[track_caller]
fn expect_problem(answer: Answer, status: u16, code: &str) -> Value {
    let text = format!("{} {:?}", answer.body, answer.headers).to_lowercase();
    for word in INSIDE {
        assert!(!text.contains(word), "{word}: {text}");
    }
    answer.problem(status, code)
}

async fn post_text(app: &TestApp, path: &str, media_type: &str, text: impl Into<reqwest::Body>) -> Answer {
    send(app.nobody().request(Method::POST, path).header(CONTENT_TYPE, media_type).body(text)).await
}

#[rstest]
#[actix_web::test]
async fn an_unknown_member_is_named_and_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let cases = [
        ("/auth/login", json!({ "username": "alice", "password": PASSWORD, "remember_me": true }), "remember_me"),
        ("/auth/login", json!({ "username": "alice", "password": PASSWORD, "role": "admin" }), "role"),
        ("/auth/refresh", json!({ "refresh_token": alice.refresh_token, "scope": "all" }), "scope"),
        ("/auth/reset", json!({ "token": "x", "new_password": "y", "user": "bob" }), "user"),
        ("/auth/setup", json!({ "token": "x", "username": "y", "password": "z", "role": "admin" }), "role"),
    ];
    for (path, body, member) in cases {
        let problem = expect_problem(app.nobody().post(path, body).await, 422, "invalid_input");
        let errors = problem["errors"].as_array().expect("a list");
        assert_eq!(errors[0]["pointer"], format!("/{member}"), "{path}");
        assert!(errors[0]["message"].as_str().expect("a text").contains("unknown"), "{problem}");
    }
    let own = [
        ("/auth/password", json!({ "current_password": PASSWORD, "new_password": "y", "username": "bob" })),
        ("/auth/logout-all", json!({ "keep_curent": true })),
    ];
    for (path, body) in own {
        expect_problem(alice.post(path, body).await, 422, "invalid_input");
    }
    // Nothing of it was done.
    alice.refresh().await.expect(200);
    assert_eq!(app.session_rows().await, 1);
}

#[rstest]
#[actix_web::test]
async fn a_member_that_is_missing_or_of_another_type_is_named(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let cases = [
        (json!({ "username": 1, "password": "x" }), "/username", "a string"),
        (json!({ "username": "a", "password": { "x": "Hemlich7" } }), "/password", "a string"),
        (json!({ "username": "a", "password": null }), "/password", "a string"),
        (json!({ "username": "a", "password": "x", "device_name": 7 }), "/device_name", "a string"),
        (json!({ "username": "a", "password": "x", "device_name": "x".repeat(65) }), "/device_name", "64"),
        (json!({ "username": "a", "password": "x", "device_name": "a\u{0}b" }), "/device_name", "control"),
        (json!({ "username": "a", "password": "x", "client_id": "no such client" }), "/client_id", ""),
        (json!({ "username": "a", "password": "x", "client_id": "unregistered" }), "/client_id", "registered"),
        (json!({ "username": "a" }), "", "password"),
        (json!({}), "", "username"),
        (json!([]), "", ""),
        (json!("Hemlich7"), "", ""),
        (json!(null), "", ""),
    ];
    for (body, pointer, message) in cases {
        let problem = expect_problem(app.nobody().post("/auth/login", body.clone()).await, 422, "invalid_input");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
        assert!(problem["errors"][0]["message"].as_str().expect("a text").contains(message), "{body}: {problem}");
        assert!(!problem.to_string().contains("Hemlich7"), "what was typed is not repeated: {problem}");
    }
    let twice = r#"{"username":"a","username":"b","password":"x"}"#;
    expect_problem(post_text(&app, "/auth/login", "application/json", twice).await, 422, "invalid_input");
}

/// Every member of every body and query of the document, with what may not belong there. A member that nobody knows follows, so that
/// nothing is done where it does.
#[rstest]
#[actix_web::test]
async fn no_answer_speaks_of_the_types_of_the_program(#[values(Sqlite, Postgres)] backend: Backend) {
    const VALUES: [&str; 9] = ["null", "true", "-1", "1.5", "1e99", "\"Hemlich7\"", "[]", "[[]]", "{\"x\":[]}"];
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let document = serde_json::to_value(vigie::http::openapi::document()).expect("the document is JSON");
    let mut told = 0;
    for (method, path) in routes() {
        let operation = &document["paths"][&path][method.as_str().to_lowercase()];
        let path = path.replace("{id}", "00000000-0000-0000-0000-000000000000");
        // With a bearer, a logout does not look at what else is in its body.
        let asker = if path == "/auth/logout" { app.nobody() } else { admin.clone() };
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        // One that may be left out is one of two.
        let reference = [schema, &schema["oneOf"][1]].into_iter().find_map(|schema| schema["$ref"].as_str());
        let schema = reference.and_then(|reference| document.pointer(reference.trim_start_matches('#')));
        let members = schema.and_then(|schema| schema["properties"].as_object());
        for member in members.into_iter().flatten().map(|(name, _)| name) {
            for value in VALUES {
                let body = format!("{{\"{member}\":{value},\"nobody_knows\":0}}");
                let request = asker.request(method.clone(), &path).header(CONTENT_TYPE, "application/json");
                told += speaks_plainly(&send(request.body(body)).await, &format!("{path} {member} {value}"));
            }
        }
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for name in parameters.filter(|it| it["in"] == "query").map(|it| it["name"].as_str().expect("a name")) {
            for value in ["", "Hemlich7", "-1", "1.5", "99999999999999999999"] {
                let asked = format!("{path}?{name}={value}&nobody_knows=0");
                told += speaks_plainly(&send(asker.request(method.clone(), &asked)).await, &asked);
            }
        }
    }
    assert!(told > 500, "{told} answers");
    admin.get("/auth/me").await.expect(200);
}

/// Whether the answer names members that do not fit; each must be in plain words.
#[track_caller]
fn speaks_plainly(answer: &Answer, asked: &str) -> usize {
    if answer.status != 422 || answer.header("content-type") != Some("application/problem+json") {
        return 0;
    }
    for fault in answer.json()["errors"].as_array().expect("a list") {
        let message = fault["message"].as_str().expect("a text");
        let mut words = message.split(|character: char| !character.is_alphanumeric() && character != '_');
        assert_eq!(words.find(|word| OF_THE_PROGRAM.contains(word)), None, "{asked}: {message}");
        assert!(!message.contains("Hemlich7") || message.contains("is none of"), "{asked}: {message}");
    }
    1
}

#[rstest]
#[actix_web::test]
async fn what_is_not_json_is_malformed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let texts: [&[u8]; 14] = [
        b"",
        b"{",
        b"}",
        b"hello",
        b"{\"username\":\"a\",}",
        b"{\"username\":\"a\",\"password\":\"Hemlich7\"",
        b"{'username':'a','password':'b'}",
        b"{\"username\":\"a\",\"password\":\"b\"} {}",
        b"{\"username\":\"a\",\"password\":\"b\"}x",
        b"\xef\xbb\xbf{\"username\":\"a\",\"password\":\"b\"}",
        b"{\"username\":\"\xff\xfe\",\"password\":\"b\"}",
        b"{\"username\":\"\\ud800\",\"password\":\"b\"}",
        b"{\"username\":\"a\nb\",\"password\":\"b\"}",
        b"username=a&password=b",
    ];
    for text in texts {
        let answer = post_text(&app, "/auth/login", "application/json", text.to_vec()).await;
        let problem = expect_problem(answer, 400, "malformed_request");
        assert!(!problem.to_string().contains("Hemlich7"), "{problem}");
    }
    let deep = format!("{{\"username\":{}", "[".repeat(60_000));
    let answer = post_text(&app, "/auth/login", "application/json", deep).await;
    assert!(matches!(answer.status, 400 | 422), "{}", answer.body);
}

#[rstest]
#[actix_web::test]
async fn another_media_type_is_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let body = json!({ "username": "alice", "password": PASSWORD }).to_string();
    let refused = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "text/json",
        "application/jsonp",
        "*/*",
        "",
    ];
    for media_type in refused {
        let answer = post_text(&app, "/auth/login", media_type, body.clone()).await;
        expect_problem(answer, 415, "unsupported_media_type");
    }
    let untyped = app.nobody().request(Method::POST, "/auth/login").body(body.clone());
    expect_problem(send(untyped).await, 415, "unsupported_media_type");
    for media_type in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        post_text(&app, "/auth/login", media_type, body.clone()).await.expect(200);
    }
}

#[rstest]
#[actix_web::test]
async fn a_body_of_64_kib_is_read_and_a_larger_one_is_not(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let frame = json!({ "username": "a", "password": "" }).to_string().len();
    let body = |length: usize| json!({ "username": "a", "password": "x".repeat(length - frame) }).to_string();
    let fits = post_text(&app, "/auth/login", "application/json", body(64 * 1024)).await;
    fits.problem(401, "invalid_credentials");
    for length in [64 * 1024 + 1, 100 * 1024, 1024 * 1024] {
        let answer = post_text(&app, "/auth/login", "application/json", body(length)).await;
        expect_problem(answer, 413, "too_large");
    }
}

/// Sends a head and as much of the body as the server takes; returns what it answers.
fn send_raw(address: SocketAddr, head: &str, body_length: usize) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    stream.write_all(head.as_bytes()).expect("the head is taken");
    let chunk = vec![b' '; 16 * 1024];
    let mut sent = 0;
    while sent < body_length && stream.write_all(&chunk).is_ok() {
        sent += chunk.len();
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // A reset after the answer is no fault: the server need not read the rest.
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..length]);
        if String::from_utf8_lossy(&answer).contains("\r\n\r\n{") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[rstest]
#[actix_web::test]
async fn ten_megabytes_are_refused_and_the_server_goes_on(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let length = 10 * 1024 * 1024;
    let address = app.address;
    let head = format!(
        "POST /auth/login HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    let send = tokio::task::spawn_blocking(move || send_raw(address, &head, length));
    let answer = send.await.expect("the request is sent");
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("too_large"), "{answer}");
    alice.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn heads_beyond_sixteen_kib_are_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let padded = |length: usize| alice.request(Method::GET, "/auth/me").header("x-padding", "x".repeat(length));
    send(padded(12 * 1024)).await.expect(200);
    for length in [16 * 1024, 64 * 1024] {
        expect_problem(send(padded(length)).await, 431, "too_large");
    }
    let many = (0..60).fold(alice.request(Method::GET, "/auth/me"), |request, number| {
        request.header(format!("x-padding-{number}"), "x".repeat(400))
    });
    expect_problem(send(many).await, 431, "too_large");
    let path = format!("/auth/me?x={}", "x".repeat(20 * 1024));
    let long = alice.get(&path).await;
    assert!((400..500).contains(&long.status), "{}", long.status);
    alice.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn lists_refuse_a_bad_limit_cursor_or_filter(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    app.log_in("alice").await;
    for list in ["/auth/sessions", "/auth/attempts"] {
        for limit in ["0", "501", "-1", "99999999999999999999", "x", "", "1.5"] {
            let answer = alice.get(&format!("{list}?limit={limit}")).await;
            let problem = expect_problem(answer, 422, "invalid_input");
            assert_eq!(problem["errors"][0]["pointer"], "/limit", "{list} {limit}");
        }
        for limit in [1, 500] {
            alice.get(&format!("{list}?limit={limit}")).await.expect(200);
        }
        let mut cursors: Vec<String> =
            ["x", "!!!", "AAAA", "%00", "%27%20OR%201=1", "", "bnVsbA", "b3duIHNlc3Npb25zCngKeA"]
                .map(str::to_owned)
                .into();
        cursors.push("A".repeat(4000));
        for other in ["/auth/sessions", "/auth/attempts"].iter().filter(|other| **other != list) {
            let page = alice.get(&format!("{other}?limit=1")).await.expect(200);
            cursors.push(page["next_cursor"].as_str().expect("a further page").to_owned());
        }
        for cursor in cursors {
            let answer = alice.get(&format!("{list}?cursor={cursor}")).await;
            expect_problem(answer, 400, "malformed_request");
        }
        expect_problem(alice.get(&format!("{list}?lmit=3")).await, 422, "invalid_input");
        expect_problem(alice.get(&format!("{list}?limit=3&limit=4")).await, 422, "invalid_input");
        expect_problem(alice.get(&format!("{list}?user=bob")).await, 422, "invalid_input");
    }
    for state in ["Active", "dead", "", "active,ended"] {
        let answer = alice.get(&format!("/auth/sessions?state={state}")).await;
        expect_problem(answer, 422, "invalid_input");
    }
}

#[rstest]
#[actix_web::test]
async fn an_unknown_path_is_a_problem_like_any_other(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let paths = [
        "/auth",
        "/auth/",
        "/auth/nothing",
        "/auth/me/",
        "/AUTH/ME",
        "/auth//me",
        "/.env",
        "/metrics",
        "/favicon.ico",
        "/auth/sessions/a/b",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/auth/%00",
        "/auth/me%20",
        "/auth/me;x=1",
    ];
    for path in paths {
        for client in [&app.nobody(), &alice] {
            expect_problem(client.get(path).await, 404, "not_found");
        }
    }
}

#[rstest]
#[actix_web::test]
async fn an_unknown_method_is_told_which_are_known(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let cases = [
        (Method::GET, "/auth/login", "POST"),
        (Method::PUT, "/auth/login", "POST"),
        (Method::DELETE, "/auth/logout", "POST"),
        (Method::POST, "/auth/me", "GET"),
        (Method::POST, "/health/ready", "GET, HEAD"),
        (Method::HEAD, "/auth/login", "POST"),
        (Method::PATCH, "/auth/sessions/01890000-0000-7000-8000-000000000000", "DELETE"),
        (Method::OPTIONS, "/auth/me", "GET"),
        (Method::TRACE, "/auth/me", "GET"),
        (Method::from_bytes(b"BREW").expect("a method"), "/auth/me", "GET"),
    ];
    for (method, path, allowed) in cases {
        let answer = send(alice.request(method.clone(), path)).await;
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}: {}", answer.status);
        if method == Method::HEAD {
            assert_eq!((answer.status, answer.body.as_str()), (405, ""), "{path}");
            continue;
        }
        expect_problem(answer, 405, "method_not_allowed");
    }
}

#[rstest]
#[actix_web::test]
async fn no_text_however_strange_breaks_a_request(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__THROTTLE__ADDRESS_FAILURES", "900")]).await;
    let texts = [
        "\0",
        "a\0b",
        "\u{1}\u{2}\u{1b}[2J",
        "'; DROP TABLE users; --",
        "\\",
        "%",
        "_",
        "\u{202e}txt",
        "\u{feff}",
        "\u{fffd}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "İ",
        "ﬃ",
        "\u{fdfa}",
        "${jndi:ldap://x}",
        "{{7*7}}",
        "<script>alert(1)</script>",
    ];
    let long = "\u{fdfa}".repeat(5_000);
    for text in texts.iter().copied().chain([long.as_str()]) {
        let login = json!({ "username": text, "password": text });
        expect_problem(app.nobody().post("/auth/login", login).await, 401, "invalid_credentials");
        let refresh = json!({ "refresh_token": text });
        expect_problem(app.nobody().post("/auth/refresh", refresh).await, 401, "token_invalid");
        let reset = json!({ "token": text, "new_password": text });
        expect_problem(app.nobody().post("/auth/reset", reset).await, 401, "token_invalid");
        let setup = json!({ "token": text, "username": "x", "password": text });
        expect_problem(app.nobody().post("/auth/setup", setup).await, 401, "token_invalid");
    }
    // A user agent that is no text is left out or shown as far as it is one.
    let agent = reqwest::header::HeaderValue::from_bytes(b"\xff\xfe agent \xc3").expect("a header");
    let request = app.nobody().request(Method::POST, "/auth/login").header("user-agent", agent);
    let answer = send(request.json(&json!({ "username": "nobody", "password": "x" }))).await;
    expect_problem(answer, 401, "invalid_credentials");
}

#[rstest]
#[actix_web::test]
async fn a_problem_has_the_members_of_rfc_9457(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let problem = expect_problem(app.nobody().get("/auth/me").await, 401, "credentials_required");
    let members: Vec<_> = problem.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["code", "detail", "request_id", "status", "title", "type"]);
    assert_eq!(problem["type"], "urn:vigie:problem:credentials_required");
    assert_eq!(problem["status"], 401);
}
