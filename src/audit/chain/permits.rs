//! What may be missing from the history, or redacted in it: what its own events say was removed. They are sealed like all
//! others, so nobody can say so afterwards.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use crate::model::attempt::Attempt;
use crate::model::audit::{AuditKind, RecordedEvent};
use crate::model::record::{Record, RecordKind};
use crate::model::redaction::{Group, Kept};
use crate::model::retention::Cuts;
use crate::model::session::Session;
use crate::store::{Db, StoreError, audit};

/// What was removed from a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Redacted {
    /// Its addresses, which must be older than the moment that these are cut from.
    addresses: Option<DateTime<Utc>>,
    /// What names a person, of whom one must have been erased; or the event itself must be named.
    person: Option<Persons>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Persons {
    ids: Vec<String>,
    event: Option<i64>,
}

impl Redacted {
    /// What was removed from an event; `None` if nothing was.
    pub fn of_event(event: &Kept<RecordedEvent>) -> Option<Box<Self>> {
        let RecordedEvent { seq, event: told } = &event.row;
        let ids = || std::iter::once(told.cause.actor.id.clone()).chain(told.subject.id.clone()).collect();
        Self::of(event, told.at, || Persons { ids: ids(), event: Some(*seq) })
    }

    /// The same of an attempt.
    pub fn of_attempt(attempt: &Kept<Attempt>) -> Option<Box<Self>> {
        let ids = || attempt.row.user_id.iter().map(ToString::to_string).collect();
        Self::of(attempt, attempt.row.at, || Persons { ids: ids(), event: None })
    }

    /// The same of a session. While it lives nothing may be.
    pub fn of_session(session: &Kept<Session>) -> Option<Box<Self>> {
        let ended = session.row.end.as_ref().map_or(DateTime::<Utc>::MAX_UTC, |end| end.at);
        Self::of(session, ended, || Persons { ids: vec![session.row.user_id.to_string()], event: None })
    }

    fn of<T>(kept: &Kept<T>, at: DateTime<Utc>, persons: impl FnOnce() -> Persons) -> Option<Box<Self>> {
        let addresses = kept.proofs.is_removed(Group::Addresses).then_some(at);
        let person = kept.proofs.is_removed(Group::Person).then(persons);
        (addresses.is_some() || person.is_some()).then(|| Box::new(Self { addresses, person }))
    }
}

/// What the events of the history say was removed.
#[derive(Debug, Default)]
pub(super) struct Permits {
    cuts: Cuts,
    erased: HashSet<String>,
    events: HashSet<i64>,
}

impl Permits {
    /// What they say now. To be read after what it is to justify: the event comes before what it is about.
    pub fn read(db: &mut Db) -> Result<Self, StoreError> {
        let mut permits = Self { cuts: cuts(db)?, ..Self::default() };
        for RecordedEvent { event, .. } in audit::newest_of(db, AuditKind::UserErased, i64::MAX)? {
            permits.erased.extend(event.subject.id);
            let events = event.details["events"].as_array();
            permits.events.extend(events.into_iter().flatten().filter_map(serde_json::Value::as_i64));
        }
        Ok(permits)
    }

    /// Whether what a record stands for may be missing. Of the start of a session it also matters when that ended.
    pub fn may_be_missing(&self, record: &Record, ended: Option<DateTime<Utc>>) -> bool {
        let (at, cut) = match record.kind {
            RecordKind::Event => (Some(record.at), self.cuts.events),
            RecordKind::Attempt => (Some(record.at), self.cuts.attempts),
            RecordKind::SessionStarted => (ended, self.cuts.sessions),
            RecordKind::SessionEnded => (Some(record.at), self.cuts.sessions),
        };
        at.zip(cut).is_some_and(|(at, cut)| at < cut)
    }

    /// Whether this may be removed from a row.
    pub fn may_be_redacted(&self, redacted: &Redacted) -> bool {
        let addresses = redacted.addresses.is_none_or(|at| self.cuts.addresses.is_some_and(|cut| at < cut));
        let person = redacted.person.as_ref().is_none_or(|persons| {
            persons.ids.iter().any(|id| self.erased.contains(id))
                || persons.event.is_some_and(|seq| self.events.contains(&seq))
        });
        addresses && person
    }
}

/// The moments before which the history was removed so far.
pub(in crate::audit) fn cuts(db: &mut Db) -> Result<Cuts, StoreError> {
    let newest = audit::newest_of(db, AuditKind::RetentionRan, 1)?;
    Ok(newest.first().map_or_else(Cuts::default, |newest| Cuts::of_details(&newest.event.details)))
}
