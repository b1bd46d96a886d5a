//! Logins per second over HTTP, against bare argon2id at the same cost on as many threads. Rounds alternate; the ratio is
//! the median of the rounds' ratios. `cargo bench --bench logins`

#![expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use support::http::{Connection, request};
use support::{Cluster, PASSWORD, add_user, median, open, say};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);
const USERS: usize = 64;

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
    let app = open(url, data, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    for number in 0..USERS {
        add_user(&app, &format!("user{number}")).await;
    }
    let listening = vigie::http::server::listen(Arc::clone(&app).into()).expect("a port");
    let address = listening.address;
    actix_web::rt::spawn(listening.serve_until(std::future::pending()));
    let (memory, passes) = (app.config.passwords.argon2_memory_kib, app.config.passwords.argon2_iterations);
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let bare = bare_hashes(memory, passes);
        let logins = logins(address).await;
        let ratio = logins / bare;
        say(&format!("{name} round {round}: {logins:.1} logins/s, {bare:.1} bare hashes/s, ratio {ratio:.3}"));
        ratios.push(ratio);
    }
    let median = median(ratios);
    say(&format!("{name}: logins against bare argon2id (m={memory} KiB, t={passes}): median ratio {median:.3}"));
}

/// Hashes per second on all cores.
fn bare_hashes(memory: u32, passes: u32) -> f64 {
    let threads = std::thread::available_parallelism().expect("cores").get();
    let count = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (count, stop) = (Arc::clone(&count), Arc::clone(&stop));
            std::thread::spawn(move || {
                let params = Params::new(memory, passes, 1, None).expect("a cost");
                // The same memory again and again, as the server does: a fresh allocation for each hash would flatter it.
                let mut blocks = vec![argon2::Block::default(); params.block_count()];
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                let mut out = [0; 32];
                while !stop.load(Ordering::Relaxed) {
                    argon2
                        .hash_password_into_with_memory(PASSWORD.as_bytes(), &[7; 16], &mut out, &mut blocks)
                        .expect("a hash");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    std::thread::park_timeout(ROUND);
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().expect("a worker");
    }
    count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

/// Logins per second with 16 clients, each with its own users.
async fn logins(address: SocketAddr) -> f64 {
    let started = Instant::now();
    let clients = (0..16).map(|number| {
        actix_web::rt::spawn(async move {
            let mut connection = Connection::open(address).await;
            let mut done = 0_u64;
            while started.elapsed() < ROUND {
                let name = format!("user{}", number * 4 + done % 4);
                let body = serde_json::json!({ "username": name, "password": PASSWORD }).to_string();
                let answer = connection.exchange(&request("POST", "/auth/login", None, Some(&body))).await;
                assert_eq!(answer.status, 200);
                done += 1;
            }
            done
        })
    });
    let done: u64 = futures_util::future::join_all(clients).await.into_iter().map(|done| done.expect("a client")).sum();
    done as f64 / started.elapsed().as_secs_f64()
}
