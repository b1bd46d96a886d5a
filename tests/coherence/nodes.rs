//! Nodes with leases in one process: what they answer from memory, and until when.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::app::App;
use vigie::model::alert::AlertKind;
use vigie::model::audit::{AuditContext, AuditKind};
use vigie::model::change::Change;
use vigie::model::filter::SessionFilter;
use vigie::model::id::NodeId;
use vigie::model::not_before::Scope;
use vigie::model::session::{Actor, End, EndReason};
use vigie::model::user::Role;
use vigie::store::nodes::LeaseNumbers;
use vigie::store::sessions::{self, Closing};
use vigie::store::{StoreError, changes, nodes};
use vigie::user::change::UserChange;

use crate::support::app::{TestApp, until_status};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::proxy::Proxy;
use crate::support::until::until;

const LEASE: Duration = Duration::from_secs(2);
/// A lease, the margin, and what a busy machine may add.
const ACKNOWLEDGED_BY: Duration = Duration::from_secs(6);

async fn checks(app: &TestApp) -> String {
    let ready = app.nobody().get("/health/ready").await.json();
    ready["checks"].as_str().expect("it says how checks are answered").to_owned()
}

/// P8: a known session is checked without the store; P4: and no longer than the lease lasts.
#[actix_web::test]
async fn cut_off_from_its_database_a_node_answers_while_its_lease_lasts_and_503_from_then_on() {
    let (app, proxy) = TestApp::behind_proxy(&[("VIGIE__DATABASE__WAIT", "300ms")]).await;
    let alice = app.signed_in("alice").await;
    alice.get("/auth/me").await.expect(200);
    assert_eq!(checks(&app).await, "memory");

    proxy.cut();
    let cut_at = Instant::now();
    let (mut last_good, mut refused) = (Duration::ZERO, 0);
    while cut_at.elapsed() < LEASE + Duration::from_secs(2) {
        let (asked_at, answer) = (cut_at.elapsed(), alice.get("/auth/verify").await);
        match answer.status {
            200 => last_good = asked_at,
            503 => refused += 1,
            other => panic!("{other}: {}", answer.body),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(last_good <= LEASE, "answered {last_good:?} after the cut");
    assert!(refused > 0);
    assert_eq!(checks(&app).await, "store");

    proxy.restore();
    until_status(200, || alice.get("/auth/verify")).await;
    until("a lease is taken again", async || checks(&app).await == "memory").await;
}

/// P2, P3: the end waits until the node that cannot be asked holds no lease any more.
#[actix_web::test]
async fn an_end_is_acknowledged_when_a_node_that_is_cut_off_can_answer_no_longer() {
    let a = TestApp::start(Postgres).await;
    let (proxy, url) = Proxy::in_front_of(&a.database.url);
    let b = a.another_node_at(&url).await;
    let alice = a.signed_in("alice").await;
    alice.at(&b).get("/auth/verify").await.expect(200);

    proxy.stall();
    let begun = Instant::now();
    alice.post_empty("/auth/logout").await.expect(204);
    assert!(begun.elapsed() < ACKNOWLEDGED_BY, "{:?}", begun.elapsed());
    let answer = alice.at(&b).get("/auth/verify").await;
    assert_eq!(answer.status, 503, "from memory: {}", answer.body);
    // The node was evicted: the next end need not wait for it.
    let bob = a.signed_in("bob").await;
    let begun = Instant::now();
    bob.post_empty("/auth/logout").await.expect(204);
    assert!(begun.elapsed() < LEASE, "{:?}", begun.elapsed());

    proxy.restore();
    let elsewhere = alice.at(&b);
    until_status(401, || elsewhere.get("/auth/verify")).await.problem(401, "session_ended");
}

/// P2: whoever asks once more, because no answer came, is not answered sooner than the first.
#[rstest]
#[actix_web::test]
async fn an_end_that_is_asked_for_again_is_not_acknowledged_sooner(
    #[values("erase", "delete", "reuse", "everywhere", "own")] how: &str,
) {
    let a = TestApp::start(Postgres).await;
    let (proxy, url) = Proxy::in_front_of(&a.database.url);
    let b = a.another_node_at(&url).await;
    let (root, alice) = (a.admin().await, a.signed_in("alice").await);
    let id = a.app.users.find_by_id_or_name("alice").await.unwrap().unwrap().id;
    let spent = json!({ "refresh_token": alice.refresh_token });
    if how == "reuse" {
        a.nobody().post("/auth/refresh", spent.clone()).await.expect(200);
        a.advance(chrono::TimeDelta::minutes(5));
    }
    alice.at(&b).get("/auth/verify").await.expect(200);
    proxy.stall();
    let ask = async || match how {
        "reuse" => a.nobody().post("/auth/refresh", spent.clone()).await.status,
        "everywhere" => alice.post_empty("/auth/logout-all").await.status,
        "own" => alice.delete(&format!("/auth/sessions/{}", alice.session_id)).await.status,
        "delete" => root.delete(&format!("/admin/users/{id}")).await.status,
        _ => root.post_empty(&format!("/admin/users/{id}/erase")).await.status,
    };
    let again = async {
        until("the first has been committed", async || a.end_reason(&alice.session_id).await).await;
        (ask().await, alice.at(&b).get("/auth/verify").await.status)
    };
    let (first, (second, status)) = tokio::join!(ask(), again);
    let answers = match how {
        "reuse" => (401, 401),
        "everywhere" => (200, 401),
        "own" => (204, 401),
        "delete" => (204, 404),
        _ => (200, 200),
    };
    assert_eq!((first, second), answers);
    assert_eq!(status, 503, "the other node still answers from memory");
    proxy.restore();
}

/// P2: a node whose leases are longer than one's own is waited for as long as it says.
#[rstest]
#[actix_web::test]
async fn a_node_with_a_longer_lease_is_waited_for(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start(backend).await;
    let alice = a.signed_in("alice").await;
    let longer = LEASE * 2;
    let (id, now) = (NodeId::new(a.now()), a.now());
    let join = move |db: &mut _| nodes::join(db, id, "192.0.2.1:1", longer, now);
    a.app.store.write::<_, StoreError>(join).await.expect("written");
    let begun = Instant::now();
    alice.post_empty("/auth/logout").await.expect(204);
    let (waited, at_least) = (begun.elapsed(), longer + longer / 4);
    assert!(waited >= at_least, "{waited:?}");
    // Nothing but the database's own restart lets the wait begin anew.
    assert!(waited < at_least + Duration::from_secs(2), "{waited:?}");
}

/// Ends gather while other nodes are waited for; where one does not answer, those that come later are committed all the same,
/// and all of them are acknowledged by the one wait.
#[rstest]
#[actix_web::test]
async fn a_silent_node_holds_up_no_later_end(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start(backend).await;
    let (alice, bob) = (a.signed_in("alice").await, a.signed_in("bob").await);
    let silent = LEASE * 3;
    let (id, now) = (NodeId::new(a.now()), a.now());
    let join = move |db: &mut _| nodes::join(db, id, "192.0.2.1:1", silent, now);
    a.app.store.write::<_, StoreError>(join).await.expect("written");
    // Until the node has seen that it has company, which is when it begins to count.
    tokio::time::sleep(LEASE / 2).await;
    let begun = Instant::now();
    let second = async {
        until("the first end is committed", async || a.end_reason(&alice.session_id).await).await;
        bob.post_empty("/auth/logout").await.expect(204);
    };
    let committed = async {
        until("the second end is committed", async || a.end_reason(&bob.session_id).await).await;
        begun.elapsed()
    };
    let first = async { alice.post_empty("/auth/logout").await.expect(204) };
    let (_, (), committed) = tokio::join!(first, second, committed);
    let acknowledged = begun.elapsed();
    assert!(committed < silent / 2, "the second end waited {committed:?} for a node that is silent");
    assert!(acknowledged > silent / 2, "{acknowledged:?}: the silent node was not waited for");
    assert!(acknowledged < silent * 2, "{acknowledged:?}: they did not wait together");
}

/// P2: whoever commits an end and loses the store waits for the leases it has seen. So a node's are no longer than those of
/// the others until they have seen its row.
#[rstest]
#[actix_web::test]
async fn the_first_leases_of_a_node_are_no_longer_than_those_of_the_others(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let (short, long) = (Duration::from_secs(1), Duration::from_secs(30));
    let a = TestApp::start_with(backend, &[("VIGIE__NODES__LEASE", "1s")]).await;
    let begun = Instant::now();
    let b = a.another_node_with(&[("VIGIE__NODES__LEASE", "30s")]).await;
    while begun.elapsed() < short * 2 {
        let left = b.app.coherence.lease_left();
        assert!(left <= short, "{left:?} after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until("its leases are long", async || b.app.coherence.lease_left() >= long / 2).await;
}

/// Ends every connection that listens for notifications.
const DEAFEN: &str = "SELECT pg_terminate_backend(pid)::text AS line FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";

/// Notifications only save time: behind a pooler that swallows them, an end waits for the next renewal.
#[actix_web::test]
async fn without_notifications_an_end_is_acknowledged_all_the_same() {
    let a = TestApp::start(Postgres).await;
    let b = a.another_node().await;
    let mut beside = Beside::connect(&a.database.url);
    for name in ["alice", "bob", "carol"] {
        let client = a.signed_in(name).await;
        client.at(&b).get("/auth/verify").await.expect(200);
        beside.lines(DEAFEN);
        client.post_empty("/auth/logout").await.expect(204);
        client.at(&b).get("/auth/verify").await.problem(401, "session_ended");
    }
}

/// A process that is no node, such as a command, ends sessions with the same promise.
#[rstest]
#[actix_web::test]
async fn what_a_process_that_is_no_node_ends_is_over_on_every_node(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start(backend).await;
    let b = a.another_node().await;
    let alice = a.signed_in("alice").await;
    alice.at(&b).get("/auth/verify").await.expect(200);
    let command = App::open(a.app.config.clone(), a.clock.clone()).await.expect("it opens");
    assert!(!command.coherence.is_live());
    let id = alice.session_id.parse().expect("an id");
    let ended = command.sessions.end(id, EndReason::EndedByAdmin, None, &AuditContext::command_line()).await;
    assert_eq!(ended, Ok(Some(true)));
    alice.get("/auth/verify").await.problem(401, "session_ended");
    alice.at(&b).get("/auth/verify").await.problem(401, "session_ended");
    command.close().await;
}

/// An end that was committed by a process that died before anybody heard of it is in the next acknowledgement.
#[rstest]
#[actix_web::test]
async fn what_a_dead_process_ended_is_over_when_the_next_end_is_acknowledged(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let a = TestApp::start(backend).await;
    let b = a.another_node().await;
    for round in 0..5 {
        let name = || format!("user-{}", uuid::Uuid::now_v7().simple());
        let (left, other) = (a.signed_in(&name()).await, a.signed_in(&name()).await);
        left.get("/auth/verify").await.expect(200);
        left.at(&b).get("/auth/verify").await.expect(200);
        let (id, now) = (left.session_id.parse().expect("an id"), a.now());
        let end = End { at: now, reason: EndReason::EndedByAdmin, by: Actor::command_line(), note: None };
        let write = move |db: &mut _| {
            sessions::end_all(db, &[Closing { id, end: &end, last_use: None }])?;
            changes::insert(db, &[Change::Session(id)], now)
        };
        // Each node renews its lease twice a second; the call comes at another moment between, each time.
        tokio::time::sleep(Duration::from_millis(100) * round).await;
        a.app.store.write::<_, StoreError>(write).await.expect("written");
        if backend == Postgres {
            // Without notifications each node learns of it at a renewal, at another moment than the other.
            Beside::connect(&a.database.url).lines(DEAFEN);
        }
        // By turns: whichever renews last must not be the one that the end forgets.
        other.at(if round % 2 == 0 { &a } else { &b }).post_empty("/auth/logout").await.expect(204);
        left.get("/auth/verify").await.problem(401, "session_ended");
        left.at(&b).get("/auth/verify").await.problem(401, "session_ended");
    }
}

/// The emergency: one write, whatever the number of sessions.
#[rstest]
#[actix_web::test]
async fn a_not_before_holds_everywhere_at_once_without_a_change_for_each_session(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("user", "client", "everybody")] scope: &str,
) {
    let a = TestApp::start(backend).await;
    let b = a.another_node().await;
    let root = a.admin().await;
    let body = json!({ "id": "courrier", "name": "Courrier", "scopes": ["introspect"] });
    root.post("/admin/clients", body).await.expect(201);
    let user = a.user("alice", "agent").await;
    let login = json!({ "username": "alice", "password": crate::support::app::PASSWORD, "client_id": "courrier" });
    let nobody = a.nobody();
    let logins = join_all((0..5).map(|_| nobody.post("/auth/login", login.clone()))).await;
    let clients: Vec<_> = logins.into_iter().map(|answer| a.client(&answer.expect(200))).collect();
    for client in &clients {
        client.at(&b).get("/auth/verify").await.expect(200);
    }
    let mut beside = Beside::connect(&a.database.url);
    let mut count = || beside.lines("SELECT count(*) || '' AS line FROM changes").remove(0).parse::<i64>().unwrap();
    let before = count();
    a.advance(TimeDelta::seconds(1));
    let scope = match scope {
        "user" => Scope::User(user.id),
        "client" => Scope::Client(vigie::model::client::ClientId::parse("courrier").expect("an id")),
        _ => Scope::Everybody,
    };
    a.app.sessions.set_not_before(scope, None, None, &AuditContext::command_line()).await.expect("set");
    assert_eq!(count() - before, 1, "one change");
    for client in &clients {
        client.at(&b).get("/auth/verify").await.problem(401, "session_ended");
        client.get("/auth/verify").await.problem(401, "session_ended");
    }
}

/// Ending by a filter neither keeps checks waiting nor refuses anybody else meanwhile.
#[rstest]
#[actix_web::test]
async fn ending_many_by_a_filter_lets_checks_of_others_go_on(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start_with(backend, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    let b = a.another_node().await;
    let (alice, bob) = (a.signed_in("alice").await, a.signed_in("bob").await);
    let user = a.app.users.find_by_id_or_name("alice").await.expect("asked").expect("there");
    let id = user.id;
    for _ in 0..3 {
        let origin = vigie::model::session::ClientInfo { ip: [192, 0, 2, 1].into(), user_agent: None };
        let many: Vec<_> = (0..500)
            .map(|_| {
                a.app.sessions.new_session(&user, origin.clone(), vigie::model::client::LoginClient::Unnamed, None)
            })
            .collect();
        let insert = move |db: &mut _| many.iter().try_for_each(|session| vigie::store::sessions::insert(db, session));
        a.app.store.write(insert).await.expect("written");
    }
    let ending = a.app.sessions.clone();
    let ended = actix_web::rt::spawn(async move {
        let to_end = SessionFilter::of_user(id).into();
        ending.end_matching(to_end, None, false, &AuditContext::command_line()).await
    });
    let mut asked = 0;
    while !ended.is_finished() {
        bob.get("/auth/verify").await.expect(200);
        bob.at(&b).get("/auth/verify").await.expect(200);
        asked += 2;
    }
    assert_eq!(ended.await.expect("it ends").expect("the store works").ended, 1501);
    assert!(asked > 0);
    alice.get("/auth/verify").await.problem(401, "session_ended");
    alice.at(&b).get("/auth/verify").await.problem(401, "session_ended");
}

/// SES-06: what another node has seen counts here, however long this one has not.
#[rstest]
#[actix_web::test]
async fn a_session_in_use_at_one_node_is_not_idle_at_another(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start_with(backend, &[("VIGIE__TOKENS__ACCESS_TTL", "3h")]).await;
    let b = a.another_node().await;
    let alice = a.signed_in("alice").await;
    alice.at(&b).get("/auth/verify").await.expect(200);
    for _ in 0..4 {
        a.advance(TimeDelta::minutes(20));
        alice.get("/auth/verify").await.expect(200);
        a.app.sessions.flush_last_seen().await.expect("written");
    }
    alice.at(&b).get("/auth/verify").await.expect(200);
    a.advance(TimeDelta::minutes(31));
    alice.at(&b).get("/auth/verify").await.problem(401, "session_ended");
}

/// A use in the last seconds before the idle end is written before it is answered.
#[rstest]
#[actix_web::test]
async fn a_use_just_before_the_idle_end_counts_at_once_on_every_node(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start_with(backend, &[("VIGIE__TOKENS__ACCESS_TTL", "2h")]).await;
    let b = a.another_node().await;
    let alice = a.signed_in("alice").await;
    alice.at(&b).get("/auth/verify").await.expect(200);
    // Not written: 29 min 58 s later B still knows of the login alone.
    a.advance(TimeDelta::seconds(30 * 60 - 2));
    alice.get("/auth/verify").await.expect(200);
    a.advance(TimeDelta::seconds(4));
    alice.at(&b).get("/auth/verify").await.expect(200);
    a.advance(TimeDelta::minutes(31));
    alice.at(&b).get("/auth/verify").await.problem(401, "session_ended");
}

/// A node whose row somebody took away must not go on as if it had one.
#[rstest]
#[actix_web::test]
async fn an_evicted_node_joins_anew_and_remembers_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start(backend).await;
    let b = a.another_node().await;
    let alice = a.signed_in("alice").await;
    alice.at(&b).get("/auth/verify").await.expect(200);
    let mut beside = Beside::connect(&a.database.url);
    let mut rows = || beside.lines("SELECT count(*) || '' AS line FROM nodes").remove(0);
    assert_eq!(rows(), "2");
    Beside::connect(&a.database.url).execute("DELETE FROM nodes").expect("deleted");
    until("both have joined again", async || rows() == "2").await;
    alice.post_empty("/auth/logout").await.expect(204);
    alice.at(&b).get("/auth/verify").await.problem(401, "session_ended");
}

/// A node that has applied what the database does not have any more may not say so to those who end sessions: the numbers it
/// knows are given anew there.
#[rstest]
#[actix_web::test]
async fn a_node_renews_no_lease_on_an_older_copy(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (id, now) = (NodeId::new(app.now()), app.now());
    let join = move |db: &mut _| {
        nodes::join(db, id, "192.0.2.1:1", Duration::from_secs(2), now)?;
        Ok::<_, StoreError>(changes::head(db)?.seq)
    };
    let head = app.app.store.write(join).await.expect("written");
    let renew = |acknowledged, next, applied| {
        let numbers = LeaseNumbers { acknowledged, next };
        app.app.store.write_autocommit(move |db| nodes::renew(db, id, numbers, applied))
    };
    assert_eq!(renew(1, 2, head).await, Ok(true));
    assert_eq!(renew(2, 3, head + 1).await, Ok(false), "the feed has not come so far");
    assert_eq!(renew(3, 4, head).await, Ok(false), "lease 3 was kept once, and is not there");
    assert_eq!(renew(1, 2, head).await, Ok(false), "number 2 is used");
    assert_eq!(renew(2, 3, head - 1).await, Ok(false), "it has applied more");
    let row = app.app.store.read(move |db| nodes::others(db, None)).await.expect("read");
    let row = row.into_iter().find(|node| node.id == id).expect("a row");
    assert_eq!((row.applied_seq, row.lease_no), (head, 2));
}

/// A restored backup brings ended sessions back; the mark beside the database tells, and everybody logs in again.
#[rstest]
#[actix_web::test]
async fn when_the_database_went_back_in_time_every_session_is_refused_and_it_is_recorded(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("while running", "before a restart")] when: &str,
) {
    let mut app = TestApp::start(backend).await;
    let (alice, bob) = (app.signed_in("alice").await, app.signed_in("bob").await);
    alice.post_empty("/auth/logout").await.expect(204);
    bob.get("/auth/verify").await.expect(200);
    let (ended, lasting) = (alice.token().to_owned(), bob.token().to_owned());
    // The end gets its number within a renewal; one that came after the backup is what the mark must have seen.
    let mut beside = Beside::connect(&app.database.url);
    let mark = app.data.path().join("high-water.json");
    let seen = || Some(serde_json::from_slice::<Value>(&std::fs::read(&mark).ok()?).expect("JSON")["seq"].to_string());
    let all = "SELECT seq || '' AS line FROM change_head
               WHERE seq > 0 AND NOT EXISTS (SELECT 1 FROM changes WHERE changes.seq = 0)";
    until("the mark has seen the end", async || seen().is_some_and(|seen| beside.lines(all) == [seen])).await;
    app.advance(TimeDelta::seconds(5));
    let go_back = |beside: &mut Beside| {
        beside.drop_triggers();
        for statement in [
            "UPDATE sessions SET ended_at = NULL, end_reason = NULL, ended_by_kind = NULL, ended_by_id = NULL",
            "DELETE FROM changes",
            "UPDATE change_head SET seq = 0",
        ] {
            beside.execute(statement).expect(statement);
        }
    };
    if when == "before a restart" {
        app.close().await;
        go_back(&mut beside);
        app = app.restart().await;
    } else {
        go_back(&mut beside);
    }
    let gone = until_status(401, async || app.nobody().with_token(&lasting).get("/auth/verify").await).await;
    gone.problem(401, "session_ended");
    app.nobody().with_token(&ended).get("/auth/verify").await.problem(401, "session_ended");
    let events = app.events().await;
    assert!(events.iter().any(|recorded| recorded.event.kind == AuditKind::DatabaseWentBack), "{events:?}");
    // LOG-11: and reviewers are told.
    assert_eq!(app.alerts_of(AlertKind::HistoryWentBack).await.len(), 1);
    app.log_in("bob").await.get("/auth/verify").await.expect(200);
}

/// The metrics say how checks are answered and how long ends take.
#[actix_web::test]
async fn the_metrics_tell_hits_changes_and_acknowledgements() {
    let app = TestApp::start(Sqlite).await;
    let alice = app.signed_in("alice").await;
    for _ in 0..3 {
        alice.get("/auth/verify").await.expect(200);
    }
    alice.post_empty("/auth/logout").await.expect(204);
    let text = app.app.metrics.encode();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is missing")).parse::<f64>().expect("a number")
    };
    assert!(value("vigie_live_hits_total") > 1.5 && value("vigie_live_misses_total") > 0.5);
    assert!(value("vigie_live_mode") > 0.5);
    assert!(value("vigie_lease_left_seconds") > 0.0);
    assert!(value("vigie_changes_applied_total") >= 1.0);
    assert!(value("vigie_acknowledgement_seconds_count") >= 1.0);
}

/// A role holds from the next request on every node, by memory too.
#[rstest]
#[actix_web::test]
async fn a_new_role_holds_from_the_next_request_on_every_node(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = TestApp::start(backend).await;
    let b = a.another_node().await;
    let alice = a.signed_in("alice").await;
    alice.at(&b).get("/admin/stats").await.expect(403);
    let id = a.app.users.find_by_id_or_name("alice").await.expect("asked").expect("there").id;
    let change = UserChange { role: Role::parse("auditor").ok(), ..UserChange::default() };
    a.app.users.change(id, change, &AuditContext::command_line()).await.expect("changed");
    alice.at(&b).get("/admin/stats").await.expect(200);
    alice.get("/admin/stats").await.expect(200);
}
