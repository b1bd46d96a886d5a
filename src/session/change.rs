//! A unit of work on sessions that nodes must know of: one of [`coherence`], beside the last uses that this
//! node has not written yet.

use std::sync::Arc;

use super::Sessions;
use super::last_seen::LastSeen;
use crate::coherence;
use crate::model::change::Change;
use crate::model::id::SessionId;
use crate::store::sessions::SessionUse;
use crate::store::{Db, StoreError};

/// The changes that one transaction makes, and what this node has not written yet of what they are about.
#[derive(Debug)]
pub struct Changes<'unit> {
    noted: &'unit mut coherence::Changes,
    last_seen: Arc<LastSeen>,
}

impl Changes<'_> {
    /// Adds a change that every node must apply.
    pub fn note(&mut self, change: Change) {
        self.noted.note(change);
    }

    /// The last use of a session, if it is not written yet.
    pub(super) fn last_use(&self, id: SessionId) -> Option<SessionUse> {
        self.last_seen.of(id)
    }
}

impl Sessions {
    /// Runs a unit of work whose changes hold on every node when this returns.
    pub async fn change<T, E>(
        &self,
        work: impl FnOnce(&mut Db, &mut Changes<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.coherence().change(self.with_last_uses(work)).await
    }

    /// The same without the wait for other nodes: for what is not acknowledged to anybody, or a part of what is. Also says
    /// whether there were changes.
    pub(super) async fn commit<T, E>(
        &self,
        work: impl FnOnce(&mut Db, &mut Changes<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<(T, bool), E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.coherence().commit(self.with_last_uses(work)).await
    }

    /// Waits until what was committed before the call holds on every node.
    pub(crate) async fn wait_for_all_nodes(&self) {
        self.coherence().wait_for_all_nodes().await;
    }

    fn with_last_uses<T, E>(
        &self,
        work: impl FnOnce(&mut Db, &mut Changes<'_>) -> Result<T, E> + Send + 'static,
    ) -> impl FnOnce(&mut Db, &mut coherence::Changes) -> Result<T, E> + Send + 'static {
        let last_seen = Arc::clone(&self.inner.last_seen);
        move |db, noted| work(db, &mut Changes { noted, last_seen })
    }
}
