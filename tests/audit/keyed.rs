//! Records are linked by a key that is not in the database (P6): whoever can only write there takes nothing out, puts nothing
//! in and cuts nothing off, not even what no checkpoint has seen yet.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use tlog_tiles::Hash;
use vigie::app::{App, StartError};
use vigie::audit::backlog::STANDSTILL;
use vigie::audit::chain::{ChainHashKeys, Checkpoint, NotSigned, TreeBuilder, leaf};
use vigie::clock::{Clock, uptime};
use vigie::model::alert::AlertKind;
use vigie::model::audit::AuditKind;
use vigie::store::StoreError;
use vigie::store::chain::{self, SealedRecord};

use super::chain::record;
use super::tamper::word;
use super::verify;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::program::Program;
use crate::support::until::until;

/// A hundred events of which a checkpoint has seen the first half.
async fn history(backend: Backend) -> TestApp {
    let app = TestApp::start(backend).await;
    record(&app, 50).await;
    app.app.maintenance.seal().await.unwrap();
    app.app.chain.checkpoint().await.unwrap();
    record(&app, 50).await;
    app.app.maintenance.seal().await.unwrap();
    verify(&app).await.unwrap();
    app
}

async fn sealed(app: &TestApp) -> Vec<SealedRecord> {
    app.app.store.read(|db| chain::page(db, 0, i64::MAX, i64::MAX)).await.unwrap()
}

/// Whoever can write to the database takes events out and makes the chain anew from there, with all that is known there.
async fn take_out(app: &TestApp, taken: std::ops::Range<usize>) {
    let before = sealed(app).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    for record in &before[taken.clone()] {
        assert_eq!(
            beside.execute(&format!("DELETE FROM audit_events WHERE seq = {}", record.record.subject)).unwrap(),
            1
        );
    }
    let left = before.iter().enumerate().filter(|(place, _)| !taken.contains(place)).map(|(_, record)| record);
    write_chain(&mut beside, &left.cloned().collect::<Vec<_>>(), taken.start);
}

/// Writes the records as the whole chain: from a place on with plain chain hashes, which anybody can make.
fn write_chain(beside: &mut Beside, records: &[SealedRecord], plain_from: usize) {
    let (mut builder, mut last) = (TreeBuilder::new(ChainHashKeys::plain()), [0; 32]);
    beside.execute("DELETE FROM sealed_records").unwrap();
    for (place, SealedRecord { record, chain_hash, .. }) in records.iter().enumerate() {
        builder.grow(leaf(record));
        last = if place < plain_from { *chain_hash } else { plain(&last, leaf(record)) };
        let (digest, hash) = (beside.literal(&record.digest), beside.literal(&last));
        let at = match beside {
            Beside::Sqlite(_) => record.at.timestamp_micros().to_string(),
            Beside::Postgres(_) => format!("'{}'", record.at.to_rfc3339()),
        };
        let columns = "position, kind, subject, at, digest, chain_hash";
        let values = format!("{place}, '{}', '{}', {at}, {digest}, {hash}", record.kind, record.subject);
        beside.execute(&format!("INSERT INTO sealed_records ({columns}) VALUES ({values})")).unwrap();
    }
    let (hash, peaks) = (beside.literal(&last), beside.literal(&builder.head.peaks.concat()));
    let size = records.len();
    beside.execute(&format!("UPDATE chain_head SET size = {size}, chain_hash = {hash}, peaks = {peaks}")).unwrap();
}

fn plain(before: &[u8; 32], leaf: Hash) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::new().chain_update(before).chain_update(leaf.0).finalize().into()
}

/// Why nothing is signed, by a process that has not seen the chain before.
async fn refused_by_another(app: &TestApp) -> &'static str {
    match app.another_node().await.app.chain.checkpoint().await.unwrap_err() {
        NotSigned::Damaged(damage) => word(&damage).0,
        NotSigned::Store(error) => panic!("{error}"),
    }
}

async fn newest_signed(app: &TestApp) -> i64 {
    app.app.chain.newest_checkpoint().await.unwrap().unwrap().size
}

/// Five events are taken out of what no checkpoint in the database has seen, and the rest is linked anew.
#[rstest]
#[case::with_what_the_server_marked(true)]
#[case::without_it(false)]
#[actix_web::test]
async fn p6_a_chain_that_was_linked_anew_without_the_key_is_never_signed(
    #[case] has_file: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend).await;
    let (signed, file) = (newest_signed(&app).await, std::fs::read(app.app.chain.file()).unwrap());
    take_out(&app, 70..75).await;
    if !has_file {
        std::fs::remove_file(app.app.chain.file()).unwrap();
    }
    assert_eq!(word(&verify(&app).await.unwrap_err()).0, "broken");
    assert!(["broken", "cut off"].contains(&refused_by_another(&app).await));

    // The server that runs goes on, and blesses nothing.
    record(&app, 20).await;
    app.app.maintenance.seal().await.unwrap();
    app.app.maintenance.checkpoint().await.unwrap();
    assert_eq!(newest_signed(&app).await, signed);
    assert_eq!(app.alerts_of(AlertKind::RecordDamaged).await.len(), 1);
    assert_eq!(app.app.chain.file().exists(), has_file);
    if has_file {
        assert_eq!(std::fs::read(app.app.chain.file()).unwrap(), file);
    }
}

/// The newest events are cut off together with their records; every chain hash that is left is genuine.
#[rstest]
#[actix_web::test]
async fn p6_what_is_cut_off_before_a_checkpoint_has_seen_it_is_noticed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend).await;
    let signed = newest_signed(&app).await;
    let count = sealed(&app).await.len();
    take_out(&app, count - 5..count).await;
    assert_eq!(word(&verify(&app).await.unwrap_err()).0, "cut off");
    assert_eq!(refused_by_another(&app).await, "cut off");
    // So does the server that runs, by what it has seen itself, even where somebody put an older file back.
    std::fs::write(app.app.chain.file(), app.app.chain.newest_checkpoint().await.unwrap().unwrap().note).unwrap();
    record(&app, 2).await;
    app.app.maintenance.seal().await.unwrap();
    assert_eq!(app.alerts_of(AlertKind::RecordDamaged).await.len(), 1);
    app.app.chain.checkpoint().await.unwrap_err();
    assert_eq!(newest_signed(&app).await, signed);
}

/// A server that is killed has marked what it sealed.
#[rstest]
#[actix_web::test]
async fn p6_what_a_killed_server_had_sealed_is_not_cut_off_unseen(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let server = program.serve();
    server.log_in("alice").await;
    let key = program.run(&["audit", "checkpoint", "--key"]).expect(0);
    let verifier: vigie::audit::chain::CheckpointVerifier = key.parse().unwrap();
    let mut beside = Beside::connect(&program.database.url);
    let waits =
        |beside: &mut Beside| beside.lines("SELECT CAST(count(*) AS TEXT) AS line FROM unsealed_records")[0] != "0";
    let size = |beside: &mut Beside| beside.lines("SELECT CAST(size AS TEXT) AS line FROM chain_head")[0].clone();
    until("what was sealed is marked", async || {
        let marked = verifier.open_file(&program.path("data/checkpoint")).unwrap().size.to_string();
        !waits(&mut beside) && marked == size(&mut beside)
    })
    .await;
    server.kill();
    beside.drop_triggers();
    let last = beside.lines(
        "SELECT subject AS line FROM sealed_records WHERE kind = 'session_started' ORDER BY position DESC LIMIT 1",
    );
    assert_eq!(last.len(), 1);
    let position = beside.lines(
        "SELECT CAST(position AS TEXT) AS line FROM sealed_records WHERE kind = 'session_started' ORDER BY position DESC LIMIT 1",
    );
    let position: usize = position[0].parse().unwrap();
    let hash = match beside {
        Beside::Sqlite(_) => "lower(hex(chain_hash))",
        Beside::Postgres(_) => "encode(chain_hash, 'hex')",
    };
    let hash = beside.lines(&format!("SELECT {hash} AS line FROM sealed_records WHERE position = {}", position - 1));
    let bytes: Vec<u8> =
        (0..32).map(|byte| u8::from_str_radix(&hash[0][2 * byte..2 * byte + 2], 16).unwrap()).collect();
    let hash = beside.literal(&bytes);
    beside.execute(&format!("DELETE FROM sealed_records WHERE position >= {position}")).unwrap();
    beside.execute(&format!("UPDATE chain_head SET size = {position}, chain_hash = {hash}")).unwrap();
    program.run(&["audit", "verify"]).fails(1, "");
    program.run(&["audit", "checkpoint"]).fails(1, "cut off");
}

/// As a version before left it: no key links anything, and no checkpoint knows of one.
async fn unkeyed(app: &TestApp) {
    let records = sealed(app).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    for table in ["link_keys", "checkpoints"] {
        beside.execute(&format!("DELETE FROM {table}")).unwrap();
    }
    write_chain(&mut beside, &records, 0);
    let head = app.app.store.read(chain::head).await.unwrap();
    let root = root(&records);
    let size = u64::try_from(head.size).unwrap();
    let note = app.app.chain.key().sign(&Checkpoint { size, root, link_key: None });
    let at = match beside {
        Beside::Sqlite(_) => "1",
        Beside::Postgres(_) => "now()",
    };
    beside.execute(&format!("INSERT INTO checkpoints (size, at, note) VALUES ({size}, {at}, '{note}')")).unwrap();
    std::fs::write(app.app.chain.file(), note).unwrap();
}

fn root(records: &[SealedRecord]) -> Hash {
    let mut builder = TreeBuilder::new(ChainHashKeys::plain());
    for sealed in records {
        builder.grow(leaf(&sealed.record));
    }
    let mut peaks = builder.head.peaks.iter().rev().map(|peak| Hash(*peak));
    let last = peaks.next().unwrap();
    peaks.fold(last, |right, left| tlog_tiles::node_hash(left, right))
}

async fn keyed_events(app: &TestApp) -> Vec<serde_json::Value> {
    let events = app.events().await.into_iter().map(|event| event.event);
    events.filter(|event| event.kind == AuditKind::RecordKeyed).map(|event| event.details).collect()
}

/// A history from before the key is verified, signed as it is, and linked by the key from there on.
#[rstest]
#[actix_web::test]
async fn p6_a_history_from_before_the_key_is_linked_by_it_from_now_on(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend).await;
    assert_eq!(keyed_events(&app).await.len(), 0, "a new history has a key from the beginning");
    unkeyed(&app).await;
    let records = sealed(&app).await.len();
    let app = app.another_node().await;
    assert_eq!(keyed_events(&app).await, [serde_json::json!({ "position": records, "damage": null })]);
    record(&app, 10).await;
    app.app.maintenance.seal().await.unwrap();
    app.app.chain.checkpoint().await.unwrap();
    verify(&app).await.unwrap();
    let note = app.app.chain.newest_checkpoint().await.unwrap().unwrap().note;
    let link_key = app.app.chain.key().open(&note).unwrap().link_key;
    assert_eq!(link_key, Some((1, u64::try_from(records).unwrap())));
    assert_eq!(keyed_events(&app.another_node().await).await.len(), 1, "once");

    // Beyond the switch, what anybody can make is damage, although before it was how records were linked.
    take_out(&app, records + 3..records + 5).await;
    assert_eq!(word(&verify(&app).await.unwrap_err()).0, "broken");
}

/// What was altered before there was a key is said, and is not better afterwards.
#[rstest]
#[actix_web::test]
async fn p6_a_damaged_history_from_before_the_key_stays_damaged(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend).await;
    unkeyed(&app).await;
    let mut beside = Beside::connect(&app.database.url);
    assert_eq!(beside.execute("UPDATE audit_events SET actor_id = 'nobody' WHERE seq = 7").unwrap(), 1);
    let app = app.another_node().await;
    let events = keyed_events(&app).await;
    assert!(events[0]["damage"].as_str().unwrap().ends_with("event 7 was changed"), "{events:?}");
    assert_eq!(app.alerts_of(AlertKind::RecordDamaged).await.len(), 1);
    assert_eq!(word(&verify(&app).await.unwrap_err()).0, "changed");
}

/// Somebody makes the whole chain anew without the key, as it would have been before there was one.
#[rstest]
#[actix_web::test]
async fn p6_nobody_takes_the_key_back(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(true, false)] has_checkpoints: bool,
) {
    let app = history(backend).await;
    app.app.chain.checkpoint().await.unwrap();
    let records = sealed(&app).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    beside.execute("DELETE FROM link_keys").unwrap();
    assert_eq!(word(&verify(&app).await.unwrap_err()).0, "unreadable");
    if !has_checkpoints {
        beside.execute("DELETE FROM checkpoints").unwrap();
    }
    write_chain(&mut beside, &records, 0);
    let Err(StartError::Record(NotSigned::Damaged(damage))) = open_again(&app).await else { panic!("it starts") };
    assert_eq!(word(&damage).0, "link key", "{damage}");
    record(&app, 1).await;
    let refused = app.app.chain.seal().await.unwrap_err();
    assert!(matches!(&refused, StoreError::Corrupt(what) if what.starts_with("link_keys: ")), "{refused}");
}

async fn open_again(app: &TestApp) -> Result<App, StartError> {
    App::open(app.app.config.clone(), Arc::clone(&app.clock) as Arc<dyn Clock>).await
}

/// From where on the key counts is what the server said.
#[rstest]
#[case("UPDATE link_keys SET first_position = 90")]
#[case("UPDATE link_keys SET number = 2")]
#[actix_web::test]
async fn p6_from_where_the_key_counts_is_not_changed(
    #[case] statement: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend).await;
    super::tamper::tamper(&app, &[statement]);
    assert_eq!(word(&verify(&app).await.unwrap_err()).0, "unreadable");
    app.app.chain.checkpoint().await.unwrap_err();
}

/// Whatever writes to the history signs it before it ends.
#[rstest]
#[actix_web::test]
async fn p6_the_server_and_each_command_sign_before_they_end(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    let mut beside = Beside::connect(&program.database.url);
    let signed = |beside: &mut Beside| {
        let waiting = beside.lines("SELECT CAST(count(*) AS TEXT) AS line FROM unsealed_records");
        let size = beside.lines("SELECT CAST(size AS TEXT) AS line FROM chain_head");
        let newest = beside.lines("SELECT CAST(max(size) AS TEXT) AS line FROM checkpoints");
        assert_eq!((waiting[0].as_str(), &newest), ("0", &size));
        size[0].parse::<u64>().unwrap()
    };
    program.add_user("alice", "agent");
    let after_command = signed(&mut beside);
    assert!(after_command > 0);
    let server = program.serve();
    server.log_in("alice").await;
    server.stop();
    assert!(signed(&mut beside) > after_command);
}

/// Somebody holds the lock of the chain: what is written meanwhile is not sealed, and that is not silent.
#[actix_web::test]
async fn p6_reviewers_are_alerted_once_where_sealing_stands_still() {
    let app = TestApp::start(Postgres).await;
    app.app.maintenance.seal().await.unwrap();
    let mut holder = Beside::connect(&app.database.url);
    holder.execute("BEGIN").unwrap();
    holder.execute("UPDATE chain_head SET size = size").unwrap();
    record(&app, 3).await;
    let seal = app.app.maintenance.seal();
    let began = uptime();
    let look = async {
        app.app.backlog.look(began).await.unwrap();
        assert_eq!(app.alerts_of(AlertKind::SealingStopped).await.len(), 0);
        for later in [STANDSTILL, STANDSTILL * 2] {
            app.app.backlog.look(began + later).await.unwrap();
        }
    };
    let (refused, ()) = tokio::join!(seal, look);
    refused.unwrap_err();
    assert_eq!(app.alerts_of(AlertKind::SealingStopped).await.len(), 1);
    let metrics = app.app.metrics.encode();
    assert!(metrics.contains("\nvigie_record_waiting_age_seconds 10.0\n"), "{metrics}");
    holder.execute("ROLLBACK").unwrap();
    app.app.maintenance.seal().await.unwrap();
    app.app.backlog.look(began + STANDSTILL * 3).await.unwrap();
    assert!(app.app.metrics.encode().contains("\nvigie_record_waiting 0\n"));
}

/// The same where a row cannot be sealed, on both databases.
#[rstest]
#[actix_web::test]
async fn p6_reviewers_are_alerted_where_what_waits_cannot_be_sealed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.app.maintenance.seal().await.unwrap();
    record(&app, 3).await;
    super::tamper::tamper(&app, &["DELETE FROM link_keys"]);
    let began = uptime();
    for later in [Duration::ZERO, STANDSTILL] {
        app.app.maintenance.seal().await.unwrap_err();
        app.app.backlog.look(began + later).await.unwrap();
    }
    assert_eq!(app.alerts_of(AlertKind::SealingStopped).await.len(), 1);
}

/// A reviewer with a copy of the database and the public key, and nothing else.
#[rstest]
#[actix_web::test]
async fn p6_who_lacks_the_master_key_verifies_tree_checkpoints_and_rows(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let kept = program.file("kept", &program.run(&["audit", "checkpoint"]).expect(0));
    let key = program.run(&["audit", "checkpoint", "--key"]).expect(0);
    let key = key.trim();
    std::fs::remove_file(program.path("data/master.key")).unwrap();
    let verify = |key: &str| program.run(&["audit", "verify", "--public-key", key, "--checkpoint", &kept]);
    assert!(verify(key).expect(0).starts_with("intact: "));
    let told = program.run(&["audit", "verify", "--public-key", key, "--json"]).json();
    assert!(told["records"].as_u64() > Some(0) && told["not_judged"] == 0, "{told}");
    verify("nothing").fails(2, "no public key");
    let stranger = Program::new(Sqlite);
    let other = stranger.run(&["audit", "checkpoint", "--key"]).expect(0);
    verify(other.trim()).fails(1, "another history");
    assert!(!program.path("data/master.key").exists(), "nothing is made");

    let mut beside = Beside::connect(&program.database.url);
    beside.drop_triggers();
    beside.execute("CREATE TABLE kept_checkpoints AS SELECT * FROM checkpoints").unwrap();
    beside.execute("DELETE FROM checkpoints").unwrap();
    program.run(&["audit", "verify", "--public-key", key]).fails(1, "there is no checkpoint");
    beside.execute("INSERT INTO checkpoints SELECT * FROM kept_checkpoints").unwrap();
    beside.execute("UPDATE audit_events SET actor_id = 'nobody' WHERE kind = 'user.created'").unwrap();
    verify(key).fails(1, "was changed");
    beside.execute("DELETE FROM sealed_records WHERE position > 0").unwrap();
    verify(key).fails(1, "is missing");
}

/// Keys are text like any other: what is shown is what others compute with.
#[actix_web::test]
async fn a_checkpoint_is_read_by_others_although_it_names_the_key() {
    let app = TestApp::start(Sqlite).await;
    let note = app.app.chain.checkpoint().await.unwrap().note;
    let lines: Vec<&str> = note.lines().collect();
    assert_eq!(STANDARD.decode(lines[2]).unwrap().len(), 32);
    assert_eq!(lines[3], "link-key 1 0");
    tlog_tiles::Checkpoint::from_bytes(note.split("\n\n").next().map(|text| format!("{text}\n")).unwrap().as_bytes())
        .unwrap();
}
