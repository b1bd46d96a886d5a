//! The reviewers' inbox (LOG-11).

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::alert::{AlertDetails, AlertKind, NewAlert};
use vigie::model::audit::{AuditKind, Subject, SubjectKind};
use vigie::model::user::User;

use crate::support::app::{TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::history::every_page;

async fn raise(app: &TestApp, kind: AlertKind, user: &User) {
    let subject = Subject::new(SubjectKind::User, user.id);
    let alert = match kind {
        AlertKind::LoginAfterFailures => {
            NewAlert::new(app.now(), AlertDetails::LoginAfterFailures { failures: 7, known_device: false }, subject)
        }
        kind => NewAlert::without_details(app.now(), kind, subject),
    };
    app.app.alerts.raise(alert.of_user(user.id)).await.expect("raised");
}

/// What the record says was asked of the inbox, oldest first.
async fn filters(app: &TestApp) -> Vec<Value> {
    let events = app.events().await.into_iter().map(|event| event.event);
    let lists = events.filter(|event| event.kind == AuditKind::HistoryRead && event.details["what"] == "alerts");
    lists.map(|event| event.details["filter"].clone()).collect()
}

async fn kinds(reader: &TestClient<'_>, query: &str) -> Vec<String> {
    let rows = every_page(reader, &format!("/admin/alerts{query}"), 2).await;
    rows.iter().map(|row| row["kind"].as_str().expect("a kind").to_owned()).collect()
}

#[rstest]
#[actix_web::test]
async fn log_11_the_inbox_shows_what_is_open_and_its_age(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let (alice, bob) = (app.user("alice", "agent").await, app.user("bob", "agent").await);
    app.user("reviewer", "auditor").await;
    for (kind, user) in [
        (AlertKind::LoginAfterFailures, &alice),
        (AlertKind::NewDevice, &alice),
        (AlertKind::NewDevice, &bob),
        (AlertKind::ManyEnds, &bob),
        (AlertKind::RecordDamaged, &bob),
    ] {
        raise(&app, kind, user).await;
        app.advance(TimeDelta::hours(6));
    }
    let reviewer = app.log_in("reviewer").await;
    let newest_first = ["record_damaged", "many_ends", "new_device", "new_device", "login_after_failures"];
    assert_eq!(kinds(&reviewer, "").await, newest_first);
    assert_eq!(kinds(&reviewer, "?kind=new_device").await.len(), 2);
    assert_eq!(kinds(&reviewer, &format!("?subject={}", alice.id)).await, ["new_device", "login_after_failures"]);
    assert_eq!(kinds(&reviewer, "?subject=nothing").await, [""; 0]);
    assert_eq!(kinds(&reviewer, "?state=acknowledged").await, [""; 0]);

    let list = reviewer.get("/admin/alerts?limit=500").await.expect(200);
    let rows = list["items"].as_array().expect("rows");
    let ages: Vec<_> = rows.iter().map(|row| (row["age_seconds"].clone(), row["is_overdue"].clone())).collect();
    let hours = |hours: i64| json!(hours * 3600);
    assert_eq!(ages[0], (hours(6), json!(false)));
    assert_eq!(ages[3], (hours(24), json!(false)));
    assert_eq!(ages[4], (hours(30), json!(true)));
    let last = &rows[4];
    assert_eq!((&last["subject"]["kind"], &last["user"]["username"]), (&json!("user"), &json!("alice")));
    assert_eq!((&last["state"], &last["count"], &last["details"]["failures"]), (&json!("open"), &json!(1), &json!(7)));
    let one = reviewer.get(&format!("/admin/alerts/{}", last["id"].as_str().expect("an id"))).await.expect(200);
    assert_eq!(&one, last);
    reviewer.get("/admin/alerts/no-id").await.problem(404, "not_found");
    for unknown in
        ["state=closed", "kind=new_moon", "kind=", "not_kind=new_device", "user=alice", "subject=a&subject=b"]
    {
        reviewer.get(&format!("/admin/alerts?{unknown}")).await.problem(422, "invalid_input");
    }
    // ADM-06: reading is recorded.
    let read: Vec<Value> = app
        .events()
        .await
        .into_iter()
        .filter(|event| event.event.kind == AuditKind::HistoryRead)
        .map(|event| event.event.details["what"].clone())
        .collect();
    assert!(read.contains(&json!("alerts")) && read.contains(&json!("alert")), "{read:?}");
}

/// ADM-06: the record keeps the members that were asked for, and no others.
#[rstest]
#[actix_web::test]
async fn adm_06_the_filter_of_the_inbox_is_recorded_as_it_was_asked_for(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let reviewer = app.auditor().await;
    for query in ["", "?limit=7", "?state=all&subject=Alice", "?kind=new_device&state=open"] {
        reviewer.get(&format!("/admin/alerts{query}")).await.expect(200);
    }
    let expected = [
        json!({}),
        json!({}),
        json!({ "state": "all", "subject": "Alice" }),
        json!({ "kind": "new_device", "state": "open" }),
    ];
    assert_eq!(filters(&app).await, expected);
}

/// While nodes are updated one after the other, an older one shows what a newer one raised.
#[rstest]
#[actix_web::test]
async fn log_11_an_alert_of_a_newer_version_is_shown_as_it_is(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.user("alice", "agent").await;
    raise(&app, AlertKind::LoginAfterFailures, &alice).await;
    raise(&app, AlertKind::NewDevice, &alice).await;
    let mut beside = Beside::connect(&app.database.url);
    let newer = r#"subject_kind = 'planet', details = '{"phase":[1,2]}'"#;
    for statement in [
        format!("UPDATE alerts SET kind = 'new_moon', {newer} WHERE kind = 'new_device'"),
        r#"UPDATE alerts SET details = '{"failures":"many","since":1}' WHERE kind = 'login_after_failures'"#.to_owned(),
    ] {
        assert_eq!(beside.execute(&statement), Ok(1), "{statement}");
    }
    let reviewer = app.auditor().await;
    let list = reviewer.get("/admin/alerts").await.expect(200);
    // Both were raised in the same moment.
    let items = list["items"].as_array().expect("a list");
    let of_kind = |kind: &str| items.iter().find(|item| item["kind"] == kind).expect("it is shown");
    let (newer, known) = (of_kind("new_moon"), of_kind("login_after_failures"));
    assert_eq!((&newer["kind"], &newer["details"]), (&json!("new_moon"), &json!({ "phase": [1, 2] })));
    assert_eq!(newer["subject"], json!({ "kind": "unknown", "id": alice.id }));
    assert_eq!(known["details"], json!({ "failures": "many", "since": 1 }));
    app.app.alerts.measure().await.expect("measured");
    let text = app.app.metrics.encode();
    assert!(text.contains(r#"vigie_alerts_open{kind="new_device"} 0"#), "{text}");
    let path = format!("/admin/alerts/{}", newer["id"].as_str().expect("an id"));
    assert_eq!(&reviewer.get(&path).await.expect(200), newer);
    reviewer.post(&format!("{path}/acknowledge"), json!({ "note": "full" })).await.expect(204);
    let events = app.events().await;
    let recorded = events.iter().find(|event| event.event.kind == AuditKind::AlertAcknowledged).expect("recorded");
    assert_eq!(recorded.event.details, json!({ "kind": "new_moon", "note": "full" }));
}

#[rstest]
#[actix_web::test]
async fn log_11_a_reviewer_acknowledges_once_with_a_note(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.user("alice", "agent").await;
    raise(&app, AlertKind::NewDevice, &alice).await;
    let reviewer = app.auditor().await;
    app.user("root", "admin").await;
    let id = app.alerts().await[0].id;
    let path = format!("/admin/alerts/{id}/acknowledge");
    app.log_in("alice").await.post(&path, json!({})).await.problem(403, "not_allowed");
    app.advance(TimeDelta::minutes(3));
    reviewer.post(&path, json!({ "note": "asked her: a new telephone" })).await.expect(204);
    app.advance(TimeDelta::hours(30));
    let root = app.log_in("root").await;
    root.post(&path, json!({ "note": "another" })).await.expect(204);
    let shown = root.get(&format!("/admin/alerts/{id}")).await.expect(200);
    assert_eq!(
        (&shown["state"], &shown["age_seconds"], &shown["is_overdue"]),
        (&json!("acknowledged"), &json!(180), &json!(false))
    );
    assert_eq!(shown["acknowledged"]["note"], "asked her: a new telephone");
    assert_eq!(kinds(&root, "").await, [""; 0]);
    assert_eq!(kinds(&root, "?state=acknowledged").await, ["new_device"]);
    let events = app.events().await;
    let recorded: Vec<_> = events.iter().filter(|event| event.event.kind == AuditKind::AlertAcknowledged).collect();
    assert_eq!((recorded.len(), &recorded[0].event.subject.id), (1, &Some(id.to_string())));
    root.post_empty("/admin/alerts/00000000-0000-0000-0000-000000000000/acknowledge").await.problem(404, "not_found");
}

#[rstest]
#[actix_web::test]
async fn log_11_the_metrics_tell_what_is_open_and_how_old_it_is(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let alice = app.user("alice", "agent").await;
    raise(&app, AlertKind::NewDevice, &alice).await;
    raise(&app, AlertKind::NewDevice, &alice).await;
    app.advance(TimeDelta::minutes(10));
    app.app.alerts.measure().await.expect("measured");
    let text = app.app.metrics.encode();
    for line in [
        r#"vigie_alerts_raised_total{kind="new_device"} 1"#,
        r#"vigie_alerts_open{kind="new_device"} 1"#,
        r#"vigie_alerts_open{kind="many_ends"} 0"#,
        "vigie_oldest_alert_age_seconds 600.0",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\nis not in\n{text}");
    }
}
