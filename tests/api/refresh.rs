//! Refresh tokens: one use, one lineage, a grace for lost answers, an end for thieves (TOK-02 to TOK-04, REV-03, JWT-06).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use futures_util::future::{join, join_all};
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::audit::AuditKind;
use vigie::model::session::{ActorKind, EndReason};

use crate::support::app::{Answer, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::token::claims;

async fn refresh(app: &TestApp, token: &str) -> Answer {
    app.nobody().post("/auth/refresh", json!({ "refresh_token": token })).await
}

fn refresh_token(answer: &Value) -> &str {
    answer["refresh_token"].as_str().expect("a refresh token")
}

/// Expects that the session is over for every credential it ever had.
async fn expect_dead(clients: &[&TestClient<'_>]) {
    for client in clients {
        client.get("/auth/me").await.problem(401, "session_ended");
        client.refresh().await.problem(401, "session_ended");
    }
}

#[rstest]
#[actix_web::test]
async fn each_use_gives_the_next_pair_and_only_the_pair_changes(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    app.advance(TimeDelta::minutes(2));
    let answer = alice.refresh().await.expect(200);
    let renewed = app.client(&answer);
    assert_ne!(renewed.refresh_token, alice.refresh_token);
    assert_eq!(answer["previous_login"], Value::Null);
    assert_eq!(answer["session"]["token"]["refreshes"], 1);
    assert_eq!((answer["expires_in"].clone(), answer["refresh_expires_in"].clone()), (json!(600), json!(1800)));

    // JWT-06: who, how and when somebody logged in stays; the token is another.
    let (first, second) = (claims(alice.token()), claims(renewed.token()));
    for same in ["iss", "aud", "sub", "client_id", "sid", "auth_time", "amr", "role"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    for other in ["jti", "iat", "exp"] {
        assert_ne!(first[other], second[other], "{other}");
    }
    // The access token before it is good as long as its session is.
    for client in [&alice, &renewed] {
        client.get("/auth/me").await.expect(200);
    }
    assert_eq!(app.session_rows().await, 1);
}

#[rstest]
#[actix_web::test]
async fn tok_04_within_the_grace_a_retry_gets_the_same_lineage(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let lost = alice.refresh().await.expect(200);
    for _ in 0..3 {
        app.advance(TimeDelta::milliseconds(9_900));
        let again = alice.refresh().await.expect(200);
        assert_eq!(refresh_token(&again), refresh_token(&lost));
        app.client(&again).get("/auth/me").await.expect(200);
    }
    assert_eq!(app.session_row(&alice.session_id).await.refresh.generation, 1);
    app.client(&lost).refresh().await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn tok_02_once_the_successor_was_used_an_old_token_is_theft(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let sibling = app.log_in("alice").await;
    let bob = app.signed_in("bob").await;
    let second = app.client(&alice.refresh().await.expect(200));
    let third = app.client(&second.refresh().await.expect(200));
    alice.refresh().await.problem(401, "session_ended");
    expect_dead(&[&alice, &second, &third]).await;
    let end = app.session_row(&alice.session_id).await.end.expect("an end");
    assert_eq!((end.reason, end.by.kind, end.at), (EndReason::RefreshReused, ActorKind::System, app.now()));
    assert_eq!(app.events_of(AuditKind::SessionEnded, &alice.session_id).await.len(), 1);
    for other in [&sibling, &bob] {
        other.get("/auth/me").await.expect(200);
        other.refresh().await.expect(200);
    }
}

#[rstest]
#[actix_web::test]
async fn tok_02_a_spent_token_of_any_age_is_known_again(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let mut newest = alice.clone();
    for _ in 0..20 {
        app.advance(TimeDelta::minutes(20));
        newest = app.client(&newest.refresh().await.expect(200));
    }
    alice.refresh().await.problem(401, "session_ended");
    assert_eq!(app.end_reason(&alice.session_id).await, Some(EndReason::RefreshReused));
    newest.refresh().await.problem(401, "session_ended");
}

#[rstest]
#[actix_web::test]
async fn tok_04_after_the_grace_a_retry_is_theft(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let renewed = app.client(&alice.refresh().await.expect(200));
    app.advance(TimeDelta::seconds(30));
    alice.refresh().await.problem(401, "session_ended");
    expect_dead(&[&alice, &renewed]).await;
    assert_eq!(app.end_reason(&alice.session_id).await, Some(EndReason::RefreshReused));
}

#[rstest]
#[actix_web::test]
async fn tok_04_without_a_grace_every_second_use_is_theft(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__REFRESH_GRACE", "0s")]).await;
    let alice = app.signed_in("alice").await;
    let renewed = app.client(&alice.refresh().await.expect(200));
    alice.refresh().await.problem(401, "session_ended");
    expect_dead(&[&renewed]).await;
}

#[rstest]
#[actix_web::test]
async fn the_grace_holds_after_a_restart_and_on_another_node(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let (spent, id) = (alice.refresh_token.clone(), alice.session_id.clone());
    let lost = alice.refresh().await.expect(200);
    let node = app.another_node().await;
    assert_eq!(refresh_token(&refresh(&node, &spent).await.expect(200)), refresh_token(&lost));
    drop(node);
    let app = app.restart().await;
    let again = refresh(&app, &spent).await.expect(200);
    assert_eq!(refresh_token(&again), refresh_token(&lost));
    refresh(&app, refresh_token(&again)).await.expect(200);
    refresh(&app, &spent).await.problem(401, "session_ended");
    assert_eq!(app.end_reason(&id).await, Some(EndReason::RefreshReused));
}

#[rstest]
#[actix_web::test]
async fn tok_04_fifty_uses_at_once_lose_no_session_and_make_no_fork(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let mut token = alice.refresh_token.clone();
    for round in 1..=10 {
        let answers = join_all((0..50).map(|_| refresh(&app, &token))).await;
        let answers: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200)).collect();
        let next = refresh_token(&answers[0]).to_owned();
        assert!(answers.iter().all(|answer| refresh_token(answer) == next), "round {round}: a fork");
        assert_ne!(next, token);
        assert_eq!(app.session_row(&alice.session_id).await.refresh.generation, round);
        let last = app.client(&answers[49]);
        last.get("/auth/me").await.expect(200);
        token = next;
    }
    assert_eq!(app.end_reason(&alice.session_id).await, None);
}

#[rstest]
#[actix_web::test]
async fn tok_04_two_nodes_make_no_fork_either(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let node = app.another_node().await;
    let alice = app.signed_in("alice").await;
    let mut token = alice.refresh_token.clone();
    for _ in 0..10 {
        let uses = (0..10).map(|number| refresh(if number % 2 == 0 { &app } else { &node }, &token));
        let answers: Vec<Value> = join_all(uses).await.into_iter().map(|answer| answer.expect(200)).collect();
        let next = refresh_token(&answers[0]).to_owned();
        assert!(answers.iter().all(|answer| refresh_token(answer) == next));
        token = next;
    }
    assert_eq!(app.end_reason(&alice.session_id).await, None);
}

#[rstest]
#[actix_web::test]
async fn rev_03_after_a_refresh_that_raced_a_logout_nothing_is_alive(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    for round in 0..20 {
        let alice = app.log_in("alice").await;
        let by_refresh_token = json!({ "refresh_token": alice.refresh_token });
        let logout = async {
            match round % 2 {
                0 => alice.post_empty("/auth/logout").await,
                _ => app.nobody().post("/auth/logout", by_refresh_token).await,
            }
        };
        let refreshes = join_all((0..4).map(|_| alice.refresh()));
        let (refreshed, logged_out) = join(refreshes, logout).await;
        logged_out.expect(204);
        let mut holders = vec![alice.clone()];
        for answer in refreshed {
            match answer.status {
                200 => holders.push(app.client(&answer.json())),
                _ => drop(answer.problem(401, "session_ended")),
            }
        }
        expect_dead(&holders.iter().collect::<Vec<_>>()).await;
        assert_eq!(app.end_reason(&alice.session_id).await, Some(EndReason::Logout));
        assert_eq!(app.events_of(AuditKind::SessionEnded, &alice.session_id).await.len(), 1);
    }
}

#[rstest]
#[actix_web::test]
async fn tok_03_ses_07_refreshing_never_extends_the_lifetime(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut alice = app.signed_in("alice").await;
    let until = app.session_row(&alice.session_id).await.expires_at;
    assert_eq!(until, app.now() + TimeDelta::hours(12));
    for _ in 0..35 {
        app.advance(TimeDelta::minutes(20));
        let answer = alice.refresh().await.expect(200);
        alice = app.client(&answer);
        alice.get("/auth/me").await.expect(200);
        assert_eq!(app.session_row(&alice.session_id).await.expires_at, until);
    }
    // Twenty minutes before the end: no token outlives the session.
    app.advance(TimeDelta::minutes(15));
    let last = alice.refresh().await.expect(200);
    assert_eq!((last["expires_in"].clone(), last["refresh_expires_in"].clone()), (json!(300), json!(300)));
    let alice = app.client(&last);
    assert_eq!(claims(alice.token())["exp"], until.timestamp());
    app.advance(TimeDelta::minutes(5) - TimeDelta::seconds(1));
    alice.get("/auth/me").await.expect(200);
    app.advance(TimeDelta::seconds(1));
    alice.refresh().await.problem(401, "session_ended");
    alice.get("/auth/me").await.problem(401, "token_expired");
    app.app.sessions.record_expired().await.expect("recorded");
    let end = app.session_row(&alice.session_id).await.end.expect("an end");
    assert_eq!((end.reason, end.at), (EndReason::Expired, until));
    // Only a new login starts both clocks again.
    let again = app.log_in("alice").await;
    assert_eq!(app.session_row(&again.session_id).await.expires_at, until + TimeDelta::hours(12));
}

#[rstest]
#[actix_web::test]
async fn tok_03_an_idle_gap_ends_the_session_for_refreshes_too(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    app.advance(TimeDelta::minutes(29));
    let renewed = app.client(&alice.refresh().await.expect(200));
    app.advance(TimeDelta::minutes(29));
    let renewed = app.client(&renewed.refresh().await.expect(200));
    app.advance(TimeDelta::minutes(31));
    renewed.refresh().await.problem(401, "session_ended");
    app.app.sessions.record_expired().await.expect("recorded");
    assert_eq!(app.end_reason(&alice.session_id).await, Some(EndReason::IdleTimeout));
}

#[rstest]
#[actix_web::test]
async fn a_token_that_was_never_issued_is_refused_and_harms_nobody(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, bob) = (app.signed_in("alice").await, app.signed_in("bob").await);
    let bytes = URL_SAFE_NO_PAD.decode(&alice.refresh_token[4..]).expect("base64url");
    let written = |bytes: &[u8]| format!("vgr_{}", URL_SAFE_NO_PAD.encode(bytes));
    let flipped = |position: usize| {
        let mut other = bytes.clone();
        other[position] ^= 1;
        written(&other)
    };
    let other_session = URL_SAFE_NO_PAD.decode(&bob.refresh_token[4..]).expect("base64url");
    let tokens = [
        String::new(),
        "vgr_".to_owned(),
        "x".repeat(60_000),
        alice.refresh_token[4..].to_owned(),
        alice.refresh_token.replace("vgr_", "vgt_"),
        alice.refresh_token.to_uppercase(),
        format!(" {}", alice.refresh_token),
        format!("{}=", alice.refresh_token),
        alice.refresh_token[..alice.refresh_token.len() - 4].to_owned(),
        written(&[&bytes[..], &[0]].concat()),
        flipped(0),
        flipped(19),
        flipped(20),
        flipped(51),
        written(&[&other_session[..20], &bytes[20..]].concat()),
        "vgr_\0".to_owned(),
        alice.session_id.clone(),
    ];
    for token in tokens {
        refresh(&app, &token).await.problem(401, "token_invalid");
        let body = json!({ "refresh_token": token });
        app.nobody().post("/auth/logout", body).await.problem(401, "token_invalid");
    }
    for client in [&alice, &bob] {
        client.get("/auth/me").await.expect(200);
        client.refresh().await.expect(200);
    }
}

#[rstest]
#[actix_web::test]
async fn whoever_holds_a_refresh_token_may_log_out_with_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let renewed = app.client(&alice.refresh().await.expect(200));
    let body = json!({ "refresh_token": alice.refresh_token });
    app.nobody().post("/auth/logout", body.clone()).await.expect(204);
    expect_dead(&[&alice, &renewed]).await;
    app.nobody().post("/auth/logout", body).await.expect(204);
    assert_eq!(app.end_reason(&alice.session_id).await, Some(EndReason::Logout));
}

#[rstest]
#[actix_web::test]
async fn p7_no_token_is_in_the_database(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let renewed = app.client(&alice.refresh().await.expect(200));
    renewed.get("/auth/me").await.expect(200);
    let dump = app.dump();
    let bytes_seen = dump.to_lowercase();
    let row = app.session_row(&alice.session_id).await;
    assert!(bytes_seen.contains(&hex(&row.refresh.seed)), "this is how bytes would be found");
    for client in [&alice, &renewed] {
        let (body, signature) = client.token().rsplit_once('.').expect("three parts");
        let tag = &client.refresh_token[client.refresh_token.len() - 40..];
        for secret in [client.token(), signature, &body[body.len() - 40..], client.refresh_token.as_str(), tag] {
            assert!(!dump.contains(secret), "{secret}");
        }
        let bytes = URL_SAFE_NO_PAD.decode(&client.refresh_token[4..]).expect("base64url");
        assert!(!bytes_seen.contains(&hex(&bytes[20..])));
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
