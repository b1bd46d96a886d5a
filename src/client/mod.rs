//! Registered applications: each operation a method of [`Clients`]. A client's secret is shown once.

use std::sync::Arc;

use crate::clock::Clock;
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Reason, Subject, SubjectKind};
use crate::model::client::{Client, ClientId, Scope};
use crate::model::secret::Secret;
use crate::refusals::Refusals;
use crate::session::Sessions;
use crate::store::{Constraint, Db, Page, Store, StoreError, audit, clients};

/// The operations on clients. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clients {
    store: Store,
    clock: Arc<dyn Clock>,
    sessions: Sessions,
    refusals: Refusals,
}

/// Why an operation on a client was not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no such client.
    #[error("there is no such client")]
    NotFound,
    /// Another client has this id.
    #[error("the id is taken")]
    IdTaken,
    /// The store cannot be asked.
    #[error(transparent)]
    Store(StoreError),
}

impl ClientError {
    /// Why it was refused; `None` where nothing was decided.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::NotFound => Some(Reason::NotFound),
            Self::IdTaken => Some(Reason::IdTaken),
            Self::Store(error) => error.reason(),
        }
    }
}

impl From<StoreError> for ClientError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(Constraint::ClientId) => Self::IdTaken,
            other => Self::Store(other),
        }
    }
}

impl Clients {
    /// The operations.
    #[must_use]
    pub const fn new(store: Store, clock: Arc<dyn Clock>, sessions: Sessions, refusals: Refusals) -> Self {
        Self { store, clock, sessions, refusals }
    }

    /// Hands an outcome on; a refusal is noted for the record.
    fn noted<T>(
        &self,
        outcome: Result<T, ClientError>,
        operation: AuditKind,
        id: &ClientId,
        context: &AuditContext,
    ) -> Result<T, ClientError> {
        if let Some(reason) = outcome.as_ref().err().and_then(ClientError::reason) {
            self.refusals.note_operation(operation, reason, Subject::new(SubjectKind::Client, id), context);
        }
        outcome
    }

    /// Clients by id, those after `after`.
    pub async fn list(&self, after: Option<ClientId>, limit: i64) -> Result<Page<Client, ClientId>, StoreError> {
        self.store.read(move |db| clients::list(db, after.as_ref(), limit)).await
    }

    /// Registers a client; its secret is returned this once.
    pub async fn register(
        &self,
        id: ClientId,
        name: String,
        scopes: Vec<Scope>,
        context: &AuditContext,
    ) -> Result<(Client, Secret), ClientError> {
        let now = self.clock.now();
        let secret = Secret::random();
        let client = Client { id, name, scopes, secret: secret.digest(), created_at: now, secret_changed_at: now };
        let (sessions, added, asked_by, context) = (self.sessions.clone(), client.clone(), context, context.clone());
        let registered = self
            .store
            .write(move |db| {
                sessions.while_allowed_in(db, &context, |db| clients::insert(db, &added))?;
                let subject = Subject::new(SubjectKind::Client, &added.id);
                let details = Details::ClientCreated { name: added.name, scopes: added.scopes };
                Ok(audit::record(db, &AuditEvent::new(now, details, &context, subject))?)
            })
            .await;
        self.noted(registered, AuditKind::ClientCreated, &client.id, asked_by)?;
        Ok((client, secret))
    }

    /// Gives the client a new secret; the old one is void.
    pub async fn rotate_secret(&self, id: ClientId, context: &AuditContext) -> Result<Secret, ClientError> {
        let (now, secret, asked_by, context) = (self.clock.now(), Secret::random(), context, context.clone());
        let (sessions, digest, asked_for) = (self.sessions.clone(), secret.digest(), id.clone());
        let rotated = self
            .store
            .write(move |db| {
                if !sessions.while_allowed_in(db, &context, |db| clients::set_secret(db, &id, digest, now))? {
                    return Err(ClientError::NotFound);
                }
                let subject = Subject::new(SubjectKind::Client, &id);
                Ok(audit::record(db, &AuditEvent::new(now, Details::ClientSecretRotated {}, &context, subject))?)
            })
            .await;
        self.noted(rotated, AuditKind::ClientSecretRotated, &asked_for, asked_by)?;
        Ok(secret)
    }

    /// Removes the client. Its sessions end, and keep its id.
    pub async fn remove(&self, id: ClientId, context: &AuditContext) -> Result<(), ClientError> {
        let (now, removed, by) = (self.clock.now(), id.clone(), context.clone());
        let remove = move |db: &mut Db, ended: i64| {
            if !clients::remove(db, &removed, now)? {
                return Err(ClientError::NotFound);
            }
            let (details, subject) =
                (Details::ClientRemoved { sessions_ended: ended }, Subject::new(SubjectKind::Client, &removed));
            Ok(audit::record(db, &AuditEvent::new(now, details, &by, subject))?)
        };
        let removed = self.sessions.end_with_client(id.clone(), context.clone(), remove).await;
        self.noted(removed, AuditKind::ClientRemoved, &id, context)
    }
}
