//! Connections that were cut while they lay idle: nobody notices, and nothing is done twice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;
use vigie::clock::{Clock as _, SystemClock};
use vigie::model::audit::{AuditContext, AuditEvent, Details, Subject};
use vigie::store::{Address, Db, Settings, Store, StoreError, audit, users};

use crate::support::app::{BY_QUERY, PASSWORD, TestApp};
use crate::support::dump::Beside;
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::{OwnDatabase, cut_connections};
use crate::support::proxy::Proxy;
use crate::support::until::until;

const POOL: usize = 4;

/// All connections of the pool exist, and each has served a moment ago: none of them is asked whether it lives.
async fn busy_a_moment_ago(app: &TestApp) {
    let all_at_once = Arc::new(Barrier::new(POOL));
    let reads = (0..POOL).map(|_| {
        let all_at_once = Arc::clone(&all_at_once);
        app.app.store.read(move |db| {
            all_at_once.wait();
            users::any(db)
        })
    });
    for read in join_all(reads).await {
        assert_eq!(read, Ok(true));
    }
}

#[rstest]
#[actix_web::test]
async fn after_all_connections_were_cut_the_first_request_is_answered(
    #[values("login", "check", "verify", "refresh", "logout", "logout everywhere", "list")] asked: &str,
) {
    let database = OwnDatabase::create();
    let app = TestApp::start_at(&database.url, BY_QUERY).await;
    let alice = app.signed_in("alice").await;
    busy_a_moment_ago(&app).await;
    assert!(database.cut_connections() >= POOL);
    match asked {
        "login" => {
            let login = json!({ "username": "alice", "password": PASSWORD });
            drop(app.nobody().post("/auth/login", login).await.expect(200));
        }
        "check" => drop(alice.get("/auth/me").await.expect(200)),
        "verify" => drop(alice.get("/auth/verify").await.expect(200)),
        "refresh" => drop(alice.refresh().await.expect(200)),
        "logout" => {
            alice.post_empty("/auth/logout").await.expect(204);
            alice.get("/auth/me").await.problem(401, "session_ended");
        }
        "logout everywhere" => drop(alice.post_empty("/auth/logout-all").await.expect(200)),
        _ => drop(alice.get("/auth/sessions").await.expect(200)),
    }
}

/// A node renews its lease, numbers changes and hears notifications by connections of the same kind.
#[actix_web::test]
async fn after_all_connections_were_cut_a_node_keeps_its_lease_and_an_end_is_acknowledged() {
    let database = OwnDatabase::create();
    let one = TestApp::start_at(&database.url, &[]).await;
    let other = one.another_node().await;
    let alice = one.signed_in("alice").await;
    let elsewhere = other.nobody().with_token(alice.token());
    elsewhere.get("/auth/verify").await.expect(200);
    assert!(database.cut_connections() >= 2);
    alice.post_empty("/auth/logout").await.expect(204);
    elsewhere.get("/auth/verify").await.problem(401, "session_ended");
    assert!(one.app.coherence.is_live());
}

#[actix_web::test]
async fn after_the_pooler_was_started_again_the_first_login_is_answered() {
    let database = OwnDatabase::create();
    let mut pooler = PgBouncer::start(&database.url, &["pool_mode = session"]);
    let (proxy, url) = Proxy::in_front_of(&pooler.url);
    let app = TestApp::start_at(&url, BY_QUERY).await;
    app.user("alice", "agent").await;
    busy_a_moment_ago(&app).await;
    pooler.kill();
    let again = PgBouncer::start(&database.url, &["pool_mode = session"]);
    proxy.lead_to(&again.url);
    let login = json!({ "username": "alice", "password": PASSWORD });
    app.nobody().post("/auth/login", login).await.expect(200);
}

/// A store on an empty database, behind a proxy.
async fn behind_proxy(database: &OwnDatabase) -> (Store, Proxy) {
    let (proxy, url) = Proxy::in_front_of(&database.url);
    let address = Address::parse(&url).expect("an address");
    let store = Store::open(Settings { address, pool_size: 4, wait: Duration::from_secs(2) }).expect("it answers");
    store.migrate().await.expect("the migrations apply");
    (store, proxy)
}

/// Records an event, and counts how often that was tried.
async fn mark(store: &Store, ran: &Arc<AtomicUsize>) -> Result<(), StoreError> {
    let ran = Arc::clone(ran);
    let event =
        AuditEvent::new(SystemClock.now(), Details::KeyRotated {}, &AuditContext::command_line(), Subject::everybody());
    let work = move |db: &mut Db| {
        ran.fetch_add(1, Ordering::SeqCst);
        audit::record(db, &event)
    };
    store.write(work).await
}

fn marks(database: &OwnDatabase) -> usize {
    Beside::connect(&database.url).lines("SELECT kind AS line FROM audit_events").len()
}

/// The network hangs up only when it is used: no look at the connection tells.
#[actix_web::test]
async fn a_transaction_that_could_not_begin_is_begun_again_on_another_connection() {
    let database = OwnDatabase::create();
    let (store, proxy) = behind_proxy(&database).await;
    let ran = Arc::new(AtomicUsize::new(0));
    proxy.hang_up_behind("BEGIN");
    mark(&store, &ran).await.expect("another connection serves");
    assert_eq!((ran.load(Ordering::SeqCst), marks(&database)), (1, 1));
}

/// Whether it was done is not known, so it is not done again.
#[actix_web::test]
async fn a_commit_whose_answer_was_lost_is_not_repeated() {
    let database = OwnDatabase::create();
    let (store, proxy) = behind_proxy(&database).await;
    let ran = Arc::new(AtomicUsize::new(0));
    proxy.hang_up_behind("COMMIT");
    assert!(matches!(mark(&store, &ran).await, Err(StoreError::Unavailable(_))));
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    until("the commit has reached the server", async || marks(&database) == 1).await;
    mark(&store, &ran).await.expect("the next is served");
    assert_eq!((ran.load(Ordering::SeqCst), marks(&database)), (2, 2));
}

/// Of connections that all died unnoticed, one question pays.
#[actix_web::test]
async fn where_one_connection_was_found_dead_all_others_are_asked_before_they_are_used() {
    let database = OwnDatabase::create();
    let app = TestApp::start_at(&database.url, BY_QUERY).await;
    let alice = app.signed_in("alice").await;
    busy_a_moment_ago(&app).await;
    // Cut while it is being used: this one cannot be saved.
    let cut = database.url.clone();
    let read = app.app.store.read(move |db| {
        drop(std::thread::spawn(move || cut_connections(&cut)).join());
        users::any(db)
    });
    assert!(matches!(read.await, Err(StoreError::Unavailable(_))));
    for _ in 0..POOL {
        alice.get("/auth/me").await.expect(200);
    }
}
