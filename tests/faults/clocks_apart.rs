//! Times of day that do not agree: of two nodes, or of one node before and after its clock was set back. No session that was
//! there before a not-before outlives it, no login hands out tokens that are dead already, and no client is made to throw a
//! good session away.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;
use vigie::clock::ManualClock;
use vigie::model::audit::AuditContext;
use vigie::model::client::ClientId;
use vigie::model::not_before::Scope;

use super::assert_unavailable;
use crate::support::app::{Answer, PASSWORD, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

async fn log_in(app: &TestApp) -> Answer {
    app.nobody().post("/auth/login", json!({ "username": "alice", "password": PASSWORD, "client_id": "crm" })).await
}

/// Node A with a user and a client, and node B, whose clock is ahead by so much.
async fn two_nodes(backend: Backend, b_is_ahead: TimeDelta) -> (TestApp, TestApp) {
    let a = TestApp::start(backend).await;
    let clock = ManualClock::at(a.now() + b_is_ahead);
    let b = a.another_node_by(Arc::new(clock)).await;
    a.user("alice", "agent").await;
    a.registered_client("crm").await;
    (a, b)
}

async fn scope(app: &TestApp, word: &str) -> Scope {
    match word {
        "user" => Scope::User(app.app.users.find_by_id_or_name("alice").await.unwrap().unwrap().id),
        "client" => Scope::Client(ClientId::parse("crm").unwrap()),
        _ => Scope::Everybody,
    }
}

async fn set_not_before(app: &TestApp, word: &str) {
    let scope = scope(app, word).await;
    app.app.sessions.set_not_before(scope, None, None, &AuditContext::command_line()).await.expect("it holds");
}

/// Expects that nothing of the session is accepted at either node.
async fn assert_over(client: &TestClient<'_>, nodes: [&TestApp; 2]) {
    for node in nodes {
        let here = client.at(node);
        assert_eq!(here.get("/auth/verify").await.status, 401);
        here.refresh().await.problem(401, "session_ended");
    }
}

/// Expects a login that is good for something, at the node itself, or a 503.
async fn assert_lives_or_nothing_was_decided(app: &TestApp, answer: Answer) {
    if answer.status == 503 {
        return assert_unavailable(&answer, "a login");
    }
    let client = app.client(&answer.expect(200));
    client.get("/auth/me").await.expect(200);
    app.client(&client.refresh().await.expect(200)).get("/auth/me").await.expect(200);
}

/// What was there before is over and what comes after is good, whichever of the two clocks is ahead, and wherever it is set.
#[rstest]
#[actix_web::test]
async fn a_not_before_covers_what_was_there_and_nothing_that_comes_after(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("user", "client", "everybody")] scope: &str,
    #[values(-3_600, -30, -5, 0, 5, 30, 3_600)] b_is_ahead: i64,
) {
    let (a, b) = two_nodes(backend, TimeDelta::seconds(b_is_ahead)).await;
    for (setter, other) in [(&a, &b), (&b, &a)] {
        let before = [a.client(&log_in(&a).await.expect(200)), b.client(&log_in(&b).await.expect(200))];
        set_not_before(setter, scope).await;
        for client in &before {
            assert_over(client, [&a, &b]).await;
        }
        assert_lives_or_nothing_was_decided(setter, log_in(setter).await).await;
        assert_eq!(log_in(setter).await.status, 200, "where it was set, its moment has come");
        assert_lives_or_nothing_was_decided(other, log_in(other).await).await;
        // Both clocks come so far.
        let apart = TimeDelta::seconds(b_is_ahead.abs());
        a.advance(apart);
        b.advance(apart);
        assert_eq!((log_in(&a).await.status, log_in(&b).await.status), (200, 200));
    }
}

/// Logins on a node whose clock is ahead, all through the moment at which a not-before is set on the other.
#[rstest]
#[actix_web::test]
async fn of_logins_and_not_befores_at_the_same_time_each_comes_before_or_after(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let (a, b) = two_nodes(backend, TimeDelta::seconds(5)).await;
    for _ in 0..5 {
        let before = join_all((0..3).map(|_| log_in(&b))).await;
        let (meanwhile, ()) = tokio::join!(join_all((0..6).map(|_| log_in(&b))), set_not_before(&a, "everybody"));
        for answer in before {
            assert_over(&b.client(&answer.expect(200)), [&a, &b]).await;
        }
        for answer in meanwhile {
            let client = b.client(&answer.expect(200));
            let statuses = [client.get("/auth/verify").await.status, client.at(&a).get("/auth/verify").await.status];
            assert!(statuses == [200, 200] || statuses == [401, 401], "the nodes agree: {statuses:?}");
        }
        assert_eq!(log_in(&b).await.status, 200);
    }
}

/// JWT-08: a token of ours from the future is one to refresh, not one to throw away; what comes of that is good.
#[rstest]
#[actix_web::test]
async fn a_token_from_the_future_is_refreshed(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(12, 7_200)] back: i64,
) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    app.advance(TimeDelta::seconds(-back));
    alice.get("/auth/me").await.problem(401, "token_expired");
    alice.get("/auth/verify").await.problem(401, "token_expired");
    let again = app.client(&alice.refresh().await.expect(200));
    assert_eq!(again.session_id, alice.session_id);
    again.get("/auth/me").await.expect(200);
    again.post_empty("/auth/logout").await.expect(204);
    for client in [&alice, &again] {
        client.refresh().await.problem(401, "session_ended");
    }
}

/// A node whose clock is behind takes the tokens of another within the tolerance, and has the others refreshed.
#[rstest]
#[actix_web::test]
async fn a_node_that_is_behind_has_tokens_of_another_refreshed(#[values(Sqlite, Postgres)] backend: Backend) {
    let (a, b) = two_nodes(backend, TimeDelta::seconds(12)).await;
    let from_b = b.client(&log_in(&b).await.expect(200));
    from_b.at(&a).get("/auth/me").await.problem(401, "token_expired");
    let refreshed = a.client(&from_b.at(&a).refresh().await.expect(200));
    refreshed.get("/auth/me").await.expect(200);
    refreshed.at(&b).get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn a_login_after_a_not_before_is_good_or_not_decided_when_the_clock_was_set_back(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("user", "client", "everybody")] scope: &str,
) {
    let (app, _) = two_nodes(backend, TimeDelta::zero()).await;
    set_not_before(&app, scope).await;
    app.advance(TimeDelta::seconds(-12));
    let rows = app.session_rows().await;
    assert_unavailable(&log_in(&app).await, "12 s behind");
    assert_eq!(app.session_rows().await, rows, "nothing was begun");
    assert!(app.attempts().await.is_empty(), "and nothing decided");
    app.advance(TimeDelta::seconds(3));
    let answer = log_in(&app).await;
    assert_eq!(answer.status, 200, "9 s behind");
    assert_lives_or_nothing_was_decided(&app, answer).await;
}

/// ATH-02: nobody waits longer than the rules say because the clock was set back.
#[rstest]
#[actix_web::test]
async fn a_throttle_opens_in_its_time_after_the_clock_was_set_back(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let try_with = async |password: &str| {
        app.nobody().post("/auth/login", json!({ "username": "alice", "password": password })).await
    };
    for _ in 0..5 {
        try_with("wrong").await.problem(401, "invalid_credentials");
    }
    app.advance(TimeDelta::hours(-2));
    let refused = try_with(PASSWORD).await;
    let wait: i64 = refused.header("retry-after").expect("how long").parse().expect("seconds");
    refused.problem(429, "too_many_attempts");
    assert!(wait <= 15 * 60, "{wait} s");
    app.advance(TimeDelta::seconds(wait));
    assert_eq!(try_with(PASSWORD).await.status, 200);
}

/// The counts of an address go on, however the clocks of the nodes differ: nobody gets more tries by changing nodes.
#[rstest]
#[actix_web::test]
async fn nodes_that_are_apart_count_failures_together(#[values(Sqlite, Postgres)] backend: Backend) {
    let (a, b) = two_nodes(backend, TimeDelta::seconds(90)).await;
    let mut tries = 0;
    loop {
        let node = if tries % 2 == 0 { &a } else { &b };
        let login = json!({ "username": format!("nobody-{tries}"), "password": "wrong" });
        if node.nobody().post("/auth/login", login).await.status == 429 {
            break;
        }
        tries += 1;
        assert!(tries <= 20, "an address has twenty tries");
    }
    assert_eq!(tries, 20);
}

/// SES-14: a login that the clock dates into the future is no recent one for as long as that takes.
#[rstest]
#[actix_web::test]
async fn a_clock_set_back_makes_no_login_recent(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    app.advance(TimeDelta::hours(-1));
    let admin = app.client(&admin.refresh().await.expect(200));
    admin.get("/auth/me").await.expect(200);
    let body = json!({ "note": "why" });
    admin.post("/admin/not-before", body).await.problem(401, "reauthentication_required");
}

/// TOK-04: the grace is for a lost answer; a clock that was set back makes it neither void nor hours long.
#[rstest]
#[actix_web::test]
async fn the_grace_of_a_spent_token_is_as_long_as_it_is(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    alice.refresh().await.expect(200);
    app.advance(TimeDelta::seconds(-12));
    alice.refresh().await.expect(200);
    app.advance(TimeDelta::hours(-1));
    alice.refresh().await.problem(401, "session_ended");
}
