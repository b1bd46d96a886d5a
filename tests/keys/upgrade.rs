//! An installation that was made before there was a keyring keeps its keys.

use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;
use vigie::keyring::{KeyPurpose, Keyring};
use vigie::master_key::MasterKey;
use vigie::model::audit::AuditContext;

use super::{NEW, keys, master, refusal, seal, stored, verify};
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;

/// The database as the version before had it: its keys are derived from the master key, and none is kept.
fn before_the_keyring(app: &TestApp) {
    let mut beside = Beside::connect(&app.database.url);
    for statement in ["DROP TABLE keyring", "DROP TABLE master_key_uses"] {
        beside.execute(statement).unwrap();
    }
    let migrated = "DELETE FROM __diesel_schema_migrations WHERE version = '20261128000022'";
    assert_eq!(beside.execute(migrated).unwrap(), 1);
}

/// The keys are those that earlier versions derived. What they must be was computed from RFC 5869 and RFC 2104 by another
/// program, for the master key 0x07 × 32.
#[test]
fn the_first_keys_are_those_that_earlier_versions_derived() {
    let keyring = Keyring::derived(&MasterKey::from_bytes([7; 32]), "0198c2a0-0000-7000-8000-000000000000");
    let expected = [
        (KeyPurpose::Checkpoint, "553b94d2149e158a18ed662fe4fddff5c6dd7b6f915617434791cdb4cfdad1d4"),
        (KeyPurpose::Removal, "724c6115e532a7dd73b6a62482375933691702b7ae71c6c12878c5f5016765da"),
        (KeyPurpose::RefreshToken, "e5009bca6b32e276ee36dc7cda4546a5a76302254f779dac188e80412e0d663c"),
        (KeyPurpose::ReportLink, "fd2593a631774c52d0ff2eaea720e25ab5a678c2758d8b330bb4c4b13fb53807"),
        (KeyPurpose::UnknownName, "7fe3273940b7ef35d4ff57e2f5381f0042844adc8992cc2c8600d7d8094cd126"),
        (KeyPurpose::ThrottleAccount, "ded67eee0b24f36997451d6c8aac7d1bd2f1e6d3e1a5a42b2472390514d74059"),
        (KeyPurpose::ThrottleKnownDevice, "94d742c2621e2ecbc53512e5987249204b30c2397007e314b8fe99917a3daec5"),
        (KeyPurpose::ThrottleAddress, "765d927919ce03b08fc1552ff1206fe3cc6a93c16b2cd738663d7a76a0cc5b90"),
        (KeyPurpose::ThrottleNetwork, "a5da39d5d1a39d2ecea9c588be5e056f05a7eead94b99053752507da56293167"),
        (KeyPurpose::ThrottleOverall, "83d8c8cf6b1ce110c96facf86b3730d026b6e0437c3a928fe02ba8384a1bd1c4"),
        (KeyPurpose::Encryption, "e437419d2379fe5a687ac065c2d2391dbc7fce5a0333eb521436116472079a51"),
    ];
    for (purpose, hexadecimal) in expected {
        assert_eq!(super::hexadecimal(keyring.key(purpose).bytes()), hexadecimal, "{purpose}");
    }
}

#[rstest]
#[actix_web::test]
async fn what_was_made_before_there_was_a_keyring_stays_good(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut app = TestApp::start(backend).await;
    let alice = app.signed_in("alice").await;
    app.signed_in("bob").await;
    app.app
        .users
        .erase(app.app.users.find_by_id_or_name("bob").await.unwrap().unwrap().id, &AuditContext::command_line())
        .await
        .unwrap();
    for _ in 0..6 {
        app.nobody().post("/auth/login", json!({ "username": "nobody", "password": "wrong" })).await;
    }
    seal(&app).await;
    let (token, refresh) = (alice.token().to_owned(), alice.refresh_token.clone());
    let counted = "SELECT CAST(failures AS TEXT) AS line FROM throttles ORDER BY 1";
    let before = Beside::connect(&app.database.url).lines(counted);
    app.close().await;
    before_the_keyring(&app);

    let node = app.another_node().await;
    node.nobody().with_token(&token).get("/auth/me").await.expect(200);
    node.nobody().post("/auth/refresh", json!({ "refresh_token": refresh })).await.expect(200);
    verify(&node).await.unwrap();
    // Counted under the same keys: no row was added.
    node.nobody().post("/auth/login", json!({ "username": "nobody", "password": "wrong" })).await;
    assert_eq!(Beside::connect(&app.database.url).lines(counted).len(), before.len());
    assert_eq!(stored(&node).await.len(), 1);
    let derived = Keyring::derived(&master(&node), node.app.vault.database());
    let kept = keys(&node).await;
    for purpose in KeyPurpose::ALL {
        assert_eq!(kept.key(*purpose).bytes(), derived.key(*purpose).bytes(), "{purpose}");
    }
    // The next start finds them.
    let next = node.another_node().await;
    assert_eq!(stored(&next).await, stored(&node).await);
}

/// Else the first node of an update, where it has the wrong file, would make keys that nobody else has.
#[rstest]
#[case::its_signing_keys_do_not_open(true)]
#[case::its_checkpoints_are_not_theirs(false)]
#[actix_web::test]
async fn no_keys_are_derived_from_a_master_key_that_made_nothing_here(
    #[case] with_signing_keys: bool,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let mut app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    seal(&app).await;
    app.close().await;
    before_the_keyring(&app);
    if !with_signing_keys {
        Beside::connect(&app.database.url).execute("DELETE FROM signing_keys").unwrap();
    }
    let refused = refusal(&app, Some(NEW)).await;
    assert!(refused.contains("was not made with this master key"), "{refused}");
    // Nothing was kept of that: the right one still does.
    app.another_node().await.log_in("alice").await;
}

#[rstest]
#[actix_web::test]
async fn two_nodes_that_start_at_once_have_the_same_keys(#[values(Sqlite, Postgres)] backend: Backend) {
    let (a, b) = TestApp::two_at_once(backend).await;
    assert_eq!(stored(&a).await.len(), 1);
    let (of_a, of_b) = (keys(&a).await, keys(&b).await);
    for purpose in KeyPurpose::ALL {
        assert_eq!(of_a.key(*purpose).bytes(), of_b.key(*purpose).bytes(), "{purpose}");
    }
    let alice = a.signed_in("alice").await;
    a.advance(TimeDelta::seconds(1));
    b.nobody().post("/auth/refresh", json!({ "refresh_token": alice.refresh_token })).await.expect(200);
}
