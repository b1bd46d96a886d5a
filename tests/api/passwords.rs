//! Passwords: which are accepted, how they are kept, changed, reset and taken over; set-up; what happens to sessions
//! (PWD-01 to PWD-13, SES-09, SES-10).

use bcrypt::Version;
use chrono::TimeDelta;
use rstest::rstest;
use secrecy::SecretString;
use serde_json::{Value, json};
use vigie::model::attempt::AttemptOutcome;
use vigie::model::audit::{AuditContext, AuditKind, Reason};
use vigie::model::secret::SecretKind;
use vigie::model::session::EndReason;
use vigie::model::user::{Role, User, UserState, Username};
use vigie::user::change::UserChange;
use vigie::user::create::NewUser;
use vigie::user::import::{self, Format};

use crate::support::app::{Answer, PASSWORD, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

const OTHER: &str = "cinq canards bleus nagent";

async fn try_login(app: &TestApp, name: &str, password: &str) -> Answer {
    app.nobody().post("/auth/login", json!({ "username": name, "password": password })).await
}

async fn change(client: &TestClient<'_>, current: &str, new: &str) -> Answer {
    client.post("/auth/password", json!({ "current_password": current, "new_password": new })).await
}

/// What the refusal says about the new password.
#[track_caller]
fn reason(answer: Answer) -> String {
    let problem = answer.problem(422, "invalid_input");
    assert_eq!(problem["errors"][0]["pointer"], "/new_password");
    problem["errors"][0]["message"].as_str().expect("a text").to_owned()
}

async fn create(app: &TestApp, name: &str, password: Option<&str>) -> User {
    let new = NewUser {
        username: Username::parse(name).expect("a username"),
        role: Role::parse("agent").expect("a role"),
        password: password.map(SecretString::from),
        change_at_login: false,
        email: None,
    };
    app.app.users.create(new, &AuditContext::command_line()).await.expect("the user is created").user
}

async fn import(app: &TestApp, name: &str, hash: &str) -> User {
    let line = json!({ "username": name, "role": "agent", "password_hash": hash }).to_string();
    let lines = import::read(line.as_bytes(), Format::Ndjson, app.now()).expect("a good line");
    app.app.users.import(lines, false, &AuditContext::command_line(), |_| ()).await.expect("imported");
    app.app.users.find_by_id_or_name(name).await.expect("the store answers").expect("the user is there")
}

async fn stored(app: &TestApp, user: &User) -> String {
    app.user_row(user.id).await.password_hash.expect("a password").0
}

#[rstest]
#[actix_web::test]
async fn ses_10_a_new_password_ends_all_other_sessions_at_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let bob = app.signed_in("bob").await;
    let here = app.signed_in("alice").await;
    let others = [app.log_in("alice").await, app.log_in("alice").await];
    let renewed = app.client(&change(&here, PASSWORD, OTHER).await.expect(200));
    assert_eq!(renewed.session_id, here.session_id);
    for other in &others {
        other.get("/auth/me").await.problem(401, "session_ended");
        other.refresh().await.problem(401, "session_ended");
        assert_eq!(app.end_reason(&other.session_id).await, Some(EndReason::PasswordChanged));
    }
    // The session goes on with the new tokens; whoever holds the old ones has nothing.
    here.get("/auth/me").await.problem(401, "token_expired");
    renewed.get("/auth/me").await.expect(200);
    app.client(&renewed.refresh().await.expect(200)).get("/auth/me").await.expect(200);
    bob.get("/auth/me").await.expect(200);
    try_login(&app, "alice", PASSWORD).await.problem(401, "invalid_credentials");
    try_login(&app, "alice", OTHER).await.expect(200);
    let kinds: Vec<_> = app.events().await.into_iter().map(|event| event.event.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == AuditKind::PasswordChanged).count(), 1);
}

/// On every node, in the same second, and also where the store is asked each time.
#[rstest]
#[actix_web::test]
async fn ses_10_tokens_from_before_the_change_are_void(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    let first = app.signed_in("alice").await;
    let second = app.client(&first.refresh().await.expect(200));
    let node = app.another_node().await;
    for client in [&first, &second] {
        client.at(&node).get("/auth/me").await.expect(200);
    }
    let renewed = app.client(&change(&second, PASSWORD, OTHER).await.expect(200));
    for app in [&app, &node] {
        for client in [&first, &second] {
            client.at(app).get("/auth/me").await.problem(401, "token_expired");
        }
        renewed.at(app).get("/auth/me").await.expect(200);
    }
    // It is no session that has ended: it is told as a token that was replaced.
    app.app.refusals.write_due().await.expect("recorded");
    let reasons: Vec<_> = app.events().await.into_iter().filter_map(|event| event.event.reason).collect();
    assert!(reasons.contains(&Reason::Replaced), "{reasons:?}");
    // Another window that refreshes by what was replaced gets nothing, and takes nothing away.
    for _ in 0..2 {
        second.refresh().await.problem(401, "token_invalid");
        renewed.get("/auth/me").await.expect(200);
    }
    let renewed = app.client(&renewed.refresh().await.expect(200));
    second.refresh().await.problem(401, "token_invalid");
    renewed.get("/auth/me").await.expect(200);
    // One that had been spent before shows theft, as it did.
    first.refresh().await.problem(401, "session_ended");
    renewed.get("/auth/me").await.problem(401, "session_ended");
}

/// Otherwise what an administrator chose would be kept for good.
#[rstest]
#[actix_web::test]
async fn a_password_is_not_changed_to_itself(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    for same in [PASSWORD, OTHER] {
        let said = reason(change(&alice, same, same).await);
        assert!(said.contains("take another"), "{said}");
    }
    alice.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn pwd_09_a_wrong_current_password_counts_as_a_failed_try(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let other = app.log_in("alice").await;
    for _ in 0..5 {
        change(&alice, "wrong", OTHER).await.problem(401, "invalid_credentials");
    }
    let refused = change(&alice, PASSWORD, OTHER).await;
    assert_eq!(refused.header("retry-after"), Some("60"));
    refused.problem(429, "too_many_attempts");
    try_login(&app, "alice", PASSWORD).await.problem(429, "too_many_attempts");
    let outcomes: Vec<_> = app.attempts().await.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == AttemptOutcome::WrongPassword).count(), 5);
    // Nobody lost a session over it.
    for client in [&alice, &other] {
        client.get("/auth/me").await.expect(200);
    }
    app.advance(TimeDelta::seconds(60));
    change(&alice, PASSWORD, OTHER).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn pwd_01_to_04_a_new_password_is_long_and_not_easily_guessed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("jeanne.dupont").await;
    let refused = [
        ("kqzvjwpxhtbmgd", "at least 15 characters"),
        ("aaaaaaaaaaaaaaaaaa", "repeated"),
        ("motdepasse123456", "common words"),
        ("1234567890123456", "sequence"),
        ("jeannedupont2026", "username"),
        ("vigievigievigievigie", "words of this service"),
        ("azertyuiopqsdfghjklm", "sequence"),
    ];
    for (password, expected) in refused {
        let said = reason(change(&alice, PASSWORD, password).await);
        assert!(said.contains(expected), "{password}: {said}");
        assert!(!said.contains(password));
    }
    // PWD-03: one class of characters, spaces, any script.
    let accepted =
        ["kqzvjwpxhtbmgdf", "quatre mots sans lien ici", "птица зелёная поёт", "鳥が三羽とまる枝に雪が降り積もる"];
    let (mut current, mut alice) = (PASSWORD, alice);
    for password in accepted {
        alice = app.client(&change(&alice, current, password).await.expect(200));
        try_login(&app, "jeanne.dupont", password).await.expect(200);
        current = password;
    }
}

#[rstest]
#[actix_web::test]
async fn pwd_02_the_whole_password_counts(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__THROTTLE__FREE_FAILURES", "90")]).await;
    let alice = app.signed_in("alice").await;
    let long: String =
        (0..128_u32).map(|at| char::from(b'a' + u8::try_from((at * at * 7 + at * 3) % 26).unwrap())).collect();
    change(&alice, PASSWORD, &long).await.expect(200);
    for wrong in
        [&long[..127], &long[..72], &long[..64], &format!("{long}x"), &long.to_uppercase(), &format!(" {long}")]
    {
        try_login(&app, "alice", wrong).await.problem(401, "invalid_credentials");
    }
    try_login(&app, "alice", &long).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn pwd_02_more_than_a_kibibyte_is_refused_where_a_password_is_set(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.user("alice", "agent").await;
    let alice = app.log_in("alice").await;
    let text = |length: usize| "kqzv jwpx htbm gdfs ".chars().cycle().take(length).collect::<String>();
    let reset = app.app.users.issue_reset(user.id, false, &AuditContext::command_line()).await.expect("a token");
    let token = reset.secret.reveal(SecretKind::OneTimeToken);
    for length in [1025, 5000, 60_000] {
        assert!(reason(change(&alice, PASSWORD, &text(length)).await).contains("1024 bytes"));
        let body = json!({ "token": token, "new_password": text(length) });
        assert!(reason(app.nobody().post("/auth/reset", body).await).contains("1024 bytes"));
        try_login(&app, "alice", &text(length)).await.problem(401, "invalid_credentials");
    }
    // A refused password has not spent the token.
    let longest = text(1024);
    let body = json!({ "token": token, "new_password": longest });
    app.nobody().post("/auth/reset", body).await.expect(204);
    try_login(&app, "alice", &longest).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn pwd_02_the_keyboard_does_not_matter(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (composed, decomposed) =
        ("\u{e9}l\u{e9}phants, z\u{e8}bres et h\u{e9}rons", "e\u{301}le\u{301}phants, ze\u{300}bres et he\u{301}rons");
    create(&app, "alice", Some(composed)).await;
    create(&app, "bob", Some(decomposed)).await;
    for name in ["alice", "bob"] {
        for password in [composed, decomposed] {
            try_login(&app, name, password).await.expect(200);
        }
        try_login(&app, name, "elephants, zebres et herons").await.problem(401, "invalid_credentials");
    }
}

#[rstest]
#[actix_web::test]
async fn pwd_05_a_password_does_not_grow_old(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    app.advance(TimeDelta::days(400));
    try_login(&app, "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn pwd_06_a_password_is_kept_as_argon2id_with_a_salt_of_its_own(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, bob) = (app.user("alice", "agent").await, app.user("bob", "agent").await);
    let (first, second) = (stored(&app, &alice).await, stored(&app, &bob).await);
    for hash in [&first, &second] {
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        let salt = hash.split('$').nth(4).expect("a salt");
        assert_eq!(salt.len(), 22, "128 bits: {salt}");
    }
    assert_ne!(first.split('$').nth(4), second.split('$').nth(4));
    assert!(!app.dump().contains(PASSWORD));
}

#[rstest]
#[actix_web::test]
async fn pwd_07_a_bcrypt_hash_of_another_application_logs_in_and_is_upgraded(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("2a", "2b", "2y")] variant: &str,
    #[values(4, 10)] cost: u32,
) {
    let app = TestApp::start(backend).await;
    let version = match variant {
        "2a" => Version::TwoA,
        "2b" => Version::TwoB,
        _ => Version::TwoY,
    };
    // Shorter than the policy would have it: what was accepted elsewhere is not judged again.
    let hash = bcrypt::hash_with_result("s3cret", cost).expect("a hash").format_for_version(version);
    assert!(hash.starts_with(&format!("${variant}${cost:02}$")), "{hash}");
    let user = import(&app, "alice", &hash).await;
    try_login(&app, "alice", "S3cret").await.problem(401, "invalid_credentials");
    assert_eq!(stored(&app, &user).await, hash, "a failure changes nothing");
    let alice = app.client(&try_login(&app, "alice", "s3cret").await.expect(200));
    let upgraded = stored(&app, &user).await;
    assert!(upgraded.starts_with("$argon2id$"), "{upgraded}");
    try_login(&app, "alice", "s3cret").await.expect(200);
    assert_eq!(stored(&app, &user).await, upgraded, "once is enough");
    try_login(&app, "alice", "S3cret").await.problem(401, "invalid_credentials");
    // The password is the same, so nothing that hangs on it ends.
    alice.get("/auth/me").await.expect(200);
    let events = app.events().await;
    assert_eq!(events.iter().filter(|event| event.event.kind == AuditKind::PasswordUpgraded).count(), 1);
}

#[rstest]
#[actix_web::test]
async fn pwd_02_what_bcrypt_would_cut_off_is_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__THROTTLE__FREE_FAILURES", "90")]).await;
    let longest = "x".repeat(72);
    let hash = bcrypt::hash(&longest, 4).expect("a hash");
    let user = import(&app, "alice", &hash).await;
    for wrong in ["x".repeat(71), "x".repeat(73), format!("{longest}yz"), format!("{longest}\0"), "x".repeat(1000)] {
        try_login(&app, "alice", &wrong).await.problem(401, "invalid_credentials");
    }
    assert_eq!(stored(&app, &user).await, hash);
    try_login(&app, "alice", &longest).await.expect(200);
    try_login(&app, "alice", &"x".repeat(73)).await.problem(401, "invalid_credentials");
}

#[rstest]
#[actix_web::test]
async fn pwd_07_a_weaker_argon2_hash_is_upgraded_at_the_next_login(#[values(Sqlite, Postgres)] backend: Backend) {
    let master = ("VIGIE__KEYS__MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    let weak = TestApp::start_with(backend, &[master, ("VIGIE__PASSWORDS__ARGON2_MEMORY_KIB", "32")]).await;
    let user = weak.user("alice", "agent").await;
    assert!(stored(&weak, &user).await.contains("$m=32,"));
    let app = TestApp::on(weak.database.clone(), &weak.database.url, weak.clock.clone(), &[master]).await;
    try_login(&app, "alice", "wrong").await.problem(401, "invalid_credentials");
    assert!(stored(&app, &user).await.contains("$m=32,"));
    try_login(&app, "alice", PASSWORD).await.expect(200);
    assert!(stored(&app, &user).await.contains("$m=64,"));
    try_login(&app, "alice", PASSWORD).await.expect(200);
}

async fn set_up(app: &TestApp, token: &str, name: &str) -> Answer {
    app.nobody().post("/auth/setup", json!({ "token": token, "username": name, "password": PASSWORD })).await
}

async fn setup_token(app: &TestApp) -> String {
    let issued = app.app.users.issue_setup().await.expect("the store answers").expect("nobody is there yet");
    issued.secret.reveal(SecretKind::OneTimeToken)
}

#[rstest]
#[actix_web::test]
async fn pwd_13_the_first_administrator_is_set_up_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    for (name, password) in [("admin", "admin"), ("root", "root"), ("vigie", "vigie"), ("administrateur", "admin")] {
        try_login(&app, name, password).await.problem(401, "invalid_credentials");
    }
    let void = setup_token(&app).await;
    let token = setup_token(&app).await;
    set_up(&app, &void, "eve").await.problem(401, "token_invalid");
    let answer = set_up(&app, &token, "Chef").await.expect(201);
    assert_eq!(answer["user"]["role"], "admin");
    assert_eq!(answer["previous_login"], Value::Null);
    let chief = app.client(&answer);
    chief.get("/auth/me").await.expect(200);
    set_up(&app, &token, "eve").await.problem(401, "token_invalid");
    assert!(app.app.users.issue_setup().await.expect("the store answers").is_none());
    assert!(app.app.users.find_by_id_or_name("eve").await.expect("the store answers").is_none());
}

#[rstest]
#[actix_web::test]
async fn pwd_13_the_setup_token_expires(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = setup_token(&app).await;
    app.advance(TimeDelta::hours(24));
    set_up(&app, &token, "chef").await.problem(401, "token_expired");
    let token = setup_token(&app).await;
    app.advance(TimeDelta::hours(24) - TimeDelta::seconds(1));
    set_up(&app, &token, "chef").await.expect(201);
}

#[rstest]
#[actix_web::test]
async fn pwd_13_the_setup_token_is_void_once_there_is_a_user(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = setup_token(&app).await;
    app.user("alice", "agent").await;
    set_up(&app, &token, "eve").await.problem(401, "token_invalid");
}

#[rstest]
#[actix_web::test]
async fn pwd_13_two_who_set_up_at_once_make_one_administrator(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = setup_token(&app).await;
    let names = ["anna", "bert", "carl", "dora"];
    let answers = futures_util::future::join_all(names.map(|name| set_up(&app, &token, name))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1, "{answers:?}");
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.problem(401, "token_invalid");
    }
}

#[rstest]
#[actix_web::test]
async fn a_refused_setup_leaves_the_token_good(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = setup_token(&app).await;
    let short = json!({ "token": token, "username": "chef", "password": "short" });
    let problem = app.nobody().post("/auth/setup", short).await.problem(422, "invalid_input");
    assert_eq!(problem["errors"][0]["pointer"], "/password");
    for name in ["", " chef", "che\u{0}f", "che\nf", &"x".repeat(129)] {
        let problem = set_up(&app, &token, name).await.problem(422, "invalid_input");
        assert_eq!(problem["errors"][0]["pointer"], "/username", "{name:?}");
    }
    set_up(&app, &token, "chef").await.expect(201);
}

async fn reset(app: &TestApp, token: &str, password: &str) -> Answer {
    app.nobody().post("/auth/reset", json!({ "token": token, "new_password": password })).await
}

async fn reset_token(app: &TestApp, user: &User) -> String {
    let issued = app.app.users.issue_reset(user.id, false, &AuditContext::command_line()).await.expect("a token");
    issued.secret.reveal(SecretKind::OneTimeToken)
}

#[rstest]
#[actix_web::test]
async fn pwd_11_pwd_12_a_reset_works_once_ends_all_sessions_and_logs_nobody_in(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let user = app.user("alice", "agent").await;
    let sessions = [app.log_in("alice").await, app.log_in("alice").await];
    let token = reset_token(&app, &user).await;
    assert_eq!(token.len(), "vgt_".len() + 43, "256 bits");
    sessions[0].get("/auth/me").await.expect(200);
    let rows = app.session_rows().await;
    let answer = reset(&app, &token, OTHER).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(app.session_rows().await, rows);
    for client in &sessions {
        client.get("/auth/me").await.problem(401, "session_ended");
        client.refresh().await.problem(401, "session_ended");
        assert_eq!(app.end_reason(&client.session_id).await, Some(EndReason::PasswordChanged));
    }
    reset(&app, &token, "six cygnes noirs plongent").await.problem(401, "token_invalid");
    try_login(&app, "alice", PASSWORD).await.problem(401, "invalid_credentials");
    try_login(&app, "alice", OTHER).await.expect(200);
    let dump = app.dump();
    assert!(!dump.contains(&token) && !dump.contains(&token[4..]) && !dump.contains(OTHER));
}

#[rstest]
#[actix_web::test]
async fn pwd_11_a_reset_token_expires_and_a_newer_one_voids_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, bob) = (app.user("alice", "agent").await, app.user("bob", "agent").await);
    let expired = reset_token(&app, &alice).await;
    app.advance(TimeDelta::hours(24));
    reset(&app, &expired, OTHER).await.problem(401, "token_expired");
    let void = reset_token(&app, &alice).await;
    let bobs = reset_token(&app, &bob).await;
    let good = reset_token(&app, &alice).await;
    reset(&app, &void, OTHER).await.problem(401, "token_invalid");
    for bad in ["", "vgt_", "vgt_AAAA", &good.replace("vgt_", "vgr_"), &good[..good.len() - 1], &format!("{good}A")] {
        reset(&app, bad, OTHER).await.problem(401, "token_invalid");
    }
    // One's token sets one's own password only.
    reset(&app, &bobs, OTHER).await.expect(204);
    try_login(&app, "alice", PASSWORD).await.expect(200);
    try_login(&app, "bob", OTHER).await.expect(200);
    app.advance(TimeDelta::hours(24) - TimeDelta::seconds(1));
    reset(&app, &good, OTHER).await.expect(204);
    try_login(&app, "alice", OTHER).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn pwd_11_a_token_is_good_for_its_own_purpose_only(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let setup = setup_token(&app).await;
    reset(&app, &setup, OTHER).await.problem(401, "token_invalid");
    set_up(&app, &setup, "chef").await.expect(201);
    let user = app.user("alice", "agent").await;
    let token = reset_token(&app, &user).await;
    set_up(&app, &token, "eve").await.problem(401, "token_invalid");
    reset(&app, &token, OTHER).await.expect(204);
}

#[rstest]
#[actix_web::test]
async fn pwd_11_of_many_uses_at_once_one_succeeds(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.user("alice", "agent").await;
    let token = reset_token(&app, &user).await;
    let passwords = ["un renard roux court loin", "deux renards roux courent", "trois ours bruns dorment", OTHER];
    let answers = futures_util::future::join_all(passwords.map(|password| reset(&app, &token, password))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1, "{answers:?}");
    for (password, answer) in passwords.iter().zip(answers) {
        let status = if answer.status == 204 { 200 } else { 401 };
        assert_eq!(try_login(&app, "alice", password).await.status, status);
    }
}

#[rstest]
#[actix_web::test]
async fn a_reset_opens_a_locked_account(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.user("alice", "agent").await;
    for _ in 0..5 {
        try_login(&app, "alice", "wrong").await.problem(401, "invalid_credentials");
    }
    try_login(&app, "alice", PASSWORD).await.problem(429, "too_many_attempts");
    reset(&app, &reset_token(&app, &user).await, OTHER).await.expect(204);
    try_login(&app, "alice", OTHER).await.expect(200);
    // Now from a network that is known.
    for _ in 0..5 {
        try_login(&app, "alice", "wrong").await.problem(401, "invalid_credentials");
    }
    try_login(&app, "alice", OTHER).await.problem(429, "too_many_attempts");
    reset(&app, &reset_token(&app, &user).await, PASSWORD).await.expect(204);
    try_login(&app, "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn a_user_without_a_password_gets_one_by_a_reset(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = create(&app, "alice", None).await;
    for password in ["", PASSWORD] {
        try_login(&app, "alice", password).await.problem(401, "invalid_credentials");
    }
    assert_eq!(app.attempts().await[0].outcome, AttemptOutcome::NoPassword);
    reset(&app, &reset_token(&app, &user).await, PASSWORD).await.expect(204);
    try_login(&app, "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn ses_09_disabling_a_user_ends_all_sessions_at_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = app.user("alice", "agent").await;
    let sessions = [app.log_in("alice").await, app.log_in("alice").await, app.log_in("alice").await];
    let token = reset_token(&app, &user).await;
    let set = |state| UserChange { state: Some(state), ..UserChange::default() };
    let context = AuditContext::command_line();
    app.app.users.change(user.id, set(UserState::Disabled), &context).await.expect("disabled");
    let expect_dead = async || {
        for client in &sessions {
            client.get("/auth/me").await.problem(401, "session_ended");
            client.get("/auth/verify").await.problem(401, "session_ended");
            client.refresh().await.problem(401, "session_ended");
        }
    };
    expect_dead().await;
    app.advance(TimeDelta::seconds(1));
    try_login(&app, "alice", PASSWORD).await.problem(401, "invalid_credentials");
    assert_eq!(app.attempts().await[0].outcome, AttemptOutcome::Disabled);
    reset(&app, &token, OTHER).await.problem(401, "token_invalid");
    app.app.users.change(user.id, set(UserState::Active), &context).await.expect("enabled");
    expect_dead().await;
    try_login(&app, "alice", PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn ses_09_p5_deleting_a_user_ends_all_sessions_and_keeps_the_history(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let user = app.user("alice", "agent").await;
    let sessions = [app.log_in("alice").await, app.log_in("alice").await];
    let token = reset_token(&app, &user).await;
    app.app.users.delete(user.id, &AuditContext::command_line()).await.expect("deleted");
    for client in &sessions {
        client.get("/auth/me").await.problem(401, "session_ended");
        client.refresh().await.problem(401, "session_ended");
        let row = app.session_row(&client.session_id).await;
        assert_eq!((row.user_id, row.username.as_str(), row.role.as_str()), (user.id, "alice", "agent"));
        assert_eq!(row.end.map(|end| end.reason), Some(EndReason::UserDeleted));
    }
    try_login(&app, "alice", PASSWORD).await.problem(401, "invalid_credentials");
    reset(&app, &token, OTHER).await.problem(401, "token_invalid");
    // A new person of the same name is another one.
    let other = app.user("alice", "agent").await;
    assert_ne!(other.id, user.id);
    let there = app.log_in("alice").await;
    let list = there.get("/auth/sessions?state=all").await.expect(200);
    assert_eq!(list["items"].as_array().expect("a list").len(), 1);
    let mine = there.get("/auth/attempts").await.expect(200);
    assert_eq!(mine["items"].as_array().expect("a list").len(), 1);
}
