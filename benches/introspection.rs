//! What introspection costs: `POST /oauth/introspect` of one worker of Vigie, against a bare handler that takes the same form
//! and answers the same bytes; by `private_key_jwt` against HTTP Basic; and against `oidc-provider` in Node.js with its own
//! memory as the store (`benches/introspection`, one process). The same load, rounds alternate. Prints a table.
//! `cargo bench --bench introspection [-- sqlite|postgres]` (needs node and npm)

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use actix_web::http::Method;
use serde_json::{Value, json};
use support::assertion::{assertion, assertion_claims};
use support::clients::{Application, basic, introspect_with};
use support::http::{Connection, form};
use support::load::{one_answer, rate, rate_of_each_once, serve_bare};
use support::package::{Package, install};
use support::people::sessions_of_many;
use support::{Cluster, is_chosen, median, microseconds, open, percentile, say, serve_live};
use uuid::Uuid;
use vigie::clock::{Clock as _, SystemClock};
use vigie::config::Algorithm;
use vigie::model::secret::{Secret, SecretKind};
use vigie::token::client_keys::ClientKeys;
use vigie::token::keys::SigningKey;

const ROUNDS: usize = 7;
/// `oidc-provider` remembers no more than a thousand things.
const TOKENS: usize = 500;
/// Assertions that are signed to find out how many a round needs: about a second's.
const TRIAL: usize = 500;
const MOST: usize = 50_000;

fn main() {
    let cluster = Cluster::start();
    let place = install("introspection");
    actix_web::rt::System::new().block_on(async {
        let other = Other::start(&place).await;
        say("| | requests/s | ratio: median (least to most) | of what |");
        say("|---|---|---|---|");
        let data = tempfile::tempdir().expect("a directory");
        if is_chosen("sqlite") {
            let sqlite = format!("sqlite:{}", data.path().join("vigie.db").display());
            compare("SQLite", &sqlite, data.path(), &other).await;
        }
        let data = tempfile::tempdir().expect("a directory");
        if is_chosen("postgres") {
            compare("PostgreSQL", &cluster.url, data.path(), &other).await;
        }
    });
}

/// Rates, and their ratios to others that were measured right before.
#[derive(Default)]
struct Measured {
    rates: Vec<f64>,
    ratios: Vec<f64>,
}

impl Measured {
    fn note(&mut self, rate: f64, other: f64) {
        self.rates.push(rate);
        self.ratios.push(rate / other);
    }

    fn say(mut self, what: &str, of: &str) {
        let [least, half, most] = [0.0, 0.5, 1.0].map(|share| percentile(&mut self.ratios, share));
        say(&format!("| {what} | {:.0} | {half:.2} ({least:.2} to {most:.2}) | {of} |", median(self.rates)));
    }
}

async fn compare(name: &str, url: &str, data: &Path, other: &Other) {
    let app = open(url, data, &[("VIGIE__SERVER__WORKERS", "1")]).await;
    let tokens: Vec<String> =
        sessions_of_many(&app, TOKENS).await.into_iter().map(|holder| holder.access_token).collect();
    let key = SigningKey::generate(Algorithm::Es256).expect("a key");
    let client = Application::register(&app, "crm", Some(&key)).await;
    let (vigie, _coherence) = serve_live(&app).await;
    let by_basic: Vec<Vec<u8>> = tokens.iter().map(|token| client.introspect(token)).collect();
    let bare = serve_bare(&Method::POST, &one_answer(vigie, &by_basic[0]).await);

    let (mut plain, mut against_other, mut of_other) = (Measured::default(), Measured::default(), Vec::new());
    for _ in 0..ROUNDS {
        let handler = rate(bare, &by_basic, true).await;
        let ours = rate(vigie, &by_basic, true).await;
        plain.note(ours, handler);
        let theirs = rate(other.address(), &other.requests, true).await;
        against_other.note(ours, theirs);
        of_other.push(theirs);
    }
    plain.say(&format!("introspection, {name}"), "a bare handler (aim: 0.70)");
    against_other.say("the same", &format!("`oidc-provider` ({:.0} requests/s)", median(of_other)));

    let signer = Signer { key, client: client.id, tokens };
    let mut amount = TRIAL;
    let mut by_key = Measured::default();
    for round in 0..=ROUNDS {
        // Its use is written to the database, which needs the core that a load without sleep would keep busy.
        let ours = rate(vigie, &by_basic, false).await;
        let requests = signer.requests(amount);
        let by_assertion = rate_of_each_once(vigie, &requests, false).await;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousand")]
        let of_a_second = by_assertion as usize;
        amount = of_a_second.clamp(TRIAL, MOST);
        if round > 0 {
            by_key.note(by_assertion, ours);
        }
    }
    let set = json!({ "keys": [signer.key.public_jwk().expect("a public key")] }).to_string();
    let began = Instant::now();
    for _ in 0..TRIAL {
        ClientKeys::parse(&set).expect("a key set");
    }
    #[expect(clippy::cast_precision_loss, reason = "some hundred")]
    let reading = microseconds(began.elapsed()) / TRIAL as f64;
    let whole = 1e6 / median(by_key.rates.clone());
    by_key.say(&format!("introspection by `private_key_jwt` (ES256), {name}"), "the same by HTTP Basic");
    say(&format!("| reading the key set takes {reading:.0} of {whole:.0} us | | | |"));
}

/// A client with a key.
struct Signer {
    key: SigningKey,
    client: String,
    tokens: Vec<String>,
}

impl Signer {
    /// Requests that were never sent: their assertions count for a minute, and once.
    fn requests(&self, amount: usize) -> Vec<Vec<u8>> {
        let tokens = self.tokens.iter().cycle().take(amount);
        let request = |token: &String| {
            let claims = assertion_claims(&self.client, &Uuid::now_v7().to_string(), SystemClock.now());
            introspect_with(&assertion(&self.key, &claims), token)
        };
        tokens.map(request).collect()
    }
}

/// The other server, and requests to it.
struct Other {
    package: Package,
    requests: Vec<Vec<u8>>,
}

impl Other {
    const CLIENT: &str = "crm";

    async fn start(place: &Path) -> Self {
        let secret = Secret::random().reveal(SecretKind::ClientSecret);
        let package = Package::start(place, &[("CLIENT_ID", Self::CLIENT), ("CLIENT_SECRET", &secret)]);
        let authorization = basic(Self::CLIENT, &secret);
        let mut connection = Connection::open(package.address).await;
        let mut requests = Vec::new();
        for _ in 0..TOKENS {
            let issue = form("/token", Some(&authorization), &[("grant_type", "client_credentials")]);
            let answer = connection.exchange(&issue).await;
            let issued: Value = serde_json::from_slice(answer.body).expect("JSON");
            let token = issued["access_token"].as_str().expect("a token");
            requests.push(form("/token/introspection", Some(&authorization), &[("token", token)]));
        }
        let answer = connection.exchange(&requests[0]).await;
        assert!(answer.body.starts_with(br#"{"active":true"#), "the first token is remembered");
        Self { package, requests }
    }

    fn address(&self) -> SocketAddr {
        self.package.address
    }
}
