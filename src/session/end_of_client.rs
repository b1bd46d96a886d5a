//! Ending every session of a client that is removed, in batches.
//!
//! The client goes with the last of them, in one transaction that lets nobody log in through it. Where it breaks off before, the
//! client is still there, and whoever asks again goes on. Whoever asks may go away meanwhile: what has begun is done.

use chrono::{DateTime, Utc};

use super::Sessions;
use super::batched_end::Progress;
use super::change::Changes;
use super::end::{BATCH, end_by, end_same_in};
use crate::model::audit::AuditContext;
use crate::model::change::Change;
use crate::model::client::ClientId;
use crate::model::not_before::Scope;
use crate::model::session::EndReason;
use crate::store::{Db, StoreError, clients, sessions};

/// A moment before any session started.
const BEGINNING: DateTime<Utc> = DateTime::<Utc>::UNIX_EPOCH;

impl Sessions {
    /// Ends the client's sessions; `remove` takes the client away with the last of them, and is told how many ended.
    pub(crate) async fn end_with_client<E, F>(&self, id: ClientId, context: AuditContext, remove: F) -> Result<(), E>
    where
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut Db, i64) -> Result<(), E> + Clone + Send + Sync + 'static,
    {
        let (sessions, by) = (self.clone(), self.clone());
        let step = move |db: &mut Db, changes: &mut Changes<'_>, before: Progress| {
            let is_there = clients::lock(db, &id)?;
            // It may have ended its own session since, and goes on.
            if !before.has_begun {
                by.ensure_allowed_in(db, &context)?;
            }
            let of_client = Scope::Client(id.clone());
            let open = if is_there { sessions::open_since(db, &of_client, BEGINNING, BATCH)? } else { Vec::new() };
            let end = end_by(&context, EndReason::ClientRemoved, by.now(), None);
            let progress = before.after(open.len(), end_same_in(db, changes, &open, &end, &context)?);
            if progress.is_over {
                changes.note(Change::Clients);
                remove(db, progress.ended)?;
            }
            Ok::<_, E>(progress)
        };
        let ending = async move { sessions.end_batches(EndReason::ClientRemoved, step).await.1 };
        let ended = self.inner.runtime.spawn(ending).await;
        ended.unwrap_or_else(|_| Err(StoreError::Unavailable("the end was broken off".into()).into()))
    }
}
