//! A server killed at any moment loses nothing that it acknowledged, and leaves a chain that verifies.

use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use serde_json::json;
use tokio::sync::Mutex;

use crate::support::app::PASSWORD;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::program::Program;
use crate::support::until::until;

#[rstest]
#[actix_web::test]
async fn a_server_killed_under_load_leaves_a_chain_that_verifies(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend).with("VIGIE__SESSIONS__MAX_PER_USER", "0");
    program.add_user("alice", "agent");
    let acknowledged = Mutex::new(Vec::new());
    for delay in [250, 610, 1_130] {
        let server = program.serve();
        let kill = async {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            server.kill();
        };
        let logins = (0..4).map(|_| async {
            let body = json!({ "username": "alice", "password": PASSWORD });
            loop {
                let request = server.request(reqwest::Method::POST, "/auth/login", "").json(&body);
                let Ok(answer) = request.send().await else { break };
                let Ok(body) = answer.json::<serde_json::Value>().await else { break };
                if let Some(id) = body["session"]["id"].as_str() {
                    acknowledged.lock().await.push(id.to_owned());
                }
            }
        });
        tokio::join!(kill, join_all(logins));
        program.run(&["audit", "verify"]).expect(0);
    }
    let acknowledged = acknowledged.into_inner();
    assert!(!acknowledged.is_empty());
    let export = program.run(&["audit", "export", "--format", "ndjson"]).expect(0);
    let events: Vec<serde_json::Value> = export.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for id in &acknowledged {
        let started = |event: &&serde_json::Value| event["kind"] == "session.started" && event["session_id"] == **id;
        assert_eq!(events.iter().filter(started).count(), 1, "{id}");
    }
    // What the last server left waiting is sealed by the next.
    let server = program.serve();
    until("what waited is sealed", async || {
        let told = program.run(&["audit", "verify", "--json"]).json();
        assert_eq!(told["intact"], true, "{told}");
        told["waiting"] == 0
    })
    .await;
    drop(server);
}
