//! Lists of sessions, attempts and events, a session in detail, and counts over time.
//!
//! Each reading is recorded in the transaction of its query: what cannot be recorded is not shown. On SQLite the query thus
//! holds the one writer; a page by an index takes milliseconds. An export records itself before its first row instead.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::History;
use crate::model::attempt::Attempt;
use crate::model::audit::{AuditContext, AuditEvent, Details, HistoryPart, RecordedEvent, Subject, SubjectKind};
use crate::model::filter::{AttemptFilter, EventFilter, Filter, SessionFilter, Sort};
use crate::model::id::SessionId;
use crate::model::session::Session;
use crate::store::statistics::{self, Bucket};
use crate::store::{Db, Page, StoreError, attempts, audit, sessions};

/// Rows of an export read at a time.
const PAGE: i64 = 500;
/// Events shown in a session's timeline.
const TIMELINE: i64 = 500;
/// Other sessions of the user shown beside one.
const SIBLINGS: i64 = 20;

/// A session in detail.
#[derive(Debug, Clone)]
pub struct SessionDetail {
    /// The session as its row has it.
    pub session: Session,
    /// What happened in it, oldest first.
    pub timeline: Vec<RecordedEvent>,
    /// The user's other sessions, newest first.
    pub siblings: Vec<Session>,
}

/// Logins, failures and ends in buckets of time, for `GET /admin/stats`.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// By the second at which a bucket begins; buckets without anything are left out.
    pub buckets: BTreeMap<i64, Bucket>,
    /// How many sessions are active now.
    pub active: i64,
}

impl History {
    /// A page of the sessions that match; that somebody read it is recorded (ADM-06).
    pub async fn sessions(
        &self,
        filter: SessionFilter,
        sort: Sort,
        after: Option<sessions::Position>,
        limit: i64,
        context: &AuditContext,
    ) -> Result<Page<Session, sessions::Position>, StoreError> {
        self.sessions.record_expired().await?;
        let now = self.clock.now();
        let page = move |db: &mut Db, filter: &_| sessions::list(db, filter, now, sort, after, limit);
        self.recorded(HistoryPart::Sessions, filter, context, page).await
    }

    /// Attempts that match, newest first.
    pub async fn attempts(
        &self,
        filter: AttemptFilter,
        after: Option<attempts::Position>,
        limit: i64,
        context: &AuditContext,
    ) -> Result<Page<Attempt, attempts::Position>, StoreError> {
        let forms = self.attempt_names();
        let page = move |db: &mut Db, filter: &_| attempts::list(db, filter, &forms, after, limit);
        self.recorded(HistoryPart::Attempts, filter, context, page).await
    }

    /// Events that match, newest first.
    pub async fn events(
        &self,
        filter: EventFilter,
        after: Option<audit::Position>,
        limit: i64,
        context: &AuditContext,
    ) -> Result<Page<RecordedEvent, audit::Position>, StoreError> {
        self.recorded(HistoryPart::Events, filter, context, move |db, filter| audit::list(db, filter, after, limit))
            .await
    }

    /// A session with its timeline and the user's other sessions.
    pub async fn session(&self, id: SessionId, context: &AuditContext) -> Result<Option<SessionDetail>, StoreError> {
        self.sessions.record_expired().await?;
        let (now, context) = (self.clock.now(), context.clone());
        self.store
            .write(move |db| {
                let Some(session) = sessions::find(db, id)? else { return Ok(None) };
                let timeline = audit::timeline(db, id, TIMELINE)?;
                let of_user = SessionFilter::of_user(session.user_id);
                let mut siblings = sessions::list(db, &of_user, now, Sort::NewestStart, None, SIBLINGS + 1)?.items;
                siblings.retain(|sibling| sibling.id != id);
                siblings.truncate(usize::try_from(SIBLINGS).unwrap_or(0));
                let details =
                    Details::HistoryRead { what: HistoryPart::Session, filter: None, count: Some(1), dry_run: None };
                let subject = Subject::new(SubjectKind::Session, id);
                audit::record(db, &AuditEvent::new(now, details, &context, subject))?;
                Ok(Some(SessionDetail { session, timeline, siblings }))
            })
            .await
    }

    /// Logins, failures and ends from `from` until before `to`, in buckets of `seconds`. Counts name nobody, so reading
    /// them is no event.
    pub async fn statistics(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        seconds: i64,
    ) -> Result<Statistics, StoreError> {
        self.sessions.record_expired().await?;
        let now = self.clock.now();
        self.store
            .read_long(move |db| {
                let buckets = statistics::buckets(db, from, to, seconds)?;
                Ok(Statistics { buckets, active: statistics::active(db, now)? })
            })
            .await
    }

    pub(super) async fn session_page(
        &self,
        filter: SessionFilter,
        sort: Sort,
        after: Option<sessions::Position>,
    ) -> Result<Page<Session, sessions::Position>, StoreError> {
        let now = self.clock.now();
        self.store.read_long(move |db| sessions::list(db, &filter, now, sort, after, PAGE)).await
    }

    pub(super) async fn attempt_page(
        &self,
        filter: AttemptFilter,
        after: Option<attempts::Position>,
    ) -> Result<Page<Attempt, attempts::Position>, StoreError> {
        let forms = self.attempt_names();
        self.store.read_long(move |db| attempts::list(db, &filter, &forms, after, PAGE)).await
    }

    pub(super) async fn event_page(
        &self,
        filter: EventFilter,
        after: Option<audit::Position>,
    ) -> Result<Page<RecordedEvent, audit::Position>, StoreError> {
        self.store.read_long(move |db| audit::list(db, &filter, after, PAGE)).await
    }

    /// Reads a page of other people's history and records that, together (ADM-06).
    async fn recorded<F: Filter, T: Send + 'static, P: Send + 'static>(
        &self,
        what: HistoryPart,
        filter: F,
        context: &AuditContext,
        page: impl FnOnce(&mut Db, &F) -> Result<Page<T, P>, StoreError> + Send + 'static,
    ) -> Result<Page<T, P>, StoreError> {
        let (now, context) = (self.clock.now(), context.clone());
        self.store
            .write_long(move |db| {
                let page = page(db, &filter)?;
                let (filter, count) = (Some(filter.to_value()), Some(page.items.len()));
                let details = Details::HistoryRead { what, filter, count, dry_run: None };
                audit::record(db, &AuditEvent::new(now, details, &context, Subject::everybody()))?;
                Ok(page)
            })
            .await
    }

    /// Sessions starting and ending, and attempts failing, after event `after`: for following them live.
    pub async fn following(&self, after: i64, limit: i64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store.read(move |db| audit::following(db, after, limit)).await
    }

    /// The number of the newest event.
    pub async fn last_number(&self) -> Result<i64, StoreError> {
        self.store.read(audit::last_number).await
    }
}
