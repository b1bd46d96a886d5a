//! Which tries that were refused unseen are kept as attempts: of each network and minute the first on so many names, and of all
//! networks so many. The others are counted in the event that says how often that was refused: nobody can fill the disk, and the
//! rows of a history that may not be removed, by knocking at a closed door.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;

use crate::model::address::counted_network;
use crate::model::attempt::Attempt;

/// How long they are counted together.
const TOGETHER: TimeDelta = TimeDelta::minutes(1);
/// Names of one network.
const NAMES: usize = 10;
/// Names of all networks.
const ALL: usize = 200;

/// The tries kept since a moment.
#[derive(Debug, Default)]
pub(super) struct Throttled {
    since: DateTime<Utc>,
    names: HashMap<IpNet, HashSet<String>>,
    kept: usize,
}

impl Throttled {
    /// Whether this try is kept.
    pub fn keeps(&mut self, attempt: &Attempt, case_folded_name: &str) -> bool {
        // A clock that was set back begins anew as well: the minute would last too long. Who only waited a moment belongs to it.
        if (attempt.at - self.since).abs() >= TOGETHER {
            *self = Self { since: attempt.at, ..Self::default() };
        }
        if self.kept >= ALL {
            return false;
        }
        let names = self.names.entry(counted_network(attempt.ip)).or_default();
        if names.len() >= NAMES || !names.insert(case_folded_name.to_owned()) {
            return false;
        }
        self.kept += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attempt::AttemptOutcome;
    use crate::model::client::LoginClient;
    use crate::model::id::AttemptId;

    fn keeps(throttled: &mut Throttled, second: i64, ip: &str, name: &str) -> bool {
        let at = DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
        let attempt = Attempt {
            id: AttemptId::new(at),
            at,
            username: String::new(),
            user_id: None,
            outcome: AttemptOutcome::Throttled,
            ip: ip.parse().unwrap(),
            user_agent: None,
            client: LoginClient::Unnamed,
            session_id: None,
            request_id: String::new(),
        };
        throttled.keeps(&attempt, name)
    }

    #[test]
    fn of_a_network_and_minute_the_first_on_ten_names_are_kept() {
        let mut throttled = Throttled::default();
        let mut kept =
            |second, ip| (0..40).filter(|name| keeps(&mut throttled, second, ip, &(name % 20).to_string())).count();
        assert_eq!([kept(0, "192.0.2.1"), kept(59, "192.0.2.77"), kept(59, "198.51.100.1")], [10, 0, 10]);
        assert_eq!([kept(60, "192.0.2.1"), kept(59, "192.0.2.1"), kept(0, "192.0.2.1")], [10, 0, 10]);
    }

    #[test]
    fn of_all_networks_no_more_are_kept_than_a_few_a_second() {
        let mut throttled = Throttled::default();
        let networks = (0..100).map(|number| format!("10.0.{number}.1"));
        let kept: usize =
            networks.map(|ip| (0..10).filter(|name| keeps(&mut throttled, 0, &ip, &name.to_string())).count()).sum();
        assert_eq!(kept, ALL);
    }
}
