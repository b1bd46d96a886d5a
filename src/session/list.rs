//! A user's own sessions and attempts.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Sessions;
use super::live::LiveSession;
use crate::model::attempt::Attempt;
use crate::model::id::{SessionId, UserId};
use crate::model::session::{Session, SessionState};
use crate::store::attempts::{self, AttemptFilter};
use crate::store::sessions::{self, Position, Seen, SessionFilter, Sort, UserSelector};
use crate::store::{Page, StoreError};

/// The session of a request, with its use by that request.
#[derive(Debug)]
pub struct CurrentSession {
    /// Which.
    pub id: SessionId,
    /// What is kept of it.
    pub kept: Arc<LiveSession>,
    /// When it was last used.
    pub last_seen_at: DateTime<Utc>,
    /// From where; `None`: from where the store knows.
    pub last_ip: Option<IpAddr>,
    /// When it ends unless it is used before.
    pub idle_expires_at: DateTime<Utc>,
}

impl Sessions {
    /// The session with this id, ended or not.
    pub async fn find(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.record_overdue().await?;
        self.store().read(move |db| sessions::find(db, id)).await
    }

    /// The session of the request that is being answered, which came from `ip`.
    pub async fn current(&self, id: SessionId, ip: IpAddr) -> Result<Option<CurrentSession>, StoreError> {
        let is_live = self.is_live();
        let kept = match self.inner.live.sessions.get(&id).filter(|_| is_live) {
            Some(kept) => kept,
            None => match self.store().read(move |db| sessions::find(db, id)).await? {
                Some(session) => Arc::new(LiveSession::new(&session)),
                None => return Ok(None),
            },
        };
        // Where the use by this very request is written already, it is not gathered any more.
        let seen = self.inner.last_seen.of(id).unwrap_or_else(|| {
            let now = self.now();
            let idle_expires_at = Session::idle_end(now, self.inner.limits.idle_timeout, kept.expires_at());
            Seen { at: now, ip, idle_expires_at }
        });
        let (last_seen_at, last_ip, idle_expires_at) = if seen.at < kept.last_seen_at() {
            (kept.last_seen_at(), None, kept.idle_expires_at())
        } else {
            (seen.at, Some(seen.ip), seen.idle_expires_at)
        };
        Ok(Some(CurrentSession { id, kept, last_seen_at, last_ip, idle_expires_at }))
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
