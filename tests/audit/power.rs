//! What gives power is covered as the history is: users, clients and not-befores are what the server last made of them, and
//! whatever is done to them behind its back is found (P6).

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rstest::rstest;
use secrecy::SecretString;
use serde_json::json;
use vigie::model::audit::AuditContext;
use vigie::model::client::ClientId;
use vigie::model::id::UserId;
use vigie::model::not_before::Scope;
use vigie::model::record::RecordKind::{self, Client, NotBefore, User};
use vigie::model::secret::SecretKind;
use vigie::model::user::{Email, Role, UserState, Username};
use vigie::user::change::UserChange;
use vigie::user::import::{self, Format};

use super::retention::seal;
use super::tamper::{tamper, word};
use super::verify;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

async fn id_of(app: &TestApp, name: &str) -> UserId {
    app.app.users.find_by_id_or_name(name).await.unwrap().expect("there is one").id
}

async fn change(app: &TestApp, name: &str, change: UserChange) {
    app.app.users.change(id_of(app, name).await, change, &AuditContext::command_line()).await.unwrap();
}

async fn set_email(app: &TestApp, name: &str, email: &str) {
    change(app, name, UserChange { email: Some(Email::parse(email).ok()), ..UserChange::default() }).await;
}

async fn not_before(app: &TestApp, scope: Scope, ago: i64, note: Option<&str>) {
    let (at, note) = (app.now() - TimeDelta::minutes(ago), note.map(str::to_owned));
    app.app.sessions.set_not_before(scope, Some(at), note, &AuditContext::command_line()).await.unwrap();
}

/// Two users, of whom one has an address, a client, and not-befores of all scopes; sealed, with a checkpoint.
async fn installation(backend: Backend) -> TestApp {
    let app = TestApp::start(backend).await;
    app.user("alice", "agent").await;
    app.user("bob", "agent").await;
    set_email(&app, "alice", "alice@example.org").await;
    app.registered_client("crm").await;
    app.registered_client("erp").await;
    let crm = ClientId::parse("crm").unwrap();
    for scope in [Scope::Everybody, Scope::Client(crm), Scope::User(id_of(&app, "bob").await)] {
        not_before(&app, scope, 60, Some("a note")).await;
    }
    seal(&app).await;
    verify(&app).await.unwrap();
    app
}

const BYTES: &str = "(SELECT digest FROM sealed_records WHERE position = 0)";

#[rstest]
#[case::role("users SET role = 'admin' WHERE username = 'alice'", User)]
#[case::state("users SET state = 'disabled' WHERE username = 'alice'", User)]
#[case::password("users SET password_hash = 'x' WHERE username = 'alice'", User)]
#[case::no_password("users SET password_hash = NULL WHERE username = 'alice'", User)]
#[case::scheme("users SET password_scheme = 'x' WHERE username = 'alice'", User)]
#[case::password_of_another(
    "users SET password_hash = (SELECT b.password_hash FROM users b WHERE b.username = 'bob') WHERE username = 'alice'",
    User
)]
#[case::address("users SET email = 'mallory@example.org' WHERE username = 'alice'", User)]
#[case::no_address("users SET email = NULL WHERE username = 'alice'", User)]
#[case::an_address("users SET email = 'mallory@example.org' WHERE username = 'bob'", User)]
#[case::name("users SET username = 'mallory', username_folded = 'mallory' WHERE username = 'alice'", User)]
#[case::shown_name("users SET username = 'ALICE' WHERE username = 'alice'", User)]
#[case::found_name("users SET username_folded = 'mallory' WHERE username = 'alice'", User)]
#[case::moment("users SET created_at = (SELECT min(at) FROM not_befores) WHERE username = 'alice'", User)]
#[case::moment_of_the_password("users SET password_changed_at = NULL WHERE username = 'alice'", User)]
#[case::password_to_change("users SET must_change_password_since = created_at WHERE username = 'alice'", User)]
#[case::salt("users SET salt = NULL WHERE username = 'alice'", User)]
#[case::earlier("users SET version = 1 WHERE username = 'alice'", User)]
#[case::none_yet("users SET version = 0 WHERE username = 'alice'", User)]
#[case::secret("clients SET secret_digest = BYTES WHERE id = 'crm'", Client)]
#[case::secret_of_another(
    "clients SET secret_digest = (SELECT c.secret_digest FROM clients c WHERE c.id = 'erp') WHERE id = 'crm'",
    Client
)]
#[case::scopes("clients SET scopes = 'introspect' WHERE id = 'crm'", Client)]
#[case::name_of_a_client("clients SET name = 'another' WHERE id = 'crm'", Client)]
#[case::moment_of_the_secret("clients SET secret_changed_at = (SELECT min(at) FROM not_befores)", Client)]
#[case::later_not_before("not_befores SET at = set_at WHERE scope = 'everybody'", NotBefore)]
#[case::who_set_it("not_befores SET set_by = 'mallory' WHERE scope = 'user'", NotBefore)]
#[case::what_set_it("not_befores SET set_by_kind = 'admin' WHERE scope = 'user'", NotBefore)]
#[case::when_it_was_set("not_befores SET set_at = at WHERE scope = 'user'", NotBefore)]
#[case::note("not_befores SET note = NULL WHERE scope = 'everybody'", NotBefore)]
#[actix_web::test]
async fn p6_nothing_of_what_gives_power_is_changed_unseen(
    #[case] change: &str,
    #[case] kind: RecordKind,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = installation(backend).await;
    tamper(&app, &[&format!("UPDATE {}", change.replace("BYTES", BYTES))]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(kind)), "{damage}");
}

#[rstest]
#[case::user("users WHERE username = 'bob'", User)]
#[case::client("clients WHERE id = 'crm'", Client)]
#[case::not_before("not_befores WHERE scope = 'user'", NotBefore)]
#[actix_web::test]
async fn p6_what_is_deleted_behind_the_server_is_missed(
    #[case] deleted: &str,
    #[case] kind: RecordKind,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = installation(backend).await;
    tamper(&app, &[&format!("DELETE FROM {deleted}")]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("deleted", Some(kind)), "{damage}");
}

#[rstest]
#[case::user(
    "users (id, username, username_folded, role, state, password_hash, created_at, version, salt)
     SELECT '01234567-89ab-7cde-8f01-23456789abcd', 'mallory', 'mallory', 'admin', state, password_hash, created_at,
            version, salt FROM users WHERE username = 'alice'",
    User
)]
#[case::client(
    "clients (id, name, scopes, secret_digest, created_at, secret_changed_at, version, salt)
     SELECT 'mallory', name, scopes, secret_digest, created_at, secret_changed_at, version, salt FROM clients
     WHERE id = 'crm'",
    Client
)]
#[case::not_before(
    "not_befores (scope, subject, at, set_at, set_by_kind, set_by, version, salt)
     SELECT 'client', 'erp', at, set_at, set_by_kind, set_by, version, salt FROM not_befores WHERE scope = 'client'",
    NotBefore
)]
#[actix_web::test]
async fn p6_what_is_added_behind_the_server_is_found(
    #[case] added: &str,
    #[case] kind: RecordKind,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = installation(backend).await;
    let added = if backend == Postgres { added.replace("abcd', 'm", "abcd'::uuid, 'm") } else { added.to_owned() };
    tamper(&app, &[&format!("INSERT INTO {added}")]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("added", Some(kind)), "{damage}");
}

/// A version that nobody recorded is found as what it is.
#[rstest]
#[actix_web::test]
async fn p6_a_version_that_was_never_recorded_is_found(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = installation(backend).await;
    tamper(&app, &["UPDATE users SET version = version + 1, role = 'admin' WHERE username = 'alice'"]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage).1, Some(User), "{damage}");
}

/// The whole row as it was once: with the old password, and the old version.
#[rstest]
#[case::user("users", "username = 'alice'", User)]
#[case::client("clients", "id = 'crm'", Client)]
#[case::not_before("not_befores", "scope = 'everybody'", NotBefore)]
#[actix_web::test]
async fn p6_an_old_row_that_is_put_back_is_found(
    #[case] table: &str,
    #[case] which: &str,
    #[case] kind: RecordKind,
    #[values(true, false)] is_gone_meanwhile: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = installation(backend).await;
    let copy = format!("CREATE TABLE copied AS SELECT * FROM {table} WHERE {which}");
    Beside::connect(&app.database.url).execute(&copy).unwrap();
    if is_gone_meanwhile && kind != NotBefore {
        app.app.users.delete(id_of(&app, "alice").await, &AuditContext::command_line()).await.unwrap();
        app.app.clients.remove(ClientId::parse("crm").unwrap(), &AuditContext::command_line()).await.unwrap();
    } else {
        change(&app, "alice", UserChange { role: Role::parse("other").ok(), ..UserChange::default() }).await;
        app.app
            .clients
            .rotate_secret(ClientId::parse("crm").unwrap(), false, &AuditContext::command_line())
            .await
            .unwrap();
        not_before(&app, Scope::Everybody, 0, None).await;
        tamper(&app, &[&format!("DELETE FROM {table} WHERE {which}")]);
    }
    tamper(&app, &[&format!("INSERT INTO {table} SELECT * FROM copied")]);
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(kind)), "{damage}");
    // Nor once it is sealed what was there meanwhile.
    app.app.chain.seal().await.unwrap();
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("changed", Some(kind)), "{damage}");
}

/// What the server itself does afterwards does not hide it.
#[rstest]
#[case::changed(&["UPDATE users SET role = 'admin' WHERE username = 'alice'"], "changed", User)]
#[case::client(&["UPDATE clients SET scopes = 'introspect' WHERE id = 'crm'"], "changed", Client)]
#[case::not_before(&["UPDATE not_befores SET at = set_at WHERE scope = 'everybody'"], "changed", NotBefore)]
#[case::not_before_gone(&["DELETE FROM not_befores WHERE scope = 'everybody'"], "changed", NotBefore)]
#[actix_web::test]
async fn p6_a_change_that_follows_hides_no_damage(
    #[case] statements: &[&str],
    #[case] expected: &str,
    #[case] kind: RecordKind,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = installation(backend).await;
    tamper(&app, statements);
    set_email(&app, "alice", "a@example.org").await;
    app.app.clients.rotate_secret(ClientId::parse("crm").unwrap(), false, &AuditContext::command_line()).await.unwrap();
    app.advance(TimeDelta::minutes(1));
    not_before(&app, Scope::Everybody, 0, None).await;
    app.app.chain.seal().await.unwrap();
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), (expected, Some(kind)), "{damage}");
}

#[rstest]
#[case::user(&["UPDATE users SET role = 'chef' WHERE username = 'alice'"], User)]
#[case::client(&["UPDATE clients SET scopes = 'introspect' WHERE id = 'crm'"], Client)]
#[actix_web::test]
async fn p6_a_removal_that_follows_hides_no_damage(
    #[case] statements: &[&str],
    #[case] kind: RecordKind,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = installation(backend).await;
    tamper(&app, statements);
    app.app.users.delete(id_of(&app, "alice").await, &AuditContext::command_line()).await.unwrap();
    app.app.clients.remove(ClientId::parse("crm").unwrap(), &AuditContext::command_line()).await.unwrap();
    app.app.chain.seal().await.unwrap();
    let damage = verify(&app).await.unwrap_err();
    assert_eq!(word(&damage), ("deleted", Some(kind)), "{damage}");
}

/// A client that somebody deleted is not there again, as if nothing had been, by being registered.
#[rstest]
#[actix_web::test]
async fn p6_a_client_that_is_registered_again_hides_no_deletion(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = installation(backend).await;
    tamper(&app, &["DELETE FROM clients WHERE id = 'crm'"]);
    app.registered_client("crm").await;
    app.app.chain.seal().await.unwrap();
    let damage = verify(&app).await.unwrap_err();
    assert!(matches!(word(&damage), ("changed" | "added", Some(Client))), "{damage}");
}

/// Everything that the server does to them verifies, before it is sealed and after; and each state has its record.
#[rstest]
#[actix_web::test]
async fn p6_all_that_the_server_does_verifies(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = installation(backend).await;
    let context = AuditContext::command_line();
    let verified = async |what: &str| {
        verify(&app).await.unwrap_or_else(|damage| panic!("{what}, waiting: {damage}"));
        seal(&app).await;
        verify(&app).await.unwrap_or_else(|damage| panic!("{what}, sealed: {damage}"));
    };
    let none = UserChange::default();
    change(&app, "alice", UserChange { username: Username::parse("Älice").ok(), ..none.clone() }).await;
    verified("rename").await;
    change(&app, "Älice", UserChange { role: Role::parse("chef").ok(), ..none.clone() }).await;
    verified("role").await;
    for state in [UserState::Disabled, UserState::Active] {
        change(&app, "Älice", UserChange { state: Some(state), ..none.clone() }).await;
        verified("state").await;
    }
    change(&app, "Älice", UserChange { email: Some(None), role: Role::parse("agent").ok(), ..none }).await;
    verified("role and address").await;
    let issued = app.app.users.issue_reset(id_of(&app, "Älice").await, false, &context).await.unwrap();
    let token = issued.secret.reveal(SecretKind::OneTimeToken);
    app.app
        .users
        .reset_password(&token, &SecretString::from("trois canards bleus nagent"), context.clone())
        .await
        .unwrap();
    verified("reset").await;
    let bob = app.log_in("bob").await;
    let body = json!({ "current_password": PASSWORD, "new_password": "deux lions roux dorment" });
    bob.post("/auth/password", body).await.expect(200);
    verified("password").await;
    let hash = bcrypt::hash(PASSWORD, 4).expect("a hash");
    let file = format!("username,role,password_hash\nzoe,agent,{hash}\nyann,agent,\n");
    let lines = import::read(file.as_bytes(), Format::Csv, app.now()).unwrap();
    app.app.users.import(lines, false, &context, |_| {}).await.unwrap();
    verified("import").await;
    app.log_in("zoe").await;
    verified("another hash at a login").await;
    let (zoe, yann) = (id_of(&app, "zoe").await, id_of(&app, "yann").await);
    app.app.users.erase(zoe, &context).await.unwrap();
    verified("erasure").await;
    app.app.users.delete(yann, &context).await.unwrap();
    verified("deletion").await;
    let again = format!("id,username,role\n{yann},yann,agent\n");
    let lines = import::read(again.as_bytes(), Format::Csv, app.now()).unwrap();
    app.app.users.import(lines, false, &context, |_| {}).await.unwrap();
    verified("import under an id that was deleted").await;
    let crm = || ClientId::parse("crm").unwrap();
    app.app.clients.rotate_secret(crm(), true, &context).await.unwrap();
    verified("another secret").await;
    app.app.clients.remove(crm(), &context).await.unwrap();
    verified("removal of a client").await;
    app.registered_client("crm").await;
    verified("a client registered again").await;
    for ago in [30, 40, 0] {
        not_before(&app, Scope::Everybody, ago, None).await;
        verified("a not-before, raised").await;
    }
    let versions = versions(&app);
    let of = |name: &str| versions.get(name).cloned().unwrap_or_default();
    // Created, rehashed, erased; added, removed, added again; the one that would lower it changes nothing.
    assert_eq!(of(&format!("user {zoe}")), [1, 2, 3]);
    assert_eq!(of(&format!("user {yann}")), [1, 2, 3]);
    assert_eq!(of("client crm"), [1, 2, 3, 4]);
    assert_eq!(of("not_before everybody:"), [1, 2, 3]);
}

/// The versions of each thing that were sealed, in the order of the chain.
fn versions(app: &TestApp) -> BTreeMap<String, Vec<i64>> {
    let sealed = "SELECT kind || ' ' || subject AS line FROM sealed_records
        WHERE kind IN ('user', 'client', 'not_before') ORDER BY position";
    let mut versions = BTreeMap::<_, Vec<_>>::new();
    for line in Beside::connect(&app.database.url).lines(sealed) {
        let (name, version) = line.rsplit_once('/').expect("a version");
        versions.entry(name.to_owned()).or_default().push(version.parse().expect("a number"));
    }
    versions
}

/// PRV-04: the chain lets nobody find out by guessing who somebody was: another salt in each state, and none is left.
#[rstest]
#[actix_web::test]
async fn prv_04_no_salt_of_a_user_who_is_gone_is_left(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = installation(backend).await;
    let salt = |app: &TestApp| {
        let salt = match backend {
            Sqlite => "SELECT lower(hex(salt)) AS line FROM users WHERE username = 'alice'",
            Postgres => "SELECT encode(salt, 'hex') AS line FROM users WHERE username = 'alice'",
        };
        Beside::connect(&app.database.url).lines(salt)
    };
    let first = salt(&app).remove(0);
    set_email(&app, "alice", "other@example.org").await;
    let second = salt(&app).remove(0);
    assert_ne!(first, second);
    app.app.users.erase(id_of(&app, "alice").await, &AuditContext::command_line()).await.unwrap();
    seal(&app).await;
    let dump = app.dump().to_lowercase();
    for left in [first.as_str(), second.as_str(), "other@example.org", "alice@example.org"] {
        assert!(!dump.contains(left), "{left}");
    }
    verify(&app).await.unwrap();
}
