//! The master key exchanged as a routine: both open everything until the old is given up.

use rstest::rstest;
use serde_json::json;
use vigie::keyring::Keyring;
use vigie::model::audit::{AuditContext, AuditKind};
use vigie::rotation::{self, RotationError};

use super::{NEW, break_at, keys, master, mend, node_with, opens_signing_keys, refusal, seal, stored, vault, verify};
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

async fn begin(app: &TestApp, new: [u8; 32]) -> Result<bool, RotationError> {
    let new = vault(app, new).await;
    rotation::begin(&app.app.store, &app.app.vault, &new, &AuditContext::command_line(), app.now()).await
}

async fn finish(app: &TestApp) -> Result<(), RotationError> {
    rotation::finish(&app.app.store, &app.app.vault, &AuditContext::command_line(), app.now()).await
}

/// A new signing key, whichever node makes it, is opened by all; tokens and refresh tokens are good everywhere.
async fn work_together(nodes: [&TestApp; 2]) {
    for (one, other) in [(nodes[0], nodes[1]), (nodes[1], nodes[0])] {
        one.app.sessions.rotate_key(&AuditContext::command_line()).await.unwrap();
        one.advance(chrono::TimeDelta::minutes(1));
        let alice = one.log_in("alice").await;
        other.nobody().with_token(alice.token()).get("/auth/me").await.expect(200);
        let refreshed = json!({ "refresh_token": alice.refresh_token });
        other.nobody().post("/auth/refresh", refreshed).await.expect(200);
    }
}

#[rstest]
#[actix_web::test]
async fn nodes_with_the_old_and_the_new_master_key_work_together_until_the_old_is_given_up(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let mut old = TestApp::start(backend).await;
    let alice = old.signed_in("alice").await;
    let (token, refresh) = (alice.token().to_owned(), alice.refresh_token.clone());
    let derived = Keyring::derived(&master(&old), old.app.vault.database());
    assert!(opens_signing_keys(&old, &derived).await);
    assert!(begin(&old, NEW).await.unwrap());
    let new = node_with(&old, NEW).await;
    work_together([&old, &new]).await;
    // Also one that is started with the old one meanwhile.
    work_together([&old.another_node().await, &new]).await;
    new.nobody().with_token(&token).get("/auth/me").await.expect(200);

    assert_eq!(finish(&old).await, Err(RotationError::OldKey { new: new.app.vault.id().0.clone() }));
    old.close().await;
    finish(&new).await.unwrap();
    assert_eq!(finish(&new).await, Err(RotationError::NotUnderWay));
    let refused = refusal(&old, None).await;
    assert!(refused.contains("encrypted with the master key"), "{refused}");
    assert!(!opens_signing_keys(&new, &derived).await, "what the old master key leads to opens nothing");
    new.nobody().post("/auth/refresh", json!({ "refresh_token": refresh })).await.expect(200);
    seal(&new).await;
    verify(&new).await.unwrap();
    let steps: Vec<_> = new
        .events()
        .await
        .into_iter()
        .filter(|event| event.event.kind == AuditKind::MasterKeyRotated)
        .map(|event| event.event.details["step"].clone())
        .collect();
    assert_eq!(steps, ["begun", "finished"]);
}

/// Somebody who is being erased has names that only the account had.
#[rstest]
#[actix_web::test]
async fn names_of_who_is_being_erased_are_encrypted_again(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.user("bob", "agent").await;
    let id = app.app.users.find_by_id_or_name("bob").await.unwrap().unwrap().id;
    let vault = app.app.vault.clone();
    let encrypted = move |db: &mut _| {
        let context = vigie::store::pending_erasures::context(id);
        let encrypted = vault.encrypt_in(db, &context, b"[\"bob\"]")?;
        vigie::store::pending_erasures::insert(db, id, Some(encrypted), chrono::DateTime::UNIX_EPOCH)?;
        Ok::<_, vigie::vault::VaultError>(())
    };
    app.app.store.write(encrypted).await.unwrap();
    begin(&app, NEW).await.unwrap();
    for node in [&app, &node_with(&app, NEW).await] {
        let vault = node.app.vault.clone();
        let open = move |db: &mut _| {
            let context = vigie::store::pending_erasures::context(id);
            vault.decrypt_in(db, &context, |db| vigie::store::pending_erasures::encrypted_names(db, id))
        };
        let names = node.app.store.read(open).await.unwrap().expect("they are kept");
        assert_eq!(names.as_slice(), b"[\"bob\"]");
    }
}

#[rstest]
#[case("UPDATE", "signing_keys")]
#[case("DELETE", "keyring")]
#[case("INSERT", "keyring")]
#[case("INSERT", "audit_events")]
#[actix_web::test]
async fn a_rotation_that_is_cut_off_has_done_nothing_and_goes_on(
    #[case] event: &str,
    #[case] table: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    let before = stored(&app).await;
    let mut beside = Beside::connect(&app.database.url);
    break_at(&mut beside, event, table);
    begin(&app, NEW).await.unwrap_err();
    mend(&mut beside, table);
    assert_eq!(stored(&app).await, before);
    assert!(opens_signing_keys(&app, &keys(&app).await).await);
    app.another_node().await.log_in("alice").await;

    assert!(begin(&app, NEW).await.unwrap());
    assert!(!begin(&app, NEW).await.unwrap(), "it was begun");
    let new = node_with(&app, NEW).await;
    assert_eq!(
        rotation::ensure_may_begin(&new.app.store, &new.app.vault).await,
        Err(RotationError::UnderWay(new.app.vault.id().clone()))
    );
    break_at(&mut beside, "DELETE", "keyring");
    finish(&new).await.unwrap_err();
    mend(&mut beside, "keyring");
    assert_eq!(stored(&app).await.len(), 2);
    app.another_node().await.log_in("alice").await;
    finish(&new).await.unwrap();
    new.log_in("alice").await;
}

/// A new file that was lost before anybody used it is no dead end.
#[rstest]
#[actix_web::test]
async fn a_rotation_to_a_key_that_nobody_uses_is_begun_anew(#[values(Sqlite, Postgres)] backend: Backend) {
    let app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    begin(&app, NEW).await.unwrap();
    let lost = vault(&app, NEW).await;
    lost.note_use(&app.app.store, app.now()).await.unwrap();
    assert!(matches!(begin(&app, [8; 32]).await, Err(RotationError::InUse { count: 1, .. })));
    lost.remove_use(&app.app.store, app.now()).await.unwrap();
    assert!(begin(&app, [8; 32]).await.unwrap());
    assert!(refusal(&app, Some(NEW)).await.contains("encrypted with the master key"));
    node_with(&app, [8; 32]).await.log_in("alice").await;
}

/// A node that was cut off while the old master key was given up must not go on as if nothing had happened.
#[rstest]
#[actix_web::test]
async fn a_node_with_a_master_key_that_was_given_up_seals_and_signs_nothing(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let old = TestApp::start(backend).await;
    old.signed_in("alice").await;
    seal(&old).await;
    begin(&old, NEW).await.unwrap();
    old.app.vault.note_use(&old.app.store, old.now()).await.unwrap();
    let new = node_with(&old, NEW).await;
    assert!(matches!(finish(&new).await, Err(RotationError::InUse { count: 1, .. })));
    // It says nothing for longer than a minute.
    old.advance(chrono::TimeDelta::seconds(61));
    finish(&new).await.unwrap();
    new.log_in("alice").await;
    let refused = old.app.chain.seal().await.unwrap_err().to_string();
    assert!(refused.contains("give this node the master key of the others"), "{refused}");
    old.app.vault.note_use(&old.app.store, old.now()).await.unwrap_err();
    old.app.sessions.rotate_key(&AuditContext::command_line()).await.unwrap_err();
    seal(&new).await;
    verify(&new).await.unwrap();
}
