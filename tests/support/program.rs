//! The real binary, in processes of its own.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::app::{Answer, PASSWORD, TEST_SETTINGS, http_client, send};
use super::backend::{Backend, TestDatabase};
use super::signals::{signal, terminate};
use super::until::until_blocking;

/// An installation of its own: a database, a data directory, settings.
pub struct Program {
    directory: tempfile::TempDir,
    settings: Vec<(String, String)>,
    pub database: TestDatabase,
}

/// What a command did.
#[derive(Debug)]
pub struct Finished {
    pub code: i32,
    pub output: String,
    pub remarks: String,
}

impl Program {
    /// An installation that nothing has touched yet.
    pub fn new(backend: Backend) -> Self {
        Self::on(backend.database())
    }

    /// An installation on this database, which others may use as well.
    pub fn on(database: TestDatabase) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut settings = vec![
            ("DATABASE_URL".to_owned(), database.url.clone()),
            ("VIGIE__DATA__DIR".to_owned(), directory.path().join("data").display().to_string()),
        ];
        settings.extend(TEST_SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self { directory, settings, database }
    }

    /// The same with a further setting, as in the environment.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A path in a directory that is removed with this value.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file there; returns its path as text.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("the file is written");
        path.display().to_string()
    }

    /// A command that has not started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| name.to_string_lossy().starts_with("VIGIE_")) {
            command.env_remove(name);
        }
        command.args(arguments).envs(self.settings.iter().cloned()).current_dir(self.directory.path());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with(arguments, "")
    }

    /// The same with a text on the standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Finished {
        finish(self.command(arguments), input)
    }

    /// Creates a user with the password of tests.
    pub fn add_user(&self, name: &str, role: &str) {
        let arguments = ["user", "add", name, "--role", role, "--password-stdin"];
        self.run_with(&arguments, &format!("{PASSWORD}\n")).expect(0);
    }

    /// Starts the server; returns once it is ready.
    pub fn serve(&self) -> Server {
        Server::start(self.command(&["serve"]), self.path("serve.log"))
    }
}

/// Runs a command to its end, with a text on its standard input.
pub fn finish(mut command: Command, input: &str) -> Finished {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A command that does not read may have ended before: that is no fault of the test.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let done = child.wait_with_output().expect("the program ends");
    Finished {
        code: done.status.code().expect("an exit code"),
        output: String::from_utf8(done.stdout).expect("UTF-8"),
        remarks: String::from_utf8(done.stderr).expect("UTF-8"),
    }
}

impl Finished {
    /// Expects an exit code; returns the output.
    #[track_caller]
    pub fn expect(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}\n{}", self.output, self.remarks);
        self.output
    }

    /// Expects success and JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        serde_json::from_str(&self.expect(0)).expect("JSON")
    }

    /// Expects a failure of this code whose remarks hold a text.
    #[track_caller]
    pub fn fails(self, code: i32, text: &str) {
        assert!(self.code == code && self.remarks.contains(text), "{self:?}");
    }
}

/// A running server. It is killed when this is dropped.
pub struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    log: PathBuf,
    /// Where it is: `http://…`.
    pub url: String,
    /// What it printed before it was ready.
    pub greeting: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts a server; returns once it is ready.
    pub fn start(mut command: Command, log: PathBuf) -> Self {
        let file = File::create(&log).expect("a log file");
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().expect("the program starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut greeting = String::new();
        let url = loop {
            let mut line = String::new();
            let length = output.read_line(&mut line).expect("the output is text");
            assert!(length > 0, "the server ended: {}", read(&log));
            match line.trim_end().strip_prefix("listening on ") {
                Some(url) => break url.to_owned(),
                None => greeting.push_str(&line),
            }
        };
        let http = http_client();
        Self { child, output, log, url, greeting, http }
    }

    /// The one-time token of the first administrator: its output is no terminal, so it is in a file.
    pub fn setup_token(&self) -> Option<String> {
        assert!(!self.greeting.contains("vgt_"), "{}", self.greeting);
        let file = self.greeting.lines().map(str::trim).find(|line| line.ends_with("/setup-token"))?;
        let mode = std::fs::metadata(file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        read(Path::new(file)).lines().next().map(str::to_owned)
    }

    pub fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        if token.is_empty() { request } else { request.bearer_auth(token) }
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        send(self.request(Method::GET, path, token)).await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path, token).json(&body)).await
    }

    /// Logs in with the password of tests.
    pub async fn log_in(&self, name: &str) -> Value {
        self.post("/auth/login", "", json!({ "username": name, "password": PASSWORD })).await.expect(200)
    }

    /// Logs in with the password of tests; returns the access token.
    pub async fn token(&self, name: &str) -> String {
        self.log_in(name).await["access_token"].as_str().expect("a token").to_owned()
    }

    /// Goes with `examples/tour.sh` through what it shows to newcomers; it must set the server up.
    pub fn expect_tour(&self) {
        let mut tour = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/tour.sh"));
        tour.env("VIGIE_URL", &self.url).env("VIGIE_SETUP_TOKEN", self.setup_token().expect("a token"));
        let said = finish(tour, "").expect(0);
        assert!(said.ends_with("The tour is over: everything was as promised.\n"), "{said}");
    }

    /// Tells it to stop, as an operating system does; returns its exit code and what else it printed.
    pub fn stop(mut self) -> (Option<i32>, String) {
        terminate(&self.child);
        let status = until_blocking("the server has stopped", || {
            let status = self.child.try_wait().expect("its state can be asked");
            status.ok_or_else(|| self.log())
        });
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("the output is text");
        (status.code(), rest)
    }

    /// Tells it to stop, and does not wait.
    pub fn tell_to_stop(&self) {
        terminate(&self.child);
    }

    /// Sends it a signal: `-HUP`.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Its exit code, once it has ended by itself.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("its state can be asked").code()
    }

    /// Kills it: nothing is written, closed or said any more.
    pub fn kill(&self) {
        signal(&self.child, "-KILL");
    }

    /// Halts it wherever it is, as a laptop does that falls asleep. It keeps its sockets and its memory.
    pub fn pause(&self) {
        signal(&self.child, "-STOP");
    }

    /// Lets it go on where it was halted.
    pub fn resume(&self) {
        signal(&self.child, "-CONT");
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        read(&self.log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the log can be read")
}
