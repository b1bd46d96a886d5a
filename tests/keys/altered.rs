//! Whoever can write to the database cannot choose keys: a keyring that was altered is refused.

use rstest::rstest;

use super::{NEW, node_with, refusal, vault};
use crate::support::app::TestApp;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use vigie::model::audit::AuditContext;
use vigie::rotation;

const MARK: &str = "INSERT INTO keyring (master, number, sealed, made_at) SELECT '', 0, sealed, made_at FROM keyring";

#[rstest]
#[case::deleted(&["DELETE FROM keyring"], "are missing from the database")]
#[case::renumbered(&["UPDATE keyring SET number = 2"], "was altered, or is another database's")]
#[case::another_masters(&["UPDATE keyring SET master = '0123456789abcdef'"], "encrypted with the master key 0123456789abcdef")]
#[case::to_be_made_again(
    &[MARK, "UPDATE keyring SET master = 'other' WHERE number > 0"],
    "encrypted with the master key other"
)]
#[actix_web::test]
async fn an_altered_keyring_is_refused_with_what_to_do(
    #[case] statements: &[&str],
    #[case] told: &str,
    #[values(Sqlite, Postgres)] backend: Backend,
) {
    let mut app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    app.close().await;
    let mut beside = Beside::connect(&app.database.url);
    for statement in statements {
        beside.execute(statement).unwrap();
    }
    let refused = refusal(&app, None).await;
    assert!(refused.contains(told), "{refused}");
}

#[rstest]
#[actix_web::test]
async fn a_keyring_of_which_a_byte_was_changed_is_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut app = TestApp::start(backend).await;
    app.close().await;
    let mut beside = Beside::connect(&app.database.url);
    beside
        .execute(match backend {
            Sqlite => "UPDATE keyring SET sealed = substr(sealed, 1, length(sealed) - 1) || x'00'",
            Postgres => "UPDATE keyring SET sealed = set_byte(sealed, 40, 255 - get_byte(sealed, 40))",
        })
        .unwrap();
    let refused = refusal(&app, None).await;
    assert!(refused.contains("was altered"), "{refused}");
}

/// With the same master key too: it is encrypted for its database.
#[rstest]
#[actix_web::test]
async fn the_keyring_of_another_database_is_refused(#[values(Sqlite, Postgres)] backend: Backend) {
    let settings = [("VIGIE__KEYS__MASTER_KEY", super::setting(NEW))];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let (mut one, other) =
        (TestApp::start_with(backend, &settings).await, TestApp::start_with(backend, &settings).await);
    one.close().await;
    let encrypted = super::stored(&other).await.remove(0).encrypted;
    let mut beside = Beside::connect(&one.database.url);
    let value = beside.literal(&encrypted);
    beside.execute(&format!("UPDATE keyring SET sealed = {value}")).unwrap();
    let refused = refusal(&one, None).await;
    assert!(refused.contains("is another database's"), "{refused}");
}

/// The mark of a database without keys, put back by somebody: what is there was encrypted with keys that are not derived.
#[rstest]
#[actix_web::test]
async fn keys_are_not_derived_again_after_a_rotation(#[values(Sqlite, Postgres)] backend: Backend) {
    let mut app = TestApp::start(backend).await;
    app.signed_in("alice").await;
    let new = vault(&app, NEW).await;
    let context = AuditContext::command_line();
    assert!(rotation::begin(&app.app.store, &app.app.vault, &new, &context, app.now()).await.unwrap());
    app.close().await;
    let mut node = node_with(&app, NEW).await;
    rotation::finish(&node.app.store, &node.app.vault, &context, node.now()).await.unwrap();
    node.close().await;
    let mut beside = Beside::connect(&app.database.url);
    beside.execute(MARK).unwrap();
    beside.execute("DELETE FROM keyring WHERE number > 0").unwrap();
    for master in [Some(NEW), None] {
        let refused = refusal(&app, master).await;
        assert!(refused.contains("was not made with this master key"), "{refused}");
    }
}
