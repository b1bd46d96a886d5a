//! The versions of rows that change: each version has a record, and the next version follows it. Only the newest is compared with
//! the row; the newest of a row that is gone says so.

use std::collections::{BTreeSet, HashMap};

use crate::model::record::Coverage;
use crate::store::row_digests::{self, RowDigest};
use crate::store::{Db, PER_STATEMENT, StoreError, chain};

/// A version of a row that is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct WantedVersion<'a> {
    /// The name of the row.
    pub name: &'a str,
    /// Its number: 0 for the first.
    pub version: i64,
    /// Where it stands among all that is asked for.
    pub place: usize,
}

impl WantedVersion<'_> {
    /// The subject of the record of the version after it.
    fn next(&self) -> String {
        format!("{}/{}", self.name, self.version + 1)
    }
}

/// Finds the digests of these versions now; `None` where the row is not there, and no version followed.
pub(super) fn digest_versions(
    db: &mut Db,
    coverage: Coverage,
    wanted: &[WantedVersion<'_>],
    current_digests: &mut [Option<RowDigest>],
) -> Result<(), StoreError> {
    let rows = rows(db, coverage, wanted)?;
    let mut past = Vec::new();
    for asked in wanted {
        match rows.get(asked.name) {
            Some((version, found)) if *version == asked.version => current_digests[asked.place] = Some(found.clone()),
            Some((version, _)) if *version < asked.version => current_digests[asked.place] = Some(RowDigest::Ahead),
            _ => past.push(*asked),
        }
    }
    let next: Vec<String> = past.iter().map(WantedVersion::next).collect();
    // After the rows: whatever changed or removed one has written its record by then.
    let followed = chain::recorded(db, coverage.kind, &next)?;
    for (asked, next) in past.iter().zip(&next) {
        current_digests[asked.place] = followed.contains(next).then_some(RowDigest::Superseded);
    }
    Ok(())
}

/// The rows that have these versions, by their names, each with its present version.
fn rows(
    db: &mut Db,
    coverage: Coverage,
    wanted: &[WantedVersion<'_>],
) -> Result<HashMap<String, (i64, RowDigest)>, StoreError> {
    let names: Vec<&str> = wanted.iter().map(|asked| asked.name).collect::<BTreeSet<_>>().into_iter().collect();
    let mut rows = HashMap::new();
    for names in names.chunks(PER_STATEMENT) {
        row_digests::of_versioned(db, coverage, names, |name, version, found| {
            rows.insert(name, (version, found));
        })?;
    }
    Ok(rows)
}
