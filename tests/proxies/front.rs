//! A program in front of the application, run from its recipe in `examples/proxies` or `examples/gate`. Nothing of a recipe is
//! replaced but the addresses of Vigie, the application and the program itself.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::ports::free_address;
use crate::support::signals::terminate;
use crate::support::until::until_blocking;

/// Where the recipes have Vigie, Vigie behind TLS, the application, and the program itself.
pub const VIGIE: u16 = 8080;
pub const VIGIE_TLS: u16 = 8443;
pub const APPLICATION: u16 = 9000;
const PEOPLE: u16 = 8000;

/// A running program. It is ended when this is dropped.
pub struct Front {
    child: Child,
    directory: tempfile::TempDir,
    /// Where people reach it.
    pub address: SocketAddr,
}

/// How a program is started, from the recipe in the directory.
pub type Start = fn(&Path) -> Command;

impl Front {
    /// Runs these files of `examples/proxies`, with addresses in place of the recipe's ports; returns once the program listens.
    pub fn run(files: &[&str], addresses: &[(u16, SocketAddr)], start: impl FnOnce(&Path) -> Command) -> Self {
        Self::run_of("examples/proxies", files, addresses, start)
    }

    /// The same with the files of another folder.
    pub fn run_of(
        folder: &str,
        files: &[&str],
        addresses: &[(u16, SocketAddr)],
        start: impl FnOnce(&Path) -> Command,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let address = free_address();
        let addresses = [addresses, &[(PEOPLE, address)]].concat();
        for file in files {
            let path = project(folder).join(file);
            let recipe = std::fs::read_to_string(path).expect("a recipe");
            std::fs::write(directory.path().join(file), replaced(&recipe, &addresses)).expect("the file is written");
        }
        let log = File::create(directory.path().join("log")).expect("a log");
        let mut command = start(directory.path());
        let said = log.try_clone().expect("a log");
        let child = command.current_dir(directory.path()).stdin(Stdio::null()).stdout(said).stderr(log).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs what is missing"));
        let mut front = Self { child, directory, address };
        until_blocking("the program listens", || front.is_ready());
        front
    }

    fn is_ready(&mut self) -> Result<(), String> {
        let ended = self.child.try_wait().expect("its state can be asked");
        assert!(ended.is_none(), "the program ended: {}", self.log());
        TcpStream::connect(self.address).map(drop).map_err(|error| format!("{error}: {}", self.log()))
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // As an operator stops it, so that it takes its own children with it.
            terminate(&self.child);
        }
        let _ = self.child.wait();
    }
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The recipe with other addresses: each is written as `127.0.0.1:PORT`, as `port_value: PORT`, or behind the name of a site.
fn replaced(recipe: &str, addresses: &[(u16, SocketAddr)]) -> String {
    let mut text = recipe.to_owned();
    let mut replaced = 0;
    for (port, address) in addresses {
        for (known, other) in [
            (format!("127.0.0.1:{port}"), format!("127.0.0.1:@{}", address.port())),
            (format!("port_value: {port} "), format!("port_value: @{} ", address.port())),
            (format!(".example.org:{port}"), format!(".example.org:@{}", address.port())),
        ] {
            replaced += text.matches(&known).count();
            text = text.replace(&known, &other);
        }
    }
    assert!(replaced > 0, "the recipe has its addresses");
    // Marked until all are in place: a port that was just chosen may be one of those that the recipe has.
    text.replace(":@", ":").replace(": @", ": ")
}

/// nginx, its recipe within a main file such as a distribution has.
pub fn nginx(directory: &Path) -> Command {
    let place = directory.display();
    let main = format!(
        "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n\
         access_log off;\nclient_body_temp_path {place}/body;\nproxy_temp_path {place}/proxy;\n\
         fastcgi_temp_path {place}/fastcgi;\nuwsgi_temp_path {place}/uwsgi;\nscgi_temp_path {place}/scgi;\n\
         include {place}/nginx.conf;\n}}\n"
    );
    std::fs::write(directory.join("main.conf"), main).expect("the file is written");
    let mut command = daemon("nginx");
    command.arg("-e").arg("stderr").arg("-p").arg(directory).arg("-c").arg(directory.join("main.conf"));
    command
}

pub fn caddy(directory: &Path) -> Command {
    let mut command = daemon("caddy");
    command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
    command.env("HOME", directory).env("XDG_DATA_HOME", directory).env("XDG_CONFIG_HOME", directory);
    command
}

pub fn haproxy(directory: &Path) -> Command {
    let mut command = daemon("haproxy");
    command.arg("-db").arg("-f").arg(directory.join("haproxy.cfg"));
    command
}

/// Envoy, where `tests/run` installs it.
pub fn envoy(_: &Path) -> Command {
    let mut command = Command::new(project("target/proxies/envoy"));
    command.args(["-c", "envoy.yaml", "--disable-hot-restart", "--concurrency", "1", "--log-level", "warn"]);
    command
}

/// Apache with what its recipes need, as Debian's `a2enmod` loads it, and further lines of the main file.
pub fn apache(directory: &Path, recipe: &str, module: &str, further: &str) -> Command {
    const MODULES: [&str; 8] =
        ["mpm_event", "authn_core", "authz_core", "authz_user", "env", "headers", "proxy", "proxy_http"];
    let place = directory.display();
    let modules = MODULES.iter().chain([&module]).map(|name| load(name)).collect::<String>();
    let main = format!(
        "{modules}ServerRoot {place}\nDefaultRuntimeDir {place}\nPidFile {place}/pid\nMutex file:{place}\n\
         ServerName localhost\nErrorLog {place}/errors\nLogLevel warn\n{further}\nInclude {place}/{recipe}\n"
    );
    std::fs::write(directory.join("main.conf"), main).expect("the file is written");
    let mut command = daemon("apache2");
    command.arg("-X").arg("-f").arg(directory.join("main.conf"));
    command
}

fn load(name: &str) -> String {
    format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")
}

/// A program that may stand where only administrators look.
fn daemon(name: &str) -> Command {
    let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    Command::new(found.unwrap_or_else(|| panic!("this test needs {name}: tests/run installs it")))
}
