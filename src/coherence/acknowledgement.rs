//! The wait for other nodes: an end is acknowledged when every one of them has applied it, or can hold no lease any more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::Coherence;
use super::expiry::{LeaseWatch, outlasting};
use crate::clock::uptime;
use crate::config::LONGEST_LEASE;
use crate::store::nodes::{self, Node};
use crate::store::{Db, StoreError, changes};

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
pub(super) struct AcknowledgementRounds {
    asked: AtomicU64,
    /// Up to which asking a round has succeeded.
    served: AtomicU64,
    under_way: Mutex<()>,
}

impl Coherence {
    /// Numbers the changes that are committed, and notifies the nodes that there are some to read.
    async fn number(&self) -> Result<(), StoreError> {
        self.store().write_autocommit(changes::number).await?;
        if let Err(error) = self.store().notify().await {
            tracing::debug!(cause = %error, "notification not sent");
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

    /// Waits until every node has applied what was committed before the call, or can hold no lease any more.
    ///
    /// Without the store nobody can be asked, so it is tried again until time has done it: a lease that is renewed later is
    /// renewed after reading the change, and any other has run out: the longest that was seen when nodes were looked at last.
    pub async fn wait_for_all_nodes(&self) {
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
        self.metrics().waited_for_nodes(uptime().saturating_sub(began));
    }

    /// How long leases may be. A node without one may not have looked at the others for any time.
    fn longest_lease(&self) -> Duration {
        if self.inner.peers.own().is_some() && !self.inner.lease.is_held() {
            return LONGEST_LEASE;
        }
        self.inner.peers.longest_lease()
    }

    /// Notes that these other nodes were seen, and how long their leases are, for when they cannot be asked.
    pub(super) fn note_peers(&self, seen: &[Node]) {
        self.inner.peers.note(seen, self.inner.rules.lease);
    }

    /// Waits until every other node has applied what is committed now, or has no lease left.
    async fn round(&self) -> Result<(), StoreError> {
        // Where there were others a moment ago, they are told without looking first.
        if !self.has_peers() {
            let own = self.inner.peers.own();
            let others = self.store().read(move |db| nodes::others(db, own)).await?;
            if others.is_empty() {
                return Ok(());
            }
            self.note_peers(&others);
        }
        self.number().await?;
        // Perhaps more than what this waits for: others number as well.
        let head = self.store().read(changes::head).await?.seq;
        let mut behind = self.store().read(move |db| nodes_behind_after_a_while(db, head)).await?;
        let (mut watch, mut pause) = (LeaseWatch::default(), FIRST_PAUSE);
        while !behind.is_empty() {
            for node in watch.run_out(&behind, self.store().connections_made(), uptime()) {
                self.evict(node).await;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            behind = self.store().read(move |db| nodes_behind(db, head)).await?;
        }
        Ok(())
    }

    /// Removes a node whose lease has run out, unless it has moved.
    pub(super) async fn evict(&self, node: Node) {
        match self.store().write(move |db| nodes::evict(db, node.id, node.lease_no)).await {
            Ok(true) => tracing::warn!(node.id = %node.id, "node evicted: it stopped without leaving"),
            Ok(false) => {}
            Err(error) => tracing::warn!(cause = %error, node.id = %node.id, "node not evicted"),
        }
    }

    /// Removes changes that are older than a few minutes and known to every node.
    pub async fn prune_changes(&self) -> Result<usize, StoreError> {
        let before = self.now() - KEPT_FOR;
        self.store().write(move |db| changes::prune(db, before, FORGOTTEN_AT_ONCE)).await
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
