//! No other site sends our forms (WEB-02), and what strangers wrote is shown as text.

use reqwest::Method;
use rstest::rstest;

use super::browser::{Browser, Page as _, goes_to};
use crate::support::app::{PASSWORD, TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::dump_but_nodes;

const FORMS: [&str; 6] = [
    "/logout",
    "/account/sessions/end-others",
    "/account/sessions/end-all",
    "/account/password",
    "/account/export",
    "/account/extend",
];

#[rstest]
#[actix_web::test]
async fn web_02_a_form_of_another_site_changes_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let id = app.log_in("alice").await.session_id;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let before = app.dump_of_history();
    let token = browser.app.app.sessions.form_token(browser.session_cookie().unwrap());
    let named = [format!("/account/sessions/{id}/name"), format!("/account/sessions/{id}/end")];
    for path in FORMS.into_iter().chain(named.iter().map(String::as_str)) {
        for from in ["cross-site", "same-site", "none"] {
            browser.send_form(path, &[("form_token", &token)], from).await.expect_page(403);
        }
        // No word of where it comes from, which no browser leaves out.
        let silent = browser.request(Method::POST, path).form(&[("form_token", &token)]);
        send(silent).await.expect_page(403);
        let null = browser.request(Method::POST, path).header("origin", "null").form(&[("form_token", &token)]);
        send(null).await.expect_page(403);
        // From here, and not from a page of this session.
        for forged in [&[][..], &[("form_token", "")], &[("form_token", "x")]] {
            browser.send_form(path, forged, "same-origin").await.expect_page(403);
        }
    }
    let login = [("username", "alice"), ("password", PASSWORD), ("form_token", token.as_str())];
    browser.send_form("/login", &login, "cross-site").await.expect_page(403);
    assert_eq!(app.dump_of_history(), before);
    browser.open("/account").await.expect_page(200);
}

#[rstest]
#[actix_web::test]
async fn web_02_opening_a_page_changes_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let before = dump_but_nodes(&app.database.url);
    for path in [
        "/logout",
        "/account",
        "/account/sessions?state=all",
        "/account/attempts",
        "/account/password",
        "/account/export",
        "/privacy",
        "/accessibility",
    ] {
        browser.open(path).await.expect_page(200);
    }
    for path in FORMS.into_iter().filter(|path| path.contains("/end-") || *path == "/account/extend") {
        browser.open(path).await.expect_page(405);
    }
    assert_eq!(dump_but_nodes(&app.database.url), before);
    browser.open("/account/nothing").await;
}

#[rstest]
#[actix_web::test]
async fn what_strangers_wrote_is_text(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let script = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
    app.user("alice", "agent").await;
    let body = serde_json::json!({ "username": "alice", "password": PASSWORD, "device_name": script });
    send(app.nobody().request(Method::POST, "/auth/login").header("user-agent", script).json(&body)).await.expect(200);
    let mut browser = Browser::logged_in(&app, "alice").await;
    for path in ["/account", "/account/sessions?state=all", "/account/attempts"] {
        let page = browser.open(path).await.expect_page(200);
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{path}: {page}");
    }
    assert!(browser.open("/account/sessions").await.body.contains("&#60;script&#62;alert(1)"));
    let mut other = Browser::new(&app);
    let page = other.log_in(script, "x").await.expect_page(422);
    assert!(!page.contains("<script>alert"), "{page}");
    let page = other.open("/login?return_to=%2F%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E&why=%3Cscript%3E").await;
    assert!(!page.expect_page(200).contains("<script>alert"));
}

/// Pages say what went wrong in the reader's language, with a way on.
#[rstest]
#[actix_web::test]
async fn an_error_is_a_page(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let not_there = "/account/sessions/01900000-0000-7000-8000-000000000000/end";
    let page = browser.submit(not_there, &[]).await.expect_page(404);
    assert!(page.contains("Page introuvable") && page.contains("href=\"/\""), "{page}");
    browser.open("/account/sessions?cursor=nonsense").await.expect_page(400);
    browser.open("/account/sessions?stat=all").await.expect_page(422);
    let too_large = browser.request(Method::POST, "/login").header("sec-fetch-site", "same-origin");
    let too_large = too_large.form(&[("username", "x".repeat(70_000))]);
    send(too_large).await.expect_page(413);
    let json = browser.request(Method::POST, "/login").header("sec-fetch-site", "same-origin");
    send(json.json(&serde_json::json!({}))).await.expect_page(415);
}

/// A password that somebody else chose opens no page but the one that changes it.
#[rstest]
#[actix_web::test]
async fn a_password_of_somebody_elses_is_changed_first(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let new = serde_json::json!({ "username": "alice", "role": "agent", "password": PASSWORD });
    root.post("/admin/users", new).await.expect(201);
    let mut browser = Browser::new(&app);
    assert_eq!(goes_to(&browser.log_in("alice", PASSWORD).await), "/account/password?why=required");
    for path in ["/account", "/account/sessions", "/account/export"] {
        assert_eq!(goes_to(&browser.open(path).await), "/account/password?why=required", "{path}");
    }
    // What everybody may see is no refusal; and a login ends the session before it here too (SES-04).
    browser.open("/privacy").await.expect_page(200);
    let mut before = browser.at(&app);
    browser.open("/login?why=again").await.expect_page(200);
    let again = browser.submit("/login", &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!(goes_to(&again), "/account/password?why=required");
    assert_eq!(goes_to(&before.open("/account/password").await), "/login?return_to=%2Faccount%2Fpassword&why=ended");
    let page = browser.open("/account/password?why=required").await.expect_page(200);
    assert!(page.contains("choisi par quelqu&#39;un d&#39;autre"), "{page}");
    let new = "cinq canards bleus nagent";
    let members = [("current_password", PASSWORD), ("new_password", new), ("new_password_again", new)];
    assert_eq!(goes_to(&browser.submit("/account/password", &members).await), "/account/password?why=done");
    browser.open("/account").await.expect_page(200);
}
