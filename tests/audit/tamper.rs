//! The tamper matrix: whatever is done to the history behind the server's back is found, and the first bad record named.

use rstest::rstest;
use serde_json::json;
use vigie::audit::chain::Damage;
use vigie::model::record::RecordKind;

use super::chain::{record, start_anew};
use super::verify;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

/// Some history: two sessions, of which one has ended, attempts, events; sealed, with a checkpoint.
async fn history(backend: Backend) -> TestApp {
    let app = TestApp::start(backend).await;
    app.signed_in("alice").await.post_empty("/auth/logout").await.expect(204);
    let bob = app.signed_in("bob").await;
    app.nobody().post("/auth/login", json!({ "username": "bob", "password": "wrong" })).await.expect(401);
    bob.get("/auth/me").await.expect(200);
    app.app.chain.seal().await.unwrap();
    app.app.chain.checkpoint().await.unwrap();
    verify(&app).await.unwrap();
    app
}

pub fn tamper(app: &TestApp, statements: &[&str]) {
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    if statements.iter().any(|statement| statement.contains("audit_events")) {
        app.database.let_foreign_events_be();
    }
    for statement in statements {
        assert!(beside.execute(statement).unwrap() > 0, "{statement} changed nothing");
    }
}

/// What was found: a word for the damage, and of what.
pub(super) fn word(damage: &Damage) -> (&'static str, Option<RecordKind>) {
    match damage {
        Damage::Changed { kind, .. } => ("changed", Some(*kind)),
        Damage::Deleted { kind, .. } => ("deleted", Some(*kind)),
        Damage::Added { kind, .. } => ("added", Some(*kind)),
        Damage::Duplicate { kind, .. } => ("duplicate", Some(*kind)),
        Damage::RecordedTwice { kind, .. } => ("twice", Some(*kind)),
        Damage::BrokenLink { .. } => ("broken", None),
        Damage::Missing { .. } => ("missing", None),
        Damage::Head { .. } => ("head", None),
        Damage::CutOff { .. } => ("cut off", None),
        Damage::UnsignedBase { .. } => ("base", None),
        Damage::Rewritten { .. } => ("rewritten", None),
        Damage::Unsigned => ("unsigned", None),
        Damage::OutsideChain { .. } => ("stray", None),
        Damage::Schema(_) => ("schema", None),
        Damage::ChainHashKey { .. } => ("link key", None),
        Damage::Checkpoint { .. } => ("checkpoint", None),
        Damage::Tree { .. } => ("tree", None),
        Damage::Unreadable { .. } => ("unreadable", None),
        Damage::File(_) => ("file", None),
        Damage::Handover { .. } => ("handover", None),
    }
}

#[rstest]
#[case::event_edited(&["UPDATE audit_events SET actor_id = 'nobody' WHERE seq = 2"], "changed", Some(RecordKind::Event))]
#[case::event_unreadable(&["UPDATE audit_events SET kind = 'nothing' WHERE seq = 2"], "changed", Some(RecordKind::Event))]
#[case::event_deleted(&["DELETE FROM audit_events WHERE seq = 2"], "deleted", Some(RecordKind::Event))]
#[case::newest_event_deleted(&["DELETE FROM audit_events WHERE seq = (SELECT max(seq) FROM audit_events)"], "deleted", Some(RecordKind::Event))]
#[case::events_swapped(
    &["UPDATE audit_events SET at = (SELECT min(other.at) FROM audit_events other WHERE other.seq = 5 - audit_events.seq), \
       kind = (SELECT min(other.kind) FROM audit_events other WHERE other.seq = 5 - audit_events.seq) WHERE seq IN (2, 3)"],
    "changed", Some(RecordKind::Event)
)]
#[case::event_inserted(
    &["INSERT INTO audit_events (at, kind, actor_kind, actor_id, subject_kind, details) \
       SELECT at, kind, actor_kind, actor_id, subject_kind, details FROM audit_events WHERE seq = 2"],
    "added", Some(RecordKind::Event)
)]
#[case::session_edited(&["UPDATE sessions SET user_agent = 'another' WHERE username = 'bob'"], "changed", Some(RecordKind::SessionStarted))]
#[case::ended_session_edited(&["UPDATE sessions SET last_ip = '192.0.2.77' WHERE username = 'alice'"], "changed", Some(RecordKind::SessionEnded))]
#[case::end_edited(&["UPDATE sessions SET end_reason = 'expired' WHERE username = 'alice'"], "changed", Some(RecordKind::SessionEnded))]
#[case::session_brought_back(
    &["UPDATE sessions SET ended_at = NULL, end_reason = NULL, ended_by_kind = NULL, ended_by_id = NULL WHERE username = 'alice'"],
    "changed", Some(RecordKind::SessionEnded)
)]
#[case::session_ended(
    &["UPDATE sessions SET ended_at = last_seen_at, end_reason = 'logout', ended_by_kind = 'user' WHERE username = 'bob'"],
    "added", Some(RecordKind::SessionEnded)
)]
#[case::session_deleted(
    &["DELETE FROM access_tokens", "DELETE FROM sessions WHERE username = 'bob'"], "deleted", Some(RecordKind::SessionStarted)
)]
#[case::sessions_swapped(
    &["UPDATE sessions SET username = CASE username WHEN 'alice' THEN 'bob' ELSE 'alice' END"], "changed", Some(RecordKind::SessionStarted)
)]
#[case::attempt_edited(&["UPDATE attempts SET outcome = 'success' WHERE outcome = 'wrong_password'"], "changed", Some(RecordKind::Attempt))]
#[case::attempt_deleted(&["DELETE FROM attempts WHERE outcome = 'wrong_password'"], "deleted", Some(RecordKind::Attempt))]
#[case::attempts_swapped(
    &["UPDATE attempts SET username = CASE username WHEN 'alice' THEN 'bob' ELSE 'alice' END"], "changed", Some(RecordKind::Attempt)
)]
#[case::session_not_found_by_its_name(
    &["UPDATE sessions SET username_folded = 'another' WHERE username = 'bob'"], "changed", Some(RecordKind::SessionStarted)
)]
#[case::attempt_not_found_by_its_address(
    &["UPDATE attempts SET ip_key = (SELECT substr(digest, 1, 16) FROM sealed_records WHERE position = 0)"],
    "changed", Some(RecordKind::Attempt)
)]
#[case::record_edited(&["UPDATE sealed_records SET digest = chain_hash WHERE position = 2"], "broken", None)]
#[case::record_deleted(&["DELETE FROM sealed_records WHERE position = 2"], "missing", None)]
#[case::record_unreadable(&["UPDATE sealed_records SET kind = 'x' WHERE position = 2"], "unreadable", None)]
#[case::newest_record_deleted(
    &["DELETE FROM sealed_records WHERE position = (SELECT max(position) FROM sealed_records)"], "missing", None
)]
#[case::head_edited(&["UPDATE chain_head SET size = size - 1"], "cut off", None)]
#[case::head_deleted(&["DELETE FROM chain_head"], "unreadable", None)]
#[case::base_deleted(&["DELETE FROM chain_base"], "unreadable", None)]
#[case::checkpoint_edited(&["UPDATE checkpoints SET note = replace(note, 'vigie/', 'other/')"], "checkpoint", None)]
#[actix_web::test]
async fn p6_whatever_is_changed_is_found(
    #[case] statements: &[&str],
    #[case] expected: &str,
    #[case] kind: Option<RecordKind>,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend).await;
    tamper(&app, statements);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), (expected, kind), "{damage}");
}

/// The tree is kept beside the records, for proofs: it is theirs, or found out before somebody asks for one.
#[rstest]
#[case::edited(
    "UPDATE tree_hashes SET hash = (SELECT chain_hash FROM chain_head) WHERE place = (SELECT max(place) FROM tree_hashes)"
)]
#[case::deleted("DELETE FROM tree_hashes WHERE place = (SELECT min(place) FROM tree_hashes)")]
#[case::added("INSERT INTO tree_hashes (place, hash) SELECT 7, chain_hash FROM chain_head")]
#[actix_web::test]
async fn p6_a_hash_of_the_tree_that_is_changed_is_found(
    #[case] statement: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend).await;
    record(&app, 600).await;
    app.app.chain.seal().await.unwrap();
    app.app.chain.checkpoint().await.unwrap();
    verify(&app).await.unwrap();
    tamper(&app, &[statement]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("tree", None), "{damage}");
}

/// Rows copied under new ids.
#[rstest]
#[case::sessions("sessions", RecordKind::SessionStarted)]
#[case::attempts("attempts", RecordKind::Attempt)]
#[actix_web::test]
async fn p6_a_row_that_is_added_is_found(
    #[case] table: &str,
    #[case] kind: RecordKind,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend).await;
    let id = "'01234567-89ab-7cde-8f01-23456789abcd'";
    let mut beside = Beside::connect(&app.database.url);
    match beside {
        Beside::Sqlite(_) => {
            beside.execute(&format!("CREATE TABLE copied AS SELECT * FROM {table} LIMIT 1")).unwrap();
            beside.execute(&format!("UPDATE copied SET id = {id}")).unwrap();
        }
        Beside::Postgres(_) => {
            beside.execute(&format!("CREATE TABLE copied AS SELECT * FROM {table} LIMIT 1")).unwrap();
            beside.execute(&format!("UPDATE copied SET id = {id}::uuid")).unwrap();
        }
    }
    beside.execute(&format!("INSERT INTO {table} SELECT * FROM copied")).unwrap();
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("added", Some(kind)), "{damage}");
}

/// Somebody with all of Vigie's own code changes a row and makes the whole chain anew: the checkpoints tell.
#[rstest]
#[case::events("UPDATE audit_events SET actor_id = 'nobody' WHERE seq = 2")]
#[case::sessions("UPDATE sessions SET user_agent = 'another' WHERE username = 'bob'")]
#[case::attempts("UPDATE attempts SET outcome = 'success' WHERE outcome = 'wrong_password'")]
#[actix_web::test]
async fn p6_a_chain_that_was_made_anew_is_found(
    #[case] statement: &str,
    #[values(true, false)] also_the_checkpoints: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend).await;
    tamper(&app, &[statement]);
    start_anew(&app);
    if also_the_checkpoints {
        // What is left is the one outside the database.
        tamper(&app, &["DELETE FROM checkpoints"]);
    }
    app.app.chain.seal().await.unwrap();
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage).0, "rewritten", "{damage}");
}

/// The newest rows are taken away, and the chain ends before them as if they had never been.
#[rstest]
#[case::events("DELETE FROM audit_events WHERE seq = (SELECT max(seq) FROM audit_events)")]
#[case::attempts("DELETE FROM attempts WHERE at = (SELECT max(at) FROM attempts)")]
#[actix_web::test]
async fn p6_what_is_cut_off_is_found(#[case] statement: &str, #[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend).await;
    tamper(&app, &[statement]);
    start_anew(&app);
    app.app.chain.seal().await.unwrap();
    let damage = verify(&app).await.unwrap_err();
    assert!(["cut off", "rewritten"].contains(&word(&damage).0), "{damage}");
}

/// LOG-06: on SQLite the file itself refuses.
#[rstest]
#[case("UPDATE audit_events SET kind = kind", "never changed")]
#[case("DELETE FROM audit_events", "never deleted")]
#[case("UPDATE attempts SET ip = ip", "never changed")]
#[case("DELETE FROM attempts", "never deleted")]
#[case("UPDATE sessions SET ip = ip", "never changed")]
#[case("DELETE FROM sessions", "never deleted")]
#[case("UPDATE sealed_records SET at = at", "never changed")]
#[case("DELETE FROM sealed_records", "never deleted")]
#[case("UPDATE checkpoints SET at = at", "never changed")]
#[case("DELETE FROM checkpoints", "never deleted")]
#[actix_web::test]
async fn log_06_the_file_refuses_to_change_its_history(#[case] statement: &str, #[case] reason: &str) {
    let app = history(Sqlite).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.execute("DELETE FROM access_tokens").unwrap();
    let refused = beside.execute(statement).unwrap_err().to_string();
    assert!(refused.contains(reason), "{refused}");
    verify(&app).await.unwrap();
}

/// LOG-06: nor does a conflict that is resolved take a row away, which no trigger on deletions sees.
#[rstest]
#[case("INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events WHERE seq = 2", "never replaced")]
#[case("INSERT OR REPLACE INTO attempts SELECT * FROM attempts LIMIT 1", "never replaced")]
#[case(
    "INSERT OR REPLACE INTO attempts (rowid, id, at, username, username_folded, outcome, ip, ip_key, request_id)
     SELECT rowid, '01234567-89ab-7cde-8f01-23456789abcd', at, 'a', 'a', outcome, ip, ip_key, 'r' FROM attempts LIMIT 1",
    "never replaced"
)]
#[case("INSERT OR REPLACE INTO sessions SELECT * FROM sessions WHERE username = 'alice'", "never replaced")]
#[case("INSERT OR REPLACE INTO sealed_records SELECT * FROM sealed_records WHERE position = 2", "never replaced")]
#[case(
    "INSERT OR REPLACE INTO sealed_records (rowid, position, kind, subject, at, digest, chain_hash)
     SELECT rowid, position + 1000, kind, subject, at, digest, chain_hash FROM sealed_records WHERE position = 2",
    "never replaced"
)]
#[case(
    "INSERT OR REPLACE INTO sealed_records SELECT * FROM (
       SELECT position + 1000, kind, subject, at, digest, chain_hash, form FROM sealed_records WHERE position = 2)",
    "never replaced"
)]
#[case("INSERT OR REPLACE INTO checkpoints SELECT * FROM checkpoints LIMIT 1", "never replaced")]
#[case(
    "INSERT OR REPLACE INTO checkpoints (rowid, size, at, note) SELECT rowid, size + 1000, at, note FROM checkpoints LIMIT 1",
    "never replaced"
)]
#[case("UPDATE OR REPLACE audit_events SET rowid = 1 WHERE seq = 2", "never changed")]
#[case("UPDATE OR REPLACE audit_events SET seq = 1 WHERE seq = 2", "never changed")]
#[case(
    "UPDATE OR REPLACE attempts SET rowid = (SELECT min(rowid) FROM attempts)
     WHERE rowid = (SELECT max(rowid) FROM attempts)",
    "never changed"
)]
#[case(
    "UPDATE OR REPLACE sessions SET id = (SELECT id FROM sessions WHERE username = 'alice') WHERE username = 'bob'",
    "never changed"
)]
#[case(
    "UPDATE OR REPLACE sessions SET rowid = (SELECT rowid FROM sessions WHERE username = 'alice') WHERE username = 'bob'",
    "never changed"
)]
#[actix_web::test]
async fn log_06_the_file_refuses_to_replace_its_history(#[case] statement: &str, #[case] reason: &str) {
    let app = history(Sqlite).await;
    let before = app.dump_of_history();
    let mut beside = Beside::connect(&app.database.url);
    let refused = beside.execute(statement).map_err(|error| error.to_string());
    assert!(refused.as_ref().is_err_and(|refused| refused.contains(reason)), "{refused:?}");
    assert_eq!(app.dump_of_history(), before);
    verify(&app).await.unwrap();
}
