//! The gate: one login for sites behind a proxy, over everywhere at the next click.

use reqwest::Method;
use reqwest::header::{COOKIE, HeaderValue, SET_COOKIE};
use rstest::rstest;
use serde_json::json;
use vigie::model::audit::{AuditKind, Outcome, RecordedEvent};

use super::browser::Page as _;
use crate::support::app::{Answer, PASSWORD, TestApp, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

const LOGIN: &str = "https://login.example.org";
const GATE: &[(&str, &str)] = &[
    ("VIGIE__SERVER__PUBLIC_URL", LOGIN),
    ("VIGIE__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ("VIGIE__GATE__COOKIE_DOMAIN", "example.org"),
    ("VIGIE__GATE__HOSTS", "app.example.org,wiki.example.org:8443"),
];
const WANTED: &str = "/a/page?b=c&d=%C3%A9";
const LOGIN_ADDRESS: &str =
    "https://login.example.org/login?return_to=https%3A%2F%2Fapp.example.org%2Fa%2Fpage%3Fb%3Dc%26d%3D%25C3%25A9";

/// What a proxy asks for a browser that wants a page.
struct Question {
    login: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Question {
    fn new(login: &'static str) -> Self {
        let headers = [
            ("x-forwarded-method", "GET"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "app.example.org"),
            ("x-forwarded-uri", WANTED),
            ("accept", "text/html,application/xhtml+xml"),
            ("sec-fetch-mode", "navigate"),
        ];
        Self { login, headers: headers.map(|(name, value)| (name, value.to_owned())).into() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            self.headers.push((name, value.to_owned()));
        }
        self
    }

    async fn ask(self, app: &TestApp) -> Answer {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        let mut request = client.get(app.url(&format!("/auth/verify?login={}", self.login)));
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        send(request).await
    }
}

/// The two cookies of a login on the page.
async fn log_in(app: &TestApp, name: &str) -> (String, String) {
    let form =
        [("username", name), ("password", PASSWORD), ("return_to", "https://app.example.org/a/page?b=c&d=%C3%A9")];
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let answer = send(client.post(app.url("/login")).header("origin", LOGIN).form(&form)).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("https://app.example.org/a/page?b=c&d=%C3%A9")));
    let cookies: Vec<&str> = answer.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    let of = |name: &str| {
        let cookie = cookies.iter().find(|cookie| cookie.starts_with(name)).expect("the cookie");
        cookie.split(';').next().unwrap().to_owned()
    };
    let gate = cookies.iter().find(|cookie| cookie.starts_with("__Secure-vigie-gate=vgg_")).expect("the cookie");
    let (_, attributes) = gate.split_once("; ").unwrap();
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Secure; Path=/; Domain=example.org");
    (of("__Host-vigie="), of("__Secure-vigie-gate="))
}

#[rstest]
#[actix_web::test]
async fn one_login_opens_the_sites_until_it_is_over(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let settings: Vec<_> = GATE.iter().copied().chain([("VIGIE__NODES__LIVE_VIEW", live_view)]).collect();
    let app = TestApp::start_with(backend, &settings).await;
    app.user("alice", "agent").await;
    let root = app.admin().await;
    let answer = Question::new("redirect").ask(&app).await;
    assert_eq!((answer.status, answer.header("location")), (302, Some(LOGIN_ADDRESS)));
    let answer = Question::new("location").ask(&app).await;
    assert_eq!((answer.status, answer.header("location")), (401, Some(LOGIN_ADDRESS)));
    assert!(answer.header("www-authenticate").is_some());

    let (console, gate) = log_in(&app, "alice").await;
    for host in ["app.example.org", "wiki.example.org:8443"] {
        let answer = Question::new("redirect").with("cookie", &gate).with("x-forwarded-host", host).ask(&app).await;
        assert_eq!((answer.status, answer.header("x-auth-username")), (200, Some("alice")), "{host}");
    }
    // The header `Authorization` is the application's own, and the console's cookie is not for it.
    let answer = Question::new("redirect").with("cookie", &gate).with("authorization", "Basic eDp5").ask(&app).await;
    assert_eq!(answer.status, 200);
    let as_gate = console.replace("__Host-vigie=", "__Secure-vigie-gate=");
    for other in [console.clone(), as_gate] {
        assert_eq!(Question::new("redirect").with("cookie", &other).ask(&app).await.status, 302, "{other}");
    }
    let bearer = format!("Bearer {}", root.token());
    assert_eq!(Question::new("redirect").with("authorization", &bearer).ask(&app).await.status, 302);
    // Where no login is asked for, no cookie is looked at.
    let asked = app.nobody().request(Method::GET, "/auth/verify").header(COOKIE, &gate);
    send(asked).await.problem(401, "credentials_required");

    let session = root.get("/admin/sessions?user=alice").await.expect(200)["items"][0].clone();
    let end = format!("/admin/sessions/{}/end", session["id"].as_str().unwrap());
    root.post(&end, json!({})).await.expect(204);
    let answer = Question::new("redirect").with("cookie", &gate).ask(&app).await;
    assert_eq!((answer.status, answer.header("location")), (302, Some(LOGIN_ADDRESS)));
    let answer = Question::new("redirect").with("cookie", &gate).with("x-forwarded-method", "POST").ask(&app).await;
    answer.problem(401, "session_ended");
}

/// A cookie of others that is no text hides ours neither at the sites nor at the logout; and whoever is logged in at the sites alone can
/// log out.
#[rstest]
#[actix_web::test]
async fn cookies_of_others_do_not_hide_ours(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, GATE).await;
    app.user("alice", "agent").await;
    let (_, gate) = log_in(&app, "alice").await;
    let cookies = HeaderValue::from_bytes(&[b"nom=\xc3\xa9lodie; ", gate.as_bytes()].concat()).unwrap();
    let mut question = app.nobody().request(Method::GET, "/auth/verify?login=redirect").header(COOKIE, cookies.clone());
    for (name, value) in Question::new("redirect").headers {
        question = question.header(name, value);
    }
    assert_eq!(send(question).await.status, 200);
    let logout = |method| app.nobody().request(method, "/logout").header("sec-fetch-site", "same-origin");
    send(logout(Method::GET).header(COOKIE, cookies.clone())).await.expect_page(200);
    // It follows to the login page.
    send(logout(Method::POST).header(COOKIE, cookies).form(&[("x", "")][..0])).await.expect_page(200);
    assert_eq!(Question::new("redirect").with("cookie", &gate).ask(&app).await.status, 302);
}

/// Browsers send a backslash in a query as it is.
#[actix_web::test]
async fn a_page_with_a_backslash_in_its_query_is_come_back_to() {
    let app = TestApp::start_with(Sqlite, GATE).await;
    let answer = Question::new("redirect").with("x-forwarded-uri", "/a?b=c\\d").ask(&app).await;
    let address = "https://login.example.org/login?return_to=https%3A%2F%2Fapp.example.org%2Fa%3Fb%3Dc%255Cd";
    assert_eq!((answer.status, answer.header("location")), (302, Some(address)));
    assert_eq!(Question::new("redirect").with("x-forwarded-uri", "/\\evil.example/").ask(&app).await.status, 401);
}

/// What a script, a form or a socket asks for, a login page would not answer.
#[rstest]
#[actix_web::test]
async fn only_pages_lead_to_the_login_page() {
    let app = TestApp::start_with(Sqlite, GATE).await;
    for (name, value) in [
        ("x-forwarded-method", "POST"),
        ("accept", "application/json"),
        ("accept", ""),
        ("upgrade", "websocket"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-mode", "websocket"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-host", "app.example.org:444"),
        ("x-forwarded-host", "app.example.org@evil.example"),
        ("x-forwarded-host", ""),
        ("x-forwarded-uri", "@evil.example/"),
        ("x-forwarded-uri", ".evil.example/"),
    ] {
        let answer = Question::new("redirect").with(name, value).ask(&app).await;
        assert_eq!((answer.status, answer.header("location")), (401, None), "{name}: {value}");
    }
    // Nobody but the proxy says what was asked for.
    let direct = TestApp::start_with(Sqlite, &[GATE[0], GATE[2], GATE[3]]).await;
    direct.user("alice", "agent").await;
    let (_, gate) = log_in(&direct, "alice").await;
    let answer = Question::new("redirect").with("cookie", &gate).ask(&direct).await;
    assert_eq!((answer.status, answer.header("location")), (401, None));
}

/// A sibling host sets a cookie for the domain: neither its own session nor its garbage gets between.
#[rstest]
#[actix_web::test]
async fn a_cookie_of_a_sibling_host_opens_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, GATE).await;
    for name in ["alice", "mallory"] {
        app.user(name, "agent").await;
    }
    let ((_, alice), (_, mallory)) = (log_in(&app, "alice").await, log_in(&app, "mallory").await);
    for both in [format!("{mallory}; {alice}"), format!("{alice}; {mallory}")] {
        assert_eq!(Question::new("redirect").with("cookie", &both).ask(&app).await.status, 302);
    }
    app.app.refusals.write_all().await.unwrap();
    let events = app.events().await;
    assert!(events.iter().any(|event| event.event.kind == AuditKind::GateCookiesDiffer), "{events:?}");
    let garbage = format!("__Secure-vigie-gate=vgg_x; {alice}; __Secure-vigie-gate=");
    let answer = Question::new("redirect").with("cookie", &garbage).ask(&app).await;
    assert_eq!((answer.status, answer.header("x-auth-username")), (200, Some("alice")));
}

/// Who has a live session on the login page's host need not log in once more.
#[rstest]
#[actix_web::test]
async fn a_live_session_gets_its_cookie_for_the_sites_again(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, GATE).await;
    app.user("alice", "agent").await;
    let (console, gate) = log_in(&app, "alice").await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let open = |cookie: &str, to: &str| {
        let address = app.url(&format!("/login?return_to={to}"));
        client.get(address).header(COOKIE, cookie).header("sec-fetch-site", "same-origin")
    };
    let answer = send(open(&console, "https%3A%2F%2Fwiki.example.org%3A8443%2F")).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("https://wiki.example.org:8443/")));
    let again: Vec<&str> = answer.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    assert!(again.iter().any(|cookie| cookie.starts_with(&format!("{gate};"))), "{again:?}");
    for elsewhere in
        ["https%3A%2F%2Fevil.example%2F", "https%3A%2F%2Fapp.example.org%40evil.example%2F", "%2F%2Fevil.example"]
    {
        let answer = send(open(&console, elsewhere)).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/account")), "{elsewhere}");
    }
    let page = send(open("", "https%3A%2F%2Fapp.example.org%2F")).await;
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("form-action 'self' https://app.example.org https://wiki.example.org:8443;"), "{policy}");
    assert!(page.expect_page(200).contains("name=\"return_to\" value=\"https://app.example.org/\""));
}

/// Leaving takes both cookies away, and another password makes both anew.
#[rstest]
#[actix_web::test]
async fn both_cookies_go_together(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, GATE).await;
    app.user("alice", "agent").await;
    let (console, gate) = log_in(&app, "alice").await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let token = app.app.sessions.form_token(console.strip_prefix("__Host-vigie=").unwrap());
    let post = |path: &str, members: &[(&str, &str)]| {
        let request = client.post(app.url(path)).header(COOKIE, &console).header("origin", LOGIN);
        request.form(&members.iter().copied().chain([("form_token", token.as_str())]).collect::<Vec<_>>())
    };
    let new = "cinq canards bleus nagent";
    let members = [("current_password", PASSWORD), ("new_password", new), ("new_password_again", new)];
    let answer = send(post("/account/password", &members)).await;
    let next: Vec<&str> = answer.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    let next =
        next.iter().find(|cookie| cookie.starts_with("__Secure-vigie-gate=")).expect("the cookie").split(';').next();
    assert_eq!(Question::new("redirect").with("cookie", &gate).ask(&app).await.status, 302);
    let both = format!("{gate}; {}", next.unwrap());
    assert_eq!(Question::new("redirect").with("cookie", &both).ask(&app).await.status, 200);
    let answer = send(post("/logout", &[])).await;
    assert_eq!(answer.status, 303);
    let gone: Vec<&str> = answer.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    assert!(
        gone.iter().any(|cookie| cookie.starts_with("__Secure-vigie-gate=;") && cookie.contains("Domain=example.org")),
        "{gone:?}"
    );
}

/// P4: at the gate too, nothing is decided without the database.
#[actix_web::test]
async fn without_the_database_the_gate_decides_nothing() {
    use crate::support::postgres::{Options, PrivateCluster};
    let cluster = PrivateCluster::launch(Options::default());
    let settings: Vec<_> = GATE
        .iter()
        .copied()
        .chain([("VIGIE__NODES__LIVE_VIEW", "false"), ("VIGIE__DATABASE__WAIT", "300ms")])
        .collect();
    let app = TestApp::start_at(cluster.url(), &settings).await;
    app.user("alice", "agent").await;
    let (_, gate) = log_in(&app, "alice").await;
    cluster.stop();
    Question::new("redirect").with("cookie", &gate).ask(&app).await.problem(503, "unavailable");
}

/// Whose password somebody else chose is led to where it is changed, also from a site.
#[rstest]
#[actix_web::test]
async fn a_password_of_somebody_elses_is_changed_before_a_site_opens(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, GATE).await;
    let root = app.admin().await;
    root.post("/admin/users", json!({ "username": "alice", "role": "agent", "password": PASSWORD })).await.expect(201);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let form = [("username", "alice"), ("password", PASSWORD), ("return_to", "https://app.example.org/")];
    let answer = send(client.post(app.url("/login")).header("origin", LOGIN).form(&form)).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/account/password?why=required")));
    let mut cookies = answer.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
    let gate = cookies.find(|cookie| cookie.starts_with("__Secure-vigie-gate=")).expect("the cookie");
    let answer = Question::new("redirect").with("cookie", gate.split(';').next().unwrap()).ask(&app).await;
    let address = "https://login.example.org/account/password?why=required";
    assert_eq!((answer.status, answer.header("location")), (302, Some(address)));
}

/// Whatever else a proxy serves, the cookie does not open: only the sites, as they are named.
#[rstest]
#[actix_web::test]
async fn the_cookie_opens_the_sites_alone(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, GATE).await;
    app.user("alice", "agent").await;
    let (_, gate) = log_in(&app, "alice").await;
    let ask = async |name: &'static str, value: &str| {
        Question::new("redirect").with("cookie", &gate).with(name, value).ask(&app).await
    };
    for (name, value) in [
        ("x-forwarded-host", "App.Example.org"),
        ("x-forwarded-host", "app.example.org:443"),
        ("x-forwarded-host", "wiki.example.org:8443"),
        ("x-forwarded-proto", "wss"),
    ] {
        assert_eq!(ask(name, value).await.status, 200, "{name}: {value}");
    }
    for (name, value) in [
        ("x-forwarded-host", "other.example.org"),
        ("x-forwarded-host", "login.example.org"),
        ("x-forwarded-host", "example.org"),
        ("x-forwarded-host", "wiki.example.org"),
        ("x-forwarded-host", "app.example.org:8443"),
        ("x-forwarded-host", "app.example.org.evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-host", ""),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-proto", "ws"),
        ("x-forwarded-proto", ""),
    ] {
        ask(name, value).await.problem(401, "credentials_required");
    }
    // Two words for it: one of them is the client's.
    let two = Question::new("redirect").with("cookie", &gate);
    let two = Question {
        headers: two.headers.into_iter().chain([("x-forwarded-host", "evil.example".to_owned())]).collect(),
        ..two
    };
    two.ask(&app).await.problem(401, "credentials_required");
}

/// Somebody who is logged in and whose browser shows a second cookie is not led back and forth: the login page takes away what it can,
/// sets its own again, and says so.
#[rstest]
#[actix_web::test]
async fn two_cookies_do_not_lead_back_and_forth(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, GATE).await;
    for name in ["alice", "mallory"] {
        app.user(name, "agent").await;
    }
    let ((console, gate), (_, mallory)) = (log_in(&app, "alice").await, log_in(&app, "mallory").await);
    let differ = Question::new("redirect").with("cookie", &format!("{mallory}; {gate}")).ask(&app).await;
    let address = differ.header("location").expect("an address").to_owned();
    assert_eq!((differ.status, &*address), (302, &*format!("{LOGIN_ADDRESS}&why=cookies")));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let open = async |address: &str, cookie: &str| {
        let request = client.get(app.url(address.strip_prefix(LOGIN).expect("ours"))).header(COOKIE, cookie);
        send(request.header("sec-fetch-site", "none")).await
    };
    let set = |answer: &Answer| -> Vec<String> {
        answer.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    let logged_in = open(&address, &console).await;
    let cookies = set(&logged_in);
    for path in ["/a", "/a/", "/a/page", "/a/page/"] {
        let removed = cookies.iter().filter(|cookie| {
            cookie.starts_with("__Secure-vigie-gate=;")
                && cookie.contains(&format!("; Path={path};"))
                && cookie.contains("Domain=example.org")
                && cookie.contains("Max-Age=0")
        });
        assert_eq!(removed.count(), 1, "{path}: {cookies:?}");
    }
    assert!(
        cookies.iter().any(|cookie| cookie.starts_with(&format!("{gate};")) && cookie.contains("; Path=/;")),
        "{cookies:?}"
    );
    let page = logged_in.expect_page(200);
    assert!(
        page.contains("href=\"https://app.example.org/a/page?b=c&#38;d=%C3%A9\"") && page.contains("alice"),
        "{page}"
    );
    // Who is not logged in sees the form, and is told why.
    let stranger = open(&address, "").await;
    assert_eq!(set(&stranger).len(), 4, "{stranger:?}");
    let page = stranger.expect_page(200);
    assert!(page.contains("deux connexions différentes") && page.contains("name=\"password\""), "{page}");
    // Nowhere else is a cookie touched: a deep path costs no more than so much, and another destination nothing.
    let deep = format!("https://app.example.org{}", "/x".repeat(50));
    let deep = url::form_urlencoded::byte_serialize(deep.as_bytes()).collect::<String>();
    assert_eq!(set(&open(&format!("{LOGIN}/login?why=cookies&return_to={deep}"), "").await).len(), 16);
    for elsewhere in ["%2Faccount", "https%3A%2F%2Fevil.example%2Fa%2Fb", ""] {
        let answer = open(&format!("{LOGIN}/login?why=cookies&return_to={elsewhere}"), "").await;
        assert_eq!(set(&answer), [""; 0], "{elsewhere}");
        let answer = open(&format!("{LOGIN}/login?why=cookies&return_to={elsewhere}"), &console).await;
        assert_eq!(answer.status, 303, "{elsewhere}");
    }
}

/// Proxies take only so much of a header: a very long address leads to the root of its site after the login.
#[rstest]
#[actix_web::test]
async fn an_address_is_no_longer_than_a_proxy_takes(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, GATE).await;
    let location = async |login: &'static str, uri: &str| {
        let answer = Question::new(login).with("x-forwarded-uri", uri).ask(&app).await;
        assert_eq!(answer.status, if login == "redirect" { 302 } else { 401 });
        answer.header("location").expect("an address").to_owned()
    };
    let whole = format!("/search?q={}", "x".repeat(2_000));
    let kept = location("redirect", &whole).await;
    assert!(kept.ends_with(&"x".repeat(2_000)), "{kept}");
    for login in ["redirect", "location"] {
        // As long as it is, and as long as it becomes.
        for long in [format!("/{}", "x".repeat(10_000)), format!("/a?b={}", "%2F".repeat(700))] {
            let address = location(login, &long).await;
            assert_eq!(address, format!("{LOGIN}/login?return_to=https%3A%2F%2Fapp.example.org%2F"));
        }
        for length in (2_900..3_100).step_by(7) {
            let address = location(login, &format!("/{}", "x".repeat(length))).await;
            assert!(address.len() <= 3 * 1024, "{}", address.len());
        }
    }
}

/// What is refused at the gate and on pages stands in the record, folded.
#[rstest]
#[actix_web::test]
async fn refused_cookies_and_forms_are_recorded(
    #[values(Sqlite, Postgres)] backend: Backend,
    #[values("true", "false")] live_view: &str,
) {
    let settings: Vec<_> = GATE.iter().copied().chain([("VIGIE__NODES__LIVE_VIEW", live_view)]).collect();
    let app = TestApp::start_with(backend, &settings).await;
    let alice = app.user("alice", "agent").await;
    let root = app.admin().await;
    let (console, gate) = log_in(&app, "alice").await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let session =
        root.get("/admin/sessions?user=alice").await.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    let form = |path: &str, site: &str, cookie: &str| {
        client.post(app.url(path)).header("sec-fetch-site", site).header(COOKIE, cookie).form(&[("form_token", "x")])
    };
    for _ in 0..3 {
        send(form("/account/sessions/end-all", "same-site", &console)).await.expect_page(403);
        send(form("/account/sessions/end-all", "same-origin", &console)).await.expect_page(403);
        send(form("/login", "cross-site", "")).await.expect_page(403);
    }
    root.post(&format!("/admin/sessions/{session}/end"), json!({ "note": "x" })).await.expect(204);
    for _ in 0..3 {
        assert_eq!(Question::new("redirect").with("cookie", &gate).ask(&app).await.status, 302);
        send(client.get(app.url("/account")).header(COOKIE, &console)).await;
        assert_eq!(Question::new("redirect").with("cookie", "__Secure-vigie-gate=vgg_x").ask(&app).await.status, 302);
    }
    app.app.refusals.write_all().await.unwrap();
    let mut found: Vec<String> = Vec::new();
    for RecordedEvent { event, .. } in app.events().await {
        let (actor, kind) = (&event.context.actor.id, event.kind.as_str());
        if ![AuditKind::FormRefused, AuditKind::TokenRefused].contains(&event.kind) {
            continue;
        }
        assert!(event.outcome == Outcome::Failure && !format!("{event:?}").contains("vgg_"), "{event:?}");
        let reason = event.reason.expect("a reason").as_str();
        let who = if *actor == alice.id.to_string() { "alice" } else { "nobody" };
        let of_session = event.session_id.is_some_and(|id| id.to_string() == session);
        let (route, folded) = (&event.details["route"], &event.details["folded"]);
        let end = event.details["end_reason"].as_str().unwrap_or_default();
        let line = format!("{kind} {reason} {who} {of_session} {route} {folded} {end}");
        found.push(line.trim_end().to_owned());
    }
    found.sort();
    let expected = [
        "form.refused form_token alice false \"POST /account/sessions/end-all\" 2",
        "form.refused form_token alice true \"POST /account/sessions/end-all\" null",
        "form.refused other_origin alice false \"POST /account/sessions/end-all\" 2",
        "form.refused other_origin alice true \"POST /account/sessions/end-all\" null",
        "form.refused other_origin nobody false \"POST /login\" null",
        "form.refused other_origin nobody false null 2",
        "token.refused malformed nobody false \"GET /auth/verify\" null",
        "token.refused malformed nobody false null 2",
        "token.refused session_ended alice false \"GET /account\" 2",
        "token.refused session_ended alice false \"GET /auth/verify\" 2",
        "token.refused session_ended alice true \"GET /account\" null ended_by_admin",
        "token.refused session_ended alice true \"GET /auth/verify\" null ended_by_admin",
    ];
    assert_eq!(found, expected);
}
