//! Two nodes on one database: what was acknowledged by one holds on the other from the very next request.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;
use tokio::sync::oneshot;
use vigie::model::audit::AuditContext;
use vigie::model::not_before::Scope;
use vigie::model::user::{Role, UserState};
use vigie::session::bulk_end::{BulkEnded, SessionsToEnd};
use vigie::store::StoreError;
use vigie::store::sessions::{SessionUse, touch_all};
use vigie::store::signing_keys::KeyStatus;
use vigie::user::change::UserChange;

use crate::support::app::{PASSWORD, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

const NEW_PASSWORD: &str = "neuf renards roux courent vite";

/// Ways in which node A ends the sessions of alice, other than `by`.
async fn end_on(a: &TestApp, by: &TestClient<'_>, target: &TestClient<'_>, way: &str) {
    let id = a.app.users.find_by_id_or_name("alice").await.unwrap().unwrap().id;
    let context = AuditContext::command_line();
    match way {
        "logout" => drop(target.at(a).post_empty("/auth/logout").await.expect(204)),
        "logout by refresh token" => {
            let body = json!({ "refresh_token": target.refresh_token });
            a.nobody().post("/auth/logout", body).await.expect(204);
        }
        "ended by owner" => drop(by.delete(&format!("/auth/sessions/{}", target.session_id)).await.expect(204)),
        "logout everywhere" => drop(by.post("/auth/logout-all", json!({ "keep_current": true })).await.expect(200)),
        "password changed" => {
            let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
            by.post("/auth/password", body).await.expect(200);
        }
        "password reset" => {
            let token = a.app.users.issue_reset(id, false, &context).await.unwrap().secret;
            let token = token.reveal(vigie::model::secret::SecretKind::OneTimeToken);
            a.nobody().post("/auth/reset", json!({ "token": token, "new_password": NEW_PASSWORD })).await.expect(204);
        }
        "disabled" => {
            let change = UserChange { state: Some(UserState::Disabled), ..UserChange::default() };
            a.app.users.change(id, change, &context).await.unwrap();
        }
        "deleted" => a.app.users.delete(id, &context).await.unwrap(),
        "not before of the user" | "not before of all" => {
            a.advance(chrono::TimeDelta::seconds(1));
            let scope = if way == "not before of all" { Scope::Everybody } else { Scope::User(id) };
            a.app.sessions.set_not_before(scope, None, None, &context).await.unwrap();
        }
        "bulk end" => {
            let ended = a.app.sessions.end_matching(SessionsToEnd::Everything, None, false, &context).await;
            assert_eq!(ended, Ok(BulkEnded { matched: 2, ended: 2 }));
        }
        _ => unreachable!("{way}"),
    }
}

#[rstest]
#[actix_web::test]
async fn what_one_node_ended_the_other_refuses_from_the_very_next_request(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(
        "logout",
        "logout by refresh token",
        "ended by owner",
        "logout everywhere",
        "password changed",
        "password reset",
        "disabled",
        "deleted",
        "not before of the user",
        "not before of all",
        "bulk end"
    )]
    way: &str,
) {
    let a = TestApp::start(backend).await;
    let b = a.another_node().await;
    let by = a.signed_in("alice").await;
    let target = b.log_in("alice").await;
    target.get("/auth/me").await.expect(200);
    target.at(&a).get("/auth/me").await.expect(200);

    end_on(&a, &by, &target, way).await;
    target.get("/auth/me").await.problem(401, "session_ended");
    target.refresh().await.problem(401, "session_ended");
    // What B remembers of its use must not write the session back to life.
    b.app.sessions.flush_last_seen().await.unwrap();
    b.app.sessions.record_expired().await.unwrap();
    target.get("/auth/me").await.problem(401, "session_ended");
    target.at(&a).get("/auth/me").await.problem(401, "session_ended");
}

#[rstest]
#[actix_web::test]
async fn a_disabled_user_cannot_log_in_at_the_other_node_and_a_new_role_holds_there(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let a = TestApp::start(backend).await;
    let b = a.another_node().await;
    let alice = b.signed_in("alice").await;
    let id = b.app.users.find_by_id_or_name("alice").await.unwrap().unwrap().id;
    let change = |role, state| UserChange { role, state, ..UserChange::default() };
    let context = AuditContext::command_line();
    a.app.users.change(id, change(Role::parse("chef").ok(), None), &context).await.unwrap();
    assert_eq!(alice.get("/auth/me").await.expect(200)["user"]["role"], "chef");
    a.app.users.change(id, change(None, Some(UserState::Disabled)), &context).await.unwrap();
    let login = json!({ "username": "alice", "password": PASSWORD });
    b.nobody().post("/auth/login", login).await.problem(401, "invalid_credentials");
}

#[rstest]
#[actix_web::test]
async fn keys_made_rotated_and_revoked_at_one_node_count_at_the_other(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start(backend).await;
    let b = a.another_node().await;
    let context = AuditContext::command_line();
    let before = a.signed_in("alice").await;
    let old_key = a.app.sessions.signing().current().await.unwrap().id().as_str().to_owned();

    let new_key = a.app.sessions.rotate_key(&context).await.unwrap();
    assert_ne!(old_key, new_key);
    a.advance(TimeDelta::minutes(1));
    let after = a.log_in("alice").await;
    after.at(&b).get("/auth/me").await.expect(200);
    before.at(&b).get("/auth/me").await.expect(200);
    assert_eq!(b.app.sessions.signing().current().await.unwrap().id().as_str(), new_key);

    assert!(a.app.sessions.revoke_key(&old_key, &context).await.unwrap());
    before.at(&b).get("/auth/me").await.problem(401, "token_invalid");
    after.at(&b).get("/auth/me").await.expect(200);

    // The current one: its tokens fall, another key signs on both nodes, and refreshing goes on.
    assert!(b.app.sessions.revoke_key(&new_key, &context).await.unwrap());
    after.at(&a).get("/auth/me").await.problem(401, "token_invalid");
    let refreshed = after.at(&a).refresh().await.expect(200);
    a.client(&refreshed).at(&b).get("/auth/me").await.expect(200);
}

/// Five rounds: the migrations, the master key and the first signing key are all raced for.
#[rstest]
#[actix_web::test]
async fn two_nodes_may_start_at_once_on_an_empty_database(#[values(Sqlite, Postgres)] backend: Backend) {
    for _ in 0..5 {
        let (a, b) = TestApp::two_at_once(backend).await;
        let keys = a.app.sessions.signing().list().await.unwrap();
        assert_eq!(keys.iter().filter(|key| key.status() == KeyStatus::Current).count(), 1, "{}", keys.len());
        assert_eq!(b.app.store.pending_migrations().await.unwrap(), Vec::<String>::new());
        let (alice, bob) = (a.signed_in("alice").await, b.signed_in("bob").await);
        alice.at(&b).get("/auth/me").await.expect(200);
        bob.at(&a).get("/auth/me").await.expect(200);
        alice.at(&b).refresh().await.expect(200);
    }
}

/// The grace is about one lost answer, whichever node gave it.
#[rstest]
#[actix_web::test]
async fn a_refresh_token_is_spent_once_whichever_node_it_is_brought_to(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start_with(backend, &[("VIGIE__SESSIONS__REFRESH_GRACE", "0s")]).await;
    let b = a.another_node().await;
    for round in 0..5 {
        let alice = a.signed_in(&format!("alice-{round}")).await;
        let at_b = alice.at(&b);
        let (one, two) = tokio::join!(alice.refresh(), at_b.refresh());
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{} {}", one.body, two.body);
        // RefreshTokenStatus twice without a grace: the session is over, on both.
        alice.at(&a).get("/auth/me").await.problem(401, "session_ended");
        at_b.get("/auth/me").await.problem(401, "session_ended");
    }
}

/// A laptop that falls asleep, a virtual machine that is moved: it holds what its transaction has locked.
#[actix_web::test]
#[expect(clippy::disallowed_methods, reason = "a node that stands still")]
async fn a_node_that_stands_still_inside_a_transaction_keeps_nobody_from_logging_out() {
    let a = TestApp::start(Postgres).await;
    let b = a.another_node().await;
    let alice = a.signed_in("alice").await;
    let id = alice.session_id.parse().unwrap();
    let at = a.now() + TimeDelta::seconds(1);
    let seen = SessionUse { at, ip: IpAddr::V4(Ipv4Addr::LOCALHOST), idle_expires_at: at + TimeDelta::minutes(30) };
    let (touched, is_touched) = oneshot::channel();
    let standing = a.app.store.write(move |db| {
        touch_all(db, &[(id, seen)])?;
        touched.send(()).expect("somebody waits for it");
        std::thread::sleep(Duration::from_secs(4));
        Ok::<_, StoreError>(())
    });
    let ending = async {
        is_touched.await.expect("it is told");
        alice.at(&b).post_empty("/auth/logout").await
    };
    let (stood, ended) = tokio::join!(standing, ending);
    ended.expect(204);
    assert!(matches!(stood, Err(StoreError::Unavailable(_))), "{stood:?}");
    alice.at(&b).get("/auth/me").await.problem(401, "session_ended");
}

/// Whoever is behind a load balancer uses every session at every node.
#[rstest]
#[actix_web::test]
async fn nodes_that_saw_the_same_sessions_write_it_down_at_once_and_none_fails(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let a = TestApp::start_with(backend, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    let b = a.another_node().await;
    let mut all = vec![a.signed_in("alice").await];
    for _ in 0..60 {
        all.push(a.log_in("alice").await);
    }
    for _ in 0..5 {
        a.advance(TimeDelta::seconds(1));
        for client in &all {
            join_all([client.get("/auth/verify"), client.at(&b).get("/auth/verify")]).await;
        }
        let (at_a, at_b) = tokio::join!(a.app.sessions.flush_last_seen(), b.app.sessions.flush_last_seen());
        assert_eq!((at_a, at_b), (Ok(all.len()), Ok(all.len())));
    }
}
