//! Access tokens used again after the end of their session, from elsewhere: whoever logged out does not do that.
//!
//! A check that refuses such a token only counts it in memory; a job looks at the counts and raises alerts, so that whoever
//! sends many costs no writes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;

use super::Sessions;
use crate::model::address::wide_network;
use crate::model::alert::{AlertDetails, NewAlert};
use crate::model::audit::{Subject, SubjectKind};
use crate::model::id::SessionId;
use crate::model::session::Session;
use crate::store::{Db, StoreError, sessions};

/// Sessions and networks remembered at a time; further ones are not counted.
const REMEMBERED: usize = 4096;
/// How long a single use is remembered.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::minutes(10);
/// Uses that are told: one may be a request that was under way.
const TOLD_FROM: u32 = 2;
/// Looked at in one step.
const AT_ONCE: usize = 100;

/// What was counted since the last look.
#[derive(Debug, Default)]
pub(super) struct EndedUses(Mutex<HashMap<Key, Uses>>);

/// Of which session, from which network.
type Key = (SessionId, IpNet);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Uses {
    count: u32,
    first_at: DateTime<Utc>,
    ip: IpAddr,
}

impl EndedUses {
    /// Counts a use of this ended session from an address.
    pub fn note(&self, id: SessionId, ip: IpAddr, now: DateTime<Utc>) {
        let mut noted = self.noted();
        let key = (id, wide_network(ip));
        if noted.len() < REMEMBERED || noted.contains_key(&key) {
            let uses = noted.entry(key).or_insert(Uses { count: 0, first_at: now, ip });
            uses.count = uses.count.saturating_add(1);
        }
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<Key, Uses>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be told, at most so much at once. Forgets what was long ago.
    fn due(&self, now: DateTime<Utc>) -> Vec<(Key, Uses)> {
        let mut noted = self.noted();
        noted.retain(|_, uses| uses.count >= TOLD_FROM || now - uses.first_at < FORGOTTEN_AFTER);
        let due = noted.iter().filter(|(_, uses)| uses.count >= TOLD_FROM);
        due.take(AT_ONCE).map(|(key, uses)| (*key, *uses)).collect()
    }

    /// Forgets what was told. What was used again meanwhile counts from now on.
    fn remove_written(&self, told: &[(Key, Uses)], now: DateTime<Utc>) {
        let mut noted = self.noted();
        for (key, told) in told {
            let Some(uses) = noted.get_mut(key) else { continue };
            uses.count = uses.count.saturating_sub(told.count);
            uses.first_at = now;
            if uses.count == 0 {
                noted.remove(key);
            }
        }
    }
}

impl Sessions {
    /// Raises alerts about ended sessions whose tokens were used again, from elsewhere and more than once; how many such uses
    /// it looked at. What could not be told waits for the next time.
    pub async fn alert_to_ended_uses(&self) -> Result<usize, StoreError> {
        let (now, due) = (self.now(), self.inner.ended_uses.due(self.now()));
        if due.is_empty() {
            return Ok(0);
        }
        self.raise_ended_uses(due.clone(), now).await?;
        self.inner.ended_uses.remove_written(&due, now);
        Ok(due.len())
    }

    /// The same at the stop: all that is to be told.
    pub async fn alert_to_last_ended_uses(&self) -> Result<(), StoreError> {
        while self.alert_to_ended_uses().await? > 0 {}
        Ok(())
    }

    async fn raise_ended_uses(&self, due: Vec<(Key, Uses)>, now: DateTime<Utc>) -> Result<(), StoreError> {
        let find = move |db: &mut Db| due.into_iter().map(|((id, _), uses)| told(db, id, uses, now)).collect();
        let told: Vec<Option<NewAlert>> = self.store().read::<_, StoreError>(find).await?;
        let told: Vec<NewAlert> = told.into_iter().flatten().collect();
        if told.is_empty() {
            return Ok(());
        }
        let alerts = self.inner.dependencies.alerts.clone();
        let raise = move |db: &mut Db| told.iter().try_for_each(|alert| alerts.raise_in(db, alert).map(drop));
        self.store().write(raise).await
    }
}

/// The alert about uses of a session, unless they came from where it was used before.
fn told(db: &mut Db, id: SessionId, uses: Uses, now: DateTime<Utc>) -> Result<Option<NewAlert>, StoreError> {
    let Some(session) = sessions::find(db, id)?.filter(|session| !was_used_from(session, uses.ip)) else {
        return Ok(None);
    };
    let details = AlertDetails::EndedTokenUsed {
        uses: uses.count,
        end_reason: session.end.as_ref().map(|end| end.reason),
        session_network: wide_network(session.last_ip),
    };
    let alert = NewAlert::new(now, details, Subject::new(SubjectKind::Session, id));
    Ok(Some(alert.of_user(session.user_id).in_session(id).from_address(uses.ip)))
}

/// Whether the session was begun or last used from the network of this address.
fn was_used_from(session: &Session, ip: IpAddr) -> bool {
    let network = wide_network(ip);
    network.contains(&session.client_info.ip) || network.contains(&session.last_ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn ip(last: u32) -> IpAddr {
        IpAddr::from([10, u8::try_from(last >> 8).unwrap(), u8::try_from(last & 0xff).unwrap(), 1])
    }

    #[test]
    fn one_use_is_not_told_and_two_are_told_once() {
        let (noted, id) = (EndedUses::default(), SessionId::new(start()));
        noted.note(id, ip(1), start());
        assert_eq!(noted.due(start()), []);
        noted.note(id, ip(1), start());
        let told = noted.due(start());
        assert_eq!((told.len(), told[0].0.0, told[0].1.count), (1, id, 2));
        noted.remove_written(&told, start());
        assert_eq!(noted.due(start()), []);
    }

    #[test]
    fn what_was_not_told_stays_and_what_came_meanwhile_counts_anew() {
        let (noted, id) = (EndedUses::default(), SessionId::new(start()));
        for _ in 0..3 {
            noted.note(id, ip(1), start());
        }
        let told = noted.due(start());
        assert_eq!(noted.due(start()), told, "nothing is lost where telling fails");
        noted.note(id, ip(1), start());
        noted.remove_written(&told, start());
        assert_eq!(noted.due(start()), []);
        noted.note(id, ip(1), start());
        assert_eq!(noted.due(start())[0].1.count, 2);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let (noted, id) = (EndedUses::default(), SessionId::new(start()));
        for number in 0..5000 {
            noted.note(id, ip(number), start());
        }
        assert_eq!(noted.noted().len(), REMEMBERED);
        noted.due(start() + FORGOTTEN_AFTER);
        assert_eq!(noted.noted().len(), 0);
    }
}
