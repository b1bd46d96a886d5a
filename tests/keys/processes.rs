//! The real binary: a rotation beside running servers, node after node, killed on the way.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rstest::rstest;
use serde_json::json;
use tokio::sync::RwLock;

use crate::support::app::PASSWORD;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::backend::TestDatabase;
use crate::support::program::{Program, Server};

fn key_file(program: &Program) -> PathBuf {
    program.path("data").join("master.key")
}

fn new_key_file(program: &Program) -> PathBuf {
    program.path("data").join("master.key.new")
}

fn give(from: &PathBuf, program: &Program) {
    fs::create_dir_all(program.path("data")).unwrap();
    fs::copy(from, key_file(program)).unwrap();
}

/// Logs in and asks, again and again, at every node that is up; whatever is not answered as it should be is counted.
struct Users {
    nodes: Arc<RwLock<BTreeMap<&'static str, String>>>,
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<usize>,
}

impl Users {
    fn start() -> Self {
        let nodes = Arc::new(RwLock::new(BTreeMap::new()));
        let (stop, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let asking = ask(Arc::clone(&nodes), Arc::clone(&stop), Arc::clone(&failed));
        // Of its own: commands are waited for on the other.
        let thread = std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(asking)
        });
        Self { nodes, stop, failed, thread }
    }

    async fn up(&self, name: &'static str, server: &Server) {
        self.nodes.write().await.insert(name, server.url.clone());
    }

    /// Nobody is asking it when this returns.
    async fn down(&self, name: &'static str) {
        self.nodes.write().await.remove(name);
    }

    /// How many were answered well, and how many were not.
    fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::SeqCst);
        let asked = self.thread.join().unwrap();
        (asked, self.failed.load(Ordering::SeqCst))
    }
}

async fn ask(
    nodes: Arc<RwLock<BTreeMap<&'static str, String>>>,
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
) -> usize {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (mut well, mut token) = (0, None::<String>);
    while !stop.load(Ordering::SeqCst) {
        let held = nodes.read().await;
        for url in held.values() {
            if let Some(token) = &token {
                let verified = http.get(format!("{url}/auth/verify")).bearer_auth(token).send().await;
                if verified.is_ok_and(|answer| answer.status() == 200) {
                    well += 1;
                } else {
                    failed.fetch_add(1, Ordering::SeqCst);
                }
            }
            let login = json!({ "username": "alice", "password": PASSWORD });
            let answer = http.post(format!("{url}/auth/login")).json(&login).send().await;
            match answer {
                Ok(answer) if answer.status() == 200 => {
                    let body: serde_json::Value = answer.json().await.unwrap();
                    token = body["access_token"].as_str().map(str::to_owned);
                    well += 1;
                }
                _ => {
                    failed.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        drop(held);
        tokio::task::yield_now().await;
    }
    well
}

/// No check and no login fails from the first step to the last.
#[rstest]
#[actix_web::test]
async fn the_master_key_is_rotated_node_after_node_and_nobody_notices(#[values(Sqlite, Postgres)] backend: Backend) {
    let a = Program::new(backend);
    let b = Program::on(TestDatabase::at(&a.database.url));
    a.add_user("alice", "agent");
    give(&key_file(&a), &b);
    let (on_a, on_b) = (a.serve(), b.serve());
    let users = Users::start();
    users.up("a", &on_a).await;
    users.up("b", &on_b).await;

    let output = a.run(&["key", "rotate-master"]);
    let new_text = fs::read_to_string(new_key_file(&a)).unwrap();
    assert_eq!(fs::metadata(new_key_file(&a)).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(output.code == 0 && output.output.contains("master.key.new"), "{output:?}");
    assert!(!format!("{output:?}").contains(new_text.trim()), "the key is shown");
    a.run(&["key", "rotate-master"]).expect(0);
    assert_eq!(fs::read_to_string(new_key_file(&a)).unwrap(), new_text);
    a.run(&["key", "rotate-master", "--finish"]).fails(1, "still has the old master key");
    a.run(&["key", "rotate"]).expect(0);
    let doctor = a.run(&["doctor"]).output;
    assert!(
        doctor.contains("master key rotation: under way") && doctor.contains("(2 servers work with it)"),
        "{doctor}"
    );

    users.down("b").await;
    assert_eq!(on_b.stop().0, Some(0));
    give(&new_key_file(&a), &b);
    let on_b = b.serve();
    users.up("b", &on_b).await;
    b.run(&["key", "rotate"]).expect(0);
    b.run(&["key", "rotate-master", "--finish"]).fails(1, "1 of the servers that run still work with the master key");

    users.down("a").await;
    assert_eq!(on_a.stop().0, Some(0));
    fs::rename(new_key_file(&a), key_file(&a)).unwrap();
    let on_a = a.serve();
    users.up("a", &on_a).await;
    b.run(&["key", "rotate-master", "--finish"]).expect(0);
    b.run(&["key", "rotate-master", "--finish"]).fails(1, "no rotation of the master key is under way");
    b.run(&["key", "rotate"]).expect(0);
    on_a.get("/auth/me", &on_b.token("alice").await).await.expect(200);
    let (asked, failed) = users.end();
    assert!(asked > 20 && failed == 0, "{failed} of {asked} failed: {} {}", on_a.log(), on_b.log());
    a.run(&["audit", "verify"]).expect(0);
    let logs = format!("{}{}", on_a.log(), on_b.log());
    assert!(!logs.contains(new_text.trim()));
}

/// Killed as soon as the file of the new key is there, and again at every start: run again, it goes on with that key.
#[rstest]
#[case(&["key", "rotate-master"])]
#[case(&["key", "rotate-master", "--compromised"])]
#[actix_web::test]
async fn a_command_that_is_killed_goes_on_when_it_is_run_again(
    #[case] arguments: &[&str],
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    for _ in 0..6 {
        let mut child =
            program.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        while !new_key_file(&program).exists() && child.try_wait().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if program.run(&["user", "list"]).code != 0 {
            // All of it was done.
            break;
        }
    }
    let mut last = program.run(arguments);
    if last.remarks.contains("was not made for this: remove it") {
        // Killed before it had recorded whose key that is.
        fs::remove_file(new_key_file(&program)).unwrap();
        last = program.run(arguments);
    }
    let new = fs::read_to_string(new_key_file(&program)).unwrap();
    assert!(last.code == 0 || last.remarks.contains("was replaced already"), "{last:?}");
    assert_eq!(fs::read_to_string(new_key_file(&program)).unwrap(), new);
    fs::rename(new_key_file(&program), key_file(&program)).unwrap();
    let server = program.serve();
    server.log_in("alice").await;
    program.run(&["audit", "verify"]).expect(0);
}

/// Where everything is replaced, no key counts afterwards that lay there before: not even that of a rotation under way.
#[rstest]
#[test]
fn a_new_master_key_that_lay_there_is_not_taken(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    program.run(&["key", "rotate-master"]).expect(0);
    let pending = fs::read_to_string(new_key_file(&program)).unwrap();
    program.run(&["key", "rotate-master", "--compromised"]).fails(1, "was not made for this: remove it");
    program.run(&["user", "list"]).expect(0);
    fs::remove_file(new_key_file(&program)).unwrap();
    program.run(&["key", "rotate-master", "--compromised"]).expect(0);
    assert_ne!(fs::read_to_string(new_key_file(&program)).unwrap(), pending);
    for given_up in [None, Some(pending)] {
        if let Some(given_up) = given_up {
            fs::write(key_file(&program), given_up).unwrap();
        }
        program.run(&["user", "list"]).fails(1, "the keys of this installation are encrypted with the master key");
    }
    fs::rename(new_key_file(&program), key_file(&program)).unwrap();
    program.run(&["audit", "verify"]).expect(0);
}

/// As `VIGIE__KEYS__MASTER_KEY` too the new key goes to a file and nowhere else; and everything is told that is to be done.
#[rstest]
#[actix_web::test]
async fn a_compromised_master_key_of_the_environment_is_replaced(#[values(Sqlite, Postgres)] backend: Backend) {
    let old = super::setting([1; 32]);
    let program = Program::new(backend).with("VIGIE__KEYS__MASTER_KEY", &old);
    program.add_user("alice", "agent");
    let server = program.serve();
    let alice = server.log_in("alice").await;
    let public = program.run(&["audit", "checkpoint", "--key"]).expect(0);
    program.run(&["key", "rotate-master", "--compromised"]).fails(1, "1 servers run: stop every one first");
    let checkpoint = program.run(&["audit", "checkpoint"]).expect(0);
    let checkpoint = program.file("kept", &checkpoint);
    assert_eq!(server.stop().0, Some(0));
    let done = program.run(&["key", "rotate-master", "--compromised"]);
    for told in
        ["VIGIE__KEYS__MASTER_KEY", "password of the database", "hs256_secret_file", "rotate-secret", "webhooks"]
    {
        assert!(done.code == 0 && done.remarks.contains(told), "{told}: {done:?}");
    }
    let new = fs::read_to_string(new_key_file(&program)).unwrap();
    assert!(!format!("{done:?}").contains(new.trim()));
    program.run(&["key", "rotate-master", "--compromised"]).fails(1, "was replaced already");

    let program = program.with("VIGIE__KEYS__MASTER_KEY", new.trim());
    let server = program.serve();
    server.get("/auth/me", alice["access_token"].as_str().unwrap()).await.expect(401);
    let refresh = json!({ "refresh_token": alice["refresh_token"] });
    server.post("/auth/refresh", "", refresh).await.expect(401);
    server.log_in("alice").await;
    program.run(&["audit", "verify", "--checkpoint", &checkpoint]).expect(0);
    let keys = program.run(&["audit", "checkpoint", "--key"]).expect(0);
    assert!(!keys.starts_with(public.trim()) && keys.lines().any(|line| line.starts_with("key vigie/")), "{keys}");
    assert_eq!(keys.lines().filter(|line| line.starts_with('\u{2014}')).count(), 2, "signed by both: {keys}");
}
