//! Refreshes per second on both databases, and by the core: 32 sessions that refresh again and again on one node (a process
//! of the release binary). Each refresh is a commit on the disk. `cargo bench --bench refresh`

#![expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use support::costs::{Meter, fsync, repeatedly};
use support::http::{Connection, request};
use support::node::Node;
use support::people::sessions_of_many;
use support::{Cluster, median, on_one_thread, open, say};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 32;

fn main() {
    let cluster = Cluster::start();
    on_one_thread(async {
        let data = tempfile::tempdir().expect("a directory");
        let disk = fsync(data.path());
        say(&format!("`fsync` of 8 KiB takes {disk:.0} us on this disk"));
        let url = format!("sqlite:{}", data.path().join("vigie.db").display());
        measure("SQLite", &url, data.path(), &[]).await;
        let data = tempfile::tempdir().expect("a directory");
        measure("PostgreSQL", &cluster.url, data.path(), &[cluster.process()]).await;
    });
}

async fn measure(name: &str, url: &str, data: &Path, database: &[u32]) {
    let app = open(url, data, &[]).await;
    let holders = sessions_of_many(&app, AT_ONCE).await;
    app.close().await;
    let node = Node::start(url, data, &[]).await;
    let mut clients = Vec::new();
    for holder in holders {
        clients.push((Connection::open(node.address).await, holder.refresh_token));
    }
    let (served, load) = ([node.process()], [std::process::id()]);
    let parties: [(&str, &[u32]); 3] = [("Vigie", &served), ("PostgreSQL", database), ("this load", &load)];
    let (mut rates, mut by_core, mut spent, mut all) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (meter, began) = (Meter::start(&parties), Instant::now());
        let under_way = clients.iter_mut().map(|(connection, token)| {
            repeatedly(ROUND, async || {
                *token = refresh(connection, token).await;
                true
            })
        });
        let done: u64 = join_all(under_way).await.into_iter().sum();
        let rate = done as f64 / began.elapsed().as_secs_f64();
        let busy: f64 = meter.cores().iter().filter(|(party, _)| *party != "this load").map(|(_, cores)| cores).sum();
        rates.push(rate);
        by_core.push(rate / busy);
        spent.push(meter.cores());
        all.push(meter.busy());
    }
    let parts = (0..parties.len()).map(|place| {
        let cores = median(spent.iter().map(|round| round[place].1).collect());
        format!("{} {cores:.2}", parties[place].0)
    });
    let parts: Vec<String> = parts.collect();
    say(&format!(
        "{name}: {:.0} refreshes/s, {:.0} for each busy core of server and database (medians of {ROUNDS}); {}",
        median(rates),
        median(by_core),
        limit(median(all), &parts)
    ));
}

/// Where the processors were all busy, with this or with something else, they are what limits; else it is the disk.
fn limit(busy: f64, parts: &[String]) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let what = if busy > 0.85 * cores { "the processors" } else { "waiting, for the disk first of all" };
    format!("limited by {what}: {busy:.2} of {cores} cores busy ({})", parts.join(", "))
}

async fn refresh(connection: &mut Connection, token: &str) -> String {
    let body = format!("{{\"refresh_token\":\"{token}\"}}");
    let answer = connection.exchange(&request("POST", "/auth/refresh", None, Some(&body))).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
    let answer: serde_json::Value = serde_json::from_slice(answer.body).expect("JSON");
    answer["refresh_token"].as_str().expect("a token").to_owned()
}
