//! A form that was sent when its session was over is shown again after the login: to the same user, never carried out, without secrets.

use chrono::TimeDelta;
use rstest::rstest;

use super::browser::{Browser, Page as _, goes_to};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// What a browser holds while a form waits.
const WAITS: &str = "vigie-form";
const TYPED: &str = "le poste du guichet 3";

/// Somebody who fills in the form that names a session, until it is over; and where that form stands.
async fn too_late(app: &TestApp) -> (Browser<'_>, String) {
    let phone = app.log_in("alice").await;
    let mut browser = Browser::logged_in(app, "alice").await;
    let page = format!("/account/sessions/{}/name", phone.session_id);
    browser.open(&page).await.expect_page(200);
    app.advance(TimeDelta::minutes(29));
    phone.refresh().await.expect(200);
    app.advance(TimeDelta::minutes(2));
    (browser, page)
}

/// Sends it, and is led to the login page.
async fn refused(browser: &mut Browser<'_>, page: &str) {
    let answer = browser.submit(page, &[("name", TYPED)]).await;
    let expected = format!("/login?return_to={}&why=ended", page.replace('/', "%2F"));
    assert_eq!(goes_to(&answer), expected);
    let kept = &browser.cookies[WAITS];
    assert!(!kept.contains("guichet") && kept.len() < 4000, "{kept}");
}

async fn log_in(browser: &mut Browser<'_>, username: &str, page: &str) {
    browser.open("/login?why=again").await.expect_page(200);
    let members = [("username", username), ("password", PASSWORD), ("return_to", page)];
    assert_eq!(goes_to(&browser.submit("/login", &members).await), page);
}

#[rstest]
#[actix_web::test]
async fn a_form_that_came_too_late_is_shown_again_and_sent_by_nobody_but_its_user(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    app.user("alice", "agent").await;
    let (mut browser, page) = too_late(&app).await;
    refused(&mut browser, &page).await;
    assert!(!app.dump().contains(TYPED), "it is kept by the browser alone");
    log_in(&mut browser, "alice", &page).await;
    let shown = browser.open(&page).await.expect_page(200);
    assert!(shown.contains(&format!("value=\"{TYPED}\"")) && shown.contains("pas été exécutée"), "{shown}");
    assert!(!app.dump().contains(TYPED), "nothing is carried out by itself");
    // Once.
    assert!(!browser.cookies.contains_key(WAITS));
    let again = browser.open(&page).await.expect_page(200);
    assert!(!again.contains(TYPED) && !again.contains("pas été exécutée"), "{again}");
    assert_eq!(goes_to(&browser.submit(&page, &[("name", TYPED)]).await), "/account/sessions?named=true");
    assert!(browser.open("/account/sessions").await.expect_page(200).contains(TYPED));
}

#[rstest]
#[actix_web::test]
async fn what_somebody_filled_in_nobody_else_is_shown(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    app.user("bob", "agent").await;
    let (mut browser, page) = too_late(&app).await;
    refused(&mut browser, &page).await;
    let kept = browser.cookies[WAITS].clone();
    log_in(&mut browser, "bob", "/account").await;
    let shown = browser.open("/account").await.expect_page(200);
    assert!(!shown.contains(TYPED) && !shown.contains("pas été exécutée"));
    assert!(!browser.cookies.contains_key(WAITS), "the other user's page throws it away");
    // Not even by hand, on a page of the same address.
    browser.cookies.insert(WAITS.to_owned(), kept.clone());
    assert!(!browser.open(&page).await.expect_page(404).contains(TYPED));
    // It is over with the logout, and after an hour.
    browser.cookies.insert(WAITS.to_owned(), kept.clone());
    browser.open("/account/password").await.expect_page(200);
    browser.cookies.insert(WAITS.to_owned(), kept.clone());
    browser.open("/logout").await.expect_page(200);
    browser.cookies.insert(WAITS.to_owned(), kept.clone());
    assert_eq!(goes_to(&browser.submit("/logout", &[]).await), "/login?why=logged-out");
    assert!(!browser.cookies.contains_key(WAITS));
    app.advance(TimeDelta::minutes(61));
    let mut late = Browser::logged_in(&app, "alice").await;
    late.cookies.insert(WAITS.to_owned(), kept);
    assert!(!late.open("/account/sessions").await.expect_page(200).contains("pas été exécutée"));
}

#[rstest]
#[actix_web::test]
async fn no_password_is_kept_and_an_altered_form_is_none(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let new = "cinq canards bleus nagent";
    let mut browser = Browser::logged_in(&app, "alice").await;
    browser.open("/account/password").await.expect_page(200);
    app.advance(TimeDelta::minutes(31));
    let members = [("current_password", PASSWORD), ("new_password", new), ("new_password_again", new)];
    let answer = browser.submit("/account/password", &members).await;
    assert_eq!(goes_to(&answer), "/login?return_to=%2Faccount%2Fpassword&why=ended");
    // Sealed, it is as long whatever was typed.
    let kept = browser.cookies[WAITS].clone();
    let other = [("current_password", "x"), ("new_password", "y"), ("new_password_again", "z")];
    browser.submit("/account/password", &other).await;
    assert_eq!(browser.cookies[WAITS].len(), kept.len());
    log_in(&mut browser, "alice", "/account/password").await;
    let page = browser.open("/account/password").await.expect_page(200);
    assert!(page.contains("pas été exécutée") && !page.contains(new) && !page.contains(PASSWORD), "{page}");
    Browser::logged_in(&app, "alice").await;
    for altered in ["", "x", &kept[1..], &format!("{kept}A"), &kept.replace(&kept[20..24], "AAAA")] {
        browser.cookies.insert(WAITS.to_owned(), altered.to_owned());
        let page = browser.open("/account/password").await.expect_page(200);
        assert!(!page.contains("pas été exécutée"), "{altered}");
    }
}

/// What is no form of ours, or whose cookie nobody was given, is not kept.
#[rstest]
#[actix_web::test]
async fn only_a_form_of_ones_own_page_is_kept(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let (mut browser, page) = too_late(&app).await;
    browser.send_form(&page, &[("name", TYPED), ("form_token", "x")], "same-origin").await;
    assert!(!browser.cookies.contains_key(WAITS));
    let token = app.app.sessions.form_token(browser.session_cookie().unwrap());
    browser.send_form(&page, &[("name", TYPED), ("form_token", &token)], "same-site").await;
    assert!(!browser.cookies.contains_key(WAITS));
    let long = "x".repeat(2000);
    browser.submit(&page, &[("name", &long)]).await;
    assert!(!browser.cookies.contains_key(WAITS), "longer than a cookie may be");
    let cookie = browser.cookies["vigie"].clone();
    browser.cookies.insert("vigie".to_owned(), format!("{}AAAA", &cookie[..cookie.len() - 4]));
    browser.submit(&page, &[("name", TYPED)]).await;
    assert!(!browser.cookies.contains_key(WAITS));
    browser.cookies.remove("vigie");
    assert!(goes_to(&browser.submit(&page, &[("name", TYPED)]).await).starts_with("/login?return_to="));
    assert!(!browser.cookies.contains_key(WAITS));
}

/// An action that asked for a recent login is not forgotten either, and not carried out by the login.
#[rstest]
#[actix_web::test]
async fn an_action_that_asked_for_a_login_is_told_to_be_open_still(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "5m")]).await;
    let phone = app.signed_in("alice").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    app.advance(TimeDelta::minutes(6));
    browser.open("/account/sessions").await.expect_page(200);
    browser.submit(&format!("/account/sessions/{}/end", phone.session_id), &[]).await;
    log_in(&mut browser, "alice", "/account/sessions").await;
    let page = browser.open("/account/sessions").await.expect_page(200);
    assert!(page.contains("faites-la à nouveau"), "{page}");
    phone.get("/auth/me").await.expect(200);
}
