//! A user's own sessions and attempts.

use chrono::{DateTime, Utc};

use super::Sessions;
use crate::model::attempt::Attempt;
use crate::model::id::{SessionId, UserId};
use crate::model::session::{Session, SessionState};
use crate::model::user::User;
use crate::store::attempts::{self, AttemptFilter};
use crate::store::sessions::{self, Position, SessionFilter, Sort, UserSelector};
use crate::store::{Page, StoreError, users};

impl Sessions {
    /// The session with this id, ended or not.
    pub async fn find(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.record_overdue().await?;
        self.store().read(move |db| sessions::find(db, id)).await
    }

    /// The user and the session, for "who am I".
    pub async fn me(&self, user_id: UserId, id: SessionId) -> Result<Option<(User, Session)>, StoreError> {
        let found =
            self.store().read(move |db| Ok::<_, StoreError>(users::find(db, user_id)?.zip(sessions::find(db, id)?)));
        let Some((user, mut session)) = found.await? else { return Ok(None) };
        if let Some(seen) = self.inner.last_seen.of(id) {
            session.last_seen_at = seen.at;
            session.last_ip = seen.ip;
            session.idle_expires_at = seen.idle_expires_at;
        }
        Ok(Some((user, session)))
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
