//! Sessions that a client application started: they go on with it alone, and what was only claimed is kept apart (TOK-05).

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::audit::AuditKind;
use vigie::model::session::EndReason;

use crate::support::app::{PASSWORD, TestApp, send};
use crate::support::application::Application;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::token::claims;

const WRONG: &str = "vgc_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// TOK-05: whoever has the refresh token alone neither goes on with the session nor ends it.
#[rstest]
#[actix_web::test]
async fn tok_05_a_session_of_a_client_refreshes_with_it_alone(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (crm, erp) = (app.application("crm").await, app.application("erp").await);
    app.user("alice", "agent").await;
    let first = crm.log_in("alice").await;
    first.refresh().await.problem(401, "token_invalid");
    erp.refresh(&first.refresh_token).await.problem(401, "token_invalid");
    let answer = crm.with_secret(WRONG).refresh(&first.refresh_token).await;
    assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Basic")));
    answer.problem(401, "invalid_client");
    let second = app.client(&crm.refresh(&first.refresh_token).await.expect(200));
    // Not even a spent one: that is theft only where the client shows it.
    app.advance(TimeDelta::minutes(1));
    for _ in 0..2 {
        first.refresh().await.problem(401, "token_invalid");
        erp.refresh(&first.refresh_token).await.problem(401, "token_invalid");
    }
    second.get("/auth/me").await.expect(200);
    crm.refresh(&first.refresh_token).await.problem(401, "session_ended");
    assert_eq!(app.end_reason(&first.session_id).await, Some(EndReason::RefreshReused));
    // What is no client's own may go on with any.
    let plain = app.log_in("alice").await;
    erp.refresh(&plain.refresh_token).await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn a_client_that_fails_to_authenticate_logs_nobody_in(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let crm = app.application("crm").await;
    app.user("alice", "agent").await;
    let body = json!({ "username": "alice", "password": PASSWORD });
    let log_in = async |client: &Application<'_>, body: &Value| send(client.request("/auth/login").json(body)).await;
    log_in(&crm.with_secret(WRONG), &body).await.problem(401, "invalid_client");
    log_in(&Application { id: "nobody".to_owned(), ..crm.clone() }, &body).await.problem(401, "invalid_client");
    let another = json!({ "username": "alice", "password": PASSWORD, "client_id": "erp" });
    log_in(&crm, &another).await.problem(422, "invalid_input");
    assert_eq!((app.session_rows().await, app.attempts().await.len()), (0, 0));
    let same = json!({ "username": "alice", "password": PASSWORD, "client_id": "crm" });
    assert_eq!(log_in(&crm, &same).await.expect(200)["session"]["client_id"], "crm");
    log_in(&crm, &json!({ "username": "alice", "password": "wrong" })).await.problem(401, "invalid_credentials");
    let failed = app.attempts().await.into_iter().next().expect("an attempt");
    assert_eq!(failed.client.authenticated().map(ToString::to_string).as_deref(), Some("crm"));
}

/// What somebody only named is never shown as what authenticated: in the row, the token, lists, exports and the history.
#[rstest]
#[actix_web::test]
async fn a_claimed_client_is_kept_apart_everywhere(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (crm, root) = (app.application("crm").await, app.admin().await);
    app.user("alice", "agent").await;
    let own = crm.log_in("alice").await;
    app.advance(TimeDelta::seconds(1));
    let body = json!({ "username": "alice", "password": PASSWORD, "client_id": "crm" });
    let claimed = app.client(&app.nobody().post("/auth/login", body).await.expect(200));
    let names = |object: &Value| (object["client_id"].clone(), object["claimed_client_id"].clone());
    let (as_own, as_claim) = ((json!("crm"), Value::Null), (Value::Null, json!("crm")));

    assert_eq!(names(&claims(own.token())), as_own);
    assert_eq!(names(&claims(claimed.token())), (json!("vigie"), json!("crm")));
    assert_eq!(names(&own.get("/auth/me").await.expect(200)["session"]), as_own);
    assert_eq!(names(&claimed.get("/auth/me").await.expect(200)["session"]), as_claim);
    for (client, expected) in [(&own, &as_own), (&claimed, &as_claim)] {
        let shown = root.get(&format!("/admin/sessions/{}", client.session_id)).await.expect(200);
        assert_eq!(names(&shown["session"]), *expected, "{shown}");
        let started = app.events_of(AuditKind::SessionStarted, &client.session_id).await;
        let details = &started[0].event.details;
        assert_eq!(details["client_id"], "crm");
        assert_eq!(details["client_authenticated"] == true, expected == &as_own, "{details}");
    }
    let attempts = root.get("/admin/attempts?user=alice").await.expect(200);
    let found: Vec<_> = attempts["items"].as_array().expect("items").iter().map(names).collect();
    assert_eq!(found, [as_claim.clone(), as_own.clone()]);
    let exported = root.get("/admin/sessions/export?format=csv&user=alice&purpose=x").await.body;
    assert!(
        exported.lines().next().is_some_and(|header| header.trim().ends_with("claimed_client_id,name")),
        "{exported}"
    );
    let ends: Vec<bool> = exported.lines().skip(1).map(|line| line.trim().ends_with(",crm,")).collect();
    assert_eq!(ends.iter().filter(|is_claim| **is_claim).count(), 1, "{exported}");
    // What is about sessions through a client is about both.
    let listed = root.get("/admin/sessions?client_id=crm").await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
    root.delete("/admin/clients/crm").await.expect(204);
    for client in [&own, &claimed] {
        assert_eq!(app.end_reason(&client.session_id).await, Some(EndReason::ClientRemoved));
    }
}
