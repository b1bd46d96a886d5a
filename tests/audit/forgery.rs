//! Whoever can write to the database can add events, and have the server seal them: they justify nothing (P6).

use chrono::TimeDelta;
use rstest::rstest;
use vigie::model::audit::{AuditContext, AuditKind};
use vigie::model::id::UserId;
use vigie::model::record::RecordKind;
use vigie::model::redaction::Group;
use vigie::model::retention::Counts;
use vigie::store::retention::{DeletionGrant, with_deletion_grant};
use vigie::store::{StoreError, attempts, audit};

use super::retention::{history, later, run, seal};
use super::tamper::{tamper, word};
use super::verify;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// Adds an event, with a record of its own that the server is to seal. `members` are those that follow the actor, as a query
/// of `from` has them.
async fn forge(app: &TestApp, members: &str, from: &str) {
    let event = format!(
        "INSERT INTO audit_events (actor_kind, actor_id, at, kind, subject_kind, subject_id, details)
         SELECT 'system', 'retention', {members} FROM audit_events WHERE {from}"
    );
    let record = "INSERT INTO unsealed_records (kind, subject, at, form) SELECT 'event', CAST(seq AS TEXT), at, 1
         FROM audit_events WHERE seq = (SELECT max(seq) FROM audit_events)";
    tamper(app, &[&event, record]);
    seal(app).await;
    verify(app).await.expect("somebody added a record, and nothing else");
}

/// Takes the person out of a row, as an erasure does: the record itself agrees.
async fn redact_attempt(app: &TestApp, of: UserId) {
    let redact = move |db: &mut _| {
        let kept = attempts::kept_of_user(db, of, None, 1)?.remove(0);
        let left = kept.without(Group::Person).expect("there is something");
        with_deletion_grant(db, DeletionGrant::Person, |db| attempts::redact(db, &left, Group::Person))
    };
    app.app.store.write::<_, StoreError>(redact).await.unwrap();
}

async fn redact_event(app: &TestApp, seq: i64) {
    let redact = move |db: &mut _| {
        let left = audit::kept_before(db, seq + 1, 1)?.remove(0).without(Group::Person).expect("there is something");
        with_deletion_grant(db, DeletionGrant::Person, |db| audit::redact(db, &left, Group::Person))
    };
    app.app.store.write::<_, StoreError>(redact).await.unwrap();
}

async fn id_of(app: &TestApp, name: &str) -> UserId {
    app.app.users.find_by_id_or_name(name).await.unwrap().unwrap().id
}

/// Neither are rows missed that it says were removed, nor does the server itself remove them by its word.
#[rstest]
#[actix_web::test]
async fn p6_a_forged_event_of_retention_justifies_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let all = r#"'{"attempts":{"before":"2999-01-01T00:00:00Z","rows":9},"records":{"before":256,"rows":256}}'"#;
    forge(&app, &format!("at, 'retention.ran', 'everybody', NULL, {all}"), "seq = 1").await;
    assert_eq!(run(&app).await, Counts::default());
    tamper(&app, &["DELETE FROM attempts"]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("deleted", Some(RecordKind::Attempt)), "{damage}");
}

#[rstest]
#[case::of_the_person(true)]
#[case::of_an_event_by_its_number(false)]
#[actix_web::test]
async fn p6_a_forged_erasure_justifies_nothing(
    #[case] of_the_person: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend, &[]).await;
    let alice = id_of(&app, "alice").await;
    let created = app.events().await.into_iter().find(|event| event.event.kind == AuditKind::UserCreated).unwrap();
    let members = format!("at, 'user.erased', 'user', '{alice}', '{{\"events\":[{}]}}'", created.seq);
    forge(&app, &members, "seq = 1").await;
    // Nor does the server erase her by the forger's word.
    app.app.users.finish_erasures().await.unwrap();
    assert_eq!(app.events().await.iter().filter(|event| event.event.kind == AuditKind::UserErased).count(), 1);
    assert!(app.dump().contains("alice"));
    let kind = if of_the_person {
        redact_attempt(&app, alice).await;
        RecordKind::Attempt
    } else {
        redact_event(&app, created.seq).await;
        RecordKind::Event
    };
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(kind)), "{damage}");
}

/// A genuine erasure is of one person: copied with its MAC it is of nobody else.
#[rstest]
#[actix_web::test]
async fn p6_an_erasure_that_is_copied_for_somebody_else_justifies_nothing(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend, &[]).await;
    let (alice, bob) = (id_of(&app, "alice").await, id_of(&app, "bob").await);
    app.app.users.erase(bob, &AuditContext::command_line()).await.unwrap();
    let genuine = format!("kind = 'user.erased' AND subject_id = '{bob}'");
    let first = format!("seq = (SELECT min(seq) FROM audit_events WHERE {genuine})");
    forge(&app, &format!("at, kind, subject_kind, '{alice}', details"), &first).await;
    redact_attempt(&app, alice).await;
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(RecordKind::Attempt)), "{damage}");
}

/// Nor does a genuine event of retention say at a later time what it said at its own.
#[rstest]
#[actix_web::test]
async fn p6_an_event_of_retention_that_is_copied_later_says_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[("VIGIE__RETENTION__AUDIT", "24 months")]).await;
    later(&app, 200).await;
    assert!(run(&app).await.addresses > 0);
    app.signed_in("erin").await.post_empty("/auth/logout").await.expect(204);
    later(&app, 196).await;
    assert!(run(&app).await.sessions > 0);
    seal(&app).await;
    verify(&app).await.unwrap();
    let first = "seq = (SELECT min(seq) FROM audit_events WHERE kind = 'retention.ran')";
    let newest = "(SELECT max(at) FROM audit_events)";
    // Were it believed, what the second run removed would be missed.
    forge(&app, &format!("{newest}, kind, subject_kind, subject_id, details"), first).await;
}

/// An erasure names what it redacted: nobody else may take details away of events by or about the person unseen.
#[rstest]
#[actix_web::test]
async fn p6_details_that_the_erasure_left_are_missed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let bob = id_of(&app, "bob").await;
    app.app.users.erase(bob, &AuditContext::command_line()).await.unwrap();
    seal(&app).await;
    verify(&app).await.unwrap();
    let events = app.events().await;
    let is_left = |kind, event: &vigie::model::audit::AuditEvent| {
        event.kind == kind && event.subject.id == Some(bob.to_string()) && event.details["erased"].is_null()
    };
    let started =
        events.iter().find(|event| is_left(AuditKind::SessionStarted, &event.event)).expect("it names nobody");
    redact_event(&app, started.seq).await;
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(RecordKind::Event)), "{damage}");
}

/// Each event that an erasure redacted is named once, its own too.
#[rstest]
#[actix_web::test]
async fn prv_04_an_erasure_names_every_event_that_it_redacted(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let bob = id_of(&app, "bob").await;
    app.advance(TimeDelta::minutes(1));
    let erased = app.app.users.erase(bob, &AuditContext::command_line()).await.unwrap();
    let events = app.events().await;
    let mut redacted: Vec<i64> =
        events.iter().filter(|event| event.event.details["erased"] == true).map(|event| event.seq).collect();
    let removal_key = events.iter().filter(|event| event.event.kind == AuditKind::UserErased);
    let named = removal_key.filter_map(|event| event.event.details["events"].as_array());
    let mut named: Vec<i64> = named.flatten().filter_map(serde_json::Value::as_i64).collect();
    redacted.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, redacted);
    assert_eq!(u64::try_from(named.len()).unwrap(), erased.events);
    assert!(erased.events > 0);
}
