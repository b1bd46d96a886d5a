//! Which session does this token belong to? For somebody who found a token in a log.

use super::History;
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Reason, Subject, SubjectKind};
use crate::model::id::SessionId;
use crate::model::session::Session;
use crate::store::{StoreError, audit, sessions};
use crate::token::refresh::RefreshToken;

impl History {
    /// The session that an access or refresh token names, whatever its age. The token is not kept, and nothing is decided
    /// about it: its signature need not be good, for the reader sees every session anyway.
    pub async fn look_up(&self, token: &str, context: &AuditContext) -> Result<Option<Session>, StoreError> {
        let refuse = |subject| {
            self.refusals.note_operation(AuditKind::TokenLookedUp, Reason::NotFound, subject, context);
        };
        let Some(id) = session_named(token) else {
            refuse(Subject::unknown());
            return Ok(None);
        };
        self.sessions.record_expired().await?;
        let (now, asked_by) = (self.clock.now(), context.clone());
        let found = self
            .store
            .write(move |db| {
                let found = sessions::find(db, id)?;
                if found.is_some() {
                    let subject = Subject::new(SubjectKind::Session, id);
                    audit::record(db, &AuditEvent::new(now, Details::TokenLookedUp {}, &asked_by, subject))?;
                }
                Ok::<_, StoreError>(found)
            })
            .await?;
        if found.is_none() {
            refuse(Subject::new(SubjectKind::Session, id));
        }
        Ok(found)
    }
}

fn session_named(token: &str) -> Option<SessionId> {
    if let Ok(refresh) = RefreshToken::parse(token) {
        return Some(refresh.session_id);
    }
    crate::token::claims::named_session(token)
}
