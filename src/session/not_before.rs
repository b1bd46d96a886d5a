//! The emergency cut-off: one write refuses everything issued before a moment, whatever the number of sessions.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::Sessions;
use super::end::ends_alert;
use crate::model::audit::{AuditEvent, AuditKind, Cause, Reason, Subject, SubjectKind};
use crate::model::change::Change;
use crate::store::not_befores::Scope;
use crate::store::{StoreError, audit, clients, not_befores, users};

/// A not-before cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum NotBeforeError {
    /// The moment lies in the future; it would refuse logins that have not happened.
    #[error("the moment lies in the future")]
    InTheFuture,
    /// There is no such user or client.
    #[error("there is no such user or client")]
    NoSuchSubject,
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sessions {
    /// Refuses every credential issued before `at` (`None`: now). Takes effect with this one write; the single ends are
    /// recorded afterwards.
    pub async fn set_not_before(
        &self,
        scope: Scope,
        at: Option<DateTime<Utc>>,
        note: Option<String>,
        cause: &Cause,
    ) -> Result<(), NotBeforeError> {
        let now = self.now();
        let at = at.unwrap_or(now);
        let about = match &scope {
            Scope::User(id) => Subject::new(SubjectKind::User, id),
            Scope::Client(id) => Subject::new(SubjectKind::Client, id),
            Scope::Everybody => Subject::everybody(),
        };
        if at > now {
            self.refuse_operation(AuditKind::NotBeforeSet, Reason::InTheFuture, about, cause);
            return Err(NotBeforeError::InTheFuture);
        }
        let (asked_by, cause, subject) = (cause, cause.clone(), about.clone());
        let alerts = self.inner.parts.alerts.clone();
        let set = self.change(move |db, changes| {
            let is_there = match &scope {
                Scope::User(id) => users::find(db, *id)?.is_some(),
                Scope::Client(id) => clients::find(db, id)?.is_some(),
                Scope::Everybody => true,
            };
            if !is_there {
                return Err(NotBeforeError::NoSuchSubject);
            }
            changes.note(match &scope {
                Scope::User(id) => Change::User(*id),
                Scope::Client(_) | Scope::Everybody => Change::NotBefore,
            });
            not_befores::raise(db, &scope, at, now, &cause.actor.id, note.as_deref())?;
            let event = AuditEvent::new(now, AuditKind::NotBeforeSet, &cause, subject);
            let event = event.with(json!({ "at": at, "note": note }));
            audit::record(db, &event)?;
            if !matches!(scope, Scope::User(_)) && alerts.rules().ends_at_once > 0 {
                alerts.raise_in(db, &ends_alert(&event))?;
            }
            Ok(())
        });
        let set = set.await;
        if matches!(set, Err(NotBeforeError::NoSuchSubject)) {
            self.refuse_operation(AuditKind::NotBeforeSet, Reason::NotFound, about, asked_by);
        }
        set
    }
}
