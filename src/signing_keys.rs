//! The keys that sign access tokens: made at the first start, kept encrypted in the database, shared by all nodes, rotated
//! and revoked while the server runs.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::config::{self, Algorithm};
use crate::model::audit::{AuditContext, AuditEvent, Details, Subject, SubjectKind};
use crate::model::change::Change;
use crate::store::signing_keys::{self, KeyStatus, StoredKey};
use crate::store::{Constraint, Db, Store, StoreError, audit, changes};
use crate::token::keys::{KeyError, SigningKey, VerificationKeySet, VerifyingKey};
use crate::vault::{Vault, VaultError};

/// How long verifiers may keep the published keys. A new key is published for as long before it signs: nobody meets a token whose
/// key was not there when the set was fetched.
pub const PUBLISHED_BEFORE: Duration = Duration::from_mins(1);

/// The time between two looks for keys that are not known.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The keys that sign and verify access tokens, as this process knows them.
#[derive(Debug)]
pub struct Signing {
    store: Store,
    clock: Arc<dyn Clock>,
    vault: Vault,
    algorithm: Algorithm,
    /// Tokens of a retired key verify this long: until the last of them has expired.
    overlap: TimeDelta,
    /// A secret that another application shares: it takes the place of the keys in the database.
    foreign: Option<Arc<SigningKey>>,
    opened: RwLock<DecryptedKeys>,
    /// Held while the keys are read anew.
    reading: tokio::sync::Mutex<()>,
    /// When the last look for a key began that was not known.
    last_look: tokio::sync::Mutex<Option<Instant>>,
}

/// Keys already decrypted, the set that verifies with them, and the status of each.
#[derive(Debug, Default)]
struct DecryptedKeys {
    keys: HashMap<String, Arc<SigningKey>>,
    verification_keys: Arc<VerificationKeySet>,
    statuses: HashMap<String, KeyStatus>,
    /// Counts readings of the statuses: what was concluded from an earlier one no longer holds.
    key_set_version: u64,
}

/// A signing key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key in the database cannot be decrypted.
    #[error("a signing key cannot be had: {0}")]
    Vault(VaultError),
    /// No key signs: every one was revoked.
    #[error("no signing key is current: run `vigie key rotate`")]
    NoCurrentKey,
    /// A key cannot be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The algorithm is not known to this version.
    #[error("the signing key {0} has an unknown algorithm")]
    UnknownAlgorithm(String),
}

impl From<SigningError> for StoreError {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Store(error) => error,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl Signing {
    /// The keys in `store`, by the rules of `[tokens]`. `foreign` is the shared HS256 secret, where there is one.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        vault: Vault,
        rules: &config::Tokens,
        foreign: Option<SigningKey>,
    ) -> Self {
        let foreign = foreign.map(Arc::new);
        let mut opened = DecryptedKeys::default();
        if let Some(key) = &foreign {
            opened.keys.insert(key.id().as_str().to_owned(), Arc::clone(key));
            opened.verification_keys = Arc::new(std::iter::once(key.verifying()).collect());
            opened.statuses.insert(key.id().as_str().to_owned(), KeyStatus::Current);
        }
        let tolerance = TimeDelta::from_std(rules.access_ttl + rules.clock_tolerance).unwrap_or(TimeDelta::MAX);
        let overlap = tolerance + TimeDelta::hours(1);
        let reading = tokio::sync::Mutex::default();
        let (opened, last_look) = (RwLock::new(opened), tokio::sync::Mutex::default());
        Self { store, clock, vault, algorithm: rules.algorithm, overlap, foreign, opened, reading, last_look }
    }

    /// Makes sure that a key can sign: makes one where there is none. `true` where it did.
    pub async fn prepare(&self) -> Result<bool, SigningError> {
        if self.foreign.is_some() {
            return Ok(false);
        }
        if let Some(stored) = self.store.read(signing_keys::newest).await? {
            self.open(&stored).await?;
            return Ok(false);
        }
        self.rotate_at_start().await
    }

    /// Makes a key of the configured algorithm where the newest is of another; `true` where it did. For servers alone: a command
    /// may have been given other settings.
    pub async fn adopt_algorithm(&self) -> Result<bool, SigningError> {
        if self.foreign.is_some() {
            return Ok(false);
        }
        let newest = self.store.read(signing_keys::newest).await?;
        if newest.is_some_and(|stored| stored.algorithm == self.algorithm.as_str()) {
            return Ok(false);
        }
        self.rotate_at_start().await
    }

    async fn rotate_at_start(&self) -> Result<bool, SigningError> {
        match self.rotate(&AuditContext::system("start")).await {
            Ok(_) => Ok(true),
            // Another node that started at the same time was first.
            Err(SigningError::Store(StoreError::Conflict(Constraint::CurrentKey))) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a new key. It is published at once, and signs [`PUBLISHED_BEFORE`] later, or at once where no other key can sign or
    /// it is no key to be published. Tokens of the one before verify until the last has expired (JWT-10).
    pub async fn rotate(&self, context: &AuditContext) -> Result<String, SigningError> {
        let key = SigningKey::generate(self.algorithm)?;
        let id = key.id().as_str().to_owned();
        let now = self.clock.now();
        let signs_until = if self.algorithm == Algorithm::Hs256 { now } else { now + PUBLISHED_BEFORE };
        let (vault, context, verify_until) = (self.vault.clone(), context.clone(), signs_until + self.overlap);
        let put = move |db: &mut Db| {
            let stored = encrypt_new_key_in(db, &vault, &key, now)?;
            let replaced = signing_keys::retire_newest(db, signs_until, verify_until)?;
            add(db, &stored, replaced, &context)
        };
        self.store.write(put).await?;
        Ok(id)
    }

    /// Makes a key in the place of the newest one, which was revoked in this transaction. A key that still signs goes on until the
    /// new one has been published for long enough.
    fn replace_revoked_in(&self, db: &mut Db, context: &AuditContext, now: DateTime<Utc>) -> Result<(), SigningError> {
        let key = SigningKey::generate(self.algorithm)?;
        let signs_until = now + PUBLISHED_BEFORE;
        signing_keys::prolong_last(db, now, signs_until, signs_until + self.overlap)?;
        let stored = encrypt_new_key_in(db, &self.vault, &key, now)?;
        Ok(add(db, &stored, None, context)?)
    }

    /// Refuses every token of a key from now on (KEY-06); where it was the newest one, a new key is made. `false` where
    /// there is no such key, or it is revoked already.
    pub async fn revoke(self: &Arc<Self>, id: &str, context: &AuditContext) -> Result<bool, SigningError> {
        let now = self.clock.now();
        let (signing, key, by) = (Arc::clone(self), id.to_owned(), context.clone());
        // In one transaction: at no moment does no key sign.
        let revoke = move |db: &mut Db| {
            if !signing_keys::revoke(db, &key, now)? {
                return Ok(false);
            }
            changes::insert(db, &[Change::Keys], now)?;
            let subject = Subject::new(SubjectKind::Key, &key);
            audit::record(db, &AuditEvent::new(now, Details::KeyRevoked {}, &by, subject))?;
            if signing_keys::newest(db)?.is_none() {
                signing.replace_revoked_in(db, &by, now)?;
            }
            Ok::<_, SigningError>(true)
        };
        self.store.write(revoke).await
    }

    /// Every key, newest first.
    pub async fn list(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.store.read(signing_keys::list).await
    }

    /// The id of the key in the store that signs now.
    pub async fn current_id(&self) -> Result<Option<String>, StoreError> {
        let now = self.clock.now();
        self.store.read(move |db| signing_keys::signer(db, now)).await
    }

    /// The key that signs now.
    pub async fn current(&self) -> Result<Arc<SigningKey>, SigningError> {
        if let Some(foreign) = &self.foreign {
            return Ok(Arc::clone(foreign));
        }
        let id = self.current_id().await?.ok_or(SigningError::NoCurrentKey)?;
        if let Some(key) = self.opened.read().unwrap_or_else(PoisonError::into_inner).keys.get(&id) {
            return Ok(Arc::clone(key));
        }
        let stored = self.store.read(move |db| signing_keys::find(db, &id)).await?.ok_or(SigningError::NoCurrentKey)?;
        self.open(&stored).await
    }

    /// The keys known so far. A key missing here may have been made by another node: see [`Signing::reload_if_unknown`].
    #[must_use]
    pub fn verification_keys(&self) -> Arc<VerificationKeySet> {
        Arc::clone(&self.opened.read().unwrap_or_else(PoisonError::into_inner).verification_keys)
    }

    /// The keys whose tokens are accepted at `now`, by the statuses that were read last.
    #[must_use]
    pub fn accepted(&self, now: DateTime<Utc>) -> VerificationKeySet {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        let status = |key: &VerifyingKey| opened.statuses.get(key.id().as_str());
        let accepts = |key: &&VerifyingKey| status(key).is_some_and(|status| status.accepts(now));
        opened.verification_keys.iter().filter(accepts).cloned().collect()
    }

    /// Counts readings of the keys' statuses: what was concluded from an earlier one no longer holds.
    #[must_use]
    pub fn key_set_version(&self) -> u64 {
        self.opened.read().unwrap_or_else(PoisonError::into_inner).key_set_version
    }

    /// The status of the key when the keys were read last.
    #[must_use]
    pub fn status(&self, id: &str) -> Option<KeyStatus> {
        self.opened.read().unwrap_or_else(PoisonError::into_inner).statuses.get(id).copied()
    }

    /// Reads every key's status anew, and decrypts keys made since.
    pub async fn reload(&self) -> Result<(), SigningError> {
        if self.foreign.is_some() {
            return Ok(());
        }
        // One after the other: of two that read at the same time, the older reading must not be taken up last.
        let _turn = self.reading.lock().await;
        let stored = self.list().await?;
        // What was given up has no private part, and is not known: no token of it is good, whatever its row says.
        for key in stored.iter().filter(|key| !key.encrypted.is_empty()) {
            let is_known = self.opened.read().unwrap_or_else(PoisonError::into_inner).keys.contains_key(&key.id);
            if !is_known {
                self.open(key).await?;
            }
        }
        let statuses = stored.iter().map(|key| (key.id.clone(), key.status())).collect();
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        // What was concluded still holds where nothing has changed.
        if opened.statuses != statuses {
            opened.statuses = statuses;
            opened.key_set_version += 1;
        }
        Ok(())
    }

    /// Looks for keys made since: for a token that names one which is not known, or for a reader of the set, as anybody can be.
    /// So looks keep a distance, and all who ask before one begins share it. Nobody is told that a key is unknown without a
    /// look that began after they asked.
    pub async fn reload_if_unknown(&self) -> Result<(), SigningError> {
        if self.foreign.is_some() {
            return Ok(());
        }
        let asked = Instant::now();
        let mut last_look = self.last_look.lock().await;
        if let Some(begun) = *last_look {
            if begun >= asked {
                return Ok(());
            }
            sleep_until(begun + BETWEEN_LOOKS).await;
        }
        let begun = Instant::now();
        self.reload().await?;
        *last_look = Some(begun);
        Ok(())
    }

    /// Whether tokens of this key are accepted now, as the store says.
    pub fn accepts(&self, db: &mut Db, id: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        Ok(self.status_in(db, id)?.is_some_and(|status| status.accepts(now)))
    }

    /// The status of the key now, as the store says; `None` where there is none of this id.
    pub fn status_in(&self, db: &mut Db, id: &str) -> Result<Option<KeyStatus>, StoreError> {
        let is_foreign = self.foreign.as_ref().is_some_and(|key| key.id().as_str() == id);
        if is_foreign { Ok(Some(KeyStatus::Current)) } else { signing_keys::status(db, id) }
    }

    /// Decrypts a key and keeps it.
    async fn open(&self, stored: &StoredKey) -> Result<Arc<SigningKey>, SigningError> {
        let algorithm: Algorithm =
            stored.algorithm.parse().map_err(|_| SigningError::UnknownAlgorithm(stored.id.clone()))?;
        let (vault, id) = (self.vault.clone(), stored.id.clone());
        let opened = self.store.read(move |db| decrypt_in(db, &vault, &id)).await;
        let secret = opened.map_err(|error| match error {
            VaultError::Store(error) => SigningError::Store(error),
            other => SigningError::Vault(other),
        })?;
        let key = Arc::new(SigningKey::from_secret_bytes(algorithm, &secret)?);
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        opened.keys.insert(stored.id.clone(), Arc::clone(&key));
        let verifying: Vec<VerifyingKey> = opened.keys.values().map(|key| key.verifying()).collect();
        opened.verification_keys = Arc::new(verifying.into_iter().collect());
        Ok(key)
    }
}

/// A new key as it is kept.
pub(crate) fn encrypt_new_key_in(
    db: &mut Db,
    vault: &Vault,
    key: &SigningKey,
    now: DateTime<Utc>,
) -> Result<StoredKey, StoreError> {
    let id = key.id().as_str().to_owned();
    Ok(StoredKey {
        algorithm: key.algorithm().as_str().to_owned(),
        encrypted: vault.encrypt_in(db, &id, key.secret_bytes())?,
        id,
        created_at: now,
        retired: None,
        revoked_at: None,
    })
}

/// The private part of a key. It is read anew with the keyring: all may have been encrypted again just now.
fn decrypt_in(db: &mut Db, vault: &Vault, id: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let encrypted = |db: &mut Db| Ok(signing_keys::find(db, id)?.map(|stored| stored.encrypted));
    vault.decrypt_in(db, id, encrypted)?.ok_or_else(|| VaultError::CannotDecrypt(id.to_owned()))
}

fn add(db: &mut Db, stored: &StoredKey, replaced: Option<String>, context: &AuditContext) -> Result<(), StoreError> {
    let now = stored.created_at;
    if let Some(replaced) = replaced {
        let subject = Subject::new(SubjectKind::Key, replaced);
        audit::record(db, &AuditEvent::new(now, Details::KeyRotated {}, context, subject))?;
    }
    signing_keys::insert(db, stored)?;
    changes::insert(db, &[Change::Keys], now)?;
    let details = Details::KeyCreated { algorithm: stored.algorithm.clone() };
    audit::record(db, &AuditEvent::new(now, details, context, Subject::new(SubjectKind::Key, &stored.id)))
}
