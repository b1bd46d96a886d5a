//! What may be missing from the history, or redacted in it: what its own events say was removed. They are sealed like all
//! others, so nobody can take them back; and they are warrants, so nobody but the server can say so.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use crate::model::attempt::Attempt;
use crate::model::audit::{AuditKind, RecordedEvent};
use crate::model::record::{Record, RecordKind};
use crate::model::redaction::{Group, Kept};
use crate::model::retention::Cuts;
use crate::model::session::Session;
use crate::store::{Db, StoreError, audit};
use crate::warrant::WarrantKey;

/// What was removed from a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Redacted {
    /// Its addresses, which must be older than the moment that these are cut from.
    addresses: Option<DateTime<Utc>>,
    /// What names a person, and where.
    person: Option<Named>,
}

/// Where a person was named.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    /// In a session or an attempt of this user, who must have been erased. Nobody, where an attempt is of no user.
    OfUser(Option<String>),
    /// In the event with this number: an erasure must name it.
    InEvent(i64),
}

impl Redacted {
    /// What was removed from an event; `None` if nothing was.
    pub fn of_event(event: &Kept<RecordedEvent>) -> Option<Box<Self>> {
        Self::of(event, event.row.event.at, || Named::InEvent(event.row.seq))
    }

    /// The same of an attempt.
    pub fn of_attempt(attempt: &Kept<Attempt>) -> Option<Box<Self>> {
        Self::of(attempt, attempt.row.at, || Named::OfUser(attempt.row.user_id.map(|id| id.to_string())))
    }

    /// The same of a session. While it lives nothing may be.
    pub fn of_session(session: &Kept<Session>) -> Option<Box<Self>> {
        let ended = session.row.end.as_ref().map_or(DateTime::<Utc>::MAX_UTC, |end| end.at);
        Self::of(session, ended, || Named::OfUser(Some(session.row.user_id.to_string())))
    }

    fn of<T>(kept: &Kept<T>, at: DateTime<Utc>, named: impl FnOnce() -> Named) -> Option<Box<Self>> {
        let addresses = kept.proofs.is_removed(Group::Addresses).then_some(at);
        let person = kept.proofs.is_removed(Group::Person).then(named);
        (addresses.is_some() || person.is_some()).then(|| Box::new(Self { addresses, person }))
    }
}

/// What the warrants in the history say was removed.
#[derive(Debug, Default)]
pub(super) struct Permits {
    cuts: Cuts,
    erased: HashSet<String>,
    events: HashSet<i64>,
}

impl Permits {
    /// What they say now. To be read after what it is to justify: the event comes before what it is about.
    pub fn read(db: &mut Db, warrants: &WarrantKey) -> Result<Self, StoreError> {
        let mut permits = Self { cuts: cuts(db, warrants)?, ..Self::default() };
        let erasures = audit::newest_of(db, AuditKind::UserErased, i64::MAX)?.into_iter();
        for RecordedEvent { event, .. } in erasures.filter(|erasure| warrants.is_genuine(&erasure.event)) {
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
        let person = redacted.person.as_ref().is_none_or(|named| match named {
            Named::OfUser(id) => id.as_ref().is_some_and(|id| self.erased.contains(id)),
            Named::InEvent(seq) => self.events.contains(seq),
        });
        addresses && person
    }
}

/// The moments before which the history was removed so far: what the newest genuine warrant of retention says.
pub(in crate::audit) fn cuts(db: &mut Db, warrants: &WarrantKey) -> Result<Cuts, StoreError> {
    // As a rule the newest event is one.
    for limit in [1, i64::MAX] {
        let ran = audit::newest_of(db, AuditKind::RetentionRan, limit)?;
        if let Some(newest) = ran.iter().find(|ran| warrants.is_genuine(&ran.event)) {
            return Ok(Cuts::of_details(&newest.event.details));
        }
    }
    Ok(Cuts::default())
}
