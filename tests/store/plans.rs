//! Which index answers what is asked at every login, and of many rows. The statements are those that the store sends, written
//! down on their way; the plans are those that hold whatever the values are.

use std::sync::mpsc;

use chrono::DateTime;
use diesel::connection::InstrumentationEvent;
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _};
use rstest::rstest;
use vigie::model::audit::AuditKind;
use vigie::model::filter::{Criterion, EventFilter, Moment, Text};
use vigie::store::versioned_rows::{self, VersionedRow};
use vigie::store::{Db, StoreError, attempts, audit, changes, sessions};

use super::migrated;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::backend::TestDatabase;
use crate::support::dump::Beside;
use crate::support::thousands::Rows;

/// The id of anything: none of it is there.
const SOME_ID: &str = "00000007-0000-7000-8000-000000000007";

/// The statements that the store sends to do this, without the values.
fn statements<T>(database: &TestDatabase, work: impl FnOnce(&mut Db) -> Result<T, StoreError>) -> Vec<String> {
    let mut db = match Beside::connect(&database.url) {
        Beside::Postgres(connection) => Db::Postgres(connection),
        Beside::Sqlite(connection) => Db::Sqlite(connection),
    };
    let (sent, statements) = mpsc::channel();
    db.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            sent.send(query.to_string()).expect("they are collected below");
        }
    });
    work(&mut db).map(drop).expect("the store answers");
    drop(db);
    let without_values = |text: String| text.split(" -- binds: ").next().unwrap_or_default().to_owned();
    statements.iter().map(without_values).collect()
}

/// The same where it is one.
fn statement<T>(database: &TestDatabase, work: impl FnOnce(&mut Db) -> Result<T, StoreError>) -> String {
    let mut sent = statements(database, work);
    assert_eq!(sent.len(), 1, "{sent:?}");
    sent.remove(0)
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = diesel::sql_types::Text)]
    detail: String,
}

/// How the database answers a statement, whatever the values are.
fn plan(database: &TestDatabase, statement: &str) -> String {
    let mut beside = Beside::connect(&database.url);
    if let Beside::Sqlite(connection) = &mut beside {
        let steps = diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load::<Step>(connection).unwrap();
        return steps.into_iter().map(|step| step.detail + "\n").collect();
    }
    let count = (1..100).take_while(|number| statement.contains(&format!("${number}"))).count();
    let values = vec!["NULL"; count].join(", ");
    beside.batch(&format!(
        "SET plan_cache_mode = force_generic_plan;
         PREPARE asked AS {statement};
         CREATE OR REPLACE FUNCTION plan_of_asked() RETURNS SETOF text LANGUAGE plpgsql AS
         $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN EXECUTE asked ({values})'; END $$"
    ));
    beside.lines("SELECT plan_of_asked() AS line").join("\n")
}

/// Is this network known of this user? Neither all recent logins of the user are looked at, nor all from the network.
#[rstest]
#[actix_web::test]
async fn a_known_network_is_found_by_user_and_address(#[values(Sqlite, Postgres)] backend: Backend) {
    let (_store, database) = migrated(backend).await;
    let (user_id, network) = (SOME_ID.parse().unwrap(), "192.0.2.0/24".parse().unwrap());
    let asked = statement(&database, |db| sessions::is_known_network(db, user_id, network, DateTime::UNIX_EPOCH));
    database.fill(Rows { sessions: 3_000, attempts: 1, events: 1 }, false).await;
    let plan = plan(&database, &asked);
    assert!(plan.contains("sessions_user_address"), "{plan}");
}

/// New changes are found by their index, however many there are: each node looks for them again and again.
#[actix_web::test]
async fn new_changes_are_found_by_their_index_whatever_the_plan() {
    let (_store, database) = migrated(Postgres).await;
    let asked = statement(&database, |db| changes::after(db, 0, 500));
    Beside::connect(&database.url).batch(
        "INSERT INTO changes (seq, at, kind, subject)
         SELECT number, now(), 'session', gen_random_uuid()::text FROM generate_series(1, 20000) AS number;
         ANALYZE changes",
    );
    let found = plan(&database, &asked);
    assert!(found.contains("changes_numbered") && !found.contains("Seq Scan"), "{found}");
    let without = asked.replace("changes.seq > 0", "true");
    assert_ne!(without, asked);
    let found = plan(&database, &without);
    assert!(found.contains("Seq Scan"), "without the words it could not: {found}");
}

/// What was recorded of a user is found by an index also while it waits to be sealed, as after an import.
#[rstest]
#[actix_web::test]
async fn states_that_wait_are_found_by_their_index(#[values(Sqlite, Postgres)] backend: Backend) {
    let (_store, database) = migrated(backend).await;
    let nobody = [VersionedRow::User(SOME_ID.parse().unwrap())];
    let sent = statements(&database, |db| versioned_rows::carry_forward(db, &nobody, DateTime::UNIX_EPOCH));
    let mut asked = sent.iter().filter(|statement| statement.contains("unsealed_records"));
    let (Some(asked), None) = (asked.next(), asked.next()) else { panic!("{sent:?}") };
    if backend == Postgres {
        Beside::connect(&database.url).batch(
            "INSERT INTO unsealed_records (kind, subject, at, form)
             SELECT 'user', gen_random_uuid() || '/1', now(), 1 FROM generate_series(1, 20000);
             ANALYZE unsealed_records",
        );
    }
    let plan = plan(&database, asked);
    assert!(plan.contains("unsealed_records_states"), "{plan}");
}

/// Which addresses are still whole? Those that were cut, most of a year's, are not looked at.
#[rstest]
#[actix_web::test]
async fn whole_addresses_are_found_without_looking_at_those_that_were_cut(
    #[values("sessions", "attempts", "audit_events")] table: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let (_store, database) = migrated(backend).await;
    let before = DateTime::UNIX_EPOCH;
    let asked = statement(&database, |db| match table {
        "sessions" => sessions::whole_addresses(db, before, 500).map(drop),
        "attempts" => attempts::whole_addresses(db, before, 500).map(drop),
        _ => audit::whole_addresses(db, before, 500).map(drop),
    });
    database.fill(Rows { sessions: 2_000, attempts: 2_000, events: 2_000 }, false).await;
    let plan = plan(&database, &asked);
    assert!(plan.contains(&format!("{table}_whole_address")), "{plan}");
}

/// A page of events, the first before a moment as well as one far behind, is read where it begins, and in order: none of the
/// newer events is passed over, and none is sorted.
#[rstest]
#[actix_web::test]
async fn a_page_of_events_begins_at_its_first(
    #[values("at", "kind", "actor", "subject", "session")] index: &str,
    #[values("first", "later")] page: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let (_store, database) = migrated(backend).await;
    let at = DateTime::UNIX_EPOCH;
    let mut filter = EventFilter { to: (page == "first").then_some(Moment(at)), ..EventFilter::default() };
    match index {
        "kind" => filter.kind = Criterion::is(AuditKind::KeyRotated),
        "actor" => filter.actor = Criterion::is(Text("cli".to_owned())),
        "subject" => filter.subject = Criterion::is(Text(SOME_ID.to_owned())),
        "session" => filter.session_id = Criterion::is(SOME_ID.parse().unwrap()),
        _ => (),
    }
    let after = (page == "later").then_some(audit::Position { at, id: 500 });
    let asked = statement(&database, |db| audit::list(db, &filter, after, 50));
    database.fill(Rows { sessions: 3_000, attempts: 1, events: 3_000 }, false).await;
    if backend == Postgres {
        // Of about as many kinds as there are: it counts them before it takes an index.
        database.let_foreign_events_be();
        Beside::connect(&database.url)
            .batch("UPDATE audit_events SET kind = 'kind ' || seq % 40; ANALYZE audit_events");
    }
    let plan = plan(&database, &asked);
    assert!(plan.contains(&format!("audit_events_{index} ")), "{plan}");
    assert!(["at<", "at < ", "ROW(at, seq) < "].iter().any(|bound| plan.contains(bound)), "{plan}");
    assert!(!plan.contains("Sort") && !plan.contains("TEMP B-TREE") && !plan.contains("Filter"), "{plan}");
}
