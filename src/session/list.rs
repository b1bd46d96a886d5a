//! A user's own sessions and attempts.

use chrono::{DateTime, Utc};

use super::Sessions;
use crate::model::attempt::Attempt;
use crate::model::filter::{AttemptFilter, Criterion, SessionFilter, Sort, StateFilter};
use crate::model::folding::forms;
use crate::model::id::{SessionId, UserId};
use crate::model::session::Session;
use crate::store::sessions::{self, Position};
use crate::store::{Page, StoreError, attempts};

impl Sessions {
    /// The session with this id, ended or not.
    pub async fn find(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.flush_of(std::iter::once(id)).await?;
        self.record_ends().await?;
        self.store().read(move |db| sessions::find(db, id)).await
    }

    /// The user's own sessions, newest first.
    pub async fn own(
        &self,
        user_id: UserId,
        state: StateFilter,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Page<Session, Position>, StoreError> {
        self.record_overdue_of(user_id).await?;
        let now = self.now();
        let filter = SessionFilter { state: Criterion::is(state), ..SessionFilter::of_user(user_id) };
        self.store().read(move |db| sessions::list(db, &filter, now, Sort::NewestStart, after, limit)).await
    }

    /// Attempts on the user's own account, newest first.
    pub async fn own_attempts(
        &self,
        user_id: UserId,
        after: Option<attempts::Position>,
        limit: i64,
    ) -> Result<Page<Attempt, attempts::Position>, StoreError> {
        let filter = AttemptFilter::of_user(user_id);
        self.store().read(move |db| attempts::list(db, &filter, &forms, after, limit)).await
    }

    /// The present moment, by the clock that sessions go by.
    #[must_use]
    pub fn clock_now(&self) -> DateTime<Utc> {
        self.now()
    }
}
