//! The real program: killed right after it answered, and told to stop while it answers.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::app::{Answer, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::program::{Program, Server};
use crate::support::until::until;

/// The access token of an answer.
fn token(answer: &Value) -> &str {
    answer["access_token"].as_str().expect("a token")
}

async fn me(server: &Server, of: &Value) -> Answer {
    server.get("/auth/me", token(of)).await
}

async fn refresh(server: &Server, of: &Value) -> Answer {
    server.post("/auth/refresh", "", json!({ "refresh_token": of["refresh_token"] })).await
}

async fn post_empty(server: &Server, path: &str, of: &Value) -> Answer {
    send(server.request(Method::POST, path, token(of))).await
}

#[rstest]
#[actix_web::test]
async fn an_end_that_was_acknowledged_outlives_kill_9(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    for round in 0..3 {
        let server = program.serve();
        let (ended, open) = (server.log_in("alice").await, server.log_in("alice").await);
        let spent = server.log_in("alice").await;
        let next = refresh(&server, &spent).await.expect(200);
        post_empty(&server, "/auth/logout", &ended).await.expect(204);
        server.kill();

        let server = program.serve();
        me(&server, &ended).await.problem(401, "session_ended");
        refresh(&server, &ended).await.problem(401, "session_ended");
        // What was not ended goes on, with the tokens that were handed out last.
        me(&server, &open).await.expect(200);
        me(&server, &next).await.expect(200);
        let once_more = refresh(&server, &next).await.expect(200);
        assert_eq!(once_more["session"]["id"], spent["session"]["id"], "round {round}");
        post_empty(&server, "/auth/logout-all", &open).await.expect(200);
        server.kill();

        let server = program.serve();
        me(&server, &open).await.problem(401, "session_ended");
        me(&server, &once_more).await.problem(401, "session_ended");
    }
}

/// Killed at no moment in particular: what was answered holds, and the next start needs no repair.
#[rstest]
#[actix_web::test]
async fn killed_in_the_middle_of_many_logouts_no_answered_one_is_undone(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend).with("VIGIE__SESSIONS__MAX_PER_USER", "0");
    program.add_user("alice", "agent");
    for pause in [0, 3, 9] {
        let server = program.serve();
        let mut logins = Vec::new();
        for _ in 0..12 {
            logins.push(server.log_in("alice").await);
        }
        let logouts = logins.iter().map(async |login| {
            // The server is killed meanwhile: no answer is an answer here.
            let answer = server.request(Method::POST, "/auth/logout", token(login)).send().await;
            answer.is_ok_and(|answer| answer.status() == 204)
        });
        let killing = async {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            server.kill();
        };
        let (answered, ()) = tokio::join!(join_all(logouts), killing);

        let server = program.serve();
        for (login, answered) in logins.iter().zip(answered) {
            let after = me(&server, login).await;
            if answered {
                after.problem(401, "session_ended");
            } else {
                assert!(matches!(after.status, 200 | 401), "{after:?}");
            }
        }
    }
}

/// SIGTERM while a password is being hashed: the login is answered, then the program ends well.
#[rstest]
#[actix_web::test]
async fn told_to_stop_it_answers_what_is_under_way_and_ends_well(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend)
        .with("VIGIE__PASSWORDS__ARGON2_MEMORY_KIB", "65536")
        .with("VIGIE__PASSWORDS__ARGON2_ITERATIONS", "30");
    program.add_user("alice", "agent");
    let mut server = program.serve();
    let login = async { (server.log_in("alice").await, Instant::now()) };
    let stopping = async {
        // The password is being hashed by then, which nobody sees from outside.
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.tell_to_stop();
        let told = Instant::now();
        let is_refused = async || {
            let late = server.request(Method::GET, "/health/live", "").header("connection", "close");
            late.timeout(Duration::from_millis(200)).send().await.is_err()
        };
        until("nothing new is taken", is_refused).await;
        (told, Instant::now())
    };
    let ((login, answered), (told, refused)) = tokio::join!(login, stopping);
    assert!(told < answered, "the login was over before the stop: make it slower");
    assert!(refused < answered, "something new is taken meanwhile");
    // Told once more, it would end at once.
    assert_eq!(server.wait(), Some(0));

    me(&program.serve(), &login).await.expect(200);
}
