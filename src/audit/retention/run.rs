//! One run: the event that says what goes, then batch after batch.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Plan, Retention, RetentionError, plan};
use crate::audit::chain::cutoffs;
use crate::model::audit::{AuditContext, AuditEvent, Subject};
use crate::model::id::NodeId;
use crate::model::redaction::Group;
use crate::model::retention::{Counts, RetentionCutoffs};
use crate::store::retention::{DeletionGrant, with_deletion_grant};
use crate::store::{
    Db, StoreError, alerts, attempts, audit, chain, one_time_tokens, retention, sessions, versioned_rows,
};

/// Rows of one transaction.
const BATCH: i64 = 500;
/// How long a process that breaks off holds the others back.
const CLAIM: TimeDelta = TimeDelta::minutes(10);
/// Whoever comes with an expired one-time token is told so for this long.
const EXPIRED_TOKENS_KEPT: TimeDelta = TimeDelta::days(7);

/// A run under way: [`Run::step`] does batch after batch.
#[derive(Debug)]
pub struct Run {
    retention: Retention,
    node: NodeId,
    context: AuditContext,
    /// What is to be removed, as it was counted at the beginning.
    pub plan: Plan,
    /// How many rows it has removed so far.
    pub removed: Counts,
    stages: VecDeque<Stage>,
}

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Sessions(DateTime<Utc>),
    Attempts(DateTime<Utc>),
    Events {
        before: DateTime<Utc>,
        erasures: DateTime<Utc>,
    },
    AddressesOfSessions(DateTime<Utc>),
    AddressesOfAttempts(DateTime<Utc>),
    AddressesOfEvents(DateTime<Utc>),
    Alerts {
        before: DateTime<Utc>,
    },
    AddressesOfAlerts {
        before: DateTime<Utc>,
    },
    Tokens,
    /// Prunes the chain: finds the oldest records that stand for nothing any more, and lets the chain begin after them.
    Prune,
    Records,
}

impl Stage {
    /// Of the history that goes which was recorded to go; of the rest, what is old.
    fn all(cutoffs: &RetentionCutoffs, old: &RetentionCutoffs) -> VecDeque<Self> {
        // Rows first: what goes need not be cut.
        let events = cutoffs.events.zip(cutoffs.of_erasures());
        let stages = [
            cutoffs.sessions.map(Self::Sessions),
            cutoffs.attempts.map(Self::Attempts),
            events.map(|(before, erasures)| Self::Events { before, erasures }),
            cutoffs.addresses.map(Self::AddressesOfSessions),
            cutoffs.addresses.map(Self::AddressesOfAttempts),
            cutoffs.addresses.map(Self::AddressesOfEvents),
            old.events.map(|before| Self::Alerts { before }),
            old.addresses.map(|before| Self::AddressesOfAlerts { before }),
            Some(Self::Tokens),
            Some(Self::Prune),
            Some(Self::Records),
        ];
        stages.into_iter().flatten().collect()
    }

    /// Does a batch; how many rows it concerned, and whether there may be more.
    fn step(self, db: &mut Db, now: DateTime<Utc>) -> Result<(u64, bool), StoreError> {
        let done = match self {
            Self::Sessions(before) => with_deletion_grant(db, DeletionGrant::Sessions(before), |db| {
                sessions::remove_ended_before(db, before, BATCH)
            }),
            Self::Attempts(before) => with_deletion_grant(db, DeletionGrant::Attempts(before), |db| {
                attempts::remove_before(db, before, BATCH)
            }),
            Self::Events { before, erasures } => with_deletion_grant(db, DeletionGrant::Events(before), |db| {
                audit::remove_before(db, before, erasures, BATCH)
            }),
            Self::AddressesOfSessions(before) => with_deletion_grant(db, DeletionGrant::Addresses(before), |db| {
                let whole = sessions::whole_addresses(db, before, BATCH)?;
                let mut cut = whole.iter().filter_map(|session| session.without(Group::Addresses));
                cut.try_for_each(|left| sessions::redact(db, &left, Group::Addresses))?;
                Ok(whole.len())
            }),
            Self::AddressesOfAttempts(before) => with_deletion_grant(db, DeletionGrant::Addresses(before), |db| {
                let whole = attempts::whole_addresses(db, before, BATCH)?;
                let mut cut = whole.iter().filter_map(|attempt| attempt.without(Group::Addresses));
                cut.try_for_each(|left| attempts::redact(db, &left, Group::Addresses))?;
                Ok(whole.len())
            }),
            Self::AddressesOfEvents(before) => with_deletion_grant(db, DeletionGrant::Addresses(before), |db| {
                let whole = audit::whole_addresses(db, before, BATCH)?;
                let mut cut = whole.iter().filter_map(|event| event.without(Group::Addresses));
                cut.try_for_each(|left| audit::redact(db, &left, Group::Addresses))?;
                Ok(whole.len())
            }),
            Self::Alerts { before } => alerts::remove_acknowledged_before(db, before, BATCH),
            Self::AddressesOfAlerts { before } => alerts::remove_addresses_before(db, before).map(|_| 0),
            Self::Prune => Ok(0),
            Self::Records => {
                let base = chain::base(db)?.size;
                with_deletion_grant(db, DeletionGrant::Records(base), |db| chain::remove_before_base(db, BATCH))
            }
            Self::Tokens => one_time_tokens::remove_expired(db, now - EXPIRED_TOKENS_KEPT).map(|_| 0),
        }?;
        let batch = usize::try_from(BATCH).unwrap_or(usize::MAX);
        Ok((u64::try_from(done).unwrap_or(u64::MAX), done >= batch))
    }
}

impl Retention {
    /// Claims the work, and records what is to be removed; [`Run::step`] removes it.
    pub async fn begin(&self, context: &AuditContext) -> Result<Run, RetentionError> {
        if !self.store().read(retention::may_remove).await? {
            return Err(RetentionError::NotAllowed);
        }
        let (node, asked) = (NodeId::new(self.now()), self.asked());
        // The clock was looked at, or somebody asked who believes it.
        self.while_claimed(node, retention::believe).await?;
        let removal_key = self.removal_key();
        let read = move |db: &mut Db| Ok::<_, StoreError>((plan(db, asked, &removal_key)?, cutoffs(db, &removal_key)?));
        let (plan, known) = self.store().read_long(read).await?;
        // A run that broke off has recorded the same; and where nothing is old there is nothing to say.
        if plan.cutoffs != known && !plan.counts.is_none() {
            let (context, removal_key) = (context.clone(), self.removal_key());
            let record = move |db: &mut Db, now| {
                // What another has recorded meanwhile holds.
                let cutoffs = cutoffs(db, &removal_key)?.or_later(plan.cutoffs);
                let event = AuditEvent::new(now, cutoffs.details(plan.counts), &context, Subject::everybody());
                audit::record(db, &removal_key.signed(event))
            };
            self.while_claimed(node, record).await?;
        }
        // Not one row goes before it is sealed why.
        self.inner.dependencies.chain.seal().await?;
        let stages = Stage::all(&if plan.counts.is_none() { known } else { plan.cutoffs }, &plan.cutoffs);
        Ok(Run { retention: self.clone(), node, context: context.clone(), plan, removed: Counts::default(), stages })
    }

    /// Does work in a transaction in which the claim is taken, or made to last longer: what came before may have taken longer
    /// than the claim lasts.
    async fn while_claimed<T: Send + 'static>(
        &self,
        node: NodeId,
        work: impl FnOnce(&mut Db, DateTime<Utc>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, RetentionError> {
        let now = self.now();
        let claimed = move |db: &mut Db| {
            let is_ours = retention::claim(db, node, now + CLAIM, now)?;
            if is_ours { work(db, now).map(Some) } else { Ok::<_, StoreError>(None) }
        };
        self.store().write_long(claimed).await?.ok_or(RetentionError::Claimed)
    }
}

impl Run {
    /// Does a batch; how many rows it concerned. `None` when all is done.
    pub async fn step(&mut self) -> Result<Option<u64>, RetentionError> {
        let Some(stage) = self.stages.front().copied() else { return Ok(None) };
        if stage == Stage::Prune {
            self.prune_chain().await?;
        }
        let (rows, is_more) = self.retention.while_claimed(self.node, move |db, now| stage.step(db, now)).await?;
        self.count(stage, rows);
        if !is_more {
            self.stages.pop_front();
        }
        if self.stages.is_empty() {
            self.end().await?;
        }
        Ok(Some(rows))
    }

    fn count(&mut self, stage: Stage, rows: u64) {
        let (count, table) = match stage {
            Stage::Sessions(_) => (&mut self.removed.sessions, "sessions"),
            Stage::Attempts(_) => (&mut self.removed.attempts, "attempts"),
            Stage::Events { .. } => (&mut self.removed.events, "audit_events"),
            Stage::AddressesOfSessions(_) | Stage::AddressesOfAttempts(_) | Stage::AddressesOfEvents(_) => {
                self.removed.addresses += rows;
                return;
            }
            Stage::Records => (&mut self.removed.records, "sealed_records"),
            Stage::Alerts { .. } | Stage::AddressesOfAlerts { .. } | Stage::Tokens | Stage::Prune => return,
        };
        *count += rows;
        self.retention.inner.dependencies.metrics.retention_removed(table, rows);
    }

    /// Lets the chain begin after the oldest records that stand for nothing any more. As for rows, it is sealed that they go
    /// before they do.
    async fn prune_chain(&mut self) -> Result<(), RetentionError> {
        self.carry_forward().await?;
        let chain = &self.retention.inner.dependencies.chain;
        let Some(base) = chain.prunable().await? else { return Ok(()) };
        let (context, size, removal_key) = (self.context.clone(), base.size, self.retention.removal_key());
        let record = move |db: &mut Db, now| {
            // Another may have gone further meanwhile.
            let rows = u64::try_from(size - chain::base(db)?.size).unwrap_or(0);
            if rows > 0 {
                let cutoffs = cutoffs(db, &removal_key)?
                    .or_later(RetentionCutoffs { records: Some(size), ..RetentionCutoffs::default() });
                let details = cutoffs.details(Counts { records: rows, ..Counts::default() });
                let event = AuditEvent::new(now, details, &context, Subject::everybody());
                audit::record(db, &removal_key.signed(event))?;
            }
            Ok(rows > 0)
        };
        if self.retention.while_claimed(self.node, record).await? {
            chain.seal().await?;
            chain.prune_to(base).await?;
        }
        Ok(())
    }

    /// Records anew the users, clients and not-befores whose records are so old that they would go: what is there has one.
    async fn carry_forward(&self) -> Result<(), RetentionError> {
        let chain = &self.retention.inner.dependencies.chain;
        let Some(before) = self.plan.cutoffs.events else { return Ok(()) };
        let old = chain.old_versions(before).await?;
        for rows in old.chunks(usize::try_from(BATCH).unwrap_or(usize::MAX)) {
            let rows = rows.to_vec();
            self.retention
                .while_claimed(self.node, move |db, now| versioned_rows::carry_forward(db, &rows, now))
                .await?;
        }
        if !old.is_empty() {
            chain.seal().await?;
        }
        Ok(())
    }

    async fn end(&self) -> Result<(), StoreError> {
        let (node, now) = (self.node, self.retention.now());
        self.retention.store().write(move |db| retention::finish(db, node, now)).await?;
        self.retention.measure().await
    }
}
