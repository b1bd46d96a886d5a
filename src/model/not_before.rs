//! Not-befores: one refuses every token issued earlier, however many there are.

use chrono::{DateTime, Utc};

use super::client::ClientId;
use super::id::UserId;
use super::session::Actor;

/// Whose tokens a not-before refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Tokens and sessions of one user.
    User(UserId),
    /// Tokens and sessions that were issued through one client.
    Client(ClientId),
    /// Tokens and sessions of everybody.
    Everybody,
}

/// The words in the database name no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` of `{subject}` is no scope")]
pub struct UnknownScope {
    word: String,
    subject: String,
}

impl Scope {
    /// As it is stored: what kind, and whose.
    #[must_use]
    pub fn words(&self) -> (&'static str, String) {
        match self {
            Self::User(id) => ("user", id.to_string()),
            Self::Client(id) => ("client", id.to_string()),
            Self::Everybody => ("everybody", String::new()),
        }
    }

    /// Reads what [`Scope::words`] says.
    pub fn of_words(word: &str, subject: &str) -> Result<Self, UnknownScope> {
        let scope = match word {
            "user" => subject.parse().ok().map(Self::User),
            "client" => ClientId::parse(subject).ok().map(Self::Client),
            "everybody" if subject.is_empty() => Some(Self::Everybody),
            _ => None,
        };
        scope.ok_or_else(|| UnknownScope { word: word.to_owned(), subject: subject.to_owned() })
    }
}

/// A not-before as it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotBefore {
    /// The user, the client or everybody whose sessions it ends.
    pub scope: Scope,
    /// Those started earlier are refused.
    pub at: DateTime<Utc>,
    /// When it was set.
    pub set_at: DateTime<Utc>,
    /// The party that set it.
    pub set_by: Actor,
    /// The reason that was given with it.
    pub note: Option<String>,
}
