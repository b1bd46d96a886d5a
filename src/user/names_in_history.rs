//! Where the history names a person: the names that it has of them, the members that hold names, and notes.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::audit::chain::unaltered;
use crate::model::alert::Alert;
use crate::model::audit::{AuditEvent, AuditKind, RecordedEvent, SubjectKind};
use crate::model::details::{Member, Names};
use crate::model::folding::fold;
use crate::model::id::{AlertId, SessionId, UserId};
use crate::model::not_before::Scope;
use crate::model::record::RecordKind;
use crate::model::redaction::WithProofs;
use crate::model::user::ERASED;
use crate::store::{Db, StoreError, alerts, attempts, audit, not_befores, sessions};

/// A person, as the history names them.
#[derive(Debug)]
pub(super) struct Person {
    pub id: UserId,
    /// Every name that the history has of them, case-folded.
    pub names: BTreeSet<String>,
    /// Sessions of theirs, also those whose rows are gone.
    pub started: HashSet<SessionId>,
}

/// Whom something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// The person: what was noted is about them, whatever it says.
    Them,
    /// Another user, who may have the name now: what names that one is evidence about that one.
    Other(UserId),
    /// That is not known; names are all there is to go by.
    Unknown,
}

impl Person {
    /// Whether an event is done by the person, or about them.
    pub fn is_party_to(&self, event: &AuditEvent) -> bool {
        let id = self.id.to_string();
        event.context.actor.id == id || event.subject.id.as_ref() == Some(&id)
    }

    /// Of so many events before number `before`, newest first, those whose details name the person; and the number of the
    /// last that was looked at, if there was any.
    pub fn named_before(
        &self,
        db: &mut Db,
        before: i64,
        limit: i64,
    ) -> Result<(Option<i64>, Vec<WithProofs<RecordedEvent>>), StoreError> {
        let events = audit::kept_before(db, before, limit)?;
        let last = events.last().map(|last| last.row.seq);
        let owners = sessions::owners(db, events.iter().filter_map(|event| session_of(&event.row.event)))?;
        let owners =
            only_unaltered(db, RecordKind::SessionStarted, owners.into_iter().collect(), |(session, _)| *session)?;
        let owners: HashMap<SessionId, UserId> = owners.into_iter().collect();
        let concerned = alerts::users_of(db, events.iter().filter_map(|event| alert_of(&event.row.event)))?;
        let mut named = Vec::new();
        for event in events {
            let recorded = &event.row.event;
            let of_session = session_of(recorded)
                .and_then(|id| if self.started.contains(&id) { Some(self.id) } else { owners.get(&id).copied() });
            let of_alert = || alert_of(recorded).and_then(|id| concerned.get(&id).copied());
            let user = user_of(recorded).or(of_session).or_else(of_alert);
            let about = self.about(user, &recorded.details);
            if self.is_named(db, recorded.kind.members(), &recorded.details, about, self.is_party_to(recorded))? {
                named.push(event);
            }
        }
        Ok((last, named))
    }

    /// Takes the person out of an alert.
    pub fn erase_from_alert(&self, db: &mut Db, alert: &Alert) -> Result<(), StoreError> {
        let raised = &alert.raised;
        let of_session = raised.session_id.filter(|id| self.started.contains(id)).map(|_| self.id);
        let about = self.about(raised.user_id.or(of_session), &raised.details);
        if self.is_named(db, raised.kind.members(), &raised.details, about, false)? {
            alerts::remove_details(db, alert.id)?;
        }
        let note = alert.acknowledged.as_ref().and_then(|acknowledged| acknowledged.note.as_deref());
        if self.is_noted(db, note, about)? {
            alerts::remove_note(db, alert.id)?;
        }
        Ok(())
    }

    /// Takes the person out of not-befores.
    pub fn erase_from_not_befores(&self, db: &mut Db, now: DateTime<Utc>) -> Result<(), StoreError> {
        for set in not_befores::list(db)? {
            let user = if let Scope::User(id) = set.scope { Some(id) } else { None };
            if self.is_noted(db, set.note.as_deref(), self.about(user, &Value::Null))? {
                not_befores::remove_note(db, &set.scope, now)?;
            }
        }
        Ok(())
    }

    /// Whom something is about: a user who is known, or else those whose ids a filter asks for. Where it asks for others too,
    /// by name, that is not known.
    fn about(&self, user: Option<UserId>, details: &Value) -> About {
        let asked = || texts(&details["filter"]["user"]).map(|user| user.parse().ok()).collect();
        match user.map_or_else(asked, |user| vec![Some(user)]).as_slice() {
            users if users.contains(&Some(self.id)) => About::Them,
            [Some(user)] => About::Other(*user),
            _ => About::Unknown,
        }
    }

    fn is_noted(&self, db: &mut Db, note: Option<&str>, about: About) -> Result<bool, StoreError> {
        self.is_named(db, AuditKind::SessionsEnded.members(), &json!({ "note": note }), about, false)
    }

    /// Whether details name the person. A note on another user that holds a name which that user has as well is about that
    /// user.
    fn is_named(
        &self,
        db: &mut Db,
        members: &[Member],
        details: &Value,
        about: About,
        is_party: bool,
    ) -> Result<bool, StoreError> {
        let is_named = names_somebody(members, details, about, is_party, &self.names);
        match about {
            About::Other(other) if is_named => {
                let names = &self.names - &names_of(db, other)?;
                Ok(names_somebody(members, details, about, is_party, &names))
            }
            _ => Ok(is_named),
        }
    }
}

fn user_of(event: &AuditEvent) -> Option<UserId> {
    event.subject.id.as_deref().filter(|_| event.subject.kind == SubjectKind::User)?.parse().ok()
}

fn alert_of(event: &AuditEvent) -> Option<AlertId> {
    event.subject.id.as_deref().filter(|_| event.subject.kind == SubjectKind::Alert)?.parse().ok()
}

fn session_of(event: &AuditEvent) -> Option<SessionId> {
    let subject = || event.subject.id.as_deref().filter(|_| event.subject.kind == SubjectKind::Session)?.parse().ok();
    event.session_id.or_else(subject)
}

/// The sessions that a user started, as far as events tell.
pub(super) fn sessions_started_by(db: &mut Db, id: UserId) -> Result<HashSet<SessionId>, StoreError> {
    let about = unaltered_events_about(db, id)?.into_iter();
    let started = about.filter(|event| event.event.kind == AuditKind::SessionStarted);
    Ok(started.filter_map(|event| event.event.session_id).collect())
}

/// The events about a user that are what was recorded: one that somebody added must not have others lose what they say.
fn unaltered_events_about(db: &mut Db, id: UserId) -> Result<Vec<RecordedEvent>, StoreError> {
    let events = audit::about_user(db, id, i64::MAX)?;
    only_unaltered(db, RecordKind::Event, events, |event| event.seq)
}

/// Of these things of a kind, those that are what was recorded of them; `name` is that of their records.
pub(super) fn only_unaltered<T, N: ToString>(
    db: &mut Db,
    kind: RecordKind,
    mut things: Vec<T>,
    name: impl Fn(&T) -> N,
) -> Result<Vec<T>, StoreError> {
    let subjects: Vec<String> = things.iter().map(|thing| name(thing).to_string()).collect();
    let unaltered = unaltered(db, kind, &subjects)?;
    things.retain(|thing| unaltered.contains(&name(thing).to_string()));
    Ok(things)
}

/// The names, folded, that the history has of a user: at logins, in tries, and in what was done to the account.
pub(super) fn names_of(db: &mut Db, id: UserId) -> Result<BTreeSet<String>, StoreError> {
    let at_logins = sessions::names_of_user(db, id)?;
    let at_logins = only_unaltered(db, RecordKind::SessionStarted, at_logins, |(session, _)| *session)?;
    let mut names: BTreeSet<String> = at_logins.into_iter().map(|(_, name)| name).collect();
    let tried = attempts::names_of_user(db, id)?;
    let tried = only_unaltered(db, RecordKind::Attempt, tried, |(attempt, _)| *attempt)?;
    names.extend(tried.into_iter().map(|(_, name)| name));
    for RecordedEvent { event, .. } in unaltered_events_about(db, id)? {
        let members = event.kind.members().iter().filter(|member| member.names == Names::Person);
        names.extend(members.filter_map(|member| event.details[member.name].as_str()).map(fold));
    }
    names.remove(&fold(ERASED));
    Ok(names)
}

/// The members of filters that hold names.
const NAMING: [&str; 4] = ["user", "not_user", "username", "not_username"];

/// Whether details name one of these, or are free text about the person, or by them.
fn names_somebody(members: &[Member], details: &Value, about: About, is_party: bool, names: &BTreeSet<String>) -> bool {
    let is_name = |text: &str| !matches!(about, About::Other(_)) && names.contains(&fold(text));
    members.iter().any(|member| match (member.names, &details[member.name]) {
        (Names::Person, Value::String(name)) => is_name(name),
        (Names::Filter, filter) => NAMING.iter().any(|member| texts(&filter[*member]).any(is_name)),
        (Names::Text, Value::String(text)) => {
            is_party || about == About::Them || names.iter().any(|name| mentions(&fold(text), name))
        }
        _ => false,
    })
}

/// A text, or the texts of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

/// Whether a text holds a name as a word of its own; both folded.
fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let after = text[at + found.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prv_04_a_name_is_found_where_names_stand_and_nowhere_else() {
        let names = BTreeSet::from(["alice".to_owned(), "zoé d'o".to_owned()]);
        let is_named =
            |kind: AuditKind, details: Value, about| names_somebody(kind.members(), &details, about, false, &names);
        let (them, unknown) = (About::Them, About::Unknown);
        let filter = json!({ "what": "sessions", "filter": { "user": "ALICE" } });
        assert!(is_named(AuditKind::UserCreated, json!({ "username": "Alice", "role": "agent" }), them));
        assert!(is_named(AuditKind::HistoryRead, filter, unknown));
        for filter in [
            json!({ "user": ["bob", "Alice"] }),
            json!({ "not_user": "alice" }),
            json!({ "not_username": ["b", "ALICE"] }),
        ] {
            assert!(is_named(AuditKind::HistoryRead, json!({ "filter": filter }), unknown), "{filter}");
        }
        assert!(!is_named(AuditKind::HistoryRead, json!({ "filter": { "user": ["bob"], "role": "alice" } }), unknown));
        assert!(is_named(AuditKind::SessionsEnded, json!({ "note": "Alice, again" }), unknown));
        assert!(is_named(AuditKind::SessionsEnded, json!({ "note": "ask Zoé d'O" }), unknown));
        assert!(is_named(AuditKind::SessionEnded, json!({ "note": "a stolen telephone" }), them));
        assert!(is_named(AuditKind::UserRenamed, json!({ "from": "alice", "to": "carol" }), them));
        assert!(!is_named(AuditKind::SessionsEnded, json!({ "note": "alicent" }), unknown));
        assert!(!is_named(AuditKind::UserRoleChanged, json!({ "from": "alice", "to": "agent" }), unknown));
        assert!(!is_named(AuditKind::HistoryRead, json!({ "what": "alice", "count": 1 }), unknown));
    }

    #[test]
    fn prv_04_what_is_about_another_user_names_that_user() {
        let names = BTreeSet::from(["alice".to_owned()]);
        let other = About::Other(UserId::new(DateTime::UNIX_EPOCH));
        let is_named = |kind: AuditKind, details: Value, is_party| {
            names_somebody(kind.members(), &details, other, is_party, &names)
        };
        assert!(!is_named(AuditKind::UserCreated, json!({ "username": "alice", "role": "agent" }), false));
        assert!(!is_named(AuditKind::UserRenamed, json!({ "from": "bob", "to": "alice" }), true));
        assert!(is_named(AuditKind::SessionEnded, json!({ "note": "as alice asked" }), false));
        assert!(is_named(AuditKind::SessionEnded, json!({ "note": "my own words" }), true));
    }

    #[test]
    fn a_moment_is_no_name() {
        let names = BTreeSet::from(["x".to_owned()]);
        let at: DateTime<Utc> = DateTime::UNIX_EPOCH;
        let details = json!({ "filter": { "from": at } });
        assert!(!names_somebody(AuditKind::HistoryRead.members(), &details, About::Them, false, &names));
    }
}
