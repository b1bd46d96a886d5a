//! Sessions: how long they live, how many there are, who sees and ends them, and what is kept of their end
//! (SES-01, SES-06, SES-07, SES-13 to SES-17, ADM-02).

use std::collections::BTreeSet;

use chrono::TimeDelta;
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;
use vigie::model::attempt::AttemptOutcome;
use vigie::model::audit::{AuditContext, AuditKind};
use vigie::model::filter::SessionFilter;
use vigie::model::id::{SessionId, UserId};
use vigie::model::not_before::Scope;
use vigie::model::session::{Actor, ActorKind, EndReason};
use vigie::model::user::{Role, UserState};
use vigie::user::change::UserChange;

use crate::support::app::{PASSWORD, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::token::claims;

/// An access token that outlives the idle time, so that only the session can end the access.
const LONG_TOKENS: (&str, &str) = ("VIGIE__TOKENS__ACCESS_TTL", "24h");

fn ids(list: &Value) -> Vec<String> {
    list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// Every page of a list, followed by its cursors.
async fn all_pages(client: &TestClient<'_>, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = None::<String>;
    loop {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = client.get(&format!("{path}{after}")).await.expect(200);
        found.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return found,
        }
    }
}

#[rstest]
#[actix_web::test]
async fn ses_01_each_login_is_one_row_and_a_failure_is_none(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let first = app.signed_in("alice").await;
    app.advance(TimeDelta::seconds(1));
    let second = app.log_in("alice").await;
    assert_ne!(first.session_id, second.session_id);
    app.advance(TimeDelta::seconds(1));
    let wrong = json!({ "username": "alice", "password": "x" });
    app.nobody().post("/auth/login", wrong).await.problem(401, "invalid_credentials");
    assert_eq!(app.session_rows().await, 2);
    let attempts = app.attempts().await;
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::WrongPassword, AttemptOutcome::Success, AttemptOutcome::Success]);
    assert_eq!(attempts[0].session_id, None);
    assert_eq!(attempts[1].session_id.map(|id| id.to_string()).as_deref(), Some(second.session_id.as_str()));
    for client in [&first, &second] {
        let said = claims(client.token());
        let row = app.session_row(&client.session_id).await;
        assert_eq!(
            (said["sid"].as_str(), said["sub"].as_str()),
            (Some(row.id.to_string().as_str()), Some(row.user_id.to_string().as_str()))
        );
        assert_eq!(said["jti"], row.token.id.to_string());
        assert_eq!(said["auth_time"], row.started_at.timestamp());
        assert_eq!(row.methods, ["pwd"]);
        assert_eq!(app.events_of(AuditKind::SessionStarted, &client.session_id).await.len(), 1);
    }
}

#[rstest]
#[actix_web::test]
async fn ses_06_the_idle_time_ends_a_session_whatever_its_token_says(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[LONG_TOKENS]).await;
    let alice = app.signed_in("alice").await;
    for _ in 0..2 {
        app.advance(TimeDelta::minutes(29));
        alice.get("/auth/me").await.expect(200);
    }
    let last_use = app.now();
    app.advance(TimeDelta::minutes(31));
    alice.get("/auth/me").await.problem(401, "session_ended");
    alice.get("/auth/verify").await.problem(401, "session_ended");
    alice.refresh().await.problem(401, "session_ended");
    // What was refused did not wake it.
    alice.get("/auth/me").await.problem(401, "session_ended");
    app.app.sessions.record_expired().await.expect("recorded");
    let end = app.session_row(&alice.session_id).await.end.expect("an end");
    assert_eq!((end.reason, end.at), (EndReason::IdleTimeout, last_use + TimeDelta::minutes(30)));
    assert_eq!(end.by, Actor::system("expiry"));
}

#[rstest]
#[actix_web::test]
async fn ses_06_the_last_use_is_known_after_a_restart(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[LONG_TOKENS]).await;
    let alice = app.signed_in("alice").await;
    let (token, id) = (alice.token().to_owned(), alice.session_id.clone());
    app.advance(TimeDelta::minutes(29));
    alice.get("/auth/me").await.expect(200);
    let app = app.restart().await;
    assert_eq!(app.session_row(&id).await.last_seen_at, app.now());
    app.advance(TimeDelta::minutes(29));
    app.nobody().with_token(&token).get("/auth/me").await.expect(200);
    app.advance(TimeDelta::minutes(30));
    app.nobody().with_token(&token).get("/auth/me").await.problem(401, "session_ended");
}

#[rstest]
#[actix_web::test]
async fn ses_07_use_never_extends_the_lifetime(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[LONG_TOKENS, ("VIGIE__SESSIONS__LIFETIME", "2h")]).await;
    let alice = app.signed_in("alice").await;
    for _ in 0..5 {
        app.advance(TimeDelta::minutes(20));
        alice.get("/auth/me").await.expect(200);
    }
    app.advance(TimeDelta::minutes(20) - TimeDelta::microseconds(1));
    alice.get("/auth/me").await.expect(200);
    app.advance(TimeDelta::microseconds(1));
    let answer = alice.get("/auth/me").await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    app.app.sessions.record_expired().await.expect("recorded");
    let row = app.session_row(&alice.session_id).await;
    let end = row.end.expect("an end");
    assert_eq!((end.reason, end.at), (EndReason::Expired, row.started_at + TimeDelta::hours(2)));
}

#[rstest]
#[actix_web::test]
async fn ses_15_one_login_too_many_ends_the_oldest(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__MAX_PER_USER", "3")]).await;
    let bob = app.signed_in("bob").await;
    let mut clients = vec![app.signed_in("alice").await];
    for _ in 0..3 {
        app.advance(TimeDelta::seconds(1));
        clients.push(app.log_in("alice").await);
    }
    clients[0].get("/auth/me").await.problem(401, "session_ended");
    clients[0].refresh().await.problem(401, "session_ended");
    for client in clients[1..].iter().chain([&bob]) {
        client.get("/auth/me").await.expect(200);
    }
    let end = app.session_row(&clients[0].session_id).await.end.expect("an end");
    assert_eq!((end.reason, end.by.kind, end.at), (EndReason::SessionLimit, ActorKind::System, app.now()));
}

#[rstest]
#[actix_web::test]
async fn ses_15_the_limit_holds_against_many_logins_at_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__MAX_PER_USER", "3")]).await;
    let node = app.another_node().await;
    app.user("alice", "agent").await;
    let login = json!({ "username": "alice", "password": PASSWORD });
    let logins = (0..12).map(|number| {
        let app = if number % 2 == 0 { &app } else { &node };
        let login = login.clone();
        async move { app.nobody().post("/auth/login", login).await.expect(200) }
    });
    let answers = join_all(logins).await;
    let mut alive = 0;
    for answer in &answers {
        alive += usize::from(app.client(answer).get("/auth/me").await.status == 200);
    }
    assert_eq!(alive, 3);
}

#[rstest]
#[actix_web::test]
async fn logging_out_everywhere_may_spare_this_session(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let bob = app.signed_in("bob").await;
    let here = app.signed_in("alice").await;
    let others = [app.log_in("alice").await, app.log_in("alice").await];
    let answer = here.post("/auth/logout-all", json!({ "keep_current": true })).await.expect(200);
    assert_eq!(answer, json!({ "ended": 2 }));
    here.get("/auth/me").await.expect(200);
    for other in &others {
        other.get("/auth/me").await.problem(401, "session_ended");
        other.refresh().await.problem(401, "session_ended");
    }
    let answer = here.post("/auth/logout-all", json!({ "keep_current": true })).await.expect(200);
    assert_eq!(answer, json!({ "ended": 0 }));
    let third = app.log_in("alice").await;
    assert_eq!(here.post_empty("/auth/logout-all").await.expect(200), json!({ "ended": 2 }));
    for ended in [&here, &third] {
        ended.get("/auth/me").await.problem(401, "session_ended");
    }
    bob.get("/auth/me").await.expect(200);
    assert_eq!(app.end_reason(&third.session_id).await, Some(EndReason::LogoutAll));
}

#[rstest]
#[actix_web::test]
async fn ses_13_the_own_list_has_the_own_sessions_only_and_tells_this_one(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let bob = app.signed_in("bob").await;
    let first = app.signed_in("alice").await;
    app.advance(TimeDelta::seconds(1));
    let second = app.log_in("alice").await;
    app.advance(TimeDelta::seconds(1));
    let third = app.log_in("alice").await;
    third.post_empty("/auth/logout").await.expect(204);

    let active = first.get("/auth/sessions").await.expect(200);
    assert_eq!(ids(&active), [second.session_id.as_str(), first.session_id.as_str()]);
    assert_eq!(active["next_cursor"], Value::Null);
    let current: Vec<_> = active["items"].as_array().expect("a list").iter().map(|item| &item["current"]).collect();
    assert_eq!(current, [&json!(false), &json!(true)]);
    let ended = first.get("/auth/sessions?state=ended").await.expect(200);
    assert_eq!(ids(&ended), [third.session_id.as_str()]);
    assert_eq!(ended["items"][0]["end_reason"], "logout");
    assert_eq!(ended["items"][0]["ended_by"]["kind"], "user");
    assert_eq!(ended["items"][0]["state"], "ended");
    let all = first.get("/auth/sessions?state=all").await.expect(200);
    assert_eq!(ids(&all).len(), 3);
    assert_eq!(ids(&bob.get("/auth/sessions?state=all").await.expect(200)), [bob.session_id.as_str()]);
}

#[rstest]
#[actix_web::test]
async fn the_own_list_shows_what_time_has_ended(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let old = app.signed_in("alice").await;
    app.advance(TimeDelta::minutes(45));
    let here = app.log_in("alice").await;
    assert_eq!(ids(&here.get("/auth/sessions").await.expect(200)), [here.session_id.as_str()]);
    let ended = here.get("/auth/sessions?state=ended").await.expect(200);
    assert_eq!(ids(&ended), [old.session_id.as_str()]);
    assert_eq!(ended["items"][0]["end_reason"], "idle_timeout");
}

#[rstest]
#[actix_web::test]
async fn adm_10_pages_have_no_gap_and_no_duplicate_while_logins_go_on(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start_with(backend, &[("VIGIE__SESSIONS__MAX_PER_USER", "0")]).await;
    let alice = app.signed_in("alice").await;
    // The clock stands still: only the id tells these logins apart.
    for _ in 0..22 {
        app.log_in("alice").await;
    }
    let known: BTreeSet<String> = all_pages(&alice, "/auth/sessions?limit=500").await.into_iter().collect();
    assert_eq!(known.len(), 23);
    for limit in [1, 7, 23] {
        let pages = all_pages(&alice, &format!("/auth/sessions?limit={limit}")).await;
        assert_eq!(pages.len(), 23, "limit {limit}");
        assert_eq!(pages.into_iter().collect::<BTreeSet<_>>(), known);
    }
    let first = alice.get("/auth/sessions?limit=10").await.expect(200);
    app.advance(TimeDelta::seconds(1));
    app.log_in("alice").await;
    let cursor = first["next_cursor"].as_str().expect("a further page");
    let mut rest = ids(&first);
    let second = alice.get(&format!("/auth/sessions?limit=10&cursor={cursor}")).await.expect(200);
    let cursor = second["next_cursor"].as_str().expect("a further page");
    let third = alice.get(&format!("/auth/sessions?limit=10&cursor={cursor}")).await.expect(200);
    rest.extend(ids(&second).into_iter().chain(ids(&third)));
    assert_eq!(third["next_cursor"], Value::Null);
    assert_eq!(rest.len(), 23);
    assert_eq!(rest.into_iter().collect::<BTreeSet<_>>(), known);
}

#[rstest]
#[actix_web::test]
async fn ses_13_an_own_session_is_ended_by_its_id(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let here = app.signed_in("alice").await;
    let other = app.log_in("alice").await;
    let path = format!("/auth/sessions/{}", other.session_id);
    here.delete(&path).await.expect(204);
    other.get("/auth/me").await.problem(401, "session_ended");
    other.refresh().await.problem(401, "session_ended");
    assert_eq!(app.end_reason(&other.session_id).await, Some(EndReason::EndedByOwner));
    here.delete(&path).await.expect(204);
    assert_eq!(app.events_of(AuditKind::SessionEnded, &other.session_id).await.len(), 1);
    here.delete(&format!("/auth/sessions/{}", here.session_id)).await.expect(204);
    here.get("/auth/me").await.problem(401, "session_ended");
}

#[rstest]
#[actix_web::test]
async fn adm_02_another_persons_session_is_not_there(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, bob) = (app.signed_in("alice").await, app.signed_in("bob").await);
    let root = app.admin().await;
    let before = app.session_row(&bob.session_id).await;
    let unknown = Uuid::now_v7().to_string();
    let upper = bob.session_id.to_uppercase();
    for id in [bob.session_id.as_str(), &unknown, &upper, "x", "0", "%00", "..", "me"] {
        for client in [&alice, &root] {
            client.delete(&format!("/auth/sessions/{id}")).await.problem(404, "not_found");
        }
    }
    assert_eq!(app.session_row(&bob.session_id).await, before);
    bob.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn ses_14_ending_another_session_asks_for_a_recent_login(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut alice = app.signed_in("alice").await;
    app.advance(TimeDelta::minutes(5));
    let other = app.log_in("alice").await;
    let path = format!("/auth/sessions/{}", other.session_id);
    app.advance(TimeDelta::minutes(5) + TimeDelta::seconds(1));
    // A refresh is no login.
    alice = app.client(&alice.refresh().await.expect(200));
    alice.delete(&path).await.problem(401, "reauthentication_required");
    let other = app.client(&other.refresh().await.expect(200));
    other.get("/auth/me").await.expect(200);
    assert_eq!(app.end_reason(&other.session_id).await, None);
    // One's own way out is always open.
    alice.delete(&format!("/auth/sessions/{}", alice.session_id)).await.expect(204);
    let again = app.log_in("alice").await;
    app.advance(TimeDelta::minutes(10) - TimeDelta::seconds(1));
    again.delete(&path).await.expect(204);
}

#[rstest]
#[actix_web::test]
async fn one_sees_the_tries_on_ones_own_account(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let bob = app.signed_in("bob").await;
    for _ in 0..3 {
        app.advance(TimeDelta::seconds(1));
        let wrong = json!({ "username": "Alice", "password": "x" });
        app.nobody().post("/auth/login", wrong).await.problem(401, "invalid_credentials");
    }
    let list = alice.get("/auth/attempts").await.expect(200);
    let outcomes: Vec<_> = list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["outcome"].as_str().expect("a word"))
        .collect();
    assert_eq!(outcomes, ["wrong_password", "wrong_password", "wrong_password", "success"]);
    assert_eq!(list["items"][3]["session_id"], alice.session_id.as_str());
    assert_eq!(list["items"][0]["ip"], "127.0.0.1");
    assert_eq!(list["items"][0]["username"], "alice");
    let paged = all_pages(&alice, "/auth/attempts?limit=1").await;
    assert_eq!(paged, ids(&list));
    assert_eq!(ids(&bob.get("/auth/attempts").await.expect(200)).len(), 1);
}

/// The one way in which a test ends a session.
async fn end(app: &TestApp, client: &TestClient<'_>, reason: EndReason, user_id: UserId) {
    let id: SessionId = client.session_id.parse().expect("an id");
    let (sessions, users) = (&app.app.sessions, &app.app.users);
    let (context, operator) = (AuditContext::command_line(), AuditContext::system("test"));
    let of_user = SessionFilter::of_user(user_id).into();
    let mut change = UserChange::default();
    match reason {
        EndReason::Logout => drop(client.post_empty("/auth/logout").await.expect(204)),
        EndReason::LogoutAll => drop(client.post_empty("/auth/logout-all").await.expect(200)),
        EndReason::EndedByOwner => drop(client.delete(&format!("/auth/sessions/{id}")).await.expect(204)),
        EndReason::EndedByAdmin | EndReason::TokenRevoked | EndReason::ClientRemoved => {
            let note = Some("a note".to_owned());
            assert_eq!(sessions.end(id, reason, note, &operator).await.expect("ended"), Some(true));
        }
        EndReason::BulkEnd => {
            sessions.end_matching(of_user, None, false, &operator).await.expect("ended");
        }
        EndReason::PasswordChanged => {
            let other = app.log_in("alice").await;
            let body = json!({ "current_password": PASSWORD, "new_password": "cinq canards bleus nagent" });
            other.post("/auth/password", body).await.expect(200);
        }
        EndReason::RightsChanged => change.role = Role::parse("other").ok(),
        EndReason::UserDisabled => change.state = Some(UserState::Disabled),
        EndReason::UserDeleted => users.delete(user_id, &context).await.expect("deleted"),
        EndReason::RefreshReused => {
            let next = app.client(&client.refresh().await.expect(200));
            next.refresh().await.expect(200);
            client.refresh().await.problem(401, "session_ended");
        }
        EndReason::IdleTimeout => app.advance(TimeDelta::minutes(40)),
        EndReason::Expired => {
            for _ in 0..72 {
                app.advance(TimeDelta::minutes(10));
                client.get("/auth/me").await;
            }
        }
        EndReason::SessionLimit => {
            app.advance(TimeDelta::seconds(1));
            app.log_in("alice").await;
            app.log_in("alice").await;
        }
        EndReason::NotBefore => {
            app.advance(TimeDelta::seconds(1));
            sessions.set_not_before(Scope::User(user_id), None, None, &operator).await.expect("set");
        }
    }
    if change.role.is_some() || change.state.is_some() {
        users.change(user_id, change, &context).await.expect("changed");
    }
}

#[rstest]
#[actix_web::test]
async fn ses_17_each_end_is_recorded_once_with_who_when_and_why(#[values(Sqlite, Postgres)] backend: Backend) {
    for reason in EndReason::ALL {
        let reason = *reason;
        let settings =
            [LONG_TOKENS, ("VIGIE__SESSIONS__MAX_PER_USER", "2"), ("VIGIE__SESSIONS__END_ON_ROLE_CHANGE", "true")];
        let app = TestApp::start_with(backend, &settings).await;
        let user = app.user("alice", "agent").await;
        let alice = app.log_in("alice").await;
        let started_at = app.now();
        end(&app, &alice, reason, user.id).await;
        alice.get("/auth/verify").await.expect(401);
        app.app.sessions.record_expired().await.expect("recorded");

        let row = app.session_row(&alice.session_id).await;
        let recorded = row.end.clone().unwrap_or_else(|| panic!("{reason} is recorded"));
        let actor = match reason {
            EndReason::Logout | EndReason::LogoutAll | EndReason::EndedByOwner | EndReason::PasswordChanged => {
                Actor::user(user.id)
            }
            EndReason::IdleTimeout | EndReason::Expired => Actor::system("expiry"),
            EndReason::RefreshReused => Actor::system("refresh"),
            EndReason::SessionLimit => Actor::system("session_limit"),
            EndReason::UserDisabled | EndReason::UserDeleted | EndReason::RightsChanged => Actor::command_line(),
            _ => Actor::system("test"),
        };
        let at = match reason {
            EndReason::IdleTimeout => started_at + TimeDelta::minutes(30),
            EndReason::Expired => started_at + TimeDelta::hours(12),
            _ => app.now(),
        };
        assert_eq!((recorded.reason, &recorded.by, recorded.at), (reason, &actor, at));
        assert_eq!(row.username.as_str(), "alice");
        let events = app.events_of(AuditKind::SessionEnded, &alice.session_id).await;
        assert_eq!(events.len(), 1, "{reason}");
        assert_eq!(events[0].event.details["reason"], reason.as_str());
        assert_eq!(events[0].event.context.actor, actor, "{reason}");

        // The first end wins; a second changes nothing, and is no fault.
        app.advance(TimeDelta::seconds(1));
        let second = app.app.sessions.end(row.id, EndReason::EndedByAdmin, None, &AuditContext::command_line()).await;
        assert_eq!(second.expect("no fault"), Some(false));
        app.app.sessions.record_expired().await.expect("recorded");
        assert_eq!(app.session_row(&alice.session_id).await, row, "{reason}");
        assert_eq!(app.events_of(AuditKind::SessionEnded, &alice.session_id).await.len(), 1, "{reason}");
    }
}

#[rstest]
#[actix_web::test]
async fn a_login_shows_where_it_came_from(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let login = app.nobody().request(reqwest::Method::POST, "/auth/login").header("user-agent", agent);
    let body = json!({ "username": "alice", "password": PASSWORD, "device_name": "bureau" });
    let answer = crate::support::app::send(login.json(&body)).await.expect(200);
    let session = &answer["session"];
    assert_eq!(session["user_agent"], agent);
    assert_eq!(session["device"], json!({ "browser": "Firefox", "os": "Linux", "kind": "pc" }));
    assert_eq!((session["ip"].as_str(), session["last_ip"].as_str()), (Some("127.0.0.1"), Some("127.0.0.1")));
    assert_eq!(session["user"], json!({ "id": answer["user"]["id"], "username": "alice", "role": "agent" }));
    assert_eq!((session["state"].as_str(), &session["ended_at"]), (Some("active"), &Value::Null));
    let me = app.client(&answer).get("/auth/me").await.expect(200);
    assert_eq!(me["session"]["id"], session["id"]);
    assert_eq!(me["session"]["current"], true);
    assert_eq!(me["user"], answer["user"]);
}
