//! Erases a person (PRV-04): the account goes at once, and from the history what names the person. What is left stands under
//! the user's id, and is evidence until retention removes it; the chain verifies as before (`model::redaction`).
//!
//! A big history takes many transactions, which may break off anywhere: erasing again, or the next run of retention, goes
//! on. So the person's own rows come last: they hold the names by which the others are found.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{UserError, Users};
use crate::credential::throttle::forget_account;
use crate::model::audit::{AuditEvent, AuditKind, Cause, RecordedEvent, Subject, SubjectKind};
use crate::model::change::Change;
use crate::model::id::{SessionId, UserId};
use crate::model::redaction::{ERASED, Group, Kept};
use crate::model::session::EndReason;
use crate::model::user::fold;
use crate::session::end::{end_by, end_of_user_in};
use crate::store::retention::{Permit, may_redact, permitted};
use crate::store::{Db, StoreError, alerts, attempts, audit, sessions, users};

/// Rows of one transaction.
const BATCH: i64 = 500;

/// What was taken away of a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Erased {
    /// Sessions without the name now.
    pub sessions: u64,
    /// Attempts without the name now.
    pub attempts: u64,
    /// Events without their details now.
    pub events: u64,
    /// Rows that were sealed before names could be taken away: they go when retention removes them.
    pub sealed_in_the_clear: u64,
    /// Whether all was done that can be. If not, the database does not let this process change the history: a run of
    /// retention will.
    pub complete: bool,
}

impl Users {
    /// Erases a person: the account with everything in it, and the names in the history. Also somebody whose account was
    /// deleted before, or whose erasure broke off.
    pub async fn erase(&self, id: UserId, asked_by: &Cause) -> Result<Erased, UserError> {
        // What was refused a moment ago names the person too.
        self.inner.sessions.record_last_refusals().await?;
        let erased = self.erase_account(id, asked_by).await;
        let names = self.noted(erased, AuditKind::UserErased, Subject::new(SubjectKind::User, id), asked_by)?;
        Ok(self.erase_history(id, names, asked_by).await?)
    }

    /// Goes on with erasures that broke off, or that a process was asked for that may not change the history.
    pub async fn finish_erasures(&self) -> Result<(), StoreError> {
        let warrants = Arc::clone(&self.inner.warrants);
        let unfinished = move |db: &mut Db| {
            let mut unfinished = BTreeSet::new();
            if may_redact(db)? {
                // Whoever forged one would have the server erase somebody, and say so with its own word.
                let mut erased = audit::newest_of(db, AuditKind::UserErased, i64::MAX)?;
                erased.retain(|event| warrants.is_genuine(&event.event));
                let ids = erased.into_iter().filter_map(|event| event.event.subject.id?.parse::<UserId>().ok());
                for id in ids.collect::<HashSet<_>>() {
                    // Somebody who is there again was not erased by this.
                    if users::find(db, id)?.is_none() && !names_of(db, id)?.is_empty() {
                        unfinished.insert(id);
                    }
                }
            }
            Ok::<_, StoreError>(unfinished)
        };
        for id in self.store().read_at_length(unfinished).await? {
            self.erase_history(id, BTreeSet::new(), &Cause::system("retention")).await?;
        }
        Ok(())
    }

    /// Deletes the account, as [`Users::delete`] does, and records the erasure; the names that are known only there.
    async fn erase_account(&self, id: UserId, asked_by: &Cause) -> Result<BTreeSet<String>, UserError> {
        let (users, cause, now) = (self.clone(), asked_by.clone(), self.now());
        let sessions = self.inner.sessions.clone();
        sessions
            .change(move |db, changes| {
                let Some(user) = users::lock(db, id)? else {
                    return if names_of(db, id)?.is_empty() && !audit::is_erased(db, id)? {
                        Err(UserError::NotFound)
                    } else {
                        users.record_erasure(db, id, json!({}), &cause)?;
                        Ok(BTreeSet::new())
                    };
                };
                users.keep_an_administrator(db, &user, None)?;
                changes.note(Change::User(id));
                end_of_user_in(db, changes, id, None, &end_by(&cause, EndReason::UserDeleted, now, None), &cause)?;
                forget_account(db, &users.inner.master, &user, now)?;
                users::delete(db, id)?;
                users.record_erasure(db, id, json!({}), &cause)?;
                let email = user.email.map(|email| fold(email.as_str()));
                Ok(std::iter::once(user.username.folded()).chain(email).collect())
            })
            .await
    }

    /// Takes the person's names, and those known otherwise, out of the history.
    async fn erase_history(
        &self,
        id: UserId,
        mut names: BTreeSet<String>,
        cause: &Cause,
    ) -> Result<Erased, StoreError> {
        if !self.store().read(may_redact).await? {
            return Ok(Erased::default());
        }
        names.extend(self.store().read_at_length(move |db| names_of(db, id)).await?);
        let mut erased = Erased { complete: true, ..Erased::default() };
        self.store().write(move |db| alerts::remove_notes_about(db, id)).await?;
        self.erase_events(id, names, cause, &mut erased).await?;
        self.erase_attempts(id, &mut erased).await?;
        self.erase_sessions(id, &mut erased).await?;
        Ok(erased)
    }

    /// From the newest event to the oldest: where a name came from is the last to forget it.
    async fn erase_events(
        &self,
        id: UserId,
        names: BTreeSet<String>,
        cause: &Cause,
        erased: &mut Erased,
    ) -> Result<(), StoreError> {
        let own: HashSet<SessionId> = self.session_ids(id).await?;
        let (person, mut before) = (id.to_string(), i64::MAX);
        loop {
            let events = self.store().read_at_length(move |db| audit::kept_before(db, before, BATCH)).await?;
            let Some(last) = events.last() else { return Ok(()) };
            before = last.row.seq;
            let mut left = Vec::new();
            for event in events {
                let told = &event.row.event;
                let is_theirs = told.cause.actor.id == person || told.subject.id.as_ref() == Some(&person);
                let is_own = is_theirs || told.session_id.is_some_and(|id| own.contains(&id));
                if !names_somebody(told.kind, &told.details, is_own, &names) {
                    continue;
                }
                match event.without(Group::Person) {
                    Some(redacted) => left.push(redacted),
                    None => erased.sealed_in_the_clear += u64::from(!event.proofs.is_removed(Group::Person)),
                }
            }
            if left.is_empty() {
                continue;
            }
            erased.events += u64::try_from(left.len()).unwrap_or(0);
            let (users, cause) = (self.clone(), cause.clone());
            let write = move |db: &mut Db| {
                // The record says which: nothing else may be missing its details.
                let numbers: Vec<i64> = left.iter().map(|event| event.row.seq).collect();
                users.record_erasure(db, id, json!({ "events": numbers }), &cause)?;
                permitted(db, Permit::Person, |db| {
                    left.iter().try_for_each(|event| audit::redact(db, event, Group::Person))
                })
            };
            self.store().write_at_length(write).await?;
        }
    }

    /// Records an erasure, as a warrant for what it removes.
    fn record_erasure(&self, db: &mut Db, id: UserId, details: Value, cause: &Cause) -> Result<(), StoreError> {
        let subject = Subject::new(SubjectKind::User, id);
        let event = AuditEvent::new(self.now(), AuditKind::UserErased, cause, subject).with(details);
        audit::record(db, &self.inner.warrants.signed(event))
    }

    async fn erase_attempts(&self, id: UserId, erased: &mut Erased) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let work = move |db: &mut Db| {
                let kept = attempts::kept_of_user(db, id, after, BATCH)?;
                let last = kept.last().map(|last| attempts::Position { at: last.row.at, id: last.row.id });
                let left: Vec<_> = kept.iter().filter_map(|attempt| attempt.without(Group::Person)).collect();
                permitted(db, Permit::Person, |db| {
                    left.iter().try_for_each(|attempt| attempts::redact(db, attempt, Group::Person))
                })?;
                Ok::<_, StoreError>((last, left.len(), in_the_clear(&kept)))
            };
            let (last, redacted, in_the_clear) = self.store().write_at_length(work).await?;
            erased.attempts += u64::try_from(redacted).unwrap_or(0);
            erased.sealed_in_the_clear += in_the_clear;
            if last.is_none() {
                return Ok(());
            }
            after = last;
        }
    }

    async fn erase_sessions(&self, id: UserId, erased: &mut Erased) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let work = move |db: &mut Db| {
                let kept = sessions::kept_of_user(db, id, after, BATCH)?;
                let last = kept.last().map(|last| sessions::Position { at: last.row.started_at, id: last.row.id });
                let left: Vec<_> = kept.iter().filter_map(|session| session.without(Group::Person)).collect();
                permitted(db, Permit::Person, |db| {
                    left.iter().try_for_each(|session| sessions::redact(db, session, Group::Person))
                })?;
                Ok::<_, StoreError>((last, left.len(), in_the_clear(&kept)))
            };
            let (last, redacted, in_the_clear) = self.store().write_at_length(work).await?;
            erased.sessions += u64::try_from(redacted).unwrap_or(0);
            erased.sealed_in_the_clear += in_the_clear;
            if last.is_none() {
                return Ok(());
            }
            after = last;
        }
    }

    /// The sessions that the user ever had, as far as they are kept.
    async fn session_ids(&self, id: UserId) -> Result<HashSet<SessionId>, StoreError> {
        let (mut ids, mut after) = (HashSet::new(), None);
        loop {
            let page = self.store().read_at_length(move |db| sessions::kept_of_user(db, id, after, BATCH)).await?;
            let Some(last) = page.last() else { return Ok(ids) };
            after = Some(sessions::Position { at: last.row.started_at, id: last.row.id });
            ids.extend(page.iter().map(|session| session.row.id));
        }
    }
}

fn in_the_clear<T>(kept: &[Kept<T>]) -> u64 {
    use crate::model::redaction::Proof;
    kept.iter().filter(|kept| *kept.proofs.of(Group::Person) == Proof::Clear).map(|_| 1).sum()
}

/// The names, folded, that the history has of a user: at logins, in tries, and in what was done to the account.
fn names_of(db: &mut Db, id: UserId) -> Result<BTreeSet<String>, StoreError> {
    let mut names: BTreeSet<String> = sessions::names_of_user(db, id)?.into_iter().collect();
    names.extend(attempts::names_of_user(db, id)?);
    for RecordedEvent { event, .. } in audit::about_user(db, id, i64::MAX)? {
        let members: &[&str] = if event.kind == AuditKind::UserRenamed { &["from", "to"] } else { &["username"] };
        names.extend(members.iter().filter_map(|member| event.details[*member].as_str()).map(fold));
    }
    names.remove(&fold(ERASED));
    Ok(names)
}

/// Whether the details of an event name one of these, or are free text about the person whose own event it is.
fn names_somebody(kind: AuditKind, details: &Value, is_own: bool, names: &BTreeSet<String>) -> bool {
    let Value::Object(members) = details else { return false };
    members.iter().any(|(member, value)| match (member.as_str(), value) {
        ("username" | "user", Value::String(text)) => names.contains(&fold(text)),
        ("from" | "to", Value::String(text)) if kind == AuditKind::UserRenamed => names.contains(&fold(text)),
        ("note", Value::String(text)) => is_own || names.iter().any(|name| mentions(&fold(text), name)),
        (_, Value::Object(_)) => names_somebody(kind, value, is_own, names),
        _ => false,
    })
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
    use chrono::{DateTime, Utc};

    use super::*;

    #[test]
    fn prv_04_a_name_is_found_where_names_stand_and_nowhere_else() {
        let names = BTreeSet::from(["alice".to_owned(), "zoé d'o".to_owned()]);
        let is_named = |kind, details: Value, own| names_somebody(kind, &details, own, &names);
        assert!(is_named(AuditKind::UserCreated, json!({ "username": "Alice", "role": "agent" }), true));
        assert!(is_named(AuditKind::HistoryRead, json!({ "what": "sessions", "filter": { "user": "ALICE" } }), false));
        assert!(is_named(AuditKind::SessionsEnded, json!({ "note": "Alice, again" }), false));
        assert!(is_named(AuditKind::SessionsEnded, json!({ "note": "ask Zoé d'O" }), false));
        assert!(is_named(AuditKind::SessionEnded, json!({ "note": "a stolen telephone" }), true));
        assert!(is_named(AuditKind::UserRenamed, json!({ "from": "alice", "to": "carol" }), true));
        assert!(!is_named(AuditKind::SessionsEnded, json!({ "note": "alicent" }), false));
        assert!(!is_named(AuditKind::UserRoleChanged, json!({ "from": "alice", "to": "agent" }), false));
        assert!(!is_named(AuditKind::HistoryRead, json!({ "what": "alice", "count": 1 }), false));
    }

    #[test]
    fn a_moment_is_no_name() {
        let names = BTreeSet::from(["x".to_owned()]);
        let at: DateTime<Utc> = DateTime::UNIX_EPOCH;
        assert!(!names_somebody(AuditKind::HistoryRead, &json!({ "filter": { "from": at } }), true, &names));
    }
}
