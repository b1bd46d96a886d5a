//! The server verifies its history by itself (LOG-11).

use chrono::TimeDelta;
use rstest::rstest;
use vigie::model::audit::AuditContext;

use super::tamper::tamper;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

/// What the watch found: `None` where it was not due, else whether the history is intact.
async fn watch(app: &TestApp) -> Option<bool> {
    app.app.maintenance.verify_when_due().await.unwrap().map(|found| found.is_ok())
}

/// An attempt is edited, an hour after the server found the history intact.
async fn edited_history(backend: Backend) -> TestApp {
    let app = TestApp::start(backend).await;
    app.signed_in("alice").await.post_empty("/auth/logout").await.expect(204);
    app.app.chain.seal().await.unwrap();
    app.app.chain.checkpoint().await.unwrap();
    assert_eq!(watch(&app).await, Some(true));
    app.advance(TimeDelta::hours(1));
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    assert!(beside.execute("UPDATE attempts SET outcome = 'throttled'").unwrap() > 0);
    app
}

#[rstest]
#[actix_web::test]
async fn log_11_reviewers_are_alerted_to_a_record_that_was_altered(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = edited_history(backend).await;
    assert_eq!(watch(&app).await, None, "not due before a day has passed");
    app.advance(TimeDelta::hours(23));
    assert_eq!(watch(&app).await, Some(false));

    let reviewer = app.auditor().await;
    let list = reviewer.get("/admin/alerts?kind=record_damaged").await.expect(200);
    let [alert] = &list["items"].as_array().unwrap()[..] else { panic!("{list}") };
    let damage = alert["details"]["damage"].as_str().unwrap();
    assert!(damage.starts_with("record ") && damage.ends_with(" was changed"), "{damage}");
    let events = reviewer.get("/admin/audit?kind=record.damaged").await.expect(200);
    let [event] = &events["items"].as_array().unwrap()[..] else { panic!("{events}") };
    assert_eq!((event["reason"].as_str(), event["details"]["damage"].as_str()), (Some("altered"), Some(damage)));
    assert!(app.app.metrics.encode().contains("\nvigie_record_damaged 1\n"));
}

/// What cannot be read is damage too: an error that comes again each time would tell nobody.
#[rstest]
#[case::record("UPDATE sealed_records SET kind = 'x' WHERE position = 2", "sealed_records 2: ")]
#[case::head("DELETE FROM chain_head", "chain_head: ")]
#[case::signed_removal("UPDATE audit_events SET actor_kind = 'x' WHERE kind = 'user.erased'", "audit_events ")]
#[actix_web::test]
async fn log_11_reviewers_are_alerted_to_a_record_that_cannot_be_read(
    #[case] statement: &str,
    #[case] named: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let alice = app.user("alice", "agent").await;
    app.app.users.erase(alice.id, &AuditContext::command_line()).await.unwrap();
    app.app.chain.seal().await.unwrap();
    assert_eq!(watch(&app).await, Some(true));
    app.advance(TimeDelta::days(1));
    tamper(&app, &[statement]);
    assert_eq!(watch(&app).await, Some(false));
    let alerts = app.alerts().await;
    let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
    let damage = alert.raised.details["damage"].as_str().unwrap();
    assert!(damage.starts_with("cannot be read: ") && damage.contains(named), "{damage}");
    let told = app.app.metrics.encode();
    assert!(told.contains("\nvigie_record_damaged 1\n"), "{told}");
    let damaged = "SELECT CAST(count(*) AS TEXT) AS line FROM audit_events WHERE kind = 'record.damaged'";
    assert_eq!(Beside::connect(&app.database.url).lines(damaged), ["1"]);
}

/// Of several nodes one verifies; the others learn from the record what it found.
#[rstest]
#[actix_web::test]
async fn one_of_several_nodes_verifies(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let other = app.another_node().await;
    assert_eq!(watch(&app).await, Some(true));
    assert_eq!(watch(&other).await, None);
    let metrics = other.app.metrics.encode();
    assert!(metrics.contains("\nvigie_record_damaged 0\n"));
    assert!(!metrics.contains("\nvigie_record_verified_timestamp_seconds 0.0\n"), "{metrics}");
    app.advance(TimeDelta::hours(24));
    assert_eq!(watch(&other).await, Some(true));
    let verified = app.auditor().await.get("/admin/audit?kind=record.verified").await.expect(200);
    assert_eq!(verified["items"].as_array().unwrap().len(), 2);
}

/// Whoever rewrites the checkpoint beside the database is found out as well.
#[rstest]
#[actix_web::test]
async fn a_checkpoint_that_was_replaced_is_damage(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.app.chain.checkpoint().await.unwrap();
    std::fs::write(app.app.chain.file(), "nothing").unwrap();
    let found = app.app.maintenance.verify_when_due().await.unwrap().unwrap();
    assert!(found.unwrap_err().ends_with("this is no checkpoint"));
}

#[rstest]
#[actix_web::test]
async fn a_watch_that_is_switched_off_verifies_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__AUDIT__VERIFY_EVERY", "0s")]).await;
    assert_eq!(watch(&app).await, None);
}
