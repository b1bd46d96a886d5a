//! What failed authentications of clients cost, and what many of them together are. It is counted by network and in memory: a
//! secret of 256 bits is not guessed, but whoever tries is slowed down and seen. Nothing is counted by client, so nobody can lock
//! one out; and the right secret is compared first, so it passes from any network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use parking_lot::Mutex;

use super::Clients;
use crate::model::address::wide_network;
use crate::model::alert::{AlertDetails, NewAlert};
use crate::model::audit::{Subject, SubjectKind};
use crate::store::{Db, StoreError};

/// Failures of one network that are counted together.
const TOGETHER: TimeDelta = TimeDelta::minutes(1);
/// How many of them are free.
const FREE: u32 = 20;
/// Networks told apart at a time; all others are counted as one.
const NETWORKS: usize = 4096;
/// Alerts that wait to be raised.
const WAITING: usize = 100;

/// The failures of the last minute, and which networks an alert is to be raised about.
#[derive(Debug)]
pub(super) struct Failures {
    /// From how many on an alert is raised; 0: never.
    alert_from: u32,
    counted: Mutex<FailureCounts>,
}

#[derive(Debug, Default)]
struct FailureCounts {
    /// `None`: those that are not told apart.
    of_network: HashMap<Option<IpNet>, Count>,
    to_alert: Vec<FailureBurst>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: DateTime<Utc>,
    failures: u32,
}

/// Enough failures from one network for an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FailureBurst {
    network: IpNet,
    /// Where the last of them came from.
    ip: IpAddr,
    failures: u32,
}

impl Count {
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        // A clock that was set back ends it as well: it would last too long.
        now < self.since || now - self.since >= TOGETHER
    }
}

impl Failures {
    pub fn new(alert_from: u32) -> Self {
        Self { alert_from, counted: Mutex::default() }
    }

    /// Counts a failure from `ip`; says how long to wait where there were too many.
    pub fn note(&self, ip: IpAddr, now: DateTime<Utc>) -> Option<Duration> {
        let (network, mut counted) = (wide_network(ip), self.counted.lock());
        if counted.of_network.len() >= NETWORKS {
            counted.of_network.retain(|_, count| !count.is_over(now));
        }
        let is_told_apart = counted.of_network.len() < NETWORKS || counted.of_network.contains_key(&Some(network));
        let count = counted.of_network.entry(is_told_apart.then_some(network));
        let count = count.or_insert(Count { since: now, failures: 0 });
        if count.is_over(now) {
            *count = Count { since: now, failures: 0 };
        }
        count.failures = count.failures.saturating_add(1);
        let Count { since, failures } = *count;
        if failures == self.alert_from && counted.to_alert.len() < WAITING {
            counted.to_alert.push(FailureBurst { network, ip, failures });
        }
        (failures > FREE).then(|| (since + TOGETHER - now).to_std().unwrap_or_default())
    }
}

impl Clients {
    /// Raises alerts about networks from which many authentications failed. What could not be told waits for the next time.
    pub async fn alert_to_failures(&self) -> Result<usize, StoreError> {
        let counted = &self.inner.failures.counted;
        let many = counted.lock().to_alert.clone();
        if many.is_empty() {
            return Ok(0);
        }
        let (now, count, alerts) = (self.now(), many.len(), self.inner.dependencies.alerts.clone());
        let raise = move |db: &mut Db| {
            let mut alerts_of = many.iter().map(|many| alert(many, now));
            alerts_of.try_for_each(|alert| alerts.raise_in(db, &alert).map(drop))
        };
        self.store().write(raise).await?;
        let mut counted = counted.lock();
        let raised = count.min(counted.to_alert.len());
        counted.to_alert.drain(..raised);
        Ok(raised)
    }
}

fn alert(many: &FailureBurst, now: DateTime<Utc>) -> NewAlert {
    let subject = Subject::new(SubjectKind::Network, many.network);
    let details = AlertDetails::ClientAuthenticationFailures { failures: many.failures };
    NewAlert::new(now, details, subject).from_address(many.ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn noted(failures: &Failures, count: u32, second: i64, ip: &str) -> Option<Duration> {
        (0..count).map(|_| failures.note(ip.parse().unwrap(), at(second))).last().flatten()
    }

    #[test]
    fn a_network_that_fails_too_often_waits_until_its_minute_is_over() {
        let failures = Failures::new(0);
        assert_eq!(noted(&failures, FREE, 0, "192.0.2.1"), None);
        assert_eq!(noted(&failures, 1, 20, "192.0.2.77"), Some(Duration::from_secs(40)));
        assert_eq!(noted(&failures, 1, 20, "198.51.100.1"), None);
        assert_eq!(noted(&failures, 1, 60, "192.0.2.1"), None);
        assert_eq!(noted(&failures, FREE, 60, "192.0.2.1"), Some(Duration::from_mins(1)));
        assert_eq!(noted(&failures, 1, -5, "192.0.2.1"), None);
    }

    #[test]
    fn enough_failures_of_a_network_are_told_once() {
        let failures = Failures::new(5);
        noted(&failures, 30, 0, "192.0.2.1");
        noted(&failures, 4, 0, "198.51.100.1");
        let many = failures.counted.lock().to_alert.clone();
        assert_eq!(many.len(), 1);
        assert_eq!((many[0].network.to_string().as_str(), many[0].failures), ("192.0.2.0/24", 5));
    }

    #[test]
    fn networks_are_bounded_and_more_are_counted_as_one() {
        let failures = Failures::new(0);
        for number in 0..10_000_u32 {
            let ip = std::net::Ipv4Addr::from(0x0a00_0000 + (number << 8));
            failures.note(ip.into(), at(0));
        }
        assert_eq!(failures.counted.lock().of_network.len(), NETWORKS + 1);
        assert!(failures.note("192.0.2.1".parse().unwrap(), at(0)).is_some());
        assert!(failures.note("192.0.2.1".parse().unwrap(), at(60)).is_none());
    }
}
