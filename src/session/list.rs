//! A user's own sessions and attempts.

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::Sessions;
use crate::model::attempt::Attempt;
use crate::model::id::{SessionId, UserId};
use crate::model::session::{Session, SessionState};
use crate::store::attempts::{self, AttemptFilter};
use crate::store::sessions::{self, Position, Seen, SessionFilter, Sort, UserSelector};
use crate::store::{Page, StoreError};

impl Sessions {
    /// The session with this id, ended or not.
    pub async fn find(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.record_overdue().await?;
        self.store().read(move |db| sessions::find(db, id)).await
    }

    /// The session of the request that is being answered, which came from `ip`, without what refresh tokens are made of.
    pub async fn current(&self, id: SessionId, ip: IpAddr) -> Result<Option<Session>, StoreError> {
        let is_live = self.is_live();
        let kept = self.inner.live.sessions.get(&id).filter(|_| is_live).and_then(|kept| kept.session(id));
        let found = match kept {
            Some(session) => Some(session),
            None => self.store().read(move |db| sessions::find(db, id)).await?,
        };
        let (now, idle_timeout) = (self.now(), self.inner.limits.idle_timeout);
        Ok(found.map(|session| {
            // Where the use by this very request is written already, it is not gathered any more.
            let idle_expires_at = Session::idle_end(now, idle_timeout, session.expires_at);
            let seen = self.inner.last_seen.of(id).unwrap_or(Seen { at: now, ip, idle_expires_at });
            if seen.at < session.last_seen_at {
                return session;
            }
            Session { last_seen_at: seen.at, last_ip: seen.ip, idle_expires_at: seen.idle_expires_at, ..session }
        }))
    }

    /// The user's own sessions, newest first.
    pub async fn own(
        &self,
        user_id: UserId,
        state: Option<SessionState>,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Page<Session>, StoreError> {
        self.record_overdue().await?;
        let now = self.now();
        let filter = SessionFilter { user: Some(UserSelector::Id(user_id)), state, ..SessionFilter::default() };
        self.store().read(move |db| sessions::list(db, &filter, now, Sort::NewestStart, after, limit)).await
    }

    /// Attempts on the user's own account, newest first.
    pub async fn own_attempts(
        &self,
        user_id: UserId,
        after: Option<attempts::Position>,
        limit: i64,
    ) -> Result<Page<Attempt>, StoreError> {
        let filter = AttemptFilter { user_id: Some(user_id), ..AttemptFilter::default() };
        self.store().read(move |db| attempts::list(db, &filter, after, limit)).await
    }

    /// The present moment, by the clock that sessions go by.
    #[must_use]
    pub fn clock_now(&self) -> DateTime<Utc> {
        self.now()
    }
}
