//! Accounts: created, imported, changed, given a password; sessions end where they must. One operation, one file, each a
//! method of [`Users`].

pub mod change;
pub mod create;
pub mod erase;
pub mod find;
pub mod import;
mod lift_throttle;
mod names_in_history;
pub mod password;
pub mod setup;
pub mod unrecognised_login;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::alert::Alerts;
use crate::authentication::Authentication;
use crate::clock::Clock;
use crate::credential::password::{HashingError, Passwords, Unacceptable};
use crate::credential::scheme::Scheme;
use crate::credential::throttle::ThrottleDigests;
use crate::model::audit::{AuditContext, AuditKind, Reason, Subject};
use crate::model::user::{PasswordHash, RolePolicy};
use crate::refusals::Refusals;
use crate::session::Sessions;
use crate::signed_removal::RemovalKey;
use crate::store::{Constraint, Store, StoreError, users};
use crate::vault::Vault;

/// How long a one-time token is good for (ASVS 6.4.1): an administrator hands it over, so hours, not minutes.
pub const ONE_TIME_TOKEN_LIFE: TimeDelta = TimeDelta::hours(24);

/// The operations on users. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Users {
    inner: Arc<Dependencies>,
}

/// What the operations stand on.
#[derive(Debug)]
pub struct Dependencies {
    /// Reads and writes the database.
    pub store: Store,
    /// Tells the time of day, in UTC.
    pub clock: Arc<dyn Clock>,
    /// Accepts, hashes and compares passwords.
    pub passwords: Passwords,
    /// Makes the keys that throttling is counted under.
    pub throttles: ThrottleDigests,
    /// Seals the names of those who are being erased.
    pub vault: Vault,
    /// The roles with the permissions `admin` and `auditor`, by `[roles]`.
    pub roles: RolePolicy,
    /// Whether a change of role ends sessions.
    pub end_on_role_change: bool,
    /// Notes the logins that users report.
    pub alerts: Alerts,
    /// Says whether the present password was shown.
    pub authentication: Authentication,
    /// Notes what was refused.
    pub refusals: Refusals,
    /// Ends the sessions of users who are changed or deleted.
    pub sessions: Sessions,
    /// Signs what says that a person was erased.
    pub removal_key: Arc<RemovalKey>,
}

/// Why an operation on a user was not done.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is no such user.
    #[error("there is no such user")]
    NotFound,
    /// Another user has this name.
    #[error("the name is taken")]
    NameTaken,
    /// Another user has this id.
    #[error("the id is taken")]
    IdTaken,
    /// Nobody would be left to administer the server (ADM-08).
    #[error("this is the last active administrator")]
    LastAdministrator,
    /// The password does not meet the policy; the message says why.
    #[error("{0}")]
    Unacceptable(#[from] Unacceptable),
    /// Too many passwords are being hashed.
    #[error("too many passwords are being hashed")]
    Busy,
    /// The store cannot be asked.
    #[error(transparent)]
    Store(StoreError),
}

impl UserError {
    /// Why it was refused; `None` where nothing was decided.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::NotFound => Some(Reason::NotFound),
            Self::NameTaken => Some(Reason::NameTaken),
            Self::IdTaken => Some(Reason::IdTaken),
            Self::LastAdministrator => Some(Reason::LastAdministrator),
            Self::Unacceptable(_) => Some(Reason::UnacceptablePassword),
            Self::Busy => None,
            Self::Store(error) => error.reason(),
        }
    }
}

impl From<StoreError> for UserError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(Constraint::Username) => Self::NameTaken,
            StoreError::Conflict(Constraint::UserId) => Self::IdTaken,
            other => Self::Store(other),
        }
    }
}

impl From<HashingError> for UserError {
    fn from(_: HashingError) -> Self {
        Self::Busy
    }
}

impl Users {
    /// The operations on accounts.
    #[must_use]
    pub fn new(dependencies: Dependencies) -> Self {
        Self { inner: Arc::new(dependencies) }
    }

    fn store(&self) -> &Store {
        &self.inner.store
    }

    fn now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    /// Hands an outcome on; a refusal is noted for the record.
    fn noted<T>(
        &self,
        outcome: Result<T, UserError>,
        operation: AuditKind,
        subject: Subject,
        context: &AuditContext,
    ) -> Result<T, UserError> {
        if let Some(reason) = outcome.as_ref().err().and_then(UserError::reason) {
            self.inner.refusals.note_operation(operation, reason, subject, context);
        }
        outcome
    }

    /// The roles with the permissions `admin` and `auditor`.
    #[must_use]
    pub fn roles(&self) -> &RolePolicy {
        &self.inner.roles
    }

    /// Tells the password comparison which kinds of hashes are stored, so that it costs the same for everybody.
    pub async fn refresh_schemes(&self) -> Result<(), StoreError> {
        let stored = self.store().read(users::password_schemes).await?;
        self.inner.passwords.set_schemes(stored.iter().filter_map(|scheme| scheme.parse().ok()));
        Ok(())
    }
}

/// The stable word for the kind and cost of a hash that Vigie made or accepted.
fn scheme_word(hash: &PasswordHash) -> Option<String> {
    Scheme::of(hash).ok().map(|scheme| scheme.to_string())
}
