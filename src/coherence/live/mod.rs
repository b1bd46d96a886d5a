//! The live view: this node's picture of sessions and users, by which the check is answered without the store.
//!
//! It may be used while the node holds a lease (`coherence::lease`), and changes keep it true (`coherence::changes`). What is
//! not in it is read from the store; that it is bounded only costs reads.

mod map;
mod session;
mod versioned_cache;
/// The locks and counters of `map`, named here so that a test can put others in their place and try every order.
mod sync {
    pub use std::sync::atomic::{AtomicU32, Ordering};
    pub use std::sync::{Mutex, MutexGuard, PoisonError};
}
mod verified;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};

pub use map::{Map, PendingLoad};
pub use session::LiveSession;
pub use verified::{Digest, Found, Named, Verified, VerifiedTokens};

use crate::model::change::Change;
use crate::model::client::{Client, ClientId};
use crate::model::id::{SessionId, UserId};
use crate::model::not_before::{NotBefore, Scope};
use crate::model::user::UserStatus;

/// A user as the live view keeps them.
#[derive(Debug)]
pub struct LiveUser {
    /// Name, role and state now; `None` if deleted.
    pub status: Option<Arc<UserStatus>>,
    /// Tokens issued before this are refused.
    pub not_before: Option<DateTime<Utc>>,
}

/// The not-befores that cover many: few, so all of them are kept.
#[derive(Debug, Default)]
struct CutOffs {
    everybody: Option<DateTime<Utc>>,
    clients: HashMap<String, DateTime<Utc>>,
}

/// What this node knows from memory: live sessions, their users, and what else a check depends on.
#[derive(Debug)]
pub struct LiveView {
    /// Sessions that were asked for, ended ones too.
    pub sessions: Map<SessionId, Arc<LiveSession>>,
    /// The users of the sessions.
    pub users: Map<UserId, Arc<LiveUser>>,
    /// Access tokens whose signatures were verified already, by their digests.
    pub tokens: VerifiedTokens,
    cut_offs: RwLock<Arc<CutOffs>>,
    /// Registered applications: few, so all of them are kept.
    clients: RwLock<HashMap<ClientId, Arc<Client>>>,
    /// Which reading of the not-befores, clients and keys is wanted, and which there has been.
    wanted: AtomicU64,
    read: AtomicU64,
}

/// Keeps what a transaction is about to change out of the picture, from before its commit until after. Whoever comes
/// meanwhile asks the store, so that an end that finds the session ended already need not know how far that end has come.
#[derive(Debug)]
pub struct WriteBarrier {
    view: Arc<LiveView>,
    changes: Vec<Change>,
}

impl Drop for WriteBarrier {
    fn drop(&mut self) {
        for change in &self.changes {
            match change {
                Change::Session(id) => self.view.sessions.lower_barrier(*id),
                Change::User(id) => self.view.users.lower_barrier(*id),
                // Whatever was read until now may be from before the commit.
                Change::Keys | Change::NotBefore | Change::Clients => self.view.want_reading(),
            }
        }
    }
}

impl LiveView {
    /// An empty picture of at most `capacity` sessions, as many users and as many tokens.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            sessions: Map::new(capacity),
            users: Map::new(capacity),
            tokens: VerifiedTokens::new(capacity),
            cut_offs: RwLock::default(),
            clients: RwLock::default(),
            wanted: AtomicU64::new(0),
            read: AtomicU64::new(0),
        }
    }

    /// The session and user of a credential, if both are in the picture. What was found for it before is used as long as
    /// neither has been forgotten since.
    #[must_use]
    pub fn find(&self, named: &Named, before: Option<&Found>) -> Option<Found> {
        let versions = (self.sessions.version(&named.session_id), self.users.version(&named.subject));
        if let Some(found) = before.filter(|found| found.versions == versions) {
            return Some(found.clone());
        }
        let (session, user) = (self.sessions.get(&named.session_id)?, self.users.get(&named.subject)?);
        Some(Found { session, user, versions })
    }

    /// Keeps out of the picture what is about to change.
    pub fn raise_barrier(self: &Arc<Self>, changes: &[Change]) -> WriteBarrier {
        for change in changes {
            match change {
                Change::Session(id) => self.sessions.raise_barrier(*id),
                Change::User(id) => self.users.raise_barrier(*id),
                Change::Keys | Change::NotBefore | Change::Clients => self.want_reading(),
            }
        }
        WriteBarrier { view: Arc::clone(self), changes: changes.to_vec() }
    }

    /// Whether the not-befores, clients and keys were read since they changed here. Until then the picture is not used.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.read.load(Ordering::SeqCst) >= self.wanted.load(Ordering::SeqCst)
    }

    fn want_reading(&self) {
        self.wanted.fetch_add(1, Ordering::SeqCst);
    }

    /// Which reading is about to be made: ask before the store is asked.
    #[must_use]
    pub fn reading(&self) -> u64 {
        self.wanted.load(Ordering::SeqCst)
    }

    /// The reading has been made, of keys, clients and not-befores.
    pub fn has_read(&self, reading: u64) {
        self.read.fetch_max(reading, Ordering::SeqCst);
    }

    /// Forgets what a change is about. Keys, clients and not-befores are kept whole: the caller reads them anew.
    pub fn apply(&self, change: Change) {
        match change {
            Change::Session(id) => self.sessions.invalidate(&id),
            Change::User(id) => self.users.invalidate(&id),
            Change::Keys => self.tokens.clear(),
            Change::NotBefore | Change::Clients => {}
        }
    }

    /// Forgets every session, user and verified token.
    pub fn clear(&self) {
        self.sessions.clear();
        self.users.clear();
        self.tokens.clear();
    }

    /// Takes up the not-befores of clients and of everybody, as the store has them now.
    pub fn set_cut_offs(&self, not_befores: &[NotBefore]) {
        let mut cut_offs = CutOffs::default();
        for not_before in not_befores {
            match &not_before.scope {
                Scope::Everybody => cut_offs.everybody = Some(not_before.at),
                Scope::Client(id) => drop(cut_offs.clients.insert(id.as_str().to_owned(), not_before.at)),
                Scope::User(_) => {}
            }
        }
        *self.cut_offs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(cut_offs);
    }

    /// Takes up the clients, as the store has them now.
    pub fn set_clients(&self, clients: Vec<Client>) {
        let clients = clients.into_iter().map(|client| (client.id.clone(), Arc::new(client))).collect();
        *self.clients.write().unwrap_or_else(PoisonError::into_inner) = clients;
    }

    /// The client with this id.
    #[must_use]
    pub fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The latest not-before that covers a session: the highest of the user's, the client's and everybody's.
    #[must_use]
    pub fn not_before(&self, session: &LiveSession, user: &LiveUser) -> Option<DateTime<Utc>> {
        let cut_offs = self.cut_offs.read().unwrap_or_else(PoisonError::into_inner);
        let of_client = session.client_id().and_then(|id| cut_offs.clients.get(id)).copied();
        user.not_before.max(cut_offs.everybody).max(of_client)
    }
}
