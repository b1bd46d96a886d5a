//! Which rows are what was recorded of them: for whoever is about to do something on the word of the history that cannot be
//! undone.

use std::collections::HashSet;

use super::current_digests::{RowDigest, RowRef, current_digests};
use crate::model::record::RecordKind;
use crate::store::chain::{self, StoredRecord};
use crate::store::{Db, StoreError};

/// Of the rows of a kind, named as in their records, those that have a record, sealed or waiting, and whose digest is still the
/// recorded one. A row that somebody added or changed is none of them.
pub fn unaltered(db: &mut Db, kind: RecordKind, subjects: &[String]) -> Result<HashSet<String>, StoreError> {
    let written = chain::records_of(db, kind, subjects)?;
    let current_digests = current_digests(db, written.iter().map(|written| RowRef::from(&written.record)))?;
    let is_as_written = |(written, found): &(StoredRecord, Option<RowDigest>)| match found {
        Some(RowDigest::Present(digest, _)) => written.is_as_found || *digest == written.record.digest,
        _ => false,
    };
    let unaltered = written.into_iter().zip(current_digests).filter(is_as_written);
    Ok(unaltered.map(|(written, _)| written.record.subject).collect())
}
