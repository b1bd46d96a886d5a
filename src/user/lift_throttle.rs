//! Lifts what closes an account or an address to tries: for administrators.

use super::Users;
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Reason, Subject, SubjectKind};
use crate::model::id::ThrottleId;
use crate::store::{StoreError, audit, throttles};

impl Users {
    /// Forgets the failures counted under this id. `false` where there are none.
    pub async fn lift_throttle(&self, id: ThrottleId, asked_by: &AuditContext) -> Result<bool, StoreError> {
        let (sessions, now, context) = (self.inner.sessions.clone(), self.now(), asked_by.clone());
        let lifted = self
            .store()
            .write(move |db| {
                sessions.ensure_allowed_in(db, &context)?;
                let Some(row) = throttles::find_by_id(db, id)? else { return Ok::<_, StoreError>(false) };
                throttles::clear(db, row.key)?;
                let subject = match row.display.user_id {
                    Some(user_id) => Subject::new(SubjectKind::User, user_id),
                    None => Subject::new(SubjectKind::Throttle, id),
                };
                let details = Details::ThrottleLifted {
                    throttle: id.to_string(),
                    scope: row.key.scope.to_string(),
                    name: row.display.masked_name,
                    network: row.display.network,
                    failures: row.count.failures,
                };
                audit::record(db, &AuditEvent::new(now, details, &context, subject))?;
                Ok(true)
            })
            .await?;
        if !lifted {
            let subject = Subject::new(SubjectKind::Throttle, id);
            self.inner.refusals.note_operation(AuditKind::ThrottleLifted, Reason::NotFound, subject, asked_by);
        }
        Ok(lifted)
    }
}
