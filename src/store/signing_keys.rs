//! Queries on `signing_keys`. Private parts are encrypted; this folder never sees them decrypted.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::backend::Db;
use super::columns::At;
use super::error::StoreError;
use super::schema::signing_keys;

/// A signing key as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Names the key: the `kid` of its tokens (RFC 7515 §4.1.4).
    pub id: String,
    /// `ES256`, `EdDSA`, `RS256` or `HS256`.
    pub algorithm: String,
    /// The private part, encrypted with a key of the keyring; empty once the key was given up.
    pub encrypted: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it signs for the last time, and until when its tokens verify.
    pub retired: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Since when its tokens are refused.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Whether a key signs, and whether its tokens are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// It signs, or will once the one before it does no more; its tokens are accepted.
    Current,
    /// Another takes its place; its tokens are accepted until this moment.
    RetiredUntil(DateTime<Utc>),
    /// Its tokens are refused.
    Revoked,
}

impl KeyStatus {
    const fn new(verify_until: Option<DateTime<Utc>>, revoked_at: Option<DateTime<Utc>>) -> Self {
        match (revoked_at, verify_until) {
            (Some(_), _) => Self::Revoked,
            (None, Some(until)) => Self::RetiredUntil(until),
            (None, None) => Self::Current,
        }
    }

    /// Whether tokens of the key are accepted at `now`.
    #[must_use]
    pub fn accepts(self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Current => true,
            Self::RetiredUntil(until) => now < until,
            Self::Revoked => false,
        }
    }
}

impl StoredKey {
    /// Whether it signs, and whether its tokens are accepted.
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        KeyStatus::new(self.retired.map(|(_, until)| until), self.revoked_at)
    }
}

type Row = (String, String, Vec<u8>, At, Option<At>, Option<At>, Option<At>);

fn key((id, algorithm, encrypted, created_at, retired_at, verify_until, revoked_at): Row) -> StoredKey {
    StoredKey {
        id,
        algorithm,
        encrypted,
        created_at: created_at.0,
        retired: retired_at.zip(verify_until).map(|(at, until)| (at.0, until.0)),
        revoked_at: revoked_at.map(|at| at.0),
    }
}

/// Every key, newest first.
pub fn list(db: &mut Db) -> Result<Vec<StoredKey>, StoreError> {
    let rows: Vec<Row> =
        signing_keys::table.order((signing_keys::created_at.desc(), signing_keys::id.desc())).load(db)?;
    Ok(rows.into_iter().map(key).collect())
}

/// The key with this id.
pub fn find(db: &mut Db, id: &str) -> Result<Option<StoredKey>, StoreError> {
    Ok(signing_keys::table.find(id).first::<Row>(db).optional()?.map(key))
}

/// The key that no other takes the place of.
pub fn newest(db: &mut Db) -> Result<Option<StoredKey>, StoreError> {
    let newest = signing_keys::retired_at.is_null().and(signing_keys::revoked_at.is_null());
    Ok(signing_keys::table.filter(newest).first::<Row>(db).optional()?.map(key))
}

/// The id of the key that signs at `now`: of those whose time is not over, the one whose time is over first.
pub fn signer(db: &mut Db, now: DateTime<Utc>) -> Result<Option<String>, StoreError> {
    let first = signers(db, now)?.into_iter().min_by_key(|(_, until)| until.unwrap_or(DateTime::<Utc>::MAX_UTC));
    Ok(first.map(|(id, _)| id))
}

/// The id of a key, and until when it signs; the newest has no such time.
type Signer = (String, Option<DateTime<Utc>>);

/// Keys that sign at `now` or later.
fn signers(db: &mut Db, now: DateTime<Utc>) -> Result<Vec<Signer>, StoreError> {
    let signs = signing_keys::retired_at.is_null().or(signing_keys::retired_at.gt(At(now)).assume_not_null());
    let rows: Vec<(String, Option<At>)> = signing_keys::table
        .filter(signing_keys::revoked_at.is_null().and(signs))
        .select((signing_keys::id, signing_keys::retired_at))
        .load(db)?;
    Ok(rows.into_iter().map(|(id, until)| (id, until.map(|at| at.0))).collect())
}

/// Whether the key signs, and whether its tokens are accepted; `None` where there is none of this id.
pub fn status(db: &mut Db, id: &str) -> Result<Option<KeyStatus>, StoreError> {
    let row: Option<(Option<At>, Option<At>)> = signing_keys::table
        .find(id)
        .select((signing_keys::verify_until, signing_keys::revoked_at))
        .first(db)
        .optional()?;
    Ok(row.map(|(until, revoked)| KeyStatus::new(until.map(|at| at.0), revoked.map(|at| at.0))))
}

/// Adds a key. If another is the newest, it is a conflict on [`super::Constraint::CurrentKey`].
pub fn insert(db: &mut Db, stored: &StoredKey) -> Result<(), StoreError> {
    let row = (
        signing_keys::id.eq(stored.id.clone()),
        signing_keys::algorithm.eq(stored.algorithm.clone()),
        signing_keys::sealed.eq(stored.encrypted.clone()),
        signing_keys::created_at.eq(At(stored.created_at)),
    );
    diesel::insert_into(signing_keys::table).values(row).execute(db)?;
    Ok(())
}

/// Keeps the same private part, encrypted again.
pub fn replace_encrypted(db: &mut Db, id: &str, encrypted: Vec<u8>) -> Result<(), StoreError> {
    diesel::update(signing_keys::table.find(id)).set(signing_keys::sealed.eq(encrypted)).execute(db)?;
    Ok(())
}

/// Lets the newest key sign until `signs_until`, and its tokens verify until `verify_until`. Its id, if there was one.
pub fn retire_newest(
    db: &mut Db,
    signs_until: DateTime<Utc>,
    verify_until: DateTime<Utc>,
) -> Result<Option<String>, StoreError> {
    let newest = signing_keys::retired_at.is_null().and(signing_keys::revoked_at.is_null());
    Ok(diesel::update(signing_keys::table.filter(newest))
        .set((
            signing_keys::retired_at.eq(Some(At(signs_until))),
            signing_keys::verify_until.eq(Some(At(verify_until))),
        ))
        .returning(signing_keys::id)
        .get_result(db)
        .optional()?)
}

/// Lets the last of the retired keys that still sign at `now` sign until `signs_until` at least, and its tokens verify until
/// `verify_until`.
pub fn prolong_last(
    db: &mut Db,
    now: DateTime<Utc>,
    signs_until: DateTime<Utc>,
    verify_until: DateTime<Utc>,
) -> Result<(), StoreError> {
    let retired = signers(db, now)?.into_iter().filter_map(|(id, until)| Some((until?, id)));
    let Some((_, last)) = retired.max() else { return Ok(()) };
    diesel::update(signing_keys::table.find(last))
        .set((
            signing_keys::retired_at.eq(Some(At(signs_until))),
            signing_keys::verify_until.eq(Some(At(verify_until))),
        ))
        .execute(db)?;
    Ok(())
}

/// Refuses every token of the key from now on. `false` where it is revoked already, or not there.
pub fn revoke(db: &mut Db, id: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let live = signing_keys::table.find(id).filter(signing_keys::revoked_at.is_null());
    Ok(diesel::update(live).set(signing_keys::revoked_at.eq(Some(At(now)))).execute(db)? == 1)
}
