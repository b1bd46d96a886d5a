//! Only what continues what was signed before is signed (P6): a chain that was altered gets no checkpoint, and the file in the
//! data directory stays what it was.

use rstest::rstest;
use serde_json::Value;
use vigie::audit::chain::NotSigned;
use vigie::model::alert::AlertKind;
use vigie::model::audit::AuditKind;

use super::chain::{record, start_anew};
use super::retention::{history, later, run, seal};
use super::tamper::{tamper, word};
use super::verify;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::program::Program;

fn file(app: &TestApp) -> String {
    std::fs::read_to_string(app.app.chain.file()).unwrap()
}

fn checkpoints(app: &TestApp) -> Vec<String> {
    Beside::connect(&app.database.url).lines("SELECT note AS line FROM checkpoints ORDER BY size")
}

/// Why nothing is signed.
async fn refused(app: &TestApp) -> &'static str {
    match app.app.chain.checkpoint().await.unwrap_err() {
        NotSigned::Damaged(damage) => word(&damage).0,
        NotSigned::Store(error) => panic!("{error}"),
    }
}

/// What the record says of damage, the newest first.
async fn damages(app: &TestApp) -> Vec<String> {
    let events = app.events().await.into_iter().map(|event| event.event);
    let damaged = events.filter(|event| event.kind == AuditKind::RecordDamaged);
    damaged.map(|event| event.details["damage"].as_str().unwrap().to_owned()).collect()
}

/// Somebody with all of Vigie's own code makes the chain anew: the server that runs on does not bless it.
#[rstest]
#[case::file_and_checkpoints_are_left(true, true)]
#[case::the_file_is_left(true, false)]
#[case::checkpoints_are_left(false, true)]
#[actix_web::test]
async fn p6_a_chain_that_was_made_anew_is_not_signed(
    #[case] has_file: bool,
    #[case] has_checkpoints: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend, &[]).await;
    tamper(&app, &["UPDATE attempts SET outcome = 'success' WHERE outcome = 'wrong_password'"]);
    start_anew(&app);
    if !has_checkpoints {
        tamper(&app, &["DELETE FROM checkpoints"]);
    }
    let before = (checkpoints(&app), file(&app));
    if !has_file {
        std::fs::remove_file(app.app.chain.file()).unwrap();
    }
    record(&app, 300).await;
    app.app.chain.seal().await.unwrap();
    assert_eq!(refused(&app).await, "rewritten");
    assert_eq!(checkpoints(&app), before.0);
    assert_eq!(app.app.chain.file().exists(), has_file);
    if has_file {
        assert_eq!(file(&app), before.1);
    }
}

/// A minute later, and the minute after that: reviewers are told once.
#[rstest]
#[actix_web::test]
async fn log_11_reviewers_are_alerted_once_where_nothing_can_be_signed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    app.app.maintenance.checkpoint().await.unwrap();
    let before = file(&app);
    tamper(&app, &["DELETE FROM attempts WHERE outcome = 'wrong_password'"]);
    start_anew(&app);
    for _ in 0..3 {
        record(&app, 100).await;
        app.app.chain.seal().await.unwrap();
        app.app.maintenance.checkpoint().await.unwrap();
    }
    assert_eq!(file(&app), before);
    let damages = damages(&app).await;
    let [damage] = damages.as_slice() else { panic!("{damages:?}") };
    assert!(damage.ends_with("the chain was rewritten"), "{damage}");
    assert_eq!(app.alerts_of(AlertKind::RecordDamaged).await.len(), 1);
    assert!(app.app.metrics.encode().contains("\nvigie_record_damaged 1\n"));

    // What an operator has looked into and put away is told no more; the next damage is.
    std::fs::remove_file(app.app.chain.file()).unwrap();
    tamper(&app, &["DELETE FROM checkpoints"]);
    app.app.maintenance.checkpoint().await.unwrap();
    std::fs::write(app.app.chain.file(), "nothing").unwrap();
    app.app.maintenance.checkpoint().await.unwrap();
    assert_eq!(self::damages(&app).await.len(), 2);
}

/// The newest records were taken away, and the chain ends before them as if they had never been.
#[rstest]
#[actix_web::test]
async fn p6_a_chain_that_was_cut_off_is_not_signed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let before = file(&app);
    tamper(&app, &["DELETE FROM attempts", "DELETE FROM checkpoints"]);
    start_anew(&app);
    tamper(&app, &["DELETE FROM unsealed_records WHERE kind = 'attempt'"]);
    app.app.chain.seal().await.unwrap();
    assert_eq!(refused(&app).await, "cut off");
    assert_eq!((file(&app), checkpoints(&app).len()), (before, 0));
}

/// What stands in the database is written to the file only if the server signed it.
#[rstest]
#[case::no_checkpoint("UPDATE checkpoints SET note = 'nothing'")]
#[case::of_more_records("UPDATE checkpoints SET size = size + 1000")]
#[actix_web::test]
async fn p6_a_checkpoint_that_was_edited_reaches_no_file(
    #[case] statement: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend, &[]).await;
    let before = file(&app);
    tamper(&app, &[statement]);
    assert_eq!(refused(&app).await, "checkpoint");
    record(&app, 1).await;
    app.app.chain.seal().await.unwrap();
    assert_eq!(refused(&app).await, "checkpoint");
    assert_eq!(file(&app), before);
}

/// Retention removes no records of a chain that was altered: they may be evidence.
#[rstest]
#[actix_web::test]
async fn p6_a_chain_that_was_made_anew_begins_where_it_did(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    record(&app, 700).await;
    later(&app, 396).await;
    tamper(&app, &["DELETE FROM attempts WHERE outcome = 'wrong_password'", "DELETE FROM checkpoints"]);
    start_anew(&app);
    app.app.chain.seal().await.unwrap();
    assert_eq!(run(&app).await.records, 0);
    let mut head = app.app.store.read(vigie::store::chain::head).await.unwrap();
    assert!(!app.app.chain.prune_to(head.clone()).await.unwrap(), "the file saw another chain");
    std::fs::remove_file(app.app.chain.file()).unwrap();
    head.peaks[0] = [7; 32];
    assert!(!app.app.chain.prune_to(head.clone()).await.unwrap(), "the chain did not begin so");
    let base = app.app.store.read(vigie::store::chain::base).await.unwrap();
    assert_eq!(base.size, 0);
}

/// A node that was away while the oldest records went goes on all the same; unless they went by somebody else's hand.
#[rstest]
#[case::rightly(None)]
#[case::wrongly(Some("UPDATE chain_base SET size = size + 256"))]
#[actix_web::test]
async fn a_file_from_before_the_oldest_records_is_replaced(
    #[case] statement: Option<&str>,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend, &[]).await;
    let old = file(&app);
    record(&app, 700).await;
    later(&app, 396).await;
    assert!(run(&app).await.records >= 512);
    record(&app, 300).await;
    seal(&app).await;
    let newest = file(&app);
    std::fs::write(app.app.chain.file(), &old).unwrap();
    match statement {
        None => {
            seal(&app).await;
            assert_eq!(file(&app), newest);
            verify(&app).await.unwrap();
        }
        Some(statement) => {
            tamper(&app, &[statement]);
            assert_eq!(refused(&app).await, "base");
            assert_eq!(file(&app), old);
        }
    }
}

/// A new database beside an old data directory: it is signed, what the old one left stays, and somebody is told what to do.
#[rstest]
#[actix_web::test]
async fn a_new_database_beside_an_old_checkpoint_is_signed_and_told_of(#[values(Sqlite, Postgres)] backend: Backend) {
    let old = history(backend, &[]).await;
    let before = file(&old);
    let fresh = backend.database();
    let app = old.another_node_at(&fresh.url).await;
    record(&app, 3).await;
    app.app.chain.seal().await.unwrap();
    for _ in 0..2 {
        app.app.maintenance.checkpoint().await.unwrap();
    }
    assert!(app.app.chain.newest_checkpoint().await.unwrap().is_some());
    assert_eq!(file(&app), before);
    let damages = damages(&app).await;
    let [damage] = damages.as_slice() else { panic!("{damages:?}") };
    assert!(damage.contains("of another history") && damage.ends_with("move the file away"), "{damage}");
    std::fs::remove_file(app.app.chain.file()).unwrap();
    app.app.maintenance.checkpoint().await.unwrap();
    app.app.chain.own_checkpoint().unwrap().unwrap();
}

/// The doctor says so before anybody is alerted.
#[rstest]
#[actix_web::test]
async fn the_doctor_looks_at_the_checkpoint(#[values(Sqlite, Postgres)] backend: Backend) {
    let (program, other) = (Program::new(backend), Program::new(backend));
    let examine = |program: &Program| {
        let report: Value = serde_json::from_str(&program.run(&["doctor", "--json"]).output).expect("JSON");
        let check = report.as_array().unwrap().iter().find(|check| check["name"] == "checkpoint").cloned();
        check.map(|check| (check["status"].as_str().unwrap().to_owned(), check["text"].as_str().unwrap().to_owned()))
    };
    for program in [&program, &other] {
        program.add_user("alice", "agent");
        program.run(&["audit", "checkpoint"]).expect(0);
    }
    assert_eq!(examine(&program).unwrap().0, "ok");
    std::fs::copy(other.path("data/checkpoint"), program.path("data/checkpoint")).unwrap();
    let (status, text) = examine(&program).unwrap();
    assert!(status == "fail" && text.ends_with("move the file away"), "{text}");
    let mut beside = Beside::connect(&other.database.url);
    beside.drop_triggers();
    beside.execute("UPDATE chain_head SET size = 1").unwrap();
    let (status, text) = examine(&other).unwrap();
    assert!(status == "fail" && text.contains("older copy"), "{text}");
    other.run(&["audit", "checkpoint"]).fails(1, "cut off");
}
