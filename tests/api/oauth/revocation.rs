//! A client application revokes a token: its session ends (REV-03 to REV-07).

use chrono::TimeDelta;
use futures_util::future::join;
use rstest::rstest;
use serde_json::json;
use vigie::model::audit::AuditKind;
use vigie::model::client::Scope;
use vigie::model::session::{ActorKind, EndReason};

use crate::support::app::{TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::token::Forger;

/// Expects that no credential of the session is good any more.
async fn expect_dead(client: &TestClient<'_>) {
    client.get("/auth/me").await.problem(401, "session_ended");
    client.get("/auth/verify").await.problem(401, "session_ended");
    client.refresh().await.problem(401, "session_ended");
}

/// REV-07: either token ends the session, on every node, and it is recorded whose doing it was.
#[rstest]
#[case::access_token(false, "access_token")]
#[case::refresh_token(true, "refresh_token")]
#[case::hint_of_the_other(true, "access_token")]
#[case::unknown_hint(false, "foo")]
#[actix_web::test]
async fn rev_07_a_revoked_token_takes_its_session_along(
    #[case] is_refresh: bool,
    #[case] hint: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let here = TestApp::start(backend).await;
    let there = here.another_node().await;
    let crm = here.application("crm").await;
    let alice = here.signed_in("alice").await;
    let elsewhere = alice.at(&there);
    elsewhere.get("/auth/me").await.expect(200);
    let token = if is_refresh { &alice.refresh_token } else { alice.token() };
    let answer = crm.post("/oauth/revoke", &[("token", token), ("token_type_hint", hint)]).await;
    assert_eq!((answer.status, &*answer.body, answer.header("cache-control")), (200, "", Some("no-store")));
    elsewhere.get("/auth/me").await.problem(401, "session_ended");
    expect_dead(&alice).await;
    let end = here.session_row(&alice.session_id).await.end.expect("an end");
    assert_eq!((end.reason, end.by.kind, &*end.by.id), (EndReason::TokenRevoked, ActorKind::Client, "crm"));
    assert_eq!(here.events_of(AuditKind::SessionEnded, &alice.session_id).await.len(), 1);
    // Once more is as good as once.
    crm.revoke(token).await.expect(200);
    assert_eq!(here.events_of(AuditKind::SessionEnded, &alice.session_id).await.len(), 1);
}

/// REV-04: what is good for nothing already is answered like success.
#[rstest]
#[actix_web::test]
async fn rev_04_a_token_that_is_not_known_is_revoked_already(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (crm, alice) = (app.application("crm").await, app.signed_in("alice").await);
    let forger = Forger::of(&alice).await;
    let stranger = TestApp::start(Sqlite).await;
    let foreign = stranger.signed_in("alice").await;
    for token in [
        "x",
        "vgr_x",
        &crm.secret,
        foreign.token(),
        &foreign.refresh_token,
        &forger.with_claim("iss", "https://other.example"),
        &forger.with_claim("sid", "01900000-0000-7000-8000-000000000000"),
    ] {
        let answer = crm.revoke(token).await;
        assert_eq!((answer.status, &*answer.body), (200, ""), "{token}");
    }
    alice.get("/auth/me").await.expect(200);
    // One past its time is good for nothing, and whoever has it wants the session to be over.
    app.advance(TimeDelta::minutes(11));
    crm.revoke(alice.token()).await.expect(200);
    assert_eq!(app.end_reason(&alice.session_id).await, Some(EndReason::TokenRevoked));
    crm.revoke(alice.token()).await.expect(200);
}

/// A spent refresh token is a secret of the session as well: whoever holds one may end it.
#[rstest]
#[actix_web::test]
async fn a_spent_refresh_token_ends_its_session_as_well(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (crm, alice) = (app.application("crm").await, app.signed_in("alice").await);
    let next = app.client(&alice.refresh().await.expect(200));
    app.advance(TimeDelta::minutes(1));
    crm.revoke(&alice.refresh_token).await.expect(200);
    assert_eq!(app.end_reason(&alice.session_id).await, Some(EndReason::TokenRevoked));
    expect_dead(&next).await;
}

/// REV-05: what is another client's, or meant for others, stays as it is.
#[rstest]
#[actix_web::test]
async fn rev_05_the_token_of_another_client_is_left_alone(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (crm, erp) = (app.application("crm").await, app.application("erp").await);
    let elsewhere = app.application_with("far", Scope::ALL, Some("urn:other")).await;
    app.user("alice", "agent").await;
    let (own, plain) = (crm.log_in("alice").await, app.log_in("alice").await);
    for token in [own.token(), &own.refresh_token] {
        erp.revoke(token).await.oauth_error(400, "invalid_grant");
        elsewhere.revoke(token).await.oauth_error(400, "invalid_grant");
    }
    elsewhere.revoke(plain.token()).await.oauth_error(400, "invalid_grant");
    for client in [&own, &plain] {
        client.get("/auth/me").await.expect(200);
    }
    let next = app.client(&crm.refresh(&own.refresh_token).await.expect(200));
    // What is nobody's in particular, any client whom it concerns may end; a claim gives nobody anything.
    erp.revoke(plain.token()).await.expect(200);
    let body = json!({ "username": "alice", "password": crate::support::app::PASSWORD, "client_id": "crm" });
    let claimed = app.client(&app.nobody().post("/auth/login", body).await.expect(200));
    erp.revoke(&claimed.refresh_token).await.expect(200);
    for over in [&plain, &claimed] {
        expect_dead(over).await;
    }
    crm.revoke(next.token()).await.expect(200);
    next.get("/auth/me").await.problem(401, "session_ended");
}

/// REV-03: whatever a refresh that raced a revocation handed out is dead.
#[rstest]
#[actix_web::test]
async fn rev_03_after_a_refresh_that_raced_a_revocation_nothing_is_alive(#[values(Sqlite, Postgres)] backend: Backend) {
    let settings = [("VIGIE__SESSIONS__MAX_PER_USER", "0")];
    let here = TestApp::start_with(backend, &settings).await;
    let there = here.another_node().await;
    let crm = here.application("crm").await;
    here.user("alice", "agent").await;
    for round in 0..40 {
        let alice = crm.log_in("alice").await;
        let elsewhere = crm.at(&there);
        let token = if round % 2 == 0 { alice.token() } else { &alice.refresh_token };
        let (refreshed, revoked) = join(elsewhere.refresh(&alice.refresh_token), crm.revoke(token)).await;
        revoked.expect(200);
        let mut handed = vec![alice.clone()];
        if refreshed.status == 200 {
            handed.push(here.client(&refreshed.expect(200)));
        } else {
            refreshed.problem(401, "session_ended");
        }
        for client in handed {
            for node in [&here, &there] {
                client.at(node).get("/auth/me").await.problem(401, "session_ended");
                crm.at(node).introspect(client.token()).await.inactive();
                crm.at(node).refresh(&client.refresh_token).await.problem(401, "session_ended");
            }
        }
    }
}
