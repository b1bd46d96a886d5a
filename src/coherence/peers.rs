//! What this process knows of the other nodes, for when they cannot be asked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::config::LONGEST_LEASE;
use crate::model::id::NodeId;
use crate::store::nodes::Node;

/// The nodes beside this one, as they were seen last.
#[derive(Debug)]
pub(super) struct Peers {
    /// The row by which others know this process, while it has one.
    own: Mutex<Option<NodeId>>,
    are_there: AtomicBool,
    /// The longest lease that any node may hold, in milliseconds.
    longest_lease: AtomicU64,
}

impl Default for Peers {
    /// Before anybody looked: leases may be as long as any.
    fn default() -> Self {
        Self {
            own: Mutex::default(),
            are_there: AtomicBool::new(false),
            longest_lease: AtomicU64::new(milliseconds(LONGEST_LEASE)),
        }
    }
}

impl Peers {
    /// The row of this process, while it is a node.
    pub fn own(&self) -> Option<NodeId> {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This process is a node from now on, or is none any more.
    pub fn set_own(&self, own: Option<NodeId>) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = own;
    }

    /// Whether there were others when they were looked at last.
    pub fn are_there(&self) -> bool {
        self.are_there.load(Ordering::Relaxed)
    }

    /// Whether there are others, and not how long their leases are: one that joins in this moment may not be among them.
    pub fn note_presence(&self, are_there: bool) {
        self.are_there.store(are_there, Ordering::Relaxed);
    }

    /// These were seen, beside a node whose own leases are so long.
    pub fn note(&self, seen: &[Node], own_lease: Duration) {
        self.note_presence(!seen.is_empty());
        let longest = seen.iter().map(|node| node.lease).fold(own_lease, Duration::max);
        self.longest_lease.store(milliseconds(longest), Ordering::Relaxed);
    }

    /// They could not be looked at: there may be some by now whose leases are longer.
    pub fn note_unseen(&self) {
        self.longest_lease.store(milliseconds(LONGEST_LEASE), Ordering::Relaxed);
    }

    /// The longest lease that was seen when they were looked at last.
    pub fn longest_lease(&self) -> Duration {
        Duration::from_millis(self.longest_lease.load(Ordering::Relaxed))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
