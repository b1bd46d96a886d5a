//! The real application behind a real socket, with a clock that the test moves.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, RequestBuilder};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use vigie::app::App;
use vigie::background::coherence::{self, Coherence};
use vigie::clock::{Clock, ManualClock};
use vigie::config::Config;
use vigie::http::server;
use vigie::model::audit::AuditContext;
use vigie::model::user::{Role, User, Username};
use vigie::user::create::NewUser;

use super::backend::{Backend, TestDatabase};
use super::proxy::Proxy;
use super::until::until;

/// A password that every test user has.
pub const PASSWORD: &str = "quatre lapins verts dansent";

/// Every check is a query: for what is shown of the store itself.
pub const BY_QUERY: &[(&str, &str)] = &[("VIGIE__NODES__LIVE_VIEW", "false")];

/// Argon2 at a cost for tests, no metrics listener, any port.
pub const TEST_SETTINGS: &[(&str, &str)] = &[
    ("VIGIE__SERVER__LISTEN", "127.0.0.1:0"),
    ("VIGIE__SERVER__METRICS_LISTEN", ""),
    ("VIGIE__SERVER__WORKERS", "1"),
    ("VIGIE__PASSWORDS__ARGON2_MEMORY_KIB", "64"),
    ("VIGIE__PASSWORDS__ARGON2_ITERATIONS", "1"),
    ("VIGIE__PASSWORDS__ARGON2_BELOW_FLOOR", "true"),
    ("VIGIE__PASSWORDS__HASHING_THREADS", "1"),
    ("VIGIE__DATABASE__POOL_SIZE", "4"),
];

/// A running application, a node with a lease. Background jobs do not run: tests step them.
pub struct TestApp {
    pub app: Arc<App>,
    pub clock: Arc<ManualClock>,
    pub address: SocketAddr,
    pub metrics_address: Option<SocketAddr>,
    pub database: Arc<TestDatabase>,
    pub data: Arc<tempfile::TempDir>,
    settings: Vec<(String, String)>,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    stopped: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    coherence: Option<Coherence>,
}

impl TestApp {
    /// Starts with the settings of tests.
    pub async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    /// Starts with further settings, as in the environment.
    pub async fn start_with(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let clock = Arc::new(ManualClock::at(noon()));
        let database = Arc::new(backend.database());
        let url = database.url.clone();
        Self::on(database, &url, clock, settings).await
    }

    /// Starts on a PostgreSQL schema of its own that is reached through a proxy.
    pub async fn behind_proxy(settings: &[(&str, &str)]) -> (Self, Proxy) {
        let database = Arc::new(Backend::Postgres.database());
        let (proxy, url) = Proxy::in_front_of(&database.url);
        (Self::on(database, &url, Arc::new(ManualClock::at(noon())), settings).await, proxy)
    }

    /// Starts on a database that the test keeps itself.
    pub async fn start_at(url: &str, settings: &[(&str, &str)]) -> Self {
        Self::on(Arc::new(TestDatabase::at(url)), url, Arc::new(ManualClock::at(noon())), settings).await
    }

    /// Two nodes that start at the same time on an empty database.
    pub async fn two_at_once(backend: Backend) -> (Self, Self) {
        let (clock, database) = (Arc::new(ManualClock::at(noon())), Arc::new(backend.database()));
        let data = Arc::new(tempfile::tempdir().expect("a directory"));
        let settings = all_settings(&database.url, data.path(), &[]);
        let launch = || Self::launch(Arc::clone(&database), Arc::clone(&data), Arc::clone(&clock), settings.clone());
        tokio::join!(launch(), launch())
    }

    /// Starts on a database that is there already, reached by `url`.
    pub async fn on(
        database: Arc<TestDatabase>,
        url: &str,
        clock: Arc<ManualClock>,
        settings: &[(&str, &str)],
    ) -> Self {
        let data = Arc::new(tempfile::tempdir().expect("a directory"));
        let settings = all_settings(url, data.path(), settings);
        Self::launch(database, data, clock, settings).await
    }

    async fn launch(
        database: Arc<TestDatabase>,
        data: Arc<tempfile::TempDir>,
        clock: Arc<ManualClock>,
        settings: Vec<(String, String)>,
    ) -> Self {
        let config = Config::load(None, settings.clone()).expect("the settings are valid");
        let app =
            Arc::new(App::open(config, Arc::clone(&clock) as Arc<dyn Clock>).await.expect("the application opens"));
        app.sessions.signing().adopt_algorithm().await.expect("a key is made");
        let listening = server::listen(Arc::clone(&app).into()).expect("a free port");
        let (address, metrics_address) = (listening.address, listening.metrics_address);
        let coherence = coherence::start(&app, address);
        until("the node holds a lease", async || app.coherence.holds_lease()).await;
        let (stop, stopping) = oneshot::channel::<()>();
        let stopped = actix_web::rt::spawn(listening.serve_until(async move {
            let _ = stopping.await;
        }));
        let http = http_client();
        Self {
            app,
            clock,
            address,
            metrics_address,
            database,
            data,
            settings,
            http,
            stop: Some(stop),
            stopped: Some(stopped),
            coherence: Some(coherence),
        }
    }

    /// Another node on the same database, with the same clock and master key.
    pub async fn another_node(&self) -> Self {
        Self::launch(Arc::clone(&self.database), Arc::clone(&self.data), Arc::clone(&self.clock), self.settings.clone())
            .await
    }

    /// Another node on the same database, with a clock of its own.
    pub async fn another_node_by(&self, clock: Arc<ManualClock>) -> Self {
        Self::launch(Arc::clone(&self.database), Arc::clone(&self.data), clock, self.settings.clone()).await
    }

    /// Another node on the same database, which it reaches by `url`.
    pub async fn another_node_at(&self, url: &str) -> Self {
        let mut settings = self.settings.clone();
        settings.push(("DATABASE_URL".to_owned(), url.to_owned()));
        Self::launch(Arc::clone(&self.database), Arc::clone(&self.data), Arc::clone(&self.clock), settings).await
    }

    /// Another node on the same database, with further settings.
    pub async fn another_node_with(&self, further: &[(&str, &str)]) -> Self {
        let mut settings = self.settings.clone();
        settings.extend(further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self::launch(Arc::clone(&self.database), Arc::clone(&self.data), Arc::clone(&self.clock), settings).await
    }

    /// Stops serving, closes the store and starts again on the same database.
    pub async fn restart(mut self) -> Self {
        self.close().await;
        Self::launch(Arc::clone(&self.database), Arc::clone(&self.data), Arc::clone(&self.clock), self.settings.clone())
            .await
    }

    /// Stops serving and closes the store.
    pub async fn close(&mut self) {
        drop(self.stop.take());
        if let Some(stopped) = self.stopped.take() {
            let _ = stopped.await;
        }
        if let Some(coherence) = self.coherence.take() {
            coherence.stop().await;
        }
        self.app.close().await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn advance(&self, step: TimeDelta) {
        self.clock.advance(step);
    }

    /// Creates a user with the password of tests.
    pub async fn user(&self, name: &str, role: &str) -> User {
        let new = NewUser {
            username: Username::parse(name).expect("a username"),
            role: Role::parse(role).expect("a role"),
            password: Some(SecretString::from(PASSWORD)),
            change_at_login: false,
            email: None,
        };
        self.app.users.create(new, &AuditContext::command_line()).await.expect("the user is created").user
    }

    /// Nobody: a client without credentials.
    pub fn nobody(&self) -> TestClient<'_> {
        TestClient { app: self, token: None, refresh_token: String::new(), session_id: String::new() }
    }

    /// Logs a user in who exists.
    pub async fn log_in(&self, name: &str) -> TestClient<'_> {
        let answer =
            self.nobody().post("/auth/login", json!({ "username": name, "password": PASSWORD })).await.expect(200);
        self.client(&answer)
    }

    /// Creates a user with an ordinary role and logs in.
    pub async fn signed_in(&self, name: &str) -> TestClient<'_> {
        self.user(name, "agent").await;
        self.log_in(name).await
    }

    /// Creates an administrator and logs in.
    pub async fn admin(&self) -> TestClient<'_> {
        self.user("root", "admin").await;
        self.log_in("root").await
    }

    /// Creates an auditor and logs in.
    pub async fn auditor(&self) -> TestClient<'_> {
        self.user("reviewer", "auditor").await;
        self.log_in("reviewer").await
    }

    /// The client that a token answer makes.
    pub fn client(&self, answer: &Value) -> TestClient<'_> {
        TestClient {
            app: self,
            token: answer["access_token"].as_str().map(str::to_owned),
            refresh_token: answer["refresh_token"].as_str().expect("a refresh token").to_owned(),
            session_id: answer["session"]["id"].as_str().expect("a session").to_owned(),
        }
    }
}

fn all_settings(url: &str, data: &Path, settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let place = [("DATABASE_URL", url), ("VIGIE__DATA__DIR", data.to_str().expect("a path in UTF-8"))];
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    place.iter().chain(TEST_SETTINGS).chain(settings).map(owned).collect()
}

impl Drop for TestApp {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// Noon of a day in the middle of nowhere.
fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_014_400, 0).expect("a time")
}

/// Somebody with a token, or nobody.
#[derive(Clone)]
pub struct TestClient<'a> {
    pub app: &'a TestApp,
    pub token: Option<String>,
    pub refresh_token: String,
    pub session_id: String,
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl<'a> TestClient<'a> {
    /// The same at another node.
    pub fn at<'b>(&self, node: &'b TestApp) -> TestClient<'b> {
        let Self { token, refresh_token, session_id, .. } = self.clone();
        TestClient { app: node, token, refresh_token, session_id }
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str) -> TestClient<'a> {
        TestClient { token: Some(token.to_owned()), ..self.clone() }
    }

    pub fn token(&self) -> &str {
        self.token.as_deref().expect("a token")
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.app.http.request(method, self.app.url(path));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    /// A POST without a body.
    pub async fn post_empty(&self, path: &str) -> Answer {
        send(self.request(Method::POST, path)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Refreshes; the answer as it is.
    pub async fn refresh(&self) -> Answer {
        self.app.nobody().post("/auth/refresh", json!({ "refresh_token": self.refresh_token })).await
    }
}

/// A client that keeps connections for a shorter time than the server does.
pub fn http_client() -> reqwest::Client {
    let second = Duration::from_secs(1);
    let client = reqwest::Client::builder().timeout(30 * second).pool_idle_timeout(60 * second).no_proxy();
    client.build().expect("a client")
}

/// Sends a request; a server that does not answer fails the test.
pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("the server answers");
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.text().await.expect("a whole body"),
    }
}

impl Answer {
    /// Expects a status; returns the body as JSON (null when empty).
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.json()
    }

    /// Expects a problem of this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}: {}", self.status, self.body);
        let body = self.clone().expect(status);
        assert_eq!(body["code"], code, "{}", self.body);
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        body
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        if self.body.is_empty() { Value::Null } else { serde_json::from_str(&self.body).expect("JSON") }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a readable header"))
    }
}

/// Asks until the answer has this status.
pub async fn until_status(status: u16, ask: impl AsyncFn() -> Answer) -> Answer {
    let asked = async || {
        let answer = ask().await;
        if answer.status == status { Ok(answer) } else { Err((answer.status, answer.body)) }
    };
    until(&format!("an answer {status}"), asked).await
}
