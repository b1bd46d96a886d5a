//! Clients: applications registered with the server.

use chrono::{DateTime, Utc};

use super::secret::SecretDigest;
use super::words::words;

/// Names a client: 1 to 64 of `a-z 0-9 . _ -`, chosen at registration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct ClientId(String);

/// The text cannot name a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client id has 1 to 64 characters of a-z, 0-9, `.`, `_` and `-`")]
pub struct InvalidClientId;

impl ClientId {
    /// Reads a client id.
    pub fn parse(text: &str) -> Result<Self, InvalidClientId> {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidClientId)
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = InvalidClientId;

    fn try_from(text: String) -> Result<Self, InvalidClientId> {
        Self::parse(&text)
    }
}

impl std::fmt::Display for ClientId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// What a client may ask for.
    pub enum Scope {
        /// Ask whether a token is alive (RFC 7662).
        Introspect = "introspect",
        /// End a session by one of its tokens (RFC 7009).
        Revoke = "revoke",
        /// Listen to sessions starting and ending.
        Events = "events",
    }
}

/// A client as the store knows it.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its id, for ever.
    pub id: ClientId,
    /// What people call it.
    pub name: String,
    /// What it may ask for.
    pub scopes: Vec<Scope>,
    /// SHA-256 of its secret.
    pub secret: SecretDigest,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When its secret was last made anew.
    pub secret_changed_at: DateTime<Utc>,
}
