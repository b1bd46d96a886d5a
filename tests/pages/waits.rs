//! While somebody else holds the lock of the database, a page is answered after one wait, however often it asks.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use rstest::rstest;

use super::browser::{Browser, Page as _};
use crate::support::app::TestApp;
use crate::support::backend::Backend::Sqlite;
use crate::support::dump::Beside;

#[rstest]
#[actix_web::test]
async fn a_page_waits_for_the_database_once(#[values("true", "false")] live_view: &str) {
    let settings = [
        ("VIGIE__DATABASE__WAIT", "1s"),
        ("VIGIE__NODES__LIVE_VIEW", live_view),
        ("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "0s"),
    ];
    let app = TestApp::start_with(Sqlite, &settings).await;
    let phone = app.signed_in("alice").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let name = format!("/account/sessions/{}/name", phone.session_id);
    browser.open(&name).await.expect_page(200);
    // Each use is written before its answer now: the session is nearly idle.
    app.advance(TimeDelta::minutes(29));
    let before = app.dump_of_history();
    let mut other = Beside::connect(&app.database.url);
    other.execute("BEGIN IMMEDIATE").unwrap();
    for (path, members) in [
        ("/account", None),
        ("/account/sessions", None),
        ("/account/attempts", None),
        (&*name, Some(&[("name", "mine")][..])),
        ("/account/sessions/end-others", Some(&[])),
        ("/account/export", Some(&[])),
        ("/account/extend", Some(&[])),
    ] {
        let begun = Instant::now();
        let answer = match members {
            Some(members) => browser.submit(path, members).await,
            None => browser.open(path).await,
        };
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(1_800), "{path}: {took:?}");
        if answer.status != 200 && answer.status != 303 {
            let page = answer.expect_page(503);
            assert!(page.contains("Service indisponible"), "{page}");
        }
    }
    other.execute("ROLLBACK").unwrap();
    assert_eq!(app.dump_of_history(), before);
    assert!(browser.open("/account").await.status < 500);
}
