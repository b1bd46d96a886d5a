//! `[sessions]`: lifetimes and limits of sessions.

use std::time::Duration;

use super::DAY;
use super::faults::Faults;
use super::setting::section;

section! {
    /// `[sessions]`
    pub struct Sessions {
        pub idle_timeout: Duration,
        pub lifetime: Duration,
        pub max_per_user: u32,
        pub refresh_grace: Duration,
        pub introspection_is_use: bool,
        pub end_on_role_change: bool,
        pub reauthentication_after: Duration,
        pub reauthentication_for_exports: bool,
    }
}

impl Sessions {
    pub(super) fn check(&self, faults: &mut Faults) {
        faults.require(!self.idle_timeout.is_zero(), "sessions.idle_timeout", "must be longer than zero");
        faults.require(
            self.idle_timeout <= self.lifetime,
            "sessions.idle_timeout",
            "must not be longer than sessions.lifetime",
        );
        faults.require(self.lifetime <= 366 * DAY, "sessions.lifetime", "must be at most 366d");
        faults.require(self.refresh_grace <= Duration::from_mins(5), "sessions.refresh_grace", "must be at most 5m");
    }

    pub(super) fn weaknesses(&self, weak: &mut Faults) {
        let (after, key) = (self.reauthentication_after, "sessions.reauthentication_after");
        weak.add_if(after.is_zero(), key, "off: a token of any age gives power to others");
        weak.add_if(
            after >= self.lifetime.saturating_sub(Duration::from_mins(1)),
            key,
            "as long as sessions.lifetime: as good as off, hardly any session gets so old",
        );
        weak.add_if(
            !self.reauthentication_for_exports,
            "sessions.reauthentication_for_exports",
            "off: a token of any age takes other people's history out",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::config::support::{assert_each_weak, weak};

    #[test]
    fn a_late_reauthentication_is_weak() {
        assert_each_weak(&[
            ("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "13h", "sessions.reauthentication_after"),
            ("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "12h", "sessions.reauthentication_after"),
            ("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "11h 59m", "sessions.reauthentication_after"),
            ("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "0s", "sessions.reauthentication_after"),
            ("VIGIE__SESSIONS__REAUTHENTICATION_FOR_EXPORTS", "false", "sessions.reauthentication_for_exports"),
        ]);
        assert_eq!(weak(&[("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "11h")]), [""; 0]);
    }
}
