//! `[alerts]`: what reviewers are alerted to.

use std::path::PathBuf;
use std::time::Duration;

use super::DAY;
use super::faults::Faults;
use super::secret_url::SecretUrl;
use super::setting::section;

section! {
    /// `[alerts]`
    pub struct Alerts {
        pub failures_before_login: u32,
        pub names_from_network: u32,
        pub accounts_sprayed: u32,
        pub ends_at_once: u32,
        pub client_failures: u32,
        pub window: Duration,
        pub most_of_a_kind: u32,
        pub overdue_after: Duration,
        pub webhook_url: Option<SecretUrl>,
        pub webhook_secret_file: PathBuf,
    }
}

impl Alerts {
    pub(super) fn check(&self, faults: &mut Faults) {
        faults.require(
            !self.window.is_zero() && self.window <= DAY,
            "alerts.window",
            "must be longer than zero, at most 24h",
        );
        faults.require(self.most_of_a_kind >= 1, "alerts.most_of_a_kind", "must be at least 1");
        faults.require(!self.overdue_after.is_zero(), "alerts.overdue_after", "must be longer than zero");
        if let Some(url) = &self.webhook_url {
            let message = "must be an https address, or http to this very machine";
            faults.require(url.is_private(), "alerts.webhook_url", message);
            let has_secret = !self.webhook_secret_file.as_os_str().is_empty();
            faults.require(has_secret, "alerts.webhook_secret_file", "is needed with alerts.webhook_url");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::support::faults;

    #[test]
    fn alerts_are_posted_in_private_and_signed() {
        let url = |url| ("VIGIE__ALERTS__WEBHOOK_URL", url);
        let secret = ("VIGIE__ALERTS__WEBHOOK_SECRET_FILE", "secret");
        assert_eq!(faults(&[url("https://example.org/hook"), secret]), [""; 0]);
        assert_eq!(faults(&[url("http://127.0.0.1:8/hook"), secret]), [""; 0]);
        assert_eq!(faults(&[url("http://example.org/hook"), secret]), ["alerts.webhook_url"]);
        assert_eq!(faults(&[url("hook"), secret]), ["alerts.webhook_url"]);
        assert_eq!(faults(&[url("https://example.org/hook")]), ["alerts.webhook_secret_file"]);
    }
}
