//! Ending every session that matches a filter, in batches.
//!
//! The record says who asked for it, and for which, in the transaction of the first ends, and what came of it in that of the
//! last. So no end is there without what explains it, and an end that a crash broke off is one without an outcome. Whoever
//! asks may go away meanwhile: what has begun is done.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Sessions;
use super::batched_end::Progress;
use super::change::Changes;
use super::end::{BATCH, end_by, end_same_in};
use crate::alert::Alerts;
use crate::model::alert::{AlertDetails, NewAlert};
use crate::model::audit::{AuditContext, AuditEvent, Details, HistoryPart, Subject};
use crate::model::filter::{Filter as _, SessionFilter};
use crate::model::id::BulkEndId;
use crate::model::session::EndReason;
use crate::store::{Db, StoreError, audit, sessions};

/// How many sessions a filter matched, and how many of them this ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BulkEnded {
    /// Sessions that matched and were active.
    pub matched: i64,
    /// Of these, ended by this call; 0 for a dry run.
    pub ended: i64,
}

/// Which active sessions are to be ended.
#[derive(Debug, Clone)]
pub enum SessionsToEnd {
    /// Every active session of everybody.
    Everything,
    /// The active sessions that match a filter.
    Matching(Box<SessionFilter>),
}

/// What is asked for.
#[derive(Debug, Clone)]
struct BulkEnd {
    id: BulkEndId,
    to_end: SessionsToEnd,
    note: Option<String>,
    context: AuditContext,
    at: DateTime<Utc>,
    matched: i64,
}

impl Sessions {
    /// Ends every session that matches, in batches, and records the filter and the count. A dry run only counts.
    pub async fn end_matching(
        &self,
        to_end: SessionsToEnd,
        note: Option<String>,
        dry_run: bool,
        context: &AuditContext,
    ) -> Result<BulkEnded, StoreError> {
        self.record_expired().await?;
        let at = self.now();
        let counted = to_end.filter();
        let matched = self.store().read_long(move |db| sessions::count(db, &counted, at)).await?;
        let bulk = BulkEnd { id: BulkEndId::new(at), to_end, note, context: context.clone(), at, matched };
        if dry_run {
            self.store().write(move |db| audit::record(db, &bulk.counted())).await?;
            return Ok(BulkEnded { matched, ended: 0 });
        }
        let ending = self.inner.runtime.spawn(self.clone().end_in_bulk(bulk));
        ending.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the end was broken off".into())))
    }

    async fn end_in_bulk(self, bulk: BulkEnd) -> Result<BulkEnded, StoreError> {
        let (sessions, to_end) = (self.clone(), bulk.clone());
        let step = move |db: &mut Db, changes: &mut Changes<'_>, before| to_end.step(db, changes, before, &sessions);
        let (progress, outcome) = self.end_batches(EndReason::BulkEnd, step).await;
        if outcome.is_err() && progress.has_begun {
            self.record_break_off(&bulk, progress).await;
        }
        outcome.map(|()| BulkEnded { matched: bulk.matched.max(progress.ended), ended: progress.ended })
    }

    /// Says how far an end came that the store broke off. Where the store is gone this fails as well, and the record shows an
    /// end without an outcome.
    async fn record_break_off(&self, bulk: &BulkEnd, progress: Progress) {
        let (bulk, at, alerts) = (bulk.clone(), self.now(), self.inner.dependencies.alerts.clone());
        if let Err(error) = self.store().write(move |db| bulk.record_outcome(db, at, progress, &alerts)).await {
            tracing::error!(cause = %error, ended = progress.ended, "bulk end aborted: its outcome is not recorded");
        }
    }
}

impl From<SessionFilter> for SessionsToEnd {
    fn from(filter: SessionFilter) -> Self {
        Self::Matching(Box::new(filter))
    }
}

impl SessionsToEnd {
    fn filter(&self) -> SessionFilter {
        match self {
            Self::Everything => SessionFilter::default().only_active(),
            Self::Matching(filter) => filter.only_active(),
        }
    }

    /// As the record keeps it: as it was asked for.
    fn to_value(&self) -> Value {
        match self {
            Self::Everything => json!({ "everything": true }),
            Self::Matching(filter) => filter.to_value(),
        }
    }
}

impl BulkEnd {
    /// Ends the next batch, with what goes before the first of all and after the last.
    fn step(
        &self,
        db: &mut Db,
        changes: &mut Changes<'_>,
        before: Progress,
        sessions: &Sessions,
    ) -> Result<Progress, StoreError> {
        if !before.has_begun {
            sessions.ensure_allowed_in(db, &self.context)?;
            audit::record(db, &self.begun())?;
        }
        let ids = sessions::ids_matching(db, &self.to_end.filter(), self.at, BATCH)?;
        let end = end_by(&self.context, EndReason::BulkEnd, self.at, self.note.clone());
        let progress = before.after(ids.len(), end_same_in(db, changes, &ids, &end, &self.context)?);
        if progress.is_over {
            self.record_outcome(db, sessions.now(), progress, &sessions.inner.dependencies.alerts)?;
        }
        Ok(progress)
    }

    fn event(&self, at: DateTime<Utc>, details: Details) -> AuditEvent {
        AuditEvent::new(at, details, &self.context, Subject::everybody())
    }

    /// Whoever counts other people's sessions reads of them (ADM-06).
    fn counted(&self) -> AuditEvent {
        let (filter, count) = (Some(self.to_end.to_value()), usize::try_from(self.matched).ok());
        let details = Details::HistoryRead { what: HistoryPart::Sessions, filter, count, dry_run: Some(true) };
        self.event(self.at, details)
    }

    fn begun(&self) -> AuditEvent {
        let (filter, note) = (self.to_end.to_value(), self.note.clone());
        self.event(self.at, Details::SessionsEndBegun { end: self.id, filter, matched: self.matched, note })
    }

    fn outcome(&self, at: DateTime<Utc>, progress: Progress) -> AuditEvent {
        let details = Details::SessionsEnded {
            end: Some(self.id),
            filter: Some(self.to_end.to_value()),
            matched: Some(self.matched),
            ended: progress.ended,
            complete: Some(progress.is_over),
            reason: None,
            note: self.note.clone(),
        };
        self.event(at, details)
    }

    /// The alert that says what the record says of it, and who did it.
    fn alert(&self, at: DateTime<Utc>, progress: Progress) -> NewAlert {
        let details = AlertDetails::ManyEnds {
            by: self.context.actor.clone(),
            note: self.note.clone(),
            end: Some(self.id),
            filter: Some(self.to_end.to_value()),
            matched: Some(self.matched),
            ended: Some(progress.ended),
            complete: Some(progress.is_over),
            at: None,
        };
        NewAlert { ip: self.context.ip, ..NewAlert::new(at, details, Subject::everybody()) }
    }

    /// Records what came of it, and alerts reviewers where so many sessions ended at once.
    fn record_outcome(
        &self,
        db: &mut Db,
        at: DateTime<Utc>,
        progress: Progress,
        alerts: &Alerts,
    ) -> Result<(), StoreError> {
        audit::record(db, &self.outcome(at, progress))?;
        let threshold = i64::from(alerts.rules().ends_at_once);
        if threshold > 0 && progress.ended >= threshold {
            alerts.raise_in(db, &self.alert(at, progress))?;
        }
        Ok(())
    }
}
