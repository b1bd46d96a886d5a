//! Clients that send or read slowly, or not at all: each holds its connection for a while that is known, and no stop.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::app::TestApp;
use crate::support::backend::Backend::Sqlite;

/// What a machine under load may take longer.
const LATE: Duration = Duration::from_secs(4);

/// How a client sends: all of this, then a piece after each pause, for ever.
struct Slow {
    begin: String,
    piece: &'static str,
    pause: Duration,
}

impl Slow {
    fn silent(begin: impl Into<String>) -> Self {
        Self { begin: begin.into(), piece: "", pause: Duration::from_mins(1) }
    }

    fn then(self, piece: &'static str, pause: Duration) -> Self {
        Self { piece, pause, ..self }
    }
}

/// Sends so until the server closes the connection; returns what it said, and when it was closed.
async fn send(address: SocketAddr, slow: Slow) -> (String, Duration) {
    let (mut reading, mut writing) = TcpStream::connect(address).await.expect("the server listens").into_split();
    let (begun, mut said) = (Instant::now(), Vec::new());
    writing.write_all(slow.begin.as_bytes()).await.expect("it is taken");
    let sending = async {
        loop {
            tokio::time::sleep(slow.pause).await;
            // Closed for reading: whether for writing as well is seen by the next one.
            let _ = writing.write_all(slow.piece.as_bytes()).await;
        }
    };
    tokio::select! {
        () = sending => unreachable!("it goes on for ever"),
        // A reset is an end as well.
        _ = reading.read_to_end(&mut said) => {}
    }
    (String::from_utf8_lossy(&said).into_owned(), begun.elapsed())
}

fn post(length: &str) -> String {
    format!("POST /auth/login HTTP/1.1\r\nHost: vigie\r\nContent-Type: application/json\r\n{length}\r\n\r\n")
}

#[track_caller]
fn assert_within(took: Duration, least: u64, most: u64, what: &str) {
    let (least, most) = (Duration::from_secs(least), Duration::from_secs(most) + LATE);
    // The framework looks at the time twice a second.
    assert!(least <= took + Duration::from_secs(1) && took <= most, "{what}: {took:?}");
}

/// API-05. One after the other would take a minute: they are slow at the same time.
#[actix_web::test]
async fn api_05_a_body_that_comes_too_slowly_is_not_waited_for() {
    let app = TestApp::start(Sqlite).await;
    let kib = " ".repeat(1_536).leak();
    let second = Duration::from_secs(1);
    let ((nothing, after), (bytes, bytes_after), (slow, slow_after), (chunked, chunked_after)) = tokio::join!(
        send(app.address, Slow::silent(post("Content-Length: 60"))),
        send(app.address, Slow::silent(post("Content-Length: 600")).then(" ", second / 5)),
        send(app.address, Slow::silent(post("Content-Length: 65000")).then(kib, second)),
        send(app.address, Slow::silent(post("Transfer-Encoding: chunked"))),
    );
    for answer in [&nothing, &bytes, &slow, &chunked] {
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"too_slow\""), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
    assert_within(after, 5, 6, "nothing of it");
    assert_within(bytes_after, 5, 6, "five bytes a second");
    assert_within(slow_after, 10, 11, "one and a half KiB a second: ten seconds in all");
    assert_within(chunked_after, 5, 5 + 15, "chunks that do not come");
}

#[actix_web::test]
async fn api_05_a_connection_is_not_held_between_requests() {
    let app = TestApp::start_with(Sqlite, &[("VIGIE__SERVER__METRICS_LISTEN", "127.0.0.1:0")]).await;
    let metrics = app.metrics_address.expect("a listener");
    let ask = "GET /health/live HTTP/1.1\r\nHost: vigie\r\n\r\n";
    let lost = "POST /nothing/here HTTP/1.1\r\nHost: vigie\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let last = "GET /health/live HTTP/1.1\r\nHost: vigie\r\nConnection: close\r\n\r\n";
    let (first, idle, kept, scraped, second, later, unread, dribbled) = tokio::join!(
        send(app.address, Slow::silent("GET /health").then("/", Duration::from_secs(1))),
        send(app.address, Slow::silent(ask)),
        send(app.address, Slow::silent(ask).then(last, Duration::from_secs(61))),
        send(metrics, Slow::silent(ask.replace("/health/live", "/metrics")).then(last, Duration::from_secs(61))),
        send(app.address, Slow::silent(format!("{ask}GET /health")).then("/", Duration::from_secs(1))),
        send(app.address, Slow::silent(ask).then("GET /health", Duration::from_secs(20))),
        send(app.address, Slow::silent(lost)),
        send(app.address, Slow::silent(lost).then("1\r\nx\r\n", Duration::from_secs(1))),
    );
    assert!(first.0.starts_with("HTTP/1.1 408 "), "{}", first.0);
    assert_within(first.1, 10, 11, "a first head");
    assert!(idle.0.starts_with("HTTP/1.1 200 "), "{}", idle.0);
    assert_within(idle.1, 75, 80, "nothing is asked");
    assert_eq!(kept.0.matches("HTTP/1.1 200 ").count(), 2, "proxies keep connections for a minute: {}", kept.0);
    assert_eq!(scraped.0.matches("HTTP/1.1 ").count(), 2, "so do those who scrape: {}", scraped.0);
    assert_within(second.1, 10, 15, "a second head");
    assert_within(later.1, 20 + 10, 20 + 15, "a second head that begins later");
    assert!(unread.0.starts_with("HTTP/1.1 404 ") && dribbled.0.starts_with("HTTP/1.1 404 "), "{}", unread.0);
    assert_within(unread.1, 0, 80, "a body that nobody reads and that does not end");
    assert_within(dribbled.1, 0, 15, "the same, byte by byte");
}

#[actix_web::test]
async fn half_a_body_holds_no_stop() {
    let mut app = TestApp::start(Sqlite).await;
    let alice = app.signed_in("alice").await;
    let mut stream = TcpStream::connect(app.address).await.expect("the server listens");
    let head = format!("{}{{\"user", post("Content-Length: 60\r\nExpect: 100-continue"));
    stream.write_all(head.as_bytes()).await.expect("it is taken");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("the head is whole");
    alice.get("/auth/me").await.expect(200);
    drop(alice);
    let begun = Instant::now();
    app.close().await;
    assert_within(begun.elapsed(), 0, 8, "the stop");
}
