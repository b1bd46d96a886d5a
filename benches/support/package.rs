//! Programs of Node.js that benchmarks compare with: a folder of `benches/` with a lock file and a server.

use std::io::BufReader;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::listening_address;

/// The folder, with what its server stands on installed at the versions of its lock file.
pub fn install(folder: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(folder);
    if !place.join("node_modules").exists() {
        let installed = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&place).status();
        let worked = installed.is_ok_and(|status| status.success());
        assert!(worked, "run `npm ci` in {}, with Node.js 20 or later", place.display());
    }
    place
}

/// A running server, killed when this is dropped.
pub struct Package {
    process: Child,
    pub address: SocketAddr,
}

impl Package {
    /// Starts `server.mjs`; returns once it says `listening on http://…`.
    pub fn start(place: &Path, environment: &[(&str, &str)]) -> Self {
        let mut process = Command::new("node")
            .arg("server.mjs")
            .current_dir(place)
            .env("NODE_ENV", "production")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let address = listening_address(&mut output);
        Self { process, address }
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
