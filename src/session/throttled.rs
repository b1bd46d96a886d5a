//! What is throttled now, and lifting it: for administrators.

use serde_json::json;

use super::Sessions;
use crate::model::audit::{AuditEvent, AuditKind, Cause, Reason, Subject, SubjectKind};
use crate::model::id::ThrottleId;
use crate::store::throttles::{self, Position, ThrottleFilter, ThrottleRow};
use crate::store::{Page, StoreError, audit};

impl Sessions {
    /// What failures are counted for, the newest first; `only_closed`: what refuses tries now.
    pub async fn throttles(
        &self,
        filter: ThrottleFilter,
        only_closed: bool,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Page<ThrottleRow>, StoreError> {
        let closed_at = only_closed.then(|| (self.now(), self.inner.throttle.locked_after()));
        let filter = ThrottleFilter { closed_at, ..filter };
        self.store().read(move |db| throttles::list(db, &filter, after, limit)).await
    }

    /// Forgets the failures counted under this id. `false` where there are none.
    pub async fn lift_throttle(&self, id: ThrottleId, asked_by: &Cause) -> Result<bool, StoreError> {
        let (sessions, now, cause) = (self.clone(), self.now(), asked_by.clone());
        let lifted = self
            .store()
            .write(move |db| {
                sessions.stands_in(db, &cause)?;
                let Some(row) = throttles::find_by_id(db, id)? else { return Ok::<_, StoreError>(false) };
                throttles::forget(db, row.key)?;
                let subject = match row.shown.user_id {
                    Some(user_id) => Subject::new(SubjectKind::User, user_id),
                    None => Subject::new(SubjectKind::Throttle, id),
                };
                let event = AuditEvent::new(now, AuditKind::ThrottleLifted, &cause, subject);
                let details = json!({
                    "throttle": id.to_string(), "scope": row.key.scope, "name": row.shown.masked_name,
                    "network": row.shown.network, "failures": row.count.failures,
                });
                audit::record(db, &event.with(details))?;
                Ok(true)
            })
            .await?;
        if !lifted {
            let subject = Subject::new(SubjectKind::Throttle, id);
            self.refuse_operation(AuditKind::ThrottleLifted, Reason::NotFound, subject, asked_by);
        }
        Ok(lifted)
    }

    /// Whether the account is closed until an administrator opens it.
    #[must_use]
    pub fn is_locked(&self, row: &ThrottleRow) -> bool {
        row.key.scope.is_account() && self.inner.throttle.is_locked(&row.count)
    }
}
