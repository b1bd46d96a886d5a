//! A client that is removed takes its sessions along (P2).

use futures_util::future::join_all;
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use vigie::model::audit::AuditKind;
use vigie::model::session::EndReason;

use crate::support::app::{Answer, PASSWORD, TestApp, TestClient, send};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::program::Program;

/// Logs in through a client.
async fn through<'a>(app: &'a TestApp, name: &str, client: &str) -> Option<TestClient<'a>> {
    let body = json!({ "username": name, "password": PASSWORD, "client_id": client });
    let answer = app.nobody().post("/auth/login", body).await;
    if answer.status == 200 {
        Some(app.client(&answer.expect(200)))
    } else {
        answer.problem(422, "invalid_input");
        None
    }
}

#[rstest]
#[actix_web::test]
async fn the_sessions_of_a_removed_client_end_on_every_node(#[values(Sqlite, Postgres)] backend: Backend) {
    let here = TestApp::start(backend).await;
    let there = here.another_node().await;
    let root = here.admin().await;
    here.user("alice", "agent").await;
    here.registered_client("crm").await;
    here.registered_client("erp").await;
    let of_crm = through(&here, "alice", "crm").await.expect("it is registered");
    let (of_erp, of_none) = (through(&here, "alice", "erp").await.expect("registered"), here.log_in("alice").await);
    let elsewhere = of_crm.at(&there);
    elsewhere.get("/auth/me").await.expect(200);
    root.delete("/admin/clients/crm").await.expect(204);
    for node in [&of_crm, &elsewhere] {
        node.get("/auth/me").await.problem(401, "session_ended");
        node.refresh().await.problem(401, "session_ended");
    }
    assert_eq!(here.end_reason(&of_crm.session_id).await, Some(EndReason::ClientRemoved));
    of_erp.get("/auth/me").await.expect(200);
    of_none.get("/auth/me").await.expect(200);
    assert!(through(&there, "alice", "crm").await.is_none());
    let removed = here.events().await.into_iter().find(|event| event.event.kind == AuditKind::ClientRemoved);
    assert_eq!(removed.expect("it is recorded").event.details, json!({ "sessions_ended": 1 }));
    root.delete("/admin/clients/crm").await.problem(404, "not_found");
}

/// Nobody who logs in at the same moment keeps a session of a client that is gone.
#[rstest]
#[actix_web::test]
async fn no_login_outlives_a_client_that_is_removed_meanwhile(#[values(Sqlite, Postgres)] backend: Backend) {
    let here = TestApp::start_with(backend, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    let there = here.another_node().await;
    let root = here.admin().await;
    let names: Vec<String> = (0..8).map(|number| format!("user-{number}")).collect();
    for name in &names {
        here.user(name, "agent").await;
    }
    for round in 0..4 {
        here.registered_client("crm").await;
        let logins = names.iter().enumerate().map(|(number, name)| {
            let node = if number % 2 == 0 { &here } else { &there };
            through(node, name, "crm")
        });
        let remove = async {
            tokio::time::sleep(std::time::Duration::from_millis(3 * round)).await;
            root.delete("/admin/clients/crm").await.expect(204);
        };
        let (sessions, ()) = tokio::join!(join_all(logins), remove);
        for session in sessions.into_iter().flatten() {
            session.get("/auth/me").await.problem(401, "session_ended");
        }
    }
}

/// The same where the client authenticates: the session would be its own.
#[rstest]
#[actix_web::test]
async fn no_login_of_a_client_outlives_its_removal(#[values(Sqlite, Postgres)] backend: Backend) {
    let here = TestApp::start_with(backend, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    let there = here.another_node().await;
    let root = here.admin().await;
    let names: Vec<String> = (0..8).map(|number| format!("user-{number}")).collect();
    for name in &names {
        here.user(name, "agent").await;
    }
    let body = |name: &String| json!({ "username": name, "password": PASSWORD });
    for round in 0..6 {
        let crm = here.application("crm").await;
        let (first, elsewhere) = (crm.log_in("user-0").await, crm.at(&there));
        let logins = names.iter().enumerate().map(|(number, name)| {
            let node = if number % 2 == 0 { &crm } else { &elsewhere };
            send(node.request("/auth/login").json(&body(name)))
        });
        let refresh = crm.refresh(&first.refresh_token);
        let remove = async {
            tokio::time::sleep(std::time::Duration::from_millis(3 * round)).await;
            root.delete("/admin/clients/crm").await.expect(204);
        };
        let (answers, refreshed, ()) = tokio::join!(join_all(logins), refresh, remove);
        let mut sessions = vec![first];
        for answer in answers.into_iter().chain([refreshed]) {
            match answer.status {
                200 => sessions.push(here.client(&answer.expect(200))),
                // Too many have failed from here.
                429 => drop(answer.problem(429, "too_many_attempts")),
                _ => assert!(["invalid_client", "session_ended"].contains(&&*code(answer, 401))),
            }
        }
        for session in &sessions {
            for node in [session, &session.at(&there)] {
                node.get("/auth/me").await.problem(401, "session_ended");
            }
        }
        let page = root.get("/admin/sessions?client_id=crm&state=active").await.expect(200);
        assert_eq!(page["items"], json!([]), "round {round}");
    }
}

/// The code of a problem of this status.
#[track_caller]
fn code(answer: Answer, status: u16) -> String {
    answer.expect(status)["code"].as_str().expect("a code").to_owned()
}

/// More than go with one transaction.
#[rstest]
#[actix_web::test]
async fn a_client_takes_hundreds_of_sessions_along(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    app.registered_client("crm").await;
    let alice = app.user("alice", "agent").await;
    let client = vigie::model::client::ClientId::parse("crm").expect("an id");
    let origin = || vigie::model::session::ClientInfo { ip: [127, 0, 0, 1].into(), user_agent: None };
    let new = || {
        app.app.sessions.new_session(
            &alice,
            origin(),
            vigie::model::client::LoginClient::Authenticated(client.clone()),
            None,
        )
    };
    let sessions: Vec<_> = (0..1_201).map(|_| new()).collect();
    let insert = move |db: &mut _| {
        sessions.iter().try_for_each(|session| {
            vigie::store::sessions::insert(db, session)?;
            vigie::store::access_tokens::insert(db, session.id, &session.token)
        })
    };
    app.app.store.write(insert).await.map_err(|error: vigie::store::StoreError| error).expect("written");
    root.delete("/admin/clients/crm").await.expect(204);
    let page = root.get("/admin/sessions?client_id=crm&state=active").await.expect(200);
    assert_eq!(page["items"], json!([]));
    let removed = app.events().await.into_iter().find(|event| event.event.kind == AuditKind::ClientRemoved);
    assert_eq!(removed.expect("it is recorded").event.details, json!({ "sessions_ended": 1_201 }));
}

/// What a client that is gone was given can still be refused by a moment; a typo is none of its ids.
#[rstest]
#[actix_web::test]
async fn a_not_before_of_a_removed_client_stays_possible(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    app.user("alice", "agent").await;
    app.registered_client("crm").await;
    through(&app, "alice", "crm").await.expect("it is registered");
    root.delete("/admin/clients/crm").await.expect(204);
    root.post("/admin/not-before", json!({ "client_id": "crm", "note": "why" })).await.expect(204);
    root.post("/admin/not-before", json!({ "client_id": "crn", "note": "why" })).await.problem(404, "not_found");
}

/// Whose record is newer than what was looked up just before was changed by nobody behind the server's back.
#[rstest]
#[actix_web::test]
async fn of_many_who_register_a_removed_client_one_does_and_nothing_is_called_altered(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let program = Program::new(backend);
    program.add_user("root", "admin");
    let server = program.serve();
    let token = server.token("root").await;
    let client = || json!({ "id": "crm", "name": "CRM", "scopes": [] });
    for _ in 0..10 {
        let registered = join_all((0..8).map(|_| server.post("/admin/clients", &token, client()))).await;
        let mut statuses: Vec<u16> = registered.into_iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
        let removed = server.request(Method::DELETE, "/admin/clients/crm", &token);
        assert_eq!(send(removed).await.status, 204);
    }
    let (_, log) = server.stop();
    assert!(!log.contains(" ERROR "), "{log}");
    program.run(&["audit", "verify"]).expect(0);
}
