//! The rule that judges a session: is it good now, and if not, how did it end? Whoever lets somebody go on asks here: the check,
//! the refresh, and what a session does (`acting_session`). Each collects the same facts, from memory or from the store.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Sessions;
use crate::model::id::SessionId;
use crate::model::session::{EndReason, Session, expired};
use crate::model::user::{UserState, UserStatus};
use crate::store::{Db, StoreError, not_befores, users};

/// What is known of a session, of its user, and of what covers them.
#[derive(Debug)]
pub(super) struct Facts {
    pub id: SessionId,
    pub started_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// As far as the store knew: uses may wait to be written.
    pub idle_expires_at: DateTime<Utc>,
    /// How it ended, where that is recorded.
    pub ended: Option<EndReason>,
    /// The latest moment that covers it: what was started before is over.
    pub not_before: Option<DateTime<Utc>>,
    /// The user as of now; `None` if the user was deleted.
    pub user: Option<Arc<UserStatus>>,
}

impl Facts {
    /// Of a session that was read in this transaction.
    pub fn read(db: &mut Db, session: &Session) -> Result<Self, StoreError> {
        Ok(Self {
            id: session.id,
            started_at: session.started_at,
            expires_at: session.expires_at,
            idle_expires_at: session.idle_expires_at,
            ended: session.end.as_ref().map(|end| end.reason),
            not_before: not_befores::newest_of(db, session.user_id, session.client.id())?,
            user: users::status(db, session.user_id)?.map(Arc::new),
        })
    }

    /// The user, if session and user are both good; else how the session ended. A flat list: the first reason counts.
    /// `idle_end` is asked for the idle end by all uses, before a session is called idle.
    fn judge(
        &self,
        now: DateTime<Utc>,
        idle_end: impl FnOnce() -> DateTime<Utc>,
    ) -> Result<&Arc<UserStatus>, EndReason> {
        if let Some(reason) = self.ended {
            return Err(reason);
        }
        if let Some(reason) = self.timed_out(now, idle_end) {
            return Err(reason);
        }
        // Every credential of a session that was started before the moment was issued before it, or descends from one that was.
        if self.not_before.is_some_and(|moment| self.started_at < moment) {
            return Err(EndReason::NotBefore);
        }
        match &self.user {
            None => Err(EndReason::UserDeleted),
            Some(user) if user.state == UserState::Disabled => Err(EndReason::UserDisabled),
            Some(user) => Ok(user),
        }
    }

    fn timed_out(&self, now: DateTime<Utc>, idle_end: impl FnOnce() -> DateTime<Utc>) -> Option<EndReason> {
        expired(self.expires_at, self.idle_expires_at, now)?;
        expired(self.expires_at, idle_end(), now).map(|end| end.reason)
    }
}

impl Sessions {
    /// The user, if session and user are both good at `now`; else how the session ended.
    pub(super) fn judge<'facts>(
        &self,
        facts: &'facts Facts,
        now: DateTime<Utc>,
    ) -> Result<&'facts Arc<UserStatus>, EndReason> {
        facts.judge(now, || self.inner.last_seen.idle_end(facts.id, facts.idle_expires_at))
    }

    /// The same of a session that was read in this transaction.
    pub(super) fn judge_in(
        &self,
        db: &mut Db,
        session: &Session,
        now: DateTime<Utc>,
    ) -> Result<Result<Arc<UserStatus>, EndReason>, StoreError> {
        Ok(self.judge(&Facts::read(db, session)?, now).map(Arc::clone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::user::{Role, Username};

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * minutes, 0).unwrap()
    }

    fn user(state: UserState) -> Arc<UserStatus> {
        let (username, role) = (Username::parse("zoe").unwrap(), Role::parse("agent").unwrap());
        Arc::new(UserStatus { username, role, state, must_change_password: false })
    }

    fn good() -> Facts {
        Facts {
            id: SessionId::new(at(0)),
            started_at: at(0),
            expires_at: at(720),
            idle_expires_at: at(30),
            ended: None,
            not_before: None,
            user: Some(user(UserState::Active)),
        }
    }

    /// Judged, all uses being written.
    fn judged(facts: &Facts, now: DateTime<Utc>) -> Result<(), EndReason> {
        facts.judge(now, || facts.idle_expires_at).map(drop)
    }

    #[test]
    fn of_several_reasons_the_first_counts() {
        let mut facts = good();
        assert_eq!(judged(&facts, at(29)), Ok(()));
        facts.user = Some(user(UserState::Disabled));
        assert_eq!(judged(&facts, at(29)), Err(EndReason::UserDisabled));
        facts.user = None;
        assert_eq!(judged(&facts, at(29)), Err(EndReason::UserDeleted));
        facts.not_before = Some(at(1));
        assert_eq!(judged(&facts, at(29)), Err(EndReason::NotBefore));
        assert_eq!(judged(&facts, at(30)), Err(EndReason::IdleTimeout));
        facts.ended = Some(EndReason::Logout);
        assert_eq!(judged(&facts, at(30)), Err(EndReason::Logout));
    }

    #[test]
    fn a_not_before_covers_what_was_started_before_it_and_nothing_else() {
        let covered = |moment| judged(&Facts { not_before: Some(moment), ..good() }, at(29));
        assert_eq!(covered(at(0)), Ok(()));
        assert_eq!(covered(at(0) + chrono::TimeDelta::microseconds(1)), Err(EndReason::NotBefore));
    }

    #[test]
    fn uses_that_are_not_written_yet_count_and_are_asked_for_only_then() {
        let facts = good();
        assert!(facts.judge(at(29), || unreachable!("it is not idle")).is_ok());
        assert!(facts.judge(at(30), || at(31)).is_ok());
        assert_eq!(facts.judge(at(31), || at(31)).err(), Some(EndReason::IdleTimeout));
        // It was used until its lifetime was over.
        assert_eq!(facts.judge(at(720), || at(720)).err(), Some(EndReason::Expired));
    }
}
