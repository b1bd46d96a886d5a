//! Which index answers what is asked at every login, and of many rows.

use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl as _};
use rstest::rstest;

use super::migrated;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::thousands::{Rows, fill};

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// How the database would answer a query.
fn plan(beside: &mut Beside, query: &str) -> String {
    if let Beside::Sqlite(connection) = beside {
        let steps = diesel::sql_query(format!("EXPLAIN QUERY PLAN {query}")).load::<Step>(connection).unwrap();
        return steps.into_iter().map(|step| step.detail + "\n").collect();
    }
    plan_of(beside, "a_query", query)
}

/// The plan of PostgreSQL for a query, by a function of this name.
fn plan_of(beside: &mut Beside, name: &str, query: &str) -> String {
    beside
        .execute(&format!(
            "CREATE FUNCTION plan_of_{name}() RETURNS SETOF text LANGUAGE plpgsql AS
             $$ BEGIN RETURN QUERY EXECUTE $query$ EXPLAIN {query} $query$; END $$"
        ))
        .unwrap();
    beside.lines(&format!("SELECT plan_of_{name}() AS line")).join("\n")
}

/// Is this network known of this user? Neither all recent logins of the user are looked at, nor all from the network.
#[rstest]
#[actix_web::test]
async fn a_known_network_is_found_by_user_and_address(#[values(Sqlite, Postgres)] backend: Backend) {
    let (_store, database) = migrated(backend).await;
    let url = database.url.clone();
    let filling = move || fill(&url, Rows { sessions: 3_000, attempts: 1, events: 1 }, false);
    actix_web::rt::task::spawn_blocking(filling).await.unwrap();
    let mut beside = Beside::connect(&database.url);
    let [since, first, last] = match beside {
        Beside::Sqlite(_) => ["0", "x'00000000000000000000ffffc0000200'", "x'00000000000000000000ffffc0000204'"],
        Beside::Postgres(_) => {
            ["'epoch'", "'\\x00000000000000000000ffffc0000200'", "'\\x00000000000000000000ffffc0000204'"]
        }
    };
    // As `is_known_network` asks.
    let query = format!(
        "SELECT sessions.id FROM sessions WHERE sessions.user_id = '00000000-0000-0000-0000-000000000009'
         AND sessions.started_at >= {since} AND NOT EXISTS (SELECT 1 FROM alerts
           WHERE alerts.session_id = sessions.id AND alerts.disowned_at IS NOT NULL)
         AND sessions.ip_key BETWEEN {first} AND {last} LIMIT 1"
    );
    let plan = plan(&mut beside, &query);
    assert!(plan.contains("sessions_user_address"), "{plan}");
}

/// A plan that PostgreSQL makes once for all values finds new changes by their index, however many there are: each node looks
/// for them again and again.
#[actix_web::test]
async fn new_changes_are_found_by_their_index_whatever_the_plan() {
    let (_store, database) = migrated(Postgres).await;
    let mut beside = Beside::connect(&database.url);
    beside
        .execute(
            "INSERT INTO changes (seq, at, kind, subject)
             SELECT number, now(), 'session', gen_random_uuid()::text FROM generate_series(1, 20000) AS number",
        )
        .unwrap();
    beside.execute("ANALYZE changes").unwrap();
    beside.execute("SET plan_cache_mode = force_generic_plan").unwrap();
    let mut explained = |condition: &str| {
        let name = format!("look_{}", condition.len());
        let query = format!("SELECT seq, kind, subject FROM changes WHERE {condition} ORDER BY seq ASC LIMIT $2");
        beside.execute(&format!("PREPARE {name} (bigint, bigint) AS {query}")).unwrap();
        plan_of(&mut beside, &name, &format!("EXECUTE {name} (19999, 500)"))
    };
    // As `changes::after` asks.
    let plan = explained("changes.seq > $1 AND changes.seq > 0");
    assert!(plan.contains("changes_numbered") && !plan.contains("Seq Scan"), "{plan}");
    let plan = explained("changes.seq > $1");
    assert!(plan.contains("Seq Scan"), "without the words it could not: {plan}");
}

/// What was recorded of a user is found by an index also while it waits to be sealed, as after an import.
#[rstest]
#[actix_web::test]
async fn states_that_wait_are_found_by_their_index(#[values(Sqlite, Postgres)] backend: Backend) {
    let (_store, database) = migrated(backend).await;
    let mut beside = Beside::connect(&database.url);
    if backend == Postgres {
        beside
            .execute(
                "INSERT INTO unsealed_records (kind, subject, at, form)
                 SELECT 'user', gen_random_uuid() || '/1', now(), 1 FROM generate_series(1, 20000)",
            )
            .unwrap();
        beside.execute("ANALYZE unsealed_records").unwrap();
    }
    // As `chain::recorded_between` asks.
    let query = "SELECT subject, form, digest FROM unsealed_records WHERE kind = 'user'
                 AND kind IN ('user', 'client', 'not_before') AND subject > 'a/' AND subject < 'a0'";
    let plan = plan(&mut beside, query);
    assert!(plan.contains("unsealed_records_states"), "{plan}");
}

/// Which addresses are still whole? Those that were cut, most of a year's, are not looked at.
#[rstest]
#[case("sessions", "ended_at IS NOT NULL AND sessions.ended_at")]
#[case("attempts", "at IS NOT NULL AND attempts.at")]
#[case("audit_events", "ip IS NOT NULL AND audit_events.at")]
#[actix_web::test]
async fn whole_addresses_are_found_without_looking_at_those_that_were_cut(
    #[case] table: &str,
    #[case] before: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let (_store, database) = migrated(backend).await;
    let url = database.url.clone();
    let filling = move || fill(&url, Rows { sessions: 2_000, attempts: 2_000, events: 2_000 }, false);
    actix_web::rt::task::spawn_blocking(filling).await.unwrap();
    let mut beside = Beside::connect(&database.url);
    let now = match beside {
        Beside::Sqlite(_) => "9000000000000000",
        Beside::Postgres(_) => "'2200-01-01'",
    };
    // As `whole_addresses` of each table asks.
    let query = format!(
        "SELECT * FROM {table} WHERE {table}.{before} < {now} AND length({table}.address_proof) = 16 LIMIT 500"
    );
    let plan = plan(&mut beside, &query);
    assert!(plan.contains(&format!("{table}_whole_address")), "{plan}");
}

/// A page of events, the first before a moment as well as one far behind, is read where it begins, and in order: none of the
/// newer events is passed over, and none is sorted.
#[rstest]
#[case("at", "")]
#[case("kind", "kind = 'key.rotated' AND")]
#[case("actor", "actor_id = 'cli' AND")]
#[case("subject", "subject_id = '00000007-0000-7000-8000-000000000007' AND")]
#[case("session", "session_id = '00000007-0000-7000-8000-000000000007' AND")]
#[actix_web::test]
async fn a_page_of_events_begins_at_its_first(
    #[case] index: &str,
    #[case] filter: &str,
    #[values("first", "later")] page: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let (_store, database) = migrated(backend).await;
    let url = database.url.clone();
    let filling = move || fill(&url, Rows { sessions: 3_000, attempts: 1, events: 3_000 }, false);
    actix_web::rt::task::spawn_blocking(filling).await.unwrap();
    let mut beside = Beside::connect(&database.url);
    let moment = match beside {
        Beside::Sqlite(_) => "1801000000000000",
        Beside::Postgres(_) => "'2027-01-26'",
    };
    let place = if page == "first" { format!("at < {moment}") } else { format!("(at, seq) < ({moment}, 500)") };
    // As `audit::list` asks.
    let query = format!("SELECT * FROM audit_events WHERE {filter} {place} ORDER BY at DESC, seq DESC LIMIT 51");
    let plan = plan(&mut beside, &query);
    assert!(plan.contains(&format!("audit_events_{index} ")), "{plan}");
    assert!(["at<", "at < ", "ROW(at, seq) < "].iter().any(|bound| plan.contains(bound)), "{plan}");
    assert!(!plan.contains("Sort") && !plan.contains("TEMP B-TREE") && !plan.contains("Filter"), "{plan}");
}
