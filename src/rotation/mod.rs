//! The master key exchanged for another: as a routine, node after node, without anybody noticing; or at once and with every
//! other key, because somebody else may have it (`compromised.rs`).
//!
//! As a routine it takes two steps. The first keeps the keyring for both master keys, and what it encrypts is encrypted again, in
//! one transaction; nodes are then given the new one, each when it is restarted. The second forgets the old, once no server
//! works with it. A step that breaks off has done nothing, or all of it: doing it again goes on.

pub mod compromised;

use chrono::{DateTime, Utc};

use crate::key::Key;
use crate::keyring::KeyPurpose;
use crate::master_key::{MasterKey, MasterKeyId};
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, RotationStep, Subject};
use crate::store::keyring::{self, StoredKeyring};
use crate::store::{Db, Store, StoreError, audit, pending_erasures, signing_keys};
use crate::vault::{Vault, VaultError, in_use};

/// The master key is not rotated. Each message says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// The keys cannot be opened, or the store cannot be asked.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The server's role on PostgreSQL.
    #[error(
        "this database role may use the keys, and not replace them: run this as the owner of the tables, with that role in \
         VIGIE__DATABASE__URL"
    )]
    OwnerAlone,
    /// This is the new key of a rotation that is under way.
    #[error(
        "the master key is being rotated to {0}, the one that this command has: restart every node with it, one after the \
         other, then run `vigie key rotate-master --finish`"
    )]
    UnderWay(MasterKeyId),
    /// This is the old key of a rotation that is under way.
    #[error(
        "this command still has the old master key: give this node the new one, {new}, in its place, then run `vigie key \
         rotate-master --finish` again"
    )]
    OldKey {
        /// The name of the new master key.
        new: String,
    },
    /// There is nothing to finish.
    #[error("no rotation of the master key is under way: `vigie key rotate-master` begins one")]
    NotUnderWay,
    /// Servers work with a master key that would be forgotten.
    #[error(
        "{count} of the servers that run still work with the master key {master}: restart each with the new one, then run \
         this again. (One that was killed counts for a minute.)"
    )]
    InUse {
        /// How many running servers work with it.
        count: usize,
        /// The name of the master key that they work with.
        master: String,
    },
    /// Servers run that would go on with the keys that are given up.
    #[error(
        "{0} servers run: stop every one first, or they go on with the keys that somebody else may have. (One that was \
         killed counts for a minute.)"
    )]
    ServersRun(usize),
    /// The history is not what was signed: a new key must not vouch for it.
    #[error("{0}: the new keys would vouch for it; put the database back from a backup first, then run this again")]
    Damaged(String),
    /// A new signing key cannot be made.
    #[error(transparent)]
    Signing(#[from] crate::token::keys::KeyError),
}

impl From<StoreError> for RotationError {
    fn from(error: StoreError) -> Self {
        Self::Vault(error.into())
    }
}

/// Whether a rotation may begin: not while another one to this master key is under way.
pub async fn ensure_may_begin(store: &Store, vault: &Vault) -> Result<(), RotationError> {
    let vault = vault.clone();
    let look = move |db: &mut Db| {
        ensure_permitted(db)?;
        let stored = keyring::list(db)?;
        if Keyrings::of(&vault, &stored)?.own_is_new() {
            Err(RotationError::UnderWay(vault.id().clone()))
        } else {
            Ok(())
        }
    };
    store.read(look).await
}

/// Begins to rotate to a new master key; from when this returns both open everything. Where that was begun already, by this
/// key, nothing changes and it is `false`. A rotation to another key that no server works with is given up.
pub async fn begin(
    store: &Store,
    vault: &Vault,
    new: &Vault,
    context: &AuditContext,
    now: DateTime<Utc>,
) -> Result<bool, RotationError> {
    let (vault, new, context) = (vault.clone(), new.clone(), context.clone());
    let begin = move |db: &mut Db| {
        ensure_permitted(db)?;
        keyring::lock(db)?;
        let stored = keyring::list(db)?;
        let keyrings = Keyrings::of(&vault, &stored)?;
        if keyrings.further.iter().any(|further| further.master == new.id().0) {
            return Ok(false);
        }
        if keyrings.own_is_new() {
            return Err(RotationError::UnderWay(vault.id().clone()));
        }
        for other in &keyrings.further {
            ensure_unused(db, &other.master, now)?;
            keyring::remove(db, &other.master)?;
        }
        let mut keys = vault.keyring_in(db)?;
        let old = keys.key(KeyPurpose::Encryption).clone();
        keys.replace(KeyPurpose::Encryption);
        reencrypt(db, &old, keys.key(KeyPurpose::Encryption))?;
        let number = keyrings.own.number;
        keyring::put(db, &vault.encrypted(&keys, number, keyrings.own.made_at))?;
        keyring::put(db, &new.encrypted(&keys, number + 1, now))?;
        record(db, RotationStep::Begun, vault.id(), new.id(), &context, now)?;
        Ok(true)
    };
    store.write(begin).await
}

/// Ends a rotation to the master key of this process: the one before opens nothing any more.
pub async fn finish(
    store: &Store,
    vault: &Vault,
    context: &AuditContext,
    now: DateTime<Utc>,
) -> Result<(), RotationError> {
    let (vault, context) = (vault.clone(), context.clone());
    let finish = move |db: &mut Db| {
        ensure_permitted(db)?;
        keyring::lock(db)?;
        let stored = keyring::list(db)?;
        let keyrings = Keyrings::of(&vault, &stored)?;
        if let Some(new) = keyrings.further.last() {
            return Err(RotationError::OldKey { new: new.master.clone() });
        }
        if keyrings.earlier.is_empty() {
            return Err(RotationError::NotUnderWay);
        }
        for old in &keyrings.earlier {
            ensure_unused(db, &old.master, now)?;
            keyring::remove(db, &old.master)?;
            record(db, RotationStep::Finished, &MasterKeyId(old.master.clone()), vault.id(), &context, now)?;
        }
        Ok(())
    };
    store.write(finish).await
}

/// The keyrings of all master keys, as this process sees them.
struct Keyrings<'a> {
    own: &'a StoredKeyring,
    /// Of master keys before this one.
    earlier: Vec<&'a StoredKeyring>,
    /// Of master keys after this one.
    further: Vec<&'a StoredKeyring>,
}

impl<'a> Keyrings<'a> {
    fn of(vault: &Vault, stored: &'a [StoredKeyring]) -> Result<Self, VaultError> {
        let own = stored.iter().find(|stored| stored.master == vault.id().0);
        let own = own.ok_or_else(|| vault.not_found(stored))?;
        let (earlier, rest): (Vec<_>, Vec<_>) = stored.iter().partition(|stored| stored.number < own.number);
        Ok(Self { own, earlier, further: rest.into_iter().filter(|stored| stored.number > own.number).collect() })
    }

    fn own_is_new(&self) -> bool {
        !self.earlier.is_empty()
    }
}

fn ensure_permitted(db: &mut Db) -> Result<(), RotationError> {
    if keyring::may_replace(db)? { Ok(()) } else { Err(RotationError::OwnerAlone) }
}

fn ensure_unused(db: &mut Db, master: &str, now: DateTime<Utc>) -> Result<(), RotationError> {
    match in_use(db, now)?.iter().filter(|used| *used == master).count() {
        0 => Ok(()),
        count => Err(RotationError::InUse { count, master: master.to_owned() }),
    }
}

/// Encrypts everything again that is encrypted with a key of the keyring. The keys of tokens that were given up are not there.
fn reencrypt(db: &mut Db, old: &Key, new: &Key) -> Result<(), VaultError> {
    for key in signing_keys::list(db)?.into_iter().filter(|key| !key.encrypted.is_empty()) {
        signing_keys::replace_encrypted(db, &key.id, reencrypted(old, new, &key.id, &key.encrypted)?)?;
    }
    reencrypt_names(db, old, new)
}

fn reencrypt_names(db: &mut Db, old: &Key, new: &Key) -> Result<(), VaultError> {
    for (id, names) in pending_erasures::all_encrypted(db)? {
        pending_erasures::replace_encrypted(db, id, reencrypted(old, new, &pending_erasures::context(id), &names)?)?;
    }
    Ok(())
}

fn reencrypted(old: &Key, new: &Key, context: &str, encrypted: &[u8]) -> Result<Vec<u8>, VaultError> {
    let plain = old.decrypt(context, encrypted).map_err(|_| VaultError::CannotDecrypt(context.to_owned()))?;
    Ok(new.encrypt(context, &plain))
}

fn record(
    db: &mut Db,
    step: RotationStep,
    from: &MasterKeyId,
    to: &MasterKeyId,
    context: &AuditContext,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let details = Details::MasterKeyRotated { step, from: from.0.clone(), to: to.0.clone() };
    audit::record(db, &AuditEvent::new(now, details, context, Subject::everybody()))
}

/// Whether everything was to be replaced for this master key before, and was not.
pub async fn was_begun(store: &Store, new: &MasterKeyId) -> Result<bool, StoreError> {
    let rotated = store.read(|db| audit::newest_of(db, AuditKind::MasterKeyRotated, i64::MAX)).await?;
    let newest = rotated.first().and_then(|rotated| rotated.event.details().ok());
    Ok(matches!(newest, Some(Details::MasterKeyRotated { step: RotationStep::Compromised, to, .. }) if to == new.0))
}

/// The new master key of a rotation, in a file of its own: the one that an attempt before has made, or else a new one.
pub fn new_master_key(path: &std::path::Path) -> Result<MasterKey, crate::master_key::MasterKeyError> {
    if path.exists() { MasterKey::read(path) } else { MasterKey::create_at(path) }
}
