//! The first administrator: there is no default account, but a one-time token that the first start prints (PWD-13).

use secrecy::SecretString;

use super::Users;
use super::create::{NewUser, insert, user_created};
use super::password::{IssuedToken, OneTimeTokenError};
use crate::model::audit::{AuditContext, AuditEvent, Details, Subject};
use crate::model::id::UserId;
use crate::model::secret::{Secret, SecretKind};
use crate::model::session::Actor;
use crate::model::user::{User, Username};
use crate::store::one_time_tokens::{self, TokenPurpose};
use crate::store::{StoreError, audit, users};

impl Users {
    /// Issues the token that creates the first administrator, where there is no user yet; an earlier one is void.
    pub async fn issue_setup(&self) -> Result<Option<IssuedToken>, StoreError> {
        let now = self.now();
        let issued = IssuedToken::new(now);
        let (digest, expires_at) = (issued.secret.digest(), issued.expires_at);
        let is_needed = self
            .store()
            .write(move |db| {
                if users::any(db)? {
                    return Ok::<_, StoreError>(false);
                }
                one_time_tokens::replace(db, digest, TokenPurpose::Setup, now, expires_at)?;
                let details = Details::SetupIssued { expires_at };
                let event = AuditEvent::new(now, details, &AuditContext::system("start"), Subject::everybody());
                audit::record(db, &event)?;
                Ok(true)
            })
            .await?;
        Ok(is_needed.then_some(issued))
    }

    /// Creates the first administrator, once.
    pub async fn set_up(
        &self,
        token: &str,
        username: Username,
        password: SecretString,
        context: AuditContext,
    ) -> Result<User, OneTimeTokenError> {
        let created = self.try_set_up(token, username, password, context.clone()).await;
        if let Some(reason) = created.as_ref().err().and_then(OneTimeTokenError::reason) {
            let event = AuditEvent::new(self.now(), Details::SetupRefused {}, &context, Subject::everybody());
            self.inner.refusals.note(event.because(reason));
        }
        created
    }

    async fn try_set_up(
        &self,
        token: &str,
        username: Username,
        password: SecretString,
        context: AuditContext,
    ) -> Result<User, OneTimeTokenError> {
        let digest = Secret::parse(SecretKind::OneTimeToken, token).map_err(|_| OneTimeTokenError::Malformed)?.digest();
        let found = self.store().read(move |db| one_time_tokens::find(db, digest)).await?;
        if found.map(|found| found.purpose) != Some(TokenPurpose::Setup) {
            return Err(OneTimeTokenError::Invalid);
        }
        let role = self.roles().admin.first().cloned().ok_or(OneTimeTokenError::Invalid)?;
        let new = NewUser { username, role, password: Some(password), change_at_login: false, email: None };
        let user = self.new_user(new).await?;
        let (created, now, throttles) = (user.clone(), self.now(), self.inner.throttles.clone());
        self.store()
            .write(move |db| {
                let presented = one_time_tokens::take(db, digest)?.ok_or(OneTimeTokenError::Invalid)?;
                if now >= presented.expires_at {
                    return Err(OneTimeTokenError::Expired);
                }
                if users::any(db)? {
                    return Err(OneTimeTokenError::AlreadySetUp);
                }
                let context = AuditContext { actor: Actor::user(created.id), ..context };
                insert(db, &throttles, &created, user_created, &context)?;
                record_completed(db, created.id, &context, now)?;
                Ok(())
            })
            .await?;
        Ok(user)
    }
}

fn record_completed(
    db: &mut crate::store::Db,
    id: UserId,
    context: &AuditContext,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), StoreError> {
    super::change::record(db, id, Details::SetupCompleted {}, context, now)
}
