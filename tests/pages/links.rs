//! Pages of links that are good once: opening one uses nothing up.

use rstest::rstest;
use serde_json::json;
use vigie::model::secret::{Secret, SecretKind};

use super::browser::{Browser, Page as _, goes_to};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

const NEW: &str = "cinq canards bleus nagent";

#[rstest]
#[actix_web::test]
async fn the_first_administrator_is_made_by_a_link(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let issued = app.app.users.issue_setup().await.unwrap().expect("there is no user");
    let token = issued.secret.reveal(SecretKind::OneTimeToken);
    // A mail scanner was here first.
    assert_eq!(goes_to(&Browser::new(&app).open(&format!("/setup?token={token}")).await), "/setup");
    let mut browser = Browser::new(&app);
    let answer = browser.open(&format!("/setup?token={token}")).await;
    assert_eq!((goes_to(&answer), answer.header("referrer-policy")), ("/setup", Some("no-referrer")));
    let page = browser.open("/setup").await.expect_page(200);
    assert!(!page.contains(&token) && page.contains("name=\"username\""), "{page}");
    let mut late = Browser::new(&app);
    late.open(&format!("/setup?token={token}")).await;
    late.open("/setup").await.expect_page(200);
    let members = |name| [("username", name), ("new_password", NEW), ("new_password_again", NEW)];
    browser.submit("/setup", &members(" x ")).await.expect_page(422);
    let wrong = [("username", "root"), ("new_password", NEW), ("new_password_again", PASSWORD)];
    browser.submit("/setup", &wrong).await.expect_page(422);
    assert_eq!(goes_to(&browser.submit("/setup", &members("root")).await), "/account");
    assert!(browser.open("/account").await.expect_page(200).contains("<dd>admin</dd>"));
    assert!(!browser.cookies.contains_key("vigie-link"));
    // It is good once.
    let page = late.submit("/setup", &members("second")).await.expect_page(410);
    assert!(page.contains("Ce lien ne fonctionne pas"), "{page}");
}

#[rstest]
#[actix_web::test]
async fn a_new_password_is_set_by_a_link(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, root) = (app.signed_in("alice").await, app.admin().await);
    let id = app.session_row(&alice.session_id).await.user_id;
    let reset = root.post(&format!("/admin/users/{id}/reset-password"), json!({})).await.expect(200);
    let token = reset["reset_token"].as_str().or(reset["token"].as_str()).expect("a token").to_owned();
    let mut browser = Browser::new(&app);
    assert_eq!(goes_to(&browser.open(&format!("/reset?token={token}")).await), "/reset");
    browser.open("/reset").await.expect_page(200);
    alice.get("/auth/me").await.expect(200);
    let short = [("new_password", "court"), ("new_password_again", "court")];
    browser.submit("/reset", &short).await.expect_page(422);
    let good = [("new_password", NEW), ("new_password_again", NEW)];
    assert_eq!(goes_to(&browser.submit("/reset", &good).await), "/login?why=password-set");
    alice.get("/auth/me").await.problem(401, "session_ended");
    assert_eq!(goes_to(&browser.log_in("alice", NEW).await), "/account");
    browser.open("/reset").await.expect_page(410);
    browser.submit("/reset", &good).await.expect_page(410);
}

#[rstest]
#[actix_web::test]
async fn a_link_that_is_none_says_so() {
    let app = TestApp::start(Sqlite).await;
    app.user("alice", "agent").await;
    for path in ["/setup", "/reset"] {
        let unknown = Secret::random().reveal(SecretKind::OneTimeToken);
        for token in ["", "x", "vgt_", "%3Cscript%3E", &unknown] {
            let mut browser = Browser::new(&app);
            assert_eq!(goes_to(&browser.open(&format!("{path}?token={token}")).await), path);
            let page = browser.open(path).await.expect_page(410);
            assert!(page.contains("Ce lien ne fonctionne pas"), "{token}");
        }
        let mut browser = Browser::new(&app);
        browser.open(&format!("{path}?token={unknown}")).await;
        let members = [("username", "x"), ("new_password", NEW), ("new_password_again", NEW)];
        let members = if path == "/setup" { &members[..] } else { &members[1..] };
        // Not from a form of ours: no page has shown one.
        browser.submit(path, members).await.expect_page(403);
    }
}

/// A form acts for the link whose page showed it, not for another one that was followed in the same browser meanwhile.
#[rstest]
#[actix_web::test]
async fn a_form_is_for_its_own_link_alone(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let mut links = Vec::new();
    for name in ["alice", "bob"] {
        let id = app.user(name, "agent").await.id;
        let reset = root.post(&format!("/admin/users/{id}/reset-password"), json!({})).await.expect(200);
        links.push(format!(
            "/reset?token={}",
            reset["reset_token"].as_str().or(reset["token"].as_str()).expect("a token")
        ));
    }
    let (mut browser, good) = (Browser::new(&app), [("new_password", NEW), ("new_password_again", NEW)]);
    browser.open(&links[0]).await;
    browser.open("/reset").await.expect_page(200);
    let of_alice = browser.link_token.clone();
    browser.open(&links[1]).await;
    browser.submit("/reset", &good).await.expect_page(403);
    browser.open("/reset").await.expect_page(200);
    assert_ne!(browser.link_token, of_alice);
    assert_eq!(goes_to(&browser.submit("/reset", &good).await), "/login?why=password-set");
    assert_eq!(goes_to(&Browser::new(&app).log_in("bob", NEW).await), "/account");
    assert_eq!(goes_to(&Browser::new(&app).log_in("alice", PASSWORD).await), "/account");
}
