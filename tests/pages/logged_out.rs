//! Logged out means logged out: also for cookies, on every node, whoever ends the session and whatever fails.

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::header::{COOKIE, HeaderValue};
use rstest::rstest;
use serde_json::json;
use vigie::model::audit::AuditKind;
use vigie::model::session::EndReason;

use super::browser::{Browser, Page as _, goes_to};
use crate::support::app::{TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::postgres::{Options, PrivateCluster};

const OVER: &str = "/login?return_to=%2Faccount&why=ended";

#[rstest]
#[actix_web::test]
async fn logging_out_asks_first_and_ends_the_session_on_every_node(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let other = app.another_node().await;
    app.user("alice", "agent").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let mut elsewhere = browser.at(&other);
    elsewhere.open("/account").await.expect_page(200);
    browser.open("/logout").await.expect_page(200);
    browser.open("/account").await.expect_page(200);
    let answer = browser.submit("/logout", &[]).await;
    assert_eq!(goes_to(&answer), "/login?why=logged-out");
    assert_eq!(answer.header("clear-site-data"), Some("\"cache\", \"storage\""));
    assert_eq!(browser.session_cookie(), None);
    assert_eq!(goes_to(&elsewhere.open("/account").await), OVER);
    let events = app.events().await;
    let ended = events.iter().find(|event| event.event.kind == AuditKind::SessionEnded).expect("an end");
    assert_eq!(ended.event.details["reason"], EndReason::Logout.as_str());
    // Once more, with nothing to end.
    assert_eq!(goes_to(&browser.submit("/logout", &[]).await), "/login?why=logged-out");
}

/// P3: a cookie that cannot be read as text hides no session: logged out means logged out whatever stands beside ours.
#[rstest]
#[actix_web::test]
async fn a_cookie_of_others_that_is_no_text_hides_no_session(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values(b"nom=\xc3\xa9lodie".as_slice(), b"n=\xff", b"\xe9=1")] other: &[u8],
) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let browser = Browser::logged_in(&app, "alice").await;
    let ours = format!("; vigie={}; vigie-language=en", browser.session_cookie().unwrap());
    let cookies = HeaderValue::from_bytes(&[other, ours.as_bytes()].concat()).unwrap();
    let ask = async |method: Method, path: &str, form: &[(&str, &str)]| {
        let request = Browser::new(&app).request(method, path).header("sec-fetch-site", "same-origin");
        send(request.header(COOKIE, cookies.clone()).form(form)).await
    };
    let page = ask(Method::GET, "/logout", &[]).await.expect_page(200);
    let (_, token) = page.split_once("name=\"form_token\" value=\"").expect("a form");
    let token = token.split('"').next().unwrap();
    assert_eq!(goes_to(&ask(Method::POST, "/logout", &[("form_token", token)]).await), "/login?why=logged-out");
    assert_eq!(goes_to(&browser.at(&app).open("/account").await), OVER);
}

/// P3: of two cookies of one name neither counts at pages, and both sessions are over once somebody logs out.
#[rstest]
#[actix_web::test]
async fn logging_out_ends_the_session_of_every_cookie_of_the_browser(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let (one, two) = (Browser::logged_in(&app, "alice").await, Browser::logged_in(&app, "alice").await);
    let cookies = [&one, &two].map(|browser| format!("vigie={}", browser.session_cookie().unwrap())).join("; ");
    let request = Browser::new(&app).request(Method::POST, "/logout").header("sec-fetch-site", "same-origin");
    let answer = send(request.header(COOKIE, cookies).form(&[("x", "")][..0])).await;
    assert_eq!(goes_to(&answer), "/login?why=logged-out");
    for browser in [one, two] {
        assert_eq!(goes_to(&browser.at(&app).open("/account").await), OVER);
    }
}

/// SES-11, D5: whatever ends a session ends its cookie.
#[rstest]
#[actix_web::test]
async fn whatever_ends_the_session_ends_the_cookie(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let other = app.another_node().await;
    app.user("root", "admin").await;
    let alice = app.user("alice", "agent").await;
    let path = format!("/admin/users/{}", alice.id);
    for end in ["by an administrator", "all of the user", "not-before", "disabled", "idle", "lifetime"] {
        let (root, browser) = (app.log_in("root").await, Browser::logged_in(&app, "alice").await);
        let mut elsewhere = browser.at(&other);
        elsewhere.open("/account").await.expect_page(200);
        let session = root.get("/admin/sessions?user=alice&state=active").await.expect(200)["items"][0].clone();
        let id = session["id"].as_str().unwrap().to_owned();
        match end {
            "by an administrator" => drop(root.post(&format!("/admin/sessions/{id}/end"), json!({})).await.expect(204)),
            "all of the user" => drop(root.post(&format!("{path}/end-sessions"), json!({})).await.expect(200)),
            "not-before" => {
                app.advance(TimeDelta::seconds(1));
                drop(
                    root.post("/admin/not-before", json!({ "user_id": alice.id.to_string(), "note": "x" }))
                        .await
                        .expect(204),
                );
            }
            "disabled" => {
                drop(root.patch(&path, json!({ "state": "disabled" })).await.expect(200));
                assert_eq!(goes_to(&elsewhere.open("/account").await), OVER, "{end}");
                drop(root.patch(&path, json!({ "state": "active" })).await.expect(200));
                continue;
            }
            "idle" => app.advance(TimeDelta::minutes(31)),
            _ => app.advance(TimeDelta::hours(13)),
        }
        assert_eq!(goes_to(&elsewhere.open("/account").await), OVER, "{end}");
    }
}

/// SES-06: activity on pages moves the idle end, and nothing else does.
#[rstest]
#[actix_web::test]
async fn pages_are_uses_of_the_session(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    for _ in 0..3 {
        app.advance(TimeDelta::minutes(29));
        browser.open("/account").await.expect_page(200);
    }
    app.advance(TimeDelta::minutes(20));
    browser.open("/privacy").await.expect_page(200);
    Browser::new(&app).open("/login").await.expect_page(200);
    app.advance(TimeDelta::minutes(31));
    assert_eq!(goes_to(&browser.open("/account").await), OVER);
}

/// P3, P4: without the database nothing is decided: no page, no login, and the cookie of whoever wants to leave is kept.
#[actix_web::test]
async fn without_the_database_nothing_is_decided() {
    let cluster = PrivateCluster::launch(Options::default());
    let settings = [("VIGIE__DATABASE__WAIT", "300ms"), ("VIGIE__NODES__LIVE_VIEW", "false")];
    let app = TestApp::start_at(cluster.url(), &settings).await;
    app.user("alice", "agent").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    cluster.stop();
    for path in ["/account", "/account/sessions"] {
        let answer = browser.open(path).await;
        assert!(answer.header("retry-after").is_some(), "{path}");
        assert!(answer.expect_page(503).contains("Rien n&#39;a été décidé"), "{path}");
    }
    for path in ["/logout", "/account/sessions/end-all", "/account/export"] {
        browser.submit(path, &[]).await.expect_page(503);
    }
    browser.log_in("alice", crate::support::app::PASSWORD).await.expect_page(503);
    assert!(browser.session_cookie().is_some());
}

/// With the pages switched off there is the API alone.
#[actix_web::test]
async fn pages_can_be_switched_off() {
    let app = TestApp::start_with(Sqlite, &[("VIGIE__CONSOLE__ENABLED", "false")]).await;
    for path in ["/", "/login", "/account", "/privacy", "/accessibility"] {
        send(app.nobody().request(Method::GET, path)).await.problem(404, "not_found");
    }
}
