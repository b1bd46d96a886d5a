//! Registered applications: each operation a method of [`Clients`]. A client's secret is shown once.

use std::sync::Arc;

use serde_json::json;

use crate::clock::Clock;
use crate::model::audit::{AuditEvent, AuditKind, Cause, Subject, SubjectKind};
use crate::model::client::{Client, ClientId, Scope};
use crate::model::secret::Secret;
use crate::store::{Constraint, Page, Store, StoreError, audit, clients};

/// The operations on clients. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clients {
    store: Store,
    clock: Arc<dyn Clock>,
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
    pub const fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Clients by id, those after `after`.
    pub async fn list(&self, after: Option<String>, limit: i64) -> Result<Page<Client>, StoreError> {
        self.store.read(move |db| clients::list(db, after.as_deref(), limit)).await
    }

    /// Registers a client; its secret is returned this once.
    pub async fn register(
        &self,
        id: ClientId,
        name: String,
        scopes: Vec<Scope>,
        cause: &Cause,
    ) -> Result<(Client, Secret), ClientError> {
        let now = self.clock.now();
        let secret = Secret::random();
        let client = Client { id, name, scopes, secret: secret.digest(), created_at: now, secret_changed_at: now };
        let (added, cause) = (client.clone(), cause.clone());
        self.store
            .write(move |db| {
                clients::insert(db, &added)?;
                let event = AuditEvent::new(
                    now,
                    AuditKind::ClientCreated,
                    &cause,
                    Subject::new(SubjectKind::Client, &added.id),
                );
                audit::record(db, &event.with(json!({ "name": added.name, "scopes": added.scopes })))
            })
            .await?;
        Ok((client, secret))
    }

    /// Gives the client a new secret; the old one is void.
    pub async fn rotate_secret(&self, id: ClientId, cause: &Cause) -> Result<Secret, ClientError> {
        let (now, secret, cause) = (self.clock.now(), Secret::random(), cause.clone());
        let digest = secret.digest();
        self.store
            .write(move |db| {
                if !clients::set_secret(db, &id, digest, now)? {
                    return Err(ClientError::NotFound);
                }
                let event = AuditEvent::new(
                    now,
                    AuditKind::ClientSecretRotated,
                    &cause,
                    Subject::new(SubjectKind::Client, &id),
                );
                Ok(audit::record(db, &event)?)
            })
            .await?;
        Ok(secret)
    }

    /// Removes the client; sessions keep its id.
    pub async fn remove(&self, id: ClientId, cause: &Cause) -> Result<(), ClientError> {
        let (now, cause) = (self.clock.now(), cause.clone());
        self.store
            .write(move |db| {
                if !clients::remove(db, &id)? {
                    return Err(ClientError::NotFound);
                }
                let event =
                    AuditEvent::new(now, AuditKind::ClientRemoved, &cause, Subject::new(SubjectKind::Client, &id));
                Ok(audit::record(db, &event)?)
            })
            .await
    }
}
