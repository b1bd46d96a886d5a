//! Ends that share a transaction, when something goes wrong in it: nobody is told of an end that is not kept, and nobody
//! pays for another.

use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use vigie::model::audit::{AuditContext, AuditKind};
use vigie::model::session::EndReason;
use vigie::store::StoreError;

use super::assert_unavailable;
use crate::support::app::{Answer, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::until::until;

const MANY: (&str, &str) = ("VIGIE__SESSIONS__MAX_PER_USER", "0");
const IMPATIENT: (&str, &str) = ("VIGIE__DATABASE__WAIT", "300ms");
/// Until requests have come as far as they can: all but the first wait in the server's memory, where nobody sees them.
const A_MOMENT: Duration = Duration::from_millis(150);

async fn logged_in(app: &TestApp, count: usize) -> Vec<TestClient<'_>> {
    app.user("alice", "agent").await;
    join_all((0..count).map(|_| app.log_in("alice"))).await
}

/// Logs all of them out at once.
async fn log_out(sessions: &[TestClient<'_>]) -> Vec<Answer> {
    join_all(sessions.iter().map(|session| session.post_empty("/auth/logout"))).await
}

/// Nobody else can end a session until this is released.
fn hold(beside: &mut Beside) {
    match beside {
        Beside::Sqlite(_) => drop(beside.execute("BEGIN IMMEDIATE").unwrap()),
        Beside::Postgres(_) => {
            beside.execute("BEGIN").unwrap();
            beside.execute("LOCK TABLE sessions IN SHARE ROW EXCLUSIVE MODE").unwrap();
        }
    }
}

/// Each of the sessions has ended once or not at all, as the history says too.
async fn assert_whole(app: &TestApp, sessions: &[TestClient<'_>], ended: usize) {
    let mut found = 0;
    for session in sessions {
        let events = app.events_of(AuditKind::SessionEnded, &session.session_id).await.len();
        assert_eq!(events, usize::from(app.end_reason(&session.session_id).await.is_some()));
        found += events;
    }
    assert_eq!(found, ended);
    let verified = app.app.chain.verify(&[], |_, _| {}).await.unwrap();
    assert!(verified.is_ok(), "{verified:?}");
}

#[rstest]
#[actix_web::test]
async fn ends_that_the_store_is_too_busy_for_are_all_answered_503_and_none_is_half_done(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start_with(backend, &[MANY, IMPATIENT]).await;
    let sessions = logged_in(&app, 8).await;
    let mut beside = Beside::connect(&app.database.url);
    hold(&mut beside);
    for answer in log_out(&sessions).await {
        assert_unavailable(&answer, "a logout");
    }
    beside.execute("ROLLBACK").unwrap();
    assert_whole(&app, &sessions, 0).await;
    for answer in log_out(&sessions).await {
        answer.expect(204);
    }
    assert_whole(&app, &sessions, 8).await;
}

#[actix_web::test]
async fn ends_whose_store_is_lost_in_the_middle_are_all_answered_503_and_none_is_half_done() {
    let (app, proxy) = TestApp::behind_proxy(&[MANY]).await;
    let sessions = logged_in(&app, 8).await;
    let mut beside = Beside::connect(&app.database.url);
    hold(&mut beside);
    let (answers, ()) = tokio::join!(log_out(&sessions), async {
        tokio::time::sleep(A_MOMENT).await;
        proxy.cut();
    });
    for answer in answers {
        assert_unavailable(&answer, "a logout");
    }
    beside.execute("ROLLBACK").unwrap();
    proxy.restore();
    super::recovers(|| sessions[0].get("/auth/me")).await;
    assert_whole(&app, &sessions, 0).await;
    for answer in log_out(&sessions).await {
        answer.expect(204);
    }
    assert_whole(&app, &sessions, 8).await;
}

#[rstest]
#[actix_web::test]
async fn who_goes_away_takes_no_other_end_along(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[MANY]).await;
    let sessions = logged_in(&app, 8).await;
    let mut beside = Beside::connect(&app.database.url);
    hold(&mut beside);
    let asked: Vec<_> = sessions
        .iter()
        .map(|session| {
            let (ending, id) = (app.app.sessions.clone(), session.session_id.parse().unwrap());
            let end = async move { ending.end(id, EndReason::EndedByAdmin, None, &AuditContext::command_line()).await };
            actix_web::rt::spawn(end)
        })
        .collect();
    tokio::time::sleep(A_MOMENT).await;
    // The first, who began the transaction, and one of those who wait for it.
    asked[0].abort();
    asked[4].abort();
    tokio::time::sleep(A_MOMENT).await;
    beside.execute("COMMIT").unwrap();
    for (number, outcome) in join_all(asked).await.into_iter().enumerate() {
        match outcome {
            Ok(outcome) => assert_eq!(outcome, Ok(Some(true))),
            Err(gone) => assert!(gone.is_cancelled() && [0, 4].contains(&number), "{number}: {gone}"),
        }
    }
    // What was asked for is done, also for those who did not wait for it.
    for gone in [&sessions[0], &sessions[4]] {
        until("it has ended for one who went away", async || app.end_reason(&gone.session_id).await).await;
    }
    assert_whole(&app, &sessions, 8).await;
}

#[rstest]
#[actix_web::test]
async fn a_row_that_cannot_be_read_spoils_no_other_end(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[MANY]).await;
    let sessions = logged_in(&app, 8).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    let spoilt = &sessions[5].session_id;
    beside.execute(&format!("UPDATE sessions SET last_ip = 'nowhere' WHERE id = '{spoilt}'")).unwrap();
    hold(&mut beside);
    let context = AuditContext::command_line();
    let end = |session: &TestClient<'_>| {
        app.app.sessions.end(session.session_id.parse().unwrap(), EndReason::EndedByAdmin, None, &context)
    };
    let (outcomes, ()) = tokio::join!(join_all(sessions.iter().map(end)), async {
        tokio::time::sleep(A_MOMENT).await;
        beside.execute("COMMIT").unwrap();
    });
    for (number, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(ended) => assert_eq!(ended, Some(true), "{number}"),
            Err(error) => assert!(number == 5 && matches!(error, StoreError::Corrupt(_)), "{number}: {error}"),
        }
    }
    beside.execute(&format!("UPDATE sessions SET last_ip = '127.0.0.1' WHERE id = '{spoilt}'")).unwrap();
    assert_whole(&app, &sessions, 7).await;
}
