//! What can go wrong between Vigie and its database. The only place that reads diesel's errors.

use diesel::result::{DatabaseErrorKind, Error};

use crate::model::audit::Reason;
use crate::model::session::EndReason;

/// A unit of work could not be done. There is no "not found" here: absence is `Option`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be asked, or broke off. Nothing is known; answered 503.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The server takes no writes: it is a standby, or was left behind by a failover, and a newer primary may be elsewhere.
    /// What it says decides nothing; answered 503.
    #[error("the database is read-only: {0}")]
    ReadOnly(String),
    /// The disk of the database is full; answered 503.
    #[error("the database has no room: {0}")]
    Full(String),
    /// The database is locked or has no room for another request now; answered 503.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// A unique key is taken.
    #[error("the value is taken: {0:?}")]
    Conflict(Constraint),
    /// A row says something that cannot be; the message names it.
    #[error("the database holds something impossible: {0}")]
    Corrupt(String),
    /// Whoever asked for the work may do so no more; nothing was done.
    #[error(transparent)]
    Overtaken(#[from] Overtaken),
}

/// What happened between the question whether somebody may do something, and doing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overtaken {
    /// The session that asked is over.
    #[error("the session that asked for it is over: {0}")]
    Ended(EndReason),
    /// Its user has another role.
    #[error("the role of who asked for it has changed")]
    NotAllowed,
}

/// How the databases, and the system below them, say that there is no room.
const NO_ROOM: &[&str] =
    &["database or disk is full", "No space left on device", "Disk quota exceeded", "File too large"];

fn tells_no_room(message: &str) -> bool {
    NO_ROOM.iter().any(|words| message.contains(words))
}

/// Whether it tells of a disk that is full.
pub(super) fn is_full(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, information) if tells_no_room(information.message()))
}

/// Which unique key is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraint {
    /// Another user has this id.
    UserId,
    /// Another user has this name.
    Username,
    /// Another client has this id.
    ClientId,
    /// Another signing key is current.
    CurrentKey,
    /// Any other constraint.
    Other,
}

/// A database cannot be opened or migrated.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached, or refuses.
    #[error("the database cannot be opened: {0}")]
    Connect(String),
    /// A migration failed; nothing of it was kept.
    #[error("a migration failed: {0}")]
    Migration(String),
    /// Migrations are missing, and this role does not own the tables.
    #[error(
        "the database lacks the migrations {}, and the role {role} may not apply them: run `vigie migrate` as the owner of \
         the tables",
        .missing.join(", ")
    )]
    MayNotMigrate {
        /// The role of the database that asked.
        role: String,
        /// The names of the missing migrations.
        missing: Vec<String>,
    },
    /// Migrations are missing that no node of an older version survives, and one runs.
    #[error(
        "a node of an older version serves at {address}: stop every such node first, the migrations {} are not for them",
        .missing.join(", ")
    )]
    OlderNode {
        /// The address at which it serves.
        address: String,
        /// The names of the missing migrations.
        missing: Vec<String>,
    },
    /// Others hold the lock under which migrations are applied.
    #[error(
        "the lock under which migrations are applied is held by {0}: wait until that has finished, or end it there"
    )]
    Locked(String),
    /// A pooler in between gives the server's sessions to others between two transactions.
    #[error(
        "the database is reached through a pooler that shares the server's sessions between transactions, where nothing that \
         Vigie sets on a connection lasts: set `pool_mode = session` in PgBouncer for this database, or name the server \
         itself in `[database] url`"
    )]
    SharedSessions,
    /// The database has migrations that this version does not know.
    #[error("the database was made by a newer version of Vigie (unknown migrations: {0})")]
    Newer(String),
    /// Any other fault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information) => {
                let name = information.constraint_name().unwrap_or_else(|| information.message());
                Self::Conflict(Constraint::named(name))
            }
            Error::DatabaseError(DatabaseErrorKind::SerializationFailure, information) => {
                Self::Busy(information.message().to_owned())
            }
            Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, information) => {
                Self::ReadOnly(information.message().to_owned())
            }
            Error::DatabaseError(kind, information) => Self::from_message(kind, information.message()),
            Error::DeserializationError(cause) => Self::Corrupt(cause.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl StoreError {
    /// SQLite reports a held lock, and both databases a full disk, only in words.
    fn from_message(kind: DatabaseErrorKind, message: &str) -> Self {
        let violates = matches!(
            kind,
            DatabaseErrorKind::CheckViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::ForeignKeyViolation
        );
        if violates {
            Self::Corrupt(message.to_owned())
        } else if message.contains("database is locked") || message.contains("database table is locked") {
            Self::Busy(message.to_owned())
        } else if tells_no_room(message) {
            Self::Full(message.to_owned())
        } else {
            Self::Unavailable(message.to_owned())
        }
    }

    /// Why the work was refused to whoever asked for it; `None` where it failed.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Overtaken(Overtaken::Ended(_)) => Some(Reason::SessionEnded),
            Self::Overtaken(Overtaken::NotAllowed) => Some(Reason::NotAllowed),
            Self::Unavailable(_)
            | Self::ReadOnly(_)
            | Self::Full(_)
            | Self::Busy(_)
            | Self::Conflict(_)
            | Self::Corrupt(_) => None,
        }
    }

    /// No connection could be had; libpq says in words where it found no server that takes writes.
    pub(super) fn not_connected(message: &str) -> Self {
        let is_read_only = ["read-only", "hot standby"].iter().any(|words| message.contains(words));
        if is_read_only { Self::ReadOnly(message.to_owned()) } else { Self::Unavailable(message.to_owned()) }
    }

    /// Whether asking again later may help; answered 503.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::ReadOnly(_) | Self::Full(_) | Self::Busy(_))
    }
}

impl Constraint {
    /// PostgreSQL names the constraint; SQLite only the columns, in its message.
    fn named(name: &str) -> Self {
        if name.contains("users_username_folded") || name.contains("users.username_folded") {
            Self::Username
        } else if name.contains("users_pkey") || name.contains("users.id") {
            Self::UserId
        } else if name.contains("clients_pkey") || name.contains("clients.id") {
            Self::ClientId
        } else if name.contains("signing_keys_current") {
            Self::CurrentKey
        } else {
            Self::Other
        }
    }
}
