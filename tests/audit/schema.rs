//! Tables that are not as the migrations make them hide rows, or double them, while each row that is shown looks right (P6).

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use rstest::rstest;
use vigie::store::{StoreError, catalogue};

use super::verify;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/catalogue/postgres.txt");

async fn differences(app: &TestApp) -> Vec<String> {
    let differences = app.app.store.read(catalogue::differences).await.unwrap();
    differences.iter().map(ToString::to_string).collect()
}

#[actix_web::test]
async fn what_the_migrations_make_on_postgresql_is_what_is_listed() {
    let app = TestApp::start(Postgres).await;
    let listed =
        app.app.store.read(|db| catalogue::listed(db).map_err(|error| StoreError::Unavailable(error.to_string())));
    let listed = listed.await.unwrap();
    if std::env::var_os("VIGIE_TEST_WRITE_CATALOGUE").is_some() {
        std::fs::write(LIST, &listed).unwrap();
    }
    let kept = std::fs::read_to_string(LIST).unwrap();
    assert!(
        listed == kept,
        "a migration changed tables: run this test with VIGIE_TEST_WRITE_CATALOGUE=1, and look at {LIST}"
    );
}

#[rstest]
#[actix_web::test]
async fn what_the_migrations_made_and_what_somebody_added_for_speed_is_no_difference(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    assert_eq!(differences(&app).await, Vec::<String>::new());
    let mut beside = Beside::connect(&app.database.url);
    beside
        .batch("CREATE INDEX sooner ON sessions (device_name); CREATE TABLE of_somebody_else (id INTEGER PRIMARY KEY)");
    assert_eq!(differences(&app).await, Vec::<String>::new());
    verify(&app).await.unwrap();
}

#[rstest]
#[case::an_index_over_some_rows(
    "DROP INDEX attempts_name; CREATE INDEX attempts_name ON attempts (username_folded, at, id) WHERE username_folded <> 'eve'",
    "DROP INDEX attempts_name; CREATE INDEX attempts_name ON attempts (username_folded, at, id) WHERE username_folded <> 'eve'",
    "index attempts_name of attempts was changed"
)]
#[case::a_view_of_some_rows(
    "ALTER TABLE alerts RENAME TO hidden; CREATE VIEW alerts AS SELECT * FROM hidden WHERE kind <> 'record_damaged'",
    "ALTER TABLE alerts RENAME TO hidden; CREATE VIEW alerts AS SELECT * FROM hidden WHERE kind <> 'record_damaged'",
    "table alerts "
)]
#[case::a_trigger(
    "CREATE TRIGGER quiet AFTER INSERT ON alerts BEGIN DELETE FROM alerts; END",
    "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
     CREATE TRIGGER quiet BEFORE INSERT ON alerts FOR EACH ROW EXECUTE FUNCTION quiet()",
    "trigger quiet of alerts was added"
)]
#[case::no_key(
    "CREATE TABLE copied AS SELECT * FROM attempts; DROP TABLE attempts; ALTER TABLE copied RENAME TO attempts",
    "ALTER TABLE attempts DROP CONSTRAINT attempts_pkey",
    " of attempts is missing"
)]
#[case::a_table_that_inherits(
    "DROP INDEX sealed_records_subject",
    "CREATE TABLE more () INHERITS (attempts)",
    "sealed_records_subject of sealed_records is missing"
)]
#[actix_web::test]
async fn p6_tables_that_could_hide_rows_are_damage(
    #[case] on_sqlite: &str,
    #[case] on_postgres: &str,
    #[case] said: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    app.app.chain.seal().await.unwrap();
    verify(&app).await.unwrap();
    let is_inherited = on_postgres.contains("INHERITS");
    let (statements, said) = match backend {
        Sqlite => (on_sqlite, said),
        Postgres if is_inherited => (on_postgres, "heir more of attempts was added"),
        Postgres => (on_postgres, said),
    };
    Beside::connect(&app.database.url).batch(statements);
    let found = differences(&app).await;
    assert!(found.iter().any(|difference| difference.contains(said)), "{found:?}");
    let damage = verify(&app).await.unwrap_err().to_string();
    assert!(damage.starts_with("the schema is not what the migrations make: "), "{damage}");
}

/// A trigger that is gone lets mistakes happen, and hides nothing: it is told, and is no damage.
#[actix_web::test]
async fn a_lost_guard_is_told() {
    let app = TestApp::start(Sqlite).await;
    Beside::connect(&app.database.url).batch("DROP TRIGGER sealed_records_kept");
    assert_eq!(differences(&app).await, ["trigger sealed_records_kept of sealed_records is missing"]);
    verify(&app).await.unwrap();
}

/// The text of an index says nothing of what is in it.
#[actix_web::test]
async fn p6_an_index_that_lacks_rows_is_damage() {
    let app = TestApp::start(Sqlite).await;
    app.signed_in("alice").await;
    app.app.chain.seal().await.unwrap();
    let path = app.database.url.strip_prefix("sqlite:").unwrap();
    let partial = |from: &str, to: &str| {
        let mut file = SqliteConnection::establish(path).unwrap();
        let text = format!(
            "PRAGMA busy_timeout = 10000; PRAGMA writable_schema = ON;
             UPDATE sqlite_master SET sql = replace(sql, '{from}', '{to}') WHERE name = 'throttles_last_failure';
             PRAGMA writable_schema = RESET"
        );
        file.batch_execute(&text).unwrap();
        file
    };
    let mut file = partial("(last_failure_at)", "(last_failure_at) WHERE failures < 0");
    file.batch_execute(
        "INSERT INTO throttles (scope, subject, failures, window_failures, window_began_at, last_failure_at)
         VALUES ('account', zeroblob(32), 1, 1, 1, 1)",
    )
    .unwrap();
    partial("(last_failure_at) WHERE failures < 0", "(last_failure_at)");
    assert_eq!(differences(&app).await, Vec::<String>::new());
    let damage = verify(&app).await.unwrap_err().to_string();
    assert!(damage.contains("the file of the database") && damage.contains("throttles_last_failure"), "{damage}");
}

/// SQLite keeps bytes in a column of texts: the same id once more, which is another key, and no record of its own.
#[rstest]
#[actix_web::test]
async fn p6_a_row_whose_key_is_in_another_form_is_found(#[values("attempts", "sessions", "users")] table: &str) {
    let app = TestApp::start(Sqlite).await;
    app.signed_in("alice").await.post_empty("/auth/logout").await.expect(204);
    app.app.chain.seal().await.unwrap();
    let mut beside = Beside::connect(&app.database.url);
    let columns = beside.lines(&format!("SELECT name AS line FROM pragma_table_info('{table}')"));
    let values = columns.iter().map(|column| match column.as_str() {
        "id" => "CAST(id AS BLOB)".to_owned(),
        "username" | "username_folded" if table == "users" => "'mallory'".to_owned(),
        column => column.to_owned(),
    });
    let values: Vec<String> = values.collect();
    let twin =
        format!("INSERT INTO {table} SELECT {} FROM {table} WHERE username = 'alice' LIMIT 1", values.join(", "));
    assert_eq!(beside.execute(&twin).unwrap(), 1);
    let damage = verify(&app).await.unwrap_err().to_string();
    assert!(damage.contains("is there twice, or in a form that the server does not write"), "{damage}");
}

/// An index that somebody kept from hearing of a row lets its key be there twice.
#[actix_web::test]
async fn p6_a_row_that_its_key_did_not_hear_of_is_found() {
    let app = TestApp::start(Postgres).await;
    app.signed_in("alice").await;
    app.app.chain.seal().await.unwrap();
    let set = |is| {
        format!("UPDATE pg_index SET indisready = {is}, indislive = {is} WHERE indexrelid = 'attempts_pkey'::regclass")
    };
    let mut beside = Beside::connect(&app.database.url);
    beside.batch(&set("false"));
    beside.batch(
        "CREATE TEMP TABLE twin AS SELECT * FROM attempts; UPDATE twin SET username = 'carl', username_folded = 'carl';
         INSERT INTO attempts SELECT * FROM twin",
    );
    beside.batch(&set("true"));
    let damage = verify(&app).await.unwrap_err().to_string();
    assert!(damage.contains("is there twice"), "{damage}");
}

/// PostgreSQL's own names come first, whatever the settings of the database say.
#[actix_web::test]
async fn p6_nothing_takes_the_place_of_the_databases_own_names() {
    let app = TestApp::start(Postgres).await;
    let mut beside = Beside::connect(&app.database.url);
    let own = beside.lines("SELECT current_schema()::text AS line").remove(0);
    beside.batch(&format!(
        "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER quiet BEFORE INSERT ON alerts FOR EACH ROW EXECUTE FUNCTION quiet();
         CREATE SCHEMA evil_{own};
         CREATE VIEW evil_{own}.pg_trigger AS SELECT * FROM pg_catalog.pg_trigger WHERE tgname <> 'quiet'"
    ));
    let url = app.database.url.replace(&own, &format!("evil_{own}%2Cpg_catalog%2C{own}"));
    let other = app.another_node_at(&url).await;
    assert_eq!(differences(&other).await, ["trigger quiet of alerts was added"]);
    beside.batch(&format!("DROP SCHEMA evil_{own} CASCADE; DROP TRIGGER quiet ON alerts"));
    assert_eq!(differences(&app).await, Vec::<String>::new());

    beside.batch("CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'");
    let found = differences(&app).await;
    assert!(found.len() == 1 && found[0].ends_with("lower(text) was added"), "{found:?}");
}
