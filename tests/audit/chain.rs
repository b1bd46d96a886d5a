//! Sealing, checkpoints and proofs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};
use tlog_tiles::{Hash, check_record, check_tree, record_hash};
use vigie::audit::chain::{Checkpoint, CheckpointKey, Damage};
use vigie::keyring::Keyring;
use vigie::master_key::MasterKey;
use vigie::model::audit::{AuditContext, AuditEvent, Details, HistoryPart, Subject};
use vigie::store::{StoreError, audit};

use super::verify;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::program::Program;
use crate::support::thousands::Rows;
use crate::support::until::until;

pub(super) async fn record(app: &TestApp, count: usize) {
    let now = app.now();
    let write = move |db: &mut _| {
        (0..count).try_for_each(|number| {
            let (what, filter, count) = (HistoryPart::Attempts, None, Some(number));
            let details = Details::HistoryRead { what, filter, count, dry_run: None };
            audit::record(db, &AuditEvent::new(now, details, &AuditContext::command_line(), Subject::everybody()))
        })
    };
    app.app.store.write::<_, StoreError>(write).await.unwrap();
}

/// P6: each login leaves its attempt, its session and its event in the chain, each end its session and its event.
#[rstest]
#[actix_web::test]
async fn every_part_of_the_history_is_sealed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    app.nobody().post("/auth/login", json!({ "username": "alice", "password": "wrong" })).await.expect(401);
    alice.post_empty("/auth/logout").await.expect(204);
    app.app.chain.seal().await.unwrap();
    let sealed = Beside::connect(&app.database.url)
        .lines("SELECT kind || ' ' || count(*) AS line FROM sealed_records GROUP BY kind ORDER BY kind");
    let of = |kind: &str| {
        let line = sealed.iter().find_map(|line| line.strip_prefix(kind)).unwrap_or_else(|| panic!("{sealed:?}"));
        line.trim().parse::<u64>().unwrap()
    };
    assert_eq!((of("attempt "), of("session_started "), of("session_ended ")), (2, 1, 1));
    let events = Beside::connect(&app.database.url).lines("SELECT CAST(count(*) AS TEXT) AS line FROM audit_events");
    assert_eq!(of("event ").to_string(), events[0]);
    let verified = verify(&app).await.unwrap();
    assert_eq!(of("user "), 1);
    assert_eq!(verified.records, of("attempt ") + of("event ") + 3);
    assert_eq!(verified.waiting, 0);
}

/// What is not sealed yet is verified as well.
#[rstest]
#[actix_web::test]
async fn what_waits_is_verified_too(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.app.chain.seal().await.unwrap();
    record(&app, 3).await;
    assert_eq!(verify(&app).await.unwrap().waiting, 3);
}

/// Late commits, several sealers: every record is sealed once, positions are dense.
#[rstest]
#[actix_web::test]
async fn many_who_write_and_seal_at_once_make_one_chain(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start(backend).await;
    let b = a.another_node().await;
    let work = (0..40).map(|number| {
        let app = if number % 2 == 0 { &a } else { &b };
        async move {
            record(app, 7).await;
            app.app.chain.seal().await.unwrap();
        }
    });
    join_all(work).await;
    a.app.chain.seal().await.unwrap();
    let events = Beside::connect(&a.database.url).lines("SELECT CAST(count(*) AS TEXT) AS line FROM audit_events");
    let verified = verify(&b).await.unwrap();
    assert_eq!(verified.records.to_string(), events[0]);
}

/// Pages are read beside each other and followed in their order; what lies far from its neighbours is found as well.
#[rstest]
#[actix_web::test]
async fn a_long_history_is_verified_page_by_page(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.user("alice", "agent").await;
    let seal = async || {
        app.app.chain.seal().await.unwrap();
        app.app.chain.checkpoint().await.unwrap();
    };
    record(&app, 2_000).await;
    let old = |days| app.session(&alice, "laptop", TimeDelta::days(days));
    app.add_sessions((0..30).map(|number| old(100 - 7 * number % 100)).collect()).await;
    seal().await;
    app.database.fill(Rows { sessions: 500, attempts: 700, events: 2_000 }, true).await;
    seal().await;
    record(&app, 10).await;
    seal().await;

    let mut told = Vec::new();
    let verified = app.app.chain.verify(&[], |done, of| told.push((done, of))).await.unwrap().unwrap();
    assert_eq!(verified.checkpoints, 3);
    assert!(verified.records > 5_000, "{verified:?}");
    assert!(told.len() > 2 && told.is_sorted(), "{told:?}");
    assert_eq!(told.last(), Some(&(verified.records, verified.records)));

    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    beside.execute("DELETE FROM audit_events WHERE seq = (SELECT max(seq) FROM audit_events)").unwrap();
    let damage = verify(&app).await.unwrap_err();
    let position = i64::try_from(verified.records - 1).unwrap();
    assert!(matches!(damage, Damage::Deleted { position: found, .. } if found == position), "{damage}");
    beside.execute("UPDATE sessions SET device_name = 'another' WHERE device_name = 'laptop'").unwrap();
    let damage = verify(&app).await.unwrap_err();
    assert!(matches!(damage, Damage::Changed { position, .. } if position < 2_100), "the first is named: {damage}");
}

/// What was there before the chain is sealed as it is found.
#[rstest]
#[actix_web::test]
async fn a_history_from_before_the_chain_is_taken_in(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.signed_in("alice").await.post_empty("/auth/logout").await.expect(204);
    app.app.chain.seal().await.unwrap();
    let before = verify(&app).await.unwrap().records;
    start_anew(&app);
    app.app.chain.seal().await.unwrap();
    assert_eq!(verify(&app).await.unwrap().records, before);
}

/// As after the migration that makes the tables: nothing sealed, all that there is waits, without a digest.
pub(super) fn start_anew(app: &TestApp) {
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    for statement in [
        "DELETE FROM unsealed_records",
        "INSERT INTO unsealed_records (kind, subject, at, form) SELECT kind, subject, at, form FROM sealed_records ORDER BY position",
        "DELETE FROM sealed_records",
        "DELETE FROM tree_hashes",
    ] {
        beside.execute(statement).unwrap();
    }
    let zeros = match beside {
        Beside::Sqlite(_) => "zeroblob(32), peaks = x''",
        Beside::Postgres(_) => "decode(repeat('00', 32), 'hex'), peaks = ''::bytea",
    };
    beside.execute(&format!("UPDATE chain_head SET size = 0, chain_hash = {zeros}")).unwrap();
}

pub(super) fn hashes(answer: &Value) -> Vec<Hash> {
    let hash = |text: &Value| Hash(STANDARD.decode(text.as_str().unwrap()).unwrap().try_into().unwrap());
    answer["hashes"].as_array().unwrap().iter().map(hash).collect()
}

/// An auditor can check a record and the growth of the chain with the tools of RFC 6962 logs, without Vigie.
#[rstest]
#[actix_web::test]
async fn a_record_and_the_growth_of_the_chain_are_proved_to_others(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let key = app.app.chain.key();
    let none_yet = app.nobody().get("/audit/checkpoint").await.problem(404, "not_found");
    assert!(none_yet["detail"].as_str().is_some_and(|text| text.starts_with("No checkpoint")), "{none_yet}");
    record(&app, 300).await;
    app.app.chain.seal().await.unwrap();
    app.app.chain.checkpoint().await.unwrap();
    let first = app.nobody().get("/audit/checkpoint").await;
    assert_eq!(first.header("content-type"), Some("text/plain; charset=utf-8"));
    let first = key.open(&first.body).unwrap();

    record(&app, 700).await;
    app.app.chain.seal().await.unwrap();
    app.app.chain.checkpoint().await.unwrap();
    let second = key.open(&app.nobody().get("/audit/checkpoint").await.body).unwrap();
    assert_eq!(second.size, first.size + 700);

    let newest = Beside::connect(&app.database.url).lines("SELECT CAST(max(seq) AS TEXT) AS line FROM audit_events");
    for seq in ["1", "200", newest[0].as_str()] {
        let answer = auditor.get(&format!("/admin/audit/{seq}/proof")).await.expect(200);
        let checkpoint = key.open(answer["checkpoint"].as_str().unwrap()).unwrap();
        let position = answer["position"].as_u64().unwrap();
        let leaf = record_hash(&STANDARD.decode(answer["leaf"].as_str().unwrap()).unwrap());
        let proof = hashes(&answer);
        check_record(&proof, checkpoint.size, checkpoint.root, position, leaf).unwrap();
        check_record(&proof, checkpoint.size, checkpoint.root, position, Hash([1; 32])).unwrap_err();
    }
    let path = format!("/admin/audit/consistency?from={}&to={}", first.size, second.size);
    let grown = hashes(&auditor.get(&path).await.expect(200));
    check_tree(&grown, second.size, second.root, first.size, first.root).unwrap();
    check_tree(&grown, second.size, second.root, first.size, Hash([1; 32])).unwrap_err();

    auditor.get("/admin/audit/999999/proof").await.problem(404, "not_found");
    auditor.get("/admin/audit/x/proof").await.problem(404, "not_found");
    auditor.get("/admin/audit/consistency?from=0&to=5").await.problem(404, "not_found");
    auditor.get("/admin/audit/consistency?from=5&to=999999").await.problem(404, "not_found");
    app.signed_in("alice").await.get("/admin/audit/1/proof").await.problem(403, "not_allowed");
}

/// A checkpoint names its history and is signed by its key alone.
#[actix_web::test]
async fn a_checkpoint_of_another_history_is_refused() {
    let (one, other) = (TestApp::start(Sqlite).await, TestApp::start(Sqlite).await);
    let note = one.app.chain.checkpoint().await.unwrap().note;
    assert_eq!(one.app.chain.key().open(&note).unwrap().size, 0);
    other.app.chain.key().open(&note).unwrap_err();
    let database = one.app.chain.key().origin().strip_prefix("vigie/").unwrap();
    let forged = CheckpointKey::new(&Keyring::derived(&MasterKey::random(), database), database);
    let forged = forged.sign(&Checkpoint { size: 0, root: tlog_tiles::EMPTY_HASH, link_key: None });
    one.app.chain.key().open(&forged).unwrap_err();
}

/// The server seals and signs by itself; the commands verify, sign, and name what is wrong.
#[rstest]
#[actix_web::test]
async fn the_command_line_verifies_and_signs(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let server = program.serve();
    for _ in 0..3 {
        let body = json!({ "username": "alice", "password": PASSWORD });
        server.post("/auth/login", "", body).await.expect(200);
    }
    until("all is sealed", async || {
        let told = program.run(&["audit", "verify", "--json"]).json();
        assert_eq!(told["intact"], true);
        if told["waiting"] == 0 && told["records"].as_u64() >= Some(9) { Ok(()) } else { Err(told) }
    })
    .await;
    let note = program.run(&["audit", "checkpoint"]).expect(0);
    let kept = program.file("kept", &note);
    let key = program.run(&["audit", "checkpoint", "--key"]).expect(0);
    let verifier = signed_note::StandardVerifier::new(key.trim()).unwrap();
    let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    signed_note::Note::from_bytes(note.as_bytes()).unwrap().verify(&known).unwrap();
    let told = program.run(&["audit", "verify", "--checkpoint", &kept]).expect(0);
    assert!(told.starts_with("intact: "), "{told}");
    server.stop();

    let mut beside = Beside::connect(&program.database.url);
    beside.drop_triggers();
    beside.execute("UPDATE attempts SET outcome = 'throttled'").unwrap();
    program.run(&["audit", "verify"]).fails(1, "was changed");
    let found = |program: &Program| {
        let told = program.run(&["audit", "verify", "--json"]);
        assert_eq!(told.code, 1);
        let told: Value = serde_json::from_str(&told.output).expect("JSON");
        assert_eq!(told["intact"], false);
        told["fault"].as_str().expect("a fault").to_owned()
    };
    assert!(found(&program).ends_with(" was changed"));
    beside.execute("UPDATE sealed_records SET kind = 'x' WHERE position = 2").unwrap();
    assert!(found(&program).starts_with("cannot be read: sealed_records 2: "));
    program.run(&["audit", "verify"]).fails(1, "cannot be read: sealed_records 2: ");
    std::fs::write(program.path("data/checkpoint"), "nothing").unwrap();
    assert!(found(&program).ends_with("this is no checkpoint"));
    let wrong = program.file("wrong", "no checkpoint");
    program.run(&["audit", "verify", "--checkpoint", &wrong]).fails(1, "this is no checkpoint");
}
