//! Counts refusals. Those of one kind and reason from one network are counted together for a minute: an event for the first,
//! and one for the rest when the minute is over. Of each kind only so many networks are told apart at once; the others are
//! counted as one. So neither memory nor the record can be filled.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use serde_json::json;

use crate::model::address::counted_network;
use crate::model::audit::{AuditEvent, AuditKind, Cause, Reason, Subject};

/// Refusals in this time are counted together.
const TOGETHER: TimeDelta = TimeDelta::minutes(1);
/// Networks of one kind of refusal that are told apart at once.
const NETWORKS: usize = 64;
/// Events that wait to be written. While the store takes none, further refusals are only counted.
const WAITING: usize = 4096;
/// What has been counted, and the events that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    counts: HashMap<AuditKind, HashMap<Key, Count>>,
    waiting: Vec<AuditEvent>,
}

/// What is counted together. `network` is `None` for all that are not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    reason: Option<Reason>,
    network: Option<IpNet>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    first: DateTime<Utc>,
    latest: DateTime<Utc>,
    /// How many there were that have no event of their own.
    folded: u64,
}

impl Gathered {
    /// Counts a refusal; the first of its cause and network waits to be written.
    pub fn note(&mut self, event: AuditEvent) {
        let counts = self.counts.entry(event.kind).or_default();
        let mut key = Key { reason: event.reason, network: event.cause.ip.map(counted_network) };
        if counts.len() >= NETWORKS && !counts.contains_key(&key) {
            key.network = None;
        }
        if let Some(count) = counts.get_mut(&key) {
            count.folded += 1;
            count.latest = count.latest.max(event.at);
            return;
        }
        let has_room = self.waiting.len() < WAITING;
        counts.insert(key, Count { first: event.at, latest: event.at, folded: u64::from(!has_room) });
        if has_room {
            self.waiting.push(event);
        }
    }

    /// Ends the counts whose minute is over at `now`; all of them with `None`.
    pub fn close(&mut self, now: Option<DateTime<Utc>>) {
        // A clock that was set back ends a count as well: it would last too long.
        let is_over = |count: &Count| now.is_none_or(|now| now < count.first || now - count.first >= TOGETHER);
        let mut over: Vec<(AuditKind, Key, Count)> = Vec::new();
        for (kind, counts) in &self.counts {
            over.extend(counts.iter().filter(|(_, count)| is_over(count)).map(|(key, count)| (*kind, *key, *count)));
        }
        over.sort_unstable_by_key(|(kind, key, count)| (count.latest, *kind, *key));
        for (kind, key, count) in over {
            if count.folded > 0 {
                if self.waiting.len() >= WAITING {
                    return;
                }
                self.waiting.push(folded(kind, &key, &count));
            }
            self.counts.entry(kind).or_default().remove(&key);
        }
    }

    /// The first events that wait, at most so many.
    pub fn first(&self, count: usize) -> Vec<AuditEvent> {
        self.waiting.iter().take(count).cloned().collect()
    }

    /// Forgets the first events: they are written.
    pub fn forget(&mut self, count: usize) {
        self.waiting.drain(..count);
    }
}

/// The event that stands for many.
fn folded(kind: AuditKind, key: &Key, count: &Count) -> AuditEvent {
    let event = AuditEvent::new(count.latest, kind, &Cause::system("refusals"), Subject::unknown());
    let network = key.network.map(|network| network.to_string());
    let details = json!({ "folded": count.folded, "from": count.first, "to": count.latest, "network": network });
    AuditEvent { reason: key.reason, ..event }.with(details)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn refusal(seconds: i64, reason: Reason, ip: &str) -> AuditEvent {
        let cause = Cause { ip: Some(ip.parse().unwrap()), ..Cause::system("check") };
        AuditEvent::new(at(seconds), AuditKind::TokenRefused, &cause, Subject::unknown()).because(reason)
    }

    fn counts(gathered: &Gathered) -> Vec<Count> {
        gathered.counts.values().flat_map(HashMap::values).copied().collect()
    }

    fn details(event: &AuditEvent) -> (Option<Reason>, &Value, &Value) {
        (event.reason, &event.details["folded"], &event.details["network"])
    }

    #[test]
    fn a_minute_of_one_cause_and_network_is_two_events() {
        let mut gathered = Gathered::default();
        for second in 0..50 {
            gathered.note(refusal(second, Reason::Signature, "192.0.2.1"));
            gathered.note(refusal(second, Reason::Signature, "192.0.2.200"));
            gathered.note(refusal(second, Reason::Expired, "192.0.2.1"));
            gathered.note(refusal(second, Reason::Signature, "2001:db8:0:1::1"));
            gathered.note(refusal(second, Reason::Signature, "2001:db8:0:2::1"));
        }
        assert_eq!(gathered.waiting.len(), 3);
        gathered.close(Some(at(59)));
        assert_eq!(gathered.waiting.len(), 3);
        gathered.close(Some(at(60)));
        assert_eq!(gathered.waiting.len(), 6);
        let found: Vec<_> = gathered.waiting[3..].iter().map(details).collect();
        let (v4, v6) = (json!("192.0.2.0/24"), json!("2001:db8::/48"));
        assert_eq!(
            found,
            [
                (Some(Reason::Signature), &json!(99), &v4),
                (Some(Reason::Signature), &json!(99), &v6),
                (Some(Reason::Expired), &json!(49), &v4),
            ]
        );
        assert!(gathered.counts.values().all(HashMap::is_empty));
    }

    #[test]
    fn more_networks_than_are_told_apart_are_counted_as_one() {
        let mut gathered = Gathered::default();
        for network in 0..10_000_u32 {
            let ip = std::net::Ipv4Addr::from(0x0a00_0000 + (network << 8)).to_string();
            gathered.note(refusal(0, Reason::Malformed, &ip));
        }
        let told_apart = |gathered: &Gathered, kind| gathered.counts[&kind].len();
        let kind = AuditKind::TokenRefused;
        assert_eq!((told_apart(&gathered, kind), gathered.waiting.len()), (NETWORKS + 1, NETWORKS + 1));
        gathered.close(None);
        let last = gathered.waiting.last().unwrap();
        assert_eq!(details(last), (Some(Reason::Malformed), &json!(10_000 - NETWORKS - 1), &Value::Null));
        // Another kind has networks of its own.
        gathered.note(AuditEvent { kind: AuditKind::LoginFailed, ..refusal(0, Reason::Throttled, "192.0.2.1") });
        let key = *gathered.counts[&AuditKind::LoginFailed].keys().next().unwrap();
        assert_eq!(key.network, Some("192.0.2.0/24".parse().unwrap()));
    }

    #[test]
    fn while_nothing_can_be_written_refusals_are_only_counted() {
        let mut gathered = Gathered::default();
        for minute in 0..2_000 {
            for network in 0..100 {
                gathered.note(refusal(60 * minute, Reason::Malformed, &format!("198.51.{network}.1")));
            }
            gathered.close(Some(at(60 * (minute + 1))));
        }
        assert!(gathered.waiting.len() <= WAITING && counts(&gathered).len() <= NETWORKS + 1);
        let events = gathered.waiting.iter().map(|event| event.details["folded"].as_u64().unwrap_or(1));
        let counted: u64 = counts(&gathered).iter().map(|count| count.folded).sum();
        assert_eq!(events.sum::<u64>() + counted, 200_000, "none is lost");
    }

    #[test]
    fn a_clock_that_was_set_back_ends_a_count() {
        let mut gathered = Gathered::default();
        gathered.note(refusal(100, Reason::Signature, "192.0.2.1"));
        gathered.note(refusal(100, Reason::Signature, "192.0.2.1"));
        gathered.close(Some(at(0)));
        assert_eq!((gathered.waiting.len(), counts(&gathered).len()), (2, 0));
    }
}
