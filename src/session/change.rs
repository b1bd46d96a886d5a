//! Changes that nodes must know of: committed with what they are about, and acknowledged only when no node can answer by
//! what was before (P2, P3).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::seen::LastSeen;
use super::signing::SigningError;
use super::watch::{Watch, outlasting};
use super::{Sessions, milliseconds};
use crate::clock::uptime;
use crate::config::LONGEST_LEASE;
use crate::model::change::Change;
use crate::model::id::{NodeId, SessionId};
use crate::store::changes;
use crate::store::nodes::{self, Node};
use crate::store::sessions::Seen;
use crate::store::{Db, StoreError, not_befores};

/// What nodes take as a rule until they have applied a change, in looks and the pause before each. They are made in one
/// piece: the runtime's timers are late by as much.
const FIRST_LOOKS: u32 = 6;
const SHORT_PAUSE: Duration = Duration::from_micros(500);
/// The pauses between looks at those who take longer.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);
/// The pause before other nodes are asked again, where the store did not answer.
const RETRY: Duration = Duration::from_millis(100);

/// Waits for other nodes. Those who wait at the same time wait together: one round serves all that came before it.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    asked: AtomicU64,
    /// Up to which asking a round has succeeded.
    served: AtomicU64,
    under_way: Mutex<()>,
}

/// The changes that one transaction makes, and what this node has not written yet of what they are about.
#[derive(Debug)]
pub struct Changes {
    noted: Vec<Change>,
    last_seen: Arc<LastSeen>,
}

impl Changes {
    /// Adds one.
    pub fn note(&mut self, change: Change) {
        if self.noted.last() != Some(&change) {
            self.noted.push(change);
        }
    }

    /// The last use of a session, if it is not written yet.
    pub(super) fn last_use(&self, id: SessionId) -> Option<Seen> {
        self.last_seen.of(id)
    }
}

impl Sessions {
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
            self.acknowledged().await;
        }
        Ok(value)
    }

    /// The same without the wait for other nodes: for what is not acknowledged to anybody, or a part of what is. Also says
    /// whether there were changes.
    pub(super) async fn commit<T, E>(
        &self,
        work: impl FnOnce(&mut Db, &mut Changes) -> Result<T, E> + Send + 'static,
    ) -> Result<(T, bool), E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (now, live, last_seen) = (self.now(), Arc::clone(&self.inner.live), Arc::clone(&self.inner.last_seen));
        let sees_nodes = self.node().is_some();
        let (value, noted, nodes, hold) = self
            .store()
            .write(move |db| {
                let mut changes = Changes { noted: Vec::new(), last_seen };
                let value = work(db, &mut changes)?;
                let noted = changes.noted;
                let hold = live.hold(&noted);
                changes::insert(db, &noted, now)?;
                // Who is no node looks at nodes only here; should the store be lost from here on, it knows how long to wait.
                let nodes = if sees_nodes || noted.is_empty() { None } else { Some(nodes::others(db, None)?) };
                // The hold goes with the answer: it is released after the commit, also where nobody waits any more.
                Ok::<_, E>((value, noted, nodes, hold))
            })
            .await?;
        drop(hold);
        if let Some(nodes) = nodes {
            self.note_others(&nodes);
        }
        // What is committed but not applied here is not acknowledged either; the next renewal of the lease applies it.
        self.apply(&noted).await.map_err(StoreError::from)?;
        Ok((value, !noted.is_empty()))
    }

    /// Applies changes to the live view.
    pub(super) async fn apply(&self, noted: &[Change]) -> Result<(), SigningError> {
        if noted.iter().any(|change| matches!(change, Change::Keys | Change::NotBefore)) {
            self.read_what_is_kept_whole().await?;
        }
        for change in noted {
            self.inner.live.apply(*change);
        }
        self.inner.parts.metrics.changes_applied(noted.len());
        Ok(())
    }

    /// Reads the keys, and the not-befores of clients and of everybody, anew.
    pub(super) async fn read_what_is_kept_whole(&self) -> Result<(), SigningError> {
        // One after the other: of two that read at the same time, the older reading must not be taken up last.
        let _turn = self.inner.reading.lock().await;
        let reading = self.inner.live.reading();
        self.signing().reload().await?;
        let all = self.store().read(not_befores::list).await?;
        self.inner.live.cover(&all);
        self.inner.live.has_read(reading);
        Ok(())
    }

    /// Numbers the changes that are committed, and tells the nodes that there are some to read.
    async fn number(&self) -> Result<(), StoreError> {
        self.store().write_alone(changes::number).await?;
        if let Err(error) = self.store().hint().await {
            tracing::debug!(cause = %error, "no hint could be sent");
        }
        Ok(())
    }

    /// The same where it must be done, as a look tells that writes nothing.
    pub(super) async fn number_if_any(&self) -> Result<(), StoreError> {
        if self.store().read(changes::are_unnumbered).await? {
            self.number().await?;
        }
        Ok(())
    }

    /// Returns when what was committed before the call holds on every node.
    ///
    /// Without the store nobody can be asked, so it is tried again until time has done it: a lease that is renewed later is
    /// renewed after reading the change, and any other has run out: the longest that was seen when nodes were looked at last.
    pub async fn acknowledged(&self) {
        let began = uptime();
        let rounds = &self.inner.rounds;
        let number = rounds.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let _under_way = rounds.under_way.lock().await;
        if rounds.served.load(Ordering::SeqCst) < number {
            let upto = rounds.asked.load(Ordering::SeqCst);
            let over = uptime() + outlasting(self.longest_lease());
            while let Err(error) = self.round().await {
                tracing::warn!(cause = %error, "other nodes cannot be asked whether they have applied a change");
                if uptime() >= over {
                    break;
                }
                tokio::time::sleep(RETRY).await;
            }
            rounds.served.fetch_max(upto, Ordering::SeqCst);
        }
        self.inner.parts.metrics.acknowledged(uptime().saturating_sub(began));
    }

    /// The row of this process, while it is a node.
    fn node(&self) -> Option<NodeId> {
        *self.inner.node.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether there were other nodes when this process looked last.
    pub(super) fn has_company(&self) -> bool {
        self.inner.has_company.load(Ordering::Relaxed)
    }

    /// How long leases may be. A node without one may not have looked at the others for any time.
    fn longest_lease(&self) -> Duration {
        if self.node().is_some() && !self.inner.lease.is_held() {
            return LONGEST_LEASE;
        }
        Duration::from_millis(self.inner.longest_lease.load(Ordering::Relaxed))
    }

    /// Notes that these other nodes were seen, and how long their leases are, for when they cannot be asked.
    pub(super) fn note_others(&self, nodes: &[Node]) {
        self.inner.has_company.store(!nodes.is_empty(), Ordering::Relaxed);
        let longest = nodes.iter().map(|node| node.lease).fold(self.inner.live_rules.lease, Duration::max);
        self.inner.longest_lease.store(milliseconds(longest), Ordering::Relaxed);
    }

    /// Waits until every other node has applied what is committed now, or has no lease left.
    async fn round(&self) -> Result<(), StoreError> {
        // Where there were others a moment ago, they are told without looking first.
        if !self.has_company() {
            let own = self.node();
            let others = self.store().read(move |db| nodes::others(db, own)).await?;
            if others.is_empty() {
                return Ok(());
            }
            self.note_others(&others);
        }
        self.number().await?;
        // Perhaps more than what this waits for: others number as well.
        let head = self.store().read(changes::head).await?.seq;
        let mut behind = self.store().read(move |db| nodes_behind_after_a_while(db, head)).await?;
        let (mut watch, mut pause) = (Watch::default(), FIRST_PAUSE);
        while !behind.is_empty() {
            for node in watch.run_out(&behind, self.store().connections_made(), uptime()) {
                self.expel(node).await;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            behind = self.store().read(move |db| nodes_behind(db, head)).await?;
        }
        Ok(())
    }

    /// Removes a node whose lease has run out, unless it has moved.
    pub(super) async fn expel(&self, node: Node) {
        match self.store().write(move |db| nodes::expel(db, node.id, node.lease_no)).await {
            Ok(true) => tracing::warn!(node.id = %node.id, "a node that stopped without a word was expelled"),
            Ok(false) => {}
            Err(error) => tracing::warn!(cause = %error, node.id = %node.id, "a silent node cannot be expelled"),
        }
    }

    /// Removes changes that are older than a few minutes and known to every node.
    pub async fn forget_old_changes(&self) -> Result<usize, StoreError> {
        let before = self.now() - KEPT_FOR;
        self.store().write(move |db| changes::forget(db, before, FORGOTTEN_AT_ONCE)).await
    }
}

/// The nodes that have not applied what is numbered up to `head`. This node's own row counts as well: another process may
/// have committed an end, and died before anybody heard of it.
fn nodes_behind(db: &mut Db, head: i64) -> Result<Vec<Node>, StoreError> {
    let everybody = nodes::others(db, None)?;
    Ok(everybody.into_iter().filter(|node| node.applied_seq < head).collect())
}

/// The same when there are none, or it has taken longer than as a rule.
#[expect(
    clippy::disallowed_methods,
    reason = "on a thread that works for the store, and for three milliseconds at most"
)]
fn nodes_behind_after_a_while(db: &mut Db, head: i64) -> Result<Vec<Node>, StoreError> {
    let mut looks = 0;
    loop {
        std::thread::sleep(SHORT_PAUSE);
        looks += 1;
        let behind = nodes_behind(db, head)?;
        if behind.is_empty() || looks == FIRST_LOOKS {
            return Ok(behind);
        }
    }
}

/// How long changes are kept although every node knows them: for people who look for what happened.
const KEPT_FOR: chrono::TimeDelta = chrono::TimeDelta::minutes(10);
const FORGOTTEN_AT_ONCE: i64 = 20_000;
