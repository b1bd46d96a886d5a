//! `[retention]`: how long the history is kept.

use super::faults::Faults;
use super::setting::{Text, section};
use super::values::quoted;

section! {
    /// `[retention]`
    #[derive(Copy)]
    pub struct Retention {
        pub run: bool,
        pub sessions: Months,
        pub attempts: Months,
        pub audit: Months,
        pub addresses: Months,
    }
}

/// Calendar months: "12 months".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Months(pub u32);

impl Retention {
    pub(super) fn check(self, faults: &mut Faults) {
        let Self { sessions, attempts, audit, addresses, .. } = self;
        for (key, kept) in
            [("retention.sessions", sessions), ("retention.attempts", attempts), ("retention.audit", audit)]
        {
            let message = "must be \"6 months\" to \"36 months\" (docs/retention.md says why)";
            faults.require((6..=36).contains(&kept.0), key, message);
        }
        let least = sessions.min(attempts).min(audit);
        faults.require(
            addresses.0 >= 1 && addresses <= least,
            "retention.addresses",
            "must be at least \"1 months\", and not longer than the history is kept",
        );
    }
}

impl Text for Months {
    fn parse(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix("months").or_else(|| text.strip_suffix("month")).map(str::trim);
        let months = number.and_then(|number| number.parse().ok());
        months.map(Self).ok_or_else(|| format!("{} is not a number of months such as \"12 months\"", quoted(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::support::{faults, load};

    #[test]
    fn the_history_is_kept_for_months_within_the_range() {
        let config = load(&[("VIGIE__RETENTION__SESSIONS", "36 months"), ("VIGIE__RETENTION__RUN", "false")]).unwrap();
        assert_eq!((config.retention.sessions, config.retention.addresses), (Months(36), Months(6)));
        assert!(!config.retention.run);
        assert_eq!(
            faults(&[("VIGIE__RETENTION__SESSIONS", "5 months")]),
            ["retention.sessions", "retention.addresses"]
        );
        assert_eq!(faults(&[("VIGIE__RETENTION__ATTEMPTS", "37 months")]), ["retention.attempts"]);
        assert_eq!(faults(&[("VIGIE__RETENTION__AUDIT", "1 year")]), ["retention.audit"]);
        assert_eq!(faults(&[("VIGIE__RETENTION__AUDIT", "365d")]), ["retention.audit"]);
        assert_eq!(faults(&[("VIGIE__RETENTION__ADDRESSES", "13 months")]), ["retention.addresses"]);
        assert_eq!(faults(&[("VIGIE__RETENTION__ADDRESSES", "0 months")]), ["retention.addresses"]);
        assert_eq!(faults(&[("VIGIE__RETENTION__ADDRESSES", "1 month")]), [""; 0]);
    }
}
