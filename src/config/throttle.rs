//! `[throttle]`: what failed logins cost.

use std::time::Duration;

use super::DAY;
use super::faults::Faults;
use super::setting::section;

/// More failures than this from one address, or in a row on one account before anybody waits, are no limit.
const NO_LIMIT: u32 = 1000;

/// No server sees so many failures in a day.
const NEVER_SEEN: u32 = 1_000_000;

section! {
    /// `[throttle]`
    pub struct Throttle {
        pub free_failures: u32,
        pub first_delay: Duration,
        pub max_delay: Duration,
        pub daily_failures: u32,
        pub locked_after: u32,
        pub address_failures: u32,
        pub network_failures: u32,
        pub window: Duration,
        pub overall_failures: u32,
        pub overall_delay: Duration,
    }
}

impl Throttle {
    pub(super) fn check(&self, faults: &mut Faults) {
        faults.require(self.free_failures >= 1, "throttle.free_failures", "must be at least 1");
        faults.require(
            self.first_delay <= self.max_delay,
            "throttle.first_delay",
            "must not be longer than throttle.max_delay",
        );
        faults.require(self.max_delay <= DAY, "throttle.max_delay", "must be at most 24h");
        faults.require((1..=50).contains(&self.locked_after), "throttle.locked_after", "must be 1 to 50");
        faults.require(self.address_failures >= 1, "throttle.address_failures", "must be at least 1");
        faults.require(self.network_failures >= 1, "throttle.network_failures", "must be at least 1");
        faults.require(!self.window.is_zero(), "throttle.window", "must be longer than zero");
        faults.require(
            self.overall_delay <= self.window,
            "throttle.overall_delay",
            "must not be longer than throttle.window",
        );
    }

    pub(super) fn weaknesses(&self, weak: &mut Faults) {
        let is_open = self.first_delay.is_zero() || self.free_failures >= self.locked_after;
        weak.add_if(is_open, "throttle.first_delay", "whoever guesses a password does not wait");
        let is_short = self.first_delay < Duration::from_millis(100);
        weak.add_if(is_short, "throttle.first_delay", "below 100ms: whoever guesses a password hardly waits");
        let is_short = self.max_delay < Duration::from_secs(1);
        weak.add_if(is_short, "throttle.max_delay", "whoever guesses a password hardly waits");
        weak.add_if(self.daily_failures == 0, "throttle.daily_failures", "no limit of failures a day");
        weak.add_if(
            self.overall_failures == 0,
            "throttle.overall_failures",
            "no limit of failures of the whole server",
        );
        let never = "so many that the limit is never reached";
        weak.add_if(self.daily_failures > NEVER_SEEN, "throttle.daily_failures", never);
        weak.add_if(self.overall_failures > NEVER_SEEN, "throttle.overall_failures", never);
        let is_off = self.overall_delay.is_zero();
        weak.add_if(is_off, "throttle.overall_delay", "nobody waits when the whole server has too many failures");
        let is_short = self.window < Duration::from_mins(1);
        weak.add_if(is_short, "throttle.window", "below a minute: failures are forgotten before they are many");
        let many = "so many that an address or network is never closed";
        weak.add_if(self.address_failures > NO_LIMIT, "throttle.address_failures", many);
        weak.add_if(self.network_failures > 10 * NO_LIMIT, "throttle.network_failures", many);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::support::{assert_each_weak, weak};

    #[test]
    fn a_throttle_that_hardly_throttles_is_weak() {
        assert_each_weak(&[
            ("VIGIE__THROTTLE__FIRST_DELAY", "0s", "throttle.first_delay"),
            ("VIGIE__THROTTLE__FIRST_DELAY", "99ms", "throttle.first_delay"),
            ("VIGIE__THROTTLE__FREE_FAILURES", "50", "throttle.first_delay"),
            ("VIGIE__THROTTLE__DAILY_FAILURES", "0", "throttle.daily_failures"),
            ("VIGIE__THROTTLE__DAILY_FAILURES", "1000001", "throttle.daily_failures"),
            ("VIGIE__THROTTLE__OVERALL_FAILURES", "0", "throttle.overall_failures"),
            ("VIGIE__THROTTLE__OVERALL_FAILURES", "4294967295", "throttle.overall_failures"),
            ("VIGIE__THROTTLE__OVERALL_DELAY", "0s", "throttle.overall_delay"),
            ("VIGIE__THROTTLE__WINDOW", "59s", "throttle.window"),
            ("VIGIE__THROTTLE__ADDRESS_FAILURES", "100000", "throttle.address_failures"),
            ("VIGIE__THROTTLE__NETWORK_FAILURES", "100000", "throttle.network_failures"),
        ]);
        let short = [("VIGIE__THROTTLE__FIRST_DELAY", "1ms"), ("VIGIE__THROTTLE__MAX_DELAY", "999ms")];
        assert_eq!(weak(&short), ["throttle.first_delay", "throttle.max_delay"]);
        let just = [("FIRST_DELAY", "100ms"), ("WINDOW", "1m"), ("OVERALL_FAILURES", "1000000")];
        for (key, value) in just {
            assert_eq!(weak(&[(&format!("VIGIE__THROTTLE__{key}"), value)]), [""; 0], "{key}");
        }
    }
}
