//! Creates a user.

use secrecy::SecretString;
use serde_json::json;

use super::{UserError, Users, scheme_word};
use crate::model::audit::{AuditEvent, AuditKind, Cause, Subject, SubjectKind};
use crate::model::id::UserId;
use crate::model::user::{Email, Role, User, UserState, Username};
use crate::store::{Db, StoreError, audit, users};

/// A user to be created.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name.
    pub username: Username,
    /// The role.
    pub role: Role,
    /// The password; without one the user sets it with a one-time token.
    pub password: Option<SecretString>,
    /// Where the user is told of a login from a new device.
    pub email: Option<Email>,
}

impl Users {
    /// Creates a user.
    pub async fn create(&self, new: NewUser, cause: &Cause) -> Result<User, UserError> {
        let created = self.try_create(new, cause).await;
        self.noted(created, AuditKind::UserCreated, Subject::unknown(), cause)
    }

    async fn try_create(&self, new: NewUser, cause: &Cause) -> Result<User, UserError> {
        let user = self.new_user(new).await?;
        let (sessions, created, cause) = (self.inner.sessions.clone(), user.clone(), cause.clone());
        self.store()
            .write(move |db| {
                sessions.while_standing_in(db, &cause, |db| insert(db, &created, AuditKind::UserCreated, &cause))
            })
            .await?;
        Ok(user)
    }

    /// A user that is not in the store yet; its password is accepted and hashed.
    pub(super) async fn new_user(&self, new: NewUser) -> Result<User, UserError> {
        let now = self.now();
        let password_hash = match new.password {
            None => None,
            Some(password) => {
                let accepted = self.inner.passwords.accept(&password, new.username.as_str())?;
                Some(self.inner.passwords.hash(accepted).await?)
            }
        };
        Ok(User {
            id: UserId::new(now),
            username: new.username,
            role: new.role,
            state: UserState::Active,
            password_changed_at: password_hash.as_ref().map(|_| now),
            password_hash,
            created_at: now,
            email: new.email,
        })
    }
}

/// Adds the user and the event that says so.
pub(super) fn insert(db: &mut Db, user: &User, kind: AuditKind, cause: &Cause) -> Result<(), StoreError> {
    insert_all(db, &[user], kind, cause)
}

/// The same for many.
pub(super) fn insert_all(db: &mut Db, new: &[&User], kind: AuditKind, cause: &Cause) -> Result<(), StoreError> {
    let with_scheme = |user: &&User| {
        let scheme = user.password_hash.as_ref().and_then(scheme_word);
        users::NewUser { user: (*user).clone(), scheme }
    };
    users::insert_all(db, &new.iter().map(with_scheme).collect::<Vec<_>>())?;
    let event = |user: &&User| {
        let event = AuditEvent::new(user.created_at, kind, cause, Subject::new(SubjectKind::User, user.id));
        event.with(json!({ "username": user.username.as_str(), "role": user.role }))
    };
    audit::record_all(db, &new.iter().map(event).collect::<Vec<_>>())
}
