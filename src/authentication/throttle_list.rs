//! What is throttled now: for administrators.

use super::Authentication;
use crate::store::throttles::{self, Position, ThrottleFilter, ThrottleRow};
use crate::store::{Page, StoreError};

impl Authentication {
    /// What failures are counted for, the newest first; `only_closed`: what refuses tries now.
    pub async fn throttles(
        &self,
        filter: ThrottleFilter,
        only_closed: bool,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Page<ThrottleRow, Position>, StoreError> {
        let closed_at = only_closed.then(|| (self.now(), self.inner.throttle.locked_after()));
        let filter = ThrottleFilter { closed_at, ..filter };
        self.store().read(move |db| throttles::list(db, &filter, after, limit)).await
    }

    /// Whether the account is closed until an administrator opens it.
    #[must_use]
    pub fn is_locked(&self, row: &ThrottleRow) -> bool {
        row.key.scope.is_account() && self.inner.throttle.is_locked(&row.count)
    }
}
