//! A token with a good signature whose session was never there (SES-05): somebody else signs with our key, or the database
//! lost rows. Each is refused; the record gets an event now and then, with a count, so that many do not fill the disk.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::Sessions;
use super::check::CheckError;
use super::live::Verified;
use crate::model::audit::{AuditEvent, AuditKind, Cause, Subject, SubjectKind};
use crate::model::session::Actor;
use crate::store::audit;

/// One event in this time, on each node.
const PAUSE: TimeDelta = TimeDelta::seconds(10);

/// What was met since the last event.
#[derive(Debug, Default)]
pub(super) struct UnknownSessions(Mutex<Met>);

#[derive(Debug, Default)]
struct Met {
    recorded_at: Option<DateTime<Utc>>,
    since: u64,
}

impl UnknownSessions {
    /// Counts one. Where it is time for an event: how many there were since the last.
    fn count(&self, now: DateTime<Utc>) -> Option<u64> {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        met.since += 1;
        if met.recorded_at.is_some_and(|at| now >= at && now - at < PAUSE) {
            return None;
        }
        met.recorded_at = Some(now);
        Some(std::mem::take(&mut met.since))
    }
}

impl Sessions {
    /// Records that a token named a session that is not there; the refusal.
    pub(super) async fn unknown(&self, token: &Verified, ip: IpAddr, now: DateTime<Utc>) -> CheckError {
        tracing::warn!(session.id = %token.session_id, "a token with a good signature names an unknown session");
        if let Some(count) = self.inner.unknown_sessions.count(now) {
            let cause = Cause { actor: Actor::user(token.subject), ip: Some(ip), request_id: None };
            let subject = Subject::new(SubjectKind::Session, token.session_id);
            let event = AuditEvent::new(now, AuditKind::SessionUnknown, &cause, subject);
            let event = event.with(json!({ "token": token.token_id, "count": count }));
            if let Err(error) = self.store().write(move |db| audit::record(db, &event)).await {
                return error.into();
            }
        }
        CheckError::Invalid("session_unknown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_make_one_event_with_their_count() {
        let met = UnknownSessions::default();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(met.count(now), Some(1));
        assert_eq!((met.count(now), met.count(now + PAUSE / 2)), (None, None));
        assert_eq!(met.count(now + PAUSE), Some(3));
        assert_eq!(met.count(now - PAUSE), Some(1), "a clock that was set back does not silence it");
    }
}
