//! The keyring: keys that outlive the master key, and what replaces them.

mod altered;
mod compromised;
mod processes;
mod rotation;
mod upgrade;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vigie::app::App;
use vigie::audit::chain::{Damage, Verified};
use vigie::clock::Clock;
use vigie::config::Config;
use vigie::keyring::Keyring;
use vigie::master_key::MasterKey;
use vigie::store::keyring::{self, StoredKeyring};
use vigie::store::{StoreError, signing_keys};
use vigie::vault::Vault;

use crate::support::app::TestApp;
use crate::support::dump::Beside;

/// Another master key than the one of the installation.
const NEW: [u8; 32] = [9; 32];

fn setting(master: [u8; 32]) -> String {
    STANDARD.encode(master)
}

async fn vault(app: &TestApp, master: [u8; 32]) -> Vault {
    Vault::new(&app.app.store, MasterKey::from_bytes(master)).await.unwrap()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A node that has this master key.
async fn node_with(app: &TestApp, master: [u8; 32]) -> TestApp {
    app.another_node_with(&[("VIGIE__KEYS__MASTER_KEY", &setting(master))]).await
}

/// Why no node starts with this master key, or with that of the installation.
async fn refusal(app: &TestApp, master: Option<[u8; 32]>) -> String {
    let mut config: Config = app.app.config.clone();
    if let Some(master) = master {
        config.keys.master_key = setting(master).into();
    }
    let clock = std::sync::Arc::clone(&app.clock) as std::sync::Arc<dyn Clock>;
    App::open(config, clock).await.expect_err("no node starts").to_string()
}

/// The keys of the installation, as the node opens them.
async fn keys(app: &TestApp) -> Keyring {
    let vault = app.app.vault.clone();
    app.app.store.read(move |db| vault.keyring_in(db)).await.unwrap()
}

async fn stored(app: &TestApp) -> Vec<StoredKeyring> {
    app.app.store.read(keyring::list).await.unwrap()
}

/// Whether a key of the installation decrypts each signing key.
async fn opens_signing_keys(app: &TestApp, keyring: &Keyring) -> bool {
    let stored = app.app.store.read::<_, StoreError>(signing_keys::list).await.unwrap();
    assert!(!stored.is_empty());
    let key = keyring.key(vigie::keyring::KeyPurpose::Encryption);
    stored.iter().all(|stored| key.decrypt(&stored.id, &stored.encrypted).is_ok())
}

/// The master key in the data directory.
fn master(app: &TestApp) -> MasterKey {
    MasterKey::read(&app.app.config.master_key_path()).unwrap()
}

/// The history, also against the checkpoint in the data directory.
async fn verify(app: &TestApp) -> Result<Verified, Damage> {
    let own = app.app.chain.own_checkpoint().map_err(Damage::File)?;
    app.app.chain.verify(&own.into_iter().collect::<Vec<_>>(), |_, _| {}).await.unwrap()
}

async fn seal(app: &TestApp) {
    app.app.chain.seal().await.unwrap();
    app.app.chain.checkpoint().await.unwrap();
}

/// Lets a statement fail, as if the process were cut off there.
fn break_at(beside: &mut Beside, event: &str, table: &str) {
    match beside {
        Beside::Sqlite(_) => beside
            .execute(&format!(
                "CREATE TRIGGER broken BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'cut off here'); END"
            ))
            .unwrap(),
        Beside::Postgres(_) => {
            beside
                .execute(
                    "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN RAISE EXCEPTION 'cut off here'; END $$",
                )
                .unwrap();
            beside
                .execute(&format!(
                    "CREATE TRIGGER broken BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION broken()"
                ))
                .unwrap()
        }
    };
}

fn mend(beside: &mut Beside, table: &str) {
    match beside {
        Beside::Sqlite(_) => beside.execute("DROP TRIGGER broken").unwrap(),
        Beside::Postgres(_) => {
            beside.execute(&format!("DROP TRIGGER broken ON {table}")).unwrap();
            beside.execute("DROP FUNCTION broken()").unwrap()
        }
    };
}
