//! Single ends that are asked for at the same time: they share a transaction, its statements, and the wait for other nodes.
//!
//! While one transaction is under way, and while other nodes apply it, further ends queue, and go together into the next batch.
//! A lone end waits for no others. Whoever asks gets the outcome of their own end; whoever goes away takes nothing along.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Sessions;
use super::change::Changes;
use super::end::{Ending, end_all_in};
use crate::model::audit::{AuditContext, Reason};
use crate::model::id::{SessionId, UserId};
use crate::model::session::End;
use crate::store::signing_keys::KeyStatus;
use crate::store::{Db, StoreError, sessions};

/// Ends that share one transaction at most.
const BATCH: usize = 256;

/// How long further ends gather at most while other nodes are waited for.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// How long they gather after that, where there are many.
const MOMENT: Duration = Duration::from_millis(2);

/// A request to end one session.
#[derive(Debug)]
pub(super) struct EndRequest {
    pub id: SessionId,
    pub end: End,
    pub context: AuditContext,
    pub by: Authority,
}

/// What allows somebody to end a session.
#[derive(Debug)]
pub(super) enum Authority {
    /// They may end any, or have shown a secret of this one.
    Any,
    /// It must be theirs.
    Owner(UserId),
    /// They hold an access token of this user, signed with this key at that time.
    Token { user_id: UserId, key_id: String, issued_at: DateTime<Utc> },
}

/// Whether the session ended now, or why it may not be ended.
type Verdict = Result<bool, Reason>;
type Outcome = Result<Verdict, StoreError>;
type Waiting = (EndRequest, oneshot::Sender<Outcome>);

/// The ends that wait for the transaction under way.
#[derive(Debug, Default)]
pub(super) struct EndQueue {
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    is_served: bool,
}

/// Held by the one who serves the line.
struct Turn<'a> {
    queue: &'a EndQueue,
    is_over: bool,
}

impl EndQueue {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Those who wait; where nobody does, the turn is over.
    fn next(&mut self) -> Option<(Vec<EndRequest>, Vec<oneshot::Sender<Outcome>>)> {
        let mut line = self.queue.line();
        if line.waiting.is_empty() {
            line.is_served = false;
            self.is_over = true;
            return None;
        }
        let count = line.waiting.len().min(BATCH);
        Some(line.waiting.drain(..count).unzip())
    }
}

impl Drop for Turn<'_> {
    /// A turn that breaks off leaves nobody waiting for ever.
    fn drop(&mut self) {
        if !self.is_over {
            *self.queue.line() = Line::default();
        }
    }
}

impl Sessions {
    /// Ends the session, in one transaction with others that are asked for at the same time; returns when that holds on
    /// every node.
    pub(super) async fn end_with_others(&self, asked: EndRequest) -> Outcome {
        let queue = &self.inner.end_queue;
        let (reply, answer) = oneshot::channel();
        let was_served = {
            let mut line = queue.line();
            line.waiting.push_back((asked, reply));
            std::mem::replace(&mut line.is_served, true)
        };
        if !was_served {
            self.inner.runtime.spawn(self.clone().serve_line());
        }
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the end was broken off".into())))
    }

    async fn serve_line(self) {
        let mut turn = Turn { queue: &self.inner.end_queue, is_over: false };
        while let Some((asked, replies)) = turn.next() {
            let count = asked.len();
            let outcomes = self.end_asked(asked).await;
            let answering = tokio::spawn(self.clone().reply_when_applied(outcomes, replies));
            if self.coherence().has_peers() {
                let_others_join(answering, count).await;
            }
        }
    }

    async fn end_asked(&self, asked: Vec<EndRequest>) -> Vec<Outcome> {
        let asked: Vec<Arc<EndRequest>> = asked.into_iter().map(Arc::new).collect();
        match self.commit_asked(asked.clone()).await {
            Ok(verdicts) => verdicts.into_iter().map(Ok).collect(),
            // A row that cannot be read spoils the end of no other session.
            Err(error) if !error.is_transient() && asked.len() > 1 => {
                let mut outcomes = Vec::with_capacity(asked.len());
                for one in asked {
                    outcomes.push(self.commit_asked(vec![one]).await.map(|verdicts| verdicts[0]));
                }
                outcomes
            }
            Err(error) => asked.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn commit_asked(&self, asked: Vec<Arc<EndRequest>>) -> Result<Vec<Verdict>, StoreError> {
        let (sessions, batch) = (self.clone(), asked.clone());
        let (verdicts, _) = self.commit(move |db, changes| sessions.end_asked_in(db, changes, &batch)).await?;
        for (asked, verdict) in asked.iter().zip(&verdicts) {
            self.count_ends(asked.end.reason, i64::from(*verdict == Ok(true)));
        }
        Ok(verdicts)
    }

    fn end_asked_in(
        &self,
        db: &mut Db,
        changes: &mut Changes<'_>,
        asked: &[Arc<EndRequest>],
    ) -> Result<Vec<Verdict>, StoreError> {
        for asked in asked {
            self.ensure_allowed_in(db, &asked.context)?;
        }
        let refusals = self.reasons_against(db, asked)?;
        let allowed = asked.iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none());
        let endings: Vec<Ending<'_>> =
            allowed.map(|(asked, _)| Ending { id: asked.id, end: &asked.end, context: &asked.context }).collect();
        let mut ended = end_all_in(db, changes, &endings)?.into_iter();
        Ok(refusals.into_iter().map(|refusal| refusal.map_or_else(|| Ok(ended.next().unwrap_or(false)), Err)).collect())
    }

    /// Why each may not be ended, where it may not.
    fn reasons_against(&self, db: &mut Db, asked: &[Arc<EndRequest>]) -> Result<Vec<Option<Reason>>, StoreError> {
        let mut keys: HashMap<&str, Option<KeyStatus>> = HashMap::new();
        for asked in asked {
            if let Authority::Token { key_id, .. } = &asked.by
                && !keys.contains_key(key_id.as_str())
            {
                keys.insert(key_id, self.signing().status_in(db, key_id)?);
            }
        }
        let was_good = |key_id: &str, at| keys[key_id].is_some_and(|status| status.accepts(at));
        let owners = sessions::owners(db, asked.iter().map(|asked| asked.id))?;
        let refusal = |asked: &Arc<EndRequest>| {
            let owner = owners.get(&asked.id);
            match &asked.by {
                Authority::Token { key_id, issued_at, .. } if !was_good(key_id, *issued_at) => Some(Reason::KeyRevoked),
                _ if owner.is_none() => Some(Reason::SessionUnknown),
                Authority::Owner(user_id) if owner != Some(user_id) => Some(Reason::NotOwn),
                Authority::Token { user_id, .. } if owner != Some(user_id) => Some(Reason::Subject),
                _ => None,
            }
        };
        Ok(asked.iter().map(refusal).collect())
    }

    /// Tells everybody how it went: who may not end a session at once, the others when every node knows.
    async fn reply_when_applied(self, outcomes: Vec<Outcome>, replies: Vec<oneshot::Sender<Outcome>>) {
        let is_done = |(outcome, _): &(Outcome, _)| matches!(outcome, Ok(Ok(_)));
        let (done, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().zip(replies).partition(is_done);
        // Who went away does not want to know.
        let reply_all = |outcomes: Vec<(Outcome, oneshot::Sender<Outcome>)>| {
            for (outcome, reply) in outcomes {
                drop(reply.send(outcome));
            }
        };
        reply_all(refused);
        if !done.is_empty() {
            self.coherence().wait_for_all_nodes().await;
            reply_all(done);
        }
    }
}

/// Lets those who come while `count` others wait for the other nodes share the next transaction and the next wait: both cost
/// every node as much for one end as for many. A node that does not answer holds up no transaction.
async fn let_others_join(answering: JoinHandle<()>, count: usize) {
    let _ = tokio::time::timeout(LONGEST_WAIT, answering).await;
    // Where there are many, some come again when they have their answers. The first of them is not to go alone.
    if count > 1 {
        tokio::time::sleep(MOMENT).await;
    }
}
