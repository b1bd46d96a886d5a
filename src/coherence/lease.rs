//! The lease: a node's permission, for a short time, to answer checks from its live view.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::uptime;

/// Until when the live view may be used. No wall clock takes part.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// Nanoseconds of uptime; 0: none is held.
    until: AtomicU64,
}

impl Lease {
    /// Whether it is held. Ask before looking anything up: a lease renewed in between would hide that what was found is old.
    pub fn is_held(&self) -> bool {
        let until = self.until.load(Ordering::Acquire);
        until != 0 && nanoseconds(uptime()) < until
    }

    /// How long the lease still lasts; zero where none is held.
    pub fn left(&self) -> Duration {
        Duration::from_nanos(self.until.load(Ordering::Acquire)).saturating_sub(uptime())
    }

    /// Holds it until this uptime.
    pub fn extend_to(&self, until: Duration) {
        self.until.store(nanoseconds(until), Ordering::Release);
    }

    /// Gives it up: until it is renewed, the store answers.
    pub fn give_up(&self) {
        self.until.store(0, Ordering::Release);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
