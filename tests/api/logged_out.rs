//! Logged out means logged out, under load and on another node (P2, P3, REV-01).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use rstest::rstest;

use crate::support::app::{TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// How a session is used by its owner's client on one node while it is ended on another.
struct Hammering {
    is_over: AtomicBool,
    accepted: AtomicUsize,
}

/// P2, REV-01: no request that starts after the end was answered is accepted, on any node.
#[rstest]
#[actix_web::test]
async fn rev_01_no_request_that_starts_after_the_answered_end_is_accepted(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let here = TestApp::start(backend).await;
    let there = here.another_node().await;
    here.user("alice", "agent").await;
    for round in 0..5 {
        let alice = here.log_in("alice").await;
        let elsewhere = TestClient { app: &there, ..alice.clone() };
        let state = Arc::new(Hammering { is_over: AtomicBool::new(false), accepted: AtomicUsize::new(0) });
        let clients = (0..12).map(|number| hammer(if number % 2 == 0 { &alice } else { &elsewhere }, &state));
        let end = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            alice.post_empty("/auth/logout").await.expect(204);
            let answered = Instant::now();
            tokio::time::sleep(Duration::from_millis(60)).await;
            state.is_over.store(true, Ordering::SeqCst);
            answered
        };
        let (accepted, answered) = join(join_all(clients), end).await;
        let late = accepted.into_iter().flatten().filter(|started| *started > answered).count();
        assert_eq!(late, 0, "round {round}: {late} requests were accepted that started after the answered end");
        assert!(state.accepted.load(Ordering::SeqCst) > 0, "round {round}: nothing was accepted before the end either");
    }
}

/// Asks again and again; returns when each accepted request was started.
async fn hammer(client: &TestClient<'_>, state: &Hammering) -> Vec<Instant> {
    let mut accepted = Vec::new();
    while !state.is_over.load(Ordering::SeqCst) {
        let started = Instant::now();
        let answer = client.get("/auth/verify").await;
        if answer.status == 200 {
            accepted.push(started);
            state.accepted.fetch_add(1, Ordering::SeqCst);
        }
    }
    accepted
}
