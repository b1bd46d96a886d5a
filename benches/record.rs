//! What the record costs: sealing beside inserting, verifying the whole history, and exporting it, on both databases.
//! `cargo bench --bench record` (some minutes and gigabytes: it fills the tables first; `VIGIE_BENCH_ROWS` sets another
//! number of events than a million; sessions and attempts are added in proportion)

#![expect(clippy::cast_precision_loss, reason = "counts of records are far below 2^52")]

mod support;

use std::path::Path;
use std::time::Instant;

use support::costs::{Meter, forget_peak, peak};
use support::node::Node;
use support::people::administrator;
use support::rows::{Rows, fill};
use support::{Cluster, microseconds, open, say};
use vigie::app::App;
use vigie::audit::chain::{TreeBuilder, leaf};
use vigie::model::audit::{AuditContext, AuditEvent, Details, RecordedEvent, Subject};
use vigie::model::redaction::WithProofs;
use vigie::store::chain::{self, SealedRecord};
use vigie::store::{StoreError, audit};

/// Events that are inserted and sealed.
const SEALED: i64 = 50_000;
/// Of them in one transaction.
const TOGETHER: i64 = 100;
/// Records and events that are kept in memory for the pure part.
const IN_MEMORY: i64 = 200_000;

fn main() {
    let events = std::env::var("VIGIE_BENCH_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let rows = Rows { sessions: events / 5, attempts: events / 5 * 6 / 5, events };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let data = tempfile::tempdir().expect("a directory");
        let file = data.path().join("vigie.db");
        let own = [std::process::id()];
        measure("SQLite", &format!("sqlite:{}", file.display()), data.path(), rows, &[("Vigie", &own)]).await;
        let cluster = Cluster::start();
        let data = tempfile::tempdir().expect("a directory");
        let server = [cluster.process()];
        measure("PostgreSQL", &cluster.url, data.path(), rows, &[("Vigie", &own), ("PostgreSQL", &server)]).await;
    });
}

async fn measure(name: &str, url: &str, data: &Path, rows: Rows, parties: &[(&'static str, &[u32])]) {
    let app = open(url, data, &[]).await;
    sealing(name, &app).await;

    let began = Instant::now();
    let filled = url.to_owned();
    tokio::task::spawn_blocking(move || fill(&filled, rows, true)).await.expect("it is filled");
    let filling = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let sealed = app.chain.seal().await.expect("sealed");
    let took = began.elapsed();
    say(&format!(
        "{name}: filled with {} events, {} sessions, {} attempts in {filling:.0} s; {sealed} records of a history from before the chain sealed in {:.0} s, {:.1} us each",
        rows.events,
        rows.sessions,
        rows.attempts,
        took.as_secs_f64(),
        microseconds(took) / sealed as f64
    ));
    app.chain.checkpoint().await.expect("a checkpoint");

    for _ in 0..2 {
        verifying(name, &app, parties).await;
    }
    pure_part(name, &app).await;
    let reviewer = administrator(&app).await;
    app.chain.seal().await.expect("sealed");
    app.close().await;

    let node = Node::start(url, data, &[]).await;
    for format in ["csv", "ndjson", "ocsf"] {
        export(name, &node, &reviewer.access_token, format).await;
    }
}

/// What sealing adds to what an event costs that is inserted with its unsealed row.
async fn sealing(name: &str, app: &App) {
    app.chain.seal().await.expect("sealed");
    let event =
        AuditEvent::new(app.clock.now(), Details::KeyRotated {}, &AuditContext::command_line(), Subject::everybody());
    let began = Instant::now();
    for _ in 0..SEALED / TOGETHER {
        let event = event.clone();
        let write = move |db: &mut _| (0..TOGETHER).try_for_each(|_| audit::record(db, &event));
        app.store.write::<_, StoreError>(write).await.expect("recorded");
    }
    let inserting = microseconds(began.elapsed()) / SEALED as f64;
    let began = Instant::now();
    let sealed = app.chain.seal().await.expect("sealed");
    let sealing = microseconds(began.elapsed()) / sealed as f64;
    say(&format!(
        "{name}: an event inserted, {TOGETHER} in a transaction: {inserting:.1} us; sealed: {sealing:.1} us (ratio {:.2})",
        sealing / inserting
    ));
}

async fn verifying(name: &str, app: &App, parties: &[(&'static str, &[u32])]) {
    let before = forget_peak(std::process::id());
    let (meter, began) = (Meter::start(parties), Instant::now());
    let verified = app.chain.verify(&[], |_, _| {}).await.expect("the store answers").expect("it is intact");
    let (took, cores) = (began.elapsed().as_secs_f64(), meter.cores());
    let of_each: Vec<_> = cores
        .iter()
        .map(|(party, cores)| format!("{party} {:.2} us", cores * took * 1e6 / verified.records as f64))
        .collect();
    let ours = cores[0].1;
    say(&format!(
        "{name}: {} records verified in {took:.2} s, {:.0} records/s, {:.0} for each busy core of Vigie (aim: 500000); processor time of a record: {}; {:.1} MiB more memory at most",
        verified.records,
        verified.records as f64 / took,
        verified.records as f64 / (took * ours),
        of_each.join(", "),
        peak(std::process::id()) - before
    ));
}

/// From memory, on one thread: what there is to hash.
async fn pure_part(name: &str, app: &App) {
    let read = |db: &mut _| {
        let sealed = chain::page(db, 0, IN_MEMORY, IN_MEMORY)?;
        Ok::<_, StoreError>((sealed, audit::kept_before(db, i64::MAX, IN_MEMORY)?))
    };
    let (sealed, events): (Vec<SealedRecord>, Vec<WithProofs<RecordedEvent>>) =
        app.store.read_long(read).await.expect("read");
    let began = Instant::now();
    let mut builder = TreeBuilder::new(app.chain.hash_keys().await.expect("the keys"));
    for sealed in &sealed {
        builder.grow(leaf(&sealed.record));
    }
    assert_eq!(Some(builder.head.chain_hash), sealed.last().map(|sealed| sealed.chain_hash));
    let following = sealed.len() as f64 / began.elapsed().as_secs_f64();
    let began = Instant::now();
    let covered = events.iter().filter(|event| event.record().digest != [0; 32]).count();
    let digesting = covered as f64 / began.elapsed().as_secs_f64();
    say(&format!(
        "{name}: from memory, on one core: chain hashes and tree of {following:.0} records/s; digests of {digesting:.0} events/s"
    ));
}

/// All events over HTTP, as they come.
async fn export(name: &str, node: &Node, token: &str, format: &str) {
    let before = forget_peak(node.process());
    let began = Instant::now();
    let url = format!("http://{}/admin/audit/export?format={format}", node.address);
    let mut answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let (mut bytes, mut lines) = (0, 0);
    while let Some(piece) = answer.chunk().await.expect("it goes on") {
        bytes += piece.len();
        lines += piece.split(|byte| *byte == b'\n').count() - 1;
    }
    let took = began.elapsed().as_secs_f64();
    say(&format!(
        "{name}: {lines} lines, {} MB as {format} in {took:.1} s, {:.0} rows/s; {:.1} MiB more memory at most (aim: 64)",
        bytes / 1_000_000,
        lines as f64 / took,
        peak(node.process()) - before
    ));
}
