//! Who may do what on PostgreSQL: the server adds to the history and cannot alter it, others do what is theirs (LOG-06).

use std::collections::BTreeSet;

use diesel::QueryResult;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;
use vigie::store::roles::DatabaseRole;

use super::migrated;
use crate::support::app::{PASSWORD, send};
use crate::support::backend::Backend::{Postgres, Sqlite};
use crate::support::backend::TestDatabase;
use crate::support::dump::Beside;
use crate::support::postgres::{Cluster, TestSchema, execute};
use crate::support::program::{Finished, Program};

const OF_ROLES: &str = "of_a_test";

/// A schema, and roles of its own: their names are the whole cluster's.
struct Split {
    schema: TestSchema,
    prefix: String,
    logins: Vec<String>,
}

impl Split {
    fn new() -> Self {
        let prefix = format!("t{}", Uuid::now_v7().simple());
        Self { schema: Cluster::shared().schema(), prefix, logins: Vec::new() }
    }

    /// One with the tables and the roles.
    fn made() -> Self {
        let split = Self::new();
        split.make(&split.schema.url).expect(0);
        split
    }

    /// Runs `vigie migrate --roles` as whoever this URL says.
    fn make(&self, url: &str) -> Finished {
        program(url).run(&["migrate", "--roles", "--role-prefix", &self.prefix])
    }

    fn check(&self) -> Finished {
        program(&self.schema.url).run(&["migrate", "--check", "--roles", "--role-prefix", &self.prefix])
    }

    fn superuser(&self, statements: &str) {
        execute(&self.schema.url, statements).expect("a superuser may do anything");
    }

    /// The name of a role.
    fn name(&self, role: &str) -> String {
        format!("{}_{role}", self.prefix)
    }

    /// A role that may log in, with these attributes; returns the URL by which it does.
    fn login(&mut self, name: &str, attributes: &str) -> String {
        let name = self.name(name);
        self.superuser(&format!("CREATE ROLE {name} LOGIN PASSWORD '{OF_ROLES}' {attributes}"));
        let mut url: url::Url = self.schema.url.parse().expect("a URL");
        url.set_username(&name).and_then(|()| url.set_password(Some(OF_ROLES))).expect("it has a host");
        self.logins.push(name);
        url.into()
    }

    /// The same for a member of a role.
    fn member(&mut self, role: &str) -> String {
        let attributes = format!("IN ROLE {}", self.name(role));
        self.login(&format!("{role}_login"), &attributes)
    }

    /// Every privilege on the schema's tables and columns, and on the schema.
    fn privileges(&self) -> Vec<String> {
        Beside::connect(&self.schema.url).lines(
            "SELECT relname || ' ' || coalesce(relacl::text, '') AS line FROM pg_class
             WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
             UNION ALL SELECT relname || '.' || attname || ' ' || attacl::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
             WHERE relnamespace = current_schema()::regnamespace AND attacl IS NOT NULL
             UNION ALL SELECT 'schema ' || nspacl::text FROM pg_namespace WHERE nspname = current_schema() ORDER BY 1",
        )
    }
}

impl Drop for Split {
    /// Best effort: what stays goes with the cluster.
    fn drop(&mut self) {
        let groups = ["app", "reader", "retention"].map(|role| self.name(role));
        for name in self.logins.iter().chain(&groups) {
            let dropped = execute(&self.schema.url, &format!("DROP OWNED BY {name} CASCADE; DROP ROLE {name}"));
            if let Err(error) = dropped {
                tracing::debug!(%error, "a test's role stays behind");
            }
        }
    }
}

fn program(url: &str) -> Program {
    Program::on(TestDatabase::at(url))
}

#[track_caller]
fn is_refused(outcome: &QueryResult<usize>, statement: &str) {
    let refused = outcome.as_ref().is_err_and(|error| error.to_string().contains("permission denied"));
    assert!(refused, "{statement}: {outcome:?}");
}

/// The whole job, by a real server and the commands beside it, as a role that can neither change nor delete what it wrote.
#[test]
fn log_06_the_server_serves_as_a_role_that_cannot_alter_the_history() {
    let mut split = Split::made();
    let url = split.member("app");
    let program = program(&url);
    let server = program.serve();
    server.expect_tour();

    program.add_user("bob", "agent");
    program.add_user("eve", "admin");
    let bob = program.run(&["user", "show", "bob", "--json"]).json()["id"].as_str().expect("an id").to_owned();
    actix_web::rt::System::new().block_on(async {
        let login = server.log_in("eve").await;
        let eve = login["access_token"].as_str().expect("a token");
        for name in ["robert", "bob"] {
            let request = server.request(Method::PATCH, &format!("/admin/users/{bob}"), eve);
            send(request.json(&json!({ "username": name }))).await.expect(200);
        }
        let known = json!({ "username": "eve", "password": PASSWORD, "device_token": login["device_token"] });
        server.post("/auth/login", "", known).await.expect(200);
        let change = json!({ "current_password": PASSWORD, "new_password": "cinq canards bleus nagent" });
        server.post("/auth/password", eve, change).await.expect(200);
    });
    let run = |line: &str| program.run(&line.split(' ').collect::<Vec<_>>()).expect(0);
    for line in [
        "user role bob auditor",
        "user email bob bob@example.org",
        "user disable bob",
        "user enable bob",
        "user unlock bob",
        "user reset-password bob",
        "client add shop --name Shop --scope introspect",
        "client rotate-secret shop",
        "client remove shop",
        "key rotate",
        "session list --json",
        "session export --format ndjson",
        "audit export --format csv",
        "session end --everything",
        "user delete bob",
        "audit checkpoint",
        "audit verify",
    ] {
        run(line);
    }
    assert_eq!(server.stop().0, Some(0));
    let log = std::fs::read_to_string(program.path("serve.log")).expect("a log");
    assert!(!log.contains("permission denied"), "{log}");

    let mut server = Beside::connect(&url);
    let history =
        ["audit_events", "attempts", "access_tokens", "sessions", "sealed_records", "tree_hashes", "checkpoints"];
    for table in history {
        for statement in [format!("DELETE FROM {table}"), format!("TRUNCATE {table}"), format!("DROP TABLE {table}")] {
            let outcome = server.execute(&statement);
            let is_owner_asked = outcome.as_ref().is_err_and(|error| error.to_string().contains("must be owner"));
            if !is_owner_asked {
                is_refused(&outcome, &statement);
            }
        }
    }
    for statement in [
        "UPDATE audit_events SET kind = kind",
        "UPDATE attempts SET outcome = outcome",
        "UPDATE access_tokens SET issued_at = issued_at",
        "UPDATE sealed_records SET chain_hash = chain_hash",
        "UPDATE tree_hashes SET hash = hash",
        "UPDATE checkpoints SET note = note",
        // Nor is a row replaced by one that takes its key.
        "INSERT INTO attempts SELECT * FROM attempts ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome",
        "INSERT INTO checkpoints SELECT * FROM checkpoints ON CONFLICT (size) DO UPDATE SET note = excluded.note",
        // Who, when and from where is never changed, and of an ended session nothing at all.
        "UPDATE sessions SET ip = ip",
        "UPDATE sessions SET started_at = started_at",
        "UPDATE sessions SET ended_at = NULL WHERE ended_at IS NOT NULL",
        "UPDATE sessions SET end_note = 'x' WHERE ended_at IS NOT NULL",
        "CREATE TABLE another (id INTEGER)",
        "ALTER TABLE sessions DISABLE TRIGGER ALL",
    ] {
        let outcome = server.execute(statement);
        let is_owner_asked = outcome.as_ref().is_err_and(|error| error.to_string().contains("must be owner"));
        if !is_owner_asked {
            is_refused(&outcome, statement);
        }
    }
    assert!(program.run(&["audit", "verify"]).expect(0).starts_with("intact: "));
}

/// Reviewers bring tools of their own: they see the history, and nothing that lets anybody in.
#[test]
fn a_reader_selects_the_history_and_no_secret() {
    let mut split = Split::made();
    program(&split.schema.url).add_user("alice", "agent");
    let url = split.member("reader");
    let mut reader = Beside::connect(&url);
    assert_eq!(reader.lines("SELECT username::text AS line FROM users"), ["alice"]);
    assert!(!reader.lines("SELECT kind AS line FROM audit_events").is_empty());
    for query in [
        "SELECT id, user_id, ip, started_at, ended_at, end_reason FROM sessions",
        "SELECT * FROM attempts",
        "SELECT * FROM access_tokens",
        "SELECT * FROM sealed_records",
        "SELECT * FROM checkpoints",
        "SELECT * FROM alerts",
    ] {
        reader.execute(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
    for statement in [
        "SELECT * FROM users",
        "SELECT password_hash FROM users",
        "SELECT email FROM users",
        "SELECT * FROM sessions",
        "SELECT refresh_seed FROM sessions",
        "SELECT sealed FROM signing_keys",
        "SELECT id FROM signing_keys",
        "SELECT secret_digest FROM clients",
        "SELECT digest FROM one_time_tokens",
        "SELECT subject FROM throttles",
        "SELECT recipient FROM deliveries",
        "INSERT INTO attempts SELECT * FROM attempts",
        "UPDATE audit_events SET kind = kind",
        "DELETE FROM attempts",
        "DELETE FROM unsealed_records",
        "TRUNCATE sessions",
    ] {
        is_refused(&reader.execute(statement), statement);
    }
}

/// Retention works as the server does, and may remove; what proves the rest stays.
#[test]
fn retention_removes_rows_and_no_checkpoint() {
    let mut split = Split::made();
    let url = split.member("retention");
    let program = program(&url);
    program.add_user("alice", "agent");
    let server = program.serve();
    actix_web::rt::System::new().block_on(server.token("alice"));
    assert_eq!(server.stop().0, Some(0));
    program.run(&["session", "end", "--everything"]).expect(0);
    program.run(&["audit", "checkpoint"]).expect(0);
    let mut retention = Beside::connect(&url);
    for statement in [
        "UPDATE sessions SET ip = '192.0.2.0', username = 'x' WHERE ended_at IS NOT NULL",
        "DELETE FROM sessions",
        "UPDATE attempts SET ip = '192.0.2.0'",
        "DELETE FROM attempts",
        "UPDATE audit_events SET details = '{}'",
        "DELETE FROM audit_events",
        "DELETE FROM sealed_records",
    ] {
        assert!(retention.execute(statement).unwrap_or_else(|error| panic!("{statement}: {error}")) > 0, "{statement}");
    }
    for statement in [
        "DELETE FROM checkpoints",
        "UPDATE checkpoints SET note = note",
        "DELETE FROM tree_hashes",
        "UPDATE audit_events SET kind = kind",
        "UPDATE sealed_records SET chain_hash = chain_hash",
        "TRUNCATE audit_events",
    ] {
        is_refused(&retention.execute(statement), statement);
    }
}

/// What is old goes when retention says so, not when the server does; the same for the name of a person who is erased.
#[test]
fn log_06_retention_runs_as_a_role_of_its_own_and_not_as_the_servers() {
    let mut split = Split::made();
    let server = program(&split.member("app"));
    server.add_user("alice", "agent");
    server.add_user("bob", "agent");
    let serving = server.serve();
    for name in ["alice", "bob"] {
        actix_web::rt::System::new().block_on(serving.token(name));
    }
    assert_eq!(serving.stop().0, Some(0));
    // An address that only the account knows, and that it takes along.
    server.run(&["user", "email", "bob", "bob@example.org"]).expect(0);
    server.run(&["session", "end", "--everything", "--note", "ask bob@example.org"]).expect(0);
    split.superuser(
        "UPDATE attempts SET at = at - interval '14 months' WHERE username = 'alice';
         UPDATE sessions SET started_at = started_at - interval '14 months', ended_at = ended_at - interval '14 months',
           last_seen_at = last_seen_at - interval '14 months' WHERE username = 'alice'",
    );
    server.run(&["retention", "run"]).fails(1, "lets this role remove nothing from the history");
    server.run(&["user", "erase", "bob"]).fails(1, "run `vigie retention run` as a role that may");
    let owner = split.schema.url.clone();
    let names = |table: &str| {
        let query = format!("SELECT DISTINCT username AS line FROM {table} ORDER BY 1");
        Beside::connect(&owner).lines(&query)
    };
    assert_eq!((names("sessions"), names("attempts")), (vec!["alice".into(), "bob".into()], names("sessions")));

    let url = split.member("retention");
    let retention =
        program(&url).with("VIGIE__KEYS__MASTER_KEY_FILE", server.path("data/master.key").to_str().unwrap());
    let ran = retention.run(&["retention", "run", "--json"]).json();
    assert_eq!((&ran["rows"]["sessions"], &ran["rows"]["attempts"]), (&1.into(), &1.into()), "{ran}");
    assert_eq!((names("sessions"), names("attempts")), (vec!["(erased)".into()], vec!["(erased)".into()]));
    let query = "SELECT details::text AS line FROM audit_events WHERE details::text LIKE '%bob%'";
    assert_eq!(Beside::connect(&owner).lines(query), Vec::<String>::new());
}

#[test]
fn making_the_roles_twice_is_the_same_as_once_and_mends_what_was_changed() {
    let split = Split::made();
    let first = split.privileges();
    assert!(first.len() > 30, "{first:?}");
    let again = split.make(&split.schema.url).expect(0);
    assert!(!again.contains("created"), "{again}");
    assert_eq!(split.privileges(), first);
    split.check().expect(0);

    let app = split.name("app");
    split.superuser(&format!(
        "GRANT DELETE, UPDATE (chain_hash) ON sealed_records TO {app}; REVOKE INSERT ON attempts FROM {app}"
    ));
    assert_ne!(split.privileges(), first);
    let behind = split.check();
    assert!(behind.output.contains(&format!("the role {app} lacks INSERT on attempts\n")), "{behind:?}");
    behind.fails(1, "vigie migrate --roles");
    // Without being asked for roles, it looks at those that are used here as well.
    let plain = program(&split.schema.url).run(&["migrate", "--check", "--role-prefix", &split.prefix]);
    assert!(plain.code == 1 && plain.output.contains("lacks INSERT on attempts"), "{plain:?}");
    program(&split.schema.url).run(&["migrate", "--check"]).expect(0);
    split.make(&split.schema.url).expect(0);
    assert_eq!(split.privileges(), first);
}

/// Keys are replaced by the owner of the tables.
#[test]
fn the_servers_role_is_told_that_it_may_not_replace_keys() {
    let mut split = Split::made();
    let url = split.member("app");
    let server = program(&url);
    server.run(&["key", "rotate"]).expect(0);
    for step in [None, Some("--finish"), Some("--compromised")] {
        let arguments: Vec<&str> = ["key", "rotate-master"].into_iter().chain(step).collect();
        server.run(&arguments).fails(1, "run this as the owner of the tables");
    }
    server.run(&["audit", "verify"]).expect(0);
}

/// What is missing is said, with what helps; nothing is half done.
#[test]
fn who_may_not_make_roles_is_told_what_is_missing() {
    let mut split = Split::new();
    let owner = split.login("owner", "");
    let (name, schema) = (split.name("owner"), split.schema.name.clone());
    split.superuser(&format!("ALTER SCHEMA {schema} OWNER TO {name}"));
    let refused = split.make(&owner);
    let wanted = format!("CREATE ROLE {0}_app; CREATE ROLE {0}_reader; CREATE ROLE {0}_retention;", split.prefix);
    refused.fails(1, "may not create roles (CREATEROLE)");
    split.make(&owner).fails(1, &wanted);
    let check = program(&owner).run(&["migrate", "--check", "--roles", "--role-prefix", &split.prefix]);
    assert!(
        check.code == 1 && check.output.contains(&format!("missing the role {}_reader", split.prefix)),
        "{check:?}"
    );

    // An owner of tables who may not grant on the schema.
    split.superuser(&format!(
        "{wanted} ALTER SCHEMA {schema} OWNER TO CURRENT_USER; GRANT USAGE, CREATE ON SCHEMA {schema} TO {name}"
    ));
    let before = split.privileges();
    split.make(&owner).fails(1, "lacks USAGE on the schema");
    assert_eq!(split.privileges(), before);
    split.superuser(&format!("ALTER SCHEMA {schema} OWNER TO {name}"));
    let made = split.make(&owner).expect(0);
    assert!(!made.contains("created"), "{made}");
    program(&split.member("app")).serve();

    let stranger = split.login("stranger", &format!("CREATEROLE IN ROLE {}", split.name("app")));
    split.make(&stranger).fails(1, &format!("does not own the table audit_events: run this as {name}"));
}

#[test]
fn an_owner_who_may_create_roles_needs_no_superuser() {
    let mut split = Split::new();
    let owner = split.login("owner", "CREATEROLE");
    split.superuser(&format!("ALTER SCHEMA {} OWNER TO {}", split.schema.name, split.name("owner")));
    let made = split.make(&owner);
    assert!(made.remarks.contains(&format!("SET search_path = {}", split.schema.name)), "{made:?}");
    let made = made.expect(0);
    assert!(made.contains(&format!("created the role {}\n", split.name("app"))), "{made}");
    program(&split.member("app")).add_user("alice", "agent");
}

/// A server that may not migrate says who can, and serves once that is done.
#[rstest]
fn a_role_that_may_not_migrate_says_who_can(#[values("true", "false")] migrate_on_start: &str) {
    let mut split = Split::made();
    let url = split.member("app");
    let newest = "SELECT max(version)::text AS line FROM __diesel_schema_migrations";
    let newest = Beside::connect(&split.schema.url).lines(newest).remove(0);
    split.superuser(&format!("DELETE FROM __diesel_schema_migrations WHERE version = '{newest}'"));
    let program = program(&url).with("VIGIE__DATABASE__MIGRATE_ON_START", migrate_on_start);
    let says = if migrate_on_start == "true" { "as the owner of the tables" } else { "run `vigie migrate`" };
    program.run(&["serve"]).fails(1, says);
    program.run(&["migrate"]).fails(1, "as the owner of the tables");
    assert!(program.run(&["migrate", "--check"]).expect(1).starts_with("missing "));
    split.superuser(&format!("INSERT INTO __diesel_schema_migrations (version) VALUES ('{newest}')"));
    assert_eq!(program.run(&["migrate"]).expect(0).trim(), "the database is up to date");
    program.serve();
}

fn of_role(report: &Value) -> (&str, &str) {
    let mut checks = report.as_array().expect("checks").iter();
    let check = checks.rfind(|check| check["name"] == "database role").expect("it looked at the role");
    (check["status"].as_str().expect("a status"), check["text"].as_str().expect("a text"))
}

#[test]
fn the_doctor_says_whether_the_server_could_alter_the_history() {
    let mut split = Split::made();
    let examine = |url: &str, public: &str| {
        let program = program(url).with("VIGIE__SERVER__PUBLIC_URL", public);
        serde_json::from_str::<Value>(&program.run(&["doctor", "--json"]).output).expect("JSON")
    };
    let (here, public) = ("http://127.0.0.1:8080", "https://auth.example.org");
    for (url, status) in [(here, "ok"), (public, "warn")] {
        let report = examine(&split.schema.url, url);
        let (found, text) = of_role(&report);
        assert!(found == status && text.contains("can change or delete the history (audit_events, "), "{report}");
    }
    let app = split.member("app");
    let report = examine(&app, public);
    let (found, text) = of_role(&report);
    assert!(found == "ok" && text.contains("neither change nor delete"), "{report}");

    split.superuser(&format!("GRANT UPDATE (outcome) ON attempts TO {}", split.name("app")));
    assert!(of_role(&examine(&app, public)).1.contains("the history (attempts)"));
    split.superuser(&format!("REVOKE INSERT ON sealed_records FROM {}", split.name("app")));
    let report = examine(&app, public);
    let lacks = report.as_array().expect("checks").iter().any(|check| {
        check["status"] == "fail"
            && check["text"].as_str().is_some_and(|text| text.contains("lacks INSERT on sealed_records"))
    });
    assert!(lacks, "{report}");
}

#[test]
fn sqlite_has_triggers_instead_of_roles() {
    let program = Program::new(Sqlite);
    program.run(&["migrate", "--roles"]).fails(2, "SQLite has no roles: there, triggers refuse");
    assert!(!program.path("data").exists());
    program.run(&["migrate", "--roles", "--role-prefix", "Robert'); --"]).fails(2, "prefix");
}

/// A new table gets its grants, or the server could not work with it.
#[actix_web::test]
async fn every_table_has_its_grants() {
    let (_store, database) = migrated(Postgres).await;
    let tables: BTreeSet<String> = Beside::connect(&database.url).tables().into_iter().collect();
    let granted: BTreeSet<String> = DatabaseRole::Application
        .grants()
        .map(|grant| grant.table.to_owned())
        .filter(|table| !table.starts_with('_'))
        .collect();
    assert_eq!(granted, tables);
}
