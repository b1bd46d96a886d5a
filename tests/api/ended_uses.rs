//! Uses of ended sessions are counted in memory: what was counted is told, also where the store fails for a while or the
//! server stops.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use vigie::model::alert::AlertKind;

use super::throttling::{ELSEWHERE, HOME, PROXIED, try_from};
use crate::support::app::{TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

const IMPATIENT: (&str, &str) = ("VIGIE__DATABASE__WAIT", "300ms");

/// Alice has logged out at home; her token was used elsewhere, three times.
async fn used_after_its_end(app: &TestApp) {
    app.user("alice", "agent").await;
    let login = try_from(app, HOME, "alice", crate::support::app::PASSWORD).await.expect(200);
    let alice = app.client(&login);
    alice.post_empty("/auth/logout").await.expect(204);
    for _ in 0..3 {
        let used = alice.request(Method::GET, "/auth/me").header("x-forwarded-for", ELSEWHERE);
        send(used).await.problem(401, "session_ended");
    }
}

async fn assert_told(app: &TestApp) {
    let told = app.alerts_of(AlertKind::EndedTokenUsed).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].count, &told[0].raised.details["uses"]), (1, &json!(3)));
}

#[rstest]
#[actix_web::test]
async fn what_could_not_be_written_is_told_when_the_store_works_again(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED, IMPATIENT]).await;
    used_after_its_end(&app).await;
    let mut beside = Beside::connect(&app.database.url);
    match backend {
        Sqlite => drop(beside.execute("BEGIN IMMEDIATE").unwrap()),
        Postgres => {
            beside.execute("BEGIN").unwrap();
            beside.execute("LOCK TABLE alerts").unwrap();
        }
    }
    for _ in 0..2 {
        app.app.sessions.alert_to_ended_uses().await.expect_err("nothing can be written");
    }
    beside.execute("ROLLBACK").unwrap();
    for _ in 0..2 {
        app.app.sessions.alert_to_ended_uses().await.expect("told");
        assert_told(&app).await;
    }
}

#[rstest]
#[actix_web::test]
async fn what_was_counted_when_the_server_stops_is_told(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    used_after_its_end(&app).await;
    assert_eq!(app.alerts_of(AlertKind::EndedTokenUsed).await, []);
    assert_told(&app.restart().await).await;
}
