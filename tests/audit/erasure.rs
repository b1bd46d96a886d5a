//! A person takes the own history along, and is erased from ours (PRV-04): the evidence stays and still verifies.

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::background::JOBS;
use vigie::model::alert::{AlertKind, NewAlert};
use vigie::model::attempt::Attempt;
use vigie::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Subject, SubjectKind};
use vigie::model::id::UserId;
use vigie::model::not_before::Scope;
use vigie::model::user::{ERASED, Email, User};
use vigie::store::pending_erasures;
use vigie::user::UserError;
use vigie::user::change::UserChange;
use vigie::user::import::{self, Format, ImportError, Imported};

use super::tamper::{tamper, word};
use super::verify;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::history::attempt;
use crate::support::program::Program;

const NAME: &str = "Zoé-Marie";
const FORMER: &str = "zoe.dupont";
const EMAIL: &str = "zmd@example.org";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// PRV-04: all about oneself, and nothing about anybody else.
#[rstest]
#[actix_web::test]
async fn prv_04_an_export_of_oneself_holds_all_of_it_and_nothing_of_others(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let bob = app.signed_in("bob").await;
    app.signed_in("alice").await.post_empty("/auth/logout").await.expect(204);
    app.nobody().post("/auth/login", json!({ "username": "alice", "password": "wrong" })).await.expect(401);
    app.app.refusals.write_due().await.unwrap();
    let alice = app.log_in("alice").await;
    let other = app.log_in("alice").await;
    admin.post_empty(&format!("/admin/sessions/{}/end", other.session_id)).await.expect(204);
    bob.post("/auth/login", json!({ "username": "bob", "password": "wrong" })).await.expect(401);

    let answer = alice.get("/auth/export").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
    let exported = lines(&answer.body);
    let of = |what: &str| exported.iter().filter_map(|line| line.get(what)).cloned().collect::<Vec<_>>();
    assert_eq!(of("user")[0]["username"], "alice");
    assert_eq!((of("session").len(), of("attempt").len()), (3, 4));
    let kinds: Vec<String> = of("event").iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect();
    for kind in ["user.created", "session.started", "session.ended", "login.failed", "history.own_exported"] {
        assert!(kinds.iter().any(|found| found == kind), "{kind} in {kinds:?}");
    }
    let mut seen: Vec<i64> = of("event").iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), all, "no event twice");
    assert!(!answer.body.contains("bob") && !answer.body.contains(&bob.session_id), "{}", answer.body);
    let by_admin = of("event").into_iter().find(|event| event["actor"]["kind"] == "admin").expect("an end");
    assert_eq!((&by_admin["ip"], &by_admin["request_id"]), (&Value::Null, &Value::Null));
    app.nobody().get("/auth/export").await.problem(401, "credentials_required");
}

/// Many rows come in pieces.
#[rstest]
#[actix_web::test]
async fn a_long_history_is_exported_whole(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let user = app.app.users.find_by_id_or_name("alice").await.unwrap().unwrap();
    let tried = |number: i64| {
        let tried = attempt("alice", app.now() - TimeDelta::seconds(number));
        Attempt { user_id: Some(user.id), ..tried }
    };
    app.add_attempts((1..=1200).map(tried).collect()).await;
    let exported = lines(&alice.get("/auth/export").await.body);
    assert_eq!(exported.iter().filter(|line| line.get("attempt").is_some()).count(), 1201);
}

/// Somebody with a past: another name before, sessions, failures, notes of administrators, searches by reviewers.
async fn past(app: &TestApp) -> User {
    let user = app.user(FORMER, "agent").await;
    let root = app.admin().await;
    let login = json!({ "username": FORMER, "password": PASSWORD, "device_name": "le poste de Zoé-Marie" });
    let first = app.nobody().post("/auth/login", login).await.expect(200);
    let path = format!("/admin/users/{}", user.id);
    root.patch(&path, json!({ "username": NAME, "email": EMAIL })).await.expect(200);
    app.nobody().post("/auth/login", json!({ "username": NAME, "password": "wrong" })).await.expect(401);
    app.log_in(NAME).await;
    root.get(&format!("/admin/sessions?user={FORMER}")).await.expect(200);
    root.get(&format!("/admin/attempts?username={}", "zo%C3%A9-marie")).await.expect(200);
    root.get(&format!("/admin/attempts?username=nobody&username={FORMER}&not_username={FORMER}")).await.expect(200);
    root.get(&format!("/admin/sessions?not_user={FORMER}")).await.expect(200);
    let id = first["session"]["id"].as_str().unwrap();
    let name = Some("le portable de Zoé-Marie".to_owned());
    let sessions = &app.app.sessions;
    sessions.name_own(user.id, id.parse().unwrap(), name, &AuditContext::command_line()).await.unwrap().unwrap();
    let ended = format!("/admin/sessions/{id}/end");
    root.post(&ended, json!({ "note": "Zoé-Marie a changé de service" })).await.expect(204);
    let everybody = json!({ "filter": { "user": "nobody-at-all" }, "note": "pas ceux de Zoé-Marie !" });
    root.post("/admin/sessions/end", everybody).await.expect(200);
    app.app.refusals.write_all().await.unwrap();
    user
}

fn names_nobody(text: &str) {
    let text = text.to_lowercase();
    for name in ["zoé", "zoe.dupont", "zo\\u00e9", EMAIL] {
        assert!(!text.contains(name), "{name} in {text}");
    }
}

/// PRV-04: name and e-mail are nowhere any more; the evidence stands under an opaque id, and the chain verifies.
#[rstest]
#[actix_web::test]
async fn prv_04_an_erased_person_is_named_nowhere_and_the_history_verifies(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    let user = past(&app).await;
    app.app.chain.seal().await.unwrap();
    app.app.chain.checkpoint().await.unwrap();
    let (root, live) = (app.log_in("root").await, app.log_in(NAME).await);
    live.get("/auth/me").await.expect(200);
    let (sessions, attempts) = (app.session_rows().await, app.attempts().await.len());

    let erased = root.post_empty(&format!("/admin/users/{}/erase", user.id)).await.expect(200);
    assert_eq!(erased["complete"], true, "{erased}");
    assert_eq!((&erased["sessions"], &erased["attempts"]), (&json!(3), &json!(4)), "{erased}");
    live.get("/auth/me").await.problem(401, "session_ended");
    live.refresh().await.problem(401, "session_ended");
    names_nobody(&app.dump());
    assert_eq!((app.session_rows().await, app.attempts().await.len()), (sessions, attempts));
    let seal = async || {
        app.app.chain.seal().await.unwrap();
        app.app.chain.checkpoint().await.unwrap();
    };
    seal().await;
    verify(&app).await.unwrap();

    let list = root.get(&format!("/admin/sessions?state=all&user={}", user.id)).await.expect(200);
    let rows = list["items"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert_eq!((&row["user"]["username"], &row["user"]["id"]), (&json!(ERASED), &json!(user.id)));
        for member in ["device_name", "name", "user_agent", "note"] {
            assert_eq!(row[member], Value::Null, "{member}");
        }
    }
    for path in
        ["/admin/sessions/export?format=csv", "/admin/attempts/export?format=ndjson", "/admin/audit/export?format=ocsf"]
    {
        let exported = root.get(path).await;
        assert_eq!(exported.status, 200);
        names_nobody(&exported.body);
    }
    let told = app.events().await.into_iter().filter(|event| event.event.kind == AuditKind::UserErased);
    assert!(told.clone().count() >= 1);
    assert!(told.clone().all(|event| event.event.subject.id == Some(user.id.to_string())));

    // Again, there is nothing left to do; and nobody else was touched.
    let again = root.post_empty(&format!("/admin/users/{}/erase", user.id)).await.expect(200);
    assert_eq!((&again["sessions"], &again["attempts"], &again["events"]), (&json!(0), &json!(0), &json!(0)));
    let nil = "00000000-0000-0000-0000-000000000000";
    root.post_empty(&format!("/admin/users/{nil}/erase")).await.problem(404, "not_found");
    assert_eq!(root.get("/auth/me").await.expect(200)["user"]["username"], "root");
    seal().await;
    verify(&app).await.unwrap();

    // What is left cannot be changed either.
    tamper(&app, &[&format!("UPDATE attempts SET username = 'somebody' WHERE username = '{ERASED}'")]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage).0, "changed", "{damage}");
}

/// Records that this person is erased, and does nothing of it.
async fn record_erasure(app: &TestApp, user: &User) {
    let (id, now) = (user.id, app.now());
    let details = Details::UserErased { events: None, mac: None };
    let event = AuditEvent::new(now, details, &AuditContext::command_line(), Subject::new(SubjectKind::User, id));
    let event = app.app.chain.removal_key().signed(event);
    let write = move |db: &mut _| {
        pending_erasures::insert(db, id, None, now)?;
        vigie::store::audit::record(db, &event)
    };
    app.app.store.write(write).await.unwrap();
}

/// PRV-04: notes about the person go wherever they stand, also where nothing names them but the id.
#[rstest]
#[actix_web::test]
async fn prv_04_what_was_noted_about_an_erased_person_goes_everywhere(#[values(Sqlite, Postgres)] backend: Backend) {
    const NOTE: &str = "parti sans rendre la clef";
    let app = TestApp::start_with(backend, &[("VIGIE__ALERTS__ENDS_AT_ONCE", "1")]).await;
    let (root, user) = (app.admin().await, app.user(FORMER, "agent").await);
    for named in [user.id.to_string(), FORMER.to_owned()] {
        app.log_in(FORMER).await;
        let body = json!({ "filter": { "user": named }, "note": NOTE });
        assert_eq!(root.post("/admin/sessions/end", body).await.expect(200)["ended"], 1);
        for alert in app.alerts_of(AlertKind::ManyEnds).await {
            app.app.alerts.acknowledge(alert.id, None, &AuditContext::command_line()).await.unwrap();
        }
    }
    let (scope, note) = (Scope::User(user.id), Some(NOTE.to_owned()));
    app.app.sessions.set_not_before(scope, None, note.clone(), &AuditContext::command_line()).await.unwrap();
    let about = Subject::new(SubjectKind::User, user.id);
    let alert = NewAlert::without_details(app.now(), AlertKind::NewDevice, about).of_user(user.id);
    let alert = app.app.alerts.raise(alert).await.unwrap();
    app.app.alerts.acknowledge(alert, note, &AuditContext::command_line()).await.unwrap();
    let notes = |table: &str| app.dump().lines().filter(|line| line.starts_with(table) && line.contains(NOTE)).count();
    assert_eq!((notes("alerts:"), notes("not_befores:"), notes("sessions:")), (3, 1, 2), "{}", app.dump());
    // By filter twice, when it began and what came of it; for each of both sessions, of the not-before, and of the alert.
    assert_eq!(notes("audit_events:"), 8, "{}", app.dump());

    let erased = app.app.users.erase(user.id, &AuditContext::command_line()).await.unwrap();
    assert!(erased.complete, "{erased:?}");
    assert!(!app.dump().contains(NOTE), "{}", app.dump());
    names_nobody(&app.dump());
    for alert in app.alerts_of(AlertKind::ManyEnds).await {
        assert_eq!(alert.raised.details, json!({ "erased": true }));
    }
    app.app.chain.seal().await.unwrap();
    verify(&app).await.unwrap();
}

/// Who got the name of somebody who left loses no evidence when that one is erased.
#[rstest]
#[actix_web::test]
async fn prv_04_a_namesake_keeps_the_own_history(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let first = app.user("alice", "agent").await;
    app.log_in("alice").await;
    app.app.users.delete(first.id, &AuditContext::command_line()).await.unwrap();
    let second = app.user("alice", "agent").await;
    app.nobody().post("/auth/login", json!({ "username": "alice", "password": "wrong" })).await.expect(401);
    let session = app.log_in("alice").await.session_id;
    let note = json!({ "note": "alice, encore" });
    root.post(&format!("/admin/sessions/{session}/end"), note.clone()).await.expect(204);
    root.post(&format!("/admin/users/{}/end-sessions", second.id), note).await.expect(200);
    app.app.refusals.write_all().await.unwrap();
    let history = async |user: &User, session: &str| {
        let (user, mut events) = (user.id.to_string(), app.events().await);
        events.retain(|event| {
            let of_session = event.event.session_id.is_some_and(|id| id.to_string() == session);
            of_session || event.event.subject.id.as_ref() == Some(&user)
        });
        events
    };
    let before = history(&second, &session).await;
    let kinds: Vec<AuditKind> = before.iter().map(|event| event.event.kind).collect();
    for kind in [AuditKind::UserCreated, AuditKind::LoginFailed, AuditKind::SessionEnded, AuditKind::SessionsEnded] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }

    app.app.users.erase(first.id, &AuditContext::command_line()).await.unwrap();
    assert_eq!(history(&second, &session).await, before);
    let created = |event: &&vigie::model::audit::RecordedEvent| event.event.kind == AuditKind::UserCreated;
    let of_first = history(&first, "").await;
    assert_eq!(of_first.iter().find(created).unwrap().event.details, json!({ "erased": true }));
    app.app.chain.seal().await.unwrap();
    verify(&app).await.unwrap();
}

/// Rows that somebody added do not make an erasure take out what is about others.
#[rstest]
#[actix_web::test]
async fn prv_04_what_no_record_stands_for_names_nobody(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let root = app.admin().await;
    let eve = app.user("eve", "agent").await;
    let bob = app.signed_in("bob").await.session_id;
    app.log_in("eve").await;
    root.post(&format!("/admin/sessions/{bob}/end"), json!({ "note": "a stolen telephone" })).await.expect(204);
    root.get("/admin/sessions?user=bob").await.expect(200);
    let about_bob = async || {
        let mut events = app.events().await;
        let is_read = |event: &AuditEvent| event.kind == AuditKind::HistoryRead;
        let is_end = |event: &AuditEvent| {
            event.session_id.is_some_and(|id| id.to_string() == bob) && event.details["note"].is_string()
        };
        events.retain(|event| is_read(&event.event) || is_end(&event.event));
        events
    };
    let before = about_bob().await;
    assert_eq!(before.len(), 2, "{before:?}");
    let eve_id = eve.id;
    tamper(
        &app,
        &[
            &format!(
                "INSERT INTO audit_events (at, kind, actor_kind, actor_id, subject_kind, subject_id, session_id, details, outcome)
                 SELECT at, kind, actor_kind, actor_id, subject_kind, '{eve_id}', session_id, details, outcome
                 FROM audit_events WHERE kind = 'session.started' AND CAST(session_id AS text) = '{bob}'"
            ),
            &format!("UPDATE attempts SET user_id = '{eve_id}' WHERE username = 'bob'"),
        ],
    );

    app.app.users.erase(eve.id, &AuditContext::command_line()).await.unwrap();
    assert_eq!(about_bob().await, before);
    let names = Beside::connect(&app.database.url)
        .lines(&format!("SELECT username AS line FROM sessions WHERE CAST(user_id AS text) = '{eve_id}'"));
    assert_eq!(names, [ERASED]);
}

/// What somebody changed can be put right only as long as it is there.
#[rstest]
#[actix_web::test]
async fn prv_04_what_somebody_changed_is_left_as_it_is(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (eve, bob) = (app.user("eve", "agent").await.id, app.signed_in("bob").await);
    bob.post_empty("/auth/logout").await.expect(204);
    let bob = app.app.users.find_by_id_or_name("bob").await.unwrap().unwrap().id;
    app.app.chain.seal().await.unwrap();
    let whose = |user| {
        ["sessions", "attempts"].map(|table| format!("UPDATE {table} SET user_id = '{user}' WHERE username = 'bob'"))
    };
    let (to_eve, back) = (whose(eve), whose(bob));
    tamper(&app, &to_eve.each_ref().map(String::as_str));

    let erased = app.app.users.erase(eve, &AuditContext::command_line()).await.unwrap();
    assert_eq!((erased.sessions, erased.attempts, erased.altered), (0, 0, 2), "{erased:?}");
    assert_eq!(word(&verify(&app).await.unwrap_err()).0, "changed");
    tamper(&app, &back.each_ref().map(String::as_str));
    app.app.chain.seal().await.unwrap();
    verify(&app).await.unwrap();
}

/// An erasure that broke off after the account was gone is finished by the next run of retention.
#[rstest]
#[actix_web::test]
async fn prv_04_an_erasure_that_broke_off_is_finished_later(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = past(&app).await;
    // As after the first transaction: the account is gone, and it is recorded that this person is erased.
    app.app.users.delete(user.id, &AuditContext::command_line()).await.unwrap();
    record_erasure(&app, &user).await;
    assert!(app.dump().contains(FORMER));
    app.app.users.finish_erasures().await.unwrap();
    names_nobody(&app.dump());
    app.app.chain.seal().await.unwrap();
    verify(&app).await.unwrap();
    let events = app.events().await.len();
    app.app.users.finish_erasures().await.unwrap();
    assert_eq!(app.events().await.len(), events);
}

/// The names that only the account had are not lost where an erasure breaks off.
#[rstest]
#[actix_web::test]
async fn prv_04_what_only_the_account_knew_is_found_later(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = past(&app).await;
    let note = format!("demander à {EMAIL}");
    let root = app.log_in("root").await;
    let everybody = json!({ "filter": { "user": "nobody-at-all" }, "note": note });
    root.post("/admin/sessions/end", everybody).await.expect(200);
    let mut beside = Beside::connect(&app.database.url);
    beside.execute("ALTER TABLE alerts RENAME TO elsewhere").unwrap();
    let broken_off = app.app.users.erase(user.id, &AuditContext::command_line()).await;
    assert!(broken_off.is_err(), "{broken_off:?}");
    beside.execute("ALTER TABLE elsewhere RENAME TO alerts").unwrap();
    assert!(app.app.users.find(user.id).await.unwrap().is_none());
    assert!(app.dump().contains(&note));
    app.app.users.finish_erasures().await.unwrap();
    names_nobody(&app.dump());
    app.app.chain.seal().await.unwrap();
    verify(&app).await.unwrap();
}

/// Rows that keep their names until they are removed make nobody go over the history again and again.
#[rstest]
#[actix_web::test]
async fn prv_04_a_complete_erasure_is_over(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = past(&app).await;
    tamper(&app, &["UPDATE attempts SET person_proof = NULL"]);
    let erased = app.app.users.erase(user.id, &AuditContext::command_line()).await.unwrap();
    assert!(erased.complete && erased.sealed_in_the_clear > 0, "{erased:?}");
    let sealed = app.app.store.read(move |db| pending_erasures::encrypted_names(db, user.id)).await.unwrap();
    assert_eq!(sealed, None);
    // A node that stood still records what it had in memory: that goes too, and then it is over.
    let late = Attempt { user_id: Some(user.id), ..attempt(NAME, app.now()) };
    let id = late.id;
    app.add_attempts(vec![late]).await;
    app.app.users.finish_erasures().await.unwrap();
    let kept = app.attempts().await;
    assert_eq!(kept.iter().find(|attempt| attempt.id == id).unwrap().username, ERASED);
    assert!(kept.iter().any(|attempt| attempt.username == NAME));
    assert_eq!(app.app.store.read(pending_erasures::list).await.unwrap(), []);
}

/// What keeps retention from removing what is old keeps nobody in the history who is to be erased.
#[rstest]
#[actix_web::test]
async fn prv_04_an_erasure_is_finished_also_where_retention_fails(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = past(&app).await;
    app.app.users.delete(user.id, &AuditContext::command_line()).await.unwrap();
    record_erasure(&app, &user).await;
    Beside::connect(&app.database.url).execute("ALTER TABLE one_time_tokens RENAME TO elsewhere").unwrap();
    let job = JOBS.iter().find(|job| job.name == "retention").unwrap();
    let failed = (job.step)(std::sync::Arc::clone(&app.app)).await;
    assert!(failed.is_err(), "{failed:?}");
    names_nobody(&app.dump());
}

async fn import_as(app: &TestApp, id: UserId, name: &str) -> Result<Imported, ImportError> {
    let lines =
        [json!({ "username": "somebody", "role": "agent" }), json!({ "id": id, "username": name, "role": "agent" })];
    let lines = lines.map(|line| format!("{line}\n")).concat();
    let lines = import::read(lines.as_bytes(), Format::Ndjson, app.now()).unwrap();
    app.app.users.import(lines, false, &AuditContext::command_line(), |_| ()).await
}

/// What is left of a person stands under the id: nobody else gets it, and nobody is erased for it again.
#[rstest]
#[actix_web::test]
async fn prv_04_an_erased_id_is_not_imported_again(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (user, other) = (past(&app).await, app.user("other", "agent").await);
    app.app.users.erase(user.id, &AuditContext::command_line()).await.unwrap();
    let refused = import_as(&app, user.id, NAME).await;
    let Err(ImportError::Refused(lines)) = &refused else { panic!("{refused:?}") };
    assert!(matches!(&lines[..], [line] if line.line == 2 && line.reason.contains("was erased")), "{lines:?}");
    assert!(app.app.users.find_by_id_or_name("somebody").await.unwrap().is_none());
    // Whoever was only deleted may come back.
    app.app.users.delete(other.id, &AuditContext::command_line()).await.unwrap();
    import_as(&app, other.id, "other").await.unwrap();
}

/// Somebody who is there is not erased by what runs by itself, whatever was recorded before.
#[rstest]
#[actix_web::test]
async fn prv_04_who_is_there_is_not_erased_by_retention(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let user = past(&app).await;
    record_erasure(&app, &user).await;
    let before = app.dump_of_history();
    app.app.users.finish_erasures().await.unwrap();
    assert_eq!(app.dump_of_history(), before);
}

/// Who justifies what is left is kept as long as that.
#[rstest]
#[actix_web::test]
async fn prv_04_the_history_verifies_when_the_audit_is_kept_for_less_than_sessions(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start_with(backend, &[("VIGIE__RETENTION__SESSIONS", "24 months")]).await;
    let user = past(&app).await;
    app.app.users.erase(user.id, &AuditContext::command_line()).await.unwrap();
    app.advance(TimeDelta::days(400));
    app.app.sessions.record_expired().await.unwrap();
    let removed = app.app.retention.run(&AuditContext::system("retention")).await.unwrap().removed;
    assert!(removed.events > 0 && removed.sessions == 0, "{removed:?}");
    app.app.chain.seal().await.unwrap();
    verify(&app).await.unwrap();
}

#[rstest]
#[actix_web::test]
async fn prv_04_the_last_administrator_is_not_erased(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let id = admin.get("/auth/me").await.expect(200)["user"]["id"].as_str().unwrap().to_owned();
    admin.post_empty(&format!("/admin/users/{id}/erase")).await.problem(409, "conflict");
    let refused = app.app.users.erase(id.parse().unwrap(), &AuditContext::command_line()).await.unwrap_err();
    assert!(matches!(refused, UserError::LastAdministrator), "{refused}");
    let email = UserChange { email: Some(Email::parse(EMAIL).ok()), ..UserChange::default() };
    app.app.users.change(id.parse().unwrap(), email, &AuditContext::command_line()).await.unwrap();
    admin.get("/auth/me").await.expect(200);
}

#[rstest]
#[actix_web::test]
async fn prv_04_the_command_line_exports_and_erases(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user(FORMER, "agent");
    let exported = lines(&program.run(&["user", "export", FORMER]).expect(0));
    assert_eq!(exported[0]["user"]["username"], FORMER);
    let id = exported[0]["user"]["id"].as_str().unwrap().to_owned();
    let file = program.path("mine").display().to_string();
    program.run(&["user", "export", FORMER, "--output", &file]).expect(0);
    assert!(std::fs::read_to_string(&file).unwrap().contains("user.created"));
    let told = program.run(&["user", "erase", FORMER]).expect(0);
    assert!(told.starts_with(&format!("erased {id}: ")), "{told}");
    names_nobody(&format!("{:?}", crate::support::dump::dump(&program.database.url)));
    program.run(&["user", "erase", FORMER]).fails(1, "there is no user");
    program.run(&["user", "erase", &id]).expect(0);
    program.run(&["audit", "verify"]).expect(0);
}
