//! "This was not me": the link in the mail about a new device opens a page, and its button ends everything.

use rstest::rstest;
use vigie::alert::REPORT_LINK_LIFE;
use vigie::model::audit::AuditContext;
use vigie::model::secret::{Secret, SecretKind};
use vigie::model::session::EndReason;
use vigie::store::StoreError;
use vigie::store::one_time_tokens::{self, TokenPurpose};

use super::browser::{Browser, Page as _, goes_to};
use crate::support::app::{PASSWORD, TestApp, TestClient, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// A session that may be a stranger's, and the token of the mail about it.
async fn told(app: &TestApp) -> (TestClient<'_>, String) {
    let session = app.signed_in("alice").await;
    let (token, now, id) = (Secret::random(), app.now(), session.session_id.parse().unwrap());
    let purpose =
        TokenPurpose::ReportLink { user_id: app.session_row(&session.session_id).await.user_id, session_id: id };
    let digest = token.digest();
    let insert = move |db: &mut _| one_time_tokens::insert(db, digest, purpose, now, now + REPORT_LINK_LIFE);
    app.app.store.write::<_, StoreError>(insert).await.unwrap();
    (session, token.reveal(SecretKind::OneTimeToken))
}

#[rstest]
#[actix_web::test]
async fn ath_08_the_link_of_the_mail_asks_on_a_page_and_its_button_ends_all(
    #[values(Sqlite, Postgres)] backend: Backend,
    // As mails have it, and as the page itself is called.
    #[values("/auth/not-me", "/not-me")] path: &str,
) {
    let app = TestApp::start(backend).await;
    let (stranger, token) = told(&app).await;
    let other = app.log_in("alice").await;
    // A mail scanner was here first.
    let mut scanner = Browser::new(&app);
    assert_eq!(goes_to(&scanner.open(&format!("{path}?token={token}")).await), "/not-me");
    scanner.open("/not-me").await.expect_page(200);
    let mut browser = Browser::new(&app);
    let answer = browser.open(&format!("{path}?token={token}")).await;
    assert_eq!((goes_to(&answer), answer.header("referrer-policy")), ("/not-me", Some("no-referrer")));
    let page = browser.open("/not-me").await.expect_page(200);
    assert!(page.contains("Ce n&#39;était pas vous") && page.contains("<html lang=\"fr\">"), "{page}");
    assert!(!page.contains(&token) && page.contains("action=\"/not-me\""), "{page}");
    stranger.get("/auth/me").await.expect(200);
    // Not from elsewhere.
    browser.send_form("/not-me", &[], "cross-site").await.expect_page(403);
    stranger.get("/auth/me").await.expect(200);
    let page = browser.submit("/not-me", &[]).await.expect_page(200);
    assert!(page.contains("Votre compte est protégé"), "{page}");
    for session in [&stranger, &other] {
        session.get("/auth/me").await.problem(401, "session_ended");
    }
    assert_eq!(app.end_reason(&stranger.session_id).await, Some(EndReason::EndedByOwner));
    assert_eq!(app.end_reason(&other.session_id).await, Some(EndReason::PasswordChanged));
    Browser::new(&app).log_in("alice", PASSWORD).await.expect_page(422);
    // It is good once.
    assert!(!browser.cookies.contains_key("vigie-link"));
    let late = scanner.submit("/not-me", &[]).await.expect_page(410);
    assert!(late.contains("Ce lien ne fonctionne pas"), "{late}");
    assert!(!scanner.cookies.contains_key("vigie-link"));
}

#[rstest]
#[actix_web::test]
async fn ath_08_a_link_from_a_mail_page_works_though_cookies_are_kept_back(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let (_, token) = told(&app).await;
    let mut browser = Browser::new(&app);
    browser.open(&format!("/auth/not-me?token={token}")).await;
    let kept_back = Browser::new(&app).request(reqwest::Method::GET, "/not-me");
    let page = send(kept_back.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate")).await;
    let page = page.expect_page(200);
    assert!(page.contains("http-equiv=\"refresh\" content=\"0;url=/not-me\""), "{page}");
    browser.open("/not-me").await.expect_page(200);
}

#[rstest]
#[actix_web::test]
async fn ath_08_a_link_that_is_none_changes_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (session, token) = told(&app).await;
    let unknown = Secret::random().reveal(SecretKind::OneTimeToken);
    for wrong in ["", "x", "vgt_", "%3Cscript%3E", &token[..40], &unknown] {
        let mut browser = Browser::new(&app);
        // Also behind a good one.
        browser.open(&format!("/not-me?token={token}")).await;
        assert_eq!(goes_to(&browser.open(&format!("/auth/not-me?token={wrong}")).await), "/not-me");
        browser.open("/not-me").await.expect_page(410);
        // Its page has shown no form.
        let refused = browser.submit("/not-me", &[]).await.status;
        assert_eq!(refused, if wrong == unknown { 403 } else { 410 }, "{wrong}");
    }
    // A token for something else.
    let alice = app.session_row(&session.session_id).await.user_id;
    let reset = app.app.users.issue_reset(alice, false, &AuditContext::command_line()).await.unwrap();
    let reset = reset.secret.reveal(SecretKind::OneTimeToken);
    let mut browser = Browser::new(&app);
    browser.open(&format!("/not-me?token={reset}")).await;
    browser.open("/not-me").await.expect_page(410);
    session.get("/auth/me").await.expect(200);
}
