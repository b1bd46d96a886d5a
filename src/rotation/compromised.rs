//! Everything anew, because somebody else may have the master key: with that and a copy of the database they have every key
//! that is in it. So each purpose gets a new key, which nothing of the old leads to.
//!
//! What was made with the old keys must still be told from what somebody else makes with them. The record chain tells: as it
//! stands at this moment, both the old and the new checkpoint key sign it. Up to there the old keys count; from there on, only
//! the new. All of it is one transaction: whoever is cut off has changed nothing, or everything.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{RotationError, ensure_permitted, record, reencrypt_names};
use crate::audit::chain::{Chain, NotSigned, Unsettled};
use crate::clock::Clock;
use crate::config::Algorithm;
use crate::keyring::{KeyPurpose, Keyring};
use crate::model::audit::{AuditContext, AuditEvent, Details, RotationStep, Subject, SubjectKind};
use crate::model::change::Change;
use crate::model::not_before::Scope;
use crate::store::keyring;
use crate::store::not_befores;
use crate::store::{Db, Store, StoreError, audit, changes, one_time_tokens, signing_keys};
use crate::token::keys::SigningKey;
use crate::vault::{Vault, in_use};

/// How often it is tried again where the chain grows meanwhile.
const TRIES: u32 = 20;

/// What replacing every key stands on.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// Reads and writes the database.
    pub store: Store,
    /// Tells the time of day, in UTC.
    pub clock: Arc<dyn Clock>,
    /// Opens the keys that are given up.
    pub vault: Vault,
    /// The record chain, which the new keys sign from here on.
    pub chain: Chain,
    /// Of the new signing key; `None` where tokens are signed with a secret that another application shares.
    pub algorithm: Option<Algorithm>,
}

/// Gives up the master key and every key that it opens, for new ones that `new` opens. Every session is over from when this
/// returns, as is every key that signed tokens.
pub async fn replace_all(
    dependencies: &Dependencies,
    new: &Vault,
    context: &AuditContext,
) -> Result<(), RotationError> {
    ensure_may_begin(dependencies).await?;
    for _ in 0..TRIES {
        // Of a size that nobody has signed yet.
        note_beginning(dependencies, new, context).await?;
        dependencies.chain.seal().await?;
        if replace_once(dependencies, new, context).await? {
            seal_with(dependencies, new).await;
            return Ok(());
        }
    }
    Err(StoreError::Busy("the record chain does not come to rest".to_owned()).into())
}

/// Whether it may begin: not beside servers, nor where what was signed before is not what is there, as the new keys are to vouch for
/// no rewritten history.
pub async fn ensure_may_begin(dependencies: &Dependencies) -> Result<(), RotationError> {
    let now = dependencies.clock.now();
    let look = move |db: &mut Db| {
        ensure_permitted(db)?;
        ensure_no_server_runs(db, now)
    };
    dependencies.store.read(look).await?;
    dependencies.chain.checkpoint().await.map(drop).map_err(not_signed)
}

/// What was recorded of it is sealed at once, by the new keys.
async fn seal_with(dependencies: &Dependencies, new: &Vault) {
    let sealed = async {
        let vault = new.clone();
        let keyring = dependencies.store.read(move |db| vault.keyring_in(db)).await?;
        let chain = dependencies.chain.with_keys(new.clone(), &keyring);
        chain.seal().await?;
        chain.checkpoint().await.map_err(not_signed)
    };
    if let Err(error) = sealed.await {
        tracing::warn!(cause = %error, "the last records are sealed at the next start");
    }
}

async fn note_beginning(dependencies: &Dependencies, new: &Vault, context: &AuditContext) -> Result<(), RotationError> {
    let (vault, new, context, now) =
        (dependencies.vault.clone(), new.clone(), context.clone(), dependencies.clock.now());
    let note = move |db: &mut Db| {
        ensure_permitted(db)?;
        ensure_no_server_runs(db, now)?;
        Ok(record(db, RotationStep::Compromised, vault.id(), new.id(), &context, now)?)
    };
    dependencies.store.write(note).await
}

fn ensure_no_server_runs(db: &mut Db, now: DateTime<Utc>) -> Result<(), RotationError> {
    match in_use(db, now)?.len() {
        0 => Ok(()),
        running => Err(RotationError::ServersRun(running)),
    }
}

/// `false` where the chain has grown meanwhile.
async fn replace_once(dependencies: &Dependencies, new: &Vault, context: &AuditContext) -> Result<bool, RotationError> {
    let signing = dependencies.algorithm.map(SigningKey::generate).transpose()?;
    let (dependencies, new, context) = (dependencies.clone(), new.clone(), context.clone());
    let store = dependencies.store.clone();
    store.write(move |db| replace_in(db, &dependencies, &new, signing.as_ref(), &context)).await
}

fn replace_in(
    db: &mut Db,
    dependencies: &Dependencies,
    new: &Vault,
    signing: Option<&SigningKey>,
    context: &AuditContext,
) -> Result<bool, RotationError> {
    let (vault, now) = (&dependencies.vault, dependencies.clock.now());
    let size = match dependencies.chain.settled_in(db) {
        Ok(size) => size,
        Err(Unsettled::Grows) => return Ok(false),
        Err(Unsettled::NotSigned(error)) => return Err(not_signed(error)),
    };
    keyring::lock(db)?;
    // Under the lock that one takes as it starts.
    ensure_no_server_runs(db, now)?;
    let stored = keyring::list(db)?;
    let old = vault.keyring_in(db)?;
    let mut keys = vault.keyring_in(db)?;
    renew(&mut keys, size);
    dependencies.chain.hand_over_in(db, &keys, now)?;
    reencrypt_names(db, old.key(KeyPurpose::Encryption), keys.key(KeyPurpose::Encryption))?;
    for stored in &stored {
        keyring::remove(db, &stored.master)?;
    }
    let number = stored.iter().map(|stored| stored.number).max().unwrap_or(0) + 1;
    keyring::put(db, &new.encrypted(&keys, number, now))?;
    end_everything(db, context, now)?;
    replace_signing_keys(db, new, signing, context, now)?;
    Ok(true)
}

/// A new key for each purpose, from this size of the chain on.
fn renew(keys: &mut Keyring, size: u64) {
    for purpose in KeyPurpose::ALL {
        match purpose {
            // What these made has to be recognised still: up to here.
            KeyPurpose::Checkpoint | KeyPurpose::Link | KeyPurpose::Removal | KeyPurpose::UnknownName => {
                keys.succeed(*purpose, size);
            }
            _ => keys.replace(*purpose),
        }
    }
}

/// Every session is over, and so are the links by which users report one: they were derived.
fn end_everything(db: &mut Db, context: &AuditContext, now: DateTime<Utc>) -> Result<(), StoreError> {
    let note = "the master key was compromised";
    not_befores::raise(db, &Scope::Everybody, now, now, &context.actor, Some(note))?;
    let details = Details::NotBeforeSet { at: now, note: Some(note.to_owned()) };
    audit::record(db, &AuditEvent::new(now, details, context, Subject::everybody()))?;
    one_time_tokens::remove_report_links(db)?;
    changes::insert(db, &[Change::NotBefore, Change::Keys], now)
}

fn replace_signing_keys(
    db: &mut Db,
    new: &Vault,
    key: Option<&SigningKey>,
    context: &AuditContext,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for old in signing_keys::list(db)? {
        // Encrypted with a key that is given up: whoever takes the revocation back has no key by that.
        signing_keys::replace_encrypted(db, &old.id, Vec::new())?;
        if !signing_keys::revoke(db, &old.id, now)? {
            continue;
        }
        let subject = Subject::new(SubjectKind::Key, &old.id);
        audit::record(db, &AuditEvent::new(now, Details::KeyRevoked {}, context, subject))?;
    }
    let Some(key) = key else { return Ok(()) };
    let stored = crate::signing_keys::encrypt_new_key_in(db, new, key, now)?;
    signing_keys::insert(db, &stored)?;
    let details = Details::KeyCreated { algorithm: stored.algorithm };
    audit::record(db, &AuditEvent::new(now, details, context, Subject::new(SubjectKind::Key, &stored.id)))
}

fn not_signed(error: NotSigned) -> RotationError {
    match error {
        NotSigned::Damaged(fault) => RotationError::Damaged(fault.to_string()),
        NotSigned::Store(error) => error.into(),
    }
}
