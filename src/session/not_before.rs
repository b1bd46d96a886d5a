//! The emergency cut-off: one write refuses everything issued before a moment, whatever the number of sessions.
//!
//! A session is covered where it started before the moment. Both are times of day, of two nodes perhaps, or of one whose
//! clock was set back between them; so whether a session was there before the not-before is not left to them. Logins and
//! not-befores take turns in the store: a not-before of now ends by name what is there already and is dated later, and a
//! login that comes after it is dated no earlier. What is answered 503 is a login that would have to be dated far ahead.

use chrono::{DateTime, TimeDelta, Utc};

use super::Sessions;
use super::change::Changes;
use super::end::{BATCH, end_by, end_same_in};
use crate::model::alert::{AlertDetails, NewAlert};
use crate::model::audit::{AuditContext, AuditEvent, AuditKind, Details, Reason, Subject, SubjectKind};
use crate::model::change::Change;
use crate::model::client::ClientId;
use crate::model::not_before::Scope;
use crate::model::session::{EndReason, Session};
use crate::store::{Db, StoreError, audit, clients, not_befores, sessions, users};

/// A not-before cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum NotBeforeError {
    /// The moment lies in the future; it would refuse logins that have not happened.
    #[error("the moment lies in the future")]
    InTheFuture,
    /// There is no such user or client.
    #[error("there is no such user or client")]
    NoSuchSubject,
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sessions {
    /// Refuses every credential issued before `at` (`None`: now). Takes effect with this one write; the single ends are
    /// recorded afterwards.
    pub async fn set_not_before(
        &self,
        scope: Scope,
        at: Option<DateTime<Utc>>,
        note: Option<String>,
        context: &AuditContext,
    ) -> Result<(), NotBeforeError> {
        let (now, is_of_now) = (self.now(), at.is_none());
        let at = at.unwrap_or(now);
        let about = match &scope {
            Scope::User(id) => Subject::new(SubjectKind::User, id),
            Scope::Client(id) => Subject::new(SubjectKind::Client, id),
            Scope::Everybody => Subject::everybody(),
        };
        if at > now {
            self.refusals().note_operation(AuditKind::NotBeforeSet, Reason::InTheFuture, about, context);
            return Err(NotBeforeError::InTheFuture);
        }
        if let Scope::Client(id) = &scope
            && !self.has_been_a_client(id).await?
        {
            self.refusals().note_operation(AuditKind::NotBeforeSet, Reason::NotFound, about, context);
            return Err(NotBeforeError::NoSuchSubject);
        }
        let (asked_by, context, subject) = (context, context.clone(), about.clone());
        let alerts = self.inner.dependencies.alerts.clone();
        let by = self.clone();
        let set = self.change(move |db, changes| {
            not_befores::lock_exclusive(db)?;
            by.ensure_allowed_in(db, &context)?;
            let is_there = match &scope {
                Scope::User(id) => users::find(db, *id)?.is_some(),
                Scope::Client(_) | Scope::Everybody => true,
            };
            if !is_there {
                return Err(NotBeforeError::NoSuchSubject);
            }
            changes.note(match &scope {
                Scope::User(id) => Change::User(*id),
                Scope::Client(_) | Scope::Everybody => Change::NotBefore,
            });
            not_befores::raise(db, &scope, at, now, &context.actor, note.as_deref())?;
            let ended = if is_of_now { end_later_ones_in(db, changes, &scope, at, note.clone(), &context)? } else { 0 };
            let details = Details::NotBeforeSet { at, note: note.clone() };
            audit::record(db, &AuditEvent::new(now, details, &context, subject.clone()))?;
            if !matches!(scope, Scope::User(_)) && alerts.rules().ends_at_once > 0 {
                let alert = NewAlert::new(now, many_ends(at, note, &context), subject);
                alerts.raise_in(db, &NewAlert { ip: context.ip, ..alert })?;
            }
            Ok(ended)
        });
        let set = set.await.map(|ended| self.count_ends(EndReason::NotBefore, ended));
        if matches!(set, Err(NotBeforeError::NoSuchSubject)) {
            self.refusals().note_operation(AuditKind::NotBeforeSet, Reason::NotFound, about, asked_by);
        }
        set
    }

    /// Whether there is such a client, or was one through which somebody logged in.
    async fn has_been_a_client(&self, id: &ClientId) -> Result<bool, StoreError> {
        let id = id.clone();
        let look = move |db: &mut Db| Ok(clients::find(db, &id)?.is_some() || sessions::any_through(db, &id)?);
        self.store().read_long(look).await
    }

    /// A session that is about to start, dated so that no not-before covers it.
    pub(super) fn begun_after_not_before_in(&self, db: &mut Db, session: Session) -> Result<Session, StoreError> {
        let moment = not_befores::newest_of(db, session.user_id, session.client.id())?;
        let Some(moment) = moment.filter(|moment| session.started_at < *moment) else { return Ok(session) };
        let ahead = moment - session.started_at;
        if ahead > TimeDelta::from_std(self.inner.tokens.tolerance).unwrap_or(TimeDelta::MAX) {
            let error = format!("the clock is {ahead} behind a not-before: no login before it has come this far");
            return Err(StoreError::Unavailable(error));
        }
        Ok(Session { started_at: moment, last_seen_at: moment, ..session })
    }
}

/// What reviewers are alerted to: what the record says of the not-before, and who set it.
fn many_ends(at: DateTime<Utc>, note: Option<String>, context: &AuditContext) -> AlertDetails {
    let (by, at) = (context.actor.clone(), Some(at));
    AlertDetails::ManyEnds { by, note, end: None, filter: None, matched: None, ended: None, complete: None, at }
}

/// Ends what is dated at the moment or later: nodes whose clock is ahead have started it, before this. Returns how many.
fn end_later_ones_in(
    db: &mut Db,
    changes: &mut Changes<'_>,
    scope: &Scope,
    moment: DateTime<Utc>,
    note: Option<String>,
    context: &AuditContext,
) -> Result<i64, StoreError> {
    let (end, mut ended) = (end_by(context, EndReason::NotBefore, moment, note), 0);
    loop {
        let later = sessions::open_since(db, scope, moment, BATCH)?;
        if later.is_empty() {
            return Ok(ended);
        }
        ended += end_same_in(db, changes, &later, &end, context)?;
    }
}
