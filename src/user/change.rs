//! Changes a user's name, role, state or e-mail address, or deletes the user. Rights that shrink end sessions in the same transaction.

use chrono::{DateTime, Utc};

use super::{UserError, Users};
use crate::credential::throttle::{account_form, clear_account, rename_account};
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Subject, SubjectKind};
use crate::model::change::Change;
use crate::model::delivery::AccountChange;
use crate::model::id::UserId;
use crate::model::session::EndReason;
use crate::model::user::{Email, Role, User, UserState, Username};
use crate::session::change::Changes;
use crate::session::end::{end_by, end_of_user_in};
use crate::store::{Db, StoreError, audit, users};

/// What to change; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// The new name; the user logs in with it from now on.
    pub username: Option<Username>,
    /// The new role; it holds from the next request.
    pub role: Option<Role>,
    /// Disabling ends all sessions.
    pub state: Option<UserState>,
    /// The new e-mail address; `Some(None)` takes it away.
    pub email: Option<Option<Email>>,
}

impl UserChange {
    /// The event that says it was done; of several the first.
    #[must_use]
    pub const fn kind(&self) -> AuditKind {
        match (&self.username, &self.role, self.state, &self.email) {
            (Some(_), ..) => AuditKind::UserRenamed,
            (None, None, Some(UserState::Active), _) => AuditKind::UserEnabled,
            (None, None, Some(UserState::Disabled), _) => AuditKind::UserDisabled,
            (None, None, None, Some(_)) => AuditKind::UserEmailChanged,
            (None, ..) => AuditKind::UserRoleChanged,
        }
    }
}

impl Users {
    /// Changes a user; returns the user as it is then.
    pub async fn change(&self, id: UserId, change: UserChange, context: &AuditContext) -> Result<User, UserError> {
        let kind = change.kind();
        let changed = self.try_change(id, change, context).await;
        self.noted(changed, kind, Subject::new(SubjectKind::User, id), context)
    }

    async fn try_change(&self, id: UserId, change: UserChange, context: &AuditContext) -> Result<User, UserError> {
        let (users, context, now) = (self.clone(), context.clone(), self.now());
        let sessions = self.inner.sessions.clone();
        sessions
            .change(move |db, changes| {
                let before = users::lock(db, id)?;
                users.inner.sessions.ensure_allowed_in(db, &context)?;
                let before = before.ok_or(UserError::NotFound)?;
                let after = User {
                    username: change.username.unwrap_or_else(|| before.username.clone()),
                    role: change.role.unwrap_or_else(|| before.role.clone()),
                    state: change.state.unwrap_or(before.state),
                    email: change.email.unwrap_or_else(|| before.email.clone()),
                    ..before.clone()
                };
                users.keep_an_administrator(db, &before, Some(&after))?;
                changes.note(Change::User(id));
                let edit = Edit { users: &users, before: &before, after: &after, context: &context, now };
                edit.rename(db)?;
                edit.change_role(db, changes)?;
                edit.change_state(db, changes)?;
                edit.change_email(db)?;
                Ok(after)
            })
            .await
    }

    /// Deletes a user. All sessions end; history keeps the id and the name at the time.
    pub async fn delete(&self, id: UserId, asked_by: &AuditContext) -> Result<(), UserError> {
        let (users, context, now) = (self.clone(), asked_by.clone(), self.now());
        let sessions = self.inner.sessions.clone();
        let deleted = sessions
            .change(move |db, changes| {
                let user = users::lock(db, id)?;
                users.inner.sessions.ensure_allowed_in(db, &context)?;
                let user = user.ok_or(UserError::NotFound)?;
                users.keep_an_administrator(db, &user, None)?;
                changes.note(Change::User(id));
                end_of_user_in(db, changes, id, None, &end_by(&context, EndReason::UserDeleted, now, None), &context)?;
                clear_account(db, &users.inner.throttles, &user)?;
                users::delete(db, id, now)?;
                let (username, role) = (user.username.as_str().to_owned(), user.role.clone());
                record(db, id, Details::UserDeleted { username, role }, &context, now)?;
                Ok(())
            })
            .await;
        if let Err(UserError::NotFound) = deleted {
            // Who deleted it may still wait for other nodes.
            self.inner.sessions.wait_for_all_nodes().await;
        }
        self.noted(deleted, AuditKind::UserDeleted, Subject::new(SubjectKind::User, id), asked_by)
    }

    /// Lifts the throttling of a user's account.
    pub async fn unlock(&self, id: UserId, asked_by: &AuditContext) -> Result<(), UserError> {
        let (users, context, now) = (self.clone(), asked_by.clone(), self.now());
        let unlocked = self
            .store()
            .write(move |db| {
                users.inner.sessions.ensure_allowed_in(db, &context)?;
                let user = users::lock(db, id)?.ok_or(UserError::NotFound)?;
                let lifted = clear_account(db, &users.inner.throttles, &user)?;
                Ok(record(db, id, Details::UserUnlocked { was_throttled: lifted }, &context, now)?)
            })
            .await;
        self.noted(unlocked, AuditKind::UserUnlocked, Subject::new(SubjectKind::User, id), asked_by)
    }

    /// Refuses what would leave no active administrator (ADM-08). `after` is `None` for a deletion.
    pub(super) fn keep_an_administrator(
        &self,
        db: &mut Db,
        before: &User,
        after: Option<&User>,
    ) -> Result<(), UserError> {
        let administers = |user: &User| user.state == UserState::Active && self.roles().permissions(&user.role).admin;
        if !administers(before) || after.is_some_and(administers) {
            return Ok(());
        }
        if users::count_active_with_roles(db, &self.roles().admin)? <= 1 {
            return Err(UserError::LastAdministrator);
        }
        Ok(())
    }
}

/// A change of one user, in its transaction.
struct Edit<'a> {
    users: &'a Users,
    before: &'a User,
    after: &'a User,
    context: &'a AuditContext,
    now: DateTime<Utc>,
}

impl Edit<'_> {
    fn rename(&self, db: &mut Db) -> Result<(), StoreError> {
        let Self { before, after, now, .. } = *self;
        if before.username == after.username {
            return Ok(());
        }
        let from = account_form(db, before)?;
        users::set_username(db, before.id, &after.username, now)?;
        let to = account_form(db, after)?;
        rename_account(db, &self.users.inner.throttles, &from, &to)?;
        let [from, to] = [before, after].map(|user| user.username.as_str().to_owned());
        self.record(db, Details::UserRenamed { from, to })?;
        self.notify(db, AccountChange::Renamed)
    }

    fn change_role(&self, db: &mut Db, changes: &mut Changes<'_>) -> Result<(), StoreError> {
        let Self { before, after, now, .. } = *self;
        if before.role == after.role {
            return Ok(());
        }
        users::set_role(db, before.id, &after.role, now)?;
        let [from, to] = [before, after].map(|user| user.role.clone());
        self.record(db, Details::UserRoleChanged { from, to })?;
        self.notify(db, AccountChange::RoleChanged)?;
        if self.users.inner.end_on_role_change {
            self.end_sessions(db, changes, EndReason::RightsChanged)?;
        }
        Ok(())
    }

    fn change_state(&self, db: &mut Db, changes: &mut Changes<'_>) -> Result<(), StoreError> {
        let Self { before, after, now, .. } = *self;
        if before.state == after.state {
            return Ok(());
        }
        users::set_state(db, before.id, after.state, now)?;
        let details = match after.state {
            UserState::Active => Details::UserEnabled {},
            UserState::Disabled => Details::UserDisabled {},
        };
        self.record(db, details)?;
        if after.state == UserState::Disabled {
            self.end_sessions(db, changes, EndReason::UserDisabled)?;
        }
        Ok(())
    }

    /// The record says that it changed, not from what to what: addresses of people are kept where they are needed only.
    fn change_email(&self, db: &mut Db) -> Result<(), StoreError> {
        let Self { before, after, now, .. } = *self;
        if before.email == after.email {
            return Ok(());
        }
        users::set_email(db, before.id, after.email.as_ref(), now)?;
        self.record(db, Details::UserEmailChanged { has_email: after.email.is_some() })?;
        self.notify(db, AccountChange::EmailChanged)
    }

    fn record(&self, db: &mut Db, details: Details) -> Result<(), StoreError> {
        record(db, self.before.id, details, self.context, self.now)
    }

    fn notify(&self, db: &mut Db, change: AccountChange) -> Result<(), StoreError> {
        self.users.inner.alerts.notify_of_change_in(db, (self.before, self.after), change, self.now)
    }

    fn end_sessions(&self, db: &mut Db, changes: &mut Changes<'_>, reason: EndReason) -> Result<(), StoreError> {
        let end = end_by(self.context, reason, self.now, None);
        end_of_user_in(db, changes, self.before.id, None, &end, self.context).map(drop)
    }
}

/// Records an event about a user.
pub(super) fn record(
    db: &mut Db,
    id: UserId,
    details: Details,
    context: &AuditContext,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    audit::record(db, &AuditEvent::new(now, details, context, Subject::new(SubjectKind::User, id)))
}
