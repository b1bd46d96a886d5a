//! A digest says which columns it covers: one that is covered later counts from then on (P6).

use rstest::rstest;
use vigie::model::record::{Column, Coverage, Digest, RecordKind, Shape};
use vigie::store::row_digests::{self, RowDigest};
use vigie::store::{Db, StoreError};

use super::retention::history;
use super::tamper::{tamper, word};
use super::verify;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};

/// Attempts as a version of Vigie covers them that did not know of devices yet, and as the next one does.
const PART: [Column; 3] = [
    Column::new("id", Shape::Id),
    Column::new("user_agent", Shape::OptionalPerson).since(2),
    Column::new("outcome", Shape::Text),
];
const BEFORE: [Column; 2] = [PART[0], PART[2]];
const PARTS: &[&[Column]] = &[&PART];

const fn form(form: i32) -> Coverage {
    Coverage { kind: RecordKind::Attempt, parts: PARTS, form }
}

async fn digests(app: &TestApp, coverage: Coverage) -> Vec<Digest> {
    let ids: Vec<u128> = app.attempts().await.iter().map(|attempt| attempt.id.0.as_u128()).collect();
    let read = move |db: &mut Db| {
        let mut found = Vec::new();
        row_digests::by_number(db, coverage, &ids, |id, is| found.push((id, is)))?;
        found.sort_by_key(|(id, _)| *id);
        Ok::<_, StoreError>(found)
    };
    let found = app.app.store.read(read).await.unwrap();
    let digest = |(_, found)| if let RowDigest::Present(digest, _) = found { digest } else { panic!("{found:?}") };
    found.into_iter().map(digest).collect()
}

/// What was sealed under the first form is digested as it was, whatever the newer column says; under the second, that counts.
#[rstest]
#[actix_web::test]
async fn p6_a_column_counts_from_the_form_on_in_which_it_was_covered(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let (first, second) = (digests(&app, form(1)).await, digests(&app, form(2)).await);
    assert!(first.len() > 2);
    let before = Coverage { kind: RecordKind::Attempt, parts: &[&BEFORE], form: 1 };
    assert_eq!(first, digests(&app, before).await, "as before there was such a column");
    tamper(&app, &["UPDATE attempts SET user_agent = 'another'"]);
    assert_eq!(digests(&app, form(1)).await, first);
    let changed = digests(&app, form(2)).await;
    assert!(changed.iter().zip(&second).all(|(changed, second)| changed != second));
    tamper(&app, &["UPDATE attempts SET outcome = 'throttled'"]);
    assert!(digests(&app, form(1)).await.iter().zip(&first).all(|(changed, first)| changed != first));
}

/// No digest of one form is one of another, even over the same columns.
#[rstest]
#[actix_web::test]
async fn p6_a_digest_of_one_form_is_none_of_another(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let covered = |form| Coverage { kind: RecordKind::Attempt, parts: &[&BEFORE], form };
    let forms = [digests(&app, covered(1)).await, digests(&app, covered(2)).await, digests(&app, covered(3)).await];
    let mut all = forms.concat();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

/// A record under another form than its own, or one that nobody knows, is not of what is there.
#[rstest]
#[actix_web::test]
async fn p6_a_form_that_is_changed_is_found(#[values(1, 99)] form: i32, #[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    tamper(&app, &[&format!("UPDATE sealed_records SET form = {form} WHERE kind = 'attempt'")]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(RecordKind::Attempt)), "{damage}");
}

/// A program that knows of no forms cannot leave a record that would be taken for one of the first.
#[rstest]
#[actix_web::test]
async fn p6_what_waits_must_say_its_form(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let mut beside = crate::support::dump::Beside::connect(&app.database.url);
    let written =
        beside.execute("INSERT INTO unsealed_records (kind, subject, at) SELECT 'event', 'x', at FROM audit_events");
    let refused = written.unwrap_err().to_string().to_lowercase();
    assert!(refused.contains("null"), "{refused}");
}
