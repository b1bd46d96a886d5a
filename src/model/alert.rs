//! Alerts: what a reviewer should look at soon (LOG-11). The table of kinds is the one source of `docs/alerts.md`, of the details
//! that alerts are made with, and of what an erasure looks for in them.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use serde_json::Value;

use super::audit::Subject;
use super::details::{Member, kinds};
use super::id::{AlertId, BulkEndId, SessionId, UserId};
use super::session::{Actor, EndReason};

kinds! {
    /// What an alert is about. The words are stable: rules elsewhere match on them.
    pub enum AlertKind;
    /// What an alert is about, with what else there is to say of it.
    pub enum AlertDetails;

    /// Somebody logged in after many failures on the account.
    LoginAfterFailures = "login_after_failures" {
        /// how many there were since the last login
        failures: i32,
        /// whether the login showed the token of a known device
        known_device: bool,
    }
    /// A user logged in from a device or network that is new for them. It has no details where the alert was raised for a login
    /// that was counted with others, when the user reported it.
    NewDevice = "new_device" {
        /// the browser; null where the user agent does not say
        browser: Option<String>,
        /// the system; null where the user agent does not say
        os: Option<String>,
        /// the /24 or /56 that the login came from
        network: IpNet [network],
        /// whether the network is new
        new_network: bool,
        /// whether the browser and system are
        new_device: bool,
    }
    /// The access token of an ended session was used again, from elsewhere.
    EndedTokenUsed = "ended_token_used" {
        /// how often, since this was looked at before
        uses: u32,
        /// why the session ended
        end_reason: Option<EndReason>,
        /// the /24 or /56 that the session was last used from
        session_network: IpNet [network],
    }
    /// A spent refresh token was used again: one of the two who have it is a thief.
    SpentTokenUsed = "spent_token_used" {
        /// how many refreshes of the session went before that token
        generation: u32,
        /// the same of the token that was good
        live_generation: u32,
        /// from where the session was last used
        last_ip: IpAddr [network],
    }
    /// Few tries on each of many accounts.
    PasswordSpraying = "password_spraying" {
        /// how many accounts were tried
        names: usize,
        /// how many tries failed in all
        tries: usize,
    }
    /// Many names tried from one network.
    CredentialStuffing = "credential_stuffing" {
        /// how many names were tried
        names: usize,
        /// how many tries failed in all
        tries: usize,
    }
    /// Many clients failed to authenticate from one network, or one did often.
    ClientAuthenticationFailures = "client_authentication_failures" {
        /// how many authentications failed within a minute
        failures: u32,
    }
    /// Many sessions were ended at once: by a filter, or by a not-before.
    ManyEnds = "many_ends" {
        /// who did it: `kind` and `id`
        by: Actor,
        /// what the administrator noted
        note: Option<String> [text],
        /// names the end by a filter, as `sessions.ended` does
        end: Option<BulkEndId> [optional],
        /// the filter as it was asked for
        filter: Option<Value> [optional filter],
        /// active sessions that matched
        matched: Option<i64> [optional],
        /// how many of them ended
        ended: Option<i64> [optional],
        /// `false` where the end by a filter was broken off
        complete: Option<bool> [optional],
        /// of a not-before: what was issued before is refused
        at: Option<DateTime<Utc>> [optional],
    }
    /// The database turned out to be an older copy of itself.
    HistoryWentBack = "history_went_back" {
        /// the number that changes, or this node's leases, had reached
        remembered: i64,
        /// the number that was found
        found: i64,
    }
    /// The record was altered.
    RecordDamaged = "record_damaged" {
        /// the first bad record, and what is wrong with it
        damage: String,
    }
    /// What is written to the history has not been sealed for some seconds.
    SealingStopped = "sealing_stopped" {
        /// how many records wait
        records: i64,
    }
}

/// The kind of an alert that was raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RaisedKind {
    /// One that there is.
    Known(AlertKind),
    /// The word of one that a newer version knows.
    Newer(String),
}

impl RaisedKind {
    /// The kind with this word.
    #[must_use]
    pub fn of(word: String) -> Self {
        word.parse().map_or(Self::Newer(word), Self::Known)
    }

    /// The word by which the API and the database name the kind.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        match self {
            Self::Known(kind) => kind.as_str(),
            Self::Newer(word) => word.as_str(),
        }
    }

    /// The members of its details. What may name somebody in those of a newer version is looked for under the names that it has in
    /// `many_ends`, the one kind of today where anything may.
    #[must_use]
    pub const fn members(&self) -> &'static [Member] {
        match self {
            Self::Known(kind) => kind.members(),
            Self::Newer(_) => AlertKind::ManyEnds.members(),
        }
    }
}

/// An alert that is about to be raised, or was. It is made of [`AlertDetails`], and keeps them as the JSON that is stored: what an
/// older or newer version raised is read as well.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAlert<Kind = AlertKind> {
    /// When what it is about happened.
    pub at: DateTime<Utc>,
    /// The kind of the alert, which says what it is about.
    pub kind: Kind,
    /// Whom or what it concerns; of one kind and subject there is one at a time.
    pub subject: Subject,
    /// The user whom the alert is about, if there is one.
    pub user_id: Option<UserId>,
    /// The session that the alert is about, if there is one.
    pub session_id: Option<SessionId>,
    /// The address from which it was done, where it is known.
    pub ip: Option<IpAddr>,
    /// What else there is to say: an object, without secrets.
    pub details: Value,
}

impl NewAlert {
    /// An alert about no user, in no session, from nowhere.
    #[must_use]
    pub fn new(at: DateTime<Utc>, details: AlertDetails, subject: Subject) -> Self {
        let bare = Self::without_details(at, details.kind(), subject);
        Self { details: details.into_value(), ..bare }
    }

    /// The same where nothing else is known.
    #[must_use]
    pub fn without_details(at: DateTime<Utc>, kind: AlertKind, subject: Subject) -> Self {
        let details = Value::Object(serde_json::Map::new());
        Self { at, kind, subject, user_id: None, session_id: None, ip: None, details }
    }

    /// The same alert about a user.
    #[must_use]
    pub const fn of_user(mut self, id: UserId) -> Self {
        self.user_id = Some(id);
        self
    }

    /// The same alert about a session.
    #[must_use]
    pub const fn in_session(mut self, id: SessionId) -> Self {
        self.session_id = Some(id);
        self
    }

    /// The same alert about what was done from an address.
    #[must_use]
    pub const fn from_address(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }
}

/// An alert as the store knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Names the alert for ever.
    pub id: AlertId,
    /// The alert as it was first raised.
    pub raised: NewAlert<RaisedKind>,
    /// The user's present name.
    pub username: Option<String>,
    /// When it happened last.
    pub last_at: DateTime<Utc>,
    /// How often it happened.
    pub count: i32,
    /// When the user said that the login was not theirs.
    pub disowned_at: Option<DateTime<Utc>>,
    /// Who looked at it.
    pub acknowledged: Option<Acknowledged>,
}

/// That somebody looked at an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// When somebody acknowledged it.
    pub at: DateTime<Utc>,
    /// Who: a user's id, or `cli`.
    pub by: String,
    /// What whoever acknowledged it wrote down.
    pub note: Option<String>,
}

impl Alert {
    /// How long it has been open, or was until it was acknowledged.
    #[must_use]
    pub fn age(&self, now: DateTime<Utc>) -> TimeDelta {
        let until = self.acknowledged.as_ref().map_or(now, |acknowledged| acknowledged.at);
        (until - self.raised.at).max(TimeDelta::zero())
    }

    /// Whether it has been open for longer than it may.
    #[must_use]
    pub fn is_overdue(&self, now: DateTime<Utc>, limit: TimeDelta) -> bool {
        self.acknowledged.is_none() && self.age(now) > limit
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::details::Names;

    /// Each kind, as it has always been kept.
    fn kept() -> [(AlertKind, Value); 12] {
        let end = "0198c2a0-0000-7000-8000-000000000000";
        [
            (AlertKind::LoginAfterFailures, json!({ "failures": 3, "known_device": false })),
            (
                AlertKind::NewDevice,
                json!({
                    "browser": "Firefox", "os": null, "network": "192.0.2.0/24", "new_network": true, "new_device": false,
                }),
            ),
            (
                AlertKind::EndedTokenUsed,
                json!({ "uses": 2, "end_reason": "logout", "session_network": "2001:db8::/56" }),
            ),
            (AlertKind::SpentTokenUsed, json!({ "generation": 1, "live_generation": 3, "last_ip": "2001:db8::1" })),
            (AlertKind::PasswordSpraying, json!({ "names": 15, "tries": 20 })),
            (AlertKind::CredentialStuffing, json!({ "names": 15, "tries": 15 })),
            (AlertKind::ClientAuthenticationFailures, json!({ "failures": 20 })),
            (
                AlertKind::ManyEnds,
                json!({
                    "by": { "kind": "admin", "id": end }, "end": end, "filter": { "user": "alice" }, "matched": 60,
                    "ended": 50, "complete": false, "note": null,
                }),
            ),
            (
                AlertKind::ManyEnds,
                json!({ "by": { "kind": "system", "id": "cli" }, "at": "2026-11-30T07:00:00.123456Z", "note": "a leak" }),
            ),
            (AlertKind::HistoryWentBack, json!({ "remembered": 9, "found": 7 })),
            (AlertKind::RecordDamaged, json!({ "damage": "event 7: altered" })),
            (AlertKind::SealingStopped, json!({ "records": 1200 })),
        ]
    }

    #[test]
    fn details_of_every_kind_are_read_and_written_as_they_are_kept() {
        for (kind, details) in kept() {
            let read = AlertDetails::read(kind, &details).unwrap();
            assert_eq!(read.kind(), kind);
            assert_eq!(NewAlert::new(DateTime::UNIX_EPOCH, read, Subject::everybody()).details, details, "{kind}");
        }
        for kind in AlertKind::ALL {
            assert!(kept().iter().any(|(of, _)| of == kind), "{kind}");
            assert!(kind.meaning().ends_with('.'), "{kind}");
        }
    }

    #[test]
    fn a_kind_of_a_newer_version_keeps_its_word() {
        let (known, newer) = (RaisedKind::of("many_ends".to_owned()), RaisedKind::of("new_moon".to_owned()));
        assert_eq!((&known, known.as_str()), (&RaisedKind::Known(AlertKind::ManyEnds), "many_ends"));
        assert_eq!((&newer, newer.as_str()), (&RaisedKind::Newer("new_moon".to_owned()), "new_moon"));
    }

    #[test]
    fn what_may_name_a_person_is_looked_for_also_where_a_newer_version_wrote_it() {
        let newer = RaisedKind::of("new_moon".to_owned());
        for kind in AlertKind::ALL {
            for member in kind.members().iter().filter(|member| !matches!(member.names, Names::Nobody | Names::Network))
            {
                assert!(newer.members().contains(member), "{} of {kind}", member.name);
            }
        }
    }
}
