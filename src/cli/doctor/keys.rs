//! What the doctor asks of the keys: whether the master key opens them, which of them signs, and whether the checkpoint in
//! the data directory is signed with one of them.

use chrono::SecondsFormat;

use super::Report;
use crate::audit::chain::{self, CheckpointKey, Damage};
use crate::cli::table::moment;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::keyring::Keyring;
use crate::master_key::MasterKey;
use crate::store::keyring;
use crate::store::signing_keys::{self, KeyStatus, StoredKey};
use crate::store::{self, Db, Store, StoreError};
use crate::vault::{self, Vault, VaultError};

/// Whether the keys can be opened and used.
pub(super) async fn look_at(config: &Config, store: &Store, master: Option<MasterKey>, report: &mut Report) {
    const NAME: &str = "keys";
    let keys = store.read(signing_keys::list).await.unwrap_or_default();
    let Some(master) = master else {
        if !keys.is_empty() {
            report.fail(NAME, "cannot be opened without the master key");
        }
        return;
    };
    match open(store, master).await {
        Ok(Some((vault, keyring))) => {
            rotation(store, &vault, report).await;
            signing(config, store, &vault, &keys, report).await;
            checkpoint(config, store, &CheckpointKey::new(&keyring, vault.database()), report).await;
        }
        Ok(None) => report.warn(NAME, "there are none yet: the next start makes them"),
        Err(error) => report.fail(NAME, error),
    }
}

/// The keyring; `None` where there is none yet.
async fn open(store: &Store, master: MasterKey) -> Result<Option<(Vault, Keyring)>, VaultError> {
    let vault = Vault::new(store, master).await?;
    let opening = vault.clone();
    let open = move |db: &mut Db| {
        if vault::is_to_be_made(db)? { Ok(None) } else { opening.keyring_in(db).map(Some) }
    };
    Ok(store.read(open).await?.map(|keyring| (vault, keyring)))
}

/// Whether the master key is being rotated, and which servers have the new one.
async fn rotation(store: &Store, vault: &Vault, report: &mut Report) {
    const NAME: &str = "master key rotation";
    let now = SystemClock.now();
    let read = move |db: &mut Db| Ok::<_, StoreError>((keyring::list(db)?, vault::in_use(db, now)?));
    let (stored, used) = match store.read(read).await {
        Ok(read) => read,
        Err(error) => return report.fail(NAME, error),
    };
    let [.., old, new] = &*stored else {
        return report.ok("keys", format_args!("the master key {} opens them", vault.id()));
    };
    let with = |master: &str| used.iter().filter(|used| *used == master).count();
    report.warn(
        NAME,
        format_args!(
            "under way since {}, from {} ({} servers work with it) to {} ({} servers): give every node the new one, restart \
             it, then run `vigie key rotate-master --finish`",
            moment(&new.made_at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            old.master,
            with(&old.master),
            new.master,
            with(&new.master)
        ),
    );
}

/// Whether a key signs, and whether every key that is still needed can be opened.
async fn signing(config: &Config, store: &Store, vault: &Vault, keys: &[StoredKey], report: &mut Report) {
    const NAME: &str = "signing keys";
    if !config.tokens.hs256_secret_file.as_os_str().is_empty() {
        return;
    }
    let Some(newest) = keys.iter().find(|key| key.status() == KeyStatus::Current) else {
        return match keys {
            [] => report.warn(NAME, "there are none yet: the first start makes one"),
            _ => report.fail(NAME, "none signs: run `vigie key rotate`"),
        };
    };
    let now = SystemClock.now();
    for key in keys.iter().filter(|key| key.status().accepts(now)) {
        let (vault, id, encrypted) = (vault.clone(), key.id.clone(), key.encrypted.clone());
        let opened = store.read(move |db| vault.decrypt_in(db, &id, |_| Ok(Some(encrypted.clone())))).await;
        if let Err(error) = opened {
            return report.fail(NAME, error);
        }
    }
    if newest.algorithm != config.tokens.algorithm.as_str() {
        return report.warn(
            NAME,
            format_args!(
                "{} signs with {}; the next start makes a key for {}",
                newest.id, newest.algorithm, config.tokens.algorithm
            ),
        );
    }
    let signer = store.read(move |db| signing_keys::signer(db, now)).await.ok().flatten();
    report.ok(NAME, format_args!("all can be opened; {} signs", signer.as_ref().unwrap_or(&newest.id)));
}

/// Whether the checkpoint in the data directory is of this history, and of no more records than there are.
async fn checkpoint(config: &Config, store: &Store, key: &CheckpointKey, report: &mut Report) {
    const NAME: &str = "checkpoint";
    let file = config.data.dir.join(chain::FILE);
    if !file.exists() {
        return;
    }
    let records = match store.read(|db| Ok::<_, StoreError>(store::chain::head(db)?.size)).await {
        Ok(records) => u64::try_from(records).unwrap_or(0),
        Err(error) => return report.fail(NAME, error),
    };
    match key.open_file(&file) {
        Ok(kept) if kept.size <= records => {
            report.ok(NAME, format_args!("{} is of this history", file.display()));
        }
        Ok(kept) => report.fail(
            NAME,
            format_args!(
                "{} saw {} records, and there are {records}: if the database was restored from an older copy, move the \
                 file away; else find out who cut it off",
                file.display(),
                kept.size
            ),
        ),
        Err(unusable) => report.fail(NAME, Damage::File(unusable)),
    }
}
