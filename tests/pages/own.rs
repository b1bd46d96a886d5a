//! One's own pages: sessions and their ends, the password, the export.

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::session::EndReason;

use super::browser::{Browser, Page as _, goes_to};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

#[rstest]
#[actix_web::test]
async fn one_session_all_others_or_all_are_ended(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let phone = app.signed_in("alice").await;
    let tablet = app.log_in("alice").await;
    let mut laptop = Browser::logged_in(&app, "alice").await;
    let mut desk = Browser::logged_in(&app, "alice").await;
    let page = laptop.open("/account/sessions").await.expect_page(200);
    assert_eq!(page.matches("<tr>").count(), 5, "{page}");
    assert_eq!(page.matches("<strong>Cette session</strong>").count(), 1);

    let ended = laptop.submit(&format!("/account/sessions/{}/end", phone.session_id), &[]).await;
    assert_eq!(goes_to(&ended), "/account/sessions?ended=1");
    phone.get("/auth/me").await.problem(401, "session_ended");
    assert!(laptop.open("/account/sessions?ended=1").await.expect_page(200).contains("1 session est terminée"));
    assert_eq!(app.session_row(&phone.session_id).await.end.unwrap().reason, EndReason::EndedByOwner);

    let ended = laptop.submit("/account/sessions/end-others", &[]).await;
    assert_eq!(goes_to(&ended), "/account/sessions?ended=2");
    tablet.get("/auth/me").await.problem(401, "session_ended");
    assert_eq!(goes_to(&desk.open("/account").await), "/login?return_to=%2Faccount&why=ended");
    assert!(desk.session_cookie().is_some(), "a late answer takes no other cookie away");
    laptop.open("/account").await.expect_page(200);

    let phone = app.log_in("alice").await;
    let ended = laptop.submit("/account/sessions/end-all", &[]).await;
    assert_eq!(goes_to(&ended), "/login?why=logged-out");
    phone.get("/auth/me").await.problem(401, "session_ended");
    let page = Browser::logged_in(&app, "alice").await.open("/account/sessions?state=all").await.expect_page(200);
    assert!(page.contains("Déconnexion de toutes les sessions"), "{page}");
}

#[rstest]
#[actix_web::test]
async fn nobody_ends_another_persons_session(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let bob = app.signed_in("bob").await;
    app.user("alice", "agent").await;
    let mut alice = Browser::logged_in(&app, "alice").await;
    alice.submit(&format!("/account/sessions/{}/end", bob.session_id), &[]).await.expect_page(404);
    bob.get("/auth/me").await.expect(200);
    assert!(!alice.open("/account/sessions?state=all").await.body.contains(&bob.session_id));
}

/// A console that was left open is not enough to end other sessions (SES-14).
#[rstest]
#[actix_web::test]
async fn ses_14_ending_another_session_asks_for_a_recent_login(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "5m")]).await;
    let phone = app.signed_in("alice").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    app.advance(TimeDelta::minutes(6));
    browser.open("/account/sessions").await.expect_page(200);
    let answer = browser.submit(&format!("/account/sessions/{}/end", phone.session_id), &[]).await;
    assert_eq!(goes_to(&answer), "/login?return_to=%2Faccount%2Fsessions&why=again");
    let page = browser.open(goes_to(&answer)).await.expect_page(200);
    assert!(page.contains("connexion récente") && page.contains("value=\"alice\""), "{page}");
    let members = [("username", "alice"), ("password", PASSWORD), ("return_to", "/account/sessions")];
    assert_eq!(goes_to(&browser.submit("/login", &members).await), "/account/sessions");
    browser.open("/account/sessions").await.expect_page(200);
    let answer = browser.submit(&format!("/account/sessions/{}/end", phone.session_id), &[]).await;
    assert_eq!(goes_to(&answer), "/account/sessions?ended=1");
}

/// Nor are all of them (ASVS 7.5.2); whoever only logs out is not asked.
#[rstest]
#[actix_web::test]
async fn ses_14_ending_all_other_sessions_asks_for_a_recent_login(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "5m")]).await;
    let phone = app.signed_in("alice").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    app.advance(TimeDelta::minutes(6));
    browser.open("/account/sessions").await.expect_page(200);
    for path in ["/account/sessions/end-others", "/account/sessions/end-all"] {
        assert_eq!(goes_to(&browser.submit(path, &[]).await), "/login?return_to=%2Faccount%2Fsessions&why=again");
    }
    for body in [json!({}), json!({ "keep_current": true })] {
        phone.post("/auth/logout-all", body).await.problem(401, "reauthentication_required");
    }
    phone.get("/auth/me").await.expect(200);
    assert_eq!(goes_to(&browser.submit("/logout", &[]).await), "/login?why=logged-out");
    let tablet = app.log_in("alice").await;
    assert_eq!(tablet.post("/auth/logout-all", json!({ "keep_current": true })).await.expect(200)["ended"], 1);
    phone.get("/auth/me").await.problem(401, "session_ended");
}

/// A cookie continues it: there is no token to look for.
#[rstest]
#[actix_web::test]
async fn a_session_of_pages_has_no_token_in_any_list(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    app.user("alice", "agent").await;
    Browser::logged_in(&app, "alice").await;
    let list = root.get("/admin/sessions?user=alice").await.expect(200);
    assert_eq!(list["items"][0]["token"], Value::Null);
    let sheet = root.get("/admin/sessions/export?format=csv").await;
    assert_eq!(sheet.status, 200);
    let rows: Vec<std::collections::BTreeMap<String, String>> =
        csv::Reader::from_reader(sheet.body.trim_start_matches('\u{feff}').as_bytes())
            .deserialize()
            .map(Result::unwrap)
            .collect();
    for row in rows {
        for name in ["jti", "token_issued_at", "token_expires_at", "refreshes"] {
            assert_eq!(row[name].is_empty(), row["username"] == "alice", "{name}: {row:?}");
        }
    }
}

#[rstest]
#[actix_web::test]
async fn another_password_voids_the_cookie_and_ends_all_other_sessions(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    let phone = app.signed_in("alice").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let mut stolen = browser.at(&app);
    let new = "cinq canards bleus nagent";
    browser.open("/account/password").await.expect_page(200);
    for (current, one, other, said) in [
        ("not this one", new, new, "actuel est incorrect"),
        (PASSWORD, new, PASSWORD, "sont différents"),
        (PASSWORD, "court", "court", "au moins 15 caractères"),
        (PASSWORD, PASSWORD, PASSWORD, "mot de passe actuel"),
    ] {
        let members = [("current_password", current), ("new_password", one), ("new_password_again", other)];
        let page = browser.submit("/account/password", &members).await.expect_page(422);
        assert!(page.contains("role=\"alert\"") && page.contains(said), "{said}: {page}");
        assert!(!page.contains(new) && !page.contains(PASSWORD));
    }
    let members = [("current_password", PASSWORD), ("new_password", new), ("new_password_again", new)];
    assert_eq!(goes_to(&browser.submit("/account/password", &members).await), "/account/password?why=done");
    phone.get("/auth/me").await.problem(401, "session_ended");
    let answer = stolen.open("/account").await;
    assert_eq!(goes_to(&answer), "/login?return_to=%2Faccount&why=ended");
    browser.open("/account").await.expect_page(200);
    app.app.chain.seal().await.unwrap();
    assert_eq!(crate::audit::verify(&app).await.unwrap().waiting, 0);
    assert_eq!(goes_to(&Browser::new(&app).log_in("alice", new).await), "/account");
}

#[rstest]
#[actix_web::test]
async fn ones_own_data_are_a_file(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    browser.open("/account/export").await.expect_page(200);
    let answer = browser.submit("/account/export", &[]).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
    let lines: Vec<Value> = answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["user"]["username"] == "alice"), "{}", answer.body);
    assert!(lines.iter().any(|line| line["session"]["state"] == "active"));
    assert!(!answer.body.contains(&browser.session_cookie().unwrap()[4..]));
}

#[rstest]
#[actix_web::test]
async fn attempts_are_listed_page_by_page(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    app.user("alice", "agent").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    for _ in 0..51 {
        app.log_in("alice").await;
    }
    // Of two at the same moment either may be the newer one.
    app.advance(TimeDelta::seconds(1));
    Browser::new(&app).log_in("alice", "not this one").await.expect_page(422);
    let page = browser.open("/account/attempts").await.expect_page(200);
    assert!(page.contains("Mot de passe incorrect") && page.contains("Réussie"), "{page}");
    assert_eq!(page.matches("<th scope=\"row\">").count(), 50);
    let next = page.split("href=\"/account/attempts?cursor=").nth(1).expect("another page");
    let next = format!("/account/attempts?cursor={}", next.split('"').next().unwrap());
    let page = browser.open(&next).await.expect_page(200);
    assert_eq!(page.matches("<th scope=\"row\">").count(), 3);
}
