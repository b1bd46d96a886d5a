//! The clock of the machine goes back or jumps ahead: no session returns to life, and ids stay unique.

use std::collections::HashSet;

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;
use vigie::model::audit::AuditContext;
use vigie::model::id::{SessionId, TokenId};
use vigie::model::not_before::Scope;
use vigie::model::user::UserState;
use vigie::user::change::UserChange;

use crate::support::app::{PASSWORD, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// Expects that no token of the session is good for anything, at this moment of the clock.
async fn assert_dead(client: &TestClient<'_>, how: &str) {
    let now = client.app.now();
    for answer in [client.get("/auth/me").await, client.get("/auth/verify").await, client.refresh().await] {
        assert_eq!(answer.status, 401, "{how}, at {now}: {}", answer.body);
    }
}

async fn end_in_some_way(app: &TestApp, client: &TestClient<'_>, way: &str) {
    let id = app.app.users.find_by_id_or_name("alice").await.unwrap().unwrap().id;
    let context = AuditContext::command_line();
    match way {
        "logout" => drop(client.post_empty("/auth/logout").await.expect(204)),
        "logout everywhere" => drop(client.post_empty("/auth/logout-all").await.expect(200)),
        "disabled" => {
            let change = UserChange { state: Some(UserState::Disabled), ..UserChange::default() };
            app.app.users.change(id, change, &context).await.unwrap();
        }
        "deleted" => app.app.users.delete(id, &context).await.unwrap(),
        "not before" => {
            app.advance(TimeDelta::seconds(1));
            app.app.sessions.set_not_before(Scope::User(id), None, None, &context).await.unwrap();
            app.app.sessions.record_expired().await.unwrap();
        }
        "idle" => {
            app.advance(TimeDelta::minutes(31));
            assert_eq!(app.app.sessions.record_expired().await, Ok(1));
        }
        "expired" => {
            app.advance(TimeDelta::hours(13));
            assert_eq!(app.app.sessions.record_expired().await, Ok(1));
        }
        _ => unreachable!("{way}"),
    }
}

#[rstest]
#[actix_web::test]
async fn a_session_whose_end_is_recorded_never_returns_to_life_whatever_the_clock_says(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("logout", "logout everywhere", "disabled", "deleted", "not before", "idle", "expired")] way: &str,
) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let begun = app.now();
    end_in_some_way(&app, &alice, way).await;
    let app_after = [
        TimeDelta::zero(),
        TimeDelta::seconds(1),
        TimeDelta::minutes(5),
        TimeDelta::seconds(-5),
        TimeDelta::hours(-1),
        TimeDelta::days(-400),
        TimeDelta::days(400),
    ];
    for offset in app_after {
        app.clock.set(begun + offset);
        assert_dead(&alice, way).await;
        app.app.sessions.record_expired().await.unwrap();
        app.app.sessions.flush_last_seen().await.unwrap();
    }
    // In the life of its token, at a moment when it was good once, it is named for what it is.
    app.clock.set(begun + TimeDelta::seconds(2));
    alice.get("/auth/me").await.problem(401, "session_ended");
}

#[rstest]
#[actix_web::test]
async fn a_restart_with_another_time_brings_no_ended_session_to_life(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let (token, refresh_token) = (alice.token().to_owned(), alice.refresh_token.clone());
    alice.post_empty("/auth/logout").await.expect(204);
    app.advance(TimeDelta::seconds(-3));
    let app = app.restart().await;
    app.nobody().with_token(&token).get("/auth/me").await.problem(401, "session_ended");
    app.nobody().post("/auth/refresh", json!({ "refresh_token": refresh_token })).await.problem(401, "session_ended");
}

/// What was used while the clock was ahead looks used in the future; that must not carry a session over its lifetime.
#[rstest]
#[actix_web::test]
async fn a_clock_that_was_ahead_prolongs_no_lifetime(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut alice = app.signed_in("alice").await;
    let begun = app.now();
    for _ in 0..20 {
        app.advance(TimeDelta::minutes(25));
        alice = app.client(&alice.refresh().await.expect(200));
        alice.get("/auth/me").await.expect(200);
    }
    app.clock.set(begun + TimeDelta::minutes(1));
    app.app.sessions.flush_last_seen().await.unwrap();
    app.clock.set(begun + TimeDelta::hours(12));
    alice.refresh().await.problem(401, "session_ended");
    assert_dead(&alice, "past its lifetime").await;
}

#[rstest]
#[actix_web::test]
async fn a_clock_set_back_has_tokens_from_the_future_refreshed_and_lets_people_log_in(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    app.advance(TimeDelta::hours(-2));
    alice.get("/auth/me").await.problem(401, "token_expired");
    let again = app.log_in("alice").await;
    again.get("/auth/me").await.expect(200);
    again.post_empty("/auth/logout").await.expect(204);
    app.advance(TimeDelta::hours(2));
    alice.get("/auth/me").await.expect(200);
    again.get("/auth/me").await.problem(401, "token_expired");
    assert_dead(&again, "ended while the clock was back").await;
}

#[test]
fn ids_made_in_the_same_moment_or_in_the_past_are_unique() {
    let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let moments = [now, now, now - TimeDelta::days(1), now + TimeDelta::days(1), now];
    let ids: HashSet<_> = moments.iter().flat_map(|at| (0..10_000).map(|_| SessionId::new(*at))).collect();
    let tokens: HashSet<_> = moments.iter().flat_map(|at| (0..10_000).map(|_| TokenId::new(*at).0)).collect();
    assert_eq!((ids.len(), tokens.len()), (50_000, 50_000));
}

#[rstest]
#[actix_web::test]
async fn logins_in_one_moment_are_so_many_sessions(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    app.user("alice", "agent").await;
    let mut seen = HashSet::new();
    for number in 0..30 {
        if number == 15 {
            app.advance(TimeDelta::hours(-1));
            app.advance(TimeDelta::hours(1));
        }
        let login = json!({ "username": "alice", "password": PASSWORD });
        let answer = app.nobody().post("/auth/login", login).await.expect(200);
        for id in [&answer["session"]["id"], &answer["session"]["token"]["jti"]] {
            assert!(seen.insert(id.as_str().expect("an id").to_owned()), "{id} was given twice");
        }
    }
}
