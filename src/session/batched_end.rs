//! An end of many sessions: batch after batch, since there may be a million. Each is a transaction of its own, and other nodes
//! are waited for once. Which sessions, and what goes before the first and with the last, the caller says.

use super::Sessions;
use super::change::Changes;
use super::end::BATCH;
use crate::model::session::EndReason;
use crate::store::{Db, StoreError};

/// How far it has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    pub has_begun: bool,
    pub is_over: bool,
    pub ended: i64,
}

impl Progress {
    /// After a further batch of so many sessions, of which so many ended now.
    pub fn after(self, length: usize, ended: i64) -> Self {
        let is_over = i64::try_from(length).is_ok_and(|length| length < BATCH);
        Self { has_begun: true, is_over, ended: self.ended + ended }
    }
}

impl Sessions {
    /// Ends batch after batch, as `step` does it in the transaction of each; how far that came, when it holds on every node.
    /// Whoever asked is looked at in the first alone: it may have ended their own session.
    pub(super) async fn end_batches<E: From<StoreError> + Send + 'static>(
        &self,
        reason: EndReason,
        step: impl Fn(&mut Db, &mut Changes<'_>, Progress) -> Result<Progress, E> + Clone + Send + 'static,
    ) -> (Progress, Result<(), E>) {
        let (mut progress, mut outcome) = (Progress::default(), Ok(()));
        while !progress.is_over && outcome.is_ok() {
            let (step, before) = (step.clone(), progress);
            match self.commit(move |db, changes| step(db, changes, before)).await {
                Ok((further, _)) => progress = further,
                Err(error) => outcome = Err(error),
            }
        }
        // One wait for all of them.
        self.coherence().wait_for_all_nodes().await;
        self.count_ends(reason, progress.ended);
        (progress, outcome)
    }
}
