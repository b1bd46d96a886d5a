//! Ends of one session, or of one user's: by its id, by its owner, by one of its tokens.

use super::Sessions;
use super::check::{CheckError, unknown};
use super::end::{end_by, end_of_user_in};
use super::end_queue::{Authority, EndRequest};
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Reason, Subject, SubjectKind};
use crate::model::id::{SessionId, UserId};
use crate::model::session::{Actor, EndReason};
use crate::store::{StoreError, audit, sessions};
use crate::token::refresh::RefreshToken;

impl Sessions {
    /// Ends one session. `None` where there is none of this id.
    pub async fn end(
        &self,
        id: SessionId,
        reason: EndReason,
        note: Option<String>,
        context: &AuditContext,
    ) -> Result<Option<bool>, StoreError> {
        self.end_by_authority(id, reason, note, context, Authority::Any).await
    }

    /// Ends one of the user's own sessions. `None` where the user has none of this id: another person's is not found.
    pub async fn end_own(
        &self,
        user_id: UserId,
        id: SessionId,
        context: &AuditContext,
    ) -> Result<Option<bool>, StoreError> {
        self.end_by_authority(id, EndReason::EndedByOwner, None, context, Authority::Owner(user_id)).await
    }

    async fn end_by_authority(
        &self,
        id: SessionId,
        reason: EndReason,
        note: Option<String>,
        context: &AuditContext,
        by: Authority,
    ) -> Result<Option<bool>, StoreError> {
        let end = end_by(context, reason, self.now(), note);
        let outcome = self.end_with_others(EndRequest { id, end, context: context.clone(), by }).await;
        match self.told_when_over(outcome).await? {
            Ok(ended) => Ok(Some(ended)),
            Err(refused) => {
                let reason = if refused == Reason::SessionUnknown { Reason::NotFound } else { refused };
                self.refusals().note_operation(
                    AuditKind::SessionEnded,
                    reason,
                    Subject::new(SubjectKind::Session, id),
                    context,
                );
                Ok(None)
            }
        }
    }

    /// Logs out by an access token that is ours and of the session's user, also past its time: whoever leaves is let go.
    /// Succeeds also where the session has ended already.
    pub async fn logout(&self, token: &str, context: impl FnOnce(Actor) -> AuditContext) -> Result<(), CheckError> {
        let now = self.now();
        let (claims, key_id) = self.genuine(token, now).await?;
        // Who refuses a token writes nothing, so a server that was left behind would do it too.
        self.coherence().confirm_store().await?;
        let (id, user_id) = (claims.session_id, claims.subject);
        let context = context(Actor::user(user_id));
        let end = end_by(&context, EndReason::Logout, now, None);
        let by = Authority::Token { user_id, key_id, issued_at: claims.issued_at.min(now) };
        match self.end_with_others(EndRequest { id, end, context, by }).await? {
            Ok(_) => Ok(()),
            Err(Reason::SessionUnknown) => Err(unknown(id)),
            Err(reason) => Err(CheckError::Invalid(reason)),
        }
    }

    /// Logs out by a refresh token of the session, live or spent: whoever holds one may end it.
    pub async fn logout_by_refresh_token(
        &self,
        token: &str,
        context: impl FnOnce(Actor) -> AuditContext,
    ) -> Result<(), CheckError> {
        let nobody = Actor::system("refresh");
        let Ok(token) = RefreshToken::parse(token) else {
            self.refusals().note_refresh(Reason::Malformed, &context(nobody));
            return Err(CheckError::Invalid(Reason::Malformed));
        };
        self.coherence().confirm_store().await?;
        let id = token.session_id;
        let session = self.store().read(move |db| sessions::find(db, id)).await?;
        let Some(session) =
            session.filter(|session| token.is_genuine(&self.inner.dependencies.refresh_key, &session.refresh.seed))
        else {
            self.refusals().note_refresh(Reason::TokenUnknown, &context(nobody));
            return Err(CheckError::Invalid(Reason::TokenUnknown));
        };
        self.end(session.id, EndReason::Logout, None, &context(Actor::user(session.user_id))).await?;
        Ok(())
    }

    /// Ends the user's sessions, all but `except`; returns how many.
    pub async fn end_of_user(
        &self,
        user_id: UserId,
        except: Option<SessionId>,
        reason: EndReason,
        note: Option<String>,
        context: &AuditContext,
    ) -> Result<i64, StoreError> {
        let end = end_by(context, reason, self.now(), note);
        let subject = Subject::new(SubjectKind::User, user_id);
        let (sessions, context) = (self.clone(), context.clone());
        let ended = self.change(move |db, changes| {
            sessions.ensure_allowed_in(db, &context)?;
            let ended = end_of_user_in(db, changes, user_id, except, &end, &context)?;
            // Also where none was left to end: somebody asked for it.
            let details = Details::SessionsEnded {
                end: None,
                filter: None,
                matched: None,
                ended,
                complete: None,
                reason: Some(end.reason),
                note: end.note,
            };
            audit::record(db, &AuditEvent::new(end.at, details, &context, subject))?;
            Ok::<_, StoreError>(ended)
        });
        let ended = self.told_when_over(ended.await).await?;
        self.count_ends(reason, ended);
        Ok(ended)
    }

    /// Whoever asks in a session that is over already is told so when that holds on every node.
    async fn told_when_over<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Overtaken(_)) = outcome {
            self.coherence().wait_for_all_nodes().await;
        }
        outcome
    }
}
