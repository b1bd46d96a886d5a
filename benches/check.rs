//! The checked request against a bare actix handler that answers the same bytes: from memory, with 1, 1 000 and 100 000
//! live tokens, and by a query each time. One worker each, keep-alive connections, rounds alternate; the settings are
//! those of production. `cargo bench --bench check [-- sqlite|postgres]`

#![expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{App as ActixApp, HttpResponse, HttpServer, web};
use support::people::sessions_of_many;
use support::{Cluster, is_chosen, median, on_one_thread, open, say, serve_live};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 16;
const SESSIONS: usize = 100_000;
/// Seconds between two writes of a session in use, as `session/seen.rs` has it. What is due is written between the rounds,
/// and what that costs is told beside them.
const WRITTEN_EVERY: f64 = 30.0;

fn main() {
    let cluster = Cluster::start();
    actix_web::rt::System::new().block_on(async {
        let data = tempfile::tempdir().expect("a directory");
        if is_chosen("sqlite") {
            let sqlite = format!("sqlite:{}", data.path().join("vigie.db").display());
            compare("SQLite", &sqlite, data.path()).await;
        }
        let data = tempfile::tempdir().expect("a directory");
        if is_chosen("postgres") {
            compare("PostgreSQL", &cluster.url, data.path()).await;
        }
    });
}

async fn compare(name: &str, url: &str, data: &std::path::Path) {
    let live = open(url, data, &[("VIGIE__SERVER__WORKERS", "1")]).await;
    let people = sessions_of_many(&live, SESSIONS).await;
    let tokens: Vec<String> = people.into_iter().map(|holder| holder.access_token).collect();
    let (from_memory, _coherence) = serve_live(&live).await;
    let by_query = open(url, data, &[("VIGIE__SERVER__WORKERS", "1"), ("VIGIE__NODES__LIVE_VIEW", "false")]).await;
    let listening = vigie::http::server::listen(Arc::clone(&by_query).into()).expect("a port");
    let queried = listening.address;
    actix_web::rt::spawn(listening.serve_until(std::future::pending()));
    for token in &tokens {
        live.sessions.check(token, [127, 0, 0, 1].into()).await.expect("a live session");
    }
    let began = Instant::now();
    let written = live.sessions.flush_last_seen().await.expect("written");
    let each = began.elapsed().as_secs_f64() * 1e6 / written.max(1) as f64;
    let share = each * 1e-6 * SESSIONS as f64 / WRITTEN_EVERY * 100.0;
    say(&format!(
        "{name} writing when {written} sessions were last used: {each:.0} microseconds each; all {SESSIONS} in use, each \
         written every {WRITTEN_EVERY} s: {share:.1} % of one core, beside what follows"
    ));
    for path in ["/auth/verify", "/auth/me"] {
        let one = requests(path, &tokens[..1]);
        let bare = serve_bare(&one_answer(from_memory, &one[0]).await);
        let all = requests(path, &tokens);
        let contenders = [
            ("from memory, 1 token", from_memory, &all[..1]),
            ("from memory, 1000 tokens", from_memory, &all[..1000]),
            ("from memory, 100000 tokens", from_memory, &all[..]),
            ("by query, 1 token", queried, &all[..1]),
        ];
        let mut ratios = vec![Vec::new(); contenders.len()];
        for _ in 0..ROUNDS {
            for ((_, address, requests), ratios) in contenders.iter().zip(&mut ratios) {
                live.sessions.flush_due().await.expect("written");
                // A query needs the core that a load without sleep would keep busy.
                let is_awake = *address == from_memory;
                let plain = rate(bare, requests, is_awake).await;
                ratios.push((rate(*address, requests, is_awake).await, plain));
            }
        }
        for ((what, ..), measured) in contenders.iter().zip(ratios) {
            let rate = median(measured.iter().map(|(rate, _)| *rate).collect());
            let ratio = median(measured.iter().map(|(rate, plain)| rate / plain).collect());
            say(&format!("{name} GET {path} {what}: {rate:.0} requests/s, {ratio:.3} of a bare handler"));
        }
    }
}

fn requests(path: &str, tokens: &[String]) -> Arc<[Vec<u8>]> {
    let request = |token| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    tokens.iter().map(|token| request(token).into_bytes()).collect()
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

/// Requests per second over keep-alive connections, driven from one thread. Each connection sends all of the requests, one
/// after the other, from another place on.
///
/// One that is kept awake never sleeps. Waking it would be the server's work, and only that of one slower than this load:
/// the bare handler is hardly ever waited for.
async fn rate(address: SocketAddr, requests: &[Vec<u8>], is_awake: bool) -> f64 {
    let requests: Arc<[Vec<u8>]> = requests.into();
    let load = std::thread::spawn(move || {
        on_one_thread(async move {
            let awake = tokio::spawn(async {
                loop {
                    tokio::task::yield_now().await;
                }
            });
            if !is_awake {
                awake.abort();
            }
            let started = Instant::now();
            let begin = |number| number * requests.len() / CONNECTIONS;
            let clients = (0..CONNECTIONS).map(|number| drive(address, Arc::clone(&requests), begin(number), started));
            let done: u64 = futures_util::future::join_all(clients).await.into_iter().sum();
            awake.abort();
            done as f64 / started.elapsed().as_secs_f64()
        })
    });
    while !load.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    load.join().expect("the load runs")
}

/// Every answer has the length of the first: the client has no need to read it, which would cost as much as the server.
async fn drive(address: SocketAddr, requests: Arc<[Vec<u8>]>, begin: usize, started: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let mut buffer = vec![0; 16 * 1024];
    stream.write_all(&requests[begin]).await.expect("written");
    let length = read_answer(&mut stream, &mut buffer).await;
    let mut done = 0;
    for request in requests.iter().cycle().skip(begin) {
        if started.elapsed() >= ROUND {
            break;
        }
        stream.write_all(request).await.expect("written");
        stream.read_exact(&mut buffer[..length]).await.expect("an answer");
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..length]));
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
