//! Who is this client? By a secret, compared as a digest in constant time, or by an assertion that it signed (RFC 7523). What it may
//! ask for is for others to say. A client that is unknown and one with a wrong secret get the same answer.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};

use super::Clients;
use crate::key::sha256;
use crate::model::audit::{AuditContext, AuditEvent, Details, Reason, Subject, SubjectKind};
use crate::model::client::{Client, ClientId};
use crate::model::secret::{Secret, SecretDigest, SecretKind};
use crate::model::session::Actor;
use crate::refusals::RefusedRequest;
use crate::store::{StoreError, client_assertions, clients};
use crate::token::client_assertion::{Assertion, Expected, claimed_client, verify};
use crate::token::client_keys::ClientKeys;

/// How a client authenticates (RFC 6749 §2.3, RFC 7523 §2.2).
#[derive(Debug)]
pub enum ClientCredentials {
    /// Its id and its secret (`client_secret_basic`, `client_secret_post`).
    Secret {
        /// The id, as sent.
        id: String,
        /// The secret, as sent.
        secret: SecretString,
    },
    /// An assertion that it signed (`private_key_jwt`), and perhaps its id.
    Assertion {
        /// The id, as sent.
        id: Option<String>,
        /// The assertion, as sent.
        assertion: SecretString,
    },
}

/// Why a client did not authenticate.
#[derive(Debug, thiserror::Error)]
pub enum ClientAuthenticationError {
    /// The client is unknown, or its secret or assertion is wrong: not told which.
    #[error("client authentication failed")]
    Refused,
    /// The same, and too often from this network; how long to wait.
    #[error("too many failed client authentications")]
    Throttled(Duration),
    /// Nothing could be decided.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a client did not authenticate, with the true reason for the record.
enum AuthenticationFailure {
    /// The true reason, and the client where there is one.
    Refused(Reason, Option<Arc<Client>>),
    Store(StoreError),
}

impl From<StoreError> for AuthenticationFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// No secret has this digest.
const NOBODY: SecretDigest = SecretDigest([0; 32]);

impl Clients {
    /// The client that these credentials are of, whose use is noted; or an error, whose true reason is noted for the record:
    /// only then the request is described.
    pub async fn authenticate(
        &self,
        credentials: &ClientCredentials,
        request: impl FnOnce() -> RefusedRequest,
    ) -> Result<Arc<Client>, ClientAuthenticationError> {
        let now = self.now();
        let authenticated = match credentials {
            ClientCredentials::Secret { id, secret } => self.check_secret(id, secret, now).await,
            ClientCredentials::Assertion { id, assertion } => self.check_assertion(id.as_deref(), assertion, now).await,
        };
        match authenticated {
            Ok(client) => {
                self.inner.last_uses.note(&client.id, now);
                Ok(client)
            }
            Err(AuthenticationFailure::Store(error)) => Err(error.into()),
            Err(AuthenticationFailure::Refused(reason, client)) => {
                let request = request();
                self.note_failure(reason, client.as_deref(), &request, now);
                let wait = self.inner.failures.note(request.ip, now);
                Err(wait.map_or(ClientAuthenticationError::Refused, ClientAuthenticationError::Throttled))
            }
        }
    }

    async fn check_secret(
        &self,
        id: &str,
        secret: &SecretString,
        now: DateTime<Utc>,
    ) -> Result<Arc<Client>, AuthenticationFailure> {
        let presented = Secret::parse(SecretKind::ClientSecret, secret.expose_secret()).map(|secret| secret.digest());
        let presented = presented.unwrap_or(NOBODY);
        let Some(client) = self.known(id).await? else {
            let _same_time = NOBODY.matches(&presented);
            return Err(AuthenticationFailure::Refused(Reason::UnknownClient, None));
        };
        if client.has_secret(&presented, now) {
            Ok(client)
        } else {
            Err(AuthenticationFailure::Refused(Reason::WrongSecret, Some(client)))
        }
    }

    async fn check_assertion(
        &self,
        id: Option<&str>,
        assertion: &SecretString,
        now: DateTime<Utc>,
    ) -> Result<Arc<Client>, AuthenticationFailure> {
        let text = assertion.expose_secret();
        let claimed = claimed_client(text).filter(|claimed| id.is_none_or(|id| id == claimed));
        let known = match &claimed {
            Some(claimed) => self.known(claimed).await?,
            None => None,
        };
        let Some(client) = known else { return Err(AuthenticationFailure::Refused(Reason::UnknownClient, None)) };
        let Some(believed) = self.verified(&client, text, now) else {
            return Err(AuthenticationFailure::Refused(Reason::AssertionRefused, Some(client)));
        };
        if self.use_once(&client.id, believed).await? {
            Ok(client)
        } else {
            Err(AuthenticationFailure::Refused(Reason::AssertionReused, Some(client)))
        }
    }

    /// Whether a client that has authenticated is for sure as it was then: whatever changes one, puts another in its place in
    /// memory.
    #[must_use]
    pub fn is_unchanged(&self, client: &Arc<Client>) -> bool {
        let coherence = &self.inner.dependencies.coherence;
        coherence.is_live() && coherence.live().client(&client.id).is_some_and(|known| Arc::ptr_eq(&known, client))
    }

    /// The client with this id: from memory while that may be believed.
    async fn known(&self, id: &str) -> Result<Option<Arc<Client>>, StoreError> {
        let Ok(id) = ClientId::parse(id) else { return Ok(None) };
        let coherence = &self.inner.dependencies.coherence;
        // Before anything is looked up: a lease renewed in between would hide that what was found is old.
        if coherence.is_live() {
            return Ok(coherence.live().client(&id));
        }
        coherence.confirm_store().await?;
        Ok(self.store().read(move |db| clients::find(db, &id)).await?.map(Arc::new))
    }

    /// What an assertion says that one of the client's keys signed.
    fn verified(&self, client: &Client, text: &str, now: DateTime<Utc>) -> Option<Assertion> {
        let keys = ClientKeys::parse(client.jwks.as_deref()?).ok()?;
        let rules = &self.inner.rules;
        let expected =
            Expected { client_id: client.id.as_str(), issuer: &rules.issuer, tolerance: rules.tolerance, now };
        let verified = verify(text, &keys, &expected);
        if let Err(refusal) = &verified {
            tracing::info!(client.id = %client.id, cause = %refusal, "assertion of a client refused");
        }
        verified.ok()
    }

    /// Whether the assertion was not used before, at any node; it has been from now on.
    async fn use_once(&self, id: &ClientId, assertion: Assertion) -> Result<bool, StoreError> {
        let digest = sha256(&[id.as_str().as_bytes(), b"\0", assertion.id.as_bytes()]);
        let note = move |db: &mut _| client_assertions::use_once(db, digest, assertion.expires_at);
        self.store().write_non_durable(note).await
    }

    fn note_failure(&self, reason: Reason, client: Option<&Client>, request: &RefusedRequest, now: DateTime<Utc>) {
        let subject = client.map_or_else(Subject::unknown, |client| Subject::new(SubjectKind::Client, &client.id));
        let context = AuditContext {
            actor: Actor::system("client_authentication"),
            ip: Some(request.ip),
            request_id: Some(request.request_id.clone()),
            acting: None,
        };
        let details = Details::ClientRefused { route: request.route.clone() };
        self.refusals().note(AuditEvent::new(now, details, &context, subject).because(reason));
    }

    /// Forgets assertions that count no more. Returns how many.
    pub async fn prune_assertions(&self) -> Result<usize, StoreError> {
        // A node whose clock is behind still takes them: so they are kept for a while.
        let before = self.now() - crate::token::client_assertion::LONGEST_LIFE;
        self.store().write(move |db| client_assertions::prune(db, before)).await
    }
}
