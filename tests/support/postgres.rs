//! Throw-away PostgreSQL: one cluster shared by all tests, a schema for each; and private clusters, for tests that
//! stop, restart or secure one. `postgres.sh` starts and stops them, also when a test process is killed.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, QueryResult};
use uuid::Uuid;

use super::certificates::Certificates;
use super::until::until_blocking;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/postgres.sh");

/// The cluster that the tests of this process share.
pub struct Cluster {
    url: String,
    _keeper: Option<Keeper>,
}

impl Cluster {
    /// The cluster at `VIGIE_TEST_POSTGRES` (a superuser's URL), or one that this process starts and takes with it.
    ///
    /// # Panics
    /// Without PostgreSQL on the machine: a backend is never skipped in silence.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| {
            if let Ok(url) = std::env::var("VIGIE_TEST_POSTGRES") {
                return Self { url, _keeper: None };
            }
            let keeper = Keeper::start("hold", &new_directory(), &[]);
            Self { url: keeper.url.clone(), _keeper: Some(keeper) }
        })
    }

    /// Where the cluster is reached, as its superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A fresh, empty schema; whoever connects by its URL sees nothing else.
    pub fn schema(&self) -> TestSchema {
        let name = format!("test_{}", Uuid::now_v7().simple());
        execute(&self.url, &format!("CREATE SCHEMA {name}")).expect("a superuser may create a schema");
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}options=-csearch_path%3D{name}", self.url);
        TestSchema { url, name, cluster_url: self.url.clone() }
    }
}

/// A schema of one test, dropped with this value.
#[derive(Debug)]
pub struct TestSchema {
    /// Connects to the cluster with this schema alone in the search path.
    pub url: String,
    /// The schema's name.
    pub name: String,
    cluster_url: String,
}

impl Drop for TestSchema {
    /// Best effort: what a test left locked goes with the cluster.
    fn drop(&mut self) {
        let dropped =
            execute(&self.cluster_url, &format!("SET lock_timeout = '5s'; DROP SCHEMA {} CASCADE", self.name));
        if let Err(error) = dropped {
            tracing::debug!(%error, "a test's schema stays behind");
        }
    }
}

/// A database of one test in the cluster of all, dropped with this value: for what a schema is too little.
#[derive(Debug)]
pub struct OwnDatabase {
    /// Connects to it.
    pub url: String,
    name: String,
}

impl OwnDatabase {
    /// A fresh, empty one.
    pub fn create() -> Self {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut url = url::Url::parse(Cluster::shared().url()).expect("a database URL");
        execute(url.as_str(), &format!("CREATE DATABASE {name}")).expect("a superuser may create a database");
        url.set_path(&name);
        Self { url: url.into(), name }
    }

    /// Ends all connections of the server under test, as a pooler or a firewall does that cuts idle ones; returns how many
    /// there were, once none is left.
    pub fn cut_connections(&self) -> usize {
        cut_connections(&self.url)
    }
}

/// The same of the database at `url`.
pub fn cut_connections(url: &str) -> usize {
    let cut = "SELECT pg_terminate_backend(pid, 10000)::text AS line FROM pg_stat_activity
               WHERE datname = current_database() AND application_name = 'vigie'";
    let ended = super::dump::Beside::connect(url).lines(cut);
    assert!(ended.iter().all(|ended| ended == "true"), "{ended:?}");
    ended.len()
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        if let Err(error) = execute(Cluster::shared().url(), &format!("DROP DATABASE {} WITH (FORCE)", self.name)) {
            tracing::debug!(%error, "a test's database stays behind");
        }
    }
}

/// How a private cluster differs from the shared one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Take connections by TLS only, with a certificate for 127.0.0.1 and localhost.
    pub tls: bool,
    /// Settings of `postgresql.conf`, as `name=value`.
    pub settings: &'a [&'a str],
}

/// A cluster of one test, which may stop it and start it again at the same address.
pub struct PrivateCluster {
    directory: PathBuf,
    keeper: Keeper,
    certificates: Option<Certificates>,
}

impl PrivateCluster {
    /// Makes a cluster and starts it.
    pub fn launch(options: Options) -> Self {
        let directory = new_directory();
        let certificates = options.tls.then(|| Certificates::write(&directory));
        let keeper = Keeper::start("hold", &directory, options.settings);
        Self { directory, keeper, certificates }
    }

    /// Makes a standby of this cluster, which follows it until it is promoted.
    pub fn standby(&self) -> Self {
        let directory = new_directory();
        let primary = self.directory.to_str().expect("a path in UTF-8");
        let keeper = Keeper::start("hold-standby", &directory, &[primary]);
        Self { directory, keeper, certificates: None }
    }

    /// Ends this cluster at once; at its address there is a new standby of `primary` then.
    pub fn follow(&self, primary: &Self) {
        let primary = primary.directory.to_str().expect("a path in UTF-8");
        run_script_with("follow", &self.directory, &[primary]);
    }

    /// Makes this standby the primary.
    pub fn promote(&self) {
        run_script("promote", &self.directory);
    }

    /// Changes a setting while the cluster runs, for connections that there are as well.
    pub fn set(&self, name: &str, value: &str) {
        // Also where the cluster takes no other writes.
        execute(self.url(), &format!("ALTER SYSTEM SET {name} = '{value}'")).expect("a superuser may");
        execute(self.url(), "SELECT pg_reload_conf()").expect("a superuser may");
    }

    /// Returns when the standbys have all that was committed here.
    pub fn wait_for_standby(&self) {
        let all = "DO $$ BEGIN ASSERT EXISTS (SELECT FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()); END $$";
        until_blocking("the standby has caught up", || execute(self.url(), all));
    }

    /// Ends all its processes at once: what is not on the disk is lost.
    pub fn crash(&self) {
        run_script("crash", &self.directory);
    }

    /// Where the cluster is reached, as its superuser; the same after a restart. Without parameters for TLS.
    pub fn url(&self) -> &str {
        &self.keeper.url
    }

    /// Where the cluster keeps all it has.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The certificates of a cluster launched with TLS.
    pub fn certificates(&self) -> &Certificates {
        self.certificates.as_ref().expect("only a cluster launched with `tls` has certificates")
    }

    /// Ends every connection and stops; what was committed stays.
    pub fn stop(&self) {
        run_script("stop", &self.directory);
    }

    /// Starts again after [`Self::stop`] or [`Self::crash`].
    pub fn start(&self) {
        run_script("start", &self.directory);
    }

    /// Stops and starts: every connection breaks.
    pub fn restart(&self) {
        self.stop();
        self.start();
    }
}

/// Runs statements on a connection of their own.
pub fn execute(url: &str, statements: &str) -> QueryResult<()> {
    let mut connection = PgConnection::establish(url)
        .map_err(|error| diesel::result::Error::QueryBuilderError(error.to_string().into()))?;
    connection.batch_execute(statements)
}

/// A child process that removes its cluster as soon as our end of its input closes, even by SIGKILL.
struct Keeper {
    process: Child,
    url: String,
}

impl Keeper {
    fn start(command: &str, directory: &Path, settings: &[&str]) -> Self {
        let mut process = Command::new("bash")
            .args([SCRIPT, command])
            .arg(directory)
            .args(settings)
            // A group of its own: whoever kills ours leaves the keeper to clean up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the tests need bash");
        let mut output = BufReader::new(process.stdout.take().expect("it was piped above"));
        let mut first_line = String::new();
        output.read_line(&mut first_line).expect("the script writes UTF-8");
        if !first_line.starts_with("postgres://") {
            let mut rest = String::new();
            output.read_to_string(&mut rest).expect("the script writes UTF-8");
            panic!(
                "This test needs PostgreSQL and could not start it: {first_line}{rest}\
                 `tests/run` installs what is missing and runs all tests; \
                 VIGIE_TEST_POSTGRES=postgres://SUPERUSER@HOST:PORT/NAME uses a server of yours."
            );
        }
        Self { process, url: first_line.trim_end().to_owned() }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        if let Err(error) = self.process.wait() {
            tracing::debug!(%error, "a cluster's keeper was lost");
        }
    }
}

fn run_script(command: &str, directory: &Path) {
    run_script_with(command, directory, &[]);
}

fn run_script_with(command: &str, directory: &Path, further: &[&str]) {
    let mut script = Command::new("bash");
    let output = script.args([SCRIPT, command]).arg(directory).args(further).output().expect("the tests need bash");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "postgres.sh {command} failed: {said}");
}

fn new_directory() -> PathBuf {
    let directory = tempfile::Builder::new().prefix("vigie-postgres-").tempdir();
    directory.expect("a temporary directory can be made").keep()
}
