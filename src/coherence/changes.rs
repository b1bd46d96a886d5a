//! Changes that nodes must know of: committed with what they are about, behind a write barrier on this node's live view, and
//! acknowledged only when no node can answer by what was before (P2, P3).

use std::future::Future;
use std::sync::Arc;

use super::Coherence;
use crate::model::change::Change;
use crate::signing_keys::SigningError;
use crate::store::{Db, StoreError, changes, clients, nodes, not_befores};

/// The changes that one transaction makes.
#[derive(Debug, Default)]
pub struct Changes {
    noted: Vec<Change>,
}

impl Changes {
    /// Adds a change that every node must apply.
    pub fn note(&mut self, change: Change) {
        if self.noted.last() != Some(&change) {
            self.noted.push(change);
        }
    }
}

impl Coherence {
    /// Runs a unit of work whose changes hold on every node when this returns.
    pub async fn change<T, E>(
        &self,
        work: impl FnOnce(&mut Db, &mut Changes) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (value, has_changed) = self.commit(work).await?;
        if has_changed {
            self.wait_for_all_nodes().await;
        }
        Ok(value)
    }

    /// The same without the wait for other nodes: for what is not acknowledged to anybody, or a part of what is. Also says
    /// whether there were changes.
    pub async fn commit<T, E>(
        &self,
        work: impl FnOnce(&mut Db, &mut Changes) -> Result<T, E> + Send + 'static,
    ) -> Result<(T, bool), E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (now, live) = (self.now(), Arc::clone(&self.inner.live));
        let sees_nodes = self.inner.peers.own().is_some();
        let (value, noted, nodes, barrier) = self
            .store()
            .write(move |db| {
                let mut changes = Changes::default();
                let value = work(db, &mut changes)?;
                let noted = changes.noted;
                let barrier = live.raise_barrier(&noted);
                changes::insert(db, &noted, now)?;
                // Who is no node looks at nodes only here; should the store be lost from here on, it knows how long to wait.
                let nodes = if sees_nodes || noted.is_empty() { None } else { Some(nodes::others(db, None)?) };
                // The barrier goes with the answer: it falls after the commit, also where nobody waits any more.
                Ok::<_, E>((value, noted, nodes, barrier))
            })
            .await?;
        drop(barrier);
        if let Some(nodes) = nodes {
            self.note_peers(&nodes);
        }
        // What is committed but not applied here is not acknowledged either; the next renewal of the lease applies it.
        self.apply(&noted).await.map_err(StoreError::from)?;
        Ok((value, !noted.is_empty()))
    }

    /// Changes the signing keys while the live view is not used, then reads them anew; returns when the change holds on every
    /// node.
    pub async fn change_keys<T>(
        &self,
        change: impl Future<Output = Result<T, SigningError>>,
    ) -> Result<T, SigningError> {
        let barrier = self.inner.live.raise_barrier(&[Change::Keys]);
        let changed = change.await;
        drop(barrier);
        self.reload().await?;
        let changed = changed?;
        self.wait_for_all_nodes().await;
        Ok(changed)
    }

    /// Applies changes to the live view.
    pub(super) async fn apply(&self, noted: &[Change]) -> Result<(), SigningError> {
        if noted.iter().any(|change| matches!(change, Change::Keys | Change::NotBefore | Change::Clients)) {
            self.reload().await?;
        }
        for change in noted {
            self.inner.live.apply(*change);
        }
        self.metrics().changes_applied(noted.len());
        Ok(())
    }

    /// Reads what the live view keeps whole: the keys, the clients, and the not-befores of clients and of everybody.
    pub(super) async fn reload(&self) -> Result<(), SigningError> {
        // One after the other: of two that read at the same time, the older reading must not be taken up last.
        let _turn = self.inner.reading.lock().await;
        let reading = self.inner.live.reading();
        self.inner.dependencies.signing.reload().await?;
        let read = |db: &mut Db| Ok::<_, StoreError>((not_befores::list(db)?, clients::all(db)?));
        let (not_befores, clients) = self.store().read(read).await?;
        self.inner.live.set_cut_offs(&not_befores);
        self.inner.live.set_clients(clients);
        self.inner.live.has_read(reading);
        Ok(())
    }
}
