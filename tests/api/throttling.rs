//! What failed logins tell and cost (ATH-01 to ATH-06).

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use vigie::model::attempt::AttemptOutcome;
use vigie::model::audit::{AuditContext, AuditKind, Reason};
use vigie::model::user::{Role, User, UserState, Username};
use vigie::user::change::UserChange;
use vigie::user::create::NewUser;

use crate::support::app::{Answer, PASSWORD, TestApp, TestClient, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::until::until;

/// The test is a proxy: it says where a request came from.
pub(super) const PROXIED: (&str, &str) = ("VIGIE__SERVER__TRUSTED_PROXIES", "127.0.0.1/32");
pub(super) const HOME: &str = "192.0.2.10";
pub(super) const ELSEWHERE: &str = "203.0.113.66";

pub(super) async fn try_from(app: &TestApp, address: &str, name: &str, password: &str) -> Answer {
    let request = app.nobody().request(Method::POST, "/auth/login").header("x-forwarded-for", address);
    send(request.json(&json!({ "username": name, "password": password }))).await
}

/// The same by a device that shows this token.
pub(super) async fn try_by(app: &TestApp, device: &str, address: &str, name: &str, password: &str) -> Answer {
    let request = app.nobody().request(Method::POST, "/auth/login").header("x-forwarded-for", address);
    send(request.json(&json!({ "username": name, "password": password, "device_token": device }))).await
}

/// What a login from this address answers to be shown at the next.
pub(super) async fn device(app: &TestApp, address: &str, name: &str) -> String {
    let answer = try_from(app, address, name, PASSWORD).await.expect(200);
    answer["device_token"].as_str().expect("a device token").to_owned()
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
        change_at_login: false,
        email: None,
    };
    app.app.users.create(new, &AuditContext::command_line()).await.expect("the user is created").user
}

pub(super) async fn disable(app: &TestApp, user: &User) {
    let change = UserChange { state: Some(UserState::Disabled), ..UserChange::default() };
    app.app.users.change(user.id, change, &AuditContext::command_line()).await.expect("disabled");
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
    // Of those that were refused unseen, one a minute is kept.
    assert_eq!(counts, [5, 1, 1]);
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
        app.app.authentication.prune().await.expect("forgotten");
        try_login(&app, "alice", PASSWORD).await.problem(429, "too_many_attempts");
    }
    let events = app.events().await;
    let locked: Vec<_> = events.iter().filter(|event| event.event.kind == AuditKind::UserLocked).collect();
    assert_eq!(locked.len(), 1);
    assert_eq!(locked[0].event.subject.id.as_deref(), Some(user.id.to_string().as_str()));
    app.app.users.unlock(user.id, &AuditContext::command_line()).await.expect("unlocked");
    try_login(&app, "alice", PASSWORD).await.expect(200);
}

/// Each device that is known may fail five times more, and no more: the sum is what NIST allows.
#[rstest]
#[actix_web::test]
async fn ath_03_with_all_its_known_devices_an_account_fails_a_hundred_times_in_a_row_at_most(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let off = [("ADDRESS", "9999"), ("NETWORK", "9999"), ("OVERALL", "0"), ("DAILY", "0")];
    let off = off.map(|(of, limit)| (format!("VIGIE__THROTTLE__{of}_FAILURES"), limit));
    let mut settings: Vec<(&str, &str)> = off.iter().map(|(key, limit)| (key.as_str(), *limit)).collect();
    settings.extend([PROXIED, ("VIGIE__SESSIONS__MAX_PER_USER", "0")]);
    let app = TestApp::start_with(backend, &settings).await;
    let user = app.user("alice", "agent").await;
    let mut devices = Vec::new();
    for number in 0..12 {
        app.advance(TimeDelta::seconds(1));
        devices.push(device(&app, &format!("10.0.{number}.1"), "alice").await);
    }
    let mut looked_at = 0;
    for _ in 0..15 {
        for (number, device) in devices.iter().enumerate() {
            app.advance(TimeDelta::minutes(16));
            let answer = try_by(&app, device, &format!("10.0.{number}.1"), "alice", "wrong").await;
            looked_at += usize::from(answer.status == 401);
        }
    }
    assert_eq!(looked_at, 100);
    for device in &devices {
        try_by(&app, device, HOME, "alice", PASSWORD).await.problem(429, "too_many_attempts");
    }
    app.app.users.unlock(user.id, &AuditContext::command_line()).await.expect("unlocked");
    for device in &devices {
        try_by(&app, device, HOME, "alice", PASSWORD).await.expect(200);
    }
}

#[rstest]
#[actix_web::test]
async fn ath_04_an_attacker_elsewhere_keeps_nobody_out(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED, ("VIGIE__THROTTLE__LOCKED_AFTER", "8")]).await;
    app.user("alice", "agent").await;
    let device = device(&app, HOME, "alice").await;
    for _ in 0..8 {
        app.advance(TimeDelta::hours(25));
        try_from(&app, ELSEWHERE, "alice", "wrong").await.problem(401, "invalid_credentials");
    }
    // Also from the network that she logs in from, and with another's token or none.
    app.user("bob", "agent").await;
    let bobs = device_of(&app, "bob").await;
    for address in [ELSEWHERE, HOME] {
        for device in [bobs.as_str(), "", "vgd_", "vgr_x", &format!("{device}x")] {
            try_by(&app, device, address, "alice", PASSWORD).await.problem(429, "too_many_attempts");
        }
    }
    // By the device that she has logged in by, nothing has changed, from wherever.
    for address in [HOME, "198.51.100.7"] {
        let answer = try_by(&app, &device, address, "alice", PASSWORD).await.expect(200);
        assert_eq!(answer["device_token"], json!(device), "it is the same as before");
    }
    // The success there tells the attacker nothing and opens nothing.
    try_from(&app, ELSEWHERE, "alice", PASSWORD).await.problem(429, "too_many_attempts");
    // Ninety days after its last use it is known no more.
    app.advance(TimeDelta::days(91));
    try_by(&app, &device, HOME, "alice", PASSWORD).await.problem(429, "too_many_attempts");
}

async fn device_of(app: &TestApp, name: &str) -> String {
    device(app, "198.51.100.99", name).await
}

#[rstest]
#[actix_web::test]
async fn ath_04_what_fails_five_times_by_a_known_device_is_counted_as_from_anywhere(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    app.user("alice", "agent").await;
    let device = device(&app, HOME, "alice").await;
    for _ in 0..5 {
        try_by(&app, &device, HOME, "alice", "wrong").await.problem(401, "invalid_credentials");
    }
    for _ in 0..5 {
        try_by(&app, &device, HOME, "alice", "wrong").await.problem(401, "invalid_credentials");
    }
    expect_wait(try_by(&app, &device, HOME, "alice", PASSWORD).await, 60);
    app.advance(TimeDelta::minutes(1));
    try_by(&app, &device, HOME, "alice", PASSWORD).await.expect(200);
    // The success began both counts anew.
    for _ in 0..5 {
        try_from(&app, ELSEWHERE, "alice", "wrong").await.problem(401, "invalid_credentials");
    }
    try_by(&app, &device, HOME, "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn ath_04_another_password_makes_devices_unknown(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("changed", "reset", "voided")] way: &str,
) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    let user = app.user("alice", "agent").await;
    let device = device(&app, HOME, "alice").await;
    let new = "cinq canards bleus nagent";
    match way {
        "changed" => {
            let alice = app.log_in("alice").await;
            let change = json!({ "current_password": PASSWORD, "new_password": new });
            alice.post("/auth/password", change).await.expect(200);
        }
        way => {
            let reset = app
                .app
                .users
                .issue_reset(user.id, way == "voided", &AuditContext::command_line())
                .await
                .expect("a token");
            let token = reset.secret.reveal(vigie::model::secret::SecretKind::OneTimeToken);
            app.nobody().post("/auth/reset", json!({ "token": token, "new_password": new })).await.expect(204);
        }
    }
    for _ in 0..5 {
        try_from(&app, ELSEWHERE, "alice", "wrong").await.problem(401, "invalid_credentials");
    }
    try_by(&app, &device, HOME, "alice", new).await.problem(429, "too_many_attempts");
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

/// However long they are apart: only a success, or an administrator, begins the count anew.
#[rstest]
#[actix_web::test]
async fn ath_03_time_makes_no_failures_in_a_row_forgotten(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__THROTTLE__LOCKED_AFTER", "8")]).await;
    app.user("alice", "agent").await;
    for _ in 0..2 {
        lock(&app, 4).await;
        app.advance(TimeDelta::days(40));
        app.app.authentication.prune().await.expect("forgotten");
    }
    try_login(&app, "alice", PASSWORD).await.problem(429, "too_many_attempts");
}

/// Many at once by one device: all were begun while it was known.
#[rstest]
#[actix_web::test]
async fn ath_03_many_tries_at_once_cannot_outrun_the_count_of_a_device(#[values(Sqlite, Postgres)] backend: Backend) {
    let settings = [PROXIED, ("VIGIE__THROTTLE__FREE_FAILURES", "12"), ("VIGIE__THROTTLE__FIRST_DELAY", "1m")];
    let app = TestApp::start_with(backend, &settings).await;
    app.user("alice", "agent").await;
    let device = device(&app, HOME, "alice").await;
    let answers = join_all((0..17).map(|_| try_by(&app, &device, HOME, "alice", "wrong"))).await;
    assert!(answers.iter().all(|answer| answer.status == 401), "{answers:?}");
    let root = app.admin().await;
    for (scope, counted) in [("known_device", 5), ("account", 12)] {
        let shown = root.get(&format!("/admin/throttles?state=all&scope={scope}")).await.expect(200);
        assert_eq!(shown["items"][0]["failures"], counted, "{scope}");
    }
}

/// What has begun is recorded although whoever tried has gone.
#[rstest]
#[actix_web::test]
async fn ath_05_a_try_counts_whose_client_goes_away(#[values(Sqlite, Postgres)] backend: Backend) {
    // Ten times as long as the client waits, on a fast machine too.
    let slow = [("VIGIE__PASSWORDS__ARGON2_MEMORY_KIB", "65536"), ("VIGIE__PASSWORDS__ARGON2_ITERATIONS", "16")];
    let app = TestApp::start_with(backend, &slow).await;
    app.user("alice", "agent").await;
    for _ in 0..3 {
        let request = app.nobody().request(Method::POST, "/auth/login");
        let request = request.json(&json!({ "username": "alice", "password": "wrong" }));
        let gone = request.timeout(std::time::Duration::from_millis(60)).send().await;
        assert!(gone.is_err(), "it had not been answered");
    }
    let recorded = async || {
        let outcomes = outcomes(&app).await;
        if outcomes.len() == 3 { Ok(()) } else { Err(outcomes) }
    };
    until("all three tries are recorded", recorded).await;
}

/// And a closed address tells nobody which names exist, although users log in from it (ATH-01).
#[rstest]
#[actix_web::test]
async fn ath_04_a_known_device_is_not_stopped_by_its_neighbours(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    app.user("alice", "agent").await;
    app.user("bob", "agent").await;
    let device = device(&app, HOME, "alice").await;
    for number in 0..20 {
        try_from(&app, HOME, &format!("nobody{number}"), "x").await.problem(401, "invalid_credentials");
    }
    let seen = visible(&try_from(&app, HOME, "nobody", "x").await);
    assert_eq!(seen.0, 429);
    for (name, password) in [("alice", "x"), ("alice", PASSWORD), ("bob", "x"), ("bob", PASSWORD)] {
        assert_eq!(visible(&try_from(&app, HOME, name, password).await), seen, "{name} {password}");
    }
    // Her device lets in nobody but her.
    for name in ["bob", "nobody"] {
        assert_eq!(visible(&try_by(&app, &device, HOME, name, PASSWORD).await), seen, "{name}");
    }
    try_by(&app, &device, HOME, "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn ath_05_many_tries_at_once_cannot_outrun_the_count_of_an_address(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[PROXIED]).await;
    let names: Vec<String> = (0..66).map(|number| format!("user{number}")).collect();
    let answers = join_all(names.iter().map(|name| try_from(&app, ELSEWHERE, name, "x"))).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(401), count(429)), (20, 46), "{answers:?}");
}

/// Whoever waits for those from the same address is let in when they have not failed.
#[rstest]
#[actix_web::test]
async fn ath_05_many_logins_at_once_from_one_address_all_succeed(#[values(Sqlite, Postgres)] backend: Backend) {
    let settings = [PROXIED, ("VIGIE__THROTTLE__ADDRESS_FAILURES", "3")];
    let app = TestApp::start_with(backend, &settings).await;
    let names: Vec<String> = (0..12).map(|number| format!("user{number}")).collect();
    for name in &names {
        app.user(name, "agent").await;
    }
    let answers = join_all(names.iter().map(|name| try_from(&app, HOME, name, PASSWORD))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}

/// Nobody fills the history by knocking at a closed door.
#[rstest]
#[actix_web::test]
async fn ath_05_of_tries_that_are_refused_unseen_ten_names_a_minute_are_kept(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start_with(backend, &[PROXIED, ("VIGIE__THROTTLE__ADDRESS_FAILURES", "1")]).await;
    try_from(&app, ELSEWHERE, "nobody", "x").await.problem(401, "invalid_credentials");
    for number in 0..60 {
        let name = format!("user{}", number % 30);
        try_from(&app, ELSEWHERE, &name, "x").await.problem(429, "too_many_attempts");
    }
    let kept = outcomes(&app).await;
    assert_eq!(kept.iter().filter(|outcome| **outcome == AttemptOutcome::Throttled).count(), 10);
    app.advance(TimeDelta::minutes(1));
    app.app.refusals.write_due().await.expect("recorded");
    let events = app.events().await;
    let throttled = events.iter().map(|event| &event.event).filter(|event| event.reason == Some(Reason::Throttled));
    let told: u64 = throttled.map(|event| event.details["folded"].as_u64().unwrap_or(1)).sum();
    assert_eq!(told, 60, "each is counted");
    try_from(&app, ELSEWHERE, "user1", "x").await.problem(429, "too_many_attempts");
    assert_eq!(outcomes(&app).await.len(), 12, "another minute");
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
