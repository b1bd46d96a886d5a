//! Every key replaced, because somebody else may have the master key: what they make with the old keys shows.

use std::sync::Arc;

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;
use signed_note::{Note, StandardVerifier, VerifierList};
use vigie::audit::chain::{Checkpoint, CheckpointKey, CheckpointVerifier, Damage, TreeBuilder, leaf, verify_publicly};
use vigie::clock::Clock;
use vigie::keyring::{KeyPurpose, Keyring};
use vigie::model::audit::{AuditContext, AuditEvent, AuditKind, Subject};
use vigie::model::retention::{Counts, RetentionCutoffs};
use vigie::rotation::RotationError;
use vigie::rotation::compromised::{self, Dependencies};
use vigie::signed_removal::RemovalKey;
use vigie::store::chain::{self, Head};
use vigie::store::{StoreError, audit, one_time_tokens};

use super::{NEW, break_at, keys, mend, node_with, opens_signing_keys, refusal, seal, stored, vault, verify};
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

async fn replace_all(app: &TestApp) -> Result<(), RotationError> {
    let parts = Dependencies {
        store: app.app.store.clone(),
        clock: Arc::clone(&app.clock) as Arc<dyn Clock>,
        vault: app.app.vault.clone(),
        chain: app.app.chain.clone(),
        algorithm: Some(app.app.config.tokens.algorithm),
    };
    compromised::replace_all(&parts, &vault(app, NEW).await, &AuditContext::command_line()).await
}

/// With what an attacker has: every key, and so many bytes of the database as they like.
async fn add_removal(app: &TestApp, keys: &Keyring) {
    let cuts = RetentionCutoffs { attempts: "2999-01-01T00:00:00Z".parse().ok(), ..RetentionCutoffs::default() };
    let details = cuts.details(Counts { attempts: 9, ..Counts::default() });
    let event = AuditEvent::new(app.now(), details, &AuditContext::system("retention"), Subject::everybody());
    let forged = RemovalKey::new(keys).signed(event);
    app.app.store.write::<_, StoreError>(move |db| audit::record(db, &forged)).await.unwrap();
    seal(app).await;
}

/// How many records there were when the new keys took over.
async fn switched_at(app: &TestApp) -> u64 {
    let statements = app.app.chain.handovers().await.unwrap().unwrap();
    app.app.chain.key().open(&statements[0]).unwrap().size
}

fn delete_attempts(app: &TestApp) {
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    assert!(beside.execute("DELETE FROM attempts").unwrap() > 0);
}

#[rstest]
#[actix_web::test]
async fn every_session_ends_and_every_key_is_new(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let (token, refresh) = (alice.token().to_owned(), alice.refresh_token.clone());
    let old = keys(&app).await;
    app.advance(TimeDelta::seconds(2));
    replace_all(&app).await.unwrap();
    let refused = refusal(&app, None).await;
    assert!(refused.contains("encrypted with the master key"), "{refused}");
    app.close().await;

    let node = node_with(&app, NEW).await;
    node.nobody().with_token(&token).get("/auth/me").await.expect(401);
    node.nobody().post("/auth/refresh", json!({ "refresh_token": refresh })).await.expect(401);
    node.advance(TimeDelta::seconds(2));
    node.log_in("alice").await.get("/auth/me").await.expect(200);
    let new = keys(&node).await;
    for purpose in KeyPurpose::ALL {
        assert_ne!(new.key(*purpose).bytes(), old.key(*purpose).bytes(), "{purpose}");
    }
    assert_eq!(stored(&node).await.len(), 1);
    assert!(!opens_signing_keys(&node, &old).await);
    let of = |kind| node.app.store.read(move |db| audit::newest_of(db, kind, 9));
    assert_eq!(of(AuditKind::KeyRevoked).await.unwrap().len(), 1);
    assert_eq!(of(AuditKind::NotBeforeSet).await.unwrap().len(), 1);
    let rotated = of(AuditKind::MasterKeyRotated).await.unwrap();
    assert_eq!(rotated[0].event.details["step"], "compromised");
}

#[rstest]
#[actix_web::test]
async fn the_chain_and_every_checkpoint_verify_as_before(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    seal(&app).await;
    let kept = app.app.chain.checkpoint().await.unwrap().note;
    replace_all(&app).await.unwrap();
    app.close().await;
    let node = node_with(&app, NEW).await;
    let kept = node.app.chain.key().open(&kept).unwrap();
    node.log_in("alice").await;
    for _ in 0..2 {
        node.app.chain.verify(&[kept], |_, _| {}).await.unwrap().unwrap();
        verify(&node).await.unwrap();
        seal(&node).await;
        node.log_in("alice").await;
    }
}

/// Whoever has the old public key follows it to the new one.
#[rstest]
#[actix_web::test]
async fn the_old_checkpoint_key_signs_the_new_one(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    let trusted = app.app.chain.key().public().to_owned();
    replace_all(&app).await.unwrap();
    app.close().await;
    let node = node_with(&app, NEW).await;
    let statements = node.app.chain.handovers().await.unwrap().unwrap();
    let [statement] = &statements[..] else { panic!("{statements:?}") };
    let note = Note::from_bytes(statement.as_bytes()).unwrap();
    let verified_by = |key: &str| {
        let verifier = StandardVerifier::new(key).unwrap();
        note.verify(&VerifierList::new(vec![Box::new(verifier)])).is_ok()
    };
    assert!(verified_by(&trusted));
    let named = statement.lines().find_map(|line| line.strip_prefix("key ")).expect("a key is named");
    assert_ne!(named, trusted);
    assert_eq!(named, node.app.chain.key().public());
    assert!(verified_by(named));
    // It is a checkpoint as any other.
    assert!(node.app.chain.key().open(statement).unwrap().size > 0);

    let size = switched_at(&node).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    beside.execute(&format!("DELETE FROM checkpoints WHERE size = {size}")).unwrap();
    assert_eq!(verify(&node).await, Err(Damage::Handover { size }));
}

/// A checkpoint of the old key counts of fewer records than the switch saw.
#[rstest]
#[actix_web::test]
async fn a_checkpoint_of_the_old_key_is_not_believed_any_more(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    let old = keys(&app).await;
    replace_all(&app).await.unwrap();
    app.close().await;
    let node = node_with(&app, NEW).await;
    let size = switched_at(&node).await;
    let forged = CheckpointKey::new(&old, node.app.vault.database());
    for size in [size, size + 5] {
        let note = forged.sign(&Checkpoint { size, root: tlog_tiles::EMPTY_HASH, link_key: None });
        node.app.chain.key().open(&note).unwrap_err();
    }
}

/// Who takes the revocation back, with all that the old master key opened, has no key by that.
#[rstest]
#[actix_web::test]
async fn a_signing_key_that_was_given_up_cannot_be_brought_back(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let token = alice.token().to_owned();
    replace_all(&app).await.unwrap();
    app.close().await;
    let node = node_with(&app, NEW).await;
    seal(&node).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    let revived = "UPDATE signing_keys SET revoked_at = NULL, retired_at = created_at, verify_until = (SELECT max(expires_at) FROM sessions)
         WHERE revoked_at IS NOT NULL";
    assert_eq!(beside.execute(revived).unwrap(), 1);
    beside.execute("DELETE FROM not_befores").unwrap();
    if let Ok(another) = vigie::app::App::open(node.app.config.clone(), Arc::clone(&node.clock) as Arc<dyn Clock>).await
    {
        assert!(another.sessions.check(&token, [127, 0, 0, 1].into()).await.is_err());
        another.close().await;
    }
}

/// Whoever has either public key, and no more, verifies the history of before the switch and of after it.
#[rstest]
#[actix_web::test]
async fn p6_the_old_public_key_and_the_new_one_verify_the_whole_history(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    let (old, before) = (app.app.chain.key().public().to_owned(), app.app.chain.checkpoint().await.unwrap().note);
    replace_all(&app).await.unwrap();
    app.close().await;
    let node = node_with(&app, NEW).await;
    node.log_in("alice").await;
    seal(&node).await;
    let after = node.app.chain.checkpoint().await.unwrap().note;
    let store = &node.app.store;
    for public in [old.as_str(), node.app.chain.key().public()] {
        let key: CheckpointVerifier = public.parse().unwrap();
        let key = key.following_handovers(store).await.unwrap();
        let kept = [&before, &after].map(|note| key.open(note).unwrap()).to_vec();
        let verified = verify_publicly(store, key, kept).await.unwrap().unwrap();
        assert!(verified.checkpoints >= 5, "{verified:?}");
    }
}

/// The hash that whoever has these keys writes to the last record there is; whether it is what stands there.
async fn link_the_last(app: &TestApp, links: vigie::audit::chain::ChainHashKeys) -> bool {
    let mut page = app.app.store.read(|db| chain::page(db, 0, i64::MAX, i64::MAX)).await.unwrap();
    let (last, before) = (page.pop().unwrap(), page.pop().unwrap());
    let head = Head { size: last.position, chain_hash: before.chain_hash, peaks: Vec::new() };
    let mut growth = TreeBuilder::of(head, links);
    growth.grow(leaf(&last.record));
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    let hash = beside.literal(&growth.head.chain_hash);
    beside
        .execute(&format!("UPDATE sealed_records SET chain_hash = {hash} WHERE position = {}", last.position))
        .unwrap();
    beside.execute(&format!("UPDATE chain_head SET chain_hash = {hash}")).unwrap();
    growth.head.chain_hash == last.chain_hash
}

/// The key that counts links the same record anew, so this can fail.
#[rstest]
#[actix_web::test]
async fn p6_a_record_that_is_linked_with_the_old_key_is_damage(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    seal(&app).await;
    let stolen = app.app.chain.hash_keys().await.unwrap();
    replace_all(&app).await.unwrap();
    app.close().await;
    let node = node_with(&app, NEW).await;
    node.log_in("alice").await;
    seal(&node).await;
    assert!(link_the_last(&node, node.app.chain.hash_keys().await.unwrap()).await);
    verify(&node).await.unwrap();
    assert!(!link_the_last(&node, stolen).await);
    assert!(matches!(verify(&node).await, Err(Damage::BrokenLink { .. })));
}

/// The same removal justifies what is missing while the key counts, so this can fail.
#[rstest]
#[case::with_the_key_that_counts(false)]
#[case::with_the_key_that_was_given_up(true)]
#[actix_web::test]
async fn p6_a_removal_that_is_forged_with_the_old_key_is_damage(
    #[case] is_given_up: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let mut app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    seal(&app).await;
    let stolen = keys(&app).await;
    let node = if is_given_up {
        replace_all(&app).await.unwrap();
        app.close().await;
        node_with(&app, NEW).await
    } else {
        app
    };
    add_removal(&node, &stolen).await;
    verify(&node).await.expect("a record more, and nothing else");
    delete_attempts(&node);
    let verified = verify(&node).await;
    assert_eq!(matches!(verified, Err(Damage::Deleted { .. })), is_given_up, "{verified:?}");
}

/// A removal of before the switch stays what it was.
#[rstest]
#[actix_web::test]
async fn what_was_removed_before_stays_justified(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    seal(&app).await;
    let genuine = keys(&app).await;
    add_removal(&app, &genuine).await;
    delete_attempts(&app);
    verify(&app).await.unwrap();
    replace_all(&app).await.unwrap();
    app.close().await;
    let node = node_with(&app, NEW).await;
    seal(&node).await;
    verify(&node).await.unwrap();
}

#[rstest]
#[case("INSERT", "checkpoints")]
#[case("UPDATE", "signing_keys")]
#[case("INSERT", "signing_keys")]
#[case("DELETE", "keyring")]
#[case("INSERT", "keyring")]
#[case("INSERT", "not_befores")]
#[case("INSERT", "changes")]
#[case("DELETE", "one_time_tokens")]
#[actix_web::test]
async fn a_replacement_that_is_cut_off_has_done_nothing_and_goes_on(
    #[case] event: &str,
    #[case] table: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let mut app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    let session = alice.session_id.parse().unwrap();
    let user_id = app.app.users.find_by_id_or_name("alice").await.unwrap().unwrap().id;
    let (digest, now) = (vigie::model::secret::Secret::random().digest(), app.now());
    let purpose = one_time_tokens::TokenPurpose::ReportLink { user_id, session_id: session };
    let later = now + TimeDelta::days(1);
    app.app
        .store
        .write::<_, StoreError>(move |db| one_time_tokens::insert(db, digest, purpose, now, later))
        .await
        .unwrap();
    seal(&app).await;
    let before = stored(&app).await;
    let mut beside = Beside::connect(&app.database.url);
    break_at(&mut beside, event, table);
    replace_all(&app).await.unwrap_err();
    mend(&mut beside, table);
    assert_eq!(stored(&app).await, before);
    alice.get("/auth/me").await.expect(200);
    let another = app.another_node().await;
    another.log_in("alice").await;
    verify(&another).await.unwrap();

    replace_all(&app).await.unwrap();
    app.close().await;
    let node = node_with(&app, NEW).await;
    assert_eq!(app.app.store.read(move |db| one_time_tokens::find(db, digest)).await.unwrap(), None);
    seal(&node).await;
    verify(&node).await.unwrap();
}

#[rstest]
#[actix_web::test]
async fn it_is_refused_while_a_server_runs_or_where_the_history_is_damaged(
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    app.app.vault.note_use(&app.app.store, app.now()).await.unwrap();
    assert_eq!(replace_all(&app).await, Err(RotationError::ServersRun(1)));
    app.app.vault.remove_use(&app.app.store, app.now()).await.unwrap();
    seal(&app).await;
    let mut beside = Beside::connect(&app.database.url);
    beside.drop_triggers();
    let size = app.app.chain.checkpoint().await.unwrap().size;
    beside.execute(&format!("UPDATE chain_head SET size = {}", size - 1)).unwrap();
    let refused = replace_all(&app).await.unwrap_err().to_string();
    assert!(refused.contains("would vouch for it"), "{refused}");
}
