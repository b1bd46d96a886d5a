//! Logging in by the login page: the session is a row like every other, and its cookie is held to be a secret.

use chrono::TimeDelta;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, SET_COOKIE};
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::audit::AuditKind;

use super::browser::{Browser, Page as _, goes_to};
use crate::support::app::{PASSWORD, TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

#[rstest]
#[actix_web::test]
async fn a_login_on_the_page_is_a_session_without_a_token(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__NODES__LIVE_VIEW", live_view)]).await;
    app.user("alice", "agent").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let page = browser.open("/account").await.expect_page(200);
    assert!(page.contains("<dd>alice</dd>") && page.contains("première connexion"), "{page}");

    let root = app.admin().await;
    let list = root.get("/admin/sessions?user=alice").await.expect(200);
    let session = &list["items"][0];
    assert_eq!((&session["token"], &session["state"]), (&Value::Null, &json!("active")));
    assert_eq!((&session["device"]["browser"], &session["ip"]), (&json!("Firefox"), &json!("127.0.0.1")));
    let events = app.events().await;
    let started = events.iter().filter(|event| event.event.kind == AuditKind::SessionStarted);
    let mut details = started.map(|event| &event.event.details);
    let by_page = details.find(|details| details["credential"] == "cookie").expect("the event");
    assert!(by_page.get("token").is_none(), "{by_page}");
    app.app.chain.seal().await.unwrap();
    assert_eq!(crate::audit::verify(&app).await.unwrap().waiting, 0);
    let dump = app.dump();
    let cookie = browser.session_cookie().unwrap();
    assert!(!dump.contains(cookie) && !dump.contains(&cookie[4..]), "SES-03, P7");
}

#[rstest]
#[actix_web::test]
async fn web_01_the_cookie_is_for_this_host_alone() {
    let public = ("VIGIE__SERVER__PUBLIC_URL", "https://vigie.example.org");
    let app = TestApp::start_with(Sqlite, &[public]).await;
    app.user("alice", "agent").await;
    let form = [("username", "alice"), ("password", PASSWORD)];
    let request =
        app.nobody().request(Method::POST, "/login").header("origin", "https://vigie.example.org").form(&form);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = client.execute(request.build().unwrap()).await.unwrap();
    assert_eq!(answer.status(), 303);
    let cookies: Vec<&str> = answer.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    let session = cookies.iter().find(|cookie| cookie.starts_with("__Host-vigie=vgs_")).expect("a session");
    let (_, attributes) = session.split_once("; ").unwrap();
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Secure; Path=/");
    assert!(session.len() < 4096);
    assert!(cookies.iter().any(|cookie| cookie.starts_with("__Host-vigie-device=vgd_")), "{cookies:?}");
    // A name that is only written like ours once it is decoded can be set by another host.
    let value = session.split(';').next().unwrap().split_once('=').unwrap().1;
    for name in ["__%48ost-vigie", "vigie", "__host-vigie"] {
        let request = app.nobody().request(Method::GET, "/account").header("cookie", format!("{name}={value}"));
        let answer = client.execute(request.build().unwrap()).await.unwrap();
        assert_eq!(answer.headers()["location"], "/login?return_to=%2Faccount", "{name}");
    }
}

#[rstest]
#[actix_web::test]
async fn a_login_that_fails_says_nothing_of_why_and_keeps_the_name(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let mut browser = Browser::new(&app);
    let mut shown = Vec::new();
    for name in ["alice", "nobody"] {
        let page = browser.log_in(name, "not this one").await.expect_page(422);
        assert!(page.contains("role=\"alert\"") && page.contains(&format!("value=\"{name}\"")), "{page}");
        assert!(!page.contains("not this one"));
        shown.push(page.replace(name, "NAME"));
    }
    assert_eq!(shown[0], shown[1], "AUTH-03: the same bytes");
    assert_eq!(browser.session_cookie(), None);
    for _ in 0..5 {
        browser.log_in("alice", "not this one").await;
    }
    let answer = browser.log_in("alice", PASSWORD).await;
    assert!(answer.header("retry-after").is_some());
    answer.expect_page(429);
}

/// SES-04: nothing from before a login is good after it.
#[rstest]
#[actix_web::test]
async fn ses_04_a_login_ends_the_session_that_the_browser_had(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    for name in ["alice", "bob"] {
        app.user(name, "agent").await;
    }
    let mut browser = Browser::logged_in(&app, "alice").await;
    let mut before = browser.at(&app);
    browser.open("/login?why=again").await.expect_page(200);
    let again = browser.submit("/login", &[("username", "bob"), ("password", PASSWORD)]).await;
    assert_eq!(goes_to(&again), "/account");
    assert_ne!(browser.session_cookie(), before.session_cookie());
    assert_eq!(goes_to(&before.open("/account").await), "/login?return_to=%2Faccount&why=ended");
    assert!(browser.open("/account").await.expect_page(200).contains("<dd>bob</dd>"));
}

/// One kind of credential is refused where another is asked for, and a forged one makes nobody known.
#[rstest]
#[actix_web::test]
async fn ses_05_no_other_text_is_a_session_cookie(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    let good = browser.session_cookie().unwrap().to_owned();
    app.nobody().with_token(&good).get("/auth/me").await.problem(401, "token_invalid");
    let mut cut = good.clone();
    cut.replace_range(good.len() - 9.., "AAAAAAAAA");
    for other in [alice.token(), &alice.refresh_token, &alice.session_id, &cut, "vgs_", "x"] {
        browser.cookies.insert("vigie".to_owned(), other.to_owned());
        let answer = browser.open("/account").await;
        assert_eq!(goes_to(&answer), "/login?return_to=%2Faccount&why=ended", "{other}");
    }
    // Two of them: one is somebody else's.
    let request = browser.request(Method::GET, "/account").header("cookie", format!("vigie={good}; vigie={good}"));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = client.execute(request.build().unwrap()).await.unwrap();
    assert_eq!(answer.status(), 303);
    app.app.refusals.write_all().await.unwrap();
    let events = app.events().await;
    let is_refusal = |kind| kind == AuditKind::TokenRefused;
    let mut refused = events.iter().filter(|event| is_refusal(event.event.kind));
    assert!(refused.any(|event| event.event.details["route"] == "GET /account"), "{events:?}");
    // Without `?login=` a proxy's question looks at no cookie.
    let asked = browser.request(Method::GET, "/auth/verify").header("cookie", format!("vigie={good}"));
    send(asked).await.problem(401, "credentials_required");
    let both = browser.request(Method::GET, "/auth/me").header("cookie", format!("vigie={good}"));
    send(both.header(AUTHORIZATION, format!("Bearer {}", alice.token()))).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn a_login_leads_back_to_the_page_that_was_wanted_and_nowhere_else() {
    let app = TestApp::start(Sqlite).await;
    app.user("alice", "agent").await;
    let mut browser = Browser::new(&app);
    let wanted = browser.open("/account/sessions?state=all").await;
    let login = goes_to(&wanted).to_owned();
    assert_eq!(login, "/login?return_to=%2Faccount%2Fsessions%3Fstate%3Dall");
    let page = browser.open(&login).await.expect_page(200);
    assert!(page.contains("name=\"return_to\" value=\"/account/sessions?state=all\""), "{page}");
    for (to, then) in [
        ("/account/sessions?state=all", "/account/sessions?state=all"),
        ("//evil.example", "/account"),
        ("https://evil.example/", "/account"),
        ("/\\evil.example", "/account"),
    ] {
        let mut browser = Browser::new(&app);
        let members = [("username", "alice"), ("password", PASSWORD), ("return_to", to)];
        assert_eq!(goes_to(&browser.submit("/login", &members).await), then, "{to}");
        // Who is logged in already goes on at once.
        let page = format!("/login?return_to={}", to.replace('?', "%3F").replace('\\', "%5C"));
        assert_eq!(goes_to(&browser.open(&page).await), then, "{to}");
    }
    assert_eq!(goes_to(&Browser::new(&app).open("/").await), "/login");
    assert_eq!(goes_to(&Browser::logged_in(&app, "alice").await.open("/").await), "/account");
}

/// A link in a mail: the browser keeps a `Strict` cookie back, and sends it once the page has loaded itself.
#[rstest]
#[actix_web::test]
async fn who_follows_a_link_from_elsewhere_is_still_logged_in() {
    let app = TestApp::start(Sqlite).await;
    app.user("alice", "agent").await;
    let stranger = Browser::new(&app);
    let from_mail = |path: &str| {
        stranger.request(Method::GET, path).header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "navigate")
    };
    let page = send(from_mail("/account/sessions?state=all")).await.expect_page(200);
    assert!(page.contains("<meta http-equiv=\"refresh\" content=\"0;url=/account/sessions?state=all\">"), "{page}");
    assert!(!page.contains("alice"));
    let again = stranger.request(Method::GET, "/account").header("sec-fetch-site", "same-origin");
    let answer = send(again.header("sec-fetch-mode", "navigate")).await;
    assert_eq!(goes_to(&answer), "/login?return_to=%2Faccount", "once");
    // The login page, and those of links in mails, as well.
    for path in ["/login?return_to=%2Faccount", "/reset", "/setup"] {
        let page = send(from_mail(path)).await.expect_page(200);
        assert!(page.contains(&format!("content=\"0;url={path}\"")), "{path}: {page}");
    }
}

#[rstest]
#[actix_web::test]
async fn after_a_login_the_one_before_is_shown(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    app.log_in("alice").await;
    app.advance(TimeDelta::hours(3));
    let mut browser = Browser::logged_in(&app, "alice").await;
    let page = browser.open("/account").await.expect_page(200);
    assert!(page.contains("il y a 3 heures"), "{page}");
    assert!(page.contains("datetime=\"2027-01-15T12:00:00Z\""), "{page}");
    assert!(page.contains("15 janvier 2027 à 13:00:00 (UTC+1)"), "{page}");
}

#[rstest]
#[actix_web::test]
async fn the_reader_chooses_language_and_zone() {
    let app = TestApp::start(Sqlite).await;
    let mut browser = Browser::new(&app);
    assert!(browser.open("/login").await.expect_page(200).contains("<html lang=\"fr\">"));
    let english = browser.request(Method::GET, "/login").header("accept-language", "en-GB,en;q=0.9,fr;q=0.5");
    assert!(send(english).await.expect_page(200).contains("<h1>Log in</h1>"));
    let members = [("language", "en"), ("return_to", "/privacy")];
    assert_eq!(goes_to(&browser.submit("/preferences", &members).await), "/privacy");
    let page = browser.open("/privacy").await.expect_page(200);
    assert!(page.contains("<h1>Personal data</h1>") && page.contains("12 months"), "{page}");
    let members = [("time_zone", "Indian/Reunion"), ("return_to", "/login")];
    assert_eq!(goes_to(&browser.submit("/preferences", &members).await), "/login");
    assert!(browser.open("/login").await.expect_page(200).contains("zone Indian/Reunion"));
    browser.submit("/preferences", &[("time_zone", "Mars/Olympus")]).await.expect_page(422);
    browser.submit("/preferences", &[("language", "de")]).await.expect_page(422);
}

/// Another tab logged in, or the session ended, since the form was shown: its token is of no session, or of an earlier one.
#[rstest]
#[actix_web::test]
async fn an_old_login_form_still_logs_in(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let mut browser = Browser::logged_in(&app, "alice").await;
    app.advance(TimeDelta::hours(13));
    for old in [None, Some("x")] {
        let form = [("username", "alice"), ("password", PASSWORD)];
        let token = old.map(|token| ("form_token", token));
        let members: Vec<_> = form.into_iter().chain(token).collect();
        assert_eq!(goes_to(&browser.send_form("/login", &members, "same-origin").await), "/account");
    }
}

/// A one-time token stands in no page, wherever its link is opened.
#[rstest]
#[actix_web::test]
async fn no_page_holds_a_one_time_token() {
    let app = TestApp::start(Sqlite).await;
    let token = vigie::model::secret::Secret::random().reveal(vigie::model::secret::SecretKind::OneTimeToken);
    let mut browser = Browser::new(&app);
    for path in ["/reset", "/setup", "/login", "/privacy", "/preferences", "/account"] {
        for query in [format!("token={token}&token={token}"), format!("x=1&token={token}")] {
            let answer = browser.open(&format!("{path}?{query}")).await;
            assert!(!answer.body.contains(&token), "{path}");
            assert!(!answer.header("location").unwrap_or_default().contains(&token), "{path}");
        }
    }
}

/// What is recorded, what for, for how long and for whom is said before anybody logs in (PRV-03).
#[rstest]
#[actix_web::test]
async fn prv_03_what_is_recorded_is_said_before_anybody_logs_in(#[values(Sqlite, Postgres)] backend: Backend) {
    let kept = [("VIGIE__RETENTION__SESSIONS", "14 months"), ("VIGIE__RETENTION__ATTEMPTS", "11 months")];
    let app = TestApp::start_with(backend, &kept).await;
    let mut stranger = Browser::new(&app);
    let login = stranger.open("/login").await.expect_page(200);
    let (_, said) = login.split_once("Chaque connexion est enregistrée").expect("it is said on the login page");
    assert!(said.contains("<a href=\"/privacy\">Ce qui est conservé, pourquoi et combien de temps</a>"), "{login}");
    let page = stranger.open("/privacy").await.expect_page(200);
    for (question, answer) in [
        ("Ce qui est enregistré", "l&#39;adresse du réseau, le navigateur et l&#39;application"),
        ("Pourquoi", "repérer les accès illégitimes"),
        ("Sessions, après leur fin", "<dd>14 mois</dd>"),
        ("Tentatives de connexion", "<dd>11 mois</dd>"),
        ("Qui peut les lire", "les administrateurs et les auditeurs désignés"),
        ("Vos droits", "télécharger vos données"),
    ] {
        let (_, behind) = page.split_once(question).unwrap_or_else(|| panic!("{question}: {page}"));
        assert!(behind.contains(answer), "{question}: {page}");
    }
}
