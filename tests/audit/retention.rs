//! What is old goes and what is left still verifies (PRV-01, PRV-02); whatever else goes is found.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use rstest::rstest;
use serde_json::{Value, json};
use vigie::audit::chain::Damage;
use vigie::audit::retention::{self, Retention, RetentionError};
use vigie::background::{JOBS, Job};
use vigie::clock::{Clock, ManualClock};
use vigie::model::alert::{AlertKind, NewAlert};
use vigie::model::attempt::Attempt;
use vigie::model::audit::{AuditContext, AuditKind, Subject, SubjectKind};
use vigie::model::id::NodeId;
use vigie::model::redaction::Group;
use vigie::model::retention::Counts;
use vigie::model::session::{ClientInfo, EndReason, Session};
use vigie::store::alerts::{self, Bounds};
use vigie::store::retention::{DeletionGrant, with_deletion_grant};
use vigie::store::sessions::{self, Closing};
use vigie::store::{Address, Settings, Store, StoreError, attempts};

use super::chain::{hashes, record, start_anew};
use super::tamper::{tamper, word};
use super::verify;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::{Beside, dump_but_nodes};
use crate::support::history::{attempt, ended};
use crate::support::program::Program;

/// An address of which nothing but the network may be left.
const WHOLE: &str = "203.0.113.77";

/// Two sessions that ended, one that lives, attempts, events; sealed, with a checkpoint.
pub(super) async fn history(backend: Backend, settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::start_with(backend, settings).await;
    app.signed_in("alice").await.post_empty("/auth/logout").await.expect(204);
    let bob = app.signed_in("bob").await;
    app.nobody().post("/auth/login", json!({ "username": "bob", "password": "wrong" })).await.expect(401);
    bob.get("/auth/me").await.expect(200);
    let carol = app.user("carol", "agent").await;
    let client_info = ClientInfo { ip: WHOLE.parse().unwrap(), user_agent: Some("curl".to_owned()) };
    let end = ended(app.now(), EndReason::Logout, &AuditContext::system("test").actor, Some("a note"));
    let session =
        Session { client_info, last_ip: WHOLE.parse().unwrap(), ..app.session(&carol, "c", TimeDelta::hours(1)) };
    app.add_sessions(vec![session.clone()]).await;
    app.app
        .store
        .write(move |db| sessions::end_all(db, &[Closing { id: session.id, end: &end, last_use: None }]))
        .await
        .unwrap();
    let tried = Attempt { ip: WHOLE.parse().unwrap(), ..attempt("dave", app.now()) };
    app.add_attempts(vec![tried]).await;
    seal(&app).await;
    verify(&app).await.unwrap();
    app
}

pub(super) async fn seal(app: &TestApp) {
    app.app.chain.seal().await.unwrap();
    app.app.chain.checkpoint().await.unwrap();
}

/// So much later; who was logged in is not any more.
pub(super) async fn later(app: &TestApp, days: i64) {
    app.advance(TimeDelta::days(days));
    app.app.sessions.record_expired().await.unwrap();
    app.app.refusals.write_all().await.unwrap();
    seal(app).await;
}

pub(super) async fn run(app: &TestApp) -> Counts {
    app.app.retention.run(&AuditContext::system("retention")).await.unwrap().removed
}

fn count(app: &TestApp, of: &str) -> String {
    let query = format!("SELECT CAST(count(*) AS TEXT) AS line FROM {of}");
    Beside::connect(&app.database.url).lines(&query).remove(0)
}

/// PRV-01: clock +13 months: the rows are gone, an event without personal data says so, the history verifies.
#[rstest]
#[actix_web::test]
async fn prv_01_after_thirteen_months_old_history_is_gone_and_the_rest_verifies(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend, &[]).await;
    later(&app, 396).await;
    // What the clock has just ended is not old, nor is this.
    app.signed_in("erin").await.post_empty("/auth/logout").await.expect(204);
    seal(&app).await;
    let before = verify(&app).await.unwrap();
    let rows = || ["sessions", "attempts", "audit_events"].map(|table| count(&app, table).parse::<u64>().unwrap());
    let held = rows();
    let removed = run(&app).await;
    let left = rows();
    assert_eq!(left[..2], [1, 1]);
    // One more event says so.
    let gone = [held[0] - left[0], held[1] - left[1], held[2] + 1 - left[2]];
    assert_eq!([removed.sessions, removed.attempts, removed.events], gone);
    assert_eq!(count(&app, "access_tokens"), "1");
    let events = app.events().await;
    assert!(events.iter().all(|event| event.event.at > app.now() - TimeDelta::days(365)), "{events:?}");
    let told: Vec<_> = events.iter().filter(|event| event.event.kind == AuditKind::RetentionRan).collect();
    let [told] = told.as_slice() else { panic!("{told:?}") };
    let details = told.event.details.to_string();
    for personal in ["alice", "bob", "carol", WHOLE, "203.0.113.0"] {
        assert!(!details.contains(personal), "{details}");
    }
    assert_eq!(told.event.details["attempts"]["rows"], removed.attempts);
    seal(&app).await;
    let after = verify(&app).await.unwrap();
    assert_eq!(after.records, before.records + 1, "the records stay, and one says why");

    // Again there is nothing to do, and nothing to tell.
    assert_eq!(run(&app).await, Counts::default());
    assert_eq!(app.events().await.len(), events.len());
    let metrics = app.app.metrics.encode();
    assert!(metrics.contains("vigie_oldest_row_age_seconds{table=\"attempts\"} 0.0"), "{metrics}");
    assert!(metrics.contains("vigie_retention_last_run_timestamp_seconds 18"), "{metrics}");
}

/// PRV-02: after their own period only the network of an address is left; it is found by its prefix, and verifies.
#[rstest]
#[actix_web::test]
async fn prv_02_old_addresses_are_cut_and_found_by_their_network(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    assert!(app.dump().contains(WHOLE));
    later(&app, 150).await;
    assert_eq!(run(&app).await, Counts::default());
    later(&app, 50).await;
    let removed = run(&app).await;
    assert!(removed.addresses >= 6 && removed.sessions + removed.attempts + removed.events == 0, "{removed:?}");
    seal(&app).await;
    verify(&app).await.unwrap();
    let dump = app.dump();
    assert!(!dump.contains(WHOLE), "{dump}");

    let admin = app.admin().await;
    for (network, found) in [("203.0.113.0/24", 1), ("203.0.0.0/16", 1), ("203.0.113.77", 0), ("203.0.114.0/24", 0)] {
        let list = admin.get(&format!("/admin/sessions?ip={network}")).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{network}");
        let list = admin.get(&format!("/admin/attempts?ip={network}")).await.expect(200);
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{network}");
    }
    let list = admin.get("/admin/sessions?ip=203.0.113.0/24").await.expect(200);
    assert_eq!((&list["items"][0]["ip"], &list["items"][0]["last_ip"]), (&json!("203.0.113.0"), &json!("203.0.113.0")));
    let exported = admin.get("/admin/sessions/export?format=ocsf").await;
    assert!(exported.status == 200 && !exported.body.contains(WHOLE), "{}", exported.body);
}

#[rstest]
#[actix_web::test]
async fn prv_01_a_dry_run_only_counts(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    later(&app, 396).await;
    let before = dump_but_nodes(&app.database.url);
    let plan = app.app.retention.plan().await.unwrap();
    assert!(plan.counts.sessions >= 2 && plan.counts.attempts >= 3 && plan.counts.events >= 5, "{plan:?}");
    assert_eq!(dump_but_nodes(&app.database.url), before);
    let removed = run(&app).await;
    assert_eq!((removed.sessions, removed.attempts), (plan.counts.sessions, plan.counts.attempts));
}

/// Killed between batches: what is left verifies, and the next run goes on under the same event.
#[rstest]
#[actix_web::test]
async fn prv_01_a_run_that_breaks_off_is_finished_by_the_next(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    app.add_attempts((0..700).map(|number| attempt(&format!("n{number}"), app.now())).collect()).await;
    later(&app, 396).await;
    let mut begun = app.app.retention.begin(&AuditContext::system("retention")).await.unwrap();
    // Nothing has gone yet that is not sealed already.
    assert_eq!(verify(&app).await.unwrap().waiting, 0);
    for _ in 0..2 {
        begun.step().await.unwrap();
        verify(&app).await.unwrap();
    }
    assert_eq!(begun.removed.attempts, 500);
    drop(begun);
    let busy = app.app.retention.run(&AuditContext::system("retention")).await.unwrap_err();
    assert!(matches!(busy, RetentionError::Claimed), "{busy}");
    app.advance(TimeDelta::minutes(11));
    let left = count(&app, "attempts");
    assert_eq!(run(&app).await.attempts.to_string(), left);
    assert_eq!(count(&app, "attempts"), "0");
    seal(&app).await;
    verify(&app).await.unwrap();
    let told = app.events().await.into_iter().filter(|event| event.event.kind == AuditKind::RetentionRan);
    assert_eq!(told.filter(|event| event.event.details["attempts"]["rows"] != 0).count(), 1);
}

/// PRV-01: used and expired one-time tokens go, and alerts that somebody has looked at; of open ones the address.
#[rstest]
#[actix_web::test]
async fn prv_01_old_tokens_and_alerts_go_too(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let alice = app.app.users.find_by_id_or_name("alice").await.unwrap().unwrap();
    app.app.users.issue_reset(alice.id, false, &AuditContext::command_line()).await.unwrap();
    let now = app.now();
    let raise = move |db: &mut _| {
        let bounds = Bounds { window: TimeDelta::hours(1), of_kind: 100 };
        let of = |subject| {
            NewAlert::without_details(now, AlertKind::NewDevice, subject).from_address(WHOLE.parse().unwrap())
        };
        let user = Subject::new(SubjectKind::User, alice.id);
        Ok::<_, StoreError>((
            alerts::raise(db, &of(user), bounds)?,
            alerts::raise(db, &of(Subject::everybody()), bounds)?,
        ))
    };
    let (seen, open) = app.app.store.write(raise).await.unwrap();
    app.app.alerts.acknowledge(seen.id, None, &AuditContext::command_line()).await.unwrap();
    later(&app, 5).await;
    run(&app).await;
    assert_eq!((count(&app, "one_time_tokens"), app.alerts().await.len()), ("1".to_owned(), 2));
    later(&app, 396).await;
    run(&app).await;
    assert_eq!(count(&app, "one_time_tokens"), "0");
    let left = app.alerts().await;
    assert_eq!((left.len(), left[0].id, left[0].raised.ip), (1, open.id, None));
}

/// What is gone stays rightly gone, although from now on more is kept.
#[rstest]
#[actix_web::test]
async fn the_history_verifies_when_more_is_kept_later(#[values(Sqlite, Postgres)] backend: Backend) {
    let short = [
        ("VIGIE__RETENTION__SESSIONS", "6 months"),
        ("VIGIE__RETENTION__ATTEMPTS", "6 months"),
        ("VIGIE__RETENTION__AUDIT", "6 months"),
        ("VIGIE__RETENTION__ADDRESSES", "1 month"),
    ];
    let app = history(backend, &short).await;
    later(&app, 190).await;
    assert!(run(&app).await.attempts > 0);
    let more = ["SESSIONS", "ATTEMPTS", "AUDIT"].map(|key| (format!("VIGIE__RETENTION__{key}"), "12 months"));
    let longer = app.another_node_with(&more.each_ref().map(|(key, value)| (key.as_str(), *value))).await;
    assert_eq!(run(&longer).await, Counts::default());
    longer.advance(TimeDelta::days(80));
    assert_eq!(run(&longer).await, Counts::default());
    verify(&app).await.unwrap();
}

/// The tamper matrix, after retention: whatever goes or changes without it is found.
#[rstest]
#[case::younger_event_deleted("DELETE FROM audit_events WHERE seq = (SELECT max(seq) FROM audit_events)", "deleted")]
#[case::younger_attempt_deleted("DELETE FROM attempts WHERE at = (SELECT max(at) FROM attempts)", "deleted")]
#[case::younger_session_deleted("DELETE FROM sessions WHERE username = 'erin'", "deleted")]
#[case::old_session_revived(
    "UPDATE sessions SET ended_at = NULL, end_reason = NULL, ended_by_kind = NULL WHERE username = 'carol'",
    "changed"
)]
#[case::cut_address_edited("UPDATE attempts SET ip = '203.0.114.0' WHERE ip = '203.0.113.0'", "changed")]
#[case::cut_address_made_whole("UPDATE sessions SET ip = '203.0.113.78' WHERE username = 'carol'", "changed")]
#[case::last_address_made_whole("UPDATE sessions SET last_ip = '203.0.113.78' WHERE username = 'carol'", "changed")]
#[case::proof_edited("UPDATE attempts SET address_proof = person_proof WHERE ip = '203.0.113.0'", "changed")]
#[case::proof_taken_away("UPDATE attempts SET address_proof = NULL WHERE ip = '203.0.113.0'", "changed")]
#[case::salt_edited("UPDATE attempts SET person_proof = address_proof WHERE username = 'erin'", "changed")]
#[case::event_of_the_run_edited("UPDATE audit_events SET actor_id = 'x' WHERE kind = 'retention.ran'", "changed")]
#[case::event_of_the_run_deleted("DELETE FROM audit_events WHERE kind = 'retention.ran'", "deleted")]
#[actix_web::test]
async fn p6_whatever_goes_without_retention_is_found(
    #[case] statement: &str,
    #[case] expected: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app =
        history(backend, &[("VIGIE__RETENTION__ATTEMPTS", "18 months"), ("VIGIE__RETENTION__SESSIONS", "18 months")])
            .await;
    later(&app, 396).await;
    let removed = run(&app).await;
    assert!(removed.events > 0 && removed.addresses > 0 && removed.attempts == 0, "{removed:?}");
    app.signed_in("erin").await.post_empty("/auth/logout").await.expect(204);
    seal(&app).await;
    verify(&app).await.unwrap();
    tamper(&app, &[statement]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage).0, expected, "{damage}");
}

/// Somebody removes rows, and adds an event that says it was retention: no record stands for it.
#[rstest]
#[actix_web::test]
async fn p6_a_forged_event_of_retention_is_found(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let forged = "INSERT INTO audit_events (at, kind, actor_kind, actor_id, subject_kind, details)
         SELECT at, 'retention.ran', 'system', 'retention', 'everybody',
                '{\"attempts\":{\"before\":\"2999-01-01T00:00:00Z\",\"rows\":9}}' FROM audit_events WHERE seq = 1";
    tamper(&app, &[forged, "DELETE FROM attempts"]);
    let damage = verify(&app).await.unwrap_err();
    assert!(matches!(&damage, Damage::Added { .. } | Damage::Deleted { .. }), "{damage}");
}

/// Nobody can cut addresses or take names away behind the server's back either, though the record itself would agree.
#[rstest]
#[case(Group::Addresses)]
#[case(Group::Person)]
#[actix_web::test]
async fn p6_what_is_redacted_without_an_event_is_found(
    #[case] group: Group,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend, &[]).await;
    let tomorrow = app.now() + TimeDelta::days(1);
    let redact = move |db: &mut _| {
        let kept = attempts::whole_addresses(db, tomorrow, 1)?.remove(0);
        assert_eq!(kept.without(group).unwrap().record(), kept.record());
        let permit = match group {
            Group::Addresses => DeletionGrant::Addresses(kept.row.at + TimeDelta::days(1)),
            Group::Person => DeletionGrant::Person,
        };
        with_deletion_grant(db, permit, |db| attempts::redact(db, &kept.without(group).unwrap(), group))
    };
    app.app.store.write::<_, StoreError>(redact).await.unwrap();
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage).0, "changed", "{damage}");
}

/// A session that lives for longer than sessions are kept is kept; and missed, if it goes.
#[rstest]
#[actix_web::test]
async fn a_session_that_lives_is_not_old(#[values(Sqlite, Postgres)] backend: Backend) {
    let settings = [
        ("VIGIE__SESSIONS__LIFETIME", "366d"),
        ("VIGIE__SESSIONS__IDLE_TIMEOUT", "366d"),
        ("VIGIE__RETENTION__SESSIONS", "6 months"),
        ("VIGIE__RETENTION__ATTEMPTS", "6 months"),
        ("VIGIE__RETENTION__AUDIT", "6 months"),
    ];
    let app = history(backend, &settings).await;
    later(&app, 250).await;
    assert_eq!(run(&app).await.sessions, 2);
    assert_eq!(count(&app, "sessions WHERE ended_at IS NULL"), "1");
    verify(&app).await.unwrap();
    tamper(&app, &["DELETE FROM sessions"]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage).0, "deleted", "{damage}");
}

/// What was sealed before addresses could be cut keeps its own until it is removed, is counted, and verifies as it did.
#[rstest]
#[actix_web::test]
async fn what_was_sealed_in_the_clear_is_removed_with_its_row(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    let clear = ["sessions", "attempts", "audit_events"]
        .map(|table| format!("UPDATE {table} SET address_proof = NULL, person_proof = NULL"));
    tamper(&app, &clear.each_ref().map(String::as_str));
    Beside::connect(&app.database.url).execute("DELETE FROM checkpoints").unwrap();
    std::fs::remove_file(app.app.chain.file()).unwrap();
    start_anew(&app);
    seal(&app).await;
    verify(&app).await.unwrap();
    later(&app, 200).await;
    let in_the_clear = app.app.retention.sealed_in_the_clear().await.unwrap();
    assert!(in_the_clear >= 5, "{in_the_clear}");
    run(&app).await;
    assert!(app.dump().contains(WHOLE));
    later(&app, 196).await;
    run(&app).await;
    assert!(!app.dump().contains(WHOLE));
    seal(&app).await;
    verify(&app).await.unwrap();
}

/// A long history, of which retention has left the newest events.
async fn cut(backend: Backend) -> TestApp {
    let app = history(backend, &[]).await;
    record(&app, 700).await;
    seal(&app).await;
    later(&app, 396).await;
    app.signed_in("erin").await;
    assert!(run(&app).await.records >= 512);
    record(&app, 300).await;
    seal(&app).await;
    app
}

/// Records that stand for nothing any more go too, after a checkpoint; proofs of those that follow are as good as before.
#[rstest]
#[actix_web::test]
async fn prv_01_the_oldest_records_go_and_later_ones_are_still_proved(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    record(&app, 700).await;
    seal(&app).await;
    let key = app.app.chain.key();
    let ancient = key.open(&std::fs::read_to_string(app.app.chain.file()).unwrap()).unwrap();
    later(&app, 396).await;
    assert!(run(&app).await.records >= 512);
    record(&app, 300).await;
    seal(&app).await;
    let verified = verify(&app).await.unwrap();
    assert!(verified.base >= 512 && verified.base % 256 == 0 && verified.base < verified.records, "{verified:?}");
    assert_eq!(count(&app, &format!("sealed_records WHERE position < {}", verified.base)), "0");
    let old = app.app.chain.verify(&[ancient], |_, _| {}).await.unwrap().unwrap();
    assert_eq!(old.too_old, usize::from(ancient.size < verified.base));

    let auditor = app.auditor().await;
    let newest = Beside::connect(&app.database.url).lines("SELECT CAST(max(seq) AS TEXT) AS line FROM audit_events");
    let oldest = Beside::connect(&app.database.url).lines("SELECT CAST(min(seq) AS TEXT) AS line FROM audit_events");
    seal(&app).await;
    for seq in [&newest[0], &oldest[0]] {
        let answer = auditor.get(&format!("/admin/audit/{seq}/proof")).await.expect(200);
        let checkpoint = key.open(answer["checkpoint"].as_str().unwrap()).unwrap();
        let leaf = tlog_tiles::record_hash(&STANDARD.decode(answer["leaf"].as_str().unwrap()).unwrap());
        let position = answer["position"].as_u64().unwrap();
        tlog_tiles::check_record(&hashes(&answer), checkpoint.size, checkpoint.root, position, leaf).unwrap();
    }
    auditor.get("/admin/audit/1/proof").await.problem(404, "not_found");
    let path = |from| format!("/admin/audit/consistency?from={from}&to={}", verified.records);
    let refused = auditor.get(&path(verified.base - 1)).await.problem(422, "invalid_input");
    assert!(refused.to_string().contains("older than what is kept"), "{refused}");
    let (base, here) = (checkpoint_of(&app, verified.base), checkpoint_of(&app, verified.records));
    let grown = hashes(&auditor.get(&path(verified.base)).await.expect(200));
    tlog_tiles::check_tree(&grown, here.size, here.root, base.size, base.root).unwrap();

    // The next year goes as the first did.
    later(&app, 396).await;
    run(&app).await;
    seal(&app).await;
    assert!(verify(&app).await.unwrap().base > verified.base);
}

fn checkpoint_of(app: &TestApp, size: u64) -> vigie::audit::chain::Checkpoint {
    let note = format!("SELECT note AS line FROM checkpoints WHERE size = {size}");
    app.app.chain.key().open(&Beside::connect(&app.database.url).lines(&note)[0]).unwrap()
}

/// The tamper matrix of where the chain begins.
#[rstest]
#[case::base_moved_on(&["UPDATE chain_base SET size = size + 256"], "base")]
#[case::base_moved_back(&["UPDATE chain_base SET size = size - 256"], "base")]
#[case::base_of_another_tree(&["UPDATE chain_base SET peaks = chain_hash"], "base")]
#[case::base_with_another_link(&["UPDATE chain_base SET chain_hash = (SELECT chain_hash FROM chain_head)"], "broken")]
#[case::its_checkpoint_deleted(&["DELETE FROM checkpoints WHERE size = (SELECT size FROM chain_base)"], "base")]
#[case::more_records_removed(
    &["DELETE FROM sealed_records WHERE position < (SELECT size + 9 FROM chain_base)"], "missing"
)]
#[actix_web::test]
async fn p6_where_the_chain_begins_is_as_safe_as_the_chain(
    #[case] statements: &[&str],
    #[case] expected: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = cut(backend).await;
    verify(&app).await.unwrap();
    tamper(&app, statements);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage).0, expected, "{damage}");
}

/// Even with a genuine checkpoint of exactly so many records nobody cuts the chain but retention.
#[rstest]
#[actix_web::test]
async fn p6_a_prefix_that_no_retention_removed_is_missed(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    record(&app, 700).await;
    seal(&app).await;
    let head = app.app.store.read(vigie::store::chain::head).await.unwrap();
    assert!(app.app.chain.prune_to(head).await.unwrap());
    tamper(&app, &["DELETE FROM sealed_records"]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage).0, "base", "{damage}");
}

/// On SQLite the file itself lets nothing go but what the run has a permit for.
#[rstest]
#[case("DELETE FROM attempts", DeletionGrant::Sessions)]
#[case("DELETE FROM attempts", DeletionGrant::Attempts)]
#[case("UPDATE attempts SET username = 'x'", DeletionGrant::Addresses)]
#[case("UPDATE attempts SET outcome = 'success'", DeletionGrant::Addresses)]
#[actix_web::test]
async fn log_06_a_permit_is_for_what_it_names_and_nothing_younger(
    #[case] statement: &'static str,
    #[case] permit: fn(chrono::DateTime<chrono::Utc>) -> DeletionGrant,
) {
    let app = history(Sqlite, &[]).await;
    let oldest = app.attempts().await.last().unwrap().at;
    let tried =
        move |db: &mut vigie::store::Db| with_deletion_grant(db, permit(oldest), |db| vigie_execute(db, statement));
    let refused = app.app.store.write::<_, StoreError>(tried).await.unwrap_err();
    assert!(refused.to_string().contains("attempts are never"), "{refused}");
}

fn vigie_execute(db: &mut vigie::store::Db, statement: &str) -> Result<usize, StoreError> {
    use diesel::RunQueryDsl as _;
    let vigie::store::Db::Sqlite(connection) = db else { panic!("SQLite") };
    diesel::sql_query(statement).execute(connection).map_err(StoreError::from)
}

/// On PostgreSQL the server's role may be one that cannot delete: it says so, and nothing breaks.
#[actix_web::test]
async fn a_role_that_may_not_delete_removes_nothing_and_says_so() {
    let app = history(Postgres, &[]).await;
    later(&app, 396).await;
    let mut beside = Beside::connect(&app.database.url);
    let schema = beside.lines("SELECT current_schema()::text AS line").remove(0);
    let role = format!("{schema}_app");
    for statement in [
        format!("CREATE ROLE {role} LOGIN"),
        format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
        format!("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {schema} TO {role}"),
    ] {
        beside.execute(&statement).unwrap();
    }
    let url = app.database.url.replacen("postgres@", &format!("{role}@"), 1);
    let settings = Settings { address: Address::parse(&url).unwrap(), pool_size: 1, wait: Duration::from_secs(5) };
    let store = Store::open(settings).unwrap();
    let retention = Retention::new(retention::Dependencies {
        store: store.clone(),
        clock: app.clock.clone(),
        chain: app.app.chain.clone(),
        metrics: app.app.metrics.clone(),
        rules: app.app.config.retention,
    });
    let refused = retention.run(&AuditContext::command_line()).await.unwrap_err();
    assert!(matches!(refused, RetentionError::NotAllowed), "{refused}");
    assert!(refused.to_string().contains("vigie retention run"), "{refused}");
    retention.run_by_itself().await.unwrap();
    assert_eq!(store.read(vigie::store::retention::may_redact).await, Ok(false));
    assert_ne!(count(&app, "attempts"), "0");
    assert!(run(&app).await.attempts > 0);
    store.close();
    drop(store);
    for statement in [format!("DROP OWNED BY {role}"), format!("DROP ROLE {role}")] {
        beside.execute(&statement).unwrap();
    }
}

/// By a clock that leapt a year ahead the whole history is old: it goes only if somebody says so.
#[rstest]
#[actix_web::test]
async fn a_clock_that_leapt_ahead_removes_nothing_by_itself(
    #[values(true, false)] was_believed_before: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = history(backend, &[]).await;
    let attempts = count(&app, "attempts");
    if was_believed_before {
        app.app.retention.run_by_itself().await.unwrap();
    }
    later(&app, 400).await;
    app.app.retention.run_by_itself().await.unwrap();
    // A process that starts with that clock knows no other, but there is what was believed before.
    let other = app.another_node().await;
    other.app.retention.run_by_itself().await.unwrap();
    // What is dated by that clock makes it no more believable to those that start later.
    record(&other, 3).await;
    other.advance(TimeDelta::hours(2));
    let third = other.another_node().await;
    third.app.retention.run_by_itself().await.unwrap();
    assert_eq!(count(&app, "attempts"), attempts);

    // Somebody looks at the clock and says that it is right: from then on it is believed, also by who did not before.
    assert!(run(&other).await.attempts > 0);
    for node in [&app, &third, &third.another_node().await] {
        node.add_attempts(vec![attempt("dave", node.now() - TimeDelta::days(500))]).await;
        node.app.retention.run_by_itself().await.unwrap();
        assert_eq!(count(&app, "attempts"), "0");
    }
}

fn job() -> &'static Job {
    JOBS.iter().find(|job| job.name == "retention").expect("there is a job of retention")
}

/// A server that is started again before an hour has passed removes what is old all the same, and not more often.
#[rstest]
#[actix_web::test]
async fn prv_01_a_server_that_is_often_restarted_removes_what_is_old(#[values(Sqlite, Postgres)] backend: Backend) {
    assert!(job().period <= Duration::from_mins(10), "{:?}", job().period);
    let app = TestApp::start(backend).await;
    let old = async |app: &TestApp| app.add_attempts(vec![attempt("dave", app.now() - TimeDelta::days(500))]).await;
    old(&app).await;
    (job().step)(Arc::clone(&app.app)).await.unwrap();
    assert_eq!(count(&app, "attempts"), "0");

    old(&app).await;
    app.advance(TimeDelta::minutes(40));
    let app = app.restart().await;
    (job().step)(Arc::clone(&app.app)).await.unwrap();
    assert_eq!(count(&app, "attempts"), "1");
    app.advance(TimeDelta::minutes(20));
    (job().step)(Arc::clone(&app.app)).await.unwrap();
    assert_eq!(count(&app, "attempts"), "0");

    // A run that a clock dated which was put back since keeps nobody from running.
    app.advance(TimeDelta::days(-3));
    assert!(app.app.retention.is_due().await.unwrap());
}

/// Whoever stood still for so long that another took over does nothing more, wherever it stood.
#[rstest]
#[actix_web::test]
async fn a_run_that_lost_its_claim_changes_nothing_any_more(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    record(&app, 700).await;
    seal(&app).await;
    later(&app, 396).await;
    app.signed_in("erin").await;
    let mut begun = app.app.retention.begin(&AuditContext::system("retention")).await.unwrap();
    // Not the checkpoints: whoever looks where the chain might begin signs how it is.
    let tables = ["sessions", "attempts", "audit_events", "sealed_records", "unsealed_records"];
    let state = async || {
        let base = app.app.store.read(vigie::store::chain::base).await.unwrap().size;
        (base, tables.map(|table| count(&app, table)))
    };
    loop {
        app.advance(TimeDelta::minutes(11));
        let (other, now) = (NodeId::new(app.now()), app.now());
        let claim = move |db: &mut _| vigie::store::retention::claim(db, other, now + TimeDelta::minutes(10), now);
        assert!(app.app.store.write(claim).await.unwrap());
        let before = state().await;
        match begun.step().await {
            Ok(None) => break,
            Err(RetentionError::Claimed) => assert_eq!(state().await, before),
            other => panic!("{other:?}"),
        }
        app.app.store.write(move |db| vigie::store::retention::finish(db, other, now)).await.unwrap();
        begun.step().await.unwrap();
    }
    assert!(state().await.0 >= 512);
    seal(&app).await;
    verify(&app).await.unwrap();
}

/// Whoever writes to the database keeps nothing for ever by a claim that no process makes.
#[rstest]
#[actix_web::test]
async fn a_claim_for_ever_is_none(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    later(&app, 400).await;
    let now = app.now();
    let claim = |until: TimeDelta| {
        let other = NodeId::new(now);
        app.app.store.write::<_, StoreError>(move |db| vigie::store::retention::claim(db, other, now + until, now))
    };
    assert!(claim(TimeDelta::minutes(10)).await.unwrap());
    assert!(matches!(app.app.retention.run(&AuditContext::command_line()).await, Err(RetentionError::Claimed)));
    app.advance(TimeDelta::minutes(11));
    Beside::connect(&app.database.url)
        .execute(match backend {
            Sqlite => "UPDATE retention SET claimed_until = 9000000000000000",
            Postgres => "UPDATE retention SET claimed_until = '2255-01-01'",
        })
        .unwrap();
    assert!(run(&app).await.attempts > 0);
}

/// Where the chain begins never goes back.
#[rstest]
#[actix_web::test]
async fn the_base_never_goes_back(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = cut(backend).await;
    let base = app.app.store.read(vigie::store::chain::base).await.unwrap();
    let mut earlier = base.clone();
    earlier.size -= 256;
    app.app.store.write(move |db| vigie::store::chain::set_base(db, &earlier)).await.unwrap();
    assert_eq!(app.app.store.read(vigie::store::chain::base).await.unwrap(), base);
    verify(&app).await.unwrap();
}

/// A clock that lets something happen when it is asked for the third time.
struct Interrupting {
    clock: Arc<ManualClock>,
    asked: AtomicUsize,
    happens: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Interrupting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupting")
    }
}

impl Clock for Interrupting {
    fn now(&self) -> DateTime<Utc> {
        if self.asked.fetch_add(1, Ordering::Relaxed) == 2 {
            (self.happens)();
        }
        self.clock.now()
    }
}

/// Counting what is old may take longer than the claim lasts: nothing is recorded then that another has overtaken.
#[rstest]
#[actix_web::test]
async fn a_run_that_lost_its_claim_while_it_counted_records_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = history(backend, &[]).await;
    later(&app, 396).await;
    let url = app.database.url.clone();
    let until = app.now() + TimeDelta::minutes(10);
    let another_claims = move || {
        let mut beside = Beside::connect(&url);
        let until = match beside {
            Beside::Sqlite(_) => until.timestamp_micros().to_string(),
            Beside::Postgres(_) => format!("'{}'", until.to_rfc3339()),
        };
        let id = "01234567-89ab-7cde-8f01-23456789abcd";
        let claim = format!("UPDATE retention SET claimed_by = '{id}', claimed_until = {until}");
        assert_eq!(beside.execute(&claim), Ok(1));
    };
    let clock = Arc::new(Interrupting {
        clock: Arc::clone(&app.clock),
        asked: AtomicUsize::new(0),
        happens: Box::new(another_claims),
    });
    let retention = Retention::new(retention::Dependencies {
        store: app.app.store.clone(),
        clock,
        chain: app.app.chain.clone(),
        metrics: app.app.metrics.clone(),
        rules: app.app.config.retention,
    });
    let overtaken = retention.begin(&AuditContext::system("retention")).await;
    assert!(matches!(overtaken, Err(RetentionError::Claimed)), "{overtaken:?}");
    assert!(app.events().await.iter().all(|event| event.event.kind != AuditKind::RetentionRan));
}

#[rstest]
#[actix_web::test]
async fn the_command_line_counts_removes_and_tells(#[values(Sqlite, Postgres)] backend: Backend) {
    let program = Program::new(backend);
    program.add_user("alice", "agent");
    let mut beside = Beside::connect(&program.database.url);
    let long_ago = match beside {
        Beside::Sqlite(_) => "1000000",
        Beside::Postgres(_) => "'1970-01-01 00:00:01+00'",
    };
    let id = "'01234567-89ab-7cde-8f01-23456789abcd'";
    let key = match beside {
        Beside::Sqlite(_) => "x'00000000000000000000ffffc0000201'",
        Beside::Postgres(_) => "decode('00000000000000000000ffffc0000201', 'hex')",
    };
    for statement in [
        format!(
            "INSERT INTO attempts (id, at, username, username_folded, outcome, ip, ip_key, request_id)
             VALUES ({id}, {long_ago}, 'a', 'a', 'unknown_user', '192.0.2.1', {key}, 'r')"
        ),
        format!("INSERT INTO unsealed_records (kind, subject, at, form) VALUES ('attempt', {id}, {long_ago}, 1)"),
    ] {
        beside.execute(&statement).unwrap();
    }
    let counted = program.run(&["retention", "run", "--dry-run", "--json"]).json();
    assert_eq!((&counted["dry_run"], &counted["rows"]["attempts"]), (&json!(true), &json!(1)), "{counted}");
    assert_eq!(counted["addresses_sealed_in_the_clear"], 1, "{counted}");
    let told = program.run(&["retention", "run"]).expect(0);
    assert!(told.contains("1 attempts before "), "{told}");
    let counted: Value = program.run(&["retention", "run", "--json"]).json();
    assert_eq!(counted["rows"], json!({ "sessions": 0, "attempts": 0, "audit": 0, "addresses": 0, "records": 0 }));
    program.run(&["audit", "verify"]).expect(0);
}
