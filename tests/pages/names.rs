//! People give their own sessions names.

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;

use super::browser::{Browser, Page as _, goes_to};
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};

const NAMED: &str = "/account/sessions?named=true";

#[rstest]
#[actix_web::test]
async fn a_session_gets_a_name_that_every_list_shows(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    let (phone, root) = (app.signed_in("alice").await, app.admin().await);
    phone.get("/auth/me").await.expect(200);
    let mut browser = Browser::logged_in(&app, "alice").await;
    let path = format!("/account/sessions/{}/name", phone.session_id);
    assert!(browser.open("/account/sessions").await.expect_page(200).contains(&format!("href=\"{path}\"")));
    let page = browser.open(&path).await.expect_page(200);
    assert!(page.contains("name=\"name\" type=\"text\" value=\"\""), "{page}");
    assert_eq!(goes_to(&browser.submit(&path, &[("name", "  mon <b>téléphone</b> ")]).await), NAMED);
    let page = browser.open(NAMED).await.expect_page(200);
    assert!(page.contains("Le nom est enregistré") && page.contains("mon &#60;b&#62;téléphone"), "{page}");
    let name = json!("mon <b>téléphone</b>");
    let own = phone.get("/auth/sessions").await.expect(200);
    let named: Vec<_> = own["items"].as_array().unwrap().iter().filter(|session| session["name"] == name).collect();
    assert_eq!(named.len(), 1);
    assert_eq!(named[0]["id"], json!(phone.session_id));
    assert_eq!(phone.get("/auth/me").await.expect(200)["session"]["name"], name);
    let one = root.get(&format!("/admin/sessions/{}", phone.session_id)).await.expect(200);
    assert_eq!(one["session"]["name"], name);
    // Another name, and none.
    browser.submit(&path, &[("name", "le téléphone")]).await;
    assert!(browser.open(&path).await.expect_page(200).contains("value=\"le téléphone\""));
    browser.submit(&path, &[("name", "le téléphone")]).await;
    assert_eq!(goes_to(&browser.submit(&path, &[("name", " ")]).await), NAMED);
    assert_eq!(phone.get("/auth/me").await.expect(200)["session"]["name"], json!(null));
    let events =
        root.get(&format!("/admin/audit?kind=session.named&session_id={}", phone.session_id)).await.expect(200);
    let told: Vec<_> = events["items"].as_array().unwrap().iter().map(|event| &event["details"]["name"]).collect();
    assert_eq!(told, [&json!(null), &json!("le téléphone"), &name], "no event where nothing changed");
}

#[rstest]
#[actix_web::test]
async fn a_name_that_does_not_fit_is_refused_with_what_was_typed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let phone = app.signed_in("alice").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let path = format!("/account/sessions/{}/name", phone.session_id);
    browser.open(&path).await.expect_page(200);
    let before = app.dump();
    for wrong in ["é".repeat(65), "a\u{0}b".to_owned(), "a\nb".to_owned()] {
        let page = browser.submit(&path, &[("name", &wrong)]).await.expect_page(422);
        assert!(page.contains("aria-invalid=\"true\"") && page.contains("64 caractères"), "{page}");
    }
    browser.submit(&path, &[]).await.expect_page(422);
    assert_eq!(app.dump(), before);
    assert_eq!(goes_to(&browser.submit(&path, &[("name", &"é".repeat(64))]).await), NAMED);
}

#[rstest]
#[actix_web::test]
async fn nobody_names_another_persons_session_or_one_that_is_over(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (bob, phone) = (app.signed_in("bob").await, app.signed_in("alice").await);
    let mut browser = Browser::logged_in(&app, "alice").await;
    browser.open("/account/sessions").await.expect_page(200);
    phone.post_empty("/auth/logout").await.expect(204);
    for id in [bob.session_id.as_str(), phone.session_id.as_str(), "x", "01890a5d-ac96-7000-8000-00000000000a"] {
        let path = format!("/account/sessions/{id}/name");
        browser.open(&path).await.expect_page(404);
        browser.submit(&path, &[("name", "mine")]).await.expect_page(404);
    }
    for id in [&bob.session_id, &phone.session_id] {
        assert_eq!(app.session_row(id).await.name, None);
    }
}

/// The record of an end covers the name (P6), and an erasure removes it (PRV-05).
#[rstest]
#[actix_web::test]
async fn p6_the_name_of_an_ended_session_is_sealed_with_it(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let phone = app.signed_in("alice").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let path = format!("/account/sessions/{}/name", phone.session_id);
    browser.open(&path).await.expect_page(200);
    browser.submit(&path, &[("name", "téléphone")]).await;
    app.advance(TimeDelta::minutes(1));
    phone.post_empty("/auth/logout").await.expect(204);
    app.app.chain.seal().await.unwrap();
    assert_eq!(crate::audit::verify(&app).await.unwrap().waiting, 0);
    crate::audit::tamper::tamper(&app, &["UPDATE sessions SET name = 'tablette' WHERE name = 'téléphone'"]);
    crate::audit::verify(&app).await.unwrap_err();
}
