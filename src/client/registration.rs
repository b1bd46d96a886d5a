//! Register a client, give it another secret, remove it. Nodes know clients from memory: each of these holds on every node when it
//! is answered.

use chrono::{DateTime, TimeDelta, Utc};

use super::{ClientError, Clients};
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Subject, SubjectKind};
use crate::model::change::Change;
use crate::model::client::{Audiences, Client, ClientId, PreviousSecret, Scope};
use crate::model::secret::Secret;
use crate::session::issue::FIRST_PARTY;
use crate::store::{Db, audit, clients};
use crate::token::client_keys::ClientKeys;

/// A client to be registered.
#[derive(Debug)]
pub struct NewClient {
    /// Its id, for ever.
    pub id: ClientId,
    /// What people call it.
    pub name: String,
    /// What it may ask for.
    pub scopes: Vec<Scope>,
    /// Whose tokens it may ask about; `None`: those of `[tokens] audience`.
    pub audiences: Option<Audiences>,
    /// The public keys by which it may authenticate (`private_key_jwt`).
    pub keys: Option<ClientKeys>,
}

/// A client's new secret.
#[derive(Debug)]
pub struct NewSecret {
    /// It is shown this once.
    pub secret: Secret,
    /// Until when the one before counts as well.
    pub previous_until: Option<DateTime<Utc>>,
}

impl NewClient {
    fn event(&self) -> Details {
        Details::ClientCreated {
            name: self.name.clone(),
            scopes: self.scopes.clone(),
            audiences: self.audiences.clone(),
            keys: self.keys.as_ref().map(ClientKeys::count),
        }
    }

    fn client(self, secret: &Secret, now: DateTime<Utc>) -> Client {
        Client {
            id: self.id,
            name: self.name,
            scopes: self.scopes,
            audiences: self.audiences,
            jwks: self.keys.map(ClientKeys::into_text),
            secret: secret.digest(),
            previous_secret: None,
            created_at: now,
            secret_changed_at: now,
            last_used_at: None,
        }
    }
}

impl Clients {
    /// Registers a client; its secret is returned this once.
    pub async fn register(&self, new: NewClient, context: &AuditContext) -> Result<(Client, Secret), ClientError> {
        let (now, secret, details) = (self.now(), Secret::random(), new.event());
        let client = new.client(&secret, now);
        let registered = self.insert(&client, details, context).await;
        self.noted(registered, AuditKind::ClientCreated, &client.id, context)?;
        Ok((client, secret))
    }

    async fn insert(&self, client: &Client, details: Details, context: &AuditContext) -> Result<(), ClientError> {
        // Tokens of logins without a client name Vigie itself: nobody else is called so, nor like what is no client.
        if client.id.as_str() == FIRST_PARTY || client.id.means_something_else() {
            return Err(ClientError::IdTaken);
        }
        let subject = Subject::new(SubjectKind::Client, &client.id);
        let event = AuditEvent::new(client.created_at, details, context, subject);
        let sessions = &self.inner.dependencies.sessions;
        let (added, context, allowed) = (client.clone(), context.clone(), sessions.clone());
        let insert = sessions.change(move |db, changes| {
            changes.note(Change::Clients);
            allowed.while_allowed_in(db, &context, |db| clients::insert(db, &added))?;
            Ok(audit::record(db, &event)?)
        });
        insert.await
    }

    /// Gives the client a new secret. The one before counts for `[clients] secret_overlap`, or is void at once where `void_old`
    /// says so; whatever there was before that is void in any case.
    pub async fn rotate_secret(
        &self,
        id: ClientId,
        void_old: bool,
        context: &AuditContext,
    ) -> Result<NewSecret, ClientError> {
        let (now, secret) = (self.now(), Secret::random());
        let overlap = self.inner.rules.secret_overlap;
        let previous_until = (!void_old && overlap > TimeDelta::zero()).then(|| now + overlap);
        let details = Details::ClientSecretRotated { previous_until };
        let event = AuditEvent::new(now, details, context, Subject::new(SubjectKind::Client, &id));
        let sessions = &self.inner.dependencies.sessions;
        let (digest, asked_for, by, allowed) = (secret.digest(), id.clone(), context.clone(), sessions.clone());
        let rotate = sessions.change(move |db, changes| {
            changes.note(Change::Clients);
            let rotate = |db: &mut Db| {
                // Of two rotations at once, the second finds what the first has made.
                clients::lock(db, &asked_for)?;
                let Some(client) = clients::find(db, &asked_for)? else { return Err(ClientError::NotFound) };
                let previous = previous_until.map(|until| PreviousSecret { digest: client.secret, until });
                Ok(clients::set_secret(db, &asked_for, digest, previous, now)?)
            };
            allowed.while_allowed_in(db, &by, rotate)?;
            Ok(audit::record(db, &event)?)
        });
        self.noted(rotate.await, AuditKind::ClientSecretRotated, &id, context)?;
        Ok(NewSecret { secret, previous_until })
    }

    /// Removes the client. Its sessions end, and keep its id.
    pub async fn remove(&self, id: ClientId, context: &AuditContext) -> Result<(), ClientError> {
        let (now, removed, by) = (self.now(), id.clone(), context.clone());
        let remove = move |db: &mut Db, ended: i64| {
            if !clients::remove(db, &removed, now)? {
                return Err(ClientError::NotFound);
            }
            let (details, subject) =
                (Details::ClientRemoved { sessions_ended: ended }, Subject::new(SubjectKind::Client, &removed));
            Ok(audit::record(db, &AuditEvent::new(now, details, &by, subject))?)
        };
        let removed = self.inner.dependencies.sessions.end_with_client(id.clone(), context.clone(), remove).await;
        self.noted(removed, AuditKind::ClientRemoved, &id, context)
    }
}
