//! Logged out means logged out, under load and on another node (P2, P3, REV-01).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::{join, join_all};
use rstest::rstest;
use vigie::model::session::{Actor, End, EndReason};
use vigie::store::sessions::{self, Closing};

use crate::support::app::{BY_QUERY, TestApp, TestClient};
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
        let elsewhere = alice.at(&there);
        let state = Arc::new(Hammering { is_over: AtomicBool::new(false), accepted: AtomicUsize::new(0) });
        let clients = (0..50).map(|number| hammer(if number % 2 == 0 { &alice } else { &elsewhere }, &state));
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

/// SES-02: without the live view every request asks the store, and finds a row that was ended behind the server's back.
#[rstest]
#[actix_web::test]
async fn ses_02_a_row_ended_behind_the_servers_back_is_over_at_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, BY_QUERY).await;
    let alice = app.signed_in("alice").await;
    alice.get("/auth/me").await.expect(200);
    let id = alice.session_id.parse().expect("an id");
    let end = End { at: app.now(), reason: EndReason::EndedByAdmin, by: Actor::system("test"), note: None };
    let ended = app
        .app
        .store
        .write(move |db| sessions::end_all(db, &[Closing { id, end: &end, last_use: None }]))
        .await
        .expect("written");
    assert!(ended.contains(&id));
    alice.get("/auth/me").await.problem(401, "session_ended");
    alice.get("/auth/verify").await.problem(401, "session_ended");
}

/// The order of the group of P-256 (FIPS 186-5), big endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The same token with the other signature that is valid for it, (r, n − s): another text.
pub(super) fn with_other_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let mut borrow = 0_i16;
    for place in (0..32).rev() {
        let difference = i16::from(ORDER[place]) - i16::from(signature[32 + place]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + place] = u8::try_from(difference + 256 * borrow).expect("a byte");
    }
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// REV-12: what ends is the session, not a text: the same token under its other valid signature is over as well.
#[rstest]
#[actix_web::test]
async fn rev_12_an_ended_session_is_over_under_every_spelling_of_its_token(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let respelt = alice.with_token(&with_other_signature(alice.token()));
    assert_ne!(respelt.token(), alice.token());
    respelt.get("/auth/me").await.expect(200);
    alice.post_empty("/auth/logout").await.expect(204);
    respelt.get("/auth/me").await.problem(401, "session_ended");
}
