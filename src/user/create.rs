//! Creates a user.

use secrecy::SecretString;

use super::password::{IssuedToken, issue_in};
use super::{UserError, Users, scheme_word};
use crate::credential::throttle::{ThrottleDigests, clear_names};
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Subject, SubjectKind};
use crate::model::id::UserId;
use crate::model::user::{Email, Role, User, UserState, Username};
use crate::store::{Db, StoreError, audit, users};

/// A user to be created.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name to log in with.
    pub username: Username,
    /// The role, which decides what the user may do.
    pub role: Role,
    /// The password; without one the user sets it with a one-time token.
    pub password: Option<SecretString>,
    /// Whether somebody else chose it: then it is good for nothing but to be changed.
    pub change_at_login: bool,
    /// Where the user is told of a login from a new device.
    pub email: Option<Email>,
}

/// A user who was created.
#[derive(Debug, Clone)]
pub struct Created {
    /// The user as it was stored.
    pub user: User,
    /// With which the user sets a password, where there is none yet.
    pub reset: Option<IssuedToken>,
}

impl Users {
    /// Creates a user; one without a password gets a one-time token.
    pub async fn create(&self, new: NewUser, context: &AuditContext) -> Result<Created, UserError> {
        let created = self.try_create(new, context).await;
        self.noted(created, AuditKind::UserCreated, Subject::unknown(), context)
    }

    async fn try_create(&self, new: NewUser, context: &AuditContext) -> Result<Created, UserError> {
        let user = self.new_user(new).await?;
        let reset = user.password_hash.is_none().then(|| IssuedToken::new(self.now()));
        let created = Created { user, reset };
        let (sessions, context, new) = (self.inner.sessions.clone(), context.clone(), created.clone());
        let throttles = self.inner.throttles.clone();
        let write = move |db: &mut Db| {
            sessions.while_allowed_in(db, &context, |db| {
                insert(db, &throttles, &new.user, user_created, &context)?;
                new.reset
                    .iter()
                    .try_for_each(|reset| issue_in(db, new.user.id, reset, false, &context, new.user.created_at))
            })
        };
        self.store().write(write).await?;
        Ok(created)
    }

    /// A user that is not in the store yet; its password is accepted and hashed.
    pub(super) async fn new_user(&self, new: NewUser) -> Result<User, UserError> {
        let now = self.now();
        let password_hash = match new.password {
            None => None,
            Some(password) => {
                let accepted = self.inner.passwords.accept(&password, new.username.as_str()).await?;
                Some(self.inner.passwords.hash(accepted).await?)
            }
        };
        Ok(User {
            id: UserId::new(now),
            username: new.username,
            role: new.role,
            state: UserState::Active,
            password_changed_at: password_hash.as_ref().map(|_| now).filter(|_| !new.change_at_login),
            must_change_password_since: password_hash.as_ref().map(|_| now).filter(|_| new.change_at_login),
            password_hash,
            created_at: now,
            email: new.email,
        })
    }
}

/// What the record says of a user who was created.
pub(super) fn user_created(user: &User) -> Details {
    Details::UserCreated { username: user.username.as_str().to_owned(), role: user.role.clone() }
}

/// Adds the user and the event that says so.
pub(super) fn insert(
    db: &mut Db,
    throttles: &ThrottleDigests,
    user: &User,
    details: fn(&User) -> Details,
    context: &AuditContext,
) -> Result<(), StoreError> {
    insert_all(db, throttles, &[user], details, context)
}

/// The same for many.
pub(super) fn insert_all(
    db: &mut Db,
    throttles: &ThrottleDigests,
    new: &[&User],
    details: fn(&User) -> Details,
    context: &AuditContext,
) -> Result<(), StoreError> {
    let with_scheme = |user: &&User| {
        let scheme = user.password_hash.as_ref().and_then(scheme_word);
        users::NewUser { user: (*user).clone(), scheme }
    };
    users::insert_all(db, &new.iter().map(with_scheme).collect::<Vec<_>>())?;
    let event = |user: &&User| {
        AuditEvent::new(user.created_at, details(user), context, Subject::new(SubjectKind::User, user.id))
    };
    audit::record_all(db, &new.iter().map(event).collect::<Vec<_>>())?;
    // Last: until the commit, no failure is counted for anybody.
    clear_names(db, throttles, new.iter().copied()).map(drop)
}
