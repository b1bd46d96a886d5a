//! Migrations: the same names on both databases, the same tables from them, and the way back.

use std::collections::BTreeSet;

use rstest::rstest;
use vigie::app::{App, StartError};
use vigie::clock::SystemClock;
use vigie::config::Config;
use vigie::store::OpenError;

use super::{empty, migrated};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

/// The migrations in a folder.
pub fn names(folder: &str) -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let folders: Vec<_> = entries.filter(|entry| entry.file_type().unwrap().is_dir()).collect();
    for folder in &folders {
        for file in ["up.sql", "down.sql"] {
            assert!(folder.path().join(file).is_file(), "{}: {file}", folder.path().display());
        }
    }
    folders.iter().map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// What the database says of itself, statement for statement or column by column.
fn schema(beside: &mut Beside) -> Vec<String> {
    beside.lines(match beside {
        Beside::Sqlite(_) => {
            "SELECT type || ' ' || name || ': ' || coalesce(sql, '') AS line FROM sqlite_master
             WHERE name <> '__diesel_schema_migrations' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY 1"
        }
        Beside::Postgres(_) => {
            "SELECT concat_ws(' ', table_name, column_name, data_type, collation_name, is_nullable, column_default,
                              is_identity) AS line
             FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name <> '__diesel_schema_migrations'
             UNION ALL SELECT replace(indexdef, current_schema(), 'SCHEMA') FROM pg_indexes
             WHERE schemaname = current_schema() AND tablename <> '__diesel_schema_migrations'
             UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
             WHERE connamespace = current_schema()::regnamespace AND conrelid::regclass::text <> '__diesel_schema_migrations'
             UNION ALL SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
             WHERE NOT tgisinternal AND c.relnamespace = current_schema()::regnamespace
             UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
             ORDER BY 1"
        }
    })
}

/// `table.column`, and whether it may be NULL.
fn columns(beside: &mut Beside) -> BTreeSet<String> {
    let query = match beside {
        Beside::Sqlite(_) => {
            "SELECT m.name || '.' || c.name || CASE WHEN c.\"notnull\" THEN '' ELSE ' NULL' END AS line
             FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'
             AND m.name <> '__diesel_schema_migrations' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!'"
        }
        Beside::Postgres(_) => {
            "SELECT table_name || '.' || column_name || CASE is_nullable WHEN 'NO' THEN '' ELSE ' NULL' END AS line
             FROM information_schema.columns
             WHERE table_schema = current_schema() AND table_name <> '__diesel_schema_migrations'"
        }
    };
    beside.lines(query).into_iter().collect()
}

/// Primary keys, unique keys and indexes, each as its table, kind, columns in order, and whether it is partial. Names
/// only of those that the migrations name: a unique key's own differs.
fn keys(beside: &mut Beside) -> BTreeSet<String> {
    let query = match beside {
        Beside::Sqlite(_) => {
            "SELECT name || ' primary ' || columns AS line FROM (
               SELECT m.name, group_concat(c.name, ',' ORDER BY c.pk) AS columns
               FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.pk > 0
               AND m.name <> '__diesel_schema_migrations' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' GROUP BY m.name)
             UNION ALL SELECT name || CASE origin WHEN 'u' THEN '' ELSE ' ' || of END
               || CASE uniq WHEN 1 THEN ' unique ' ELSE ' index ' END || columns
               || CASE partial WHEN 1 THEN ' partial' ELSE '' END FROM (
               SELECT m.name, i.name AS of, i.\"unique\" AS uniq, i.origin, i.partial,
                      group_concat(coalesce(c.name, 'expression'), ',' ORDER BY c.seqno) AS columns
               FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_info(i.name) c
               WHERE m.type = 'table' AND i.origin <> 'pk' AND m.name <> '__diesel_schema_migrations'
               GROUP BY m.name, i.name)"
        }
        Beside::Postgres(_) => {
            "SELECT name || CASE WHEN indisprimary THEN ' primary ' WHEN is_constraint THEN ' unique '
                    WHEN indisunique THEN ' ' || of || ' unique ' ELSE ' ' || of || ' index ' END || columns
                    || CASE WHEN partial THEN ' partial' ELSE '' END AS line FROM (
               SELECT t.relname::text AS name, c.relname::text AS of, i.indisprimary, i.indisunique,
                      i.indpred IS NOT NULL AS partial,
                      EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) AS is_constraint,
                      (SELECT string_agg(coalesce(a.attname::text, 'expression'), ',' ORDER BY p.place)
                       FROM unnest(i.indkey::int2[]) WITH ORDINALITY p(number, place)
                       LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = p.number AND p.number > 0) AS columns
               FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid
               WHERE t.relnamespace = current_schema()::regnamespace
                 AND t.relname <> '__diesel_schema_migrations') AS described"
        }
    };
    beside.lines(query).into_iter().collect()
}

/// The foreign keys: table, column, the table they lead to, and what a deletion does.
fn references(beside: &mut Beside) -> BTreeSet<String> {
    let query = match beside {
        Beside::Sqlite(_) => {
            "SELECT m.name || '.' || f.\"from\" || ' ' || f.\"table\" || ' ' || f.on_delete AS line
             FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'"
        }
        Beside::Postgres(_) => {
            "SELECT conrelid::regclass || '.' || a.attname || ' ' || confrelid::regclass || ' '
                    || CASE confdeltype WHEN 'c' THEN 'CASCADE' ELSE confdeltype::text END AS line
             FROM pg_constraint JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1]
             WHERE contype = 'f' AND connamespace = current_schema()::regnamespace"
        }
    };
    beside.lines(query).into_iter().collect()
}

#[test]
fn both_folders_hold_migrations_of_the_same_names() {
    let names_here = names("sqlite");
    assert!(!names_here.is_empty());
    assert_eq!(names_here, names("postgres"));
}

#[actix_web::test]
async fn tables_columns_and_keys_are_the_same_on_both() {
    let (_sqlite, sqlite) = migrated(Sqlite).await;
    let (_postgres, postgres) = migrated(Postgres).await;
    let (mut sqlite, mut postgres) = (Beside::connect(&sqlite.url), Beside::connect(&postgres.url));
    assert_eq!(sqlite.tables(), postgres.tables());
    assert!(sqlite.tables().len() >= 9, "{:?}", sqlite.tables());
    assert_eq!(columns(&mut sqlite), columns(&mut postgres));
    assert_eq!(keys(&mut sqlite), keys(&mut postgres));
    assert_eq!(references(&mut sqlite), references(&mut postgres));
}

#[rstest]
#[actix_web::test]
async fn up_down_up_gives_the_same_schema_and_down_leaves_nothing(#[values(Sqlite, Postgres)] backend: Backend) {
    let (store, database) = migrated(backend).await;
    let mut beside = Beside::connect(&database.url);
    let first = schema(&mut beside);
    assert!(first.len() > 50 || backend == Sqlite && first.len() > 20, "{first:?}");
    store.revert_all().await.unwrap();
    assert_eq!(schema(&mut beside), Vec::<String>::new());
    store.migrate().await.unwrap();
    assert_eq!(schema(&mut beside), first);
}

#[rstest]
#[actix_web::test]
async fn migrations_that_are_missing_are_named_and_applied_once(#[values(Sqlite, Postgres)] backend: Backend) {
    let (store, _database) = empty(backend);
    let expected: Vec<String> = names("sqlite").into_iter().collect();
    assert_eq!(store.pending_migrations().await.unwrap(), expected);
    assert_eq!(store.migrate().await.unwrap().applied.len(), expected.len());
    assert_eq!(store.pending_migrations().await.unwrap(), Vec::<String>::new());
    assert_eq!(store.migrate().await.unwrap().applied, Vec::<String>::new());
}

#[rstest]
#[actix_web::test]
async fn a_start_that_may_not_migrate_names_what_is_missing(#[values(Sqlite, Postgres)] backend: Backend) {
    let (database, data) = (backend.database(), tempfile::tempdir().unwrap());
    let error = start(&database.url, data.path(), "false").await.unwrap_err();
    let StartError::Migrations(missing) = &error else { panic!("{error:?}") };
    assert_eq!(missing, &names("sqlite").into_iter().collect::<Vec<_>>());
    assert!(error.to_string().contains("run `vigie migrate`"), "{error}");
    start(&database.url, data.path(), "true").await.unwrap().close().await;
    start(&database.url, data.path(), "false").await.unwrap().close().await;
}

#[rstest]
#[actix_web::test]
async fn a_database_of_a_newer_version_is_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let (store, database) = migrated(backend).await;
    let newer = "INSERT INTO __diesel_schema_migrations (version, run_on) VALUES ('29991231000001', CURRENT_TIMESTAMP)";
    Beside::connect(&database.url).execute(newer).unwrap();
    let refused = store.migrate().await.unwrap_err();
    assert!(matches!(&refused, OpenError::Newer(unknown) if unknown == "29991231000001"), "{refused:?}");
    assert!(matches!(store.pending_migrations().await, Err(OpenError::Newer(_))));
    let data = tempfile::tempdir().unwrap();
    for migrate in ["true", "false"] {
        let error = start(&database.url, data.path(), migrate).await.unwrap_err();
        assert!(matches!(error, StartError::Open(OpenError::Newer(_))), "{error:?}");
    }
}

async fn start(url: &str, data: &std::path::Path, migrate: &str) -> Result<App, StartError> {
    let settings = [
        ("DATABASE_URL", url),
        ("VIGIE__DATA__DIR", data.to_str().expect("a path in UTF-8")),
        ("VIGIE__DATABASE__MIGRATE_ON_START", migrate),
    ];
    let owned = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::load(None, owned).expect("valid settings");
    App::open(config, std::sync::Arc::new(SystemClock)).await
}
