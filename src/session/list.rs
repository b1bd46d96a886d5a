//! A user's own sessions and attempts.

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Sessions;
use super::check::Checked;
use super::live::LiveSession;
use crate::model::attempt::Attempt;
use crate::model::id::{SessionId, UserId};
use crate::model::session::{Session, SessionState};
use crate::store::attempts::{self, AttemptFilter};
use crate::store::sessions::{self, Position, SessionFilter, Sort, UserSelector};
use crate::store::{Page, StoreError};

/// The session of a request, with its use by that request.
#[derive(Debug)]
pub struct CurrentSession {
    /// Which.
    pub id: SessionId,
    /// What is kept of it.
    pub session: Arc<LiveSession>,
    /// When it was last used.
    pub last_seen_at: DateTime<Utc>,
    /// From where.
    pub last_ip: IpAddr,
    /// When it ends unless it is used before.
    pub idle_expires_at: DateTime<Utc>,
}

impl Sessions {
    /// The session with this id, ended or not.
    pub async fn find(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.flush_of(std::iter::once(id)).await?;
        self.record_ends().await?;
        self.store().read(move |db| sessions::find(db, id)).await
    }

    /// The session of the request that is being answered, which came from `ip`.
    pub async fn current(&self, checked: &Checked, ip: IpAddr) -> Result<Option<CurrentSession>, StoreError> {
        let id = checked.session_id;
        let session = match &checked.session {
            Some(session) => Arc::clone(session),
            None => match self.store().read(move |db| sessions::find(db, id)).await? {
                Some(session) => Arc::new(LiveSession::new(&session)),
                None => return Ok(None),
            },
        };
        if checked.session.is_none() {
            // The use by this very request; where it is written already, it is not gathered any more.
            let (at, ip) = self.inner.last_seen.of(id).map_or_else(|| (self.now(), ip), |seen| (seen.at, seen.ip));
            session.note_use(at, ip);
        }
        let (last_seen_at, last_ip) = session.last_use();
        let idle_expires_at = Session::idle_end(last_seen_at, self.inner.limits.idle_timeout, session.expires_at());
        Ok(Some(CurrentSession { id, session, last_seen_at, last_ip, idle_expires_at }))
    }

    /// The user's own sessions, newest first.
    pub async fn own(
        &self,
        user_id: UserId,
        state: Option<SessionState>,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Page<Session>, StoreError> {
        self.record_overdue_of(user_id).await?;
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
