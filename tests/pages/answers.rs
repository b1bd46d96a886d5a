//! What holds for every page, and what a page says of this installation.

use reqwest::Method;
use rstest::rstest;

use super::browser::{Browser, Page as _, goes_to};
use crate::support::app::{Answer, TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

async fn asked(browser: &Browser<'_>, method: Method, path: &str, accept: &str) -> Answer {
    send(browser.request(method, path).header("accept", accept)).await
}

#[rstest]
#[actix_web::test]
async fn head_is_answered_as_get_without_the_content(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let browser = Browser::logged_in(&app, "alice").await;
    let nobody = Browser::new(&app);
    for (browser, path, status) in [
        (&nobody, "/login", 200),
        (&nobody, "/", 303),
        (&nobody, "/account", 303),
        (&nobody, "/privacy", 200),
        (&nobody, "/reset", 410),
        (&browser, "/account", 200),
        (&browser, "/account/sessions", 200),
        (&browser, "/account/sessions/x/name", 404),
    ] {
        let get = asked(browser, Method::GET, path, "text/html").await;
        let head = asked(browser, Method::HEAD, path, "text/html").await;
        assert_eq!((get.status, head.status), (status, status), "{path}");
        assert_eq!(head.body, "", "{path}");
        for name in ["content-type", "content-security-policy", "cache-control", "location"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
    let wrong = asked(&browser, Method::PUT, "/login", "text/html").await;
    assert_eq!(wrong.header("allow"), Some("GET, HEAD, POST"));
    wrong.expect_page(405);
}

#[rstest]
#[actix_web::test]
async fn an_unknown_address_is_a_page_for_people_and_a_problem_for_programs() {
    let app = TestApp::start(Sqlite).await;
    let browser = Browser::new(&app);
    let accept = "text/html,application/xhtml+xml,*/*;q=0.8";
    for path in ["/nowhere", "/account/nowhere", "/admin/nowhere"] {
        let page = asked(&browser, Method::GET, path, accept).await.expect_page(404);
        assert!(page.contains("<html lang=\"fr\">") && page.contains("Page introuvable"), "{page}");
        let english = browser.request(Method::GET, path).header("accept", accept).header("accept-language", "en");
        assert!(send(english).await.expect_page(404).contains("<html lang=\"en\">"));
        for other in ["application/json", "*/*"] {
            asked(&browser, Method::GET, path, other).await.problem(404, "not_found");
        }
        send(browser.request(Method::GET, path)).await.problem(404, "not_found");
        asked(&browser, Method::POST, path, accept).await.problem(404, "not_found");
    }
    // An address of the API is known.
    asked(&browser, Method::GET, "/auth/login", accept).await.problem(405, "method_not_allowed");
    let without = TestApp::start_with(Sqlite, &[("VIGIE__CONSOLE__ENABLED", "false")]).await;
    asked(&Browser::new(&without), Method::GET, "/nowhere", accept).await.problem(404, "not_found");
}

#[rstest]
#[actix_web::test]
async fn prv_03_the_cookie_of_the_gate_is_named_where_there_is_one() {
    let gate = [
        ("VIGIE__SERVER__PUBLIC_URL", "https://vigie.example.org"),
        ("VIGIE__GATE__COOKIE_DOMAIN", "example.org"),
        ("VIGIE__GATE__HOSTS", "files.example.org"),
    ];
    let app = TestApp::start_with(Sqlite, &gate).await;
    let page = Browser::new(&app).open("/privacy").await.expect_page(200);
    assert!(page.contains("tous les sites de example.org"), "{page}");
    let app = TestApp::start(Sqlite).await;
    let page = Browser::new(&app).open("/privacy").await.expect_page(200);
    assert!(page.contains("la session, l&#39;appareil connu") && !page.contains("tous les sites"), "{page}");
}

#[rstest]
#[actix_web::test]
async fn an_empty_installation_says_where_its_link_is(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut browser = Browser::new(&app);
    assert_eq!(goes_to(&browser.open("/").await), "/setup");
    let page = browser.open("/setup").await.expect_page(200);
    assert!(page.contains("vigie serve") && page.contains("setup-token"), "{page}");
    assert!(!page.contains("Ce lien ne fonctionne pas") && !page.contains("name=\"username\""), "{page}");
    app.user("alice", "agent").await;
    let page = browser.open("/setup").await.expect_page(410);
    assert!(page.contains("Ce lien ne fonctionne pas") && !page.contains("vigie serve"), "{page}");
}
