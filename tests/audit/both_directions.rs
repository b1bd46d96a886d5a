//! Verifying looks both ways: no row without a record, and no record that stands for what has one already (P6).

use rstest::rstest;
use vigie::audit::chain::NotSigned;
use vigie::model::record::RecordKind;

use super::chain::record;
use super::retention::{history, seal};
use super::tamper::{tamper, word};
use super::verify;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

/// An event that no record stands for.
const FORGED: &str = "INSERT INTO audit_events (at, kind, actor_kind, actor_id, subject_kind, details)
    SELECT at, kind, actor_kind, actor_id, subject_kind, details FROM audit_events WHERE seq = 2";

/// One more record of an event that has one, to be sealed as it is found.
fn another(subject: &str) -> String {
    format!(
        "INSERT INTO unsealed_records (kind, subject, at, form)
         SELECT 'event', {subject}, at, 1 FROM audit_events WHERE seq = 2"
    )
}

/// A record more makes up for nothing: as many records as rows are not yet the right ones.
#[rstest]
#[actix_web::test]
async fn p6_a_forged_event_is_found_whatever_records_were_added(
    #[values("'2'", "'02'", "'+2'")] subject: &str,
    #[values(true, false)] is_sealed: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend, &[]).await;
    tamper(&app, &[FORGED, &another(subject)]);
    if is_sealed {
        app.app.chain.seal().await.ok();
    }
    let damage = verify(&app).await.unwrap_err();
    let newest = Beside::connect(&app.database.url).lines("SELECT CAST(max(seq) AS TEXT) AS line FROM audit_events");
    assert_eq!(damage.to_string(), format!("event {} was added: no record stands for it", newest[0]));
}

/// The same with the record put straight into the chain: where the table's own key was dropped, verifying still counts.
#[rstest]
#[actix_web::test]
async fn p6_a_thing_that_is_recorded_twice_is_found(
    #[values(true, false)] waits: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend, &[]).await;
    if waits {
        tamper(&app, &[&another("'2'")]);
    } else {
        let mut beside = Beside::connect(&app.database.url);
        beside.drop_triggers();
        beside.execute("DROP INDEX sealed_records_subject").unwrap();
        seal_twice(&app).await;
    }
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(damage.to_string(), "event 2 has more than one record");
}

/// Has the server seal it once more: what hides the first record from it is taken back afterwards.
async fn seal_twice(app: &TestApp) {
    tamper(
        app,
        &["UPDATE sealed_records SET subject = 'hidden' WHERE kind = 'event' AND subject = '2'", &another("'2'")],
    );
    app.app.chain.seal().await.unwrap();
    tamper(app, &["UPDATE sealed_records SET subject = '2' WHERE subject = 'hidden'"]);
}

/// What cannot be sealed keeps nothing else from it, and says what it is.
#[rstest]
#[actix_web::test]
async fn p6_a_record_that_cannot_be_sealed_holds_up_no_other(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    tamper(&app, &[&another("'2'"), &another("'2'")]);
    record(&app, 3).await;
    seal(&app).await;
    let waiting = app.app.store.read(|db| vigie::store::chain::waiting(db, i64::MIN, 10)).await.unwrap();
    let waiting: Vec<_> = waiting.iter().map(|unsealed| (unsealed.kind, unsealed.subject.as_str())).collect();
    assert_eq!(waiting, [(RecordKind::Event, "2"), (RecordKind::Event, "2")]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("twice", Some(RecordKind::Event)), "{damage}");
}

/// The database refuses it as well.
#[rstest]
#[actix_web::test]
async fn p6_a_thing_is_sealed_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    let copy = "INSERT INTO sealed_records SELECT position + 1000, kind, subject, at, digest, chain_hash, form
        FROM sealed_records WHERE position = 2";
    let refused = beside.execute(copy).unwrap_err().to_string().to_lowercase();
    assert!(refused.contains("unique"), "{refused}");
    verify(&app).await.unwrap();
}

/// A record that is where the chain is not stands for nothing.
#[rstest]
#[actix_web::test]
async fn p6_a_record_that_is_in_no_chain_makes_up_for_nothing(
    #[values("1000000000000", "-5", "9223372036854775807")] position: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend, &[]).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    let unchecked = match backend {
        Sqlite => "PRAGMA ignore_check_constraints = ON",
        Postgres => "ALTER TABLE sealed_records DROP CONSTRAINT IF EXISTS sealed_records_position_check",
    };
    beside.execute(unchecked).unwrap();
    beside.execute(FORGED).unwrap();
    beside
        .execute(&format!(
            "INSERT INTO sealed_records (position, kind, subject, at, digest, chain_hash, form)
             SELECT {position}, kind, (SELECT CAST(max(seq) AS TEXT) FROM audit_events), at, digest, chain_hash, form
             FROM sealed_records WHERE position = 2"
        ))
        .unwrap();
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(damage.to_string(), format!("record {position} is in no chain: it was added"));
    let refused = app.app.chain.checkpoint().await.unwrap_err();
    assert!(matches!(refused, NotSigned::Damaged(_)), "the server signs no such history: {refused}");
}

/// What waits is looked at from the first on, whatever number it has.
#[rstest]
#[actix_web::test]
async fn p6_what_waits_under_the_smallest_number_is_looked_at(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let overriding = if backend == Postgres { "OVERRIDING SYSTEM VALUE" } else { "" };
    let waiting = format!(
        "INSERT INTO unsealed_records (id, kind, subject, at, form, digest) {overriding}
         SELECT -9223372036854775807 - 1, kind, (SELECT CAST(max(seq) AS TEXT) FROM audit_events), at, form, digest
         FROM sealed_records WHERE position = 2"
    );
    tamper(&app, &[FORGED, &waiting]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(RecordKind::Event)), "{damage}");
}
