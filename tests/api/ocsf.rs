//! LOG-09: exports in the words of OCSF 1.8, held against the members that the published schema requires.

use std::collections::BTreeSet;

use chrono::DateTime;
use rstest::rstest;
use serde_json::{Value, json};
use vigie::model::audit::{AuditContext, AuditEvent, AuditKind, Details, RecordedEvent, Subject, SubjectKind};
use vigie::view::ocsf;

use crate::support::app::{PASSWORD, TestApp, TestClient};
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// A class of the schema: its number, the members it requires beside those of every class, groups of which one must be there,
/// and its activities.
struct Class {
    uid: i64,
    required: &'static [&'static str],
    one_of: &'static [&'static str],
    activities: &'static [(i64, &'static str)],
}

/// Members that every class requires.
const REQUIRED: &[&str] = &["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"];
const SEVERITIES: &[(i64, &str)] =
    &[(0, "Unknown"), (1, "Informational"), (2, "Low"), (3, "Medium"), (4, "High"), (5, "Critical"), (6, "Fatal")];
const STATUSES: &[(i64, &str)] = &[(0, "Unknown"), (1, "Success"), (2, "Failure")];

const CLASSES: &[Class] = &[
    Class { uid: 0, required: &["message"], one_of: &["metadata"], activities: &[] },
    Class {
        uid: 3001,
        required: &["user"],
        one_of: &["user"],
        activities: &[
            (1, "Create"),
            (2, "Enable"),
            (3, "Password Change"),
            (4, "Password Reset"),
            (5, "Disable"),
            (6, "Delete"),
            (9, "Lock"),
            (10, "MFA Factor Enable"),
            (11, "MFA Factor Disable"),
            (12, "Unlock"),
        ],
    },
    Class {
        uid: 3002,
        required: &["user"],
        one_of: &["service", "dst_endpoint"],
        activities: &[(1, "Logon"), (2, "Logoff"), (7, "Account Switch")],
    },
    Class {
        uid: 3004,
        required: &["entity"],
        one_of: &["entity"],
        activities: &[(1, "Create"), (2, "Read"), (3, "Update"), (4, "Delete")],
    },
    Class {
        uid: 6003,
        required: &["actor", "api", "src_endpoint"],
        one_of: &["api"],
        activities: &[(1, "Create"), (2, "Read"), (3, "Update"), (4, "Delete")],
    },
];

/// Of an object of the schema one of these members must be there.
const OBJECTS: &[(&str, &[&str])] = &[
    ("actor", &["process", "user", "session", "app_name", "app_uid"]),
    ("user", &["account", "name", "uid"]),
    ("entity", &["name", "uid", "user"]),
    ("src_endpoint", &["ip", "uid", "name", "hostname"]),
    ("service", &["name", "uid"]),
    ("session", &["uid"]),
    ("api", &["operation"]),
    ("http_request", &["uid", "user_agent"]),
];

#[track_caller]
pub fn assert_valid(event: &Value) {
    let number = |name: &str| event[name].as_i64().unwrap_or_else(|| panic!("{name} of {event}"));
    let class = CLASSES.iter().find(|class| class.uid == number("class_uid")).unwrap_or_else(|| panic!("{event}"));
    for name in REQUIRED.iter().chain(class.required) {
        assert!(!event[*name].is_null(), "{name} of {event}");
    }
    assert!(class.one_of.iter().any(|name| event[*name].is_object()), "{:?} of {event}", class.one_of);
    assert_eq!(number("category_uid"), class.uid / 1000, "{event}");
    assert_eq!(number("type_uid"), class.uid * 100 + number("activity_id"), "{event}");
    let activity = (number("activity_id"), event["activity_name"].as_str().expect("a name"));
    let is_standard = class.activities.contains(&activity);
    assert!(is_standard || activity.0 == 99 && class.activities.iter().all(|(_, name)| *name != activity.1), "{event}");
    assert!(SEVERITIES.contains(&(number("severity_id"), event["severity"].as_str().expect("a name"))), "{event}");
    assert!(STATUSES.contains(&(number("status_id"), event["status"].as_str().expect("a name"))), "{event}");
    assert!(DateTime::from_timestamp_millis(number("time")).is_some_and(|time| time.timestamp() > 1_000_000_000));
    let metadata = &event["metadata"];
    assert_eq!(metadata["version"], "1.8.0");
    for name in ["name", "vendor_name", "version"] {
        assert!(metadata["product"][name].is_string(), "{event}");
    }
    for (name, members) in OBJECTS {
        let Some(object) = event.get(*name) else { continue };
        assert!(
            members.iter().any(|member| object[*member].is_string() || object[*member].is_object()),
            "{name} of {event}"
        );
    }
    if let Some(entity) = event.get("entity") {
        assert_eq!(entity["type_id"], 99, "{event}");
    }
    assert_eq!(event["session"]["uid"], event["session"]["uuid"], "{event}");
    assert!(event.get("count").is_none_or(|_| event["start_time"].is_i64() && event["end_time"].is_i64()), "{event}");
    assert_no_nulls(event);
}

fn assert_no_nulls(value: &Value) {
    match value {
        Value::Null => panic!("a member that says nothing"),
        Value::Object(members) => members.values().for_each(assert_no_nulls),
        _ => {}
    }
}

async fn lines(reviewer: &TestClient<'_>, list: &str) -> Vec<Value> {
    let answer = reviewer.get(&format!("/admin/{list}/export?format=ocsf")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let name = format!("attachment; filename=\"{list}.ocsf.ndjson\"");
    assert_eq!(answer.header("content-disposition"), Some(name.as_str()));
    answer.body.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

/// Every kind there is, with a subject of each sort that it may have.
#[test]
fn log_09_every_kind_of_event_is_a_valid_ocsf_event() {
    let at = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
    let mut classes = BTreeSet::new();
    for kind in AuditKind::ALL {
        let facts = kind.facts();
        for subject in facts.subjects {
            let subject = Subject { kind: *subject, id: (*subject != SubjectKind::Unknown).then(|| "7".to_owned()) };
            let from_outside = AuditContext { ip: "192.0.2.1".parse().ok(), ..AuditContext::system("check") };
            for context in [from_outside, AuditContext::command_line()] {
                let event = AuditEvent {
                    kind: *kind,
                    outcome: facts.outcome,
                    reason: facts.reasons.first().copied(),
                    ..AuditEvent::new(at, Details::KeyRotated {}, &context, subject.clone())
                };
                let written = ocsf::event(&RecordedEvent { seq: 1, event });
                assert_valid(&written);
                assert_eq!(written["metadata"]["event_code"], kind.as_str());
                classes.insert(written["class_uid"].as_i64());
            }
        }
    }
    // Each class but that of statements about the history, which are no events in it.
    assert_eq!(classes.len(), CLASSES.len() - 1);
}

#[rstest]
#[actix_web::test]
async fn log_09_exports_are_valid_ocsf_events(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.admin().await;
    let alice = app.signed_in("alice").await;
    let me = alice.get("/auth/me").await.expect(200)["user"]["id"].clone();
    alice.post_empty("/auth/logout").await.expect(204);
    alice.get("/auth/me").await.problem(401, "session_ended");
    let wrong = json!({ "username": "alice", "password": "wrong wrong wrong" });
    app.nobody().post("/auth/login", wrong).await.problem(401, "invalid_credentials");
    app.nobody().post("/auth/login", json!({ "username": "nobody", "password": PASSWORD })).await;
    app.log_in("alice").await;
    app.app.refusals.write_due().await.expect("recorded");

    let sessions = lines(&admin, "sessions").await;
    sessions.iter().for_each(assert_valid);
    let session = sessions.iter().find(|line| line["session"]["uid"] == *alice.session_id).expect("alice's");
    assert_eq!((&session["class_uid"], &session["activity_id"]), (&json!(3002), &json!(1)));
    assert_eq!(session["user"], json!({ "uid": me, "name": "alice" }));
    assert_eq!(session["session"]["expiration_reason"], "logout");
    assert_eq!(session["time"], app.now().timestamp_millis());
    assert!(session["end_time"].is_i64());

    let attempts = lines(&admin, "attempts").await;
    attempts.iter().for_each(assert_valid);
    let outcomes: Vec<_> =
        attempts.iter().map(|line| (line["status_id"].as_i64(), line["status_detail"].as_str())).collect();
    assert!(outcomes.contains(&(Some(2), Some("wrong_password"))) && outcomes.contains(&(Some(1), Some("success"))));

    let events = lines(&admin, "audit").await;
    events.iter().for_each(assert_valid);
    let of = |code: &str| events.iter().find(|line| line["metadata"]["event_code"] == code).expect(code);
    assert_eq!(of("session.ended")["session"]["expiration_reason"], "logout");
    assert_eq!(of("token.refused")["session"]["expiration_reason"], "logout");
    assert_eq!((&of("session.ended")["activity_name"], &of("session.ended")["user"]["uid"]), (&json!("Logoff"), &me));
    assert_eq!(of("login.failed")["status"], "Failure");
    assert_eq!(of("token.refused")["status_detail"], "session_ended");
    assert_eq!(of("user.created")["class_uid"], 3001);
    assert_eq!(of("history.exported")["api"]["operation"], "history.exported");
    let found = admin.get("/admin/audit?limit=500").await.expect(200);
    let hers =
        events.iter().filter(|line| line["metadata"]["event_code"] == "session.started" && line["user"]["uid"] == me);
    let mut is_new: Vec<_> = hers.map(|line| line["is_new_logon"].as_bool()).collect();
    is_new.sort_unstable();
    assert_eq!(is_new, [Some(false), Some(true)], "her second login is not of a new device");
    // The last export and this list recorded themselves since.
    assert_eq!(events.len() + 1, found["items"].as_array().map_or(0, Vec::len) + 1);
}
