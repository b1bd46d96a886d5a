//! What the things that records stand for are now. Each kind is read as a stretch of its own table, because the chain
//! follows nearly the same order; what lies elsewhere is asked for by name.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::permits::Redacted;
use crate::model::attempt::Attempt;
use crate::model::audit::RecordedEvent;
use crate::model::id::{AttemptId, SessionId};
use crate::model::record::{Digest, RecordKind};
use crate::model::redaction::Kept;
use crate::model::session::Session;
use crate::store::{Db, StoreError, attempts, audit, sessions};

/// Things asked for by name in one statement.
const BATCH: usize = 500;

/// What a thing is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It would be sealed so, and this was removed from it.
    As(Digest, Option<Box<Redacted>>),
    /// The end of a session that is there and has not ended.
    Unended,
    /// Its row says something impossible.
    Unreadable,
}

/// What a record stands for: of which kind, its number or id, and when it was.
pub(super) type Thing<'a> = (RecordKind, &'a str, DateTime<Utc>);

/// What things are now, by their names.
#[derive(Debug, Default)]
pub(super) struct Present(HashMap<Name, Found, ahash::RandomState>);

/// The kind of a thing, and its number or id as a number.
type Name = (RecordKind, u128);

impl Present {
    /// What these things are now.
    pub fn of<'a>(db: &mut Db, things: impl Iterator<Item = Thing<'a>>) -> Result<Self, StoreError> {
        let mut wanted: BTreeMap<RecordKind, Vec<(u128, DateTime<Utc>)>> = BTreeMap::new();
        for (kind, subject, at) in things {
            if let Some((_, number)) = name(kind, subject) {
                wanted.entry(kind).or_default().push((number, at));
            }
        }
        let mut present = Self::default();
        for (kind, wanted) in wanted {
            // Where a row of the stretch cannot be read, all are asked for by name.
            present.take(stretch(db, kind, &wanted))?;
            present.ask(db, kind, &wanted)?;
        }
        Ok(present)
    }

    /// What the thing of this kind and name is now; `None` where it is not there.
    pub fn find(&self, kind: RecordKind, subject: &str) -> Option<&Found> {
        match name(kind, subject) {
            Some(name) => self.0.get(&name),
            // Nothing is named so.
            None => Some(&Found::Unreadable),
        }
    }

    /// Asks by name for those that are not known yet.
    fn ask(&mut self, db: &mut Db, kind: RecordKind, wanted: &[(u128, DateTime<Utc>)]) -> Result<(), StoreError> {
        let numbers = wanted.iter().map(|(number, _)| *number);
        let numbers: Vec<u128> = numbers.filter(|number| !self.0.contains_key(&(kind, *number))).collect();
        for numbers in numbers.chunks(BATCH) {
            if self.take(named(db, kind, numbers))? {
                continue;
            }
            // One of them cannot be read: each alone tells which.
            for number in numbers {
                if !self.take(named(db, kind, &[*number]))? {
                    self.0.insert((kind, *number), Found::Unreadable);
                }
            }
        }
        Ok(())
    }

    /// Takes what was read; false where a row says something impossible.
    fn take(&mut self, read: Result<Vec<(Name, Found)>, StoreError>) -> Result<bool, StoreError> {
        match read {
            Ok(read) => {
                self.0.extend(read);
                Ok(true)
            }
            Err(StoreError::Corrupt(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// `None` where nothing of this kind could be named so.
fn name(kind: RecordKind, subject: &str) -> Option<Name> {
    let number = match kind {
        RecordKind::Event => u128::try_from(subject.parse::<i64>().ok()?).ok()?,
        _ => Uuid::parse_str(subject).ok()?.as_u128(),
    };
    Some((kind, number))
}

/// The things from the first to the last of these: as a rule these, and few others.
fn stretch(db: &mut Db, kind: RecordKind, wanted: &[(u128, DateTime<Utc>)]) -> Result<Vec<(Name, Found)>, StoreError> {
    let (numbers, times) = (wanted.iter().map(|(number, _)| *number), wanted.iter().map(|(_, at)| *at));
    let (Some(first), Some(last)) = (numbers.clone().min(), numbers.max()) else { return Ok(Vec::new()) };
    let (Some(earliest), Some(latest)) = (times.clone().min(), times.max()) else { return Ok(Vec::new()) };
    // One that lies far off must not make this read the whole table.
    let limit = i64::try_from(wanted.len() * 2).unwrap_or(i64::MAX);
    Ok(match kind {
        RecordKind::Event => of_events(&audit::between(db, seq(first), seq(last), limit)?),
        RecordKind::Attempt => of_attempts(&attempts::between(db, attempt(first), attempt(last), limit)?),
        RecordKind::SessionStarted => of_starts(&sessions::between(db, session(first), session(last), limit)?),
        RecordKind::SessionEnded => of_ends(&sessions::ended_between(db, earliest, latest, limit)?),
    })
}

fn named(db: &mut Db, kind: RecordKind, numbers: &[u128]) -> Result<Vec<(Name, Found)>, StoreError> {
    let sessions = |db: &mut Db| sessions::kept_by_ids(db, &numbers.iter().copied().map(session).collect::<Vec<_>>());
    Ok(match kind {
        RecordKind::Event => of_events(&audit::kept_by_numbers(db, numbers.iter().copied().map(seq).collect())?),
        RecordKind::Attempt => {
            of_attempts(&attempts::kept_by_ids(db, &numbers.iter().copied().map(attempt).collect::<Vec<_>>())?)
        }
        RecordKind::SessionStarted => of_starts(&sessions(db)?),
        RecordKind::SessionEnded => of_ends(&sessions(db)?),
    })
}

fn seq(number: u128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const fn attempt(number: u128) -> AttemptId {
    AttemptId(Uuid::from_u128(number))
}

const fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

fn of_events(events: &[Kept<RecordedEvent>]) -> Vec<(Name, Found)> {
    let found = |event: &Kept<RecordedEvent>| {
        let number = u128::try_from(event.row.seq).ok()?;
        Some(((RecordKind::Event, number), Found::As(event.record().digest, Redacted::of_event(event))))
    };
    events.iter().filter_map(found).collect()
}

fn of_attempts(attempts: &[Kept<Attempt>]) -> Vec<(Name, Found)> {
    let found = |attempt: &Kept<Attempt>| {
        let name = (RecordKind::Attempt, attempt.row.id.0.as_u128());
        (name, Found::As(attempt.record().digest, Redacted::of_attempt(attempt)))
    };
    attempts.iter().map(found).collect()
}

fn of_starts(sessions: &[Kept<Session>]) -> Vec<(Name, Found)> {
    let found = |session: &Kept<Session>| {
        let name = (RecordKind::SessionStarted, session.row.id.0.as_u128());
        (name, Found::As(session.start().digest, Redacted::of_session(session)))
    };
    sessions.iter().map(found).collect()
}

/// A session that is there without its end: the end was taken back.
fn of_ends(sessions: &[Kept<Session>]) -> Vec<(Name, Found)> {
    let found = |session: &Kept<Session>| {
        let name = (RecordKind::SessionEnded, session.row.id.0.as_u128());
        let end = session.end().map(|end| Found::As(end.digest, Redacted::of_session(session)));
        (name, end.unwrap_or(Found::Unended))
    };
    sessions.iter().map(found).collect()
}
