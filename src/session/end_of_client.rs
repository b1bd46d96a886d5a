//! Ending every session of a client that is removed: batch after batch, since there may be a million.
//!
//! The client goes with the last of them, in one transaction that lets nobody log in through it. Where it breaks off before, the
//! client is still there, and whoever asks again goes on. Whoever asks may go away meanwhile: what has begun is done.

use chrono::{DateTime, Utc};

use super::Sessions;
use super::bulk_end::Progress;
use super::change::Changes;
use super::end::{BATCH, end_by, end_same_in, is_last_batch};
use crate::model::audit::AuditContext;
use crate::model::client::ClientId;
use crate::model::not_before::Scope;
use crate::model::session::EndReason;
use crate::store::{Db, StoreError, clients, sessions};

impl Sessions {
    /// Ends the client's sessions; `remove` takes the client away with the last of them, and is told how many ended.
    pub(crate) async fn end_with_client<E, F>(&self, id: ClientId, context: AuditContext, remove: F) -> Result<(), E>
    where
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut Db, i64) -> Result<(), E> + Clone + Send + Sync + 'static,
    {
        let sessions = self.clone();
        let ending = async move { sessions.end_all_of_client(&id, &context, &remove).await };
        let ended = self.inner.runtime.spawn(ending).await;
        ended.unwrap_or_else(|_| Err(StoreError::Unavailable("the end was broken off".into()).into()))
    }

    async fn end_all_of_client<E, F>(&self, id: &ClientId, context: &AuditContext, remove: &F) -> Result<(), E>
    where
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut Db, i64) -> Result<(), E> + Clone + Send + 'static,
    {
        let mut progress = Progress::default();
        let mut outcome = Ok(());
        while !progress.is_over && outcome.is_ok() {
            match self.end_some_of_client(id, context, remove, progress).await {
                Ok(further) => progress = further,
                Err(error) => outcome = Err(error),
            }
        }
        // One wait for all of them.
        self.coherence().acknowledged().await;
        self.count_ends(EndReason::ClientRemoved, progress.ended);
        outcome
    }

    async fn end_some_of_client<E, F>(
        &self,
        id: &ClientId,
        context: &AuditContext,
        remove: &F,
        before: Progress,
    ) -> Result<Progress, E>
    where
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut Db, i64) -> Result<(), E> + Clone + Send + 'static,
    {
        let (sessions, id, context, remove, now) =
            (self.clone(), id.clone(), context.clone(), remove.clone(), self.now());
        let step = move |db: &mut Db, changes: &mut Changes<'_>| {
            let is_there = clients::lock(db, &id)?;
            // It may have ended its own session since, and goes on.
            if !before.has_begun {
                sessions.ensure_allowed_in(db, &context)?;
            }
            let open =
                if is_there { sessions::open_since(db, &Scope::Client(id), BEGINNING, BATCH)? } else { Vec::new() };
            let end = end_by(&context, EndReason::ClientRemoved, now, None);
            let ended = before.ended + end_same_in(db, changes, &open, &end, &context)?;
            let is_over = is_last_batch(open.len());
            if is_over {
                remove(db, ended)?;
            }
            Ok::<_, E>(Progress { has_begun: true, is_over, ended })
        };
        self.commit(step).await.map(|(progress, _)| progress)
    }
}

/// Before any session.
const BEGINNING: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;
