//! What is there keeps its record, however old: it is recorded anew before the blocks go that hold the old one (P6, PRV-01).

use chrono::TimeDelta;
use rstest::rstest;
use vigie::model::audit::AuditContext;
use vigie::model::client::ClientId;
use vigie::model::not_before::Scope;
use vigie::model::record::RecordKind;
use vigie::model::user::Role;
use vigie::user::change::UserChange;

use super::chain::record;
use super::retention::{later, run, seal};
use super::tamper::{tamper, word};
use super::verify;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

/// Users, a client and a not-before, then a year of events.
async fn grown_old(backend: Backend) -> TestApp {
    let app = TestApp::start(backend).await;
    for name in ["alice", "bob", "carol"] {
        app.user(name, "agent").await;
    }
    app.registered_client("crm").await;
    app.registered_client("erp").await;
    let context = AuditContext::command_line();
    app.app.sessions.set_not_before(Scope::Everybody, None, Some("a note".to_owned()), &context).await.unwrap();
    record(&app, 700).await;
    seal(&app).await;
    later(&app, 396).await;
    app.signed_in("erin").await;
    seal(&app).await;
    app
}

fn lines(app: &TestApp, query: &str) -> Vec<String> {
    Beside::connect(&app.database.url).lines(query)
}

/// The first blocks hold the records of everybody; they go all the same, and each still has one.
#[rstest]
#[actix_web::test]
async fn p6_who_is_there_is_recorded_anew_before_the_oldest_records_go(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = grown_old(backend).await;
    let records =
        "SELECT kind || ' ' || subject AS line FROM sealed_records WHERE kind IN ('user', 'client', 'not_before')
        AND subject NOT LIKE '%/1' ORDER BY kind, subject";
    assert_eq!(lines(&app, records), Vec::<String>::new());
    assert!(run(&app).await.records >= 512);
    seal(&app).await;
    let verified = verify(&app).await.unwrap();
    assert!(verified.base >= 512, "{verified:?}");
    let carried = lines(&app, records);
    assert_eq!(carried.len(), 6, "{carried:?}");
    assert_eq!(carried[0], "client crm/2");

    // And no more often than once a period: an idle server does not fill its chain by this.
    let size = verified.records;
    for _ in 0..3 {
        app.advance(TimeDelta::hours(1));
        run(&app).await;
    }
    seal(&app).await;
    assert_eq!(verify(&app).await.unwrap().records, size);

    for (change, kind) in [
        ("users SET role = 'admin' WHERE username = 'bob'", RecordKind::User),
        ("clients SET scopes = '' WHERE id = 'crm'", RecordKind::Client),
        ("not_befores SET note = NULL", RecordKind::NotBefore),
    ] {
        let table = change.split(' ').next().unwrap();
        Beside::connect(&app.database.url).execute(&format!("CREATE TABLE kept AS SELECT * FROM {table}")).unwrap();
        tamper(&app, &[&format!("UPDATE {change}")]);
        let damage = verify(&app).await.unwrap_err();
        assert_eq!(word(&damage), ("changed", Some(kind)), "{damage}");
        tamper(&app, &[&format!("DELETE FROM {table}"), &format!("INSERT INTO {table} SELECT * FROM kept")]);
        Beside::connect(&app.database.url).execute("DROP TABLE kept").unwrap();
        verify(&app).await.unwrap();
    }
}

/// Who was removed leaves nothing behind in the end, and who is added under the same name begins anew.
#[rstest]
#[actix_web::test]
async fn p6_records_of_who_is_gone_go_with_the_others(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, context) = (app.user("alice", "agent").await, AuditContext::command_line());
    app.registered_client("crm").await;
    let role = UserChange { role: Role::parse("chef").ok(), ..UserChange::default() };
    app.app.users.change(alice.id, role, &context).await.unwrap();
    app.app.users.delete(alice.id, &context).await.unwrap();
    app.app.clients.remove(ClientId::parse("crm").unwrap(), &context).await.unwrap();
    record(&app, 600).await;
    seal(&app).await;
    later(&app, 396).await;
    app.signed_in("erin").await;
    assert!(run(&app).await.records >= 512);
    seal(&app).await;
    verify(&app).await.unwrap();
    let left = format!(
        "SELECT subject AS line FROM sealed_records WHERE subject LIKE '{}/%' OR subject LIKE 'crm/%'",
        alice.id
    );
    assert_eq!(lines(&app, &left), Vec::<String>::new());
    app.registered_client("crm").await;
    seal(&app).await;
    verify(&app).await.unwrap();
    assert_eq!(lines(&app, &left), ["crm/1"]);
}

/// What was tampered with is not recorded anew, or the old record would go that shows it.
#[rstest]
#[actix_web::test]
async fn p6_what_was_tampered_with_is_not_carried_forward(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = grown_old(backend).await;
    tamper(&app, &["UPDATE users SET role = 'admin' WHERE username = 'bob'"]);
    assert_eq!(run(&app).await.records, 0);
    app.app.chain.seal().await.unwrap();
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(RecordKind::User)), "{damage}");
}
