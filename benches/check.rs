//! The checked request against a bare actix handler that answers the same bytes: from memory, with 1, 1 000 and 100 000
//! live tokens, and by a query each time; and the cookie of the gate against the bearer token, of the same sessions. One worker
//! each, keep-alive connections, rounds alternate; the settings are those of production.
//! `cargo bench --bench check [-- sqlite|postgres]`

#![expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::Method;
use support::load::{one_answer, rate, serve_bare};
use support::people::sessions_of_many;
use support::{Cluster, is_chosen, median, open, say, serve_live};
use vigie::app::App;

const ROUNDS: usize = 5;
const SESSIONS: usize = 100_000;
/// Seconds between two writes of a session in use, as `session/seen.rs` has it. What is due is written between the rounds,
/// and what that costs is told beside them.
const WRITTEN_EVERY: f64 = 30.0;
const SETTINGS: [(&str, &str); 5] = [
    ("VIGIE__SERVER__WORKERS", "1"),
    ("VIGIE__SERVER__PUBLIC_URL", "https://login.example.org"),
    ("VIGIE__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ("VIGIE__GATE__COOKIE_DOMAIN", "example.org"),
    ("VIGIE__GATE__HOSTS", "app.example.org"),
];

fn main() {
    let cluster = Cluster::start();
    actix_web::rt::System::new().block_on(async {
        let data = tempfile::tempdir().expect("a directory");
        if is_chosen("sqlite") {
            let sqlite = format!("sqlite:{}", data.path().join("vigie.db").display());
            compare("SQLite", &sqlite, data.path()).await;
        }
        let data = tempfile::tempdir().expect("a directory");
        if is_chosen("postgres") {
            compare("PostgreSQL", &cluster.url, data.path()).await;
        }
    });
}

async fn compare(name: &str, url: &str, data: &std::path::Path) {
    let live = open(url, data, &SETTINGS).await;
    let people = sessions_of_many(&live, SESSIONS).await;
    let (tokens, cookies): (Vec<String>, Vec<String>) =
        people.into_iter().map(|holder| (holder.access_token, holder.gate_cookie)).unzip();
    let (from_memory, _coherence) = serve_live(&live).await;
    let by_query = open(url, data, &[SETTINGS.as_slice(), &[("VIGIE__NODES__LIVE_VIEW", "false")]].concat()).await;
    let listening = vigie::http::server::listen(Arc::clone(&by_query).into()).expect("a port");
    let queried = listening.address;
    actix_web::rt::spawn(listening.serve_until(std::future::pending()));
    for token in &tokens {
        live.sessions.check(token, [127, 0, 0, 1].into()).await.expect("a live session");
    }
    let began = Instant::now();
    let written = live.sessions.flush_last_seen().await.expect("written");
    let each = began.elapsed().as_secs_f64() * 1e6 / written.max(1) as f64;
    let share = each * 1e-6 * SESSIONS as f64 / WRITTEN_EVERY * 100.0;
    say(&format!(
        "{name} writing when {written} sessions were last used: {each:.0} microseconds each; all {SESSIONS} in use, each \
         written every {WRITTEN_EVERY} s: {share:.1} % of one core, beside what follows"
    ));
    for path in ["/auth/verify", "/auth/me"] {
        let one = requests(path, &tokens[..1]);
        let bare = serve_bare(&Method::GET, &one_answer(from_memory, &one[0]).await);
        let all = requests(path, &tokens);
        let contenders = [
            ("from memory, 1 token", from_memory, &all[..1]),
            ("from memory, 1000 tokens", from_memory, &all[..1000]),
            ("from memory, 100000 tokens", from_memory, &all[..]),
            ("by query, 1 token", queried, &all[..1]),
        ];
        let mut ratios = vec![Vec::new(); contenders.len()];
        for _ in 0..ROUNDS {
            for ((_, address, requests), ratios) in contenders.iter().zip(&mut ratios) {
                live.sessions.flush_due().await.expect("written");
                // A query needs the core that a load without sleep would keep busy.
                let is_awake = *address == from_memory;
                let plain = rate(bare, requests, is_awake).await;
                ratios.push((rate(*address, requests, is_awake).await, plain));
            }
        }
        for ((what, ..), measured) in contenders.iter().zip(ratios) {
            let rate = median(measured.iter().map(|(rate, _)| *rate).collect());
            let ratio = median(measured.iter().map(|(rate, plain)| rate / plain).collect());
            say(&format!("{name} GET {path} {what}: {rate:.0} requests/s, {ratio:.3} of a bare handler"));
        }
    }
    compare_gate(name, &live, from_memory, &tokens, &cookies).await;
}

/// The cookie of the gate against the bearer token, of the same sessions in the same rounds.
async fn compare_gate(name: &str, live: &App, address: SocketAddr, tokens: &[String], cookies: &[String]) {
    let (bearers, gate) = (requests("/auth/verify", tokens), gate_requests(cookies));
    one_answer(address, &gate[0]).await;
    for count in [1, 1_000, tokens.len()] {
        let mut measured = Vec::new();
        for _ in 0..ROUNDS {
            live.sessions.flush_due().await.expect("written");
            let by_bearer = rate(address, &bearers[..count], true).await;
            measured.push((rate(address, &gate[..count], true).await, by_bearer));
        }
        let rate = median(measured.iter().map(|(rate, _)| *rate).collect());
        let ratio = median(measured.iter().map(|(rate, by_bearer)| rate / by_bearer).collect());
        say(&format!(
            "{name} GET /auth/verify?login=redirect from memory, {count} cookies: {rate:.0} requests/s, {ratio:.3} of the bearer"
        ));
    }
}

/// What a proxy asks about a browser, as far as it is looked at where the cookie is good.
fn gate_requests(cookies: &[String]) -> Arc<[Vec<u8>]> {
    let request = |cookie| {
        format!(
            "GET /auth/verify?login=redirect HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: app.example.org\r\nCookie: __Secure-vigie-gate={cookie}\r\n\r\n"
        )
    };
    cookies.iter().map(|cookie| request(cookie).into_bytes()).collect()
}

fn requests(path: &str, tokens: &[String]) -> Arc<[Vec<u8>]> {
    let request = |token| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    tokens.iter().map(|token| request(token).into_bytes()).collect()
}
