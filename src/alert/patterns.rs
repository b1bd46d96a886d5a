//! What many failures together are: one password tried on many accounts, or many names tried from one network (ATH-05).
//!
//! Failures are looked at together when their number has reached a threshold, and then after each few more: reading the
//! last minutes for each failure would help whoever wants to keep the server busy.

use std::collections::HashMap;

use super::Alerts;
use crate::credential::throttle::Counted;
use crate::model::address::wide_network;
use crate::model::alert::{AlertDetails, AlertKind, NewAlert};
use crate::model::attempt::Attempt;
use crate::model::audit::{Subject, SubjectKind};
use crate::store::attempts::{self, Failed};
use crate::store::{Db, StoreError};

/// The most failures looked at, the newest.
const MOST: i64 = 5000;
/// Tries on one account that are few.
const FEW: usize = 3;
/// After how many more failures they are looked at again: of a network, and of the whole server.
const AGAIN: (i32, i32) = (5, 50);

/// What the failures of some minutes are: `least` names that belong to users, with few tries each, are spraying; as many names
/// of any kind are stuffing.
fn pattern<'a>(failures: impl Iterator<Item = &'a Failed>, least: usize) -> Option<AlertDetails> {
    let mut names: HashMap<&str, (usize, bool)> = HashMap::new();
    for failure in failures {
        names.entry(&failure.name).or_insert((0, failure.is_user)).0 += 1;
    }
    let tries = names.values().map(|(tries, _)| tries).sum();
    let sprayed = names.values().filter(|(tries, is_user)| *is_user && *tries <= FEW).count();
    if sprayed >= least {
        return Some(AlertDetails::PasswordSpraying { names: sprayed, tries });
    }
    let stuffed = AlertDetails::CredentialStuffing { names: names.len(), tries };
    (names.len() >= least).then_some(stuffed)
}

/// Whether a count has reached a threshold and is to be looked at now. A threshold of 0 is never reached.
fn is_due(count: i32, threshold: u32, again: i32) -> bool {
    let Ok(threshold) = i32::try_from(threshold) else { return false };
    threshold > 0 && count >= threshold && (count - threshold) % again == 0
}

impl Alerts {
    /// Looks at the failures of the last minutes, where this one makes enough of them.
    pub fn look_for_patterns_in(&self, db: &mut Db, attempt: &Attempt, counted: &Counted) -> Result<(), StoreError> {
        let rules = self.rules();
        let of_network = is_due(counted.of_network, rules.names_from_network, AGAIN.0);
        let overall = is_due(counted.overall, rules.accounts_sprayed, AGAIN.1);
        if !of_network && !overall {
            return Ok(());
        }
        let failures = attempts::failed_since(db, attempt.at - self.inner.failures_window, MOST)?;
        if of_network {
            let network = wide_network(attempt.ip);
            let near = failures.iter().filter(|failure| network.contains(&failure.ip));
            if let Some(found) = pattern(near, at_least(rules.names_from_network)) {
                let subject = Subject::new(SubjectKind::Network, network);
                self.raise_in(db, &NewAlert::new(attempt.at, found, subject).from_address(attempt.ip))?;
            }
        }
        let everywhere = || pattern(failures.iter(), at_least(rules.accounts_sprayed));
        if overall && let Some(found) = everywhere().filter(|found| found.kind() == AlertKind::PasswordSpraying) {
            self.raise_in(db, &NewAlert::new(attempt.at, found, Subject::everybody()))?;
        }
        Ok(())
    }
}

fn at_least(threshold: u32) -> usize {
    usize::try_from(threshold).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(names: usize, tries: usize, is_user: bool) -> Vec<Failed> {
        let of_name = |number: usize| Failed {
            name: format!("{is_user} {number}"),
            ip: "192.0.2.1".parse().expect("an address"),
            is_user,
        };
        (0..names * tries).map(|number| of_name(number % names)).collect()
    }

    fn kind(failures: &[Failed]) -> Option<AlertKind> {
        pattern(failures.iter(), 10).map(|found| found.kind())
    }

    #[test]
    fn ath_05_few_tries_on_each_of_many_accounts_are_spraying() {
        assert_eq!(kind(&failures(10, 1, true)), Some(AlertKind::PasswordSpraying));
        assert_eq!(kind(&failures(10, 3, true)), Some(AlertKind::PasswordSpraying));
        assert_eq!(kind(&failures(9, 3, true)), None);
    }

    #[test]
    fn ath_05_many_names_that_nobody_has_or_with_many_tries_are_stuffing() {
        assert_eq!(kind(&failures(10, 1, false)), Some(AlertKind::CredentialStuffing));
        assert_eq!(kind(&failures(10, 4, true)), Some(AlertKind::CredentialStuffing));
        let mixed = [failures(6, 1, true), failures(6, 1, false)].concat();
        assert_eq!(kind(&mixed), Some(AlertKind::CredentialStuffing));
    }

    #[test]
    fn many_tries_on_few_accounts_are_neither() {
        assert_eq!(kind(&failures(2, 500, true)), None);
        assert_eq!(kind(&[]), None);
    }

    #[test]
    fn failures_are_looked_at_when_enough_and_then_now_and_then() {
        let due: Vec<i32> = (0..30).filter(|count| is_due(*count, 15, 5)).collect();
        assert_eq!(due, [15, 20, 25]);
        assert!(!is_due(0, 0, 5) && !is_due(5, 0, 5));
    }
}
