//! What clients, proxies and load balancers do by habit.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::app::{PASSWORD, TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// Says this to the server; what it answers until it closes.
async fn said(app: &TestApp, request: &str) -> String {
    let mut stream = TcpStream::connect(app.address).await.expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("it is taken");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8(answer).expect("text")
}

/// RFC 9110 §7.8: a server may ignore it, and the client goes on in HTTP/1.1. Java's client asks for `h2c`, recipes for nginx
/// send the option with everything.
#[rstest]
#[actix_web::test]
async fn who_would_rather_speak_another_protocol_is_answered_in_this_one(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n",
        "Connection: upgrade\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
        "Upgrade: websocket\r\nConnection: close\r\n"
    )]
    asks: &str,
) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let body = format!(r#"{{"username":"alice","password":"{PASSWORD}"}}"#);
    let form = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let login = said(&app, &format!("POST /auth/login HTTP/1.1\r\nHost: vigie\r\n{asks}{form}")).await;
    let live = said(&app, &format!("GET /health/live HTTP/1.1\r\nHost: vigie\r\n{asks}\r\n")).await;
    let nowhere = said(&app, &format!("POST /nowhere HTTP/1.1\r\nHost: vigie\r\n{asks}{form}")).await;
    for (answer, status) in [(&login, 200), (&live, 200), (&nowhere, 404)] {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_lowercase();
        assert!(head.contains("connection: close") && !head.contains("upgrade"), "told that it closes: {head}");
    }
    assert!(login.contains("access_token"), "{login}");
}

/// RFC 9112 §9.6: nothing is done of what was sent behind a request whose answer closes the connection.
#[rstest]
#[actix_web::test]
async fn what_follows_the_last_answer_of_a_connection_is_not_done(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let logout = format!(
        "POST /auth/logout HTTP/1.1\r\nHost: vigie\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        alice.token()
    );
    for (version, asks) in [
        ("1.1", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"),
        ("1.1", "Connection: upgrade\r\n"),
        ("1.1", "Connection: close\r\n"),
        ("1.1", "Connection: keep-alive, close\r\n"),
        ("1.0", ""),
    ] {
        let live = format!("GET /health/live HTTP/{version}\r\nHost: vigie\r\n{asks}\r\n");
        let begun = std::time::Instant::now();
        let answers = said(&app, &format!("{live}{logout}")).await;
        let first = answers.split("\r\n\r\n").next().unwrap_or_default();
        assert!(first.contains(" 200 OK"), "{asks}: {answers}");
        assert!(version == "1.0" || first.contains("connection: close"), "{asks}: {answers}");
        assert!(!answers.contains(" 204 "), "{asks}: {answers}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{asks}: {:?}", begun.elapsed());
        alice.get("/auth/me").await.expect(200);
    }
    // Where none asks for another protocol, one follows the other.
    let answers = said(&app, &format!("GET /health/live HTTP/1.1\r\nHost: vigie\r\n\r\n{logout}")).await;
    assert!(answers.contains("HTTP/1.1 204 "), "{answers}");
}

/// One who speaks HTTP/1.0, whose connections close, closes nobody else's.
#[rstest]
#[actix_web::test]
async fn an_older_client_takes_no_connection_from_others(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SERVER__WORKERS", "1")]).await;
    let alice = app.signed_in("alice").await;
    let live = "GET /health/live HTTP/1.1\r\nHost: vigie\r\n\r\n";
    for kept in ["", "Connection: keep-alive\r\n"] {
        let older = format!("GET /health/live HTTP/1.0\r\nHost: vigie\r\n{kept}\r\n");
        for _ in 0..8 {
            let mut stream = TcpStream::connect(app.address).await.expect("the server listens");
            stream.write_all(older.as_bytes()).await.expect("it is taken");
            stream.read_exact(&mut [0; 12]).await.expect("an answer");
        }
        let last = live.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        let answers = said(&app, &format!("{}{last}", live.repeat(9))).await;
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 10, "{answers}");
        alice.get("/auth/me").await.expect(200);
    }
    // On a connection that an older client keeps, one follows the other too.
    let older = "GET /health/live HTTP/1.0\r\nHost: vigie\r\nConnection: keep-alive\r\n\r\n";
    let answers = said(&app, &format!("{}GET /health/live HTTP/1.0\r\nHost: vigie\r\n\r\n", older.repeat(3))).await;
    assert_eq!(answers.matches("HTTP/1.0 200 ").count(), 4, "{answers}");
}

/// RFC 9112 §6.3: a request that says no length has no body. nginx forwards in HTTP/1.0 unless its recipe says otherwise.
#[rstest]
#[actix_web::test]
async fn a_logout_without_a_length_in_http_1_0_logs_out(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("/auth/logout", "/auth/logout-all")] path: &str,
) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let head = format!("POST {path} HTTP/1.0\r\nHost: vigie\r\nAuthorization: Bearer {}\r\n\r\n", alice.token());
    let answer = said(&app, &head).await;
    assert!(answer.starts_with("HTTP/1.0 20"), "{answer}");
    alice.get("/auth/me").await.expect(401);
}

/// The same where the head comes in pieces, as a long token makes it on a network.
#[rstest]
#[actix_web::test]
async fn a_logout_without_a_length_logs_out_also_in_pieces(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let head = format!("POST /auth/logout HTTP/1.0\r\nHost: vigie\r\nAuthorization: Bearer {}\r\n\r\n", alice.token());
    let mut stream = TcpStream::connect(app.address).await.expect("the server listens");
    stream.set_nodelay(true).expect("a socket");
    for piece in [&head[..3], &head[3..12], &head[12..90], &head[90..head.len() - 3], &head[head.len() - 3..]] {
        stream.write_all(piece.as_bytes()).await.expect("it is taken");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.0 204 "), "{answer}");
    alice.get("/auth/me").await.expect(401);
}

/// RFC 9110 §9.3.2: HEAD is GET without the content.
#[rstest]
#[actix_web::test]
async fn what_is_open_to_everybody_answers_head_as_get(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let open = ["/health/live", "/health/ready", "/openapi.json", "/docs/", "/docs/index.html", "/audit/checkpoint"];
    for made in [false, true] {
        for path in open {
            let nobody = app.nobody();
            let (get, head) = (nobody.get(path).await, send(nobody.request(Method::HEAD, path)).await);
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!(get.status == 404, path == "/audit/checkpoint" && !made, "{path}");
            for name in ["content-type", "content-length", "cache-control", "content-security-policy"] {
                assert_eq!(head.header(name), get.header(name), "{path}: {name}");
            }
            assert_eq!(head.body, "");
        }
        app.app.chain.seal().await.expect("the store answers");
        app.app.chain.checkpoint().await.expect("the store answers");
    }
}

/// What is sent where there is nothing to say: `curl -d '{}'` calls it a form, a page that closes sends text, some a byte order
/// mark before it. Whoever leaves with a good token is let go.
#[rstest]
#[actix_web::test]
async fn whoever_logs_out_is_let_go_whatever_stands_in_the_body(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let (json, form, text) = ("application/json", "application/x-www-form-urlencoded", "text/plain;charset=UTF-8");
    let bodies: [(&str, &[u8]); 15] = [
        (form, b"{}"),
        (form, b""),
        (form, b"reason=bye"),
        (text, b"{}"),
        (text, b"bye"),
        ("", b"{}"),
        ("no type", b"{}"),
        ("application/octet-stream", b"\xff\x00\xfe"),
        (json, b" \r\n\t"),
        (json, b"\xef\xbb\xbf{}"),
        (json, b"\xef\xbb\xbf"),
        (json, b"null"),
        (json, b"[]"),
        (json, b"{"),
        (json, b"{\"refresh_tokem\":\"x\"}"),
    ];
    for (media_type, body) in bodies {
        let alice = app.log_in("alice").await;
        let mut request = alice.request(Method::POST, "/auth/logout").body(body);
        if !media_type.is_empty() {
            request = request.header(CONTENT_TYPE, media_type);
        }
        let answer = send(request).await;
        assert_eq!(answer.status, 204, "{media_type}: {}: {}", body.escape_ascii(), answer.body);
        alice.get("/auth/me").await.problem(401, "session_ended");
    }
}
