//! How long an end takes until it is acknowledged, and so holds on every node: `POST /auth/logout` on one node and on three
//! (processes of the release binary), calm, with one of the three stopped by SIGSTOP, and many at once.
//! `cargo bench --bench nodes [-- sqlite|postgres]`

#![expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use futures_util::future::join_all;
use support::costs::{Meter, fsync, repeatedly};
use support::http::{Connection, request};
use support::node::Node;
use support::people::{Holder, sessions_of_many};
use support::{Cluster, is_chosen, milliseconds, on_one_thread, open, say, spread};

/// Ends one after the other.
const CALM: usize = 300;
/// Between two of them, as on a calm day.
const PAUSE: Duration = Duration::from_millis(5);
/// How often a node is stopped.
const FREEZES: usize = 5;
/// Ends after each.
const AFTER: usize = 20;
/// Ends under way at the same time, of few people and of many, and for how long.
const AT_ONCE: [usize; 2] = [64, 512];
const LOAD: Duration = Duration::from_secs(5);

fn main() {
    let cluster = Cluster::start();
    on_one_thread(async {
        let data = tempfile::tempdir().expect("a directory");
        say(&format!("`fsync` of 8 KiB takes {:.0} us on this disk", fsync(data.path())));
        let url = format!("sqlite:{}", data.path().join("vigie.db").display());
        if is_chosen("sqlite") {
            let mut holders = prepare(&url, data.path(), CALM + 100_000).await.into_iter();
            let one = [Node::start(&url, data.path(), &[]).await];
            calm("SQLite, one node", &one, &mut holders).await;
            many("SQLite, one node", &one, &mut holders, &[]).await;
            drop(one);
        }

        if !is_chosen("postgres") {
            return;
        }
        let data = tempfile::tempdir().expect("a directory");
        let holders = CALM * 2 + FREEZES * (AFTER + 1) + 1 + 100_000;
        let mut holders = prepare(&cluster.url, data.path(), holders).await.into_iter();
        let database = [cluster.process()];
        let start = || Node::start(&cluster.url, data.path(), &[]);
        let one = [start().await];
        calm("PostgreSQL, one node", &one, &mut holders).await;
        let [first] = one;
        let three = [first, start().await, start().await];
        calm("PostgreSQL, three nodes", &three, &mut holders).await;
        frozen(&three, &mut holders).await;
        many("PostgreSQL, three nodes", &three, &mut holders, &database).await;
        drop(three);
        let one = [start().await];
        // It waits for the three, who have left no word.
        end(&mut [Connection::open(one[0].address).await], &holders.next().expect("a session")).await;
        many("PostgreSQL, one node", &one, &mut holders, &database).await;
    });
}

/// As many sessions, on a database that is at rest: all that was recorded of them is sealed, and PostgreSQL has cleaned up.
async fn prepare(url: &str, data: &std::path::Path, count: usize) -> Vec<Holder> {
    let app = open(url, data, &[]).await;
    let holders = sessions_of_many(&app, count).await;
    app.chain.seal().await.expect("sealed");
    app.close().await;
    if url.starts_with("postgres") {
        let mut connection = PgConnection::establish(url).expect("a connection");
        for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
            connection.batch_execute(statement).expect("at rest");
        }
    }
    holders
}

/// Ends one after the other on the first node, each of a session that every node has in its memory.
async fn calm(name: &str, nodes: &[Node], holders: &mut impl Iterator<Item = Holder>) {
    let mut connections = join_all(nodes.iter().map(|node| Connection::open(node.address))).await;
    let mut took = Vec::with_capacity(CALM);
    for holder in holders.take(CALM) {
        took.push(end(&mut connections, &holder).await);
        tokio::time::sleep(PAUSE).await;
    }
    say(&format!("{name}, calm: {}", spread(&mut took)));
}

/// Ends a session on the first node; returns the milliseconds until that was acknowledged. Every node must know it then.
async fn end(connections: &mut [Connection], holder: &Holder) -> f64 {
    let check = request("GET", "/auth/verify", Some(&holder.access_token), None);
    for connection in connections.iter_mut() {
        assert_eq!(connection.exchange(&check).await.status, 200);
    }
    let began = Instant::now();
    assert_eq!(connections[0].exchange(&logout(holder)).await.status, 204);
    let took = milliseconds(began.elapsed());
    for connection in connections {
        assert_eq!(connection.exchange(&check).await.status, 401, "a node does not know of an acknowledged end");
    }
    took
}

fn logout(holder: &Holder) -> Vec<u8> {
    request("POST", "/auth/logout", Some(&holder.access_token), None)
}

/// The last node stops without a word: the next end waits for its lease to run out, those after it do not.
async fn frozen(nodes: &[Node], holders: &mut impl Iterator<Item = Holder>) {
    let (silent, others) = nodes.split_last().expect("nodes");
    let (mut first, mut further) = (Vec::new(), Vec::new());
    for _ in 0..FREEZES {
        let mut connections = join_all(others.iter().map(|node| Connection::open(node.address))).await;
        silent.freeze();
        first.push(end(&mut connections, &holders.next().expect("a session")).await);
        for holder in holders.take(AFTER) {
            further.push(end(&mut connections, &holder).await);
        }
        silent.thaw();
        // What it answers before it notices is asked of the store; then it joins again.
        tokio::time::sleep(Duration::from_secs(1)).await;
        silent.until_live().await;
    }
    say(&format!("PostgreSQL, one of three stopped: the first end {} (aim: 2500 ms at most)", spread(&mut first)));
    say(&format!("PostgreSQL, one of three stopped: further ends {}", spread(&mut further)));
}

/// Many ends at once, spread over the nodes.
async fn many(name: &str, nodes: &[Node], holders: &mut impl Iterator<Item = Holder>, database: &[u32]) {
    for at_once in AT_ONCE {
        so_many(name, nodes, holders, database, at_once).await;
    }
}

async fn so_many(
    name: &str,
    nodes: &[Node],
    holders: &mut impl Iterator<Item = Holder>,
    database: &[u32],
    at_once: usize,
) {
    let processes: Vec<u32> = nodes.iter().map(Node::process).collect();
    let load = [std::process::id()];
    let parties: [(&str, &[u32]); 3] = [("Vigie", &processes), ("PostgreSQL", database), ("this load", &load)];
    let addresses: Vec<SocketAddr> = nodes.iter().map(|node| node.address).collect();
    let holders = std::cell::RefCell::new(holders);
    let connections = (0..at_once).map(|number| Connection::open(addresses[number % addresses.len()]));
    let connections = join_all(connections).await;
    let took = std::cell::RefCell::new(Vec::new());
    let (meter, began) = (Meter::start(&parties), Instant::now());
    let clients = connections.into_iter().map(|mut connection| {
        let (holders, took) = (&holders, &took);
        repeatedly(LOAD, async move || {
            let Some(holder) = holders.borrow_mut().next() else { return false };
            let began = Instant::now();
            let status = connection.exchange(&logout(&holder)).await.status;
            assert_eq!(status, 204);
            took.borrow_mut().push(milliseconds(began.elapsed()));
            true
        })
    });
    let done: u64 = join_all(clients).await.into_iter().sum();
    let rate = done as f64 / began.elapsed().as_secs_f64();
    let spent = meter.tell();
    say(&format!(
        "{name}, {at_once} at once: {rate:.0} ends/s acknowledged (aim: 5000), {}; {spent}",
        spread(&mut took.borrow_mut())
    ));
}
