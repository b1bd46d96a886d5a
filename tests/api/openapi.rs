//! The document says what is served, and the page that shows it works without the internet (API-07).

use std::fmt::Write as _;

use reqwest::Url;
use rstest::rstest;
use serde_json::{Value, json};

use super::snapshot;
use crate::support::app::{Answer, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// Operations that nobody needs a credential for.
const PUBLIC: [&str; 15] = [
    "GET /.well-known/jwks.json",
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/oauth-authorization-server/{path}",
    "GET /.well-known/oauth-protected-resource",
    "GET /.well-known/oauth-protected-resource/{path}",
    "GET /audit/checkpoint",
    "POST /auth/login",
    "POST /auth/refresh",
    "POST /auth/setup",
    "POST /auth/reset",
    "GET /auth/not-me",
    "POST /auth/not-me",
    "GET /health/live",
    "GET /health/ready",
    "GET /openapi.json",
];

/// Operations in which a client authenticates.
const CLIENTS: [&str; 4] = ["POST /auth/login", "POST /auth/refresh", "POST /oauth/introspect", "POST /oauth/revoke"];

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let mut found = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("operations") {
            found.push((format!("{} {path}", method.to_uppercase()), operation));
        }
    }
    found
}

/// Whether it may be asked for with this kind of credential.
fn takes(operation: &Value, kind: &str) -> bool {
    operation["security"].as_array().is_some_and(|ways| ways.iter().any(|way| way.get(kind).is_some()))
}

#[rstest]
#[actix_web::test]
async fn the_document_tells_every_operation(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let answer = app.nobody().get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.expect(200);
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "{}", document["openapi"]);
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!((&schemes["bearer"]["scheme"], &schemes["client"]["scheme"]), (&json!("bearer"), &json!("basic")));
    let mut lines = String::new();
    let mut ids = std::collections::BTreeSet::new();
    for (name, operation) in operations(&document) {
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{name}: a summary");
        assert!(ids.insert(operation["operationId"].to_string()), "{name}: an id of its own");
        let responses = operation["responses"].as_object().expect("responses");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}: what is answered when all is well");
        let is_guarded = takes(operation, "bearer") || name.starts_with("POST /oauth/");
        assert_ne!(is_guarded, PUBLIC.contains(&name.as_str()), "{name}: who may call");
        assert_eq!(takes(operation, "client"), CLIENTS.contains(&name.as_str()), "{name}: whether clients do");
        assert!(!is_guarded || responses.contains_key("401"), "{name}: 401");
        let statuses: Vec<&str> = responses.keys().map(String::as_str).collect();
        writeln!(lines, "{name}  {}", statuses.join(" ")).expect("a String takes everything");
    }
    snapshot("operations", &lines);
}

/// Every schema that is referred to is there.
#[test]
fn the_document_refers_to_nothing_that_is_not_in_it() {
    let document = serde_json::to_value(vigie::http::openapi::document()).expect("the document is JSON");
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect_references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

/// Addresses in a text that a browser would ask: of what is no name of a namespace.
fn outside(text: &str) -> Vec<&str> {
    let begins = text.match_indices("http://").chain(text.match_indices("https://"));
    begins.map(|(place, _)| text[place..].split(['"', '\'', ' ', '<', ')', '`']).next().unwrap_or_default()).collect()
}

async fn asset(app: &TestApp, path: &str) -> Answer {
    let answer = app.nobody().get(path).await;
    assert_eq!(answer.status, 200, "{path}");
    answer
}

/// Where an address leads, in the words of the server.
async fn redirect(app: &TestApp, path: &str) -> String {
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().expect("a client");
    let answer = http.get(app.url(path)).send().await.expect("the server answers");
    answer.headers()["location"].to_str().expect("an address").to_owned()
}

#[rstest]
#[actix_web::test]
async fn the_page_of_the_document_works_without_the_internet(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    // Followed to the page itself.
    let page = asset(&app, "/docs").await;
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{page:?}");
    let initializer = asset(&app, "/docs/swagger-initializer.js").await;
    // Relative, as where it leads from `/docs`: a proxy may serve all this under a path of its own.
    assert!(initializer.body.contains("\"../openapi.json\""), "{}", initializer.body);
    let prefixed = Url::parse("https://example.org/vigie/docs").expect("an address");
    let redirected = prefixed.join(&redirect(&app, "/docs").await).expect("an address");
    assert_eq!(redirected.as_str(), "https://example.org/vigie/docs/");
    // Without this it asks a validator on the internet.
    assert!(initializer.body.contains("\"validatorUrl\": \"none\""), "{}", initializer.body);
    for text in [&page.body, &initializer.body] {
        assert_eq!(outside(text), [""; 0]);
    }
    let mut assets = 0;
    for part in page.body.split(['"', '\'']).filter(|part| part.starts_with("./") || *part == "index.css") {
        assert!(!part.contains("//"), "{part}");
        asset(&app, &format!("/docs/{}", part.trim_start_matches("./"))).await;
        assets += 1;
    }
    assert!(assets >= 4, "{}", page.body);
}

/// WEB-03: the page has a policy of its own under which its scripts run; everything else runs nothing.
#[rstest]
#[actix_web::test]
async fn only_the_page_of_the_document_may_run_scripts(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    for path in ["/docs/", "/docs/index.html", "/docs/swagger-ui-bundle.js"] {
        let page = asset(&app, path).await;
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe-eval") && !policy.contains("http"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
    }
    for path in ["/openapi.json", "/health/live", "/nowhere", "/docsx", "/auth/me"] {
        let answer = app.nobody().get(path).await;
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("script-src"), "{path}: {policy}");
    }
    let missing = app.nobody().get("/docs/nothing.js").await;
    assert_eq!(missing.status, 404);
}
