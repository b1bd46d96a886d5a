//! What was refused: aggregated in memory and written to the record in the background, so that no refusal waits for the store
//! and a flood of them does not fill the disk (LOG-05). A failed write refuses nobody; it is tried again with the next.
//!
//! It stands below every room that has a refusal to record: an operation that does not do what was asked notes that itself.

mod aggregated;
mod throttled;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::model::attempt::Attempt;
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Reason, Subject, SubjectKind};
use crate::model::id::{SessionId, UserId};
use crate::model::session::{Actor, EndReason};
use crate::store::{Store, StoreError, audit};
use crate::token::claims::named;
use aggregated::Aggregated;
use throttled::Throttled;

/// Events written in one transaction.
const BATCH: usize = 200;

/// What has been refused and is not written yet. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Refusals {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    aggregated: Mutex<Aggregated>,
    throttled: Mutex<Throttled>,
    /// Held while events are written: of two that write at once, both would write the same.
    writing: tokio::sync::Mutex<()>,
}

/// The request in which a token was refused.
#[derive(Debug, Clone)]
pub struct RefusedRequest {
    /// The address that it came from.
    pub ip: IpAddr,
    /// The id of the request.
    pub request_id: String,
    /// For what: method and route.
    pub route: String,
}

/// Which session a cookie of ours names, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedSession {
    /// The session.
    pub id: SessionId,
    /// Its user.
    pub user_id: UserId,
}

impl Refusals {
    /// Begins without any refusal.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        let inner = Inner {
            store,
            clock,
            aggregated: Mutex::default(),
            throttled: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Notes a refusal for the record.
    pub fn note(&self, event: AuditEvent) {
        self.aggregated().note(event);
    }

    /// Notes that a login, or another use of a password, failed. `failure` is the kind of the event.
    pub fn note_attempt(&self, failure: AuditKind, attempt: &Attempt) {
        self.note(AuditEvent::of_failed_attempt(failure, attempt));
    }

    /// Whether a try that was refused unseen is kept as an attempt.
    #[must_use]
    pub fn keeps_throttled(&self, attempt: &Attempt, case_folded_name: &str) -> bool {
        self.inner.throttled.lock().unwrap_or_else(PoisonError::into_inner).keeps(attempt, case_folded_name)
    }

    /// Notes that a caller may not do what was asked for.
    pub fn note_access(&self, reason: Reason, caller: &AuditContext, subject: Subject, route: &str) {
        let details = Details::AccessRefused { route: route.to_owned() };
        self.note(AuditEvent::new(self.inner.clock.now(), details, caller, subject).because(reason));
    }

    /// Notes that an operation was refused; `operation` is the kind of the event that it would have been.
    pub fn note_operation(&self, operation: AuditKind, reason: Reason, subject: Subject, context: &AuditContext) {
        let details = Details::OperationRefused { operation, lines: None };
        self.note(AuditEvent::new(self.inner.clock.now(), details, context, subject).because(reason));
    }

    /// Notes that a token was not looked at for this reason.
    pub fn note_unread_token(&self, reason: Reason, request: &RefusedRequest) {
        let details = Details::TokenRefused { route: request.route.clone(), token: None, end_reason: None };
        let event = AuditEvent::new(self.inner.clock.now(), details, &unnamed(request), Subject::unknown());
        self.note(event.because(reason));
    }

    /// Notes that a request came with cookies of the gate for different sessions.
    pub fn note_cookies_that_differ(&self, request: &RefusedRequest) {
        let details = Details::GateCookiesDiffer { route: request.route.clone() };
        let event = AuditEvent::new(self.inner.clock.now(), details, &unnamed(request), Subject::unknown());
        self.note(event.because(Reason::CookiesDiffer));
    }

    /// Notes that an access token was refused, where its session is over with how that ended. What it says of itself is believed
    /// where its signature is good.
    pub fn note_token(&self, token: &str, reason: Reason, end: Option<EndReason>, request: &RefusedRequest) {
        let is_signed = matches!(
            reason,
            Reason::Expired
                | Reason::NotYetValid
                | Reason::Replaced
                | Reason::Subject
                | Reason::SessionUnknown
                | Reason::SessionEnded
        );
        let Some(named) = named(token).filter(|_| is_signed) else { return self.note_unread_token(reason, request) };
        let (route, token) = (request.route.clone(), named.token_id);
        let details = match reason {
            Reason::SessionUnknown => Details::SessionUnknown { route, token: Some(token) },
            _ => Details::TokenRefused { route, token: Some(token), end_reason: end },
        };
        let named = NamedSession { id: named.session_id, user_id: named.subject };
        self.note_of_session(named, details, reason, request);
    }

    /// Notes that a cookie of ours was refused, where its session is over with how that ended.
    pub fn note_cookie(&self, named: NamedSession, reason: Reason, end: Option<EndReason>, request: &RefusedRequest) {
        let route = request.route.clone();
        let details = match reason {
            Reason::SessionUnknown => Details::SessionUnknown { route, token: None },
            _ => Details::TokenRefused { route, token: None, end_reason: end },
        };
        self.note_of_session(named, details, reason, request);
    }

    /// Notes that a form was refused, with the session whose cookie of ours came with it, if one did.
    pub fn note_form(&self, named: Option<NamedSession>, reason: Reason, request: &RefusedRequest) {
        let details = Details::FormRefused { route: request.route.clone() };
        if let Some(named) = named {
            self.note_of_session(named, details, reason, request);
        } else {
            let event = AuditEvent::new(self.inner.clock.now(), details, &unnamed(request), Subject::unknown());
            self.note(event.because(reason));
        }
    }

    fn note_of_session(&self, named: NamedSession, details: Details, reason: Reason, request: &RefusedRequest) {
        let context = AuditContext { actor: Actor::user(named.user_id), ..unnamed(request) };
        let subject = Subject::new(SubjectKind::Session, named.id);
        let event = AuditEvent::new(self.inner.clock.now(), details, &context, subject);
        self.note(event.because(reason).in_session(named.id));
    }

    /// Notes that a refresh token was refused that is none of ours.
    pub fn note_refresh(&self, reason: Reason, context: &AuditContext) {
        let details = Details::RefreshRefused { end_reason: None };
        let event = AuditEvent::new(self.inner.clock.now(), details, context, Subject::unknown());
        self.note(event.because(reason));
    }

    /// Notes that a refresh token of ours was refused, because its session is over.
    pub fn note_refresh_of(&self, id: SessionId, reason: Reason, end: EndReason, context: &AuditContext) {
        let (details, subject) =
            (Details::RefreshRefused { end_reason: Some(end) }, Subject::new(SubjectKind::Session, id));
        let event = AuditEvent::new(self.inner.clock.now(), details, context, subject);
        self.note(event.because(reason).in_session(id));
    }

    /// Writes what was refused by now; counts whose minute is over end. Returns how many events that were.
    pub async fn write_due(&self) -> Result<usize, StoreError> {
        self.write(Some(self.inner.clock.now())).await
    }

    /// The same at the stop: every count ends.
    pub async fn write_all(&self) -> Result<usize, StoreError> {
        self.write(None).await
    }

    async fn write(&self, now: Option<DateTime<Utc>>) -> Result<usize, StoreError> {
        let _turn = self.inner.writing.lock().await;
        self.aggregated().close(now);
        let mut written = 0;
        loop {
            let batch = self.aggregated().first(BATCH);
            if batch.is_empty() {
                return Ok(written);
            }
            let count = batch.len();
            self.inner.store.write(move |db| audit::record_all(db, &batch)).await?;
            self.aggregated().remove_written(count);
            written += count;
        }
    }

    fn aggregated(&self) -> MutexGuard<'_, Aggregated> {
        self.inner.aggregated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who presents a token that names nobody is not known.
fn unnamed(request: &RefusedRequest) -> AuditContext {
    let request_id = Some(request.request_id.clone());
    AuditContext { actor: Actor::system("check"), ip: Some(request.ip), request_id, acting: None }
}
