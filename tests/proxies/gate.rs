//! One login for sites behind real proxies: a browser is led to the login page and back to exactly the page it asked for, everything
//! else is refused, and logged out means logged out at the very next request. By TLS, as people reach them.

use std::path::{Path, PathBuf};

use rstest::rstest;
use serde_json::json;
use tokio_rustls::TlsConnector;
use url::Url;

use super::application;
use super::front::{APPLICATION, Front, Start, VIGIE, caddy, envoy, haproxy, nginx};
use super::wire::{Question, Secure, Told};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::certificates::{Certificates, connector, write_private};
use crate::support::lookout::address;
use crate::support::program::{Program, Server};

const LOGIN: &str = "login.example.org";
const SITES: [&str; 2] = ["app.example.org", "wiki.example.org"];
/// What the recipes ask of Vigie's configuration.
const SETTINGS: [(&str, &str); 4] = [
    ("VIGIE__SERVER__PUBLIC_URL", "https://login.example.org"),
    ("VIGIE__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ("VIGIE__GATE__COOKIE_DOMAIN", "example.org"),
    ("VIGIE__GATE__HOSTS", "app.example.org,wiki.example.org"),
];
/// Pages that a browser may ask for, and that are to be shown after the login.
const PAGES: [&str; 6] = [
    "/",
    "/rapports/%C3%A9t%C3%A9?b=c&d=%2F%20+&e",
    "/a%2Fb/c;d=e",
    "/?login=location&of=/auth/verify",
    "/a%20b?return_to=https%3A%2F%2Fevil.example%2F&why=cookies",
    "/auth/verify?login=redirect",
];
/// Headers of ours, as a client forges them.
const FORGED: [&str; 6] =
    ["X-Auth-User-Id", "x-auth-username", "X-AUTH-ROLE", "X-Auth-Session-Id", "X_Auth_User_Id", "X_AUTH_USERNAME"];

/// A recipe, and how its program is started.
pub struct Recipe {
    pub files: &'static [&'static str],
    pub start: Start,
}

pub const NGINX: Recipe = Recipe { files: &["nginx.conf"], start: nginx };
pub const CADDY: Recipe = Recipe { files: &["Caddyfile"], start: caddy };
const HAPROXY: Recipe = Recipe { files: &["haproxy.cfg", "vigie.lua"], start: haproxy };
const ENVOY: Recipe = Recipe { files: &["envoy.yaml"], start: envoy };

/// An installation as the recipes want it, with users and an administrator, behind a proxy.
pub struct Installation {
    /// Kept as long as the rest.
    pub program: Program,
    pub server: Server,
    pub front: Front,
    /// The authority that signed the certificates of the proxy.
    pub root: PathBuf,
}

/// Starts one.
pub fn serve(recipe: &Recipe, backend: Backend) -> Installation {
    let program = SETTINGS.iter().fold(Program::new(backend), |program, (name, value)| program.with(name, value));
    for (name, role) in [("alice", "agent"), ("mallory", "agent"), ("root", "admin")] {
        program.add_user(name, role);
    }
    let server = program.serve();
    let addresses = [(VIGIE, address(&server)), (APPLICATION, application::start())];
    let root = program.path("root.crt");
    let start = |directory: &Path| {
        let certificates = Certificates::write_for(directory, &["*.example.org"]);
        let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect("it was written");
        write_private(&directory.join("server.pem"), &(read("server.crt") + &read("server.key")));
        std::fs::copy(certificates.root, &root).expect("it was written");
        (recipe.start)(directory)
    };
    let front = Front::run_of("examples/gate", recipe.files, &addresses, start);
    Installation { program, server, front, root }
}

/// Somebody with a browser.
struct Visitor<'a> {
    front: &'a Front,
    connector: TlsConnector,
}

impl Visitor<'_> {
    fn at(&self, host: &'static str) -> Secure<'_> {
        Secure { address: self.front.address, connector: &self.connector, host }
    }

    async fn open(&self, host: &'static str, target: &str, cookie: &str) -> Told {
        let page = page(target);
        let page = if cookie.is_empty() { page } else { page.with("Cookie", cookie) };
        page.ask_securely(&self.at(host)).await
    }

    /// Logs in on the page; returns the cookie for the sites, and where that led.
    async fn log_in(&self, return_to: &str) -> (String, String) {
        let form = [("username", "alice"), ("password", PASSWORD), ("return_to", return_to)];
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let question = Question { method: "POST", body: &body, ..Question::get("/login") };
        let question = question.with("Content-Type", "application/x-www-form-urlencoded");
        let question = question.with("Origin", "https://login.example.org").with("Sec-Fetch-Site", "same-origin");
        let told = question.ask_securely(&self.at(LOGIN)).await;
        assert_eq!(told.status, 303, "{told:?}");
        let gate = told.headers("set-cookie").find(|cookie| cookie.starts_with("__Secure-vigie-gate=vgg_"));
        let cookie = gate.and_then(|cookie| cookie.split(';').next()).expect("the cookie").to_owned();
        (cookie, told.header("location").expect("an address").to_owned())
    }
}

/// What a browser asks that is to show a page.
fn page(target: &str) -> Question<'_> {
    Question::get(target).with("Accept", "text/html,application/xhtml+xml").with("Sec-Fetch-Mode", "navigate")
}

/// Everything that a recipe promises.
async fn holds(recipe: &Recipe, backend: Backend) {
    let Installation { program: _program, server, front, root } = serve(recipe, backend);
    let visitor = Visitor { front: &front, connector: connector(&root) };

    leads_pages_to_the_login(&visitor).await;
    refuses_what_is_no_page(&visitor, "").await;
    let told = page("/login").ask_securely(&visitor.at(LOGIN)).await;
    assert!(told.status == 200 && told.body.contains("name=\"password\""), "{told:?}");
    assert_eq!(page("/auth/verify?login=redirect").ask_securely(&visitor.at(LOGIN)).await.status, 404);

    let wanted = format!("https://app.example.org{}", PAGES[1]);
    let (cookie, location) = visitor.log_in(&wanted).await;
    assert_eq!(location, wanted);
    opens_the_sites(&visitor, &cookie).await;
    keeps_our_cookies_to_itself(&visitor, &cookie).await;

    end_sessions(&server, "alice").await;
    for site in SITES {
        leads_to_login(&visitor.open(site, "/", &cookie).await, site, "/");
    }
    refuses_what_is_no_page(&visitor, &cookie).await;

    let (cookie, _) = visitor.log_in(&wanted).await;
    visitor.open(SITES[0], "/", &cookie).await.asked();
    server.stop();
    for cookie in ["", &cookie] {
        let told = visitor.open(SITES[0], "/", cookie).await;
        assert_eq!((told.status, told.header("location")), (503, None), "{told:?}");
        assert!(told.header("retry-after").is_some(), "{told:?}");
        assert_eq!(told.header("cache-control"), Some("no-store"), "{told:?}");
    }
}

async fn leads_pages_to_the_login(visitor: &Visitor<'_>) {
    for site in SITES {
        for target in PAGES {
            leads_to_login(&visitor.open(site, target, "").await, site, target);
        }
    }
    let head = Question { method: "HEAD", ..page("/a") }.ask_securely(&visitor.at(SITES[0])).await;
    leads_to_login(&head, SITES[0], "/a");
    // What was asked for is what the proxy saw, not what the client says.
    let claims = page("/a")
        .with("X-Forwarded-Host", "wiki.example.org")
        .with("X-Forwarded-Uri", "/b")
        .with("X-Forwarded-Proto", "http")
        .with("X-Forwarded-Method", "POST");
    leads_to_login(&claims.ask_securely(&visitor.at(SITES[0])).await, SITES[0], "/a");
    // A header of a token is the application's own.
    let bearer = page("/a").bearer("x.y.z").ask_securely(&visitor.at(SITES[0])).await;
    leads_to_login(&bearer, SITES[0], "/a");
}

/// Led to the login page, which leads back to exactly this page.
#[track_caller]
fn leads_to_login(told: &Told, site: &str, target: &str) {
    assert_eq!(told.status, 302, "{told:?}");
    let address = Url::parse(told.header("location").expect("an address")).expect("an address");
    assert_eq!((address.host_str(), address.path()), (Some(LOGIN), "/login"));
    let pairs: Vec<_> = address.query_pairs().into_owned().collect();
    assert_eq!(pairs, [("return_to".to_owned(), format!("https://{site}{target}"))]);
    assert!(told.headers("cache-control").any(|value| value.contains("no-store")), "{told:?}");
}

/// What a script, a form or a socket asks for is refused.
async fn refuses_what_is_no_page(visitor: &Visitor<'_>, cookie: &str) {
    let site = visitor.at(SITES[0]);
    let page = || page("/a").with("Cookie", cookie);
    let script = Question::get("/a").with("Cookie", cookie).with("Accept", "text/html");
    for question in [
        Question { method: "POST", body: "a=b", ..page() },
        Question { method: "DELETE", ..page() },
        Question { method: "OPTIONS", ..page() },
        script.clone().with("Sec-Fetch-Mode", "cors"),
        script.with("Sec-Fetch-Mode", "no-cors"),
        Question::get("/a").with("Cookie", cookie).with("Accept", "application/json"),
        Question::get("/a").with("Cookie", cookie),
    ] {
        refused(&question.clone().ask_securely(&site).await, &question);
    }
    let socket = page().talk_securely(&site, "bonjour").await.expect_err("no WebSocket");
    refused(&socket, &page());
}

#[track_caller]
fn refused(told: &Told, question: &Question<'_>) {
    assert_eq!((told.status, told.header("location")), (401, None), "{question:?}: {told:?}");
    assert!(told.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")), "{told:?}");
    assert!(!told.body.contains("\"target\""), "{told:?}");
}

async fn opens_the_sites(visitor: &Visitor<'_>, cookie: &str) {
    for site in SITES {
        for target in PAGES {
            let mut question = page(target).with("Cookie", cookie).with("Authorization", "Basic YTpi");
            for name in FORGED {
                question = question.with(name, "forged");
            }
            let asked = question.with("X-Forwarded-For", "203.0.113.9").ask_securely(&visitor.at(site)).await.asked();
            assert_eq!((asked.text("method"), asked.text("target")), ("GET", target));
            assert_eq!(asked.header("x-auth-username"), ["alice"]);
            assert_eq!(asked.header("x-auth-role"), ["agent"]);
            for name in ["x-auth-user-id", "x-auth-session-id"] {
                assert_eq!(asked.header(name).len(), 1, "{name}: {asked:?}");
            }
            assert!(!format!("{asked:?}").contains("forged"), "{asked:?}");
            assert_eq!(asked.header("authorization"), ["Basic YTpi"], "it is the application's own");
            assert_eq!(asked.header("x-forwarded-proto"), ["https"]);
            let from = asked.header("x-forwarded-for").join(",");
            assert!(!from.ends_with("203.0.113.9"), "the last is whom the proxy saw: {from}");
        }
    }
    let site = visitor.at(SITES[0]);
    let body = "motif=mutation&note=très%20urgent";
    let form = Question { method: "POST", body, ..page("/send") }.with("Cookie", cookie);
    let asked = form.ask_securely(&site).await.asked();
    assert_eq!((asked.text("method"), asked.text("body")), ("POST", body));
    let script = Question::get("/api").with("Cookie", cookie).with("Sec-Fetch-Mode", "cors");
    script.ask_securely(&site).await.asked();
    let heard = Question::get("/socket").with("Cookie", cookie).talk_securely(&site, "bonjour").await;
    assert_eq!(heard.expect("a WebSocket"), "bonjour");
}

/// The application gets the cookies of others as they are, and none of ours, wherever they stand and however many they are.
async fn keeps_our_cookies_to_itself(visitor: &Visitor<'_>, cookie: &str) {
    const OTHERS: &str = "theme=dark; a=\"b c\"; vigie-x=1; x__Secure-vigie-gate=2";
    const OURS: &str = "__Host-vigie=vgs_x; __Host-vigie-device=vgd_x";
    for given in [
        format!("{cookie}; {OTHERS}"),
        format!("{OTHERS}; {cookie}"),
        format!("theme=dark; {OURS}; {cookie}; __Secure-vigie-gate=vgg_x; {cookie}; {}", &OTHERS[12..]),
    ] {
        let asked = visitor.open(SITES[0], "/", &given).await.asked();
        assert_eq!(asked.header("cookie"), [OTHERS], "{given}");
    }
    let asked = visitor.open(SITES[0], "/", cookie).await.asked();
    assert!(asked.header("cookie").concat().is_empty(), "{asked:?}");
    // As large as programs and Vigie take a header.
    let large = format!("large={}", "x".repeat(6000));
    let asked = visitor.open(SITES[0], "/", &format!("{large}; {cookie}")).await.asked();
    assert_eq!(asked.header("cookie"), [large]);
}

/// Ends the sessions of a user by the API, as an administrator.
async fn end_sessions(server: &Server, name: &str) {
    let admin = server.token("root").await;
    let sessions = server.get(&format!("/admin/sessions?user={name}"), &admin).await.expect(200);
    for session in sessions["items"].as_array().expect("a list") {
        let end = format!("/admin/sessions/{}/end", session["id"].as_str().expect("an id"));
        server.post(&end, &admin, json!({})).await.expect(204);
    }
}

#[rstest]
#[actix_web::test]
async fn p9_nginx_leads_browsers_to_the_login_page(#[values(Sqlite, Postgres)] backend: Backend) {
    holds(&NGINX, backend).await;
}

#[actix_web::test]
async fn p9_caddy_leads_browsers_to_the_login_page() {
    holds(&CADDY, Sqlite).await;
}

#[actix_web::test]
async fn p9_haproxy_leads_browsers_to_the_login_page() {
    holds(&HAPROXY, Sqlite).await;
}

#[actix_web::test]
async fn p9_envoy_leads_browsers_to_the_login_page() {
    holds(&ENVOY, Sqlite).await;
}

/// Traefik is not to be had here: what its forwardAuth sends, as the recipe has it, is sent by hand.
#[rstest]
#[actix_web::test]
async fn p9_what_traefik_asks_about_browsers_is_answered(#[values(Sqlite, Postgres)] backend: Backend) {
    let recipe = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/gate/traefik.yaml"));
    let recipe = recipe.expect("the recipe");
    let setting = |name: &str| {
        let line = recipe.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("{name}")).trim_matches('"').to_owned()
    };
    let address = setting("address");
    let target = address.strip_prefix("http://127.0.0.1:8080").expect("the address of Vigie");
    let passed_on = setting("authRequestHeaders");
    let app = TestApp::start_with(backend, &SETTINGS).await;
    app.user("alice", "agent").await;
    let ask = async |method: &str, headers: &[(&'static str, &str)]| {
        // Always a GET without a body; of the request's own headers only those in `authRequestHeaders`.
        let question = Question::get(target)
            .with("User-Agent", "Go-http-client/1.1")
            .with("X-Forwarded-For", "203.0.113.9")
            .with("X-Forwarded-Host", "app.example.org")
            .with("X-Forwarded-Method", method)
            .with("X-Forwarded-Port", "443")
            .with("X-Forwarded-Proto", "https")
            .with("X-Forwarded-Uri", PAGES[1]);
        let named = |name: &str| passed_on.trim_matches(['[', ']']).split(", ").any(|other| other == name);
        let headers = headers.iter().filter(|(name, _)| named(name));
        headers.fold(question, |question, (name, value)| question.with(name, value)).ask(app.address).await
    };
    let html = ("Accept", "text/html");
    leads_to_login(&ask("GET", &[html, ("Sec-Fetch-Mode", "navigate")]).await, SITES[0], PAGES[1]);
    for (method, headers) in [
        ("POST", [html, ("Sec-Fetch-Mode", "navigate")]),
        ("GET", [html, ("Sec-Fetch-Mode", "cors")]),
        ("GET", [("Accept", "*/*"), ("Sec-Fetch-Mode", "websocket")]),
    ] {
        let told = ask(method, &headers).await;
        assert_eq!((told.status, told.header("location")), (401, None), "{told:?}");
    }
    let form = [("username", "alice"), ("password", PASSWORD)];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let login = Question { method: "POST", body: &body, ..Question::get("/login") };
    let login = login.with("Content-Type", "application/x-www-form-urlencoded");
    let told = login.with("Origin", "https://login.example.org").ask(app.address).await;
    let gate = told.headers("set-cookie").find(|cookie| cookie.starts_with("__Secure-vigie-gate="));
    let gate = gate.and_then(|cookie| cookie.split(';').next()).expect("the cookie");
    let told = ask("POST", &[("Cookie", &format!("theme=dark; {gate}; __Host-vigie=x")), ("Accept", "*/*")]).await;
    assert_eq!((told.status, told.header("x-auth-username")), (200, Some("alice")), "{told:?}");
    assert_eq!(told.header("cookie"), Some("theme=dark"));
    assert!(setting("authResponseHeaders").contains("Cookie"));
}
