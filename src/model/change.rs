//! Changes: notes, committed with an end or a change of rights, by which nodes keep their live view true.

use super::id::{SessionId, UserId};
use super::words::words;

words! {
    /// What kind of thing a change is about.
    pub enum ChangeKind {
        /// A session.
        Session = "session",
        /// A user.
        User = "user",
        /// The not-befores of clients and of everybody.
        NotBefore = "not_before",
        /// The signing keys.
        Keys = "keys",
        /// The registered clients.
        Clients = "clients",
    }
}

/// What is not as it was. It says where to look, not what is there: applying one twice, or one too many, does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// A session ended, or got other tokens or another name.
    Session(SessionId),
    /// A user got another name, role or state, or a not-before, or was deleted.
    User(UserId),
    /// A not-before of a client or of everybody was set.
    NotBefore,
    /// A signing key was made, retired or revoked.
    Keys,
    /// A client was registered, removed, or given another secret.
    Clients,
}

impl Change {
    /// The kind of thing that changed, which the row in `changes` names.
    #[must_use]
    pub const fn kind(&self) -> ChangeKind {
        match self {
            Self::Session(_) => ChangeKind::Session,
            Self::User(_) => ChangeKind::User,
            Self::NotBefore => ChangeKind::NotBefore,
            Self::Keys => ChangeKind::Keys,
            Self::Clients => ChangeKind::Clients,
        }
    }

    /// The id of the session or user; empty for the others.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::Session(id) => id.to_string(),
            Self::User(id) => id.to_string(),
            Self::NotBefore | Self::Keys | Self::Clients => String::new(),
        }
    }

    /// The change with this kind and subject.
    pub fn read(kind: ChangeKind, subject: &str) -> Result<Self, uuid::Error> {
        Ok(match kind {
            ChangeKind::Session => Self::Session(subject.parse()?),
            ChangeKind::User => Self::User(subject.parse()?),
            ChangeKind::NotBefore => Self::NotBefore,
            ChangeKind::Keys => Self::Keys,
            ChangeKind::Clients => Self::Clients,
        })
    }
}
