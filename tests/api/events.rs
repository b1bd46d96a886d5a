//! What each operation leaves in the record. The snapshot is the inventory: every route of the document, with what it records
//! where it succeeds and where it is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::TimeDelta;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::alert::REPORT_LINK_LIFE;
use vigie::model::audit::{AuditKind, Reason, RecordedEvent};
use vigie::model::client::Scope;
use vigie::model::secret::{Secret, SecretKind};
use vigie::store::StoreError;
use vigie::store::one_time_tokens::{self, TokenPurpose};

use super::authorisation::routes;
use super::snapshot;
use crate::support::app::{Answer, PASSWORD, TestApp, TestClient, send};
use crate::support::application::{Application, form};
use crate::support::assertion::ASSERTION_TYPE;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::events::fits;
use crate::support::token::Forger;
use crate::support::until::until;

const NIL: &str = "00000000-0000-0000-0000-000000000000";
const NEW_PASSWORD: &str = "cinq renards roux chantent faux";

/// Times that a long scenario does not outlast.
const LONG: &[(&str, &str)] = &[
    ("VIGIE__TOKENS__ACCESS_TTL", "12h"),
    ("VIGIE__SESSIONS__IDLE_TIMEOUT", "40h"),
    ("VIGIE__SESSIONS__LIFETIME", "40h"),
    ("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "6h"),
];

/// A scenario: what was asked for, how it was answered, what was recorded.
struct Scenario<'a> {
    app: &'a TestApp,
    seen: i64,
    table: String,
    routes: BTreeSet<String>,
}

impl<'a> Scenario<'a> {
    fn of(app: &'a TestApp) -> Self {
        Self { app, seen: 0, table: String::new(), routes: BTreeSet::new() }
    }

    /// Notes what was recorded since the step before.
    async fn step(&mut self, route: &str, case: &str, answer: Answer) {
        self.routes.insert(route.to_owned());
        let recorded = self.recorded().await;
        let line = format!("{route:<38} {case:<34} {}  {recorded}", answer.status);
        writeln!(self.table, "{}", line.trim_end()).expect("a String takes everything");
    }

    /// What was recorded, in words; a minute passes, so that nothing is counted together with what follows.
    async fn recorded(&mut self) -> String {
        self.app.app.refusals.write_due().await.expect("the store answers");
        self.app.advance(TimeDelta::seconds(61));
        self.app.app.refusals.write_due().await.expect("the store answers");
        let events: Vec<RecordedEvent> =
            self.app.events().await.into_iter().filter(|event| event.seq > self.seen).collect();
        self.seen = events.last().map_or(self.seen, |event| event.seq);
        let mut told: Vec<(String, u32)> = Vec::new();
        for event in &events {
            keeps_to_its_kind(event);
            let word = word(event);
            match told.last_mut() {
                Some((last, times)) if *last == word => *times += 1,
                _ => told.push((word, 1)),
            }
        }
        let words = told.into_iter().map(|(word, times)| if times > 1 { format!("{word} ×{times}") } else { word });
        words.collect::<Vec<_>>().join(", ")
    }
}

fn word(RecordedEvent { event, .. }: &RecordedEvent) -> String {
    let reason = event.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let folded = event.details.get("folded").map(|folded| format!(" and {folded} more")).unwrap_or_default();
    format!("{}{reason}{folded}", event.kind)
}

/// LOG-02: what `docs/audit-events.md` says of the kind holds of the event.
fn keeps_to_its_kind(RecordedEvent { event, .. }: &RecordedEvent) {
    let facts = event.kind.facts();
    assert_eq!(event.outcome, facts.outcome, "{event:?}");
    assert!(facts.subjects.contains(&event.subject.kind), "{event:?}");
    match event.reason {
        Some(reason) => assert!(facts.reasons.contains(&reason), "{event:?}"),
        None => assert!(facts.reasons.is_empty(), "{event:?}"),
    }
    assert!(fits(event.kind, &event.details), "{event:?}");
    assert_eq!(event.context.ip.is_some(), event.context.request_id.is_some(), "{event:?}");
}

fn one_time_token() -> String {
    Secret::random().reveal(SecretKind::OneTimeToken)
}

fn login(name: &str, password: &str) -> Value {
    json!({ "username": name, "password": password })
}

/// LOG-01, LOG-02: every route of the document, where it succeeds and where it is refused.
#[rstest]
#[actix_web::test]
async fn log_01_each_operation_leaves_its_events(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, LONG).await;
    let mut scenario = Scenario::of(&app);
    let root = set_up(&app, &mut scenario).await;
    let alice = people(&app, &root, &mut scenario).await;
    own_affairs(&app, &alice, &mut scenario).await;
    passwords(&app, &mut scenario).await;
    administration(&app, &root, &mut scenario).await;
    applications(&app, &mut scenario).await;
    attacks(&app, &root, &mut scenario).await;
    disowning(&app, &mut scenario).await;
    history(&app, &root, &mut scenario).await;
    refused_callers(&app, &root, &mut scenario).await;
    for (method, path) in routes() {
        let route = format!("{method} {path}");
        assert!(scenario.routes.contains(&route), "{route} is not in the scenario");
    }
    snapshot("audit_events", &scenario.table);
}

async fn set_up<'a>(app: &'a TestApp, scenario: &mut Scenario<'a>) -> TestClient<'a> {
    let nobody = app.nobody();
    assert_eq!(scenario.recorded().await, "key.created");
    for public in ["/health/live", "/health/ready", "/openapi.json"] {
        scenario.step(&format!("GET {public}"), "", nobody.get(public).await).await;
    }
    let token = app.app.users.issue_setup().await.expect("issued").expect("nobody is there yet").secret;
    let token = token.reveal(SecretKind::OneTimeToken);
    assert_eq!(scenario.recorded().await, "setup.issued");
    let body = |token: &str, password: &str| json!({ "token": token, "username": "root", "password": password });
    for (case, body) in [
        ("not a token", body("vgt_x", PASSWORD)),
        ("another token", body(&one_time_token(), PASSWORD)),
        ("a bad password", body(&token, "short")),
    ] {
        scenario.step("POST /auth/setup", case, nobody.post("/auth/setup", body).await).await;
    }
    let answer = nobody.post("/auth/setup", body(&token, PASSWORD)).await;
    scenario.step("POST /auth/setup", "", answer.clone()).await;
    scenario.step("POST /auth/setup", "again", nobody.post("/auth/setup", body(&token, PASSWORD)).await).await;
    app.client(&answer.expect(201))
}

async fn people<'a>(app: &'a TestApp, root: &TestClient<'a>, scenario: &mut Scenario<'a>) -> TestClient<'a> {
    let (nobody, route) = (app.nobody(), "POST /admin/users");
    let new = |name: &str, password: Option<&str>| json!({ "username": name, "role": "agent", "password": password });
    app.user("alice", "agent").await;
    scenario.recorded().await;
    for (case, body) in [
        ("", new("dora", Some(PASSWORD))),
        ("a taken name", new("ALICE", Some(PASSWORD))),
        ("a bad password", new("bob", Some("short"))),
        ("without a password", new("bob", None)),
    ] {
        scenario.step(route, case, root.post("/admin/users", body).await).await;
    }
    app.user("carol", "agent").await;
    scenario.recorded().await;
    let carol = app.app.users.find_by_id_or_name("carol").await.expect("asked").expect("there").id;
    let disabled = root.patch(&format!("/admin/users/{carol}"), json!({ "state": "disabled" })).await;
    scenario.step("PATCH /admin/users/{id}", "disable", disabled).await;
    let unregistered = json!({ "username": "alice", "password": PASSWORD, "client_id": "nowhere" });
    for (case, body) in [
        ("an unknown name", login("nobody", PASSWORD)),
        ("a wrong password", login("alice", NEW_PASSWORD)),
        ("a disabled user", login("carol", PASSWORD)),
        ("a user without a password", login("bob", PASSWORD)),
        ("an unknown application", unregistered),
    ] {
        scenario.step("POST /auth/login", case, nobody.post("/auth/login", body).await).await;
    }
    let dora = app.log_in("dora").await;
    scenario.recorded().await;
    scenario.step("GET /auth/verify", "before a password change", dora.get("/auth/verify").await).await;
    scenario.step("POST /auth/refresh", "before a password change", dora.refresh().await).await;
    for _ in 0..8 {
        nobody.post("/auth/login", login("bob", NEW_PASSWORD)).await;
    }
    scenario.step("POST /auth/login", "too often", nobody.post("/auth/login", login("bob", NEW_PASSWORD)).await).await;
    let answer = nobody.post("/auth/login", login("alice", PASSWORD)).await;
    scenario.step("POST /auth/login", "", answer.clone()).await;
    app.client(&answer.expect(200))
}

async fn own_affairs<'a>(app: &'a TestApp, alice: &TestClient<'a>, scenario: &mut Scenario<'a>) {
    let nobody = app.nobody();
    for path in ["/auth/me", "/auth/sessions", "/auth/attempts", "/auth/export", "/auth/verify"] {
        scenario.step(&format!("GET {path}"), "", alice.get(path).await).await;
    }
    let head = send(alice.request(Method::HEAD, "/auth/verify")).await;
    scenario.step("HEAD /auth/verify", "", head).await;
    scenario.step("GET /auth/verify", "without a token", nobody.get("/auth/verify").await).await;
    let head = send(nobody.with_token("x").request(Method::HEAD, "/auth/verify")).await;
    scenario.step("HEAD /auth/verify", "not a token", head).await;
    scenario.step("GET /auth/verify/{path}", "", alice.get("/auth/verify/files/a").await).await;
    for document in ["jwks.json", "oauth-authorization-server", "oauth-protected-resource"] {
        let path = format!("/.well-known/{document}");
        scenario.step(&format!("GET {path}"), "", nobody.get(&path).await).await;
    }
    for document in ["oauth-authorization-server", "oauth-protected-resource"] {
        let answer = nobody.get(&format!("/.well-known/{document}/elsewhere")).await;
        scenario.step(&format!("GET /.well-known/{document}/{{path}}"), "of another issuer", answer).await;
    }
    let refresh = async |token: &str| nobody.post("/auth/refresh", json!({ "refresh_token": token })).await;
    let foreign = foreign_refresh_token();
    scenario.step("POST /auth/refresh", "not a token", refresh("vgr_x").await).await;
    scenario.step("POST /auth/refresh", "another token", refresh(&foreign).await).await;
    scenario.step("POST /auth/refresh", "", refresh(&alice.refresh_token).await).await;
    scenario.step("POST /auth/refresh", "a spent token, after the grace", refresh(&alice.refresh_token).await).await;
    scenario.step("POST /auth/refresh", "of an ended session", refresh(&alice.refresh_token).await).await;
    scenario.step("GET /auth/me", "of an ended session", alice.get("/auth/me").await).await;

    let logout = "POST /auth/logout";
    let one = app.log_in("alice").await;
    scenario.recorded().await;
    let both = one.post("/auth/logout", json!({ "refresh_token": one.refresh_token })).await;
    scenario.step(logout, "with two credentials", both).await;
    scenario.step(logout, "", one.post_empty("/auth/logout").await).await;
    scenario.step(logout, "again", one.post_empty("/auth/logout").await).await;
    scenario.step(logout, "without a token", nobody.post_empty("/auth/logout").await).await;
    scenario.step(logout, "not a token", nobody.with_token("x").post_empty("/auth/logout").await).await;
    for (case, token) in [("not a refresh token", "vgr_x"), ("another refresh token", &foreign)] {
        scenario.step(logout, case, nobody.post("/auth/logout", json!({ "refresh_token": token })).await).await;
    }
    let two = app.log_in("alice").await;
    scenario.recorded().await;
    let by_refresh = nobody.post("/auth/logout", json!({ "refresh_token": two.refresh_token })).await;
    scenario.step(logout, "by a refresh token", by_refresh).await;

    let (three, four) = (app.log_in("alice").await, app.log_in("alice").await);
    let root = app.log_in("root").await;
    scenario.recorded().await;
    let end = async |id: &str| three.delete(&format!("/auth/sessions/{id}")).await;
    scenario.step("DELETE /auth/sessions/{id}", "", end(&four.session_id).await).await;
    scenario.step("DELETE /auth/sessions/{id}", "another user's", end(&root.session_id).await).await;
    scenario.step("DELETE /auth/sessions/{id}", "of nobody", end(NIL).await).await;
    scenario.step("POST /auth/logout-all", "", three.post("/auth/logout-all", json!({})).await).await;
}

/// The form is right, and the session was never there.
fn foreign_refresh_token() -> String {
    use base64::Engine as _;
    format!("vgr_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([7_u8; 52]))
}

async fn passwords<'a>(app: &'a TestApp, scenario: &mut Scenario<'a>) {
    let nobody = app.nobody();
    let alice = app.log_in("alice").await;
    scenario.recorded().await;
    let change = async |current: &str, new: &str| {
        alice.post("/auth/password", json!({ "current_password": current, "new_password": new })).await
    };
    scenario.step("POST /auth/password", "a wrong password", change("not the password", NEW_PASSWORD).await).await;
    scenario.step("POST /auth/password", "a bad password", change(PASSWORD, "short").await).await;
    scenario.step("POST /auth/password", "", change(PASSWORD, NEW_PASSWORD).await).await;
    let root = app.log_in("root").await;
    let id = app.app.users.find_by_id_or_name("alice").await.expect("asked").expect("there").id;
    scenario.recorded().await;
    let issue = async |id: &str| root.post_empty(&format!("/admin/users/{id}/reset-password")).await;
    scenario.step("POST /admin/users/{id}/reset-password", "of nobody", issue(NIL).await).await;
    let issued = issue(&id.to_string()).await;
    scenario.step("POST /admin/users/{id}/reset-password", "", issued.clone()).await;
    let issued = issued.expect(200)["token"].as_str().expect("a token").to_owned();
    let reset =
        async |token: &str, new: &str| nobody.post("/auth/reset", json!({ "token": token, "new_password": new })).await;
    scenario.step("POST /auth/reset", "not a token", reset("vgt_x", PASSWORD).await).await;
    scenario.step("POST /auth/reset", "another token", reset(&one_time_token(), PASSWORD).await).await;
    scenario.step("POST /auth/reset", "a bad password", reset(&issued, "short").await).await;
    scenario.step("POST /auth/reset", "", reset(&issued, PASSWORD).await).await;
    scenario.step("POST /auth/reset", "again", reset(&issued, PASSWORD).await).await;
}

async fn administration<'a>(app: &'a TestApp, root: &TestClient<'a>, scenario: &mut Scenario<'a>) {
    let id_of =
        async |name: &str| app.app.users.find_by_id_or_name(name).await.expect("asked").expect("there").id.to_string();
    let (alice, me) = (id_of("alice").await, id_of("root").await);
    let session = app.log_in("alice").await;
    scenario.recorded().await;
    scenario.step("GET /admin/users", "", root.get("/admin/users").await).await;
    scenario.step("GET /admin/users/{id}", "", root.get(&format!("/admin/users/{alice}")).await).await;
    let patch = async |id: &str, body: Value| root.patch(&format!("/admin/users/{id}"), body).await;
    let route = "PATCH /admin/users/{id}";
    scenario.step(route, "rename", patch(&alice, json!({ "username": "alicia" })).await).await;
    scenario.step(route, "a taken name", patch(&alice, json!({ "username": "bob" })).await).await;
    scenario.step(route, "an e-mail address", patch(&alice, json!({ "email": "alice@example.org" })).await).await;
    scenario.step(route, "another role", patch(&alice, json!({ "role": "chef" })).await).await;
    scenario.step(route, "the last administrator", patch(&me, json!({ "role": "chef" })).await).await;
    scenario.step(route, "of nobody", patch(NIL, json!({ "state": "disabled" })).await).await;
    scenario.step(route, "disable", patch(&alice, json!({ "state": "disabled" })).await).await;
    scenario.step(route, "enable", patch(&alice, json!({ "state": "active" })).await).await;
    scenario.step("GET /auth/me", "of an ended session", session.get("/auth/me").await).await;
    for action in ["unlock", "end-sessions"] {
        let (route, post) = (format!("POST /admin/users/{{id}}/{action}"), async |id: &str| {
            root.post_empty(&format!("/admin/users/{id}/{action}")).await
        });
        scenario.step(&route, "", post(&alice).await).await;
        scenario.step(&route, "of nobody", post(NIL).await).await;
    }
    let erin = app.user("erin", "agent").await.id.to_string();
    scenario.recorded().await;
    for (case, id) in [("", erin.as_str()), ("again", &erin), ("of nobody", NIL), ("the last administrator", &me)] {
        let erased = root.post_empty(&format!("/admin/users/{id}/erase")).await;
        scenario.step("POST /admin/users/{id}/erase", case, erased).await;
    }
    let delete = async |id: &str| root.delete(&format!("/admin/users/{id}")).await;
    scenario.step("DELETE /admin/users/{id}", "", delete(&id_of("bob").await).await).await;
    scenario.step("DELETE /admin/users/{id}", "of nobody", delete(NIL).await).await;
    scenario.step("DELETE /admin/users/{id}", "the last administrator", delete(&me).await).await;

    let new = json!({ "id": "crm", "name": "CRM", "scopes": ["introspect"] });
    scenario.step("POST /admin/clients", "", root.post("/admin/clients", new.clone()).await).await;
    scenario.step("POST /admin/clients", "a taken id", root.post("/admin/clients", new).await).await;
    scenario.step("GET /admin/clients", "", root.get("/admin/clients").await).await;
    for (case, id) in [("", "crm"), ("of nobody", "nowhere")] {
        let rotated = root.post_empty(&format!("/admin/clients/{id}/rotate-secret")).await;
        scenario.step("POST /admin/clients/{id}/rotate-secret", case, rotated).await;
        scenario.step("DELETE /admin/clients/{id}", case, root.delete(&format!("/admin/clients/{id}")).await).await;
    }
}

async fn applications<'a>(app: &'a TestApp, scenario: &mut Scenario<'a>) {
    let (crm, reader) =
        (app.application("shop").await, app.application_with("reader", &[Scope::Introspect], None).await);
    app.user("frank", "agent").await;
    scenario.recorded().await;
    let wrong = crm.with_secret(&reader.secret);
    let log_in =
        async |client: &Application<'_>| send(client.request("/auth/login").json(&login("frank", PASSWORD))).await;
    scenario.step("POST /auth/login", "by a client with a wrong secret", log_in(&wrong).await).await;
    let answer = log_in(&crm).await;
    scenario.step("POST /auth/login", "by a client", answer.clone()).await;
    let frank = app.client(&answer.expect(200));
    scenario.step("POST /auth/refresh", "without the client", frank.refresh().await).await;
    scenario.step("POST /auth/refresh", "by a client", crm.refresh(&frank.refresh_token).await).await;
    let unknown = Application { id: "nowhere".to_owned(), ..crm.clone() };
    let introspect = "POST /oauth/introspect";
    scenario.step(introspect, "", crm.introspect(frank.token()).await).await;
    scenario.step(introspect, "by an unknown client", unknown.introspect("x").await).await;
    let fields =
        [("token", "x"), ("client_id", "shop"), ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", "x")];
    let claimed = form(app.nobody().request(Method::POST, "/oauth/introspect"), &fields);
    scenario.step(introspect, "with a bad assertion", send(claimed).await).await;
    let revoke = "POST /oauth/revoke";
    scenario.step(revoke, "without the scope", reader.revoke(frank.token()).await).await;
    scenario.step(revoke, "with two credentials", crm.post("/oauth/revoke", &[("client_secret", "x")]).await).await;
    scenario.step(revoke, "of nothing", crm.revoke("x").await).await;
    scenario.step(revoke, "", crm.revoke(frank.token()).await).await;
    scenario.step(revoke, "again", crm.revoke(frank.token()).await).await;
}

async fn attacks<'a>(app: &'a TestApp, root: &TestClient<'a>, scenario: &mut Scenario<'a>) {
    app.nobody().post("/auth/login", login("alicia", NEW_PASSWORD)).await.problem(401, "invalid_credentials");
    scenario.recorded().await;
    let throttles = root.get("/admin/throttles?state=all&scope=account").await;
    scenario.step("GET /admin/throttles", "", throttles.clone()).await;
    let throttle = throttles.expect(200)["items"][0]["id"].as_str().expect("an id").to_owned();
    for (case, id) in [("", throttle.as_str()), ("of nobody", NIL)] {
        let lifted = root.delete(&format!("/admin/throttles/{id}")).await;
        scenario.step("DELETE /admin/throttles/{id}", case, lifted).await;
    }
    let alerts = root.get("/admin/alerts").await;
    scenario.step("GET /admin/alerts", "", alerts.clone()).await;
    let alert = alerts.expect(200)["items"][0]["id"].as_str().expect("an id").to_owned();
    for (case, id) in [("", alert.as_str()), ("of nobody", NIL)] {
        scenario.step("GET /admin/alerts/{id}", case, root.get(&format!("/admin/alerts/{id}")).await).await;
        let acknowledged = root.post_empty(&format!("/admin/alerts/{id}/acknowledge")).await;
        scenario.step("POST /admin/alerts/{id}/acknowledge", case, acknowledged).await;
    }
}

async fn disowning<'a>(app: &'a TestApp, scenario: &mut Scenario<'a>) {
    let user_id = app.user("delia", "agent").await.id;
    let (session, token, now) = (app.log_in("delia").await, Secret::random(), app.now());
    scenario.recorded().await;
    let session_id = session.session_id.parse().expect("an id");
    let (digest, purpose) = (token.digest(), TokenPurpose::ReportLink { user_id, session_id });
    let insert = move |db: &mut _| one_time_tokens::insert(db, digest, purpose, now, now + REPORT_LINK_LIFE);
    app.app.store.write::<_, StoreError>(insert).await.expect("the store answers");
    let token = token.reveal(SecretKind::OneTimeToken);
    let page = app.nobody().get(&format!("/auth/not-me?token={token}")).await;
    scenario.step("GET /auth/not-me", "", page).await;
    for (case, token) in
        [("not a token", "vgt_x"), ("another token", &one_time_token()), ("", &token), ("again", &token)]
    {
        let request = app.nobody().request(Method::POST, "/auth/not-me");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        scenario.step("POST /auth/not-me", case, send(request.body(format!("token={token}"))).await).await;
    }
}

async fn history<'a>(app: &'a TestApp, root: &TestClient<'a>, scenario: &mut Scenario<'a>) {
    let alice = app.client(&app.nobody().post("/auth/login", login("alicia", PASSWORD)).await.expect(200));
    scenario.recorded().await;
    for list in ["sessions", "attempts", "audit"] {
        scenario.step(&format!("GET /admin/{list}"), "", root.get(&format!("/admin/{list}")).await).await;
        for format in ["csv", "ndjson", "ocsf"] {
            let answer = root.get(&format!("/admin/{list}/export?format={format}")).await;
            scenario.step(&format!("GET /admin/{list}/export"), format, answer).await;
        }
    }
    app.app.chain.seal().await.expect("the store answers");
    app.app.chain.checkpoint().await.expect("the store answers");
    for (case, seq) in [("", "1"), ("of nothing", "0")] {
        scenario.step("GET /admin/audit/{seq}/proof", case, root.get(&format!("/admin/audit/{seq}/proof")).await).await;
    }
    let grown = root.get("/admin/audit/consistency?from=1&to=2").await;
    scenario.step("GET /admin/audit/consistency", "", grown).await;
    scenario.step("GET /audit/checkpoint", "", app.nobody().get("/audit/checkpoint").await).await;
    scenario.step("GET /admin/stats", "", root.get("/admin/stats").await).await;
    for (case, id) in [("", alice.session_id.as_str()), ("of nobody", NIL)] {
        scenario.step("GET /admin/sessions/{id}", case, root.get(&format!("/admin/sessions/{id}")).await).await;
    }
    let look_up = async |token: &str| root.post("/admin/sessions/lookup", json!({ "token": token })).await;
    scenario.step("POST /admin/sessions/lookup", "", look_up(alice.token()).await).await;
    scenario.step("POST /admin/sessions/lookup", "not a token", look_up("x").await).await;
    scenario.step("POST /admin/sessions/lookup", "of nobody", look_up(&foreign_refresh_token()).await).await;
    for (case, id) in [("", alice.session_id.as_str()), ("of nobody", NIL)] {
        let answer = root.post_empty(&format!("/admin/sessions/{id}/end")).await;
        scenario.step("POST /admin/sessions/{id}/end", case, answer).await;
    }
    app.client(&app.nobody().post("/auth/login", login("alicia", PASSWORD)).await.expect(200));
    scenario.recorded().await;
    for dry_run in [true, false] {
        let case = if dry_run { "only counted" } else { "" };
        let body = json!({ "filter": { "user": "alicia" }, "dry_run": dry_run });
        scenario.step("POST /admin/sessions/end", case, root.post("/admin/sessions/end", body).await).await;
    }
    let tomorrow = (app.now() + TimeDelta::days(1)).to_rfc3339();
    for (case, body) in [
        ("of nobody", json!({ "user_id": NIL, "note": "x" })),
        ("in the future", json!({ "at": tomorrow, "note": "x" })),
        ("", json!({ "client_id": null, "at": "2020-01-01T00:00:00Z", "note": "x" })),
    ] {
        scenario.step("POST /admin/not-before", case, root.post("/admin/not-before", body).await).await;
    }
}

/// LOG-05: who may not, and who must log in again.
async fn refused_callers<'a>(app: &'a TestApp, root: &TestClient<'a>, scenario: &mut Scenario<'a>) {
    let user = app.client(&app.nobody().post("/auth/login", login("alicia", PASSWORD)).await.expect(200));
    scenario.recorded().await;
    for (method, path) in routes().into_iter().filter(|(_, path)| path.starts_with("/admin/")) {
        let answer = send(user.request(method.clone(), &path.replace("{id}", NIL))).await;
        scenario.step(&format!("{method} {path}"), "by an ordinary user", answer).await;
    }
    app.advance(TimeDelta::hours(7));
    let late = root.delete("/admin/clients/crm").await;
    scenario.step("DELETE /admin/clients/{id}", "long after the login", late).await;
    app.advance(TimeDelta::hours(7));
    scenario.step("GET /auth/me", "with an expired token", root.get("/auth/me").await).await;
}

/// LOG-05: each way to forge a token has its own reason in the record.
#[rstest]
#[actix_web::test]
async fn log_05_each_refused_token_has_its_own_reason(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    let alice = app.signed_in("alice").await;
    let bob = app.user("bob", "agent").await;
    let forger = Forger::of(&alice).await;
    let unknown = uuid::Uuid::now_v7().to_string();
    let now = app.now().timestamp();
    let tampered = {
        let (signed, _) = alice.token().rsplit_once('.').expect("a signature");
        format!("{signed}.{}", "A".repeat(86))
    };
    let attacks: Vec<(&str, String)> = vec![
        ("malformed", "not a token".to_owned()),
        ("malformed", alice.refresh_token.clone()),
        ("too_large", "x".repeat(9_000)),
        ("signature", tampered),
        ("algorithm", forger.with_header("alg", "none")),
        ("header_refused", forger.with_header("jku", "https://example.com")),
        ("type", forger.with_header("typ", "id+jwt")),
        ("key_unknown", forger.with_header("kid", "another")),
        ("claim_missing", forger.without_claim("sid")),
        ("claim_type", forger.with_claim("exp", "tomorrow")),
        ("issuer", forger.with_claim("iss", "https://example.com")),
        ("audience", forger.with_claim("aud", "another")),
        ("not_yet_valid", forger.with_claim("iat", now + 3_600)),
        ("expired", forger.with_claim("exp", now - 1)),
        ("subject", forger.with_claim("sub", bob.id.to_string())),
        ("session_unknown", forger.with_claim("sid", unknown.as_str())),
    ];
    for (reason, token) in &attacks {
        let answer = alice.with_token(token).get("/auth/me").await;
        assert_eq!(answer.status, 401, "{reason}: {}", answer.body);
        app.app.refusals.write_due().await.expect("recorded");
        let event = app.events().await.pop().expect("an event");
        keeps_to_its_kind(&event);
        let expected = if *reason == "session_unknown" { "session.unknown" } else { "token.refused" };
        assert_eq!((event.event.kind.as_str(), event.event.reason.map(Reason::as_str)), (expected, Some(*reason)));
        assert_eq!(event.event.details["route"], "GET /auth/me");
        assert!(event.event.context.request_id.is_some_and(|id| !id.is_empty()));
        // What a token says of itself is only believed where it is signed.
        let is_signed = ["expired", "not_yet_valid", "subject", "session_unknown"].contains(reason);
        assert_eq!(event.event.session_id.is_some(), is_signed, "{reason}");
        app.advance(TimeDelta::milliseconds(1));
    }
    let in_address = format!("/auth/me?access_token={}", alice.token());
    app.nobody().get(&in_address).await.problem(400, "malformed_request");
    alice.post_empty("/auth/logout").await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    app.app.refusals.write_due().await.expect("recorded");
    let reasons: Vec<String> = app.events().await.iter().rev().take(3).rev().map(word).collect();
    assert!(reasons.contains(&"token.refused (token_in_address)".to_owned()), "{reasons:?}");
    assert!(reasons.contains(&"token.refused (session_ended)".to_owned()), "{reasons:?}");
}

/// LOG-05: a flood does not fill the disk, and its size is known.
#[rstest]
#[actix_web::test]
async fn a_flood_of_refusals_is_two_events_a_minute(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let before = app.events().await.len();
    for minute in 0..2 {
        for _ in 0..200 {
            app.nobody().with_token("garbage").get("/auth/me").await.problem(401, "token_invalid");
        }
        app.app.refusals.write_due().await.expect("recorded");
        assert_eq!(app.events().await.len(), before + 2 * minute + 1);
        app.advance(TimeDelta::minutes(1));
        app.app.refusals.write_due().await.expect("recorded");
    }
    let events = app.events().await;
    assert_eq!(events.len(), before + 4);
    let last = &events[events.len() - 1];
    assert_eq!((&last.event.details["folded"], &last.event.details["network"]), (&json!(199), &json!("127.0.0.0/24")));
}

/// LOG-05: whoever is known and was refused is named, with what was asked for, whoever else was refused from the same network.
#[rstest]
#[actix_web::test]
async fn a_refusal_names_who_asked_and_for_what(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (bob, alice) = (app.signed_in("bob").await, app.signed_in("alice").await);
    for _ in 0..3 {
        bob.get("/admin/users").await.problem(403, "not_allowed");
    }
    for _ in 0..4 {
        alice.get("/admin/users").await.problem(403, "not_allowed");
    }
    alice.delete(&format!("/admin/users/{NIL}")).await.problem(403, "not_allowed");
    app.app.refusals.write_all().await.expect("recorded");
    let id = app.app.users.find_by_id_or_name("alice").await.expect("asked").expect("there").id.to_string();
    let events = app.events().await.into_iter().map(|event| event.event);
    let hers = events.filter(|event| event.kind == AuditKind::AccessRefused && event.context.actor.id == id);
    let told = hers.map(|event| (event.details["route"].clone(), event.details["folded"].clone()));
    let expected = [
        (json!("GET /admin/users"), Value::Null),
        (json!("DELETE /admin/users/{id}"), Value::Null),
        (json!("GET /admin/users"), json!(3)),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

/// A refusal waits for nothing: it is answered while the store takes no writes, and recorded when it does again.
#[actix_web::test]
async fn what_is_refused_while_the_store_is_away_is_recorded_later() {
    let (app, proxy) = TestApp::behind_proxy(&[("VIGIE__DATABASE__WAIT", "500ms")]).await;
    let garbage = app.nobody().with_token("garbage");
    proxy.cut();
    for _ in 0..3 {
        garbage.get("/auth/me").await.problem(401, "token_invalid");
    }
    let refused = app.app.refusals.write_due().await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    proxy.restore();
    until("the store takes writes again", async || app.app.refusals.write_due().await).await;
    let refused = async || app.events().await.iter().filter(|event| event.event.kind.is_aggregated()).count();
    assert_eq!(refused().await, 1);
    app.app.refusals.write_all().await.expect("recorded");
    assert_eq!(refused().await, 2);
}

/// What is still counted when the server stops is written.
#[rstest]
#[actix_web::test]
async fn refusals_are_recorded_at_the_stop(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    for _ in 0..3 {
        app.nobody().with_token("garbage").get("/auth/me").await.problem(401, "token_invalid");
    }
    let app = app.restart().await;
    let refused: Vec<String> =
        app.events().await.iter().filter(|event| event.event.kind.is_aggregated()).map(word).collect();
    assert_eq!(refused, ["token.refused (malformed)", "token.refused (malformed) and 2 more"]);
}

/// LOG-04: names and headers with line ends and escapes stay inside their event.
#[rstest]
#[actix_web::test]
async fn log_04_what_people_type_cannot_forge_an_event(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    let forged = "x\r\n{\"seq\":1,\"kind\":\"key.revoked\"}\u{1b}[2J";
    app.nobody().post("/auth/login", login(forged, PASSWORD)).await.problem(401, "invalid_credentials");
    app.app.refusals.write_due().await.expect("recorded");
    for format in ["ndjson", "ocsf", "csv"] {
        let answer = auditor.get(&format!("/admin/audit/export?format={format}&kind=login.failed")).await;
        let expected = if format == "csv" { 2 } else { 1 };
        assert_eq!(answer.body.lines().count(), expected, "{}", answer.body);
        assert!(!answer.body.contains('\u{1b}') && !answer.body.contains("key.revoked"), "{}", answer.body);
    }
}

/// An event has the members of the contract, in lists and exports alike, and is found by its outcome.
#[rstest]
#[actix_web::test]
async fn log_02_an_event_says_its_outcome_and_reason(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let auditor = app.auditor().await;
    app.nobody().post("/auth/login", login("reviewer", NEW_PASSWORD)).await.problem(401, "invalid_credentials");
    app.app.refusals.write_due().await.expect("recorded");
    let found = auditor.get("/admin/audit?outcome=failure").await.expect(200);
    let event = &found["items"][0];
    let me = auditor.get("/auth/me").await.expect(200)["user"]["id"].clone();
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1));
    assert_eq!((&event["outcome"], &event["reason"]), (&json!("failure"), &json!("wrong_password")));
    assert_eq!(event["subject"], json!({ "kind": "user", "id": me }));
    assert_eq!(event["details"], json!({ "username": "reviewer", "client_id": null }));
    let members: BTreeMap<String, Value> = serde_json::from_value(event.clone()).expect("an object");
    let expected =
        ["actor", "at", "details", "ip", "kind", "outcome", "reason", "request_id", "seq", "session_id", "subject"];
    assert_eq!(members.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    let csv = auditor.get("/admin/audit/export?format=csv&outcome=failure").await.body;
    assert!(csv.lines().nth(1).is_some_and(|row| row.contains(",login.failed,failure,wrong_password,")), "{csv}");
    let successes = auditor.get("/admin/audit?outcome=success&limit=500").await.expect(200);
    let successes = successes["items"].as_array().expect("rows");
    assert!(successes.len() > 2 && successes.iter().all(|event| event["reason"].is_null()));
}
