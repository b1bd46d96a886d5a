//! Many who end sessions at the same time: they share transactions, and each gets the outcome of their own end (P2).

use futures_util::future::{LocalBoxFuture, join_all};
use rstest::rstest;
use serde_json::json;
use vigie::model::audit::{AuditContext, AuditKind};
use vigie::model::session::EndReason;

use crate::support::app::{Answer, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::until::until;

/// How the session ended, and how many events tell of it.
async fn end_of(app: &TestApp, client: &TestClient<'_>) -> (Option<EndReason>, usize) {
    let events = app.events_of(AuditKind::SessionEnded, &client.session_id).await;
    (app.end_reason(&client.session_id).await, events.len())
}

#[rstest]
#[actix_web::test]
async fn of_many_who_end_sessions_at_once_each_gets_their_own_outcome(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start_with(backend, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    let b = a.another_node().await;
    let outdated = a.signed_in("carol").await;
    let old_key = a.app.sessions.signing().current().await.unwrap().id().as_str().to_owned();
    a.app.sessions.revoke_key(&old_key, &AuditContext::command_line()).await.unwrap();
    let (root, alice, bob) = (a.admin().await, a.signed_in("alice").await, a.signed_in("bob").await);
    let mine = join_all((0..12).map(|_| a.log_in("alice"))).await;
    let ended_before = a.log_in("alice").await;
    ended_before.post_empty("/auth/logout").await.expect(204);

    let nowhere = "/auth/sessions/01900000-0000-7000-8000-000000000000";
    let of_alice = format!("/auth/sessions/{}", alice.session_id);
    let over = format!("/admin/sessions/{}/end", ended_before.session_id);
    let mut asked: Vec<(u16, LocalBoxFuture<'_, Answer>)> = Vec::new();
    for (number, session) in mine.iter().enumerate() {
        let node = if number.is_multiple_of(2) { &a } else { &b };
        let path = format!("/admin/sessions/{}/end", session.session_id);
        asked.push((
            204,
            match number % 4 {
                0 => Box::pin(async move { session.at(node).post_empty("/auth/logout").await }),
                1 => {
                    let body = json!({ "refresh_token": session.refresh_token });
                    Box::pin(async move { node.nobody().post("/auth/logout", body).await })
                }
                2 => {
                    let (alice, path) = (alice.at(node), format!("/auth/sessions/{}", session.session_id));
                    Box::pin(async move { alice.delete(&path).await })
                }
                _ => {
                    let root = root.at(node);
                    Box::pin(async move { root.post(&path, json!({ "note": "a drill" })).await })
                }
            },
        ));
    }
    asked.push((404, Box::pin(async { alice.delete(nowhere).await })));
    asked.push((404, Box::pin(async { bob.delete(&of_alice).await })));
    asked.push((401, Box::pin(async { outdated.post_empty("/auth/logout").await })));
    asked.push((204, Box::pin(async { root.post_empty(&over).await })));
    let (statuses, asked): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    for (status, answer) in statuses.into_iter().zip(join_all(asked).await) {
        assert_eq!(answer.status, status, "{}", answer.body);
    }

    let reasons = [EndReason::Logout, EndReason::Logout, EndReason::EndedByOwner, EndReason::EndedByAdmin];
    for (session, reason) in mine.iter().zip(reasons.into_iter().cycle()) {
        assert_eq!(end_of(&b, session).await, (Some(reason), 1));
        let noted = (reason == EndReason::EndedByAdmin).then(|| "a drill".to_owned());
        assert_eq!(b.session_row(&session.session_id).await.end.unwrap().note, noted);
        for node in [&a, &b] {
            session.at(node).get("/auth/me").await.problem(401, "session_ended");
        }
    }
    assert_eq!(end_of(&a, &ended_before).await, (Some(EndReason::Logout), 1));
    for untouched in [&outdated, &alice, &bob, &root] {
        assert_eq!(end_of(&a, untouched).await, (None, 0));
    }
    let sealed = a.app.chain.verify(&[], |_, _| {}).await.unwrap();
    assert!(sealed.is_ok(), "{sealed:?}");
}

#[rstest]
#[actix_web::test]
async fn of_many_who_end_one_session_at_once_the_first_ends_it_and_all_succeed(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let a = TestApp::start(backend).await;
    let b = a.another_node().await;
    a.user("alice", "agent").await;
    for _ in 0..5 {
        let alice = a.log_in("alice").await;
        let id = alice.session_id.parse().unwrap();
        let context = AuditContext::command_line();
        let end = |number: usize| {
            let node = if number.is_multiple_of(2) { &a } else { &b };
            node.app.sessions.end(id, EndReason::EndedByAdmin, Some(format!("number {number}")), &context)
        };
        let outcomes: Vec<_> =
            join_all((0..16).map(end)).await.into_iter().map(|outcome| outcome.unwrap().unwrap()).collect();
        assert_eq!(outcomes.iter().filter(|ended| **ended).count(), 1);
        let first = outcomes.iter().position(|ended| *ended).unwrap();
        assert_eq!(a.session_row(&alice.session_id).await.end.unwrap().note, Some(format!("number {first}")));
        assert_eq!(end_of(&a, &alice).await, (Some(EndReason::EndedByAdmin), 1));
    }
    let sealed = a.app.chain.verify(&[], |_, _| {}).await.unwrap();
    assert!(sealed.is_ok(), "{sealed:?}");
}

/// Those who come while a transaction is under way share the next one. (On SQLite nobody sees from outside who shares.)
#[actix_web::test]
async fn ends_that_come_together_share_a_transaction() {
    let app = TestApp::start_with(Postgres, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    app.user("alice", "agent").await;
    let sessions = join_all((0..12).map(|_| app.log_in("alice"))).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.execute("BEGIN").unwrap();
    beside.execute("LOCK TABLE sessions IN SHARE ROW EXCLUSIVE MODE").unwrap();
    let (answers, ()) =
        tokio::join!(join_all(sessions.iter().map(|session| session.post_empty("/auth/logout"))), async {
            until("the first waits for the lock", async || beside.waiting_for_this() == 1).await;
            // The others wait in the server's memory, where nobody sees them.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            beside.execute("COMMIT").unwrap();
        });
    for answer in answers {
        answer.expect(204);
    }
    let transactions = beside.lines("SELECT DISTINCT xmin::text AS line FROM sessions");
    assert!((1..=2).contains(&transactions.len()), "{transactions:?}");
}

/// One statement for all of a user's sessions: none is forgotten, and each has its own event.
#[rstest]
#[actix_web::test]
async fn all_sessions_of_a_user_end_together_and_each_is_recorded(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    let alice = app.signed_in("alice").await;
    let others = join_all((0..8).map(|_| app.log_in("alice"))).await;
    let over = &others[0];
    over.post_empty("/auth/logout").await.expect(204);
    let ended = alice.post("/auth/logout-all", json!({ "keep_current": true })).await.expect(200);
    assert_eq!(ended["ended"], 7);
    for other in &others[1..] {
        assert_eq!(end_of(&app, other).await, (Some(EndReason::LogoutAll), 1));
    }
    assert_eq!(end_of(&app, over).await, (Some(EndReason::Logout), 1));
    assert_eq!(end_of(&app, &alice).await, (None, 0));
    let sealed = app.app.chain.verify(&[], |_, _| {}).await.unwrap();
    assert!(sealed.is_ok(), "{sealed:?}");
}
