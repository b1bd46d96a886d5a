//! The checked request (by query) against a bare actix handler that answers the same bytes: one worker each, keep-alive
//! connections, rounds alternate. `cargo bench --bench check`

#![expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{App as ActixApp, HttpResponse, HttpServer, web};
use secrecy::SecretString;
use support::{Cluster, PASSWORD, add_user, median, open, say};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vigie::model::session::Origin;
use vigie::session::prove::Claim;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 16;

fn main() {
    let cluster = Cluster::start();
    actix_web::rt::System::new().block_on(async {
        let data = tempfile::tempdir().expect("a directory");
        let sqlite = format!("sqlite:{}", data.path().join("vigie.db").display());
        compare("SQLite", &sqlite, data.path()).await;
        let data = tempfile::tempdir().expect("a directory");
        compare("PostgreSQL", &cluster.url, data.path()).await;
    });
}

async fn compare(name: &str, url: &str, data: &std::path::Path) {
    let settings = [("VIGIE__SERVER__WORKERS", "1"), ("VIGIE__LOG__LEVEL", "warn")];
    let app = open(url, data, &settings).await;
    add_user(&app, "alice").await;
    let claim = Claim {
        username: "alice".to_owned(),
        password: SecretString::from(PASSWORD),
        client_id: None,
        origin: Origin { ip: [127, 0, 0, 1].into(), user_agent: None },
        request_id: String::new(),
    };
    let token = app.sessions.log_in(claim, None).await.expect("a login").issued.access_token;
    let listening = vigie::http::server::listen(Arc::clone(&app).into()).expect("a port");
    let checked = listening.address;
    actix_web::rt::spawn(listening.serve_until(std::future::pending()));
    for path in ["/auth/verify", "/auth/me"] {
        let request = request(path, checked, &token);
        let answer = one_answer(checked, &request).await;
        let bare = serve_bare(&answer);
        let mut ratios = Vec::new();
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let plain = rate(bare, &request).await;
            let with_check = rate(checked, &request).await;
            ratios.push(with_check / plain);
            rates.push(with_check);
        }
        say(&format!(
            "{name} GET {path}: {:.0} checked requests/s, ratio to a bare handler {:.3} (median of {ROUNDS})",
            median(rates),
            median(ratios)
        ));
    }
}

fn request(path: &str, address: SocketAddr, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

async fn one_answer(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request).await.expect("written");
    let mut buffer = vec![0; 16 * 1024];
    let length = read_answer(&mut stream, &mut buffer).await;
    buffer.truncate(length);
    assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer));
    buffer
}

/// A server of one worker whose one handler answers these headers and this body.
fn serve_bare(answer: &[u8]) -> SocketAddr {
    let text = String::from_utf8(answer.to_vec()).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let skipped = ["content-length", "date"];
    let headers: Vec<(String, String)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| !skipped.contains(&name.to_ascii_lowercase().as_str()))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let body = body.to_owned();
    let server = HttpServer::new(move || {
        let (headers, body) = (headers.clone(), body.clone());
        let handler = move || {
            let mut response = HttpResponse::Ok();
            for (name, value) in &headers {
                response.insert_header((name.as_str(), value.as_str()));
            }
            let response = response.body(body.clone());
            async move { response }
        };
        ActixApp::new().default_service(web::to(handler))
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a port");
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    address
}

/// Requests per second over keep-alive connections, driven from one thread.
async fn rate(address: SocketAddr, request: &[u8]) -> f64 {
    let request = request.to_vec();
    let load = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let started = Instant::now();
            let clients = (0..CONNECTIONS).map(|_| drive(address, request.clone(), started));
            let done: u64 = futures_util::future::join_all(clients).await.into_iter().sum();
            done as f64 / started.elapsed().as_secs_f64()
        })
    });
    while !load.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    load.join().expect("the load runs")
}

async fn drive(address: SocketAddr, request: Vec<u8>, started: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let mut buffer = vec![0; 16 * 1024];
    let mut done = 0;
    while started.elapsed() < ROUND {
        stream.write_all(&request).await.expect("written");
        read_answer(&mut stream, &mut buffer).await;
        assert!(buffer.starts_with(b"HTTP/1.1 200"));
        done += 1;
    }
    done
}

/// Reads one answer; returns its length.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.expect("read");
        assert!(read > 0, "the server closed the connection");
        filled += read;
        let Some(end) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).expect("text").to_ascii_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.trim().parse().expect("a number"));
        if filled >= end + 4 + length {
            return filled;
        }
    }
}
