//! The reviewers' inbox: list, show, acknowledge; and what the metrics tell of it.
//!
//! An alert tells who logged in from where, so reading is recorded as that of the history is (ADM-06).

use chrono::TimeDelta;

use super::Alerts;
use crate::model::alert::{Acknowledged, Alert, AlertKind};
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, HistoryPart, Reason, Subject, SubjectKind};
use crate::model::filter::{AlertFilter, Filter as _};
use crate::model::id::AlertId;
use crate::store::alerts::{self, Position};
use crate::store::{Page, StoreError, audit};

impl Alerts {
    /// Alerts that match, newest first.
    pub async fn list(
        &self,
        filter: AlertFilter,
        after: Option<Position>,
        limit: i64,
        context: &AuditContext,
    ) -> Result<Page<Alert, Position>, StoreError> {
        let (now, context) = (self.now(), context.clone());
        self.store()
            .write(move |db| {
                let page = alerts::list(db, &filter, after, limit)?;
                let details = Details::HistoryRead {
                    what: HistoryPart::Alerts,
                    filter: Some(filter.to_value()),
                    count: Some(page.items.len()),
                    dry_run: None,
                };
                audit::record(db, &AuditEvent::new(now, details, &context, Subject::everybody()))?;
                Ok(page)
            })
            .await
    }

    /// The alert with this id.
    pub async fn find(&self, id: AlertId, context: &AuditContext) -> Result<Option<Alert>, StoreError> {
        let details = Details::HistoryRead { what: HistoryPart::Alert, filter: None, count: Some(1), dry_run: None };
        let event = AuditEvent::new(self.now(), details, context, Subject::new(SubjectKind::Alert, id));
        self.store()
            .write(move |db| {
                let Some(alert) = alerts::find(db, id)? else { return Ok(None) };
                audit::record(db, &event)?;
                Ok(Some(alert))
            })
            .await
    }

    /// Notes that somebody has looked at an alert. The first who does is kept; a second changes nothing and succeeds.
    /// `false` where there is no such alert.
    pub async fn acknowledge(
        &self,
        id: AlertId,
        note: Option<String>,
        context: &AuditContext,
    ) -> Result<bool, StoreError> {
        let (now, asked_by, context) = (self.now(), context, context.clone());
        let is_there = self
            .store()
            .write(move |db| {
                let Some(alert) = alerts::find(db, id)? else { return Ok(false) };
                let acknowledged = Acknowledged { at: now, by: context.actor.id.clone(), note };
                if alerts::acknowledge(db, id, &acknowledged)? {
                    let subject = Subject::new(SubjectKind::Alert, id);
                    let kind = alert.raised.kind.as_str().to_owned();
                    let details = Details::AlertAcknowledged { kind, note: acknowledged.note };
                    audit::record(db, &AuditEvent::new(now, details, &context, subject))?;
                }
                Ok::<_, StoreError>(true)
            })
            .await?;
        if !is_there {
            let subject = Subject::new(SubjectKind::Alert, id);
            let refusals = &self.inner.dependencies.refusals;
            refusals.note_operation(AuditKind::AlertAcknowledged, Reason::NotFound, subject, asked_by);
        }
        Ok(is_there)
    }

    /// Tells the metrics how many alerts are open, and how old the oldest is.
    pub async fn measure(&self) -> Result<(), StoreError> {
        let read = |db: &mut _| Ok::<_, StoreError>((alerts::open_by_kind(db)?, alerts::oldest_open(db)?));
        let (open, oldest) = self.store().read(read).await?;
        let metrics = &self.inner.dependencies.metrics;
        for kind in AlertKind::ALL {
            let count = open.iter().find(|(of, _)| of == kind).map_or(0, |(_, count)| *count);
            metrics.alerts_open(kind.as_str(), count);
        }
        let age = oldest.map_or(TimeDelta::zero(), |at| self.now() - at);
        metrics.oldest_alert(age.to_std().unwrap_or_default());
        Ok(())
    }
}
