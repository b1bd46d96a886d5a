//! PostgreSQL goes away and comes back: 503 and never an answer about a token; and all works again without a restart.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use vigie::model::secret::{Secret, SecretKind};

use super::{assert_unavailable, recovers};
use crate::support::app::{Answer, PASSWORD, TestApp, TestClient, send, until_status};
use crate::support::backend::Backend::Postgres;
use crate::support::dump::dump_but_nodes;
use crate::support::postgres::{Options, PrivateCluster};
use crate::support::until::until;

/// Gives up early, so that the tests are quick.
/// Every check is a query: what a node answers while its lease lasts is in `coherence`.
const IMPATIENT: &[(&str, &str)] = &[("VIGIE__DATABASE__WAIT", "300ms"), ("VIGIE__NODES__LIVE_VIEW", "false")];

/// How long the database stays away while a logout is under way.
const AWAY: Duration = Duration::from_millis(700);

const SOME_ID: &str = "01900000-0000-7000-8000-000000000000";

/// Every route that asks for a token, as the description of the API has it: a route added later is tried as well.
async fn guarded_routes(app: &TestApp) -> Vec<(Method, String)> {
    let document = app.nobody().get("/openapi.json").await.expect(200);
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let ways = operation["security"].as_array();
            if ways.is_some_and(|ways| ways.iter().any(|way| way["bearer"].is_array())) {
                let path = path.replace("{id}", SOME_ID);
                routes.push((method.to_uppercase().parse().expect("a method"), path));
            }
        }
    }
    assert!(routes.len() >= 30, "{}", routes.len());
    routes
}

/// What needs no token, and hands one out, ends one or uses one up.
async fn open_questions(client: &TestClient<'_>) -> Vec<(&'static str, Answer)> {
    let nobody = client.app.nobody();
    let one_time = Secret::random().reveal(SecretKind::OneTimeToken);
    let login = |password: &str| json!({ "username": "root", "password": password });
    let mut answers = vec![
        ("a good login", nobody.post("/auth/login", login(PASSWORD)).await),
        ("a bad login", nobody.post("/auth/login", login("quatre lapins bleus dansent")).await),
        ("an unknown name", nobody.post("/auth/login", json!({ "username": "nobody", "password": PASSWORD })).await),
        ("a refresh", client.refresh().await),
        ("a logout", client.post_empty("/auth/logout").await),
    ];
    let refresh_token = json!({ "refresh_token": client.refresh_token });
    answers.push(("a logout by refresh token", nobody.post("/auth/logout", refresh_token).await));
    let reset = json!({ "token": one_time, "new_password": "neuf renards roux courent" });
    answers.push(("a reset", nobody.post("/auth/reset", reset).await));
    let setup = json!({ "token": one_time, "username": "first", "password": "neuf renards roux courent" });
    answers.push(("a setup", nobody.post("/auth/setup", setup).await));
    answers
}

#[actix_web::test]
async fn while_postgresql_is_away_every_route_that_asks_for_a_token_answers_503() {
    let (app, proxy) = TestApp::behind_proxy(IMPATIENT).await;
    let root = app.admin().await;
    let routes = guarded_routes(&app).await;
    proxy.cut();
    for (method, path) in routes {
        let answer = send(root.request(method.clone(), &path)).await;
        assert_unavailable(&answer, &format!("{method} {path}"));
    }
    // Nor is a token that is no token told apart: it is refused by its form alone, and that needs no store.
    root.with_token("nonsense").get("/auth/me").await.problem(401, "token_invalid");
    proxy.restore();
    recovers(|| root.get("/auth/me")).await;
    recovers(|| root.get("/auth/sessions")).await;
}

#[actix_web::test]
async fn while_postgresql_is_away_nobody_gets_in_or_out_and_nothing_is_half_written() {
    let (app, proxy) = TestApp::behind_proxy(IMPATIENT).await;
    let root = app.admin().await;
    let before = dump_but_nodes(&app.database.url);
    proxy.cut();
    for (asked, answer) in open_questions(&root).await {
        assert_unavailable(&answer, asked);
    }
    proxy.restore();
    recovers(|| root.get("/auth/me")).await;
    assert_eq!(dump_but_nodes(&app.database.url), before);
    let refreshed = root.refresh().await.expect(200);
    app.client(&refreshed).post_empty("/auth/logout").await.expect(204);
}

#[actix_web::test]
async fn readiness_follows_the_database_and_life_does_not() {
    let (app, proxy) = TestApp::behind_proxy(IMPATIENT).await;
    let nobody = app.nobody();
    assert_eq!(nobody.get("/health/ready").await.expect(200)["status"], "ok");
    proxy.cut();
    let answer = nobody.get("/health/ready").await.expect(503);
    assert_eq!(answer, json!({ "status": "unavailable", "checks": "store", "reason": "the database does not answer" }));
    nobody.get("/health/live").await.expect(200);
    proxy.restore();
    until_status(200, || nobody.get("/health/ready")).await;
}

/// Questions go on all the while: a dead connection must not be trusted again because it was used a moment ago.
#[actix_web::test]
async fn a_server_that_restarts_is_found_again_under_load() {
    let cluster = PrivateCluster::launch(Options::default());
    let app = TestApp::start_at(cluster.url(), IMPATIENT).await;
    let alice = app.signed_in("alice").await;
    join_all((0..8).map(|_| alice.get("/auth/me"))).await.into_iter().for_each(|answer| drop(answer.expect(200)));

    let restarting = tokio::task::spawn_blocking(move || {
        cluster.restart();
        cluster
    });
    while !restarting.is_finished() {
        for answer in join_all((0..4).map(|_| alice.get("/auth/me"))).await {
            if answer.status != 200 {
                assert_unavailable(&answer, "during the restart");
            }
        }
    }
    let cluster = restarting.await.expect("the cluster restarts");
    recovers(|| alice.get("/auth/me")).await;
    // All of the pool recovers, not one lucky connection of it.
    let ask = async || join_all((0..8).map(|_| alice.get("/auth/me"))).await;
    until("no connection is dead", async || ask().await.iter().all(|answer| answer.status == 200)).await;
    alice.refresh().await.expect(200);
    drop(app);
    drop(cluster);
}

#[actix_web::test]
async fn a_network_that_swallows_everything_is_answered_503_within_seconds() {
    let (app, proxy) = TestApp::behind_proxy(IMPATIENT).await;
    let alice = app.signed_in("alice").await;
    let before = dump_but_nodes(&app.database.url);
    proxy.stall();
    let begun = Instant::now();
    let login = json!({ "username": "alice", "password": PASSWORD });
    let nobody = app.nobody();
    // More than there are connections: each is taken up by a question that gets no answer.
    let checks = join_all((0..6).map(|_| alice.get("/auth/me")));
    let (checks, login, refresh, logout, ready) = tokio::join!(
        checks,
        nobody.post("/auth/login", login),
        alice.refresh(),
        alice.post_empty("/auth/logout"),
        nobody.get("/health/ready"),
    );
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(ready.status, 503);
    for answer in checks.iter().chain([&login, &refresh, &logout]) {
        assert_unavailable(answer, "over a stalled network");
    }
    proxy.restore();
    recovers(|| alice.get("/auth/me")).await;
    assert_eq!(dump_but_nodes(&app.database.url), before);
}

/// The server takes the connection but a commit is never confirmed: the caller is told that nothing is known, and what
/// was asked for has happened wholly or not at all.
///
/// The database comes back while the logout waits: one that was committed is acknowledged when the other nodes can be asked,
/// or when every lease has run out, which takes a minute on a node that has no lease itself.
#[actix_web::test]
async fn an_end_that_was_not_confirmed_is_whole_or_did_not_happen() {
    let (app, proxy) = TestApp::behind_proxy(IMPATIENT).await;
    for delay in [0, 1, 2, 4, 8] {
        let user = app.signed_in(&format!("user-{delay}")).await;
        let (answer, ()) = tokio::join!(user.post_empty("/auth/logout"), async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            proxy.cut();
            tokio::time::sleep(AWAY).await;
            proxy.restore();
        });
        let decided = async || Some(user.get("/auth/me").await).filter(|answer| answer.status != 503);
        let after = until("it has recovered by itself", decided).await;
        if answer.status == 204 {
            after.problem(401, "session_ended");
        } else {
            assert_unavailable(&answer, "a logout that was cut off");
            assert!(matches!(after.status, 200 | 401), "{after:?}");
        }
        let ended = format!(
            "SELECT count(*)::text AS line FROM sessions WHERE id = '{}' AND ended_at IS NOT NULL",
            user.session_id
        );
        let recorded = format!(
            "SELECT count(*)::text AS line FROM audit_events WHERE session_id = '{}' AND kind = 'session.ended'",
            user.session_id
        );
        let mut beside = crate::support::dump::Beside::connect(&app.database.url);
        assert_eq!(beside.lines(&ended), beside.lines(&recorded), "an end and its record go together");
    }
}

#[actix_web::test]
async fn a_start_without_the_database_fails_and_says_why() {
    let database = Postgres.database();
    let (proxy, url) = crate::support::proxy::Proxy::in_front_of(&database.url);
    proxy.cut();
    let address = vigie::store::Address::parse(&url).unwrap();
    let settings = vigie::store::Settings { address, pool_size: 2, wait: Duration::from_millis(300) };
    let error = vigie::store::Store::open(settings).unwrap_err().to_string();
    assert!(error.starts_with("the database cannot be opened: "), "{error}");
}
