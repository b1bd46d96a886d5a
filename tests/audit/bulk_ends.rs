//! An end of many sessions, in the record: who asked for it, and for which, stands with the first of them, what came of it with
//! the last.

use std::sync::Arc;

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::clock::{Clock as _, ManualClock, SystemClock};
use vigie::model::audit::{AuditContext, AuditKind, RecordedEvent};
use vigie::session::bulk_end::{BulkEnded, SessionsToEnd};
use vigie::store::StoreError;

use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::backend::TestDatabase;
use crate::support::dump::Beside;
use crate::support::program::Program;
use crate::support::until::until;

/// More than are ended in one transaction.
const MANY: usize = 600;
/// As many as are.
const BATCH: usize = 500;

async fn with_sessions(app: &TestApp, count: usize) {
    let bob = app.user("bob", "agent").await;
    let sessions: Vec<_> = (0..count).map(|_| app.session(&bob, "b", TimeDelta::minutes(5))).collect();
    // Each transaction is a short one, also on a busy machine.
    for part in sessions.chunks(100) {
        app.add_sessions(part.to_vec()).await;
    }
}

async fn end_all(app: &TestApp) -> Result<BulkEnded, StoreError> {
    let note = Some("a stolen list".to_owned());
    app.app.sessions.end_matching(SessionsToEnd::Everything, note, false, &AuditContext::command_line()).await
}

/// From here on, no session can be ended where so many have been.
fn break_after(count: usize, url: &str) {
    let mut beside = Beside::connect(url);
    let enough = format!("(SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL) >= {count}");
    match beside {
        Beside::Sqlite(_) => {
            let trigger = "CREATE TRIGGER broken BEFORE UPDATE ON sessions WHEN";
            beside.execute(&format!("{trigger} {enough} BEGIN SELECT RAISE(ABORT, 'broken'); END")).unwrap();
        }
        Beside::Postgres(_) => {
            let body = format!("BEGIN IF {enough} THEN RAISE EXCEPTION 'broken'; END IF; RETURN NEW; END");
            let function = "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS";
            beside.execute(&format!("{function} $${body}$$")).unwrap();
            let trigger = "CREATE TRIGGER broken BEFORE UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION broken()";
            beside.execute(trigger).unwrap();
        }
    }
}

/// What was recorded of it: what began, the ends, the outcomes.
async fn recorded(app: &TestApp) -> [Vec<RecordedEvent>; 3] {
    let events = app.events().await;
    [AuditKind::SessionsEndBegun, AuditKind::SessionEnded, AuditKind::SessionsEnded]
        .map(|kind| events.iter().filter(|event| event.event.kind == kind).cloned().collect())
}

fn details(event: &RecordedEvent) -> &Value {
    &event.event.details
}

#[rstest]
#[actix_web::test]
async fn who_asked_stands_before_the_first_end_and_the_outcome_behind_the_last(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    with_sessions(&app, MANY).await;
    end_all(&app).await.unwrap();
    let [begun, ended, outcome] = recorded(&app).await;
    assert_eq!((begun.len(), ended.len(), outcome.len()), (1, MANY, 1));
    assert!(begun[0].seq < ended[0].seq && ended[MANY - 1].seq < outcome[0].seq);
    for event in [&begun[0], &outcome[0]] {
        let (context, details) = (&event.event.context, details(event));
        assert_eq!((context, &details["filter"]), (&AuditContext::command_line(), &json!({ "everything": true })));
        assert_eq!((&details["note"], &details["matched"]), (&json!("a stolen list"), &json!(MANY)));
    }
    assert!(details(&begun[0])["end"].is_string());
    assert_eq!(details(&begun[0])["end"], details(&outcome[0])["end"]);
    assert_eq!((&details(&outcome[0])["ended"], &details(&outcome[0])["complete"]), (&json!(MANY), &json!(true)));
}

#[rstest]
#[actix_web::test]
async fn an_end_that_the_store_breaks_off_is_explained_as_far_as_it_came(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    with_sessions(&app, MANY).await;
    break_after(BATCH, &app.database.url);
    end_all(&app).await.unwrap_err();
    let [begun, ended, outcome] = recorded(&app).await;
    assert_eq!((begun.len(), ended.len(), outcome.len()), (1, BATCH, 1));
    assert!(begun[0].seq < ended[0].seq);
    assert_eq!((&details(&outcome[0])["ended"], &details(&outcome[0])["complete"]), (&json!(BATCH), &json!(false)));
}

/// The first ends and what explains them are one transaction.
#[rstest]
#[actix_web::test]
async fn where_not_one_session_could_be_ended_nothing_is_said_to_have_begun(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    with_sessions(&app, MANY).await;
    break_after(0, &app.database.url);
    end_all(&app).await.unwrap_err();
    assert!(recorded(&app).await.iter().all(Vec::is_empty));
}

#[rstest]
#[actix_web::test]
async fn an_end_whose_caller_goes_away_is_done_and_recorded_to_its_outcome(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    with_sessions(&app, 2 * MANY).await;
    let sessions = app.app.sessions.clone();
    let caller = actix_web::rt::spawn(async move {
        sessions.end_matching(SessionsToEnd::Everything, None, false, &AuditContext::command_line()).await
    });
    until("the end has begun", async || !recorded(&app).await[0].is_empty()).await;
    caller.abort();
    until("the outcome is recorded", async || !recorded(&app).await[2].is_empty()).await;
    let [_, ended, outcome] = recorded(&app).await;
    assert_eq!((ended.len(), &details(&outcome[0])["complete"]), (2 * MANY, &json!(true)));
}

/// The real program, killed in the middle: the ends that are there are explained, and that there is no outcome shows that it
/// was broken off.
#[rstest]
#[actix_web::test]
async fn a_process_that_is_killed_in_the_middle_leaves_ends_that_are_explained(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let database = Arc::new(backend.database());
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let mut app = TestApp::on(Arc::clone(&database), &database.url, clock, &[]).await;
    with_sessions(&app, 4 * BATCH).await;
    app.close().await;
    let data = app.data.path().display().to_string();
    let program = Program::on(TestDatabase::at(&database.url)).with("VIGIE__DATA__DIR", &data);

    let mut killed = program.command(&["session", "end", "--everything"]).spawn().expect("the program starts");
    let mut beside = Beside::connect(&database.url);
    let mut count =
        |what: &str| beside.lines(&format!("SELECT count(*) || '' AS line FROM {what}"))[0].parse().unwrap();
    let ended = "sessions WHERE ended_at IS NOT NULL";
    until("the first are ended", async || count(ended) > 0_usize).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let ended = count(ended);
    assert!((BATCH..4 * BATCH).contains(&ended), "{ended} are ended: it was not in the middle");
    let recorded = |kind: &str| format!("audit_events WHERE kind = '{kind}'");
    assert_eq!(count(&recorded("session.ended")), ended);
    assert_eq!((count(&recorded("sessions.end_begun")), count(&recorded("sessions.ended"))), (1, 0));
    // Whoever asks again gets the rest, and an outcome.
    program.run(&["session", "end", "--everything"]).expect(0);
    assert_eq!((count(&recorded("session.ended")), count(&recorded("sessions.ended"))), (4 * BATCH, 1));
}
