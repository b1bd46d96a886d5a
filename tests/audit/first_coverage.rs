//! Users, clients and not-befores from before they were covered are sealed as they are found, and covered from then on (P6).

use rstest::rstest;
use vigie::model::audit::AuditContext;
use vigie::model::client::ClientId;
use vigie::model::not_before::Scope;
use vigie::model::record::RecordKind::{self, Client, NotBefore, User};
use vigie::model::session::Actor;
use vigie::store::not_befores;

use super::retention::seal;
use super::tamper::{tamper, word};
use super::verify;
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

const MIGRATION: &str = "2026-11-28-000021_cover_users_clients_and_not_befores";

/// Puts the tables back to what they were before.
fn undo(app: &TestApp) {
    let mut beside = Beside::connect(&app.database.url);
    let folder = if let Beside::Sqlite(_) = beside { "sqlite" } else { "postgres" };
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
    // And all that came after it, but the keys.
    let mut after: Vec<String> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.as_str() >= MIGRATION && !name.contains("keyring"))
        .collect();
    after.sort_unstable();
    for name in after.iter().rev() {
        beside.batch(&std::fs::read_to_string(root.join(name).join("down.sql")).unwrap());
        let version: String = name.chars().filter(char::is_ascii_digit).collect();
        beside.execute(&format!("DELETE FROM __diesel_schema_migrations WHERE version = '{version}'")).unwrap();
    }
}

/// As a version left it that covered none of these.
async fn from_before(backend: Backend) -> TestApp {
    let app = TestApp::start(backend).await;
    let alice = app.user("alice", "agent").await;
    app.registered_client("crm").await;
    let crm = Scope::Client(ClientId::parse("crm").unwrap());
    let by_admin = AuditContext { actor: Actor::admin(alice.id), ..AuditContext::command_line() };
    for (scope, context) in [(crm, &by_admin), (Scope::Everybody, &AuditContext::command_line())] {
        app.app.sessions.set_not_before(scope, None, None, context).await.unwrap();
    }
    undo(&app);
    app.app.store.migrate().await.unwrap();
    app
}

#[rstest]
#[case::user("users SET role = 'admin'", User)]
#[case::client("clients SET scopes = ''", Client)]
#[case::not_before("not_befores SET set_by = 'mallory'", NotBefore)]
#[actix_web::test]
async fn p6_what_was_there_before_is_sealed_as_it_is_found(
    #[case] change: &str,
    #[case] kind: RecordKind,
    #[values(true, false)] changes_before: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = from_before(backend).await;
    if changes_before {
        // A change that comes before the first sealing.
        app.app
            .clients
            .rotate_secret(ClientId::parse("crm").unwrap(), false, &AuditContext::command_line())
            .await
            .unwrap();
        let alice = app.app.users.find_by_id_or_name("alice").await.unwrap().unwrap();
        app.app.users.issue_reset(alice.id, false, &AuditContext::command_line()).await.unwrap();
        app.log_in("alice").await;
    }
    seal(&app).await;
    assert_eq!(verify(&app).await.unwrap().waiting, 0);
    tamper(&app, &[&format!("UPDATE {change}")]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(kind)), "{damage}");
}

/// Who set a not-before is what was guessed from the id so far.
#[rstest]
#[actix_web::test]
async fn who_set_a_not_before_has_a_kind_from_then_on(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = from_before(backend).await;
    let alice = app.app.users.find_by_id_or_name("alice").await.unwrap().unwrap();
    let set = app.app.store.read(not_befores::list).await.unwrap();
    let by: Vec<Actor> = set.into_iter().map(|set| set.set_by).collect();
    assert_eq!(by, [Actor::admin(alice.id), Actor::command_line()]);
}
