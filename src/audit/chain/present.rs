//! What the things that records stand for are now. Each kind is read as a stretch of its own table, because the chain
//! follows nearly the same order; what lies elsewhere is asked for by name.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::model::record::RecordKind;
pub(super) use crate::store::covered::Found;
use crate::store::{Db, StoreError, covered};

/// Things asked for by name in one statement.
const BATCH: usize = 500;

/// What a record stands for: of which kind, its number or id, and when it was.
pub(super) type Thing<'a> = (RecordKind, &'a str, DateTime<Utc>);

/// What these things are now, in their order; `None` for those that are not there.
pub(super) fn present<'a>(
    db: &mut Db,
    things: impl Iterator<Item = Thing<'a>>,
) -> Result<Vec<Option<Found>>, StoreError> {
    let (mut present, mut wanted) = (Vec::new(), BTreeMap::<RecordKind, Vec<Wanted>>::new());
    for (place, (kind, subject, at)) in things.enumerate() {
        let number = number(kind, subject);
        // Nothing is named otherwise.
        present.push(number.is_none().then_some(Found::Unreadable));
        if let Some(number) = number {
            wanted.entry(kind).or_default().push(Wanted { number, at, place });
        }
    }
    for (kind, wanted) in wanted {
        let mut search = Search::of(kind, wanted, &mut present);
        search.read_stretch(db)?;
        search.ask_by_name(db)?;
    }
    Ok(present)
}

/// Something that is looked for.
struct Wanted {
    /// Its number, or its id as one.
    number: u128,
    at: DateTime<Utc>,
    /// Where it stands among all that is asked for.
    place: usize,
}

/// The search for things of a kind.
struct Search<'a> {
    kind: RecordKind,
    /// In the order of their numbers.
    wanted: Vec<Wanted>,
    /// The one after that which was found last: as a rule it is found next.
    next: usize,
    present: &'a mut [Option<Found>],
}

impl<'a> Search<'a> {
    fn of(kind: RecordKind, mut wanted: Vec<Wanted>, present: &'a mut [Option<Found>]) -> Self {
        wanted.sort_by_key(|wanted| wanted.number);
        Self { kind, wanted, next: 0, present }
    }

    /// Reads the things from the first to the last of these: as a rule these, and few others.
    fn read_stretch(&mut self, db: &mut Db) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (self.wanted.first(), self.wanted.last()) else { return Ok(()) };
        let times = self.wanted.iter().map(|wanted| wanted.at);
        let (Some(earliest), Some(latest)) = (times.clone().min(), times.max()) else { return Ok(()) };
        // One that lies far off must not make this read the whole table.
        let limit = i64::try_from(self.wanted.len() * 2).unwrap_or(i64::MAX);
        let numbers = (first.number, last.number);
        covered::between(db, self.kind, numbers, (earliest, latest), limit, |number, found| self.take(number, &found))
    }

    /// Asks by name for those that are not known yet.
    fn ask_by_name(&mut self, db: &mut Db) -> Result<(), StoreError> {
        let unknown = self.wanted.iter().filter(|wanted| self.present[wanted.place].is_none());
        let unknown: Vec<u128> = unknown.map(|wanted| wanted.number).collect();
        unknown
            .chunks(BATCH)
            .try_for_each(|numbers| covered::named(db, self.kind, numbers, |number, found| self.take(number, &found)))
    }

    /// Takes what was found, for each that asked for it.
    fn take(&mut self, number: u128, found: &Found) {
        if self.wanted.get(self.next).is_none_or(|next| next.number != number) {
            self.next = self.wanted.partition_point(|wanted| wanted.number < number);
        }
        while let Some(wanted) = self.wanted.get(self.next).filter(|wanted| wanted.number == number) {
            self.present[wanted.place] = Some(found.clone());
            self.next += 1;
        }
    }
}

/// `None` where nothing of this kind could be named so.
fn number(kind: RecordKind, subject: &str) -> Option<u128> {
    match kind {
        RecordKind::Event => u128::try_from(subject.parse::<i64>().ok()?).ok(),
        _ => Some(Uuid::parse_str(subject).ok()?.as_u128()),
    }
}
