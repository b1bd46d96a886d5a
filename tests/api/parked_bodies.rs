//! A request is judged when it acts, not when its head arrives: whoever parks a body gains nothing by it (P2).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vigie::client::registration::NewClient;
use vigie::model::audit::{ActingSession, AuditContext, AuditKind};
use vigie::model::id::{SessionId, UserId};
use vigie::model::not_before::Scope;
use vigie::model::session::{Actor, EndReason};
use vigie::model::user::{Role, UserState};
use vigie::session::bulk_end::SessionsToEnd;
use vigie::store::{Overtaken, StoreError};
use vigie::user::UserError;
use vigie::user::change::UserChange;
use vigie::user::create::NewUser;

use super::admin_exports::export_begun;
use super::authorisation::routes;
use crate::support::app::{PASSWORD, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::thousands::Rows;
use crate::support::until::until;

/// A body that the route does what it says with, for every route that asks for a token and takes one.
fn effective_body(method: &Method, path: &str, others: &Others) -> Value {
    match (method.as_str(), path) {
        ("POST", "/auth/password") => {
            json!({ "current_password": PASSWORD, "new_password": "neuf renards roux courent vite" })
        }
        ("POST", "/auth/logout-all") => json!({ "keep_current": false }),
        ("POST", "/admin/users") => json!({ "username": "mallory", "role": "admin" }),
        ("PATCH", "/admin/users/{id}") => json!({ "role": "admin" }),
        ("POST", "/admin/sessions/end") => json!({ "filter": { "user": "bob" } }),
        ("POST", "/admin/sessions/lookup") => json!({ "token": others.token }),
        ("POST", "/admin/not-before") => json!({ "user_id": others.user, "note": "why" }),
        ("POST", "/admin/clients") => json!({ "id": "crm", "name": "CRM", "scopes": [] }),
        ("POST", "/admin/clients/{id}/rotate-secret") => json!({ "void_old": true }),
        ("POST", "/admin/users/{id}/reset-password") => json!({ "void_password": true }),
        ("POST", path) if path.contains("{id}/") => json!({ "note": "why" }),
        _ => panic!("{method} {path} takes a body: say here which one it does something with"),
    }
}

/// What asks for a recent login.
fn is_sensitive(method: &Method, path: &str) -> bool {
    *method == Method::PATCH
        || matches!(path, "/admin/not-before" | "/admin/sessions/end" | "/admin/users" | "/admin/clients")
        || path.ends_with("/reset-password")
        || path.ends_with("/rotate-secret")
}

/// Every route of the document that takes a body and asks for a token.
fn routes_with_bodies() -> Vec<(Method, String)> {
    let document = serde_json::to_value(vigie::http::openapi::document()).expect("the document is JSON");
    let takes_both = |(method, path): &(Method, String)| {
        let operation = &document["paths"][path][method.as_str().to_lowercase()];
        operation["requestBody"].is_object() && operation["security"] == json!([{ "bearer": [] }])
    };
    routes().into_iter().filter(takes_both).collect()
}

/// A registered client.
const CLIENT: &str = "erp";

/// Somebody else, whom the routes are about.
struct Others {
    user: String,
    session: String,
    token: String,
}

impl Others {
    async fn there(app: &TestApp) -> Self {
        let bob = app.signed_in("bob").await;
        let me = bob.get("/auth/me").await.expect(200);
        app.registered_client(CLIENT).await;
        Self {
            user: me["user"]["id"].as_str().expect("an id").to_owned(),
            session: bob.session_id.clone(),
            token: bob.token().to_owned(),
        }
    }

    fn path(&self, path: &str) -> String {
        let id = match path {
            _ if path.starts_with("/admin/users") => self.user.as_str(),
            _ if path.starts_with("/admin/clients") => CLIENT,
            _ => self.session.as_str(),
        };
        path.replace("{id}", id)
    }
}

/// A request whose head was sent and judged, and whose body was not sent yet.
struct Parked {
    stream: TcpStream,
    body: Vec<u8>,
}

impl Parked {
    async fn at(app: &TestApp, by: &TestClient<'_>, method: &Method, path: &str, body: &Value) -> Self {
        let body = serde_json::to_vec(body).expect("JSON");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: vigie\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
            by.token(),
            body.len()
        );
        let mut stream = TcpStream::connect(app.address).await.expect("the server listens");
        stream.write_all(head.as_bytes()).await.expect("it is sent");
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut said).await.expect("it answers") > 0, "{}", String::from_utf8_lossy(&said));
        }
        // It is said in the same breath in which the head is judged.
        assert!(said.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&said));
        Self { stream, body }
    }

    /// Sends the body; returns status and code of the answer.
    async fn finish(mut self) -> (u16, String) {
        self.stream.write_all(&self.body).await.expect("it is taken");
        let mut answer = Vec::new();
        self.stream.read_to_end(&mut answer).await.expect("it answers");
        let answer = String::from_utf8(answer).expect("text");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    }
}

async fn id_of(app: &TestApp, name: &str) -> UserId {
    app.app.users.find_by_id_or_name(name).await.expect("the store answers").expect("the user is there").id
}

async fn change(app: &TestApp, name: &str, change: UserChange) {
    let id = id_of(app, name).await;
    app.app.users.change(id, change, &AuditContext::command_line()).await.expect("the user is changed");
}

/// Takes away what the caller's request stands on.
async fn take_away(app: &TestApp, caller: &TestClient<'_>, way: &str) {
    let (by, session) = (AuditContext::command_line(), caller.session_id.parse().expect("an id"));
    match way {
        "ended" => {
            let ended = app.app.sessions.end(session, EndReason::EndedByAdmin, None, &by).await;
            assert_eq!(ended, Ok(Some(true)));
        }
        "disabled" => {
            change(app, "root", UserChange { state: Some(UserState::Disabled), ..UserChange::default() }).await;
        }
        "role taken" => {
            change(app, "root", UserChange { role: Role::parse("agent").ok(), ..UserChange::default() }).await;
        }
        "not before" => {
            let scope = Scope::User(id_of(app, "root").await);
            app.advance(TimeDelta::seconds(1));
            app.app.sessions.set_not_before(scope, None, None, &by).await.expect("it holds");
        }
        "aged" => app.advance(TimeDelta::minutes(11)),
        _ => unreachable!("{way}"),
    }
}

/// What is answered then; `None` where the route does not ask for what was taken away.
fn expected(way: &str, method: &Method, path: &str) -> Option<(u16, &'static str)> {
    match way {
        "role taken" => path.starts_with("/admin/").then_some((403, "not_allowed")),
        "aged" => is_sensitive(method, path).then_some((401, "reauthentication_required")),
        _ => Some((401, "session_ended")),
    }
}

async fn deeds_of(app: &TestApp, actor: UserId) -> usize {
    let actor = actor.to_string();
    let is_deed = |event: &&vigie::model::audit::RecordedEvent| {
        event.event.context.actor.id == actor && event.event.outcome == vigie::model::audit::Outcome::Success
    };
    app.events().await.iter().filter(is_deed).count()
}

#[rstest]
#[actix_web::test]
async fn what_was_taken_away_while_a_body_was_on_its_way_counts(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("ended", "disabled", "role taken", "not before", "aged")] way: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__TOKENS__ACCESS_TTL", "1h")]).await;
    app.user("other", "admin").await;
    app.user("root", "admin").await;
    let (others, root) = (Others::there(&app).await, id_of(&app, "root").await);
    let routes = routes_with_bodies();
    assert_eq!(routes.len(), 13, "{routes:?}");
    for (method, path) in routes {
        let Some((status, code)) = expected(way, &method, &path) else { continue };
        let caller = app.log_in("root").await;
        caller.get("/auth/me").await.expect(200);
        let body = effective_body(&method, &path, &others);
        let parked = Parked::at(&app, &caller, &method, &others.path(&path), &body).await;
        take_away(&app, &caller, way).await;
        let before = deeds_of(&app, root).await;
        assert_eq!(parked.finish().await, (status, code.to_owned()), "{method} {path}");
        assert_eq!(deeds_of(&app, root).await, before, "{method} {path} did something");
        let whole =
            UserChange { role: Role::parse("admin").ok(), state: Some(UserState::Active), ..UserChange::default() };
        change(&app, "root", whole).await;
    }
}

/// The routes do what they say when nothing was taken away: otherwise the test above would show nothing.
#[rstest]
#[actix_web::test]
async fn a_parked_body_is_acted_on_where_nothing_was_taken_away(#[values(Sqlite, Postgres)] backend: Backend) {
    for (method, path) in routes_with_bodies() {
        let app = TestApp::start(backend).await;
        app.user("other", "admin").await;
        let (root, others) = (app.admin().await, Others::there(&app).await);
        let body = effective_body(&method, &path, &others);
        let before = deeds_of(&app, id_of(&app, "root").await).await;
        let parked = Parked::at(&app, &root, &method, &others.path(&path), &body).await;
        let (status, code) = parked.finish().await;
        if path == "/admin/alerts/{id}/acknowledge" {
            assert_eq!((status, code.as_str()), (404, "not_found"), "there is no alert");
        } else {
            assert!((200..300).contains(&status), "{method} {path}: {status} {code}");
            assert!(deeds_of(&app, id_of(&app, "root").await).await > before, "{method} {path} did nothing");
        }
    }
}

/// A stranger's body is not waited for.
#[rstest]
#[actix_web::test]
async fn a_stranger_is_refused_before_a_byte_of_the_body_is_there(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    for (method, path) in routes_with_bodies().into_iter().filter(|(_, path)| path.starts_with("/admin/")) {
        for (authorization, status) in
            [(String::new(), "401"), (format!("Authorization: Bearer {}\r\n", alice.token()), "403")]
        {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: vigie\r\n{authorization}Content-Type: application/json\r\n\
                 Content-Length: 1000\r\n\r\n"
            );
            let mut stream = TcpStream::connect(app.address).await.expect("the server listens");
            stream.write_all(head.as_bytes()).await.expect("it is sent");
            let mut answer = [0; 12];
            let read = tokio::time::timeout(Duration::from_secs(2), stream.read_exact(&mut answer)).await;
            read.expect("at once").expect("it answers");
            assert_eq!(std::str::from_utf8(&answer[9..]), Ok(status), "{method} {path}");
        }
    }
}

/// Neither is that of an application whose secret is wrong.
#[rstest]
#[actix_web::test]
async fn a_client_that_is_not_believed_is_refused_before_a_byte_of_the_body_is_there(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let crm = app.application("crm").await;
    let other = app.application("erp").await;
    for (path, media_type) in [
        ("/auth/login", "application/json"),
        ("/auth/refresh", "application/json"),
        ("/oauth/introspect", "application/x-www-form-urlencoded"),
        ("/oauth/revoke", "application/x-www-form-urlencoded"),
    ] {
        let head = |secret: &str| {
            let credentials = STANDARD.encode(format!("crm:{secret}"));
            format!(
                "POST {path} HTTP/1.1\r\nHost: vigie\r\nAuthorization: Basic {credentials}\r\nContent-Type: {media_type}\r\n\
                 Content-Length: 1000\r\n\r\n"
            )
        };
        let ask = async |secret: &str, wait: Duration| {
            let mut stream = TcpStream::connect(app.address).await.expect("the server listens");
            stream.write_all(head(secret).as_bytes()).await.expect("it is sent");
            let mut answer = [0; 12];
            let read = tokio::time::timeout(wait, stream.read_exact(&mut answer)).await.ok()?;
            read.expect("it answers");
            Some(String::from_utf8_lossy(&answer[9..]).into_owned())
        };
        assert_eq!(ask(&other.secret, Duration::from_secs(4)).await.as_deref(), Some("401"), "{path}");
        // Of whoever is believed the body is waited for.
        assert_eq!(ask(&crm.secret, Duration::from_millis(300)).await, None, "{path}");
    }
    app.app.refusals.write_all().await.expect("written");
    let refused = app.events().await.into_iter().filter(|event| event.event.kind == AuditKind::ClientRefused);
    let counted: u64 = refused.map(|event| event.event.details["folded"].as_u64().unwrap_or(1)).sum();
    assert_eq!(counted, 4, "each is recorded once");
}

/// Somebody who acts in a session that ended after it was judged for the last time, as one does whose new password was being
/// hashed, or who waited for a lock.
async fn overtaken(app: &TestApp) -> AuditContext {
    let root = app.admin().await;
    let id = id_of(app, "root").await;
    let session_id: SessionId = root.session_id.parse().expect("an id");
    root.post_empty("/auth/logout").await.expect(204);
    let acting = ActingSession { session_id, role: Role::parse("admin").expect("a role") };
    AuditContext { acting: Some(acting), actor: Actor::admin(id), ..AuditContext::command_line() }
}

const OVERTAKEN: StoreError = StoreError::Overtaken(Overtaken::Ended(EndReason::Logout));

#[rstest]
#[actix_web::test]
async fn no_transaction_does_anything_for_a_session_that_is_over(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let by = overtaken(&app).await;
    app.user("other", "admin").await;
    let bob = app.signed_in("bob").await;
    let (id, session) = (id_of(&app, "bob").await, bob.session_id.parse().expect("an id"));
    let (users, sessions, clients) = (&app.app.users, &app.app.sessions, &app.app.clients);
    let new = NewUser {
        username: vigie::model::user::Username::parse("mallory").expect("a name"),
        role: Role::parse("admin").expect("a role"),
        password: Some(PASSWORD.into()),
        change_at_login: false,
        email: None,
    };
    let disable = UserChange { state: Some(UserState::Disabled), ..UserChange::default() };
    let client = vigie::model::client::ClientId::parse("crm").expect("an id");
    let history = app.dump_of_tables(&["users:", "sessions:", "clients:", "not_befores:", "one_time_tokens:"]);
    let of_users = [
        users.create(new, &by).await.map(drop),
        users.change(id, disable, &by).await.map(drop),
        users.delete(id, &by).await,
        users.erase(id, &by).await.map(drop),
        users.unlock(id, &by).await,
        users.issue_reset(id, true, &by).await.map(drop),
    ];
    for refused in of_users {
        assert!(matches!(refused, Err(UserError::Store(error)) if error == OVERTAKEN));
    }
    let of_sessions = [
        sessions.end(session, EndReason::EndedByAdmin, None, &by).await.map(drop),
        sessions.end_of_user(id, None, EndReason::EndedByAdmin, None, &by).await.map(drop),
        sessions.end_matching(SessionsToEnd::Everything, None, false, &by).await.map(drop),
        users.lift_throttle("00000000-0000-0000-0000-000000000000".parse().expect("an id"), &by).await.map(drop),
    ];
    assert_eq!(of_sessions, [const { Err(OVERTAKEN) }; 4]);
    sessions.set_not_before(Scope::Everybody, None, None, &by).await.expect_err("it is refused");
    let new = NewClient { id: client.clone(), name: "CRM".to_owned(), scopes: Vec::new(), audiences: None, keys: None };
    clients.register(new, &by).await.expect_err("it is refused");
    clients.rotate_secret(client.clone(), false, &by).await.expect_err("it is refused");
    clients.remove(client, &by).await.expect_err("it is refused");
    assert_eq!(app.dump_of_tables(&["users:", "sessions:", "clients:", "not_befores:", "one_time_tokens:"]), history);
    bob.get("/auth/me").await.expect(200);
}

/// Two hashes at this cost take a while.
#[rstest]
#[actix_web::test]
async fn a_password_is_not_changed_by_a_session_that_ended_while_it_was_hashed(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let slow = [("VIGIE__PASSWORDS__ARGON2_MEMORY_KIB", "8192"), ("VIGIE__PASSWORDS__ARGON2_ITERATIONS", "4")];
    let app = TestApp::start_with(backend, &slow).await;
    let alice = app.signed_in("alice").await;
    let body = json!({ "current_password": PASSWORD, "new_password": "neuf renards roux courent vite" });
    let (changing, ()) = tokio::join!(alice.post("/auth/password", body), async {
        // Judged at the head and when the body was whole; now come two hashes.
        let checked = async || app.app.metrics.encode().contains("vigie_checks_total{outcome=\"ok\"} 2\n");
        until("both checks are over", checked).await;
        let id = alice.session_id.parse().expect("an id");
        app.app.sessions.end(id, EndReason::EndedByAdmin, None, &AuditContext::command_line()).await.expect("it ends");
    });
    changing.problem(401, "session_ended");
    app.log_in("alice").await.get("/auth/me").await.expect(200);
}

/// Reads an export until something has come; then the session ends, and the rest is read.
async fn export_cut_short(app: &TestApp, reader: &TestClient<'_>, path: &str) -> String {
    let (mut stream, mut answer) = export_begun(reader, path).await;
    let id = reader.session_id.parse().expect("an id");
    app.app.sessions.end(id, EndReason::EndedByAdmin, None, &AuditContext::command_line()).await.expect("it ends");
    // How the connection ends is of no account: the last chunk does not come.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

#[rstest]
#[actix_web::test]
async fn an_export_ends_with_the_session_that_asked_for_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.database.fill(Rows { sessions: 1, attempts: 30_000, events: 30_000 }, false).await;
    app.user("reviewer", "auditor").await;
    for list in ["attempts", "audit"] {
        let reviewer = app.log_in("reviewer").await;
        let answer = export_cut_short(&app, &reviewer, &format!("/admin/{list}/export?format=ndjson")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:.100}");
        assert!(!answer.ends_with("\r\n0\r\n\r\n"), "{list}: the export is whole");
        assert!(answer.matches("\"request_id\":").count() < 30_000, "{list}");
    }
}

/// One's own history as well, and a role that was taken away.
#[rstest]
#[actix_web::test]
async fn no_page_is_made_for_whoever_may_not_see_it_any_more(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let (id, session_id) = (id_of(&app, "alice").await, alice.session_id.parse().expect("an id"));
    let acting = |role: &str| Some(ActingSession { session_id, role: Role::parse(role).expect("a role") });
    let own = AuditContext { acting: acting("agent"), actor: Actor::user(id), ..AuditContext::command_line() };
    let was_admin = AuditContext { acting: acting("admin"), actor: Actor::admin(id), ..own.clone() };
    let mut export = app.app.history.export_own(id, &own).await.expect("it begins");
    let selection = vigie::audit::export::Selection::Attempts(vigie::model::filter::AttemptFilter::default());
    let format = vigie::audit::export::ExportFormat::Csv.into();
    let mut of_others = app.app.history.export(selection, format, None, &was_admin).await.expect("it begins");
    assert_eq!(of_others.next().await, Err(StoreError::Overtaken(Overtaken::NotAllowed)));
    alice.post_empty("/auth/logout").await.expect(204);
    assert_eq!(export.next().await, Err(OVERTAKEN));
}

/// Where a lock is waited for, whoever asked is looked at after that.
#[actix_web::test]
async fn what_waited_for_a_lock_is_not_done_for_a_session_that_ended_meanwhile() {
    let app = TestApp::start(Postgres).await;
    app.admin().await;
    app.signed_in("bob").await;
    let id = id_of(&app, "bob").await;
    let mut beside = Beside::connect(&app.database.url);
    for (path, held) in [
        (format!("/admin/users/{id}"), format!("SELECT 1 FROM users WHERE id = '{id}' FOR UPDATE")),
        ("/admin/users".to_owned(), "LOCK TABLE users IN SHARE MODE".to_owned()),
        ("/admin/clients".to_owned(), "LOCK TABLE clients IN SHARE MODE".to_owned()),
    ] {
        let asking = app.log_in("root").await;
        let asking_too = app.nobody().with_token(asking.token());
        beside.execute("BEGIN").unwrap();
        beside.execute(&held).unwrap();
        let asked = async {
            match path.as_str() {
                "/admin/users" => asking.post(&path, json!({ "username": "mallory", "role": "admin" })).await,
                "/admin/clients" => asking.post(&path, json!({ "id": "mallory", "name": "M", "scopes": [] })).await,
                _ => asking.patch(&path, json!({ "role": "admin" })).await,
            }
        };
        let meanwhile = async {
            until("the request waits for the lock", async || beside.waiting_for_this() == 1).await;
            asking_too.post_empty("/auth/logout").await.expect(204);
            beside.execute("COMMIT").unwrap();
        };
        let (answer, ()) = tokio::join!(asked, meanwhile);
        answer.problem(401, "session_ended");
    }
    let user = app.app.users.find_by_id_or_name("bob").await.unwrap().unwrap();
    assert_ne!(user.role.as_str(), "admin");
    assert!(app.app.users.find_by_id_or_name("mallory").await.unwrap().is_none());
}
