//! The signing keys exchanged: a new one signs, or all tokens of one are refused, on every node.

use super::Sessions;
use crate::model::audit::{AuditContext, AuditKind, Reason, Subject, SubjectKind};
use crate::signing::SigningError;

impl Sessions {
    /// Makes a new key that signs from now on, on every node.
    pub async fn rotate_key(&self, context: &AuditContext) -> Result<String, SigningError> {
        self.coherence().change_keys(self.signing().rotate(context)).await
    }

    /// Refuses every token of a key, on every node, from when this returns. `false` where there is no such key, or it is
    /// revoked already.
    pub async fn revoke_key(&self, id: &str, context: &AuditContext) -> Result<bool, SigningError> {
        let revoked = self.coherence().change_keys(self.signing().revoke(id, context)).await?;
        if !revoked {
            let subject = Subject::new(SubjectKind::Key, id);
            self.refusals().note_operation(AuditKind::KeyRevoked, Reason::NotFound, subject, context);
        }
        Ok(revoked)
    }
}
