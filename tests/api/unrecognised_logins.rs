//! The mail about a new device, and the link in it: "this was not me" (ATH-08).

use chrono::TimeDelta;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::alert::AlertKind;
use vigie::model::audit::{AuditContext, AuditKind};
use vigie::model::session::EndReason;
use vigie::model::user::{Email, User};
use vigie::user::change::UserChange;

use super::notifications::mailing;
use super::throttling::{ELSEWHERE, HOME, PROXIED, try_from};
use crate::support::app::{Answer, PASSWORD, TestApp, TestClient, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::smtp::{Mail, Smtp};

const ALICE: &str = "alice@example.org";
const NEW_PASSWORD: &str = "cinq canards bleus nagent";

/// Alice, at home; then somebody who knows her password, elsewhere.
struct Scene<'a> {
    alice: User,
    home: TestClient<'a>,
    elsewhere: TestClient<'a>,
}

async fn start(backend: Backend, smtp: &Smtp) -> TestApp {
    start_with(backend, smtp, &[]).await
}

async fn start_with(backend: Backend, smtp: &Smtp, more: &[(&str, &str)]) -> TestApp {
    let settings = [&mailing(smtp)[..], &[PROXIED, ("VIGIE__MAIL__LANGUAGE", "en")], more].concat();
    TestApp::start_with(backend, &settings).await
}

async fn give_email(app: &TestApp, user: &User) {
    let change = UserChange { email: Some(Email::parse(ALICE).ok()), ..UserChange::default() };
    app.app.users.change(user.id, change, &AuditContext::command_line()).await.expect("changed");
}

async fn scene(app: &TestApp) -> Scene<'_> {
    let alice = app.user("alice", "agent").await;
    give_email(app, &alice).await;
    let home = app.client(&try_from(app, HOME, "alice", PASSWORD).await.expect(200));
    app.advance(TimeDelta::minutes(1));
    let elsewhere = app.client(&try_from(app, ELSEWHERE, "alice", PASSWORD).await.expect(200));
    app.app.alerts.deliver().await.expect("the store answers");
    Scene { alice, home, elsewhere }
}

/// The mails to Alice that hold a link.
fn with_link(smtp: &Smtp) -> Vec<Mail> {
    smtp.mails_to(ALICE).into_iter().filter(|mail| mail.text.contains("/auth/not-me?token=")).collect()
}

/// The token of the link in the only such mail to Alice.
fn token(smtp: &Smtp) -> String {
    let mails = with_link(smtp);
    assert_eq!(mails.len(), 1, "{mails:?}");
    let (_, rest) = mails[0].text.split_once("https://vigie.example.org/auth/not-me?token=").expect("a link");
    rest.split_whitespace().next().expect("a token").to_owned()
}

async fn say(app: &TestApp, token: &str) -> Answer {
    let request = app.nobody().request(Method::POST, "/auth/not-me");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    send(request.body(format!("token={token}"))).await
}

#[rstest]
#[actix_web::test]
async fn ath_08_the_user_is_mailed_of_a_new_device_and_not_of_the_first(#[values(Sqlite, Postgres)] backend: Backend) {
    let smtp = Smtp::start().await;
    let app = start(backend, &smtp).await;
    let bob = app.user("bob", "agent").await;
    for address in [HOME, ELSEWHERE] {
        try_from(&app, address, "bob", PASSWORD).await.expect(200);
    }
    scene(&app).await;
    let mail = &with_link(&smtp)[0].text;
    for part in ["Hello alice,", ELSEWHERE, "2027-01-15 12:01 UTC", "until 2027-01-18 12:01 UTC"] {
        assert!(mail.contains(part), "{part}\nis not in\n{mail}");
    }
    let token = token(&smtp);
    // P7: the link is nowhere but in the mail.
    assert!(token.starts_with("vgt_") && !app.dump().contains(&token[4..]));
    // Who has no address is not written to; reviewers are.
    assert!(smtp.mails_to("one@example.org").iter().any(|mail| mail.text.contains(&bob.id.to_string())));
}

/// D5-40: the link leads to the configured host, whatever the request says.
#[rstest]
#[actix_web::test]
async fn the_link_leads_to_the_configured_host(#[values(Sqlite, Postgres)] backend: Backend) {
    let smtp = Smtp::start().await;
    let app = start(backend, &smtp).await;
    let alice = app.user("alice", "agent").await;
    give_email(&app, &alice).await;
    for address in [HOME, ELSEWHERE] {
        let request = app.nobody().request(Method::POST, "/auth/login").header("x-forwarded-for", address);
        let request = request.header("host", "evil.example").header("x-forwarded-host", "evil.example");
        send(request.json(&json!({ "username": "alice", "password": PASSWORD }))).await.expect(200);
    }
    app.app.alerts.deliver().await.expect("the store answers");
    token(&smtp);
    assert!(!smtp.mails().iter().any(|mail| mail.text.contains("evil")));
}

#[rstest]
#[actix_web::test]
async fn ath_08_looking_at_the_page_changes_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let smtp = Smtp::start().await;
    // Where there are no pages; with them, one asks (`tests/pages`).
    let app = start_with(backend, &smtp, &[("VIGIE__CONSOLE__ENABLED", "false")]).await;
    let scene = scene(&app).await;
    let token = token(&smtp);
    let path = format!("/auth/not-me?token={token}");
    for _ in 0..3 {
        let page = app.nobody().get(&path).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(page.body.contains(&format!(r#"value="{token}""#)) && page.body.contains("This was not me"));
        assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("form-action 'self'")));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
    send(app.nobody().request(Method::HEAD, &path)).await;
    for session in [&scene.home, &scene.elsewhere] {
        session.get("/auth/me").await.expect(200);
    }
    for cut in ["vgt_", "", "x", "%22%3E%3Cscript%3E", &token[..40]] {
        let page = app.nobody().get(&format!("/auth/not-me?token={cut}")).await;
        assert_eq!(page.status, 400, "{cut}");
        assert!(page.body.contains("not whole") && !page.body.contains("script"), "{}", page.body);
    }
    app.nobody().get("/auth/not-me").await.problem(422, "invalid_input");
}

#[rstest]
#[actix_web::test]
async fn ath_08_saying_so_ends_the_sessions_and_the_password_logs_in_no_more(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let smtp = Smtp::start().await;
    let app = start(backend, &smtp).await;
    let Scene { alice, home, elsewhere } = scene(&app).await;
    let root = app.admin().await;
    let alert = app.alerts_of(AlertKind::NewDevice).await.remove(0);
    root.post_empty(&format!("/admin/alerts/{}/acknowledge", alert.id)).await.expect(204);
    let token = token(&smtp);
    let done = say(&app, &token).await;
    assert!(done.status == 200 && done.body.contains("no longer logs in"), "{}", done.body);
    // P2: both are over with the next request, by every credential.
    for session in [&home, &elsewhere] {
        session.get("/auth/me").await.problem(401, "session_ended");
        session.refresh().await.problem(401, "session_ended");
    }
    assert_eq!(app.end_reason(&elsewhere.session_id).await, Some(EndReason::EndedByOwner));
    assert_eq!(app.end_reason(&home.session_id).await, Some(EndReason::PasswordChanged));
    for address in [HOME, ELSEWHERE] {
        try_from(&app, address, "alice", PASSWORD).await.problem(401, "invalid_credentials");
    }
    for kind in [AuditKind::UnrecognisedLoginReported, AuditKind::PasswordVoided] {
        let events = app.events().await;
        let found: Vec<_> = events.iter().filter(|event| event.event.kind == kind).collect();
        assert_eq!((found.len(), &found[0].event.context.actor.id), (1, &alice.id.to_string()), "{kind}");
    }
    // Reviewers see it again, and are told.
    let shown = root.get("/admin/alerts?kind=new_device").await.expect(200);
    assert_eq!((&shown["items"][0]["state"], shown["items"][0]["disowned_at"].is_string()), (&json!("open"), true));
    app.app.alerts.deliver().await.expect("the store answers");
    let told = smtp.mails_to("one@example.org");
    assert!(told.last().is_some_and(|mail| mail.text.contains("not theirs")), "{told:?}");
    // Once.
    let again = say(&app, &token).await;
    assert!(again.status == 410 && again.body.contains("no longer works"), "{}", again.body);
    // An administrator gives the means to set another.
    let reset = root.post_empty(&format!("/admin/users/{}/reset-password", alice.id)).await.expect(200);
    let reset = json!({ "token": reset["token"], "new_password": NEW_PASSWORD });
    app.nobody().post("/auth/reset", reset).await.expect(204);
    try_from(&app, HOME, "alice", NEW_PASSWORD).await.expect(200);
    // What the stranger used has not become known by it.
    app.advance(TimeDelta::hours(2));
    let before = app.alerts_of(AlertKind::NewDevice).await.len();
    try_from(&app, ELSEWHERE, "alice", NEW_PASSWORD).await.expect(200);
    assert_eq!(app.alerts_of(AlertKind::NewDevice).await.len(), before + 1);
}

#[rstest]
#[actix_web::test]
async fn the_link_works_for_72_hours_and_for_nothing_else(#[values(Sqlite, Postgres)] backend: Backend) {
    let smtp = Smtp::start().await;
    let app = start(backend, &smtp).await;
    let Scene { alice, .. } = scene(&app).await;
    let token = token(&smtp);
    let reset = json!({ "token": token, "new_password": NEW_PASSWORD });
    app.nobody().post("/auth/reset", reset).await.problem(401, "token_invalid");
    let setup = json!({ "token": token, "username": "mallory", "password": NEW_PASSWORD });
    app.nobody().post("/auth/setup", setup).await.problem(401, "token_invalid");
    // And no other one-time token for this.
    let issued = app.app.users.issue_reset(alice.id, false, &AuditContext::command_line()).await.expect("issued");
    let other = issued.secret.reveal(vigie::model::secret::SecretKind::OneTimeToken);
    assert_eq!(say(&app, &other).await.status, 410);
    let reset = json!({ "token": other, "new_password": "short" });
    app.nobody().post("/auth/reset", reset).await.problem(422, "invalid_input");
    assert_eq!(say(&app, "vgt_x").await.status, 410);
    app.nobody().post("/auth/not-me", json!({ "token": token })).await.problem(415, "unsupported_media_type");
    app.advance(TimeDelta::hours(72));
    assert_eq!(say(&app, &token).await.status, 410);
    try_from(&app, HOME, "alice", PASSWORD).await.expect(200);
    app.app.alerts.prune_deliveries().await.expect("forgotten");
    assert!(!app.dump().contains("not_me"));
}

/// A new password leaves older links nothing to do.
#[rstest]
#[actix_web::test]
async fn a_reset_voids_the_link(#[values(Sqlite, Postgres)] backend: Backend) {
    let smtp = Smtp::start().await;
    let app = start(backend, &smtp).await;
    let Scene { alice, .. } = scene(&app).await;
    let issued = app.app.users.issue_reset(alice.id, false, &AuditContext::command_line()).await.expect("issued");
    let reset = issued.secret.reveal(vigie::model::secret::SecretKind::OneTimeToken);
    let reset = json!({ "token": reset, "new_password": NEW_PASSWORD });
    app.nobody().post("/auth/reset", reset).await.expect(204);
    assert_eq!(say(&app, &token(&smtp)).await.status, 410);
    try_from(&app, HOME, "alice", NEW_PASSWORD).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn one_user_gets_a_bounded_number_of_mails(#[values(Sqlite, Postgres)] backend: Backend) {
    let smtp = Smtp::start().await;
    let app = start(backend, &smtp).await;
    let alice = app.user("alice", "agent").await;
    give_email(&app, &alice).await;
    for number in 0..14 {
        try_from(&app, &format!("203.0.{number}.1"), "alice", PASSWORD).await.expect(200);
    }
    for _ in 0..10 {
        app.app.alerts.deliver().await.expect("the store answers");
    }
    assert_eq!(with_link(&smtp).len(), 10);
}

#[rstest]
#[actix_web::test]
async fn administrators_set_and_take_away_an_address(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let new = json!({ "username": "alice", "role": "agent", "email": ALICE });
    let alice = root.post("/admin/users", new).await.expect(201);
    assert_eq!(alice["email"], ALICE);
    let path = format!("/admin/users/{}", alice["id"].as_str().expect("an id"));
    root.patch(&path, json!({ "email": "nowhere" })).await.problem(422, "invalid_input");
    assert_eq!(root.patch(&path, json!({ "role": "chef" })).await.expect(200)["email"], ALICE);
    assert_eq!(root.patch(&path, json!({ "email": "a@example.org" })).await.expect(200)["email"], "a@example.org");
    assert_eq!(root.patch(&path, json!({ "email": null })).await.expect(200)["email"], Value::Null);
    let events = app.events().await;
    let changed: Vec<_> = events.iter().filter(|event| event.event.kind == AuditKind::UserEmailChanged).collect();
    assert_eq!((changed.len(), &changed[1].event.details), (2, &json!({ "has_email": false })));
}
