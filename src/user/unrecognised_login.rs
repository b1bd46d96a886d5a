//! A user says that a login was not theirs, by the one-time link in the mail about it.

use chrono::{DateTime, Utc};

use super::Users;
use super::change::record;
use super::password::OneTimeTokenError;
use crate::model::audit::{AuditContext, AuditEvent, Details, Subject, SubjectKind};
use crate::model::delivery::AccountChange;
use crate::model::id::{SessionId, UserId};
use crate::model::secret::{Secret, SecretKind};
use crate::model::session::{Actor, EndReason};
use crate::session::change::Changes;
use crate::session::end::{end_by, end_in, end_of_user_in};
use crate::store::one_time_tokens::{self, TokenPurpose};
use crate::store::{Db, StoreError, audit, sessions, users};

impl Users {
    /// Ends the session that the token is about. Whoever began it knows the password, so that logs in no more until another
    /// is set by a token of an administrator, and every other session ends as well: some may be of the same stranger.
    pub async fn report_unrecognised_login(&self, token: &str, context: AuditContext) -> Result<(), OneTimeTokenError> {
        let reported = self.try_report_unrecognised_login(token, context.clone()).await;
        if let Some(reason) = reported.as_ref().err().and_then(OneTimeTokenError::reason) {
            let event =
                AuditEvent::new(self.now(), Details::UnrecognisedLoginReportRefused {}, &context, Subject::unknown());
            self.inner.refusals.note(event.because(reason));
        }
        reported
    }

    async fn try_report_unrecognised_login(&self, token: &str, context: AuditContext) -> Result<(), OneTimeTokenError> {
        let digest = Secret::parse(SecretKind::OneTimeToken, token).map_err(|_| OneTimeTokenError::Malformed)?.digest();
        let (users, now, sessions) = (self.clone(), self.now(), self.inner.sessions.clone());
        sessions
            .change(move |db, changes| {
                let presented = one_time_tokens::take(db, digest)?.ok_or(OneTimeTokenError::Invalid)?;
                let TokenPurpose::ReportLink { user_id, session_id } = presented.purpose else {
                    return Err(OneTimeTokenError::Invalid);
                };
                if now >= presented.expires_at {
                    return Err(OneTimeTokenError::Expired);
                }
                users::lock(db, user_id)?.ok_or(OneTimeTokenError::Invalid)?;
                let context = AuditContext { actor: Actor::user(user_id), ..context };
                Ok(users.report_unrecognised_login_in(db, changes, user_id, session_id, &context, now)?)
            })
            .await
    }

    fn report_unrecognised_login_in(
        &self,
        db: &mut Db,
        changes: &mut Changes<'_>,
        user_id: UserId,
        session_id: SessionId,
        context: &AuditContext,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        end_in(db, changes, session_id, &end_by(context, EndReason::EndedByOwner, now, None), context)?;
        let end = end_by(context, EndReason::PasswordChanged, now, None);
        let others = end_of_user_in(db, changes, user_id, None, &end, context)?;
        let details = Details::UnrecognisedLoginReported { other_sessions_ended: others };
        let event = AuditEvent::new(now, details, context, Subject::new(SubjectKind::User, user_id));
        audit::record(db, &event.in_session(session_id))?;
        if let Some(user) = users::find(db, user_id)? {
            self.inner.alerts.notify_of_change_in(db, (&user, &user), AccountChange::PasswordVoided, now)?;
        }
        users::void_password(db, user_id, now)?;
        record(db, user_id, Details::PasswordVoided {}, context, now)?;
        match sessions::find(db, session_id)? {
            Some(session) => self.inner.alerts.report_unrecognised_login_in(db, &session, now),
            None => Ok(()),
        }
    }
}
