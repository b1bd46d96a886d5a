//! Ending sessions. Every end, whatever door it came through, passes `end_all_in`; the first end wins, and a second
//! changes nothing and succeeds.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::Sessions;
use super::change::Changes;
use super::check::{CheckError, unknown};
use super::gathered::{Asked, Authority};
use crate::model::audit::{AuditEvent, AuditKind, Cause, Reason, Subject, SubjectKind};
use crate::model::change::Change;
use crate::model::id::{SessionId, UserId};
use crate::model::session::{Actor, End, EndReason};
use crate::store::sessions::Closing;
use crate::store::{Db, StoreError, audit, sessions};
use crate::token::refresh::RefreshToken;

/// The end of one session, and what is behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub id: SessionId,
    pub end: &'a End,
    pub cause: &'a Cause,
}

impl Ending<'_> {
    fn event(&self) -> AuditEvent {
        let mut details = json!({ "reason": self.end.reason });
        if let (Value::Object(members), Some(note)) = (&mut details, &self.end.note) {
            members.insert("note".into(), json!(note));
        }
        let subject = Subject::new(SubjectKind::Session, self.id);
        AuditEvent::new(self.end.at, AuditKind::SessionEnded, self.cause, subject).in_session(self.id).with(details)
    }
}

/// Ends sessions inside a transaction and records each end; says of each whether it ended now, and not before.
///
/// A change is noted in either case: the end before may not have been acknowledged, and this one must not be sooner.
pub(crate) fn end_all_in(db: &mut Db, changes: &mut Changes, endings: &[Ending<'_>]) -> Result<Vec<bool>, StoreError> {
    for ending in endings {
        changes.note(Change::Session(ending.id));
    }
    let closings =
        endings.iter().map(|Ending { id, end, .. }| Closing { id: *id, end, last_use: changes.last_use(*id) });
    let mut ended = sessions::end_all(db, &closings.collect::<Vec<_>>())?;
    // Of two ends of one session the first in the list counts.
    let is_first: Vec<bool> = endings.iter().map(|ending| ended.remove(&ending.id)).collect();
    let recorded = endings.iter().zip(&is_first).filter(|(_, is_first)| **is_first);
    let events: Vec<AuditEvent> = recorded.map(|(ending, _)| ending.event()).collect();
    audit::record_all(db, &events)?;
    Ok(is_first)
}

/// Ends one session inside a transaction and records it. `false` where it had ended before.
pub(crate) fn end_in(
    db: &mut Db,
    changes: &mut Changes,
    id: SessionId,
    end: &End,
    cause: &Cause,
) -> Result<bool, StoreError> {
    end_same_in(db, changes, &[id], end, cause).map(|ended| ended == 1)
}

/// Ends these sessions in the same way inside a transaction; returns how many ended now.
pub(crate) fn end_same_in(
    db: &mut Db,
    changes: &mut Changes,
    ids: &[SessionId],
    end: &End,
    cause: &Cause,
) -> Result<i64, StoreError> {
    let endings: Vec<Ending<'_>> = ids.iter().map(|&id| Ending { id, end, cause }).collect();
    let ended = end_all_in(db, changes, &endings)?.into_iter().filter(|ended| *ended).count();
    Ok(i64::try_from(ended).unwrap_or(i64::MAX))
}

/// Ends the user's sessions inside a transaction, all but `except`; returns how many.
pub(crate) fn end_of_user_in(
    db: &mut Db,
    changes: &mut Changes,
    user_id: UserId,
    except: Option<SessionId>,
    end: &End,
    cause: &Cause,
) -> Result<i64, StoreError> {
    // As in `end_all_in`: some may have been ended a moment ago.
    changes.note(Change::User(user_id));
    let open = sessions::open_of_user(db, user_id)?.into_iter().map(|open| open.id);
    let ids: Vec<SessionId> = open.filter(|id| Some(*id) != except).collect();
    end_same_in(db, changes, &ids, end, cause)
}

/// An end at `now` for a reason, by the party that acts.
pub(crate) fn end_by(cause: &Cause, reason: EndReason, now: DateTime<Utc>, note: Option<String>) -> End {
    End { at: now, reason, by: cause.actor.clone(), note }
}

impl Sessions {
    /// Ends one session. `None` where there is none of this id.
    pub async fn end(
        &self,
        id: SessionId,
        reason: EndReason,
        note: Option<String>,
        cause: &Cause,
    ) -> Result<Option<bool>, StoreError> {
        self.end_by_authority(id, reason, note, cause, Authority::Any).await
    }

    /// Ends one of the user's own sessions. `None` where the user has none of this id: another person's is not found.
    pub async fn end_own(&self, user_id: UserId, id: SessionId, cause: &Cause) -> Result<Option<bool>, StoreError> {
        self.end_by_authority(id, EndReason::EndedByOwner, None, cause, Authority::Owner(user_id)).await
    }

    async fn end_by_authority(
        &self,
        id: SessionId,
        reason: EndReason,
        note: Option<String>,
        cause: &Cause,
        by: Authority,
    ) -> Result<Option<bool>, StoreError> {
        let end = end_by(cause, reason, self.now(), note);
        let outcome = self.end_with_others(Asked { id, end, cause: cause.clone(), by }).await;
        match self.told_when_over(outcome).await? {
            Ok(ended) => Ok(Some(ended)),
            Err(refused) => {
                let reason = if refused == Reason::SessionUnknown { Reason::NotFound } else { refused };
                self.refuse_operation(AuditKind::SessionEnded, reason, Subject::new(SubjectKind::Session, id), cause);
                Ok(None)
            }
        }
    }

    /// Logs out by an access token that is ours and of the session's user, also past its time: whoever leaves is let go.
    /// Succeeds also where the session has ended already.
    pub async fn logout(&self, token: &str, cause: impl FnOnce(Actor) -> Cause) -> Result<(), CheckError> {
        let now = self.now();
        let (claims, key_id) = self.genuine(token, now).await?;
        // Who refuses a token writes nothing, so a server that was left behind would do it too.
        self.believe_the_store().await?;
        let (id, user_id) = (claims.session_id, claims.subject);
        let cause = cause(Actor::user(user_id));
        let end = end_by(&cause, EndReason::Logout, now, None);
        let by = Authority::Token { user_id, key_id, issued_at: claims.issued_at.min(now) };
        match self.end_with_others(Asked { id, end, cause, by }).await? {
            Ok(_) => Ok(()),
            Err(Reason::SessionUnknown) => Err(unknown(id)),
            Err(reason) => Err(CheckError::Invalid(reason)),
        }
    }

    /// Logs out by a refresh token of the session, live or spent: whoever holds one may end it.
    pub async fn logout_by_refresh_token(
        &self,
        token: &str,
        cause: impl FnOnce(Actor) -> Cause,
    ) -> Result<(), CheckError> {
        let nobody = Actor::system("refresh");
        let Ok(token) = RefreshToken::parse(token) else {
            self.refuse_refresh(Reason::Malformed, &cause(nobody));
            return Err(CheckError::Invalid(Reason::Malformed));
        };
        self.believe_the_store().await?;
        let id = token.session_id;
        let session = self.store().read(move |db| sessions::find(db, id)).await?;
        let Some(session) =
            session.filter(|session| token.is_genuine(&self.inner.parts.keys.refresh_token, &session.refresh.seed))
        else {
            self.refuse_refresh(Reason::TokenUnknown, &cause(nobody));
            return Err(CheckError::Invalid(Reason::TokenUnknown));
        };
        self.end(session.id, EndReason::Logout, None, &cause(Actor::user(session.user_id))).await?;
        Ok(())
    }

    /// Ends the user's sessions, all but `except`; returns how many.
    pub async fn end_of_user(
        &self,
        user_id: UserId,
        except: Option<SessionId>,
        reason: EndReason,
        note: Option<String>,
        cause: &Cause,
    ) -> Result<i64, StoreError> {
        let end = end_by(cause, reason, self.now(), note);
        let subject = Subject::new(SubjectKind::User, user_id);
        let asked = AuditEvent::new(end.at, AuditKind::SessionsEnded, cause, subject);
        let (sessions, cause) = (self.clone(), cause.clone());
        let ended = self.change(move |db, changes| {
            sessions.stands_in(db, &cause)?;
            let ended = end_of_user_in(db, changes, user_id, except, &end, &cause)?;
            // Also where none was left to end: somebody asked for it.
            let details = json!({ "reason": end.reason, "ended": ended, "note": end.note });
            audit::record(db, &asked.with(details))?;
            Ok::<_, StoreError>(ended)
        });
        let ended = self.told_when_over(ended.await).await?;
        self.count_ends(reason, ended);
        Ok(ended)
    }

    /// Whoever asks in a session that is over already is told so when that holds on every node.
    async fn told_when_over<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Overtaken(_)) = outcome {
            self.acknowledged().await;
        }
        outcome
    }

    pub(super) fn count_ends(&self, reason: EndReason, count: i64) {
        for _ in 0..count {
            self.inner.parts.metrics.session_ended(reason.as_str());
        }
    }
}
