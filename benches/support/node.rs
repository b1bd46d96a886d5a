//! A node as it runs in production: a process of the release binary, with the default settings but for where it listens.

use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::http::{Connection, request};
use super::listening_address;
use super::signals::signal;

/// A process, killed when this is dropped.
pub struct Node {
    process: Child,
    /// Kept open: a server whose output nobody reads would be told so.
    _output: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

impl Node {
    /// Starts a node; returns once it answers checks from memory.
    pub async fn start(url: &str, data: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VIGIE_")) {
            command.env_remove(name);
        }
        let mut process = command
            .arg("serve")
            .env("DATABASE_URL", url)
            .env("VIGIE__DATA__DIR", data)
            .env("VIGIE__SERVER__LISTEN", "127.0.0.1:0")
            .env("VIGIE__SERVER__METRICS_LISTEN", "")
            .env("VIGIE__LOG__LEVEL", "error")
            .envs(settings.iter().copied())
            .current_dir(data)
            .stdout(Stdio::piped())
            // Each login that is turned away is logged.
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let address = listening_address(&mut output);
        let node = Self { process, _output: output, address };
        node.until_live().await;
        node
    }

    /// Waits until it answers checks from memory.
    pub async fn until_live(&self) {
        let began = Instant::now();
        let mut connection = Connection::open(self.address).await;
        let ready = request("GET", "/health/ready", None, None);
        loop {
            let answer = connection.exchange(&ready).await;
            if answer.status == 200 && answer.body.windows(8).any(|window| window == b"\"memory\"") {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "the node gets no lease");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// Stops it in the middle of whatever it does, without a word to anybody.
    pub fn freeze(&self) {
        signal(&self.process, "-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        signal(&self.process, "-CONT");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
