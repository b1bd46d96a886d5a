//! Ending sessions. Every end, whatever door it came through, passes `end_all_in`; the first end wins, and a second
//! changes nothing and succeeds.

use chrono::{DateTime, Utc};

use super::Sessions;
use super::change::Changes;
use crate::model::audit::{AuditContext, AuditEvent, Details, Subject, SubjectKind};
use crate::model::change::Change;
use crate::model::id::{SessionId, UserId};
use crate::model::session::{End, EndReason};
use crate::store::sessions::Closing;
use crate::store::{Db, StoreError, audit, sessions};

/// Sessions ended in one transaction: others write in between.
pub(super) const BATCH: i64 = 500;

/// The end of one session, and what is behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub id: SessionId,
    pub end: &'a End,
    pub context: &'a AuditContext,
}

impl Ending<'_> {
    fn event(&self) -> AuditEvent {
        let details = Details::SessionEnded { reason: self.end.reason, note: self.end.note.clone() };
        let subject = Subject::new(SubjectKind::Session, self.id);
        AuditEvent::new(self.end.at, details, self.context, subject).in_session(self.id)
    }
}

/// Ends sessions inside a transaction and records each end; says of each whether it ended now, and not before.
///
/// A change is noted in either case: the end before may not have been acknowledged, and this one must not be sooner.
pub(crate) fn end_all_in(
    db: &mut Db,
    changes: &mut Changes<'_>,
    endings: &[Ending<'_>],
) -> Result<Vec<bool>, StoreError> {
    for ending in endings {
        changes.note(Change::Session(ending.id));
    }
    let closings =
        endings.iter().map(|Ending { id, end, .. }| Closing { id: *id, end, last_use: changes.last_use(*id) });
    let mut ended = sessions::end_all(db, &closings.collect::<Vec<_>>())?;
    // Of two ends of one session the first in the list counts.
    let is_first: Vec<bool> = endings.iter().map(|ending| ended.remove(&ending.id)).collect();
    let recorded = endings.iter().zip(&is_first).filter(|(_, is_first)| **is_first);
    let events: Vec<AuditEvent> = recorded.map(|(ending, _)| ending.event()).collect();
    audit::record_all(db, &events)?;
    Ok(is_first)
}

/// Ends one session inside a transaction and records it. `false` where it had ended before.
pub(crate) fn end_in(
    db: &mut Db,
    changes: &mut Changes<'_>,
    id: SessionId,
    end: &End,
    context: &AuditContext,
) -> Result<bool, StoreError> {
    end_same_in(db, changes, &[id], end, context).map(|ended| ended == 1)
}

/// Ends these sessions in the same way inside a transaction; returns how many ended now.
pub(crate) fn end_same_in(
    db: &mut Db,
    changes: &mut Changes<'_>,
    ids: &[SessionId],
    end: &End,
    context: &AuditContext,
) -> Result<i64, StoreError> {
    let endings: Vec<Ending<'_>> = ids.iter().map(|&id| Ending { id, end, context }).collect();
    let ended = end_all_in(db, changes, &endings)?.into_iter().filter(|ended| *ended).count();
    Ok(i64::try_from(ended).unwrap_or(i64::MAX))
}

/// Ends the user's sessions inside a transaction, all but `except`; returns how many.
pub(crate) fn end_of_user_in(
    db: &mut Db,
    changes: &mut Changes<'_>,
    user_id: UserId,
    except: Option<SessionId>,
    end: &End,
    context: &AuditContext,
) -> Result<i64, StoreError> {
    // As in `end_all_in`: some may have been ended a moment ago.
    changes.note(Change::User(user_id));
    let open = sessions::open_of_user(db, user_id)?.into_iter().map(|open| open.id);
    let ids: Vec<SessionId> = open.filter(|id| Some(*id) != except).collect();
    end_same_in(db, changes, &ids, end, context)
}

/// An end at `now` for a reason, by the party that acts.
pub(crate) fn end_by(context: &AuditContext, reason: EndReason, now: DateTime<Utc>, note: Option<String>) -> End {
    End { at: now, reason, by: context.actor.clone(), note }
}

impl Sessions {
    /// Counts ends for the metrics.
    pub(super) fn count_ends(&self, reason: EndReason, count: i64) {
        for _ in 0..count {
            self.inner.dependencies.metrics.session_ended(reason.as_str());
        }
    }
}
