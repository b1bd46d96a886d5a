//! What raises an alert, once, and what does not (LOG-11, ATH-08).

use chrono::TimeDelta;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::alert::{AlertKind, RaisedKind};
use vigie::model::audit::SubjectKind;

use super::throttling::{ELSEWHERE, HOME, PROXIED, try_from};
use crate::support::app::{Answer, PASSWORD, TestApp, TestClient, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";
const FIREFOX_LATER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:141.0) Gecko/20100101 Firefox/141.0";
const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";

async fn log_in_with<'a>(app: &'a TestApp, address: &str, agent: &str) -> TestClient<'a> {
    let request = app.nobody().request(Method::POST, "/auth/login");
    let request = request.header("x-forwarded-for", address).header("user-agent", agent);
    app.client(&send(request.json(&json!({ "username": "alice", "password": PASSWORD }))).await.expect(200))
}

async fn get_from(client: &TestClient<'_>, address: &str) -> Answer {
    send(client.request(Method::GET, "/auth/me").header("x-forwarded-for", address)).await
}

#[rstest]
#[actix_web::test]
async fn ath_08_a_login_after_failures_is_told(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    let alice = app.user("alice", "agent").await;
    let mut login = Value::Null;
    for failures in [2, 3] {
        for _ in 0..failures {
            try_from(&app, HOME, "alice", "wrong").await.problem(401, "invalid_credentials");
        }
        login = try_from(&app, HOME, "alice", PASSWORD).await.expect(200);
    }
    let told = app.alerts_of(AlertKind::LoginAfterFailures).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let raised = &told[0].raised;
    assert_eq!((raised.subject.kind, raised.user_id), (SubjectKind::User, Some(alice.id)));
    assert_eq!((&raised.details["failures"], raised.ip.map(|ip| ip.to_string())), (&json!(3), Some(HOME.to_owned())));
    assert_eq!(raised.session_id.map(|id| json!(id.to_string())), Some(login["session"]["id"].clone()));
    // The failures of an attacker elsewhere are not the owner's.
    for _ in 0..4 {
        try_from(&app, ELSEWHERE, "alice", "wrong").await.problem(401, "invalid_credentials");
    }
    try_from(&app, HOME, "alice", PASSWORD).await.expect(200);
    assert_eq!(app.alerts_of(AlertKind::LoginAfterFailures).await.len(), 1);
}

#[rstest]
#[actix_web::test]
async fn ath_08_a_new_device_or_network_is_told_and_the_first_login_is_not(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start_with(backend, &[PROXIED, ("VIGIE__ALERTS__WINDOW", "1m")]).await;
    app.user("alice", "agent").await;
    let told = async || app.alerts_of(AlertKind::NewDevice).await;
    log_in_with(&app, HOME, FIREFOX).await;
    // The same browser in a later version, from another address of the same network.
    log_in_with(&app, "192.0.2.77", FIREFOX_LATER).await;
    assert_eq!(told().await.len(), 0);
    let session = log_in_with(&app, HOME, SAFARI).await;
    assert_eq!(told().await.len(), 1);
    let details = told().await[0].raised.details.clone();
    assert_eq!((&details["new_device"], &details["new_network"]), (&json!(true), &json!(false)));
    assert_eq!(told().await[0].raised.session_id.map(|id| id.to_string()), Some(session.session_id));
    app.advance(TimeDelta::minutes(2));
    log_in_with(&app, ELSEWHERE, FIREFOX).await;
    let details = told().await[0].raised.details.clone();
    assert_eq!((&details["new_device"], &details["network"]), (&json!(false), &json!("203.0.113.0/24")));
    // By now both are known, for a while.
    app.advance(TimeDelta::minutes(2));
    for (address, agent) in [(HOME, SAFARI), (ELSEWHERE, FIREFOX), (ELSEWHERE, SAFARI)] {
        log_in_with(&app, address, agent).await;
    }
    assert_eq!(told().await.len(), 2);
    app.advance(TimeDelta::days(91));
    log_in_with(&app, HOME, FIREFOX).await;
    assert_eq!(told().await.len(), 3);
}

#[rstest]
#[actix_web::test]
async fn the_token_of_an_ended_session_used_from_elsewhere_is_told(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    app.user("alice", "agent").await;
    let told = async || {
        app.app.sessions.alert_to_ended_uses().await.expect("told");
        app.alerts_of(AlertKind::EndedTokenUsed).await
    };
    let alice = log_in_with(&app, HOME, FIREFOX).await;
    get_from(&alice, HOME).await.expect(200);
    alice.post_empty("/auth/logout").await.expect(204);
    for _ in 0..5 {
        get_from(&alice, HOME).await.problem(401, "session_ended");
    }
    get_from(&alice, ELSEWHERE).await.problem(401, "session_ended");
    // A tab at home, or one request that was under way.
    assert_eq!(told().await, []);
    get_from(&alice, ELSEWHERE).await.problem(401, "session_ended");
    let alerts = told().await;
    assert_eq!(alerts.len(), 1);
    let raised = &alerts[0].raised;
    assert_eq!(raised.session_id.map(|id| id.to_string()), Some(alice.session_id.clone()));
    assert_eq!((&raised.details["end_reason"], &raised.details["uses"]), (&json!("logout"), &json!(2)));
    for _ in 0..50 {
        get_from(&alice, ELSEWHERE).await.problem(401, "session_ended");
    }
    let alerts = told().await;
    assert_eq!((alerts.len(), alerts[0].count), (1, 2), "many are one alert, with a count");
}

#[rstest]
#[actix_web::test]
async fn tok_04_a_spent_refresh_token_used_again_is_told(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    alice.refresh().await.expect(200);
    app.advance(TimeDelta::minutes(1));
    for _ in 0..3 {
        alice.refresh().await.problem(401, "session_ended");
    }
    let told = app.alerts_of(AlertKind::SpentTokenUsed).await;
    assert_eq!((told.len(), told[0].count), (1, 1));
    assert_eq!(told[0].raised.subject.id, Some(alice.session_id.clone()));
    assert_eq!(told[0].raised.ip.map(|ip| ip.to_string()).as_deref(), Some("127.0.0.1"));
}

/// ATH-05: one password for 200 users from one /24 is refused after some, and told.
#[rstest]
#[actix_web::test]
async fn ath_05_spraying_from_one_network_is_stopped_and_told(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    for number in 0..20 {
        app.user(&format!("user{number}"), "agent").await;
    }
    let mut refused = 0;
    for number in 0..200 {
        let (address, name) = (format!("203.0.113.{number}"), format!("user{number}"));
        refused += usize::from(try_from(&app, &address, &name, "Printemps2026!").await.status == 429);
    }
    assert_eq!(refused, 100);
    let told = app.alerts_of(AlertKind::PasswordSpraying).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].raised.subject.id.as_deref(), Some("203.0.113.0/24"));
    assert_eq!(told[0].raised.details, json!({ "names": 15, "tries": 15 }));
    assert!(told[0].count > 1);
}

#[rstest]
#[actix_web::test]
async fn ath_05_many_names_from_one_network_are_told(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    app.user("alice", "agent").await;
    for number in 0..14 {
        try_from(&app, ELSEWHERE, &format!("name{number}"), "x").await.problem(401, "invalid_credentials");
    }
    // Failures elsewhere are not added.
    try_from(&app, HOME, "name99", "x").await.problem(401, "invalid_credentials");
    assert_eq!(app.alerts().await, []);
    try_from(&app, ELSEWHERE, "alice", "x").await.problem(401, "invalid_credentials");
    let told = app.alerts().await;
    assert_eq!((told.len(), &told[0].raised.kind), (1, &RaisedKind::Known(AlertKind::CredentialStuffing)));
    assert_eq!(told[0].raised.details["names"], 15);
}

#[rstest]
#[actix_web::test]
async fn ath_05_spraying_from_everywhere_is_told(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED, ("VIGIE__ALERTS__ACCOUNTS_SPRAYED", "10")]).await;
    for number in 0..10 {
        let name = format!("user{number}");
        app.user(&name, "agent").await;
        try_from(&app, &format!("203.0.{number}.1"), &name, "x").await.problem(401, "invalid_credentials");
    }
    let told = app.alerts().await;
    assert_eq!((told.len(), &told[0].raised.kind), (1, &RaisedKind::Known(AlertKind::PasswordSpraying)));
    assert_eq!(told[0].raised.subject.kind, SubjectKind::Everybody);
}

#[rstest]
#[actix_web::test]
async fn many_ends_at_once_are_told_with_who_did_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__ALERTS__ENDS_AT_ONCE", "3")]).await;
    let root = app.admin().await;
    app.user("alice", "agent").await;
    let end = async |everything: Value| root.post("/admin/sessions/end", everything).await.expect(200);
    for logins in [2, 3] {
        for _ in 0..logins {
            app.log_in("alice").await;
        }
        end(json!({ "filter": { "user": "alice" }, "note": "left" })).await;
    }
    let told = app.alerts_of(AlertKind::ManyEnds).await;
    assert_eq!(told.len(), 1);
    let details = &told[0].raised.details;
    assert_eq!(
        (&details["ended"], &details["by"]["kind"], &details["note"]),
        (&json!(3), &json!("admin"), &json!("left"))
    );
    app.advance(TimeDelta::hours(2));
    let root = app.log_in("root").await;
    root.post("/admin/not-before", json!({ "note": "leak" })).await.expect(204);
    assert_eq!(app.alerts_of(AlertKind::ManyEnds).await.len(), 2);
}

#[rstest]
#[actix_web::test]
async fn one_alert_of_a_kind_and_subject_is_open_in_a_window(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__ALERTS__FAILURES_BEFORE_LOGIN", "1")]).await;
    let root = app.admin().await;
    app.user("alice", "agent").await;
    let fail_and_log_in = async || {
        app.nobody().post("/auth/login", json!({ "username": "alice", "password": "x" })).await.expect(401);
        app.log_in("alice").await;
    };
    for _ in 0..3 {
        fail_and_log_in().await;
        app.advance(TimeDelta::minutes(1));
    }
    let first = app.alerts().await;
    assert_eq!((first.len(), first[0].count), (1, 3));
    assert_eq!(first[0].last_at - first[0].raised.at, TimeDelta::minutes(2));
    // What comes after somebody has looked is another.
    root.post_empty(&format!("/admin/alerts/{}/acknowledge", first[0].id)).await.expect(204);
    fail_and_log_in().await;
    assert_eq!(app.alerts().await.len(), 2);
    // And so is what comes after the window.
    app.advance(TimeDelta::hours(1));
    fail_and_log_in().await;
    let alerts = app.alerts().await;
    assert_eq!(alerts.iter().map(|alert| alert.count).collect::<Vec<_>>(), [1, 1, 3]);
}

#[rstest]
#[actix_web::test]
async fn a_flood_of_alerts_becomes_one_about_everybody(#[values(Sqlite, Postgres)] backend: Backend) {
    let few = [("VIGIE__ALERTS__FAILURES_BEFORE_LOGIN", "1"), ("VIGIE__ALERTS__MOST_OF_A_KIND", "3")];
    let app = TestApp::start_with(backend, &few).await;
    for number in 0..8 {
        let name = format!("user{number}");
        app.user(&name, "agent").await;
        app.nobody().post("/auth/login", json!({ "username": name, "password": "x" })).await.expect(401);
        app.log_in(&name).await;
    }
    let alerts = app.alerts().await;
    let of_everybody: Vec<_> =
        alerts.iter().filter(|alert| alert.raised.subject.kind == SubjectKind::Everybody).collect();
    assert_eq!((alerts.len(), of_everybody.len(), of_everybody[0].count), (4, 1, 5));
}
