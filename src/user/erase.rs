//! Erases a person (PRV-04): the account goes at once, and from the history what names the person. What is left stands under
//! the user's id, and is evidence until retention removes it; the chain verifies as before (`model::redaction`).
//!
//! A big history takes many transactions, which may break off anywhere: erasing again, or the next run of retention, goes
//! on. So the person's own rows come last: they hold the names by which the others are found.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::names_in_history::{Person, names_of, only_unaltered, sessions_started_by};
use super::{UserError, Users};
use crate::audit::chain::is_genuine;
use crate::credential::throttle::clear_account;
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Subject, SubjectKind};
use crate::model::change::Change;
use crate::model::filter::{AlertFilter, Sort};
use crate::model::folding::fold;
use crate::model::id::UserId;
use crate::model::record::RecordKind;
use crate::model::redaction::{Group, WithProofs};
use crate::model::session::EndReason;
use crate::session::end::{end_by, end_of_user_in};
use crate::store::retention::{DeletionGrant, may_redact, with_deletion_grant};
use crate::store::{Db, StoreError, alerts, attempts, audit, pending_erasures, sessions, users};

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
    /// Rows that are not what was recorded of them. They stay as they are: what somebody changed is damage, and nobody could put
    /// it right afterwards.
    pub altered: u64,
    /// Whether all was done that can be. If not, the database does not let this process change the history: a run of
    /// retention will.
    pub complete: bool,
}

impl Users {
    /// Erases a person: the account with everything in it, and the names in the history. Also somebody whose account was
    /// deleted before, or whose erasure broke off.
    pub async fn erase(&self, id: UserId, asked_by: &AuditContext) -> Result<Erased, UserError> {
        // What was refused a moment ago names the person too.
        self.inner.refusals.write_all().await?;
        let erased = self.erase_account(id, asked_by).await;
        self.noted(erased, AuditKind::UserErased, Subject::new(SubjectKind::User, id), asked_by)?;
        let erased = self.erase_history(id, asked_by).await?;
        if erased.complete {
            // Another node may still record what names the person: the next run of retention looks again.
            self.store().write(move |db| pending_erasures::remove_names(db, id)).await?;
        }
        Ok(erased)
    }

    /// Goes on with erasures that broke off, or that a process was asked for that may not change the history. One that fails
    /// keeps no other from being finished.
    pub async fn finish_erasures(&self) -> Result<(), StoreError> {
        let users = self.clone();
        let unfinished = move |db: &mut Db| {
            let mut unfinished = Vec::new();
            if may_redact(db)? {
                for id in pending_erasures::list(db)? {
                    // Somebody who is there again was not erased by this; and whoever forged one would have the server erase
                    // somebody, and say so with its own word.
                    if users::find(db, id)?.is_none() && users.was_erased(db, id)? {
                        unfinished.push(id);
                    }
                }
            }
            Ok::<_, StoreError>(unfinished)
        };
        let mut outcome = Ok(());
        for id in self.store().read_long(unfinished).await? {
            let finished = self.finish_erasure(id).await;
            outcome = outcome.and(finished);
        }
        outcome
    }

    async fn finish_erasure(&self, id: UserId) -> Result<(), StoreError> {
        if self.erase_history(id, &AuditContext::system("retention")).await?.complete {
            self.store().write(move |db| pending_erasures::remove(db, id)).await?;
        }
        Ok(())
    }

    /// Deletes the account, as [`Users::delete`] does, and records the erasure; the names that are known only there are kept
    /// for as long as the history may have them.
    async fn erase_account(&self, id: UserId, asked_by: &AuditContext) -> Result<(), UserError> {
        let (users, context, now) = (self.clone(), asked_by.clone(), self.now());
        let sessions = self.inner.sessions.clone();
        sessions
            .change(move |db, changes| {
                let user = users::lock(db, id)?;
                users.inner.sessions.ensure_allowed_in(db, &context)?;
                // Also where it is gone: who deleted it may still wait for other nodes.
                changes.note(Change::User(id));
                let Some(user) = user else {
                    return if names_of(db, id)?.is_empty() && !users.was_erased(db, id)? {
                        Err(UserError::NotFound)
                    } else {
                        pending_erasures::insert(db, id, None, now)?;
                        users.record_erasure(db, id, None, &context)?;
                        Ok(())
                    };
                };
                users.keep_an_administrator(db, &user, None)?;
                end_of_user_in(db, changes, id, None, &end_by(&context, EndReason::UserDeleted, now, None), &context)?;
                clear_account(db, &users.inner.throttles, &user)?;
                users::delete(db, id, now)?;
                let email = user.email.map(|email| fold(email.as_str()));
                let names: BTreeSet<String> = std::iter::once(user.username.folded()).chain(email).collect();
                let encrypted = users.encrypted_names(db, id, &names)?;
                pending_erasures::insert(db, id, Some(encrypted), now)?;
                users.record_erasure(db, id, None, &context)?;
                Ok(())
            })
            .await
    }

    fn encrypted_names(&self, db: &mut Db, id: UserId, names: &BTreeSet<String>) -> Result<Vec<u8>, StoreError> {
        Ok(self.inner.vault.encrypt_in(db, &pending_erasures::context(id), json!(names).to_string().as_bytes())?)
    }

    /// The names that only the account had.
    fn names_kept(&self, db: &mut Db, id: UserId) -> Result<BTreeSet<String>, StoreError> {
        let encrypted = |db: &mut Db| pending_erasures::encrypted_names(db, id);
        let Some(names) = self.inner.vault.decrypt_in(db, &pending_erasures::context(id), encrypted)? else {
            return Ok(BTreeSet::new());
        };
        serde_json::from_slice(&names).map_err(|error| StoreError::Corrupt(format!("pending_erasures {id}: {error}")))
    }

    /// Takes the person's names, those that the account had as well, out of the history.
    async fn erase_history(&self, id: UserId, context: &AuditContext) -> Result<Erased, StoreError> {
        if !self.store().read(may_redact).await? {
            return Ok(Erased::default());
        }
        let users = self.clone();
        let known = move |db: &mut Db| {
            let mut names = names_of(db, id)?;
            names.extend(users.names_kept(db, id)?);
            Ok::<_, StoreError>((names, sessions_started_by(db, id)?))
        };
        let (names, started) = self.store().read_long(known).await?;
        let person = Arc::new(Person { id, names, started });
        let mut erased = Erased { complete: true, ..Erased::default() };
        self.erase_notes(&person).await?;
        self.erase_events(&person, context, &mut erased).await?;
        self.erase_attempts(id, &mut erased).await?;
        self.erase_sessions(id, &mut erased).await?;
        Ok(erased)
    }

    /// Out of what is no part of the record: not-befores, and what alerts say of the record or reviewers noted on them.
    async fn erase_notes(&self, person: &Arc<Person>) -> Result<(), StoreError> {
        let (sought, now) = (Arc::clone(person), self.now());
        self.store().write_long(move |db| sought.erase_from_not_befores(db, now)).await?;
        let mut after = None;
        loop {
            let sought = Arc::clone(person);
            let work = move |db: &mut Db| {
                let page = alerts::list(db, &AlertFilter::everything(), after, BATCH)?;
                page.items.iter().try_for_each(|alert| sought.erase_from_alert(db, alert))?;
                Ok::<_, StoreError>(page.next)
            };
            after = self.store().write_long(work).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// From the newest event to the oldest: where a name came from is the last to forget it.
    async fn erase_events(
        &self,
        person: &Arc<Person>,
        context: &AuditContext,
        erased: &mut Erased,
    ) -> Result<(), StoreError> {
        let (id, mut before) = (person.id, i64::MAX);
        loop {
            let sought = Arc::clone(person);
            let read = move |db: &mut Db| {
                let (last, events) = sought.named_before(db, before, BATCH)?;
                let left: Vec<_> = events.iter().filter_map(|event| event.without(Group::Person)).collect();
                let found = left.len();
                let left = only_unaltered(db, RecordKind::Event, left, |event| event.row.seq)?;
                Ok::<_, StoreError>((last, found - left.len(), in_the_clear(&events), left))
            };
            let (last, altered, in_the_clear, left) = self.store().read_long(read).await?;
            erased.altered += count(altered);
            erased.sealed_in_the_clear += in_the_clear;
            let Some(last) = last else { return Ok(()) };
            before = last;
            if left.is_empty() {
                continue;
            }
            erased.events += count(left.len());
            let (users, context) = (self.clone(), context.clone());
            let write = move |db: &mut Db| {
                // The record says which: nothing else may be missing its details.
                let numbers: Vec<i64> = left.iter().map(|event| event.row.seq).collect();
                users.record_erasure(db, id, Some(numbers), &context)?;
                with_deletion_grant(db, DeletionGrant::Person, |db| {
                    left.iter().try_for_each(|event| audit::redact(db, event, Group::Person))
                })
            };
            self.store().write_long(write).await?;
        }
    }

    /// Records an erasure, as a signed removal for what it removes: the details of the events with these numbers.
    fn record_erasure(
        &self,
        db: &mut Db,
        id: UserId,
        events: Option<Vec<i64>>,
        context: &AuditContext,
    ) -> Result<(), StoreError> {
        let (details, subject) = (Details::UserErased { events, mac: None }, Subject::new(SubjectKind::User, id));
        let event = AuditEvent::new(self.now(), details, context, subject);
        audit::record(db, &self.inner.removal_key.signed(event))
    }

    /// Whether the server recorded that it erased this user.
    pub(super) fn was_erased(&self, db: &mut Db, id: UserId) -> Result<bool, StoreError> {
        for erasure in audit::erasures_of(db, id)? {
            if is_genuine(db, &self.inner.removal_key, &erasure)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn erase_attempts(&self, id: UserId, erased: &mut Erased) -> Result<(), StoreError> {
        let batch = move |db: &mut Db, after| {
            let kept = attempts::kept_of_user(db, id, after, BATCH)?;
            let last = kept.last().map(|last| attempts::Position::of(&last.row));
            let left: Vec<_> = kept.iter().filter_map(|attempt| attempt.without(Group::Person)).collect();
            let found = left.len();
            let left = only_unaltered(db, RecordKind::Attempt, left, |attempt| attempt.row.id)?;
            with_deletion_grant(db, DeletionGrant::Person, |db| {
                left.iter().try_for_each(|attempt| attempts::redact(db, attempt, Group::Person))
            })?;
            Ok::<_, StoreError>(Batch {
                last,
                redacted: left.len(),
                altered: found - left.len(),
                in_the_clear: in_the_clear(&kept),
            })
        };
        let redacted = self.erase_in_batches(batch, erased).await?;
        erased.attempts += redacted;
        Ok(())
    }

    async fn erase_sessions(&self, id: UserId, erased: &mut Erased) -> Result<(), StoreError> {
        let batch = move |db: &mut Db, after| {
            let kept = sessions::kept_of_user(db, id, after, BATCH)?;
            let last = kept.last().map(|last| sessions::Position::of(&last.row, Sort::OldestStart));
            let left: Vec<_> = kept.iter().filter_map(|session| session.without(Group::Person)).collect();
            let found = left.len();
            let left = only_unaltered(db, RecordKind::SessionStarted, left, |session| session.row.id)?;
            // They are over.
            let left = only_unaltered(db, RecordKind::SessionEnded, left, |session| session.row.id)?;
            with_deletion_grant(db, DeletionGrant::Person, |db| {
                left.iter().try_for_each(|session| sessions::redact(db, session, Group::Person))
            })?;
            Ok::<_, StoreError>(Batch {
                last,
                redacted: left.len(),
                altered: found - left.len(),
                in_the_clear: in_the_clear(&kept),
            })
        };
        let redacted = self.erase_in_batches(batch, erased).await?;
        erased.sessions += redacted;
        Ok(())
    }

    /// Runs transaction after transaction, each from where the one before ended; returns how many rows were redacted.
    async fn erase_in_batches<P: Send + 'static>(
        &self,
        batch: impl Fn(&mut Db, Option<P>) -> Result<Batch<P>, StoreError> + Clone + Send + 'static,
        erased: &mut Erased,
    ) -> Result<u64, StoreError> {
        let (mut after, mut redacted) = (None, 0);
        loop {
            let batch = batch.clone();
            let done = self.store().write_long(move |db| batch(db, after)).await?;
            redacted += count(done.redacted);
            erased.altered += count(done.altered);
            erased.sealed_in_the_clear += done.in_the_clear;
            if done.last.is_none() {
                return Ok(redacted);
            }
            after = done.last;
        }
    }
}

/// What one transaction has done to the rows of a user.
struct Batch<P> {
    /// The last row that was looked at; `None` where there was none.
    last: Option<P>,
    redacted: usize,
    altered: usize,
    in_the_clear: u64,
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

fn in_the_clear<T>(kept: &[WithProofs<T>]) -> u64 {
    use crate::model::redaction::Proof;
    kept.iter().filter(|kept| *kept.proofs.of(Group::Person) == Proof::Clear).map(|_| 1).sum()
}
