//! What came of this node's renewals: whether the database takes its writes, and whether what it says is believed.
//!
//! A server that was left behind by a failover goes on answering reads, and does not know of ends that were acknowledged
//! elsewhere since. What it cannot do is commit durably: it is read-only, or its synchronous standby is gone. So a check
//! that asks the store is believed where this node could renew its row a moment ago, which is while it holds a lease.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::Coherence;
use crate::clock::uptime;
use crate::store::StoreError;

/// A failure this recent is not tried again for each check that comes.
const FRESH: Duration = Duration::from_millis(200);

/// The renewals of this node, counted.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    /// Whether this process is to be a node.
    are_made: AtomicBool,
    latest: watch::Sender<Latest>,
    wanted: Notify,
}

#[derive(Debug, Clone, Default)]
struct Latest {
    begun: u64,
    ended: u64,
    ended_at: Duration,
    are_over: bool,
    /// What came of the last that ended; `None`: it succeeded.
    fault: Option<StoreError>,
}

impl Renewals {
    pub fn are_made(&self) {
        self.are_made.store(true, Ordering::Release);
    }

    pub fn begin(&self) {
        self.latest.send_modify(|latest| latest.begun += 1);
    }

    pub fn end(&self, fault: Option<StoreError>) {
        self.latest.send_modify(|latest| {
            (latest.ended, latest.ended_at, latest.fault) = (latest.begun, uptime(), fault);
        });
    }

    fn fault(&self) -> Option<StoreError> {
        self.latest.borrow().fault.clone()
    }

    /// There will be no more.
    pub fn stop(&self) {
        self.latest.send_modify(|latest| latest.are_over = true);
    }

    /// Asks for a renewal, and returns when one has succeeded, or one that began since has failed; at once where one failed a
    /// moment ago.
    async fn one_more(&self) {
        let mut latest = self.latest.subscribe();
        let asked = latest.borrow().clone();
        if asked.fault.is_some() && uptime().saturating_sub(asked.ended_at) < FRESH {
            return;
        }
        self.wanted.notify_one();
        let is_told = |latest: &Latest| {
            let has_succeeded = latest.ended > asked.ended && latest.fault.is_none();
            latest.are_over || has_succeeded || latest.ended > asked.begun
        };
        // It fails only without a sender, which is here.
        let _ = latest.wait_for(is_told).await;
    }
}

impl Coherence {
    /// Returns when somebody waits for a renewal.
    pub async fn renewal_wanted(&self) {
        self.inner.renewals.wanted.notified().await;
    }

    /// Whether what the store says decides now. A file has no other copy that is written to; and where the disk is full nobody
    /// can commit an end.
    pub async fn confirm_store(&self) -> Result<(), StoreError> {
        let renewals = &self.inner.renewals;
        let is_node = renewals.are_made.load(Ordering::Acquire);
        if self.store().is_a_file() || !is_node || self.holds_lease() {
            return Ok(());
        }
        let _ = tokio::time::timeout(self.store().wait(), self.until_renewed()).await;
        match renewals.fault() {
            Some(StoreError::Full(_)) => Ok(()),
            Some(fault) => Err(fault),
            None if self.holds_lease() => Ok(()),
            None => Err(StoreError::Unavailable("this node's row cannot be renewed in time".into())),
        }
    }

    /// Returns when the lease is held, or a renewal has failed. One that took as long as the lease is short gives none: on a busy
    /// machine the next may be quicker.
    async fn until_renewed(&self) {
        let renewals = &self.inner.renewals;
        loop {
            renewals.one_more().await;
            let is_decided = self.holds_lease() || renewals.fault().is_some() || renewals.latest.borrow().are_over;
            if is_decided {
                return;
            }
        }
    }

    /// Why writes fail, as the last renewal and the store have it: logins, refreshes and logouts do.
    #[must_use]
    pub fn write_fault(&self) -> Option<StoreError> {
        // A lock that is held passes.
        let fault = self.inner.renewals.fault().filter(|fault| !matches!(fault, StoreError::Busy(_)));
        fault.or_else(|| self.store().is_full().then(|| StoreError::Full("no room for more".into())))
    }

    /// The store may have been left behind: until a renewal shows that it was not, it is not believed.
    pub fn require_store_confirmation(&self) {
        self.inner.lease.give_up();
        self.inner.renewals.wanted.notify_one();
    }
}
