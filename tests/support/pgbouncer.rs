//! A `PgBouncer` of one test, in front of the cluster of all: it lives in one directory and goes with it.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use url::Url;

use super::until::until_blocking;

/// A running `PgBouncer`. It is killed when this is dropped.
pub struct PgBouncer {
    process: Child,
    directory: tempfile::TempDir,
    /// The database of [`Self::start`], reached through it.
    pub url: String,
}

impl PgBouncer {
    /// Starts one in front of the database at `url`, with further settings as in `pgbouncer.ini`.
    pub fn start(url: &str, settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut url = Url::parse(url).expect("a database URL");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let file = directory.path().join("pgbouncer.ini");
        std::fs::write(&file, configuration(&url, port, settings)).expect("the file is written");
        let mut process = launch(&file);
        url.set_host(Some("127.0.0.1")).expect("a postgres URL may have another host");
        url.set_port(Some(port)).expect("a postgres URL may have another port");
        until_it_listens(&mut process, port);
        Self { process, directory, url: url.into() }
    }

    /// Ends it as a crash does: every connection breaks.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it can be waited for");
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            tracing::debug!(%error, directory = %self.directory.path().display(), "a PgBouncer was lost");
        }
    }
}

/// Whoever connects works as the user of the URL.
fn configuration(url: &Url, port: u16, settings: &[&str]) -> String {
    let (host, user) = (url.host_str().expect("a host"), url.username());
    let password = url.password().map(|password| format!(" password={password}")).unwrap_or_default();
    let target = url.port().unwrap_or(5432);
    format!(
        "[databases]\n* = host={host} port={target} user={user}{password}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
         max_client_conn = 200\ndefault_pool_size = 60\n{}\n",
        settings.join("\n")
    )
}

/// It refuses to run as root. Debian keeps it out of other people's PATH.
fn launch(file: &Path) -> Child {
    let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|program| Path::new(program).exists());
    let mut command = Command::new(program.unwrap_or("pgbouncer"));
    if is_root() {
        open_to_others(file);
        command.args(["-u", "postgres"]);
    }
    let started = command.arg("-q").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    started.unwrap_or_else(|error| panic!("this test needs PgBouncer, which `tests/run` installs: {error}"))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|of_this_process| of_this_process.uid() == 0)
}

fn open_to_others(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    for path in [file, file.parent().expect("a directory")] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
}

fn until_it_listens(process: &mut Child, port: u16) {
    until_blocking("PgBouncer listens", || {
        assert!(process.try_wait().expect("its state can be asked").is_none(), "PgBouncer does not start");
        TcpStream::connect(("127.0.0.1", port))
    });
}
