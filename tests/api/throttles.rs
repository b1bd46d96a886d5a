//! The limit of the whole server; what administrators see of throttles, and lift (ATH-04, ATH-05).

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::audit::AuditKind;

use super::throttling::{ELSEWHERE, HOME, PROXIED, device, expect_wait, try_by, try_from, try_login, visible};
use crate::support::app::{PASSWORD, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::history::every_page;

const FEW: (&str, &str) = ("VIGIE__THROTTLE__OVERALL_FAILURES", "12");

/// Fails once from each of so many networks, under a name of its own.
async fn fail_from_everywhere(app: &TestApp, times: usize) {
    for number in 0..times {
        let (address, name) = (format!("203.0.{number}.1"), format!("nobody{number}"));
        try_from(app, &address, &name, "x").await.problem(401, "invalid_credentials");
    }
}

async fn throttles(reader: &TestClient<'_>, query: &str) -> Vec<Value> {
    every_page(reader, &format!("/admin/throttles{query}"), 2).await
}

#[rstest]
#[actix_web::test]
async fn ath_05_failures_from_everywhere_slow_down_who_is_new_and_nobody_else(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start_with(backend, &[PROXIED, FEW]).await;
    app.user("alice", "agent").await;
    app.user("bob", "agent").await;
    let answer = try_from(&app, HOME, "alice", PASSWORD).await.expect(200);
    let (alice, device) = (app.client(&answer), answer["device_token"].as_str().expect("a device token"));
    fail_from_everywhere(&app, 12).await;
    // Who is new waits a moment, whoever it is.
    expect_wait(try_from(&app, "198.51.100.1", "bob", PASSWORD).await, 10);
    let seen = visible(&try_from(&app, "198.51.100.1", "alice", PASSWORD).await);
    assert_eq!(visible(&try_from(&app, "198.51.100.1", "nobody", PASSWORD).await), seen);
    // A known device and a live session do not.
    try_by(&app, device, HOME, "alice", PASSWORD).await.expect(200);
    let alice = app.client(&alice.refresh().await.expect(200));
    alice.get("/auth/me").await.expect(200);
    // The pause is short, and comes again with the next failure.
    app.advance(TimeDelta::seconds(10));
    try_from(&app, "198.51.100.1", "bob", PASSWORD).await.expect(200);
    try_from(&app, "198.51.100.2", "nobody", "x").await.problem(401, "invalid_credentials");
    expect_wait(try_from(&app, "198.51.101.1", "nobody", "x").await, 10);
    // The window has passed.
    app.advance(TimeDelta::minutes(10));
    for number in 0..3 {
        try_from(&app, &format!("198.51.102.{number}"), "nobody", "x").await.problem(401, "invalid_credentials");
    }
}

#[rstest]
#[actix_web::test]
async fn ath_05_the_limit_of_the_whole_server_can_be_switched_off(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED, ("VIGIE__THROTTLE__OVERALL_FAILURES", "0")]).await;
    fail_from_everywhere(&app, 20).await;
}

#[rstest]
#[actix_web::test]
async fn administrators_see_what_is_throttled_and_no_name_that_nobody_has(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start_with(backend, &[PROXIED, ("VIGIE__THROTTLE__ADDRESS_FAILURES", "12")]).await;
    let (alice, root) = (app.user("alice", "agent").await, app.admin().await);
    let auditor = app.auditor().await;
    let device = device(&app, HOME, "alice").await;
    for name in ["alice", "Tr0ub4dor&3"] {
        for _ in 0..5 {
            app.advance(TimeDelta::seconds(1));
            try_from(&app, ELSEWHERE, name, "x").await.problem(401, "invalid_credentials");
        }
    }
    app.advance(TimeDelta::seconds(1));
    try_by(&app, &device, HOME, "alice", "x").await.problem(401, "invalid_credentials");

    let closed = throttles(&root, "").await;
    assert_eq!(closed.len(), 2, "{closed:?}");
    let (unknown, account) = (&closed[0], &closed[1]);
    assert_eq!((&account["scope"], &account["failures"]), (&json!("account"), &json!(5)));
    assert_eq!(account["user"], json!({ "id": alice.id.to_string(), "username": "alice" }));
    assert_eq!((&account["is_closed"], &account["is_locked"]), (&json!(true), &json!(false)));
    assert_eq!((&unknown["user"], &unknown["network"]), (&Value::Null, &Value::Null));
    assert!(unknown["name"].as_str().is_some_and(|name| name.starts_with("t…") && !name.contains("r0ub")));

    let all = throttles(&auditor, "?state=all").await;
    let of_scope = |scope: &str| all.iter().filter(|row| row["scope"] == scope).collect::<Vec<_>>();
    assert_eq!(of_scope("known_device")[0]["network"], "192.0.2.0/24");
    assert_eq!(of_scope("known_device")[0]["user"]["username"], "alice");
    let networks: Vec<_> = of_scope("network").iter().map(|row| row["network"].clone()).collect();
    assert_eq!(networks, [json!("192.0.2.0/24"), json!("203.0.113.0/24")]);
    assert_eq!(of_scope("address")[1]["network"], "203.0.113.66/32");
    assert_eq!(of_scope("overall")[0]["failures"], 11);
    assert_eq!(throttles(&root, "?state=all&scope=network").await.len(), 2);
    assert_eq!(throttles(&root, "?state=all&user=ALICE").await.len(), 2);
    assert_eq!(throttles(&root, &format!("?user={}", alice.id)).await.len(), 1);
    assert_eq!(throttles(&root, "?user=nobody").await.len(), 0);
    // The time of waiting is over.
    app.advance(TimeDelta::minutes(1));
    assert_eq!(throttles(&root, "").await.len(), 0);
    assert!(!app.dump().to_lowercase().contains("tr0ub4dor"));
}

#[rstest]
#[actix_web::test]
async fn administrators_lift_a_throttle_and_that_is_recorded(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__THROTTLE__LOCKED_AFTER", "6")]).await;
    let alice = app.user("alice", "agent").await;
    for number in 0..10 {
        try_login(&app, &format!("nobody{number}"), "x").await.problem(401, "invalid_credentials");
    }
    for _ in 0..6 {
        app.advance(TimeDelta::hours(25));
        try_login(&app, "alice", "x").await.problem(401, "invalid_credentials");
    }
    app.advance(TimeDelta::hours(25));
    let root = app.admin().await;
    let locked = throttles(&root, "?user=alice").await;
    assert_eq!((locked.len(), &locked[0]["is_locked"]), (1, &json!(true)), "{locked:?}");
    try_login(&app, "alice", PASSWORD).await.problem(429, "too_many_attempts");
    let path = format!("/admin/throttles/{}", locked[0]["id"].as_str().expect("an id"));
    app.auditor().await.delete(&path).await.problem(403, "not_allowed");
    root.delete(&path).await.expect(204);
    root.delete(&path).await.problem(404, "not_found");
    root.delete("/admin/throttles/no-id").await.problem(404, "not_found");
    try_login(&app, "alice", PASSWORD).await.expect(200);
    let network = &throttles(&root, "?state=all&scope=address").await[0];
    root.delete(&format!("/admin/throttles/{}", network["id"].as_str().expect("an id"))).await.expect(204);
    let events = app.events().await;
    let lifted: Vec<_> = events.iter().filter(|event| event.event.kind == AuditKind::ThrottleLifted).collect();
    assert_eq!(lifted.len(), 2);
    assert_eq!(lifted[0].event.subject.id, Some(alice.id.to_string()));
    assert_eq!(
        (&lifted[0].event.details["scope"], &lifted[0].event.details["failures"]),
        (&json!("account"), &json!(6))
    );
    assert_eq!(lifted[1].event.details["network"], "127.0.0.1/32");
}
