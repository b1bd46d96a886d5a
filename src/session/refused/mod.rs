//! What was refused: gathered in memory and written to the record in the background, so that no refusal waits for the store
//! and a flood of them does not fill the disk (LOG-05). A failed write refuses nobody; it is tried again with the next.

mod gathered;
mod throttled;

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::json;

use super::Sessions;
use super::check::CheckError;
use crate::model::attempt::Attempt;
use crate::model::audit::{AuditEvent, AuditKind, Cause, Reason, Subject, SubjectKind};
use crate::model::id::SessionId;
use crate::model::session::{Actor, EndReason};
use crate::store::{StoreError, audit};
use crate::token::claims::named;
use gathered::Gathered;
use throttled::Throttled;

/// Events written in one transaction.
const BATCH: usize = 200;

/// What has been refused and is not written yet.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    gathered: Mutex<Gathered>,
    throttled: Mutex<Throttled>,
    /// Held while events are written: of two that write at once, both would write the same.
    writing: tokio::sync::Mutex<()>,
}

impl Refusals {
    /// Whether a try that was refused unseen is kept as an attempt.
    pub(super) fn keeps_throttled(&self, attempt: &Attempt, folded_name: &str) -> bool {
        self.throttled.lock().unwrap_or_else(PoisonError::into_inner).keeps(attempt, folded_name)
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a token was presented.
#[derive(Debug, Clone)]
pub struct Presented {
    /// From which address.
    pub ip: IpAddr,
    /// In which request.
    pub request_id: String,
    /// For what: method and route.
    pub route: String,
}

impl Sessions {
    /// Notes a refusal for the record.
    pub fn refuse(&self, event: AuditEvent) {
        self.inner.refusals.gathered().note(event);
    }

    /// Notes that a caller may not do what was asked for.
    pub fn refuse_access(&self, reason: Reason, caller: &Cause, subject: Subject, route: &str) {
        let event = AuditEvent::new(self.now(), AuditKind::AccessRefused, caller, subject).because(reason);
        self.refuse(event.with(json!({ "route": route })));
    }

    /// Notes that an operation was refused; `operation` is the kind of the event that it would have been.
    pub fn refuse_operation(&self, operation: AuditKind, reason: Reason, subject: Subject, cause: &Cause) {
        let event = AuditEvent::new(self.now(), AuditKind::OperationRefused, cause, subject).because(reason);
        self.refuse(event.with(json!({ "operation": operation })));
    }

    /// Notes that a token was not looked at for this reason.
    pub fn refuse_unread(&self, reason: Reason, presented: &Presented) {
        let event = AuditEvent::new(self.now(), AuditKind::TokenRefused, &unnamed(presented), Subject::unknown());
        self.refuse(event.because(reason).with(json!({ "route": presented.route })));
    }

    /// Notes that an access token was refused. What it says of itself is believed where its signature is good.
    pub fn refuse_token(&self, token: &str, error: &CheckError, presented: &Presented) {
        let Some(reason) = error.reason() else { return };
        let is_signed = matches!(
            reason,
            Reason::Expired
                | Reason::NotYetValid
                | Reason::Replaced
                | Reason::Subject
                | Reason::SessionUnknown
                | Reason::SessionEnded
        );
        let Some(named) = named(token).filter(|_| is_signed) else { return self.refuse_unread(reason, presented) };
        let kind = match reason {
            Reason::SessionUnknown => AuditKind::SessionUnknown,
            _ => AuditKind::TokenRefused,
        };
        let cause = Cause { actor: Actor::user(named.subject), ..unnamed(presented) };
        let event = AuditEvent::new(self.now(), kind, &cause, Subject::new(SubjectKind::Session, named.session_id));
        let mut details = json!({ "route": presented.route, "token": named.token_id });
        if let CheckError::Ended(end) = error {
            details["end_reason"] = json!(end);
        }
        self.refuse(event.because(reason).in_session(named.session_id).with(details));
    }

    /// Notes that a refresh token was refused that is none of ours.
    pub(super) fn refuse_refresh(&self, reason: Reason, cause: &Cause) {
        let event = AuditEvent::new(self.now(), AuditKind::RefreshRefused, cause, Subject::unknown());
        self.refuse(event.because(reason));
    }

    /// Notes that a refresh token of ours was refused, because its session is over.
    pub(super) fn refuse_refresh_of(&self, id: SessionId, reason: Reason, end: EndReason, cause: &Cause) {
        let subject = Subject::new(SubjectKind::Session, id);
        let event = AuditEvent::new(self.now(), AuditKind::RefreshRefused, cause, subject).because(reason);
        self.refuse(event.in_session(id).with(json!({ "end_reason": end })));
    }

    /// Writes what was refused by now; counts whose minute is over end. Returns how many events that were.
    pub async fn record_refusals(&self) -> Result<usize, StoreError> {
        self.write_refusals(Some(self.now())).await
    }

    /// The same at the stop: every count ends.
    pub async fn record_last_refusals(&self) -> Result<usize, StoreError> {
        self.write_refusals(None).await
    }

    async fn write_refusals(&self, now: Option<DateTime<Utc>>) -> Result<usize, StoreError> {
        let refusals = &self.inner.refusals;
        let _turn = refusals.writing.lock().await;
        refusals.gathered().close(now);
        let mut written = 0;
        loop {
            let batch = refusals.gathered().first(BATCH);
            if batch.is_empty() {
                return Ok(written);
            }
            let count = batch.len();
            self.store().write(move |db| batch.iter().try_for_each(|event| audit::record(db, event))).await?;
            refusals.gathered().forget(count);
            written += count;
        }
    }
}

/// Who presents a token that names nobody is not known.
fn unnamed(presented: &Presented) -> Cause {
    let request_id = Some(presented.request_id.clone());
    Cause { actor: Actor::system("check"), ip: Some(presented.ip), request_id, acting: None }
}
