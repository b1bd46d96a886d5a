//! The lag of an end, for each way of checking: from the acknowledged end of a session (204 to `POST /auth/logout`) to the last
//! request with its token that began after it and was still accepted. Prints a table. `cargo bench --bench lag [-- nginx caddy …]`
//! (needs node and npm, and what `tests/run` installs)
//!
//! Probers send requests without a pause while a session is ended, and more slowly once it is; a request counts as late if it
//! began after the caller had its 204, and as refused too early if it was answered before the logout was sent. The proxies run
//! from the recipes of `examples/proxies`. Where Vigie is asked each time, it is two nodes on PostgreSQL: the one is asked, and
//! the ends are at the other. Where nobody is asked, tokens live for thirty seconds, and are ended when they are new.

mod support;

#[path = "../tests/proxies/application.rs"]
mod application;
#[path = "../tests/proxies/front.rs"]
mod front;
#[path = "../tests/proxies/tls.rs"]
mod tls;
#[path = "../tests/proxies/wire.rs"]
#[expect(dead_code, reason = "of what tests look at")]
mod wire;

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::rt;
use front::{APPLICATION, Front, Start, VIGIE, VIGIE_TLS, apache, caddy, envoy, haproxy, nginx};
use futures_util::future::{join, join_all, join4};
use support::clients::Application;
use support::http::{Answer, Connection, request};
use support::node::Node;
use support::package::{Package, install};
use support::people::{Holder, sessions_of_many};
use support::ports::free_address;
use support::{Cluster, is_chosen, milliseconds, open, percentile, say};
use tls::Tls;
use vigie::app::App;

/// As the recipes have it.
const CLIENT: &str = "apache";
const SECRET_IN_RECIPES: &str = "CLIENT_SECRET";
/// How long tokens live that nobody asks about, and how long they are accepted after that at most: some programs allow for clocks
/// that differ.
const SHORT: Duration = Duration::from_secs(30);
const TOLERANCE: Duration = Duration::from_secs(10);

/// How a way is measured.
#[derive(Clone, Copy)]
struct Plan {
    ends: usize,
    /// Connections on which one token is shown without a pause, around its end.
    probers: usize,
    /// For how long after that it is shown on one of them, and how often.
    watched: Duration,
    pace: Duration,
}

/// Without a pause: so many answers before the end, and for so long after it.
const BEFORE: usize = 20;
const AFTER: Duration = Duration::from_millis(60);
/// Whoever takes longer to answer a logout is broken.
const LIMIT: Duration = Duration::from_secs(10);
/// Sessions that are made at once.
const FEW: usize = 5;
/// Where each request is asked about: longer than what the shortest caches keep.
const ASKED: Plan = Plan { ends: 120, probers: 4, watched: Duration::from_secs(3), pace: Duration::from_millis(50) };
/// Where an answer is kept for a second.
const KEPT: Plan = Plan { ends: 60, watched: Duration::from_secs(5), ..ASKED };
/// Where nobody is asked: all ways at the same time, so that thirty seconds pass only once.
const ALONE: Plan = Plan {
    ends: 25,
    probers: 1,
    watched: Duration::from_secs(SHORT.as_secs() + TOLERANCE.as_secs()),
    pace: Duration::from_millis(100),
};

/// Makes a request with a token.
type Ask = Box<dyn Fn(&str) -> Vec<u8>>;

/// A way of checking.
struct Way {
    name: &'static str,
    target: SocketAddr,
    ask: Ask,
    plan: Plan,
    /// What its lag comes from.
    reason: &'static str,
}

impl Way {
    fn new(name: &'static str, target: SocketAddr, plan: Plan, reason: &'static str) -> Self {
        let ask = Box::new(|token: &str| request("GET", "/", Some(token), None));
        Self { name, target, ask, plan, reason }
    }

    fn asking(self, ask: impl Fn(&str) -> Vec<u8> + 'static) -> Self {
        Self { ask: Box::new(ask), ..self }
    }
}

fn main() {
    let cluster = Cluster::start();
    rt::System::new().block_on(async {
        say("| way of checking | ends | lag: p50 | p99 | max | accepted, of the requests after the end | refused, of those before it | what the lag comes from |");
        say("|---|---|---|---|---|---|---|---|");
        asked(&cluster).await;
        alone().await;
    });
}

/// An installation: nodes on one database, the first also behind TLS, and an application that may introspect.
struct Installation {
    app: Arc<App>,
    nodes: Vec<Node>,
    tls: Tls,
    client: Application,
    _data: tempfile::TempDir,
}

/// Whether the tokens name the address with TLS as their issuer, or that without.
#[derive(Clone, Copy, PartialEq)]
enum Issuer {
    Plain,
    Tls,
}

impl Installation {
    /// Starts nodes; without a `url` on a SQLite file.
    async fn start(url: Option<&str>, nodes: usize, issuer: Issuer, access_ttl: &str) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let file = format!("sqlite:{}", data.path().join("vigie.db").display());
        let url = url.unwrap_or(&file);
        let first = free_address();
        let tls = Tls::in_front_of(first);
        let public_url =
            if issuer == Issuer::Tls { format!("https://{}", tls.address) } else { format!("http://{first}") };
        let settings = [
            ("VIGIE__SERVER__PUBLIC_URL", public_url.as_str()),
            ("VIGIE__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
            ("VIGIE__TOKENS__ACCESS_TTL", access_ttl),
        ];
        let app = open(url, data.path(), &settings).await;
        let client = Application::register(&app, CLIENT, None).await;
        let mut started = Vec::new();
        for number in 0..nodes {
            let listen = if number == 0 { first.to_string() } else { "127.0.0.1:0".to_owned() };
            let settings = [settings.as_slice(), &[("VIGIE__SERVER__LISTEN", &listen)]].concat();
            started.push(Node::start(url, data.path(), &settings).await);
        }
        Self { app, nodes: started, tls, client, _data: data }
    }

    fn asked(&self) -> SocketAddr {
        self.nodes[0].address
    }

    /// Where sessions are ended: not at the node that is asked, if there is another.
    fn ending(&self) -> SocketAddr {
        self.nodes.last().expect("a node").address
    }

    fn addresses(&self, application: SocketAddr) -> [(u16, SocketAddr); 3] {
        [(VIGIE, self.asked()), (VIGIE_TLS, self.tls.address), (APPLICATION, application)]
    }

    fn proxy(&self, files: &[&str], start: Start) -> Front {
        Front::run(files, &self.addresses(application::start()), start)
    }

    /// Apache with a recipe, in which some text is replaced; the client's secret always.
    fn apache(&self, recipe: &str, module: &str, replaced: Option<(&str, &str)>) -> Front {
        let trusted = format!("OIDCCABundlePath {}", self.tls.root().display());
        let further = if module == "auth_openidc" { trusted.as_str() } else { "" };
        let start = |directory: &Path| {
            let file = directory.join(recipe);
            let mut text = std::fs::read_to_string(&file).expect("the recipe");
            for (known, other) in replaced.into_iter().chain([(SECRET_IN_RECIPES, self.client.secret.as_str())]) {
                assert!(text.contains(known) || known == SECRET_IN_RECIPES, "the recipe has no `{known}`");
                text = text.replace(known, other);
            }
            std::fs::write(&file, text).expect("the file is written");
            apache(directory, recipe, module, further)
        };
        Front::run(&[recipe], &self.addresses(application::start()), start)
    }

    /// Measures a way; a row of the table.
    async fn measure(&self, way: Way) -> String {
        let mut watched = Vec::new();
        while watched.len() < way.plan.ends {
            // Not all at the beginning: a token that is to be ended is new.
            for holder in sessions_of_many(&self.app, FEW.min(way.plan.ends - watched.len())).await {
                watched.push(end(&way, self.ending(), &holder).await);
            }
        }
        let mut found = Found::default();
        for (ended, probers) in watched {
            let seen: Vec<Seen> = join_all(probers).await.into_iter().flat_map(|seen| seen.expect("it ends")).collect();
            found.count(&ended, &seen, &way);
        }
        found.row(&way)
    }
}

/// A row for each way that asks Vigie about each request, or nearly.
async fn asked(cluster: &Cluster) {
    const EACH: &str = "asks about each request";
    let vigie = Installation::start(Some(&cluster.url), 2, Issuer::Tls, "10m").await;
    if is_chosen("vigie") {
        let way =
            Way::new("Vigie, `GET /auth/verify`", vigie.asked(), ASKED, "asks its own memory, which the end waits for");
        say(&vigie.measure(way.asking(|token| request("GET", "/auth/verify", Some(token), None))).await);
    }
    if is_chosen("introspection") {
        let client = Application { id: vigie.client.id.clone(), secret: vigie.client.secret.clone() };
        let way = Way::new("introspection, `POST /oauth/introspect`", vigie.asked(), ASKED, "the same");
        say(&vigie.measure(way.asking(move |token| client.introspect(token))).await);
    }
    let proxies: [(&str, &'static str, &[&str], Start); 4] = [
        ("nginx", "nginx, forward-auth", &["nginx.conf"], nginx),
        ("caddy", "Caddy, forward-auth", &["Caddyfile"], caddy),
        ("haproxy", "HAProxy, forward-auth", &["haproxy.cfg", "vigie.lua"], haproxy),
        ("envoy", "Envoy, forward-auth", &["envoy.yaml"], envoy),
    ];
    for (_, name, files, start) in proxies.into_iter().filter(|(key, ..)| is_chosen(key)) {
        let front = vigie.proxy(files, start);
        say(&vigie.measure(Way::new(name, front.address, ASKED, EACH)).await);
    }
    if is_chosen("openidc") {
        let front = vigie.apache("apache-openidc-introspection.conf", "auth_openidc", None);
        let name = "Apache mod_auth_openidc, introspection, cache off (-1)";
        say(&vigie.measure(Way::new(name, front.address, ASKED, EACH)).await);
    }
    if is_chosen("oauth2") {
        let front = vigie.apache("apache-oauth2-introspection.conf", "oauth2", None);
        let reason = "keeps an answer for a second (`expiry=1`, the least it takes)";
        say(&vigie.measure(Way::new("Apache mod_oauth2, introspection", front.address, KEPT, reason)).await);
    }
}

/// A row for each way that asks nobody, or once for each token: with tokens of thirty seconds.
async fn alone() {
    const SIGNATURE: &str = "knows no end: the token lives on";
    let of_seconds = format!("{}s", SHORT.as_secs());
    let over_tls = Installation::start(None, 1, Issuer::Tls, &of_seconds).await;
    let plain = Installation::start(None, 1, Issuer::Plain, &of_seconds).await;
    let at_apache = async |vigie: &Installation, key, name, recipe, module, replaced, reason| {
        if !is_chosen(key) {
            return None;
        }
        let front = vigie.apache(recipe, module, replaced);
        Some(vigie.measure(Way::new(name, front.address, ALONE, reason)).await)
    };
    let asking = |key, name, replacement, reason| {
        let replaced = Some(("OIDCOAuthTokenIntrospectionInterval -1", replacement));
        at_apache(&over_tls, key, name, "apache-openidc-introspection.conf", "auth_openidc", replaced, reason)
    };
    let by_default = asking(
        "openidc-default",
        "Apache mod_auth_openidc, introspection, default settings; tokens of 30 s",
        "",
        "would keep an answer until the token expires, but its cache takes no keys as long as our tokens",
    );
    let cached = asking(
        "openidc-cached",
        "Apache mod_auth_openidc, introspection, `OIDCCacheEncrypt On`; tokens of 30 s",
        // Its keys are digests then. The passphrase is replaced like the secret.
        "OIDCCacheEncrypt On\nOIDCCryptoPassphrase CLIENT_SECRET",
        "keeps an answer until the token expires",
    );
    let keys = async {
        let openidc = at_apache(
            &over_tls,
            "openidc-keys",
            "Apache mod_auth_openidc, published keys; tokens of 30 s",
            "apache-openidc-jwks.conf",
            "auth_openidc",
            None,
            SIGNATURE,
        );
        let oauth2 = at_apache(
            &plain,
            "oauth2-keys",
            "Apache mod_oauth2, published keys; tokens of 30 s",
            "apache-oauth2-jwks.conf",
            "oauth2",
            None,
            "the same, and what was verified is kept for a second",
        );
        join(openidc, oauth2).await
    };
    let express = async {
        if !is_chosen("express") {
            return None;
        }
        let keys = format!("http://{}/.well-known/jwks.json", plain.asked());
        let (issuer, audience) = (plain.app.config.issuer(), plain.app.config.tokens.audience.as_str());
        let environment = [("ISSUER", issuer.as_str()), ("AUDIENCE", audience), ("JWKS_URI", &keys)];
        let package = Package::start(&install("lag"), &environment);
        let reason = "the same, and allows for clocks that differ by 5 s";
        let name = "express-oauth2-jwt-bearer, published keys; tokens of 30 s";
        Some(plain.measure(Way::new(name, package.address, ALONE, reason)).await)
    };
    let (by_default, cached, (openidc, oauth2), express) = join4(by_default, cached, keys, express).await;
    for row in [by_default, cached, openidc, oauth2, express].into_iter().flatten() {
        say(&row);
    }
}

/// What was answered.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Accepted,
    Refused,
    /// A failure: neither of the two.
    Neither,
}

impl Verdict {
    fn of(answer: &Answer<'_>) -> Self {
        match answer.status {
            200 if answer.body == br#"{"active":false}"# => Self::Refused,
            200 => Self::Accepted,
            401 => Self::Refused,
            _ => Self::Neither,
        }
    }
}

/// A request.
#[derive(Clone, Copy)]
struct Seen {
    began: Instant,
    answered: Instant,
    verdict: Verdict,
}

/// An end: when it was asked for, and when whoever asked knew that it had come.
#[derive(Clone, Copy)]
struct Ended {
    asked: Instant,
    acknowledged: Instant,
}

/// What the probers of a token share.
#[derive(Default)]
struct State {
    answers: Cell<usize>,
    acknowledged: Cell<Option<Instant>>,
}

type Prober = rt::task::JoinHandle<Vec<Seen>>;

/// Shows a token, ends its session, and leaves it to be shown for a while.
async fn end(way: &Way, vigie: SocketAddr, holder: &Holder) -> (Ended, Vec<Prober>) {
    let question: Rc<[u8]> = (way.ask)(&holder.access_token).into();
    let state = Rc::new(State::default());
    let probe = |number| rt::spawn(probe(way.target, Rc::clone(&question), way.plan, Rc::clone(&state), number));
    let probers = (0..way.plan.probers).map(probe).collect();
    while state.answers.get() < BEFORE {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let logout = request("POST", "/auth/logout", Some(&holder.access_token), None);
    // On a thread of its own, so that the moment of the answer is not that in which this one comes to it.
    let ended = rt::task::spawn_blocking(move || log_out(vigie, &logout)).await.expect("it ends");
    state.acknowledged.set(Some(ended.acknowledged));
    tokio::time::sleep(AFTER).await;
    (ended, probers)
}

fn log_out(vigie: SocketAddr, logout: &[u8]) -> Ended {
    let mut stream = TcpStream::connect(vigie).expect("a connection");
    let mut answer = [0; 1024];
    let asked = Instant::now();
    stream.write_all(logout).expect("written");
    let length = stream.read(&mut answer).expect("read");
    let acknowledged = Instant::now();
    // On a machine that is too busy: nothing was promised, so it is asked for again.
    if answer.starts_with(b"HTTP/1.1 503") && asked.elapsed() < LIMIT {
        return Ended { asked, ..log_out(vigie, logout) };
    }
    assert!(answer.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer[..length]));
    Ended { asked, acknowledged }
}

/// Asks again and again; the first prober goes on for longer than the others.
async fn probe(target: SocketAddr, question: Rc<[u8]>, plan: Plan, state: Rc<State>, number: usize) -> Vec<Seen> {
    let mut connection = Connection::open(target).await;
    let mut seen = Vec::new();
    loop {
        let since = state.acknowledged.get().map_or(Duration::ZERO, |moment| moment.elapsed());
        if since > plan.watched || (since > AFTER && number > 0) {
            return seen;
        }
        if since > AFTER {
            tokio::time::sleep(plan.pace).await;
        }
        let began = Instant::now();
        // Apache closes connections that are kept open where it runs short of threads.
        let (verdict, closes) = match connection.attempt(&question).await {
            Some(answer) => (Verdict::of(&answer), answer.closes),
            None => (Verdict::Neither, true),
        };
        state.answers.set(state.answers.get() + 1);
        seen.push(Seen { began, answered: Instant::now(), verdict });
        if closes {
            connection = Connection::open(target).await;
        }
    }
}

/// What was found of a way.
#[derive(Default)]
struct Found {
    /// Of each end, in milliseconds.
    lags: Vec<f64>,
    /// Requests that began after an acknowledgement, and those of them that were accepted.
    after: usize,
    late: usize,
    /// Requests that were answered before a logout was sent, and those of them that were refused.
    before: usize,
    early: usize,
    /// Failures.
    neither: usize,
}

impl Found {
    fn count(&mut self, ended: &Ended, seen: &[Seen], way: &Way) {
        let before = || seen.iter().filter(|seen| seen.answered < ended.asked);
        let after = || seen.iter().filter(|seen| seen.began > ended.acknowledged);
        let is = |verdict: Verdict| move |seen: &&Seen| seen.verdict == verdict;
        assert!(before().any(|seen| seen.verdict == Verdict::Accepted), "{}: no good token is accepted", way.name);
        let last = after().filter(is(Verdict::Accepted)).map(|seen| seen.began - ended.acknowledged).max();
        let lag = last.unwrap_or_default();
        assert!(lag + Duration::from_secs(1) < way.plan.watched, "{}: not watched for long enough", way.name);
        self.lags.push(milliseconds(lag));
        self.before += before().count();
        self.early += before().filter(is(Verdict::Refused)).count();
        self.after += after().count();
        self.late += after().filter(is(Verdict::Accepted)).count();
        self.neither += seen.iter().filter(|seen| seen.verdict == Verdict::Neither).count();
    }

    fn row(mut self, way: &Way) -> String {
        let [half, most, longest] = [0.5, 0.99, 1.0].map(|share| in_words(percentile(&mut self.lags, share)));
        let failures = if self.neither > 0 { format!("; {} failures", self.neither) } else { String::new() };
        format!(
            "| {} | {} | {half} | {most} | {longest} | {} of {} | {} of {}{failures} | {} |",
            way.name,
            self.lags.len(),
            self.late,
            self.after,
            self.early,
            self.before,
            way.reason
        )
    }
}

/// Milliseconds, as people say them.
fn in_words(lag: f64) -> String {
    if lag == 0.0 {
        "0".to_owned()
    } else if lag < 1000.0 {
        format!("{lag:.1} ms")
    } else {
        format!("{:.1} s", lag / 1000.0)
    }
}
