//! Checks per second against the usual way to do it: `GET /auth/verify` of Vigie (one worker, a lease held) and of an Express
//! server (`benches/express`, one process) that verifies the token and asks PostgreSQL by one query. The same database, the
//! same tokens, the same load; rounds alternate. `cargo bench --bench express` (needs node and npm)

#![expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use support::costs::repeatedly;
use support::http::{Connection, request};
use support::package::{Package, install};
use support::people::sessions_of_many;
use support::{Cluster, median, on_one_thread, open, say};
use vigie::app::App;

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);
const CONNECTIONS: usize = 16;
/// Each connection takes these in turn, so that no one row is asked for all the time.
const SESSIONS: usize = 1_000;

fn main() {
    let place = install("express");
    let cluster = Cluster::start();
    actix_web::rt::System::new().block_on(async {
        let data = tempfile::tempdir().expect("a directory");
        let settings = [("VIGIE__SERVER__WORKERS", "1"), ("VIGIE__LOG__LEVEL", "error")];
        let app = open(&cluster.url, data.path(), &settings).await;
        let holders = sessions_of_many(&app, SESSIONS).await;
        let requests: Arc<[Vec<u8>]> = holders
            .iter()
            .map(|holder| request("GET", "/auth/verify", Some(&holder.access_token), None))
            .collect();
        let listening = vigie::http::server::listen(Arc::clone(&app).into()).expect("a port");
        let vigie = listening.address;
        let _lease = vigie::background::coherence::start(&app, vigie);
        while !app.coherence.is_live() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        actix_web::rt::spawn(listening.serve_until(std::future::pending()));
        let express = start_express(&place, &cluster.url, &app).await;
        for address in [vigie, express.address] {
            rate(address, &requests).await;
        }
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (mine, other) = (rate(vigie, &requests).await, rate(express.address, &requests).await);
            ours.push(mine);
            theirs.push(other);
            ratios.push(mine / other);
        }
        say(&format!(
            "checks of {SESSIONS} sessions on PostgreSQL: Vigie {:.0}/s, Express {:.0}/s, ratio {:.1} (medians of {ROUNDS})",
            median(ours),
            median(theirs),
            median(ratios)
        ));
    });
}

async fn start_express(place: &Path, url: &str, app: &App) -> Package {
    let key = app.sessions.signing().current().await.expect("a key").public_jwk().expect("a public key").to_string();
    let (issuer, audience) = (app.config.issuer(), app.config.tokens.audience.as_str());
    let environment = [("DATABASE_URL", url), ("PUBLIC_KEY", &key), ("ISSUER", &issuer), ("AUDIENCE", audience)];
    Package::start(place, &environment)
}

/// Requests per second, driven from a thread of their own.
async fn rate(address: SocketAddr, requests: &Arc<[Vec<u8>]>) -> f64 {
    let requests = Arc::clone(requests);
    let load = std::thread::spawn(move || {
        on_one_thread(async {
            let began = Instant::now();
            let clients = (0..CONNECTIONS).map(|number| drive(address, &requests, number));
            let done: u64 = join_all(clients).await.into_iter().sum();
            done as f64 / began.elapsed().as_secs_f64()
        })
    });
    while !load.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    load.join().expect("the load runs")
}

async fn drive(address: SocketAddr, requests: &[Vec<u8>], number: usize) -> u64 {
    let mut connection = Connection::open(address).await;
    let mut turns = requests.iter().cycle().skip(number * SESSIONS / CONNECTIONS);
    repeatedly(ROUND, async || {
        let request = turns.next().expect("they go round");
        assert_eq!(connection.exchange(request).await.status, 200);
        true
    })
    .await
}
