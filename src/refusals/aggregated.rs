//! Counts refusals. Those of one kind and reason from one network are counted together for a minute: an event for the first,
//! and one for the rest when the minute is over. Of whoever is known it is those of one caller who asks for one thing, so that
//! nobody's are counted as another's. Of each kind only so many networks and callers are told apart at once; the others are
//! counted as one. So neither memory nor the record can be filled.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;

use crate::model::address::counted_network;
use crate::model::audit::{Aggregate, AuditContext, AuditEvent, AuditKind, Details, Reason};
use crate::model::session::{Actor, ActorKind};

/// Refusals in this time are counted together.
const TOGETHER: TimeDelta = TimeDelta::minutes(1);
/// Networks of one kind of refusal that are told apart at once.
const NETWORKS: usize = 64;
/// Callers of one kind of refusal, and what they ask for, that are told apart at once. They have to have a session for it.
const CALLERS: usize = 1024;
/// Events that wait to be written. While the store takes none, further refusals are only counted.
const WAITING: usize = 4096;
/// What has been counted, and the events that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Aggregated {
    counts: HashMap<(AuditKind, CallerGroup), HashMap<Key, Count>>,
    waiting: Vec<AuditEvent>,
}

/// Whose refusals are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum CallerGroup {
    Strangers,
    Callers,
}

impl CallerGroup {
    const fn told_apart(self) -> usize {
        match self {
            Self::Strangers => NETWORKS,
            Self::Callers => CALLERS,
        }
    }
}

/// What is counted together. `network` and `caller` are `None` for all that are not told apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    reason: Option<Reason>,
    network: Option<IpNet>,
    caller: Option<Caller>,
}

/// A caller who is known, and what the caller asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Caller {
    kind: ActorKind,
    id: String,
    route: Option<String>,
    operation: Option<AuditKind>,
}

impl Caller {
    fn of(event: &AuditEvent) -> Option<Self> {
        let Actor { kind, id } = &event.context.actor;
        if *kind == ActorKind::System {
            return None;
        }
        let (route, operation) = match event.details() {
            Ok(
                Details::AccessRefused { route }
                | Details::TokenRefused { route, .. }
                | Details::FormRefused { route }
                | Details::GateCookiesDiffer { route }
                | Details::ClientRefused { route }
                | Details::SessionUnknown { route, .. },
            ) => (Some(route), None),
            Ok(Details::OperationRefused { operation, .. }) => (None, Some(operation)),
            _ => (None, None),
        };
        Some(Self { kind: *kind, id: id.clone(), route, operation })
    }
}

#[derive(Debug, Clone, Copy)]
struct Count {
    first: DateTime<Utc>,
    latest: DateTime<Utc>,
    /// How many there were that have no event of their own.
    suppressed: u64,
}

impl Aggregated {
    /// Counts a refusal; the first of its cause and network waits to be written.
    pub fn note(&mut self, event: AuditEvent) {
        let (network, caller) = (event.context.ip.map(counted_network), Caller::of(&event));
        let whose = if caller.is_some() { CallerGroup::Callers } else { CallerGroup::Strangers };
        let counts = self.counts.entry((event.kind, whose)).or_default();
        let mut key = Key { reason: event.reason, network, caller };
        if counts.len() >= whose.told_apart() && !counts.contains_key(&key) {
            key = Key { network: None, caller: None, ..key };
        }
        if let Some(count) = counts.get_mut(&key) {
            count.suppressed += 1;
            count.latest = count.latest.max(event.at);
            return;
        }
        let has_room = self.waiting.len() < WAITING;
        counts.insert(key, Count { first: event.at, latest: event.at, suppressed: u64::from(!has_room) });
        if has_room {
            self.waiting.push(event);
        }
    }

    /// Ends the counts whose minute is over at `now`; all of them with `None`.
    pub fn close(&mut self, now: Option<DateTime<Utc>>) {
        // A clock that was set back ends a count as well: it would last too long.
        let is_over = |count: &Count| now.is_none_or(|now| now < count.first || now - count.first >= TOGETHER);
        let mut over: Vec<(DateTime<Utc>, AuditKind, CallerGroup, Key, Count)> = Vec::new();
        for ((kind, whose), counts) in &self.counts {
            let counts = counts.iter().filter(|(_, count)| is_over(count));
            over.extend(counts.map(|(key, count)| (count.latest, *kind, *whose, key.clone(), *count)));
        }
        over.sort_unstable_by(|one, two| (one.0, one.1, one.2, &one.3).cmp(&(two.0, two.1, two.2, &two.3)));
        for (_, kind, whose, key, count) in over {
            if count.suppressed > 0 {
                if self.waiting.len() >= WAITING {
                    return;
                }
                self.waiting.push(summary(kind, &key, &count));
            }
            self.counts.entry((kind, whose)).or_default().remove(&key);
        }
    }

    /// The first events that wait, at most so many.
    pub fn first(&self, count: usize) -> Vec<AuditEvent> {
        self.waiting.iter().take(count).cloned().collect()
    }

    /// Forgets the first events: they are written.
    pub fn remove_written(&mut self, count: usize) {
        self.waiting.drain(..count);
    }
}

/// The event that stands for many.
fn summary(kind: AuditKind, key: &Key, count: &Count) -> AuditEvent {
    let (caller, mut context) = (key.caller.as_ref(), AuditContext::system("refusals"));
    if let Some(Caller { kind, id, .. }) = caller {
        context.actor = Actor { kind: *kind, id: id.clone() };
    }
    let counted = Aggregate {
        folded: count.suppressed,
        from: count.first,
        to: count.latest,
        network: key.network,
        route: caller.and_then(|caller| caller.route.clone()),
        operation: caller.and_then(|caller| caller.operation),
    };
    AuditEvent { reason: key.reason, ..AuditEvent::of_many(kind, count.latest, counted, &context) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::audit::Subject;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn refusal(seconds: i64, reason: Reason, ip: &str) -> AuditEvent {
        let context = AuditContext { ip: Some(ip.parse().unwrap()), ..AuditContext::system("check") };
        let details = Details::TokenRefused { route: "GET /".to_owned(), token: None, end_reason: None };
        AuditEvent::new(at(seconds), details, &context, Subject::unknown()).because(reason)
    }

    fn counts(aggregated: &Aggregated) -> Vec<Count> {
        aggregated.counts.values().flat_map(HashMap::values).copied().collect()
    }

    fn details(event: &AuditEvent) -> (Option<Reason>, &Value, &Value) {
        (event.reason, &event.details["folded"], &event.details["network"])
    }

    #[test]
    fn a_minute_of_one_cause_and_network_is_two_events() {
        let mut aggregated = Aggregated::default();
        for second in 0..50 {
            aggregated.note(refusal(second, Reason::Signature, "192.0.2.1"));
            aggregated.note(refusal(second, Reason::Signature, "192.0.2.200"));
            aggregated.note(refusal(second, Reason::Expired, "192.0.2.1"));
            aggregated.note(refusal(second, Reason::Signature, "2001:db8:0:1::1"));
            aggregated.note(refusal(second, Reason::Signature, "2001:db8:0:2::1"));
        }
        assert_eq!(aggregated.waiting.len(), 3);
        aggregated.close(Some(at(59)));
        assert_eq!(aggregated.waiting.len(), 3);
        aggregated.close(Some(at(60)));
        assert_eq!(aggregated.waiting.len(), 6);
        let found: Vec<_> = aggregated.waiting[3..].iter().map(details).collect();
        let (v4, v6) = (json!("192.0.2.0/24"), json!("2001:db8::/48"));
        assert_eq!(
            found,
            [
                (Some(Reason::Signature), &json!(99), &v4),
                (Some(Reason::Signature), &json!(99), &v6),
                (Some(Reason::Expired), &json!(49), &v4),
            ]
        );
        assert!(aggregated.counts.values().all(HashMap::is_empty));
    }

    fn of_caller(seconds: i64, id: &str, route: &str) -> AuditEvent {
        let refused = refusal(seconds, Reason::NotAllowed, "192.0.2.1");
        let context = AuditContext { actor: Actor { kind: ActorKind::User, id: id.to_owned() }, ..refused.context };
        AuditEvent::new(refused.at, Details::AccessRefused { route: route.to_owned() }, &context, refused.subject)
            .because(Reason::NotAllowed)
    }

    #[test]
    fn what_a_caller_asked_for_is_not_counted_as_anothers() {
        let mut aggregated = Aggregated::default();
        for second in 0..5 {
            aggregated.note(refusal(second, Reason::NotAllowed, "192.0.2.1"));
            for (caller, route) in [("eve", "GET /a"), ("eve", "DELETE /a"), ("bob", "GET /a")] {
                aggregated.note(of_caller(second, caller, route));
            }
        }
        assert_eq!(aggregated.waiting.len(), 4);
        aggregated.close(None);
        let summary = |event: &AuditEvent| {
            let text = |member: &str| event.details[member].as_str().unwrap_or_default().to_owned();
            (event.context.actor.id.clone(), text("route"), event.details["folded"].as_u64())
        };
        let mut found: Vec<_> = aggregated.waiting[4..].iter().map(summary).collect();
        found.sort();
        let row = |id: &str, route: &str| (id.to_owned(), route.to_owned(), Some(4));
        assert_eq!(found, [row("bob", "GET /a"), row("eve", "DELETE /a"), row("eve", "GET /a"), row("refusals", "")]);
    }

    #[test]
    fn more_callers_than_are_told_apart_are_counted_as_nobodys() {
        let mut aggregated = Aggregated::default();
        for caller in 0..2 * CALLERS {
            aggregated.note(of_caller(0, &caller.to_string(), "GET /a"));
        }
        aggregated.close(None);
        let last = aggregated.waiting.last().unwrap();
        assert_eq!((&*last.context.actor.id, last.details["folded"].as_u64()), ("refusals", Some(CALLERS as u64 - 1)));
    }

    #[test]
    fn more_networks_than_are_told_apart_are_counted_as_one() {
        let mut aggregated = Aggregated::default();
        for network in 0..10_000_u32 {
            let ip = std::net::Ipv4Addr::from(0x0a00_0000 + (network << 8)).to_string();
            aggregated.note(refusal(0, Reason::Malformed, &ip));
        }
        let told_apart = |aggregated: &Aggregated, kind| aggregated.counts[&(kind, CallerGroup::Strangers)].len();
        let kind = AuditKind::TokenRefused;
        assert_eq!((told_apart(&aggregated, kind), aggregated.waiting.len()), (NETWORKS + 1, NETWORKS + 1));
        aggregated.close(None);
        let last = aggregated.waiting.last().unwrap();
        assert_eq!(details(last), (Some(Reason::Malformed), &json!(10_000 - NETWORKS - 1), &Value::Null));
        // Another kind has networks of its own.
        aggregated.note(AuditEvent { kind: AuditKind::LoginFailed, ..refusal(0, Reason::Throttled, "192.0.2.1") });
        let key = aggregated.counts[&(AuditKind::LoginFailed, CallerGroup::Strangers)].keys().next().unwrap();
        assert_eq!(key.network, Some("192.0.2.0/24".parse().unwrap()));
    }

    #[test]
    fn while_nothing_can_be_written_refusals_are_only_counted() {
        let mut aggregated = Aggregated::default();
        for minute in 0..2_000 {
            for network in 0..100 {
                aggregated.note(refusal(60 * minute, Reason::Malformed, &format!("198.51.{network}.1")));
            }
            aggregated.close(Some(at(60 * (minute + 1))));
        }
        assert!(aggregated.waiting.len() <= WAITING && counts(&aggregated).len() <= NETWORKS + 1);
        let events = aggregated.waiting.iter().map(|event| event.details["folded"].as_u64().unwrap_or(1));
        let counted: u64 = counts(&aggregated).iter().map(|count| count.suppressed).sum();
        assert_eq!(events.sum::<u64>() + counted, 200_000, "none is lost");
    }

    #[test]
    fn a_clock_that_was_set_back_ends_a_count() {
        let mut aggregated = Aggregated::default();
        aggregated.note(refusal(100, Reason::Signature, "192.0.2.1"));
        aggregated.note(refusal(100, Reason::Signature, "192.0.2.1"));
        aggregated.close(Some(at(0)));
        assert_eq!((aggregated.waiting.len(), counts(&aggregated).len()), (2, 0));
    }
}
