//! What failed logins tell and cost (ATH-01 to ATH-06).

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use vigie::model::attempt::AttemptOutcome;
use vigie::model::audit::{AuditKind, Cause};
use vigie::model::user::{Role, User, UserState, Username};
use vigie::user::change::UserChange;
use vigie::user::create::NewUser;

use crate::support::app::{Answer, PASSWORD, TestApp, TestClient, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// The test is a proxy: it says where a request came from.
pub(super) const PROXIED: (&str, &str) = ("VIGIE__SERVER__TRUSTED_PROXIES", "127.0.0.1/32");
pub(super) const HOME: &str = "192.0.2.10";
pub(super) const ELSEWHERE: &str = "203.0.113.66";

pub(super) async fn try_from(app: &TestApp, address: &str, name: &str, password: &str) -> Answer {
    let request = app.nobody().request(Method::POST, "/auth/login").header("x-forwarded-for", address);
    send(request.json(&json!({ "username": name, "password": password }))).await
}

pub(super) async fn try_login(app: &TestApp, name: &str, password: &str) -> Answer {
    app.nobody().post("/auth/login", json!({ "username": name, "password": password })).await
}

async fn fail(app: &TestApp, times: usize) {
    for _ in 0..times {
        try_login(app, "alice", "wrong").await.problem(401, "invalid_credentials");
    }
}

/// Expects a refusal that says how many seconds to wait.
#[track_caller]
pub(super) fn expect_wait(answer: Answer, seconds: i64) {
    assert_eq!(answer.header("retry-after"), Some(seconds.to_string().as_str()), "{}", answer.body);
    answer.problem(429, "too_many_attempts");
}

async fn outcomes(app: &TestApp) -> Vec<AttemptOutcome> {
    app.attempts().await.iter().map(|attempt| attempt.outcome).collect()
}

pub(super) async fn without_password(app: &TestApp, name: &str) -> User {
    let new = NewUser {
        username: Username::parse(name).expect("a username"),
        role: Role::parse("agent").expect("a role"),
        password: None,
        email: None,
    };
    app.app.users.create(new, &Cause::command_line()).await.expect("the user is created")
}

pub(super) async fn disable(app: &TestApp, user: &User) {
    let change = UserChange { state: Some(UserState::Disabled), ..UserChange::default() };
    app.app.users.change(user.id, change, &Cause::command_line()).await.expect("disabled");
}

/// What somebody who tries can see: all but the id of the request and the time of the answer.
pub(super) fn visible(answer: &Answer) -> (u16, String, Vec<(String, String)>) {
    let id = answer.header("x-request-id").expect("a request id");
    let headers = answer.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"));
    let mut headers: Vec<_> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().expect("a text").to_owned())).collect();
    headers.sort();
    (answer.status, answer.body.replace(id, "ID"), headers)
}

#[rstest]
#[actix_web::test]
async fn ath_01_nobody_can_tell_why_a_login_failed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    disable(&app, &app.user("bob", "agent").await).await;
    without_password(&app, "carol").await;
    let wrong = try_login(&app, "alice", "wrong").await;
    let seen = visible(&wrong);
    wrong.problem(401, "invalid_credentials");
    let others = [
        ("nobody", "wrong"),
        ("nobody", PASSWORD),
        ("bob", PASSWORD),
        ("bob", "wrong"),
        ("carol", "wrong"),
        ("carol", ""),
        ("alice", ""),
        ("", ""),
        ("' OR 1=1 --", "x"),
        ("alice\u{0}", PASSWORD),
        ("\u{0}", "\u{0}"),
        ("alice\r\nFAKE", "x"),
    ];
    for (name, password) in others {
        assert_eq!(visible(&try_login(&app, name, password).await), seen, "{name:?} {password:?}");
    }
}

#[rstest]
#[actix_web::test]
async fn ath_01_nobody_can_tell_from_the_delay_either(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__THROTTLE__ADDRESS_FAILURES", "90")]).await;
    app.user("alice", "agent").await;
    disable(&app, &app.user("bob", "agent").await).await;
    without_password(&app, "carol").await;
    for name in ["alice", "bob", "carol", "nobody"] {
        for _ in 0..5 {
            try_login(&app, name, "wrong").await.problem(401, "invalid_credentials");
        }
    }
    let seen = visible(&try_login(&app, "alice", PASSWORD).await);
    assert_eq!(seen.0, 429);
    for name in ["bob", "carol", "nobody", "NOBODY", "Alice"] {
        assert_eq!(visible(&try_login(&app, name, PASSWORD).await), seen, "{name}");
    }
}

#[rstest]
#[actix_web::test]
async fn ath_02_after_five_failures_even_the_right_password_waits(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    fail(&app, 5).await;
    expect_wait(try_login(&app, "alice", PASSWORD).await, 60);
    app.advance(TimeDelta::seconds(59));
    expect_wait(try_login(&app, "ALICE", PASSWORD).await, 1);
    app.advance(TimeDelta::seconds(1));
    try_login(&app, "alice", PASSWORD).await.expect(200);
    let outcomes = outcomes(&app).await;
    let count = |outcome| outcomes.iter().filter(|kept| **kept == outcome).count();
    let counts = [AttemptOutcome::WrongPassword, AttemptOutcome::Throttled, AttemptOutcome::Success].map(count);
    assert_eq!(counts, [5, 2, 1]);
}

#[rstest]
#[actix_web::test]
async fn ath_02_the_delay_doubles_up_to_its_limit(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    fail(&app, 5).await;
    for minutes in [1, 2, 4, 8, 15, 15] {
        expect_wait(try_login(&app, "alice", PASSWORD).await, minutes * 60);
        app.advance(TimeDelta::minutes(minutes));
        fail(&app, 1).await;
    }
}

#[rstest]
#[actix_web::test]
async fn ath_02_a_success_starts_the_count_again(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    for _ in 0..3 {
        fail(&app, 4).await;
        try_login(&app, "alice", PASSWORD).await.expect(200);
    }
    fail(&app, 5).await;
    expect_wait(try_login(&app, "alice", PASSWORD).await, 60);
}

#[rstest]
#[actix_web::test]
async fn ath_02_there_is_a_limit_for_a_day(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__THROTTLE__DAILY_FAILURES", "7")]).await;
    app.user("alice", "agent").await;
    let began = app.now();
    fail(&app, 5).await;
    app.advance(TimeDelta::minutes(1));
    fail(&app, 1).await;
    app.advance(TimeDelta::minutes(2));
    fail(&app, 1).await;
    let left = began + TimeDelta::days(1) - app.now();
    expect_wait(try_login(&app, "alice", PASSWORD).await, left.num_seconds());
    app.advance(left - TimeDelta::seconds(1));
    expect_wait(try_login(&app, "alice", PASSWORD).await, 1);
    app.advance(TimeDelta::seconds(1));
    try_login(&app, "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn ath_02_many_tries_at_once_cannot_outrun_the_count(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let answers = join_all((0..20).map(|_| try_login(&app, "alice", "wrong"))).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(looked_at, 5);
    assert!(answers.iter().all(|answer| matches!(answer.status, 401 | 429)), "{answers:?}");
}

/// Fails until the account is closed, whatever the waiting.
async fn lock(app: &TestApp, failures: usize) {
    for _ in 0..failures {
        app.advance(TimeDelta::hours(25));
        fail(app, 1).await;
    }
}

#[rstest]
#[actix_web::test]
async fn ath_03_too_many_failures_in_a_row_close_the_account_until_it_is_unlocked(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__THROTTLE__LOCKED_AFTER", "8")]).await;
    let user = app.user("alice", "agent").await;
    lock(&app, 8).await;
    for _ in 0..3 {
        app.advance(TimeDelta::days(20));
        app.app.sessions.forget_old_throttles().await.expect("forgotten");
        try_login(&app, "alice", PASSWORD).await.problem(429, "too_many_attempts");
    }
    let events = app.events().await;
    let locked: Vec<_> = events.iter().filter(|event| event.event.kind == AuditKind::UserLocked).collect();
    assert_eq!(locked.len(), 1);
    assert_eq!(locked[0].event.subject.id.as_deref(), Some(user.id.to_string().as_str()));
    app.app.users.unlock(user.id, &Cause::command_line()).await.expect("unlocked");
    try_login(&app, "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn ath_03_unlocking_opens_the_account_for_known_networks_too(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__THROTTLE__LOCKED_AFTER", "8"), PROXIED]).await;
    let user = app.user("alice", "agent").await;
    let homes = [HOME, "198.51.100.7", "2001:db8:1::7"];
    for home in homes {
        try_from(&app, home, "alice", PASSWORD).await.expect(200);
    }
    for _ in 0..8 {
        app.advance(TimeDelta::hours(25));
        for home in homes {
            try_from(&app, home, "alice", "wrong").await.problem(401, "invalid_credentials");
        }
    }
    app.advance(TimeDelta::hours(25));
    for home in homes {
        try_from(&app, home, "alice", PASSWORD).await.problem(429, "too_many_attempts");
    }
    app.app.users.unlock(user.id, &Cause::command_line()).await.expect("unlocked");
    for home in homes {
        try_from(&app, home, "alice", PASSWORD).await.expect(200);
    }
}

#[rstest]
#[actix_web::test]
async fn ath_04_an_attacker_elsewhere_keeps_nobody_out(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED, ("VIGIE__THROTTLE__LOCKED_AFTER", "8")]).await;
    app.user("alice", "agent").await;
    try_from(&app, HOME, "alice", PASSWORD).await.expect(200);
    for _ in 0..8 {
        app.advance(TimeDelta::hours(25));
        try_from(&app, ELSEWHERE, "alice", "wrong").await.problem(401, "invalid_credentials");
    }
    try_from(&app, ELSEWHERE, "alice", PASSWORD).await.problem(429, "too_many_attempts");
    try_from(&app, "198.51.100.7", "alice", PASSWORD).await.problem(429, "too_many_attempts");
    // From the network the user has logged in from, nothing has changed.
    for home in [HOME, "192.0.2.200"] {
        try_from(&app, home, "alice", PASSWORD).await.expect(200);
    }
    // The success at home tells the attacker nothing and opens nothing.
    try_from(&app, ELSEWHERE, "alice", PASSWORD).await.problem(429, "too_many_attempts");
}

#[rstest]
#[actix_web::test]
async fn ath_04_a_live_session_goes_on_during_an_attack(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    fail(&app, 5).await;
    expect_wait(try_login(&app, "alice", PASSWORD).await, 60);
    let alice: TestClient<'_> = app.client(&alice.refresh().await.expect(200));
    alice.get("/auth/me").await.expect(200);
    alice.post_empty("/auth/logout").await.expect(204);
}

#[rstest]
#[actix_web::test]
async fn ath_04_a_known_network_is_not_stopped_by_its_neighbours(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    app.user("alice", "agent").await;
    app.user("bob", "agent").await;
    try_from(&app, HOME, "alice", PASSWORD).await.expect(200);
    for number in 0..20 {
        try_from(&app, HOME, &format!("nobody{number}"), "x").await.problem(401, "invalid_credentials");
    }
    try_from(&app, HOME, "bob", PASSWORD).await.problem(429, "too_many_attempts");
    try_from(&app, HOME, "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn ath_05_one_password_for_many_names_is_stopped_by_address(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    app.user("alice", "agent").await;
    for number in 0..20 {
        let name = format!("user{number}");
        try_from(&app, ELSEWHERE, &name, "Printemps2026!").await.problem(401, "invalid_credentials");
    }
    expect_wait(try_from(&app, ELSEWHERE, "alice", PASSWORD).await, 600);
    expect_wait(try_from(&app, ELSEWHERE, "user99", "x").await, 600);
    try_from(&app, "203.0.113.67", "alice", PASSWORD).await.expect(200);
    app.advance(TimeDelta::minutes(10));
    try_from(&app, ELSEWHERE, "user99", "x").await.problem(401, "invalid_credentials");
}

#[rstest]
#[actix_web::test]
async fn ath_05_an_ipv6_host_is_its_whole_64(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    app.user("alice", "agent").await;
    for number in 0..20 {
        let address = format!("2001:db8:5:6::{number:x}");
        try_from(&app, &address, &format!("user{number}"), "x").await.problem(401, "invalid_credentials");
    }
    expect_wait(try_from(&app, "2001:db8:5:6:ffff::1", "alice", PASSWORD).await, 600);
    try_from(&app, "2001:db8:5:7::1", "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn ath_05_a_network_is_stopped_as_a_whole(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED, ("VIGIE__THROTTLE__NETWORK_FAILURES", "30")]).await;
    app.user("alice", "agent").await;
    for number in 0..30 {
        let address = format!("203.0.113.{}", number % 15);
        try_from(&app, &address, &format!("user{number}"), "x").await.problem(401, "invalid_credentials");
    }
    expect_wait(try_from(&app, "203.0.113.200", "alice", PASSWORD).await, 600);
    try_from(&app, "203.0.114.200", "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn what_was_counted_survives_a_restart_and_holds_on_every_node(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let node = app.another_node().await;
    for (on, times) in [(&app, 3), (&node, 2)] {
        fail(on, times).await;
    }
    for on in [&app, &node] {
        expect_wait(try_login(on, "alice", PASSWORD).await, 60);
    }
    drop(node);
    let app = app.restart().await;
    expect_wait(try_login(&app, "alice", PASSWORD).await, 60);
    app.advance(TimeDelta::minutes(1));
    try_login(&app, "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn ath_06_a_client_cannot_choose_its_address(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    for number in 0..20 {
        let name = format!("user{number}");
        try_from(&app, &format!("203.0.113.{number}"), &name, "x").await.problem(401, "invalid_credentials");
    }
    assert!(app.attempts().await.iter().all(|attempt| attempt.ip.to_string() == "127.0.0.1"));
    expect_wait(try_from(&app, "198.51.100.1", "alice", PASSWORD).await, 600);
}

#[rstest]
#[actix_web::test]
async fn ath_06_behind_a_proxy_the_address_is_the_one_the_proxy_saw(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    let cases = [
        ("203.0.113.5", "203.0.113.5"),
        ("10.0.0.1, 203.0.113.5", "203.0.113.5"),
        ("garbage, 203.0.113.5", "203.0.113.5"),
        ("203.0.113.5, 127.0.0.1", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:DB8::0:5", "2001:db8::5"),
        ("203.0.113.5, unknown", "127.0.0.1"),
        ("' OR 1=1", "127.0.0.1"),
    ];
    for (header, expected) in cases {
        try_from(&app, header, "nobody", "x").await;
        assert_eq!(app.attempts().await[0].ip.to_string(), expected, "{header}");
        app.advance(TimeDelta::hours(1));
    }
}

#[rstest]
#[actix_web::test]
async fn every_try_is_kept_with_its_true_reason(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.user("alice", "agent").await;
    disable(&app, &app.user("bob", "agent").await).await;
    without_password(&app, "carol").await;
    let tries = [
        ("alice", "wrong", AttemptOutcome::WrongPassword),
        ("alice", PASSWORD, AttemptOutcome::Success),
        ("bob", PASSWORD, AttemptOutcome::Disabled),
        ("carol", PASSWORD, AttemptOutcome::NoPassword),
        ("nobody", PASSWORD, AttemptOutcome::UnknownUser),
    ];
    for (name, password, outcome) in tries {
        app.advance(TimeDelta::seconds(1));
        let answer = try_login(&app, name, password).await;
        let attempt = &app.attempts().await[0];
        assert_eq!(attempt.outcome, outcome, "{name}");
        assert_eq!(attempt.at, app.now());
        assert_eq!(Some(attempt.request_id.as_str()), answer.header("x-request-id"));
        assert_eq!(attempt.session_id.is_some(), outcome == AttemptOutcome::Success);
        match name {
            "nobody" => assert!(attempt.username.starts_with("n…") && attempt.user_id.is_none()),
            _ => assert_eq!(attempt.username, name),
        }
    }
    let own = app.attempts().await.into_iter().filter(|attempt| attempt.user_id == Some(alice.id)).count();
    assert_eq!(own, 2);
}

#[rstest]
#[actix_web::test]
async fn p7_a_password_typed_as_a_name_is_not_kept(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let secret = "Tr0ub4dor&3 et son mot de passe";
    for _ in 0..6 {
        try_login(&app, secret, "alice").await;
        try_login(&app, "alice", secret).await;
    }
    let dump = app.dump().to_lowercase();
    assert!(dump.contains("attempts: "));
    for part in [secret.to_lowercase().as_str(), "tr0ub4dor", "son mot de"] {
        assert!(!dump.contains(part), "{part}");
    }
    // Tries with one unknown name are still told to be of one name.
    let names: std::collections::HashSet<_> = app
        .attempts()
        .await
        .into_iter()
        .filter(|attempt| attempt.user_id.is_none())
        .map(|attempt| attempt.username)
        .collect();
    assert_eq!(names.len(), 1);
}

#[rstest]
#[actix_web::test]
async fn a_login_through_a_password_change_shares_the_count(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let change = json!({ "current_password": "wrong", "new_password": "cinq canards bleus nagent" });
    for _ in 0..3 {
        alice.post("/auth/password", change.clone()).await.problem(401, "invalid_credentials");
    }
    fail(&app, 2).await;
    expect_wait(alice.post("/auth/password", change).await, 60);
    app.user("bob", "agent").await;
    try_login(&app, "bob", PASSWORD).await.expect(200);
}
