//! The session that acts is judged again in the transaction that does what was asked: a hash, a connection or a lock may have been
//! waited for, and a session that ended meanwhile does nothing any more. So it is judged after a lock, and again after what may
//! wait for one itself, such as an insert. The same for each page of a long answer.

use super::Sessions;
use crate::model::audit::AuditContext;
use crate::model::id::SessionId;
use crate::model::session::{ActorKind, EndReason};
use crate::model::user::Role;
use crate::store::{Db, Overtaken, StoreError, sessions};

impl Sessions {
    /// Refuses to go on where the session that acts is over, or its user has another role since.
    pub async fn ensure_allowed(&self, context: &AuditContext) -> Result<(), StoreError> {
        if context.acting.is_none() {
            return Ok(());
        }
        let (sessions, context) = (self.clone(), context.clone());
        self.store().read(move |db| sessions.ensure_allowed_in(db, &context)).await
    }

    /// The same inside the transaction of what is done. Who acts without a session, as on the command line, stands.
    pub(crate) fn ensure_allowed_in(&self, db: &mut Db, context: &AuditContext) -> Result<(), StoreError> {
        let Some(acting) = &context.acting else { return Ok(()) };
        let role = self.role_of_live_session_in(db, acting.session_id)?;
        // What the role was allows nothing to whoever acts on others. On one's own things it has no bearing.
        if context.actor.kind == ActorKind::Admin && role != acting.role {
            return Err(Overtaken::NotAllowed.into());
        }
        Ok(())
    }

    /// Does what was asked for whoever stands before it and after: the work may have waited for a lock.
    pub(crate) fn while_allowed_in<T, E: From<StoreError>>(
        &self,
        db: &mut Db,
        context: &AuditContext,
        work: impl FnOnce(&mut Db) -> Result<T, E>,
    ) -> Result<T, E> {
        self.ensure_allowed_in(db, context)?;
        let done = work(db)?;
        self.ensure_allowed_in(db, context)?;
        Ok(done)
    }

    /// The present role of a live session's user; an error where it is over.
    fn role_of_live_session_in(&self, db: &mut Db, id: SessionId) -> Result<Role, StoreError> {
        // Rows leave only long after their end.
        let session = sessions::find(db, id)?.ok_or(Overtaken::Ended(EndReason::Expired))?;
        match self.judge_in(db, &session, self.now())? {
            Ok(user) => Ok(user.role.clone()),
            Err(reason) => Err(Overtaken::Ended(reason).into()),
        }
    }
}
