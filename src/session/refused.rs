//! What was refused: gathered in memory and written to the record in the background, so that no refusal waits for the store
//! and a flood of them does not fill the disk (LOG-05).
//!
//! Refusals of one cause from one network are counted together for a minute: an event for the first, and one for the rest
//! when the minute is over. Of each kind only so many networks are told apart at once; the others are counted as one. A
//! failed write refuses nobody; it is tried again with the next.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use serde_json::json;

use super::Sessions;
use super::check::CheckError;
use crate::model::address::counted_network;
use crate::model::audit::{AuditEvent, AuditKind, Cause, Reason, Subject, SubjectKind};
use crate::model::id::SessionId;
use crate::model::session::{Actor, EndReason};
use crate::store::{StoreError, audit};
use crate::token::claims::named;

/// Refusals in this time are counted together.
const TOGETHER: TimeDelta = TimeDelta::minutes(1);
/// Networks of one kind of refusal that are told apart at once.
const NETWORKS: usize = 64;
/// Events that wait to be written. While the store takes none, further refusals are only counted.
const WAITING: usize = 4096;
/// Events written in one transaction.
const BATCH: usize = 200;

/// What has been refused and is not written yet.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    gathered: Mutex<Gathered>,
    /// Held while events are written: of two that write at once, both would write the same.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Gathered {
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
    fn note(&mut self, event: AuditEvent) {
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
    fn close(&mut self, now: Option<DateTime<Utc>>) {
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
}

/// The event that stands for many.
fn folded(kind: AuditKind, key: &Key, count: &Count) -> AuditEvent {
    let event = AuditEvent::new(count.latest, kind, &Cause::system("refusals"), Subject::unknown());
    let network = key.network.map(|network| network.to_string());
    let details = json!({ "folded": count.folded, "from": count.first, "to": count.latest, "network": network });
    AuditEvent { reason: key.reason, ..event }.with(details)
}

impl Refusals {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a token was presented.
#[derive(Debug, Clone)]
pub struct Presented {
    /// From which address.
    pub ip: IpAddr,
    /// In which request.
    pub request_id: String,
    /// For what: method and route.
    pub route: String,
}

impl Sessions {
    /// Notes a refusal for the record.
    pub fn refuse(&self, event: AuditEvent) {
        self.inner.refusals.gathered().note(event);
    }

    /// Notes that a caller may not do what was asked for.
    pub fn refuse_access(&self, reason: Reason, caller: &Cause, subject: Subject, route: &str) {
        let event = AuditEvent::new(self.now(), AuditKind::AccessRefused, caller, subject).because(reason);
        self.refuse(event.with(json!({ "route": route })));
    }

    /// Notes that an operation was refused; `operation` is the kind of the event that it would have been.
    pub fn refuse_operation(&self, operation: AuditKind, reason: Reason, subject: Subject, cause: &Cause) {
        let event = AuditEvent::new(self.now(), AuditKind::OperationRefused, cause, subject).because(reason);
        self.refuse(event.with(json!({ "operation": operation })));
    }

    /// Notes that a token was not looked at for this reason.
    pub fn refuse_unread(&self, reason: Reason, presented: &Presented) {
        let event = AuditEvent::new(self.now(), AuditKind::TokenRefused, &unnamed(presented), Subject::unknown());
        self.refuse(event.because(reason).with(json!({ "route": presented.route })));
    }

    /// Notes that an access token was refused. What it says of itself is believed where its signature is good.
    pub fn refuse_token(&self, token: &str, error: &CheckError, presented: &Presented) {
        let Some(reason) = error.reason() else { return };
        let is_signed =
            matches!(reason, Reason::Expired | Reason::Subject | Reason::SessionUnknown | Reason::SessionEnded);
        let Some(named) = named(token).filter(|_| is_signed) else { return self.refuse_unread(reason, presented) };
        let kind = match reason {
            Reason::SessionUnknown => AuditKind::SessionUnknown,
            _ => AuditKind::TokenRefused,
        };
        let cause = Cause { actor: Actor::user(named.subject), ..unnamed(presented) };
        let event = AuditEvent::new(self.now(), kind, &cause, Subject::new(SubjectKind::Session, named.session_id));
        let mut details = json!({ "route": presented.route, "token": named.token_id });
        if let CheckError::Ended(end) = error {
            details["end_reason"] = json!(end);
        }
        self.refuse(event.because(reason).in_session(named.session_id).with(details));
    }

    /// Notes that a refresh token was refused that is none of ours.
    pub(super) fn refuse_refresh(&self, reason: Reason, cause: &Cause) {
        let event = AuditEvent::new(self.now(), AuditKind::RefreshRefused, cause, Subject::unknown());
        self.refuse(event.because(reason));
    }

    /// Notes that a refresh token of ours was refused, because its session is over.
    pub(super) fn refuse_refresh_of(&self, id: SessionId, reason: Reason, end: EndReason, cause: &Cause) {
        let subject = Subject::new(SubjectKind::Session, id);
        let event = AuditEvent::new(self.now(), AuditKind::RefreshRefused, cause, subject).because(reason);
        self.refuse(event.in_session(id).with(json!({ "end_reason": end })));
    }

    /// Writes what was refused by now; counts whose minute is over end. Returns how many events that were.
    pub async fn record_refusals(&self) -> Result<usize, StoreError> {
        self.write_refusals(Some(self.now())).await
    }

    /// The same at the stop: every count ends.
    pub async fn record_last_refusals(&self) -> Result<usize, StoreError> {
        self.write_refusals(None).await
    }

    async fn write_refusals(&self, now: Option<DateTime<Utc>>) -> Result<usize, StoreError> {
        let refusals = &self.inner.refusals;
        let _turn = refusals.writing.lock().await;
        refusals.gathered().close(now);
        let mut written = 0;
        loop {
            let batch: Vec<AuditEvent> = refusals.gathered().waiting.iter().take(BATCH).cloned().collect();
            if batch.is_empty() {
                return Ok(written);
            }
            let count = batch.len();
            self.store().write(move |db| batch.iter().try_for_each(|event| audit::record(db, event))).await?;
            refusals.gathered().waiting.drain(..count);
            written += count;
        }
    }
}

/// Who presents a token that names nobody is not known.
fn unnamed(presented: &Presented) -> Cause {
    let request_id = Some(presented.request_id.clone());
    Cause { actor: Actor::system("check"), ip: Some(presented.ip), request_id }
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
