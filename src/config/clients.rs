//! `[clients]`: registered applications.

use std::time::Duration;

use super::DAY;
use super::faults::Faults;
use super::setting::section;

section! {
    /// `[clients]`
    pub struct Clients {
        pub secret_overlap: Duration,
    }
}

impl Clients {
    pub(super) fn check(&self, faults: &mut Faults) {
        faults.require(self.secret_overlap <= 30 * DAY, "clients.secret_overlap", "must be at most 30d");
    }
}
