//! The keyring as this process uses it: opened with its master key, made once where the installation has none yet. What is
//! kept encrypted in the database is encrypted and decrypted here, with the key that the keyring has for that at the moment: while
//! the master key is being rotated, another process may have encrypted everything again.

mod uses;

pub use uses::in_use;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::keyring::{KeyPurpose, Keyring};
use crate::master_key::{MasterKey, MasterKeyId};
use crate::store::keyring::{self, StoredKeyring};
use crate::store::{Db, Store, StoreError, changes, signing_keys};

/// Opens the keyring of one database, and what is encrypted with it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    master: MasterKey,
    id: MasterKeyId,
    database: String,
    /// Names this process among those that use the master key.
    process: Uuid,
}

/// The keyring, or what is encrypted with it, cannot be opened. Each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There were keys, and they are gone.
    #[error(
        "the keys of this installation are missing from the database (its table keyring): put the table back from a backup of \
         the database; they are never made a second time"
    )]
    Missing,
    /// Another master key opens the keyring.
    #[error(
        "the keys of this installation are encrypted with the master key {}, and this is {given}: give this node the master key \
         of the others", .known.join(" or ")
    )]
    OtherMasterKey {
        /// The master keys that open it.
        known: Vec<String>,
        /// The one that this process has.
        given: MasterKeyId,
    },
    /// The encrypted keyring was altered.
    #[error(
        "the keys of this installation cannot be opened: the row {0} of the table keyring was altered, or is another \
         database's; put it back from a backup of the database"
    )]
    Altered(MasterKeyId),
    /// Something was made with another master key, before there was a keyring.
    #[error(
        "{0} was not made with this master key: give this node the one that this database was made with; nothing was changed"
    )]
    DoesNotFit(String),
    /// An encrypted value was altered.
    #[error(
        "{0} cannot be opened: it was altered, or encrypted with another key; put it back from a backup of the database"
    )]
    CannotDecrypt(String),
}

impl From<VaultError> for StoreError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// Finds what is in the database that was not made with these keys; for the name of the history.
pub type KeyMismatch = fn(&mut Db, &Keyring, &str) -> Result<Option<String>, StoreError>;

impl Vault {
    /// Opens the keyring. Where the installation has none yet, because it is new or was made before there were any, makes
    /// it of the keys that were derived until now; but only if they are those that everything was made with, which
    /// `mismatch` looks at further.
    pub async fn open(
        store: &Store,
        master: MasterKey,
        now: DateTime<Utc>,
        mismatch: KeyMismatch,
    ) -> Result<(Self, Keyring), VaultError> {
        let vault = Self::new(store, master).await?;
        if store.read(is_to_be_made).await? {
            let making = vault.clone();
            store.write(move |db| making.make_in(db, now, mismatch)).await?;
        }
        let opening = vault.clone();
        let keyring = store.read(move |db| opening.keyring_in(db)).await?;
        Ok((vault, keyring))
    }

    /// The same without looking whether the master key opens anything.
    pub async fn new(store: &Store, master: MasterKey) -> Result<Self, StoreError> {
        let database = store.read(changes::head).await?.database;
        let id = master.id();
        Ok(Self { inner: Arc::new(Inner { master, id, database, process: Uuid::now_v7() }) })
    }

    /// Names the master key.
    #[must_use]
    pub fn id(&self) -> &MasterKeyId {
        &self.inner.id
    }

    /// Names the history that the keys are of.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.inner.database
    }

    /// The keys of the installation, as they are now.
    pub fn keyring_in(&self, db: &mut Db) -> Result<Keyring, VaultError> {
        match keyring::find(db, &self.inner.id.0)? {
            Some(stored) => self.opened(&stored),
            None => Err(self.not_found(&keyring::list(db)?)),
        }
    }

    /// An error where this master key opens the keyring no more: this process has keys of the past, and what it signs and
    /// encrypts with them would be taken for a forgery.
    pub fn ensure_current_in(&self, db: &mut Db) -> Result<(), VaultError> {
        if keyring::is_there(db, &self.inner.id.0)? { Ok(()) } else { Err(self.not_found(&keyring::list(db)?)) }
    }

    /// Encrypts a value for this context, in the transaction that keeps it.
    pub fn encrypt_in(&self, db: &mut Db, context: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        keyring::lock(db)?;
        Ok(self.keyring_in(db)?.key(KeyPurpose::Encryption).encrypt(context, plain))
    }

    /// Decrypts the value that `read` finds and that was encrypted for this context; `None` where it finds none.
    pub fn decrypt_in(
        &self,
        db: &mut Db,
        context: &str,
        read: impl Fn(&mut Db) -> Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        // Between the two readings everything may be encrypted again, once.
        for _ in 0..2 {
            let (keyring, Some(encrypted)) = (self.keyring_in(db)?, read(db)?) else { return Ok(None) };
            if let Ok(opened) = keyring.key(KeyPurpose::Encryption).decrypt(context, &encrypted) {
                return Ok(Some(opened));
            }
        }
        Err(VaultError::CannotDecrypt(context.to_owned()))
    }

    /// This keyring, encrypted as the one of this number.
    pub(crate) fn encrypted(&self, keyring: &Keyring, number: i64, now: DateTime<Utc>) -> StoredKeyring {
        let Inner { master, id, database, .. } = &*self.inner;
        StoredKeyring {
            master: id.0.clone(),
            number,
            encrypted: keyring.encrypt(master, database, number),
            made_at: now,
        }
    }

    fn opened(&self, stored: &StoredKeyring) -> Result<Keyring, VaultError> {
        let Inner { master, id, database, .. } = &*self.inner;
        let opened = Keyring::decrypt(master, database, stored.number, &stored.encrypted);
        opened.map_err(|_| VaultError::Altered(id.clone()))
    }

    /// There are only these keyrings, and none is for this master key.
    pub(crate) fn not_found(&self, others: &[StoredKeyring]) -> VaultError {
        let known: Vec<String> = others.iter().map(|other| other.master.clone()).collect();
        if known.is_empty() {
            VaultError::Missing
        } else {
            VaultError::OtherMasterKey { known, given: self.inner.id.clone() }
        }
    }

    fn make_in(&self, db: &mut Db, now: DateTime<Utc>, mismatch: KeyMismatch) -> Result<(), VaultError> {
        let Inner { master, database, .. } = &*self.inner;
        let first = Keyring::derived(master, database);
        for key in signing_keys::list(db)? {
            let opened = first.key(KeyPurpose::Encryption).decrypt(&key.id, &key.encrypted);
            opened.map_err(|_| VaultError::DoesNotFit(format!("the signing key {}", key.id)))?;
        }
        if let Some(what) = mismatch(db, &first, database)? {
            return Err(VaultError::DoesNotFit(what));
        }
        // Of two that come here at once, the other one has made the same.
        keyring::make(db, &self.encrypted(&first, 1, now))?;
        Ok(())
    }
}

/// Whether there are no keys yet. Where there are, nobody makes others by saying so.
pub fn is_to_be_made(db: &mut Db) -> Result<bool, StoreError> {
    Ok(keyring::list(db)?.is_empty() && keyring::is_to_be_made(db)?)
}
