//! Load on one worker of a server, and the bare handler that it is measured against.

#![expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::{App as ActixApp, HttpResponse, HttpServer, web};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::on_one_thread;

const CONNECTIONS: usize = 16;
const ROUND: Duration = Duration::from_secs(1);
/// A round in which each request is sent once ends at the latest then.
const LONGEST: Duration = Duration::from_mins(1);

/// The answer to a request, as it was written; it must be 200.
pub async fn one_answer(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request).await.expect("written");
    let mut buffer = vec![0; 16 * 1024];
    let length = read_answer(&mut stream, &mut buffer).await;
    buffer.truncate(length);
    assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer));
    buffer
}

/// A server of one worker whose one handler answers these headers and this body. That of a POST takes the body first.
pub fn serve_bare(method: &Method, answer: &[u8]) -> SocketAddr {
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
    let (body, takes_body) = (body.to_owned(), method == Method::POST);
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
        let handler_of_form = handler.clone();
        let with_body = move |_form: web::Bytes| handler_of_form();
        ActixApp::new().default_service(if takes_body { web::to(with_body) } else { web::to(handler) })
    });
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").expect("a port");
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    address
}

/// How many requests are sent.
#[derive(Clone, Copy)]
enum Amount {
    /// As many as there is time for, all of them again and again.
    Round,
    /// Each once.
    EachOnce,
}

/// Requests per second over keep-alive connections, driven from one thread. Each connection sends all of the requests, one
/// after the other, from another place on.
///
/// One that is kept awake never sleeps. Waking it would be the server's work, and only that of one slower than this load:
/// the bare handler is hardly ever waited for.
pub async fn rate(address: SocketAddr, requests: &[Vec<u8>], is_awake: bool) -> f64 {
    drive_all(address, requests.into(), is_awake, Amount::Round).await
}

/// The same with each request once, for what must not be sent again. The connections share them.
pub async fn rate_of_each_once(address: SocketAddr, requests: &[Vec<u8>], is_awake: bool) -> f64 {
    drive_all(address, requests.into(), is_awake, Amount::EachOnce).await
}

async fn drive_all(address: SocketAddr, requests: Arc<[Vec<u8>]>, is_awake: bool, amount: Amount) -> f64 {
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
            let place = |number| number * requests.len() / CONNECTIONS;
            let clients = (0..CONNECTIONS).map(|number| {
                let (begin, end) = (place(number), place(number + 1));
                let requests = &requests;
                async move {
                    match amount {
                        Amount::Round => drive(address, requests.iter().cycle().skip(begin), started + ROUND).await,
                        Amount::EachOnce => drive(address, requests[begin..end].iter(), started + LONGEST).await,
                    }
                }
            });
            let done: u64 = join_all(clients).await.into_iter().sum();
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
async fn drive<'r>(address: SocketAddr, mut requests: impl Iterator<Item = &'r Vec<u8>>, until: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    let mut buffer = vec![0; 16 * 1024];
    stream.write_all(requests.next().expect("a request")).await.expect("written");
    let length = read_answer(&mut stream, &mut buffer).await;
    let mut done = 0;
    for request in requests {
        if Instant::now() >= until {
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
