//! The signing keys exchanged: a new one signs, or all tokens of one are refused, on every node.

use super::Sessions;
use crate::model::audit::{AuditContext, AuditKind, Reason, Subject, SubjectKind};
use crate::signing_keys::SigningError;
use crate::store::StoreError;
use crate::token::keys::VerificationKeySet;

impl Sessions {
    /// The keys whose tokens are accepted now, as a check would accept them (JWT-09).
    pub async fn accepted_keys(&self) -> Result<VerificationKeySet, StoreError> {
        // Before anything is looked up, as a check does.
        if !self.coherence().is_live() {
            self.coherence().confirm_store().await?;
            self.signing().reload_if_unknown().await?;
        }
        Ok(self.signing().accepted(self.now()))
    }

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
