//! What people call their own sessions, such as "the library's computer". A name decides nothing: it helps to tell sessions apart.

use super::Sessions;
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Reason, Subject, SubjectKind};
use crate::model::change::Change;
use crate::model::id::{SessionId, UserId};
use crate::model::session::Session;
use crate::store::{StoreError, audit, sessions};

impl Sessions {
    /// One of the user's own sessions, ended or not.
    pub async fn find_own(&self, user_id: UserId, id: SessionId) -> Result<Option<Session>, StoreError> {
        let found = self.store().read(move |db| sessions::find(db, id)).await?;
        Ok(found.filter(|session| session.user_id == user_id))
    }

    /// Gives one of the user's own sessions another name, or none. `None` where the user has none of this id, or it has ended: what
    /// is recorded of an end covers the name.
    pub async fn name_own(
        &self,
        user_id: UserId,
        id: SessionId,
        name: Option<String>,
        context: &AuditContext,
    ) -> Result<Option<()>, StoreError> {
        let (sessions, acting, now) = (self.clone(), context.clone(), self.now());
        let subject = move || Subject::new(SubjectKind::Session, id);
        let named = self
            .change(move |db, changes| {
                sessions.while_allowed_in(db, &acting, |db| {
                    let Some(session) = sessions::find(db, id)?.filter(|session| session.user_id == user_id) else {
                        return Ok(None);
                    };
                    if session.end.is_some() {
                        return Ok(None);
                    }
                    if session.name == name {
                        return Ok(Some(()));
                    }
                    if !sessions::rename(db, id, name.as_deref())? {
                        return Ok(None);
                    }
                    changes.note(Change::Session(id));
                    let event = AuditEvent::new(now, Details::SessionNamed { name }, &acting, subject());
                    audit::record(db, &event.in_session(id))?;
                    Ok::<_, StoreError>(Some(()))
                })
            })
            .await?;
        if named.is_none() {
            self.refusals().note_operation(AuditKind::SessionNamed, Reason::NotFound, subject(), context);
        }
        Ok(named)
    }
}
