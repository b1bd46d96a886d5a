//! Who may call what. The snapshot is the policy: every route of the document, once for each kind of caller.

use std::fmt::Write as _;

use chrono::TimeDelta;
use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::audit::AuditContext;
use vigie::model::client::ClientId;

use super::snapshot;
use crate::support::app::{Answer, TestApp, TestClient, send};
use crate::support::application::form;
use crate::support::backend::Backend::{self, Postgres, Sqlite};

const NIL: &str = "00000000-0000-0000-0000-000000000000";
const CALLERS: [&str; 5] = ["nobody", "user", "auditor", "admin", "client"];
/// What an administrator may do only after a recent login is shown by one who logged in too long ago.
const LOGGED_IN_LONG_AGO: &str = "long ago";

/// Every route of the document: method and path.
pub(super) fn routes() -> Vec<(Method, String)> {
    let document = serde_json::to_value(vigie::http::openapi::document()).expect("the document is JSON");
    let paths = document["paths"].as_object().expect("paths").clone();
    let of_path = |(path, item): (String, Value)| {
        let methods = item.as_object().expect("operations").keys().cloned().collect::<Vec<_>>();
        methods.into_iter().map(move |method| (method.to_uppercase().parse().expect("a method"), path.clone()))
    };
    let mut routes: Vec<(Method, String)> = paths.into_iter().flat_map(of_path).collect();
    routes.sort_by(|one, two| (&one.1, one.0.as_str()).cmp(&(&two.1, two.0.as_str())));
    routes
}

/// The things that ids in paths name: those of somebody else.
struct Others {
    session: String,
    user: String,
}

/// A path with an id: of what is there for reading, of nothing for all else.
fn concrete(method: &Method, path: &str, others: &Others) -> String {
    let is_read = method == Method::GET;
    let id = match path {
        _ if !is_read => NIL,
        _ if path.starts_with("/admin/sessions/") => &others.session,
        _ if path.starts_with("/admin/users/") => &others.user,
        _ => NIL,
    };
    let path = path.replace("{id}", id);
    if path.ends_with("/export") { format!("{path}?format=ndjson") } else { path }
}

/// A body that does no harm when it is accepted.
fn harmless_body(path: &str) -> Option<Value> {
    match path {
        "/admin/sessions/end" => Some(json!({ "everything": true, "dry_run": true })),
        "/admin/sessions/lookup" => Some(json!({ "token": "none" })),
        _ if path.starts_with("/auth/logout") || path.contains("{id}/") => None,
        _ => Some(json!({})),
    }
}

async fn call(caller: &str, app: &TestApp, secret: &str, method: &Method, path: &str, others: &Others) -> Answer {
    let somebody: TestClient<'_> = match caller {
        "user" => app.log_in("alice").await,
        "auditor" => app.log_in("reviewer").await,
        "admin" => app.log_in("root").await,
        _ => app.nobody(),
    };
    let request = prepared(&somebody, method, path, others);
    send(if caller == "client" { request.basic_auth("crm", Some(secret)) } else { request }).await
}

fn prepared(somebody: &TestClient<'_>, method: &Method, path: &str, others: &Others) -> RequestBuilder {
    let request = somebody.request(method.clone(), &concrete(method, path, others));
    let takes_body = *method == Method::POST || *method == Method::PATCH;
    match harmless_body(path).filter(|_| takes_body) {
        Some(body) => request.json(&body),
        None => request,
    }
}

/// What a route for clients answers to each kind of client, and to who is none. It is about a token that nobody has.
async fn answers_to_clients(app: &TestApp, path: &str) -> Vec<(&'static str, u16)> {
    let (able, scopeless) = (app.application("able").await, app.application_with("scopeless", &[], None).await);
    let removed = app.application("removed").await;
    let remove = async |id: &str| {
        let id = ClientId::parse(id).expect("an id");
        app.app.clients.remove(id, &AuditContext::command_line()).await.expect("it is removed");
    };
    remove("removed").await;
    let wrong = able.with_secret(&scopeless.secret);
    let alice = app.log_in("alice").await;
    let requests = [
        ("nobody", app.nobody().request(Method::POST, path)),
        ("user", alice.request(Method::POST, path)),
        ("removed", removed.request(path)),
        ("wrong secret", wrong.request(path)),
        ("without scope", scopeless.request(path)),
        ("with scope", able.request(path)),
    ];
    let mut answers = Vec::new();
    for (kind, request) in requests {
        answers.push((kind, send(form(request, &[("token", "none")])).await.status));
    }
    remove("able").await;
    remove("scopeless").await;
    answers
}

/// Administrators who logged in too long ago, one for each route that is theirs.
async fn logged_in_long_ago(app: &TestApp, routes: usize) -> Vec<TestClient<'_>> {
    app.user("sleeper", "admin").await;
    let mut sleepers = Vec::with_capacity(routes);
    for _ in 0..routes {
        sleepers.push(app.log_in("sleeper").await);
    }
    app.advance(TimeDelta::minutes(11));
    sleepers
}

/// ADM-01, ADM-04, SES-14: deny by default; an auditor reads everything and changes nothing; what gives power asks for a recent
/// login.
#[rstest]
#[actix_web::test]
async fn who_may_call_what(#[values(Sqlite, Postgres)] backend: Backend) {
    let settings = [("VIGIE__TOKENS__ACCESS_TTL", "1h"), ("VIGIE__SESSIONS__MAX_PER_USER", "0")];
    let app = TestApp::start_with(backend, &settings).await;
    let mut sleepers = logged_in_long_ago(&app, routes().len()).await;
    for (name, role) in [("alice", "agent"), ("reviewer", "auditor"), ("root", "admin")] {
        app.user(name, role).await;
    }
    let secret = app.registered_client("crm").await;
    let bob = app.signed_in("bob").await;
    let user = bob.get("/auth/me").await.expect(200)["user"]["id"].as_str().expect("an id").to_owned();
    let others = Others { session: bob.session_id.clone(), user };
    let mut table = String::new();
    for (method, path) in routes() {
        let mut line = format!("{:<6} {path:<36}", method.as_str());
        if path.starts_with("/oauth/") {
            for (kind, status) in answers_to_clients(&app, &path).await {
                write!(line, "  {kind} {status}").expect("a String takes everything");
            }
            table.push_str(&line);
            table.push('\n');
            continue;
        }
        for caller in CALLERS {
            let answer = call(caller, &app, &secret, &method, &path, &others).await;
            if path.starts_with("/admin/") {
                let is_refused = answer.status == 401 || answer.status == 403;
                // The inbox is the reviewers' own; and a token does not belong into an address.
                let reads = matches!(&*path, "/admin/alerts/{id}/acknowledge" | "/admin/sessions/lookup");
                let may = caller == "admin" || (caller == "auditor" && (method == Method::GET || reads));
                assert_eq!(is_refused, !may, "{method} {path} as {caller}: {} {}", answer.status, answer.body);
            }
            write!(line, "  {caller} {}", answer.status).expect("a String takes everything");
        }
        if path.starts_with("/admin/") {
            let sleeper = sleepers.pop().expect("one for each route");
            let answer = send(prepared(&sleeper, &method, &path, &others)).await;
            let asks = answer.body.contains("reauthentication_required");
            assert_eq!(asks, answer.status == 401, "{method} {path}: {}", answer.body);
            write!(line, "  {LOGGED_IN_LONG_AGO} {}", answer.status).expect("a String takes everything");
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    // Whoever was refused has changed nothing.
    bob.get("/auth/me").await.expect(200);
    snapshot("authorisation", &table);
}

/// ADM-02: what belongs to another person is not found, in the same words as what does not exist, and stays as it is.
#[rstest]
#[actix_web::test]
async fn adm_02_another_persons_things_are_not_there(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, bob) = (app.signed_in("alice").await, app.signed_in("bob").await);
    let without_id = |answer: Answer| {
        let mut body = answer.problem(404, "not_found");
        body["request_id"].take();
        body
    };
    let theirs = alice.delete(&format!("/auth/sessions/{}", bob.session_id)).await;
    let nobodys = alice.delete(&format!("/auth/sessions/{NIL}")).await;
    assert_eq!(without_id(theirs), without_id(nobodys));
    let me = bob.get("/auth/me").await.expect(200);
    let user = me["user"]["id"].as_str().expect("an id");
    for (method, path) in routes().into_iter().filter(|(_, path)| path.starts_with("/admin/") && path.contains("{id}"))
    {
        let id = if path.starts_with("/admin/users") { user } else { &bob.session_id };
        let request = alice.request(method.clone(), &path.replace("{id}", id)).json(&json!({}));
        send(request).await.problem(403, "not_allowed");
    }
    for list in ["/auth/sessions?state=all", "/auth/attempts"] {
        let body = alice.get(list).await;
        assert_eq!(body.status, 200);
        assert!(!body.body.contains(&bob.session_id) && !body.body.contains(user), "{list}");
    }
    // A cursor of bob's list leads nowhere in alice's but into her own rows.
    let bobs = app.log_in("bob").await.get("/auth/sessions?limit=1").await.expect(200);
    let cursor = bobs["next_cursor"].as_str().expect("a cursor");
    let body = alice.get(&format!("/auth/sessions?cursor={cursor}")).await;
    assert!(body.status == 200 && !body.body.contains(user), "{}", body.body);
    assert_eq!(bob.get("/auth/me").await.expect(200)["session"]["state"], "active");
}
