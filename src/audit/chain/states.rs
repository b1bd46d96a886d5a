//! What became of states: of a thing that changes each state has a record, and the next version follows it. Only the newest is
//! compared with the row; that of a thing that is gone says so.

use std::collections::{BTreeSet, HashMap};

use crate::model::record::Coverage;
use crate::store::covered::{self, Found};
use crate::store::{Db, PER_STATEMENT, StoreError, chain};

/// A state that is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct State<'a> {
    /// The name of the thing.
    pub name: &'a str,
    /// Its version: 0 for the first state.
    pub version: i64,
    /// Where it stands among all that is asked for.
    pub place: usize,
}

impl State<'_> {
    /// What the record of the state after it is of.
    fn next(&self) -> String {
        format!("{}/{}", self.name, self.version + 1)
    }
}

/// Finds out what these states are now; `None` for those of things that are not there, where no other state followed.
pub(super) fn look(
    db: &mut Db,
    coverage: Coverage,
    wanted: &[State<'_>],
    current_digests: &mut [Option<Found>],
) -> Result<(), StoreError> {
    let rows = rows(db, coverage, wanted)?;
    let mut past = Vec::new();
    for state in wanted {
        match rows.get(state.name) {
            Some((version, found)) if *version == state.version => current_digests[state.place] = Some(found.clone()),
            Some((version, _)) if *version < state.version => current_digests[state.place] = Some(Found::Ahead),
            _ => past.push(*state),
        }
    }
    let next: Vec<String> = past.iter().map(State::next).collect();
    // After the rows: whatever changed or removed one has written its record by then.
    let followed = chain::recorded(db, coverage.kind, &next)?;
    for (state, next) in past.iter().zip(&next) {
        current_digests[state.place] = followed.contains(next).then_some(Found::Superseded);
    }
    Ok(())
}

/// The rows that they are states of, by their names, each with its version.
fn rows(db: &mut Db, coverage: Coverage, wanted: &[State<'_>]) -> Result<HashMap<String, (i64, Found)>, StoreError> {
    let names: Vec<&str> = wanted.iter().map(|state| state.name).collect::<BTreeSet<_>>().into_iter().collect();
    let mut rows = HashMap::new();
    for names in names.chunks(PER_STATEMENT) {
        covered::states(db, coverage, names, |name, version, found| {
            rows.insert(name, (version, found));
        })?;
    }
    Ok(rows)
}
