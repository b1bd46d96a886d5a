//! What may be missing from the history, or redacted in it: what its own events say was removed. They are sealed like all
//! others, so nobody can take them back; and they are signed removals, so nobody but the server can say so.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::size;
use crate::model::audit::{AuditKind, Details, RecordedEvent};
use crate::model::record::{Record, RecordKind};
use crate::model::redaction::{Named, Redacted};
use crate::model::retention::RetentionCutoffs;
use crate::signed_removal::{Authenticity, RemovalKey};
use crate::store::{Db, StoreError, audit, chain};

/// What the signed removals in the history say was removed.
#[derive(Debug, Default)]
pub(super) struct Removals {
    cutoffs: RetentionCutoffs,
    erased: HashSet<String>,
    events: HashSet<i64>,
}

impl Removals {
    /// What they say now. To be read after what it is to justify: the event comes before what it is about.
    pub fn read(db: &mut Db, removal_key: &RemovalKey) -> Result<Self, StoreError> {
        let mut removals = Self { cutoffs: cutoffs(db, removal_key)?, ..Self::default() };
        for erasure in audit::newest_of(db, AuditKind::UserErased, i64::MAX)? {
            if !is_genuine(db, removal_key, &erasure)? {
                continue;
            }
            if let Ok(Details::UserErased { events, .. }) = erasure.event.details() {
                removals.events.extend(events.unwrap_or_default());
            }
            removals.erased.extend(erasure.event.subject.id);
        }
        Ok(removals)
    }

    /// Whether what a record stands for may be missing. Of the start of a session it also matters when that ended.
    pub fn may_be_missing(&self, record: &Record, ended: Option<DateTime<Utc>>) -> bool {
        let (at, cut) = match record.kind {
            RecordKind::Event => (Some(record.at), self.cutoffs.events),
            RecordKind::Attempt => (Some(record.at), self.cutoffs.attempts),
            RecordKind::SessionStarted => (ended, self.cutoffs.sessions),
            RecordKind::SessionEnded => (Some(record.at), self.cutoffs.sessions),
            RecordKind::User | RecordKind::Client | RecordKind::NotBefore => return record.is_removal(),
        };
        at.zip(cut).is_some_and(|(at, cut)| at < cut)
    }

    /// Whether this may be removed from a row.
    pub fn may_be_redacted(&self, redacted: &Redacted) -> bool {
        let addresses = redacted.addresses.is_none_or(|at| self.cutoffs.addresses.is_some_and(|cut| at < cut));
        let person = redacted.person.as_ref().is_none_or(|named| match named {
            Named::OfUser(id) => id.as_ref().is_some_and(|id| self.erased.contains(id)),
            Named::InEvent(seq) => self.events.contains(seq),
        });
        addresses && person
    }
}

/// Whether the server itself recorded this signed removal. One with the MAC of an earlier key, which somebody else may have by now,
/// must have been sealed while that counted.
pub(crate) fn is_genuine(db: &mut Db, removal_key: &RemovalKey, removal: &RecordedEvent) -> Result<bool, StoreError> {
    match removal_key.authenticity(&removal.event) {
        Authenticity::Genuine => Ok(true),
        Authenticity::Forged => Ok(false),
        Authenticity::GenuineBefore(until) => {
            let sealed = chain::latest(db, RecordKind::Event, &removal.seq.to_string())?;
            Ok(sealed.is_some_and(|sealed| size(sealed.position) < until))
        }
    }
}

/// The moments before which the history was removed so far: what the newest genuine signed removal of retention says.
pub(in crate::audit) fn cutoffs(db: &mut Db, removal_key: &RemovalKey) -> Result<RetentionCutoffs, StoreError> {
    // As a rule the newest event is one.
    for limit in [1, i64::MAX] {
        let ran = audit::newest_of(db, AuditKind::RetentionRan, limit)?;
        for ran in ran {
            if is_genuine(db, removal_key, &ran)? {
                return Ok(ran
                    .event
                    .details()
                    .map(|details| RetentionCutoffs::of_details(&details))
                    .unwrap_or_default());
            }
        }
    }
    Ok(RetentionCutoffs::default())
}
