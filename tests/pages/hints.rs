//! The hints of browsers tell Windows 11 from 10, and break no login.

use rstest::rstest;

use super::browser::{Browser, Page as _};
use crate::support::app::{PASSWORD, TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/// The system of a login with these hints, and whether it was on a new device.
async fn system(app: &TestApp, hints: Option<(&[u8], &[u8])>) -> (Option<String>, bool) {
    let browser = Browser::new(app);
    let mut request = browser
        .request(reqwest::Method::POST, "/login")
        .header("sec-fetch-site", "same-origin")
        .header("user-agent", CHROME)
        .form(&[("username", "alice"), ("password", PASSWORD)]);
    if let Some((platform, version)) = hints {
        let value = |bytes: &[u8]| reqwest::header::HeaderValue::from_bytes(bytes).unwrap();
        request = request.header("sec-ch-ua-platform", value(platform));
        request = request.header("sec-ch-ua-platform-version", value(version));
    }
    // What a builder has of its own comes first.
    let mut request = request.build().unwrap();
    request.headers_mut().insert("user-agent", CHROME.parse().unwrap());
    let answer = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
        .execute(request)
        .await
        .unwrap();
    assert_eq!(answer.status(), 303);
    let events = app.events().await;
    let started = events.iter().rev().find(|event| event.event.kind.as_str() == "session.started").unwrap();
    let id = started.event.session_id.unwrap().to_string();
    let session = app.session_row(&id).await;
    assert_eq!(session.client_info.user_agent.as_deref(), Some(CHROME), "the raw text is kept as it came");
    (session.device.os, started.event.details["new_device"] == true)
}

#[rstest]
#[actix_web::test]
async fn windows_11_is_not_called_10(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let page = send(Browser::new(&app).request(reqwest::Method::GET, "/login")).await;
    assert_eq!(page.header("accept-ch"), Some("sec-ch-ua-platform, sec-ch-ua-platform-version"));
    page.expect_page(200);
    let windows: &[u8] = b"\"Windows\"";
    let named = |name: &str| Some(name.to_owned());
    assert_eq!(system(&app, None).await, (named("Windows 10"), true));
    // The same device as before, told better.
    assert_eq!(system(&app, Some((windows, b"\"15.0.0\""))).await, (named("Windows 11"), false));
    assert_eq!(system(&app, Some((windows, b"\"10.0.0\""))).await, (named("Windows 10"), false));
    let mut browser = Browser::logged_in(&app, "alice").await;
    assert!(browser.open("/account/sessions").await.expect_page(200).contains("Chrome, Windows 11"));
    app.app.chain.seal().await.unwrap();
    assert_eq!(crate::audit::verify(&app).await.unwrap().waiting, 0);
    for (platform, version) in [
        (windows, &b"\xff\xfe"[..]),
        (windows, &[b'9'; 4000][..]),
        (b"<script>", b"\"15\""),
        (b"\xc3\x28", b"\"15.0\""),
        (windows, b"\"-1.0\""),
        (b"", b""),
    ] {
        assert_eq!(system(&app, Some((platform, version))).await.0, named("Windows 10"));
    }
}
