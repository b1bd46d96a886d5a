//! A PostgreSQL server that fails over to a standby, crashes, or loses its standby: what was acknowledged stays, and no node
//! that was left behind lets anybody in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rstest::rstest;
use url::Url;
use vigie::model::id::NodeId;
use vigie::store::StoreError;
use vigie::store::nodes::{self, LeaseNumbers};

use crate::support::app::{TestApp, TestClient, until_status};
use crate::support::dump::Beside;
use crate::support::postgres::{Options, PrivateCluster, execute};
use crate::support::proxy::Proxy;
use crate::support::until::until;

/// How soon nodes recover once the new primary can be reached.
const RECOVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replication {
    Synchronous,
    Asynchronous,
}
use Replication::{Asynchronous, Synchronous};

/// A primary, and a standby that follows it.
fn pair(replication: Replication) -> (PrivateCluster, PrivateCluster) {
    let primary = PrivateCluster::launch(Options::default());
    let standby = primary.standby();
    if replication == Synchronous {
        primary.set("synchronous_standby_names", "*");
    }
    (primary, standby)
}

/// A URL with both as hosts.
fn url_of_both(one: &PrivateCluster, other: &PrivateCluster) -> String {
    let port = |cluster: &PrivateCluster| Url::parse(cluster.url()).expect("a URL").port().expect("a port");
    format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", port(one), port(other))
}

/// The standby takes over; the former primary goes on and takes no writes.
fn fail_over(primary: &PrivateCluster, standby: &PrivateCluster) {
    primary.set("default_transaction_read_only", "on");
    primary.wait_for_standby();
    standby.promote();
}

/// Asks until the answer has this status; returns how long that took.
async fn time_until(status: u16, client: &TestClient<'_>, path: &str) -> Duration {
    let begun = Instant::now();
    until_status(status, || client.get(path)).await;
    begun.elapsed()
}

/// Asks for this long whether a session is good; nobody may say so.
async fn never_accepted(client: &TestClient<'_>, length: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < length {
        let status = client.get("/auth/verify").await.status;
        assert!(matches!(status, 401 | 503), "{status}, {:?} after the end was acknowledged", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[rstest]
#[actix_web::test]
async fn what_is_ended_after_a_failover_is_over_at_a_node_that_was_left_on_the_old_primary(
    #[values(Synchronous, Asynchronous)] replication: Replication,
    #[values("true", "false")] live_view: &str,
) {
    let (primary, standby) = pair(replication);
    let settings = [("VIGIE__NODES__LIVE_VIEW", live_view)];
    let b = TestApp::start_at(&url_of_both(&primary, &standby), &settings).await;
    // Its name goes on leading to the old primary.
    let (proxy, url) = Proxy::in_front_of(primary.url());
    let a = b.another_node_at(&url).await;
    let (alice, bob) = (b.signed_in("alice").await, b.signed_in("bob").await);
    alice.at(&a).get("/auth/verify").await.expect(200);
    bob.at(&a).get("/auth/verify").await.expect(200);

    fail_over(&primary, &standby);
    let recovered = time_until(200, &b.nobody(), "/health/ready").await + time_until(200, &bob, "/auth/verify").await;
    assert!(recovered < RECOVERY, "{recovered:?}");
    alice.post_empty("/auth/logout").await.expect(204);
    never_accepted(&alice.at(&a), Duration::from_secs(4)).await;
    // Nor does it decide anything else.
    assert_eq!(bob.at(&a).get("/auth/verify").await.status, 503);
    let ready = a.nobody().get("/health/ready").await.expect(503);
    assert!(ready["reason"].as_str().is_some_and(|reason| reason.contains("read-only")), "{ready}");

    proxy.lead_to(standby.url());
    let recovered =
        time_until(200, &bob.at(&a), "/auth/verify").await + time_until(200, &a.nobody(), "/health/ready").await;
    assert!(recovered < RECOVERY, "{recovered:?}");
    alice.at(&a).get("/auth/verify").await.problem(401, "session_ended");
}

/// The old primary is not told that it is one: it goes on, and waits for a standby that has gone.
#[rstest]
#[actix_web::test]
async fn a_node_on_a_primary_that_lost_its_synchronous_standby_decides_nothing(
    #[values("true", "false")] live_view: &str,
) {
    let (primary, standby) = pair(Synchronous);
    let settings = [("VIGIE__NODES__LIVE_VIEW", live_view)];
    let a = TestApp::start_at(primary.url(), &settings).await;
    let (alice, bob) = (a.signed_in("alice").await, a.signed_in("bob").await);
    alice.get("/auth/verify").await.expect(200);
    primary.wait_for_standby();
    standby.promote();
    let b = a.another_node_at(standby.url()).await;
    alice.at(&b).post_empty("/auth/logout").await.expect(204);
    never_accepted(&alice, Duration::from_secs(4)).await;
    assert_eq!(bob.get("/auth/verify").await.status, 503);
    a.nobody().get("/health/ready").await.expect(503);
    // So that nobody waits at the end.
    primary.set("synchronous_standby_names", "");
}

/// A name behind which a standby is as well.
#[actix_web::test]
async fn a_standby_is_not_asked_by_whatever_name_it_is_reached() {
    let (primary, standby) = pair(Asynchronous);
    let (proxy, url) = Proxy::in_front_of(primary.url());
    let app = TestApp::start_at(&format!("{url}?target_session_attrs=any"), &[]).await;
    let alice = app.signed_in("alice").await;
    proxy.cut();
    proxy.lead_to(standby.url());
    proxy.restore();
    time_until(503, &alice, "/auth/verify").await;
    never_accepted(&alice, Duration::from_secs(2)).await;
    let ready = app.nobody().get("/health/ready").await.expect(503);
    assert!(ready["reason"].as_str().is_some_and(|reason| reason.contains("read-only")), "{ready}");
    proxy.lead_to(primary.url());
    let recovered =
        time_until(200, &alice, "/auth/verify").await + time_until(200, &app.nobody(), "/health/ready").await;
    assert!(recovered < RECOVERY, "{recovered:?}");
}

/// Others time a lease by its number. One that a crash took back would be timed from before it was held.
#[actix_web::test]
async fn a_lease_that_was_begun_is_in_the_database_after_a_crash() {
    let cluster = PrivateCluster::launch(Options { settings: &["wal_writer_delay=10s"], ..Options::default() });
    let app = TestApp::start_at(cluster.url(), &[("VIGIE__NODES__LEASE", "1m")]).await;
    let (id, now) = (NodeId::new(app.now()), app.now());
    let join = move |db: &mut _| nodes::join(db, id, "192.0.2.1:1", Duration::from_mins(1), now);
    app.app.store.write::<_, StoreError>(join).await.expect("written");
    for next in 2..8 {
        let numbers = LeaseNumbers { acknowledged: next - 1, next };
        let renewed = app.app.store.write_autocommit(move |db| nodes::renew(db, id, numbers, 0)).await;
        assert_eq!(renewed, Ok(true));
    }
    cluster.crash();
    cluster.start();
    let lease_no = format!("SELECT lease_no::text AS line FROM nodes WHERE id = '{}'", id.0);
    assert_eq!(Beside::connect(cluster.url()).lines(&lease_no), ["7"]);
}

/// A database that lost what it had acknowledged may have lost ends as well.
#[actix_web::test]
async fn a_node_whose_lease_the_database_has_lost_takes_it_for_an_older_copy() {
    let cluster = PrivateCluster::launch(Options::default());
    let app = TestApp::start_at(cluster.url(), &[]).await;
    let alice = app.signed_in("alice").await;
    let beside = |statement: &str| execute(cluster.url(), statement).expect("a superuser may");
    app.advance(chrono::TimeDelta::seconds(5));
    let (mut looking, renewed) =
        (Beside::connect(cluster.url()), "SELECT id::text AS line FROM nodes WHERE lease_no > 2");
    until("the lease is renewed", async || !looking.lines(renewed).is_empty()).await;
    beside("UPDATE nodes SET lease_no = 1");
    time_until(401, &alice, "/auth/verify").await;
    let kind = vigie::model::audit::AuditKind::DatabaseWentBack;
    assert!(app.events().await.iter().any(|recorded| recorded.event.kind == kind));
    app.log_in("alice").await.get("/auth/verify").await.expect(200);
}

/// PostgreSQL answers a commit whose wait for the standby is cancelled as if it had been made there.
#[actix_web::test]
async fn an_end_that_did_not_reach_the_standby_is_not_acknowledged_though_its_wait_is_cancelled() {
    let (primary, standby) = pair(Synchronous);
    let app = TestApp::start_at(primary.url(), &[("VIGIE__DATABASE__WAIT", "1s")]).await;
    let alice = app.signed_in("alice").await;
    standby.stop();
    let (answered, url) = (Arc::new(AtomicBool::new(false)), primary.url().to_owned());
    let seen = Arc::clone(&answered);
    // As an administrator does who sees that everybody waits.
    let cancelling = std::thread::spawn(move || {
        let mut cancelled = 0;
        let mut beside = Beside::connect(&url);
        while !seen.load(Ordering::Relaxed) {
            cancelled += beside.lines(CANCEL).len();
        }
        cancelled
    });
    let answer = alice.post_empty("/auth/logout").await;
    answered.store(true, Ordering::Relaxed);
    assert!(cancelling.join().expect("it does not panic") > 1, "no wait was cancelled");
    assert_eq!(answer.status, 503, "acknowledged, and not on the standby");

    standby.start();
    time_until(200, &app.nobody(), "/health/ready").await;
    alice.post_empty("/auth/logout").await.expect(204);
    alice.get("/auth/verify").await.problem(401, "session_ended");
}

const CANCEL: &str = "SELECT pg_cancel_backend(pid)::text AS line FROM pg_stat_activity
    WHERE wait_event = 'SyncRep' AND query_start < clock_timestamp() - interval '300 milliseconds'";
