//! Access tokens used again after the end of their session, from elsewhere: whoever logged out does not do that.
//!
//! A check that refuses such a token only counts it in memory; a job looks at the counts and raises alerts, so that whoever
//! sends many costs no writes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use serde_json::json;

use super::Sessions;
use crate::model::address::wide_network;
use crate::model::alert::{AlertKind, NewAlert};
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
pub(super) struct EndedUses(Mutex<HashMap<(SessionId, IpNet), Uses>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Uses {
    count: u32,
    first_at: DateTime<Utc>,
    ip: IpAddr,
}

impl EndedUses {
    /// Counts one.
    pub fn note(&self, id: SessionId, ip: IpAddr, now: DateTime<Utc>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (id, wide_network(ip));
        if noted.len() < REMEMBERED || noted.contains_key(&key) {
            let uses = noted.entry(key).or_insert(Uses { count: 0, first_at: now, ip });
            uses.count = uses.count.saturating_add(1);
        }
    }

    /// Takes out what is to be told, and forgets what was long ago.
    fn take(&self, now: DateTime<Utc>) -> Vec<(SessionId, Uses)> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|_, uses| uses.count >= TOLD_FROM || now - uses.first_at < FORGOTTEN_AFTER);
        let due: Vec<_> =
            noted.iter().filter(|(_, uses)| uses.count >= TOLD_FROM).take(AT_ONCE).map(|(key, _)| *key).collect();
        due.into_iter().filter_map(|key| noted.remove(&key).map(|uses| (key.0, uses))).collect()
    }
}

impl Sessions {
    /// Raises alerts about ended sessions whose tokens were used again, from elsewhere and more than once.
    pub async fn tell_ended_uses(&self) -> Result<(), StoreError> {
        let now = self.now();
        let due = self.inner.ended_uses.take(now);
        if due.is_empty() {
            return Ok(());
        }
        let find = move |db: &mut Db| due.into_iter().map(|(id, uses)| told(db, id, uses, now)).collect();
        let told: Vec<Option<NewAlert>> = self.store().read::<_, StoreError>(find).await?;
        let told: Vec<NewAlert> = told.into_iter().flatten().collect();
        if told.is_empty() {
            return Ok(());
        }
        let alerts = self.inner.parts.alerts.clone();
        let raise = move |db: &mut Db| told.iter().try_for_each(|alert| alerts.raise_in(db, alert).map(drop));
        self.store().write(raise).await
    }
}

/// The alert about uses of a session, unless they came from where it was used before.
fn told(db: &mut Db, id: SessionId, uses: Uses, now: DateTime<Utc>) -> Result<Option<NewAlert>, StoreError> {
    let Some(session) = sessions::find(db, id)?.filter(|session| !was_used_from(session, uses.ip)) else {
        return Ok(None);
    };
    let alert = NewAlert::new(now, AlertKind::EndedTokenUsed, Subject::new(SubjectKind::Session, id))
        .of_user(session.user_id)
        .in_session(id)
        .from_address(uses.ip);
    Ok(Some(alert.with(json!({
        "uses": uses.count, "end_reason": session.end.as_ref().map(|end| end.reason),
        "session_network": wide_network(session.last_ip).to_string(),
    }))))
}

/// Whether the session was begun or last used from the network of this address.
fn was_used_from(session: &Session, ip: IpAddr) -> bool {
    let network = wide_network(ip);
    network.contains(&session.origin.ip) || network.contains(&session.last_ip)
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
        assert_eq!(noted.take(start()), []);
        noted.note(id, ip(1), start());
        let told = noted.take(start());
        assert_eq!((told.len(), told[0].0, told[0].1.count), (1, id, 2));
        assert_eq!(noted.take(start()), []);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let (noted, id) = (EndedUses::default(), SessionId::new(start()));
        for number in 0..5000 {
            noted.note(id, ip(number), start());
        }
        assert_eq!(noted.0.lock().unwrap().len(), REMEMBERED);
        noted.take(start() + FORGOTTEN_AFTER);
        assert_eq!(noted.0.lock().unwrap().len(), 0);
    }
}
