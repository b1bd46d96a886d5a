//! Which things are what was recorded of them: for whoever is about to do something on the word of the history that cannot be
//! undone.

use std::collections::HashSet;

use super::current_digests::{Found, Thing, current_digests};
use crate::model::record::RecordKind;
use crate::store::chain::{self, Written};
use crate::store::{Db, StoreError};

/// Of the things of a kind, named as in their records, those that a record stands for, sealed or waiting, and that are still as
/// it has them. A row that somebody added or changed is none of them.
pub fn vouched(db: &mut Db, kind: RecordKind, subjects: &[String]) -> Result<HashSet<String>, StoreError> {
    let written = chain::written(db, kind, subjects)?;
    let current_digests = current_digests(db, written.iter().map(|written| Thing::from(&written.record)))?;
    let is_as_written = |(written, found): &(Written, Option<Found>)| match found {
        Some(Found::As(digest, _)) => written.is_as_found || *digest == written.record.digest,
        _ => false,
    };
    let vouched = written.into_iter().zip(current_digests).filter(is_as_written);
    Ok(vouched.map(|(written, _)| written.record.subject).collect())
}
