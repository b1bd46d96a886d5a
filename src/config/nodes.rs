//! `[nodes]`: how nodes check tokens from memory.

use std::time::Duration;

use super::faults::Faults;
use super::setting::section;

/// No node's lease is longer than this, which the column `nodes.lease_ms` also takes for granted.
pub const LONGEST_LEASE: Duration = Duration::from_mins(1);

section! {
    /// `[nodes]`
    pub struct Nodes {
        pub lease: Duration,
        pub live_view: bool,
        pub live_sessions: usize,
    }
}

impl Nodes {
    pub(super) fn check(&self, faults: &mut Faults) {
        let leases = Duration::from_millis(200)..=LONGEST_LEASE;
        faults.require(leases.contains(&self.lease), "nodes.lease", "must be 200ms to 1m");
        faults.require(self.live_sessions >= 1, "nodes.live_sessions", "must be at least 1");
    }
}
