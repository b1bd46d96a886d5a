//! Ending 100 000 sessions by one filter: how long it takes until it is acknowledged, and what the checks of others notice
//! of it, on one node and on two. `cargo bench --bench bulk_end`

mod support;

use std::time::{Duration, Instant};

use support::http::{Connection, request};
use support::node::Node;
use support::people::{administrator, sessions_of_many};
use support::{Cluster, median, milliseconds, open, percentile, say};

const SESSIONS: usize = 100_000;
const CALM: Duration = Duration::from_secs(5);
/// Between two checks of one client: what is measured is the wait, not how much fits through.
const PAUSE: Duration = Duration::from_millis(1);

fn main() {
    let cluster = Cluster::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let data = tempfile::tempdir().expect("a directory");
        let sqlite = format!("sqlite:{}", data.path().join("vigie.db").display());
        measure("SQLite, one node", &sqlite, data.path(), 1).await;
        let data = tempfile::tempdir().expect("a directory");
        measure("PostgreSQL, two nodes", &cluster.url, data.path(), 2).await;
    });
}

async fn measure(name: &str, url: &str, data: &std::path::Path, count: usize) {
    let app = open(url, data, &[]).await;
    let ended = sessions_of_many(&app, SESSIONS).await;
    let administrator = administrator(&app).await;
    app.close().await;
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(Node::start(url, data, &[]).await);
    }
    let watched = nodes.last().expect("a node").address;
    let check = request("GET", "/auth/verify", Some(&administrator.access_token), None);

    let begun = Instant::now();
    let mut calm = Vec::new();
    let mut connection = Connection::open(watched).await;
    while begun.elapsed() < CALM {
        calm.push(one_check(&mut connection, &check).await);
    }

    let address = nodes[0].address;
    let end = request(
        "POST",
        "/admin/sessions/end",
        Some(&administrator.access_token),
        Some(r#"{"filter":{"role":"agent"},"note":"a measurement"}"#),
    );
    let begun = Instant::now();
    let ending = tokio::spawn(async move {
        let mut connection = Connection::open(address).await;
        let answer = connection.exchange(&end).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
        String::from_utf8_lossy(answer.body).into_owned()
    });
    let mut meanwhile = Vec::new();
    while !ending.is_finished() {
        meanwhile.push(one_check(&mut connection, &check).await);
    }
    let took = begun.elapsed().as_secs_f64();
    let answer = ending.await.expect("it ends");
    let expected = format!("\"ended\":{SESSIONS}");
    assert!(answer.contains(&expected), "{answer}");
    // The first, the middle and the last of them, on every node.
    for holder in [&ended[0], &ended[SESSIONS / 2], &ended[SESSIONS - 1]] {
        for node in &nodes {
            let over = request("GET", "/auth/verify", Some(&holder.access_token), None);
            assert_eq!(Connection::open(node.address).await.exchange(&over).await.status, 401);
        }
    }
    let [calm, meanwhile] = [calm, meanwhile].map(|mut times| {
        format!(
            "p50 {:.2}, p99 {:.2}, longest {:.1}",
            median(times.clone()),
            percentile(&mut times, 0.99),
            percentile(&mut times, 1.0)
        )
    });
    say(&format!("{name}: {SESSIONS} sessions ended in {took:.1} s; checks meanwhile {meanwhile} ms; calm {calm} ms"));
}

async fn one_check(connection: &mut Connection, check: &[u8]) -> f64 {
    tokio::time::sleep(PAUSE).await;
    let begun = Instant::now();
    assert_eq!(connection.exchange(check).await.status, 200);
    milliseconds(begun.elapsed())
}
