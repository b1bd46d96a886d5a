//! When a session was last used: gathered in memory and written seldom, and still never wrong.

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::audit::AuditContext;
use vigie::model::id::SessionId;
use vigie::model::session::EndReason;
use vigie::session::bulk_end::SessionsToEnd;

use crate::support::app::{TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

const LONG_TOKENS: (&str, &str) = ("VIGIE__TOKENS__ACCESS_TTL", "3h");

/// What the background does every five and every ten seconds.
async fn run_jobs(app: &TestApp) {
    app.app.sessions.flush_due().await.expect("written");
    app.app.sessions.record_ends().await.expect("recorded");
}

/// A minute after the last write, used twice: the first use is written, the second is not.
async fn use_without_writing(app: &TestApp, client: &TestClient<'_>) {
    app.advance(TimeDelta::minutes(1));
    client.get("/auth/verify").await.expect(200);
    app.app.sessions.flush_due().await.expect("written");
    app.advance(TimeDelta::seconds(7));
    client.get("/auth/verify").await.expect(200);
    app.app.sessions.flush_due().await.expect("nothing is due");
    let row = app.session_row(&client.session_id).await;
    assert_eq!(row.last_seen_at, app.now() - TimeDelta::seconds(7));
}

#[rstest]
#[actix_web::test]
async fn a_session_in_use_is_written_at_most_every_half_minute(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let app = TestApp::start_with(backend, &[LONG_TOKENS, ("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    let alice = app.signed_in("alice").await;
    let mut written = vec![app.session_row(&alice.session_id).await.last_seen_at];
    for _ in 0..40 {
        app.advance(TimeDelta::seconds(5));
        alice.get("/auth/verify").await.expect(200);
        run_jobs(&app).await;
        let now = app.session_row(&alice.session_id).await.last_seen_at;
        assert!(app.now() - now < TimeDelta::seconds(30), "the store knows too little of it");
        if written.last() != Some(&now) {
            written.push(now);
        }
    }
    assert_eq!(written.len(), 1 + 200 / 30, "{written:?}");
    assert!(written.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::seconds(30)), "{written:?}");
}

#[rstest]
#[actix_web::test]
async fn a_session_used_now_and_then_is_written_with_the_next_batch(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[LONG_TOKENS]).await;
    let alice = app.signed_in("alice").await;
    for _ in 0..3 {
        app.advance(TimeDelta::minutes(5));
        alice.get("/auth/verify").await.expect(200);
        assert_eq!(app.app.sessions.flush_due().await, Ok(1));
        assert_eq!(app.session_row(&alice.session_id).await.last_seen_at, app.now());
        assert_eq!(app.app.sessions.flush_due().await, Ok(0));
    }
}

/// Also where the idle time is shorter than the half minute.
#[rstest]
#[actix_web::test]
async fn no_other_node_finds_a_session_idle_that_is_in_use(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(("30m", 37, 240), ("50s", 12, 60), ("20s", 7, 40), ("4s", 1, 30))] (idle, pause, uses): (&str, i64, usize),
) {
    let a = TestApp::start_with(backend, &[LONG_TOKENS, ("VIGIE__SESSIONS__IDLE_TIMEOUT", idle)]).await;
    let b = a.another_node().await;
    let alice = a.signed_in("alice").await;
    alice.at(&b).get("/auth/verify").await.expect(200);
    for number in 0..uses {
        a.advance(TimeDelta::seconds(pause));
        run_jobs(&a).await;
        alice.get("/auth/verify").await.expect(200);
        b.app.sessions.record_ends().await.expect("recorded");
        assert_eq!(a.end_reason(&alice.session_id).await, None, "use {number}");
    }
    alice.at(&b).get("/auth/verify").await.expect(200);
    // And once it is not in use any more, both do.
    a.advance(TimeDelta::minutes(31));
    alice.get("/auth/verify").await.problem(401, "session_ended");
    alice.at(&b).get("/auth/verify").await.problem(401, "session_ended");
}

/// The clock is set, or the store was away for a while: what the store knows is not all.
#[rstest]
#[actix_web::test]
async fn a_use_that_is_not_written_yet_counts_when_ends_are_recorded(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[LONG_TOKENS]).await;
    let alice = app.signed_in("alice").await;
    use_without_writing(&app, &alice).await;
    let last_use = app.now();
    // Between the idle end that the store knows and the one that is right.
    app.advance(TimeDelta::seconds(30 * 60 - 3));
    assert_eq!(app.app.sessions.record_ends().await, Ok(0));
    assert_eq!(app.session_row(&alice.session_id).await.last_seen_at, last_use);
    app.advance(TimeDelta::seconds(3));
    assert_eq!(app.app.sessions.record_ends().await, Ok(1));
    let end = app.session_row(&alice.session_id).await.end.expect("an end");
    assert_eq!((end.reason, end.at), (EndReason::IdleTimeout, last_use + TimeDelta::minutes(30)));
}

#[rstest]
#[actix_web::test]
async fn a_clean_stop_writes_every_last_use(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[LONG_TOKENS]).await;
    let alice = app.signed_in("alice").await;
    let id = alice.session_id.clone();
    use_without_writing(&app, &alice).await;
    let app = app.restart().await;
    assert_eq!(app.session_row(&id).await.last_seen_at, app.now());
}

#[rstest]
#[actix_web::test]
async fn every_reader_is_shown_the_last_use(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[LONG_TOKENS]).await;
    let admin = app.admin().await;
    let alice = app.signed_in("alice").await;
    let one = format!("/admin/sessions/{}", alice.session_id);
    for path in ["/auth/me", "/auth/sessions", "/admin/sessions?user=alice", &one] {
        use_without_writing(&app, &alice).await;
        let reader = if path.starts_with("/auth") { &alice } else { &admin };
        let answer = reader.get(path).await.expect(200);
        let places = ["/session/last_seen_at", "/items/0/last_seen_at", "/last_seen_at"];
        let shown = places.iter().find_map(|place| answer.pointer(place)).and_then(Value::as_str);
        let shown = shown.unwrap_or_else(|| panic!("{path}: {answer}")).parse();
        assert_eq!(shown, Ok(app.now()), "{path}");
    }
}

#[rstest]
#[actix_web::test]
async fn an_end_records_the_last_use(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("logout", "by refresh token", "everywhere", "limit", "by an administrator", "many", "deleted")] way: &str,
) {
    let app = TestApp::start_with(backend, &[LONG_TOKENS, ("VIGIE__SESSIONS__MAX_PER_USER", "1")]).await;
    let alice = app.signed_in("alice").await;
    use_without_writing(&app, &alice).await;
    let (sessions, context) = (&app.app.sessions, AuditContext::command_line());
    let id: SessionId = alice.session_id.parse().expect("an id");
    match way {
        "logout" => drop(alice.post_empty("/auth/logout").await.expect(204)),
        "by refresh token" => {
            let body = json!({ "refresh_token": alice.refresh_token });
            app.nobody().post("/auth/logout", body).await.expect(204);
        }
        "everywhere" => drop(alice.post("/auth/logout-all", json!({})).await.expect(200)),
        "limit" => drop(app.log_in("alice").await),
        "by an administrator" => {
            let ended = sessions.end(id, EndReason::EndedByAdmin, None, &context).await;
            assert_eq!(ended, Ok(Some(true)));
        }
        "many" => {
            let ended = sessions.end_matching(SessionsToEnd::Everything, None, false, &context).await;
            assert_eq!(ended.map(|ended| ended.ended), Ok(1));
        }
        "deleted" => {
            let user = app.app.users.find_by_id_or_name("alice").await.expect("the store answers").expect("alice");
            app.app.users.delete(user.id, &context).await.expect("deleted");
        }
        _ => unreachable!("{way}"),
    }
    let row = app.session_row(&alice.session_id).await;
    assert!(row.end.is_some());
    assert_eq!(row.last_seen_at, app.now());
}

/// Each request of a page that loads may read the session anew, at the same time.
#[rstest]
#[actix_web::test]
async fn no_use_is_lost_where_many_come_at_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[LONG_TOKENS, ("VIGIE__SERVER__WORKERS", "4")]).await;
    let mut alice = app.signed_in("alice").await;
    for _ in 0..10 {
        // A refresh is a change: the session is read anew.
        app.advance(TimeDelta::seconds(1));
        alice = app.client(&alice.refresh().await.expect(200));
        app.advance(TimeDelta::seconds(1));
        futures_util::future::join_all((0..8).map(|_| alice.get("/auth/verify"))).await;
        app.advance(TimeDelta::seconds(1));
        alice.get("/auth/verify").await.expect(200);
        app.app.sessions.flush_last_seen().await.expect("written");
        assert_eq!(app.session_row(&alice.session_id).await.last_seen_at, app.now());
    }
}

/// Whoever looks at their own sessions has their own last uses written, and nobody else's.
#[rstest]
#[actix_web::test]
async fn ones_own_list_writes_only_what_it_shows(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
    #[values("/auth/sessions", "/auth/export")] list: &str,
) {
    let app = TestApp::start_with(backend, &[LONG_TOKENS, ("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    let (alice, second, bob) = (app.signed_in("alice").await, app.log_in("alice").await, app.signed_in("bob").await);
    let begun = app.now();
    app.advance(TimeDelta::seconds(7));
    for session in [&alice, &second, &bob] {
        session.get("/auth/verify").await.expect(200);
    }
    assert_eq!(alice.get(list).await.status, 200);
    for session in [&alice, &second] {
        assert_eq!(app.session_row(&session.session_id).await.last_seen_at, app.now());
    }
    assert_eq!(app.session_row(&bob.session_id).await.last_seen_at, begun);
}
