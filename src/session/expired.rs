//! Records the ends that time and not-befores have brought. A session is over when its moment has come; this only writes
//! it down, before lists are read and regularly in the background.

use super::Sessions;
use super::end::{BATCH, Ending, end_all_in, end_same_in};
use crate::model::audit::AuditContext;
use crate::model::id::{SessionId, UserId};
use crate::model::session::{End, EndReason, expired};
use crate::store::sessions::{self, Limits};
use crate::store::{StoreError, not_befores};

impl Sessions {
    /// Brings the store up to date for somebody who reads sessions there: writes their last uses, and records every end that
    /// has come by now; returns how many.
    pub async fn record_expired(&self) -> Result<i64, StoreError> {
        self.flush_last_seen().await?;
        self.record_ends().await
    }

    /// The same for somebody who reads the sessions of one user: nobody else's last uses are written.
    pub async fn record_overdue_of(&self, user_id: UserId) -> Result<i64, StoreError> {
        let open = self.store().read(move |db| sessions::open_of_user(db, user_id)).await?;
        let mut ids: Vec<SessionId> = open.into_iter().map(|limits| limits.id).collect();
        ids.sort_unstable_by_key(|id| id.0);
        self.flush_of(ids.into_iter()).await?;
        self.record_ends().await
    }

    /// Records every end that has come by now; returns how many.
    pub async fn record_ends(&self) -> Result<i64, StoreError> {
        Ok(self.record_timeouts().await? + self.record_not_befores().await?)
    }

    async fn record_timeouts(&self) -> Result<i64, StoreError> {
        let now = self.now();
        let mut recorded = 0;
        loop {
            let due: Vec<Limits> = self.store().read(move |db| sessions::expired(db, now, BATCH)).await?;
            if due.is_empty() {
                return Ok(recorded);
            }
            // Perhaps some were used here: where the clock was set, or the store could not be written to for a while.
            if self.flush_of(due.iter().map(|limits| limits.id)).await? > 0 {
                continue;
            }
            let reasons = self
                .commit(move |db, changes| {
                    let context = AuditContext::system("expiry");
                    let end = |due: &Limits| Some((due.id, expired(due.expires_at, due.idle_expires_at, now)?));
                    let ends: Vec<(SessionId, End)> = due.iter().filter_map(end).collect();
                    let endings: Vec<_> =
                        ends.iter().map(|(id, end)| Ending { id: *id, end, context: &context }).collect();
                    let ended = end_all_in(db, changes, &endings)?.into_iter().zip(endings);
                    Ok::<_, StoreError>(
                        ended.filter(|(ended, _)| *ended).map(|(_, of)| of.end.reason).collect::<Vec<_>>(),
                    )
                })
                .await?
                .0;
            recorded += i64::try_from(reasons.len()).unwrap_or(0);
            for reason in reasons {
                self.count_ends(reason, 1);
            }
        }
    }

    async fn record_not_befores(&self) -> Result<i64, StoreError> {
        let mut recorded = 0;
        for not_before in self.store().read(not_befores::list).await? {
            let by = not_before.set_by.clone();
            let end = End {
                at: not_before.set_at,
                reason: EndReason::NotBefore,
                by: by.clone(),
                note: not_before.note.clone(),
            };
            let context = AuditContext { actor: by, ip: None, request_id: None, acting: None };
            loop {
                let (not_before, end, context) = (not_before.clone(), end.clone(), context.clone());
                let open = self.store().read({
                    let not_before = not_before.clone();
                    move |db| sessions::open_before(db, &not_before, BATCH)
                });
                let ids = open.await?;
                if ids.is_empty() {
                    break;
                }
                let (ended, _) = self.commit(move |db, changes| end_same_in(db, changes, &ids, &end, &context)).await?;
                self.count_ends(EndReason::NotBefore, ended);
                recorded += ended;
            }
        }
        Ok(recorded)
    }
}
