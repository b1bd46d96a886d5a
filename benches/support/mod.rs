//! What the benchmarks stand on: the application on a throw-away database, and medians.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot run should say so and stop")]
#![allow(dead_code, reason = "no benchmark uses all of it")]

#[path = "../../tests/support/assertion.rs"]
pub mod assertion;
#[path = "../../tests/support/certificates.rs"]
pub mod certificates;
pub mod clients;
pub mod costs;
pub mod http;
pub mod load;
pub mod node;
pub mod package;
pub mod people;
#[path = "../../tests/support/ports.rs"]
pub mod ports;
pub mod rows;
#[path = "../../tests/support/signals.rs"]
pub mod signals;
#[path = "../../tests/support/until.rs"]
pub mod until;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use vigie::app::App;
use vigie::background::coherence::{self, Coherence};
use vigie::clock::{Clock, SystemClock};
use vigie::config::Config;
use vigie::model::audit::AuditContext;
use vigie::model::user::{Role, Username};
use vigie::user::create::NewUser;

/// As in `src/main.rs`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub const PASSWORD: &str = "quatre lapins verts dansent";

/// Whether this part is to run: all do where none is named on the command line.
pub fn is_chosen(part: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).peekable();
    named.peek().is_none() || named.any(|argument| argument == part)
}

/// Where a server listens, as it says on its standard output.
pub fn listening_address(output: &mut impl std::io::BufRead) -> SocketAddr {
    loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).expect("text") > 0, "the server ended");
        if let Some(address) = line.trim_end().strip_prefix("listening on http://") {
            break address.parse().expect("an address");
        }
    }
}

/// Does asynchronous work on the thread that calls this.
pub fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// The application on a database, with the settings of production except where it listens.
pub async fn open(url: &str, data: &std::path::Path, settings: &[(&str, &str)]) -> Arc<App> {
    let base = [
        ("DATABASE_URL", url),
        ("VIGIE__DATA__DIR", data.to_str().expect("a path")),
        ("VIGIE__SERVER__LISTEN", "127.0.0.1:0"),
        ("VIGIE__SERVER__METRICS_LISTEN", ""),
    ];
    let all = base.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let config = Config::load(None, all).expect("the settings are valid");
    Arc::new(App::open(config, Arc::new(SystemClock) as Arc<dyn Clock>).await.expect("the application opens"))
}

pub async fn add_user(app: &App, name: &str) {
    let new = NewUser {
        username: Username::parse(name).expect("a name"),
        role: Role::parse("agent").expect("a role"),
        password: Some(SecretString::from(PASSWORD)),
        change_at_login: false,
        email: None,
    };
    app.users.create(new, &AuditContext::command_line()).await.expect("a user");
}

/// Serves as a node that holds a lease.
pub async fn serve_live(app: &Arc<App>) -> (SocketAddr, Coherence) {
    let listening = vigie::http::server::listen(Arc::clone(app).into()).expect("a port");
    let address = listening.address;
    actix_web::rt::spawn(listening.serve_until(std::future::pending()));
    let coherence = coherence::start(app, address);
    while !app.coherence.is_live() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (address, coherence)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value that this share of the others does not exceed.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list of measurements"
    )]
    let place = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1;
    values[place]
}

/// The median, the 99th percentile and the largest of these milliseconds, in words.
pub fn spread(values: &mut [f64]) -> String {
    let (half, most) = (percentile(values, 0.5), percentile(values, 0.99));
    format!("p50 {half:.2} ms, p99 {most:.2} ms, max {:.2} ms", values.last().copied().unwrap_or_default())
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub fn say(line: &str) {
    println!("{line}");
}

/// A throw-away PostgreSQL cluster, stopped when dropped.
pub struct Cluster {
    directory: tempfile::TempDir,
    pub url: String,
}

impl Cluster {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        // PostgreSQL runs as another user than root and must get to its own folder.
        let passable = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(directory.path(), passable).expect("permissions");
        let place = directory.path().join("cluster");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/postgres.sh");
        // As in production: every commit is on the disk when it is answered.
        let output = Command::new(script).arg("start").arg(&place).arg("fsync=on").output().expect("the script runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let url = String::from_utf8(output.stdout).expect("an address").trim().to_owned();
        Self { directory, url }
    }

    /// The process that all of its processes descend from.
    pub fn process(&self) -> u32 {
        let file = self.directory.path().join("cluster/data/postmaster.pid");
        let text = std::fs::read_to_string(file).expect("the cluster runs");
        text.lines().next().and_then(|line| line.parse().ok()).expect("a process id")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/postgres.sh");
        let _ = Command::new(script).arg("remove").arg(self.directory.path().join("cluster")).output();
    }
}
