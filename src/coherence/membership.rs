//! A node's part in keeping the nodes of a database together: it joins, renews its lease, applies what has changed, leaves.
//!
//! It renews the lease again and again: it reads what has changed, applies that, says so in its row, and may then use its
//! live view for one lease, counted from before it read.

use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::Coherence;
use super::expiry::{LeaseWatch, outlasting};
use super::high_water::HighWater;
use crate::clock::uptime;
use crate::model::alert::{AlertDetails, NewAlert};
use crate::model::audit::{AuditContext, AuditEvent, Details, Reason, Subject};
use crate::model::change::Change;
use crate::model::id::NodeId;
use crate::model::not_before::Scope;
use crate::model::session::Actor;
use crate::signing_keys::SigningError;
use crate::store::changes::{self, Following};
use crate::store::nodes::{self, LeaseNumbers, Node};
use crate::store::not_befores;
use crate::store::{Db, StoreError, audit};

/// Changes read at once.
const PAGE: i64 = 5000;

/// How long a step may take before other connections are tried: where a network swallows everything, and where a server has
/// lost its standby, no answer comes. After each such step the next may take twice as long.
const PATIENCE: Duration = Duration::from_secs(3);
const LONGEST_PATIENCE: Duration = Duration::from_secs(24);

/// A node's part in keeping the nodes of a database together: made when it starts to serve, gone when it stops.
#[derive(Debug)]
pub struct Membership {
    coherence: Coherence,
    address: String,
    /// The row by which others know this node; `None` before it has joined and after it was evicted.
    id: Option<NodeId>,
    numbers: LeaseNumbers,
    /// The number of the last change applied.
    applied: i64,
    watch: LeaseWatch,
    high_water: HighWater,
    first_leases: FirstLeases,
    patience: Duration,
}

/// That of the lease with which a row is added.
const FIRST: LeaseNumbers = LeaseNumbers { acknowledged: 1, next: 1 };

/// A node's leases are no longer than those of the nodes that were there before it, until each of them has seen how long
/// they are to be: one that commits an end and then loses the store waits for the leases it has seen.
#[derive(Debug, Clone, Copy, Default)]
struct FirstLeases {
    until: Duration,
    length: Duration,
}

impl FirstLeases {
    /// Beside `others`, from now on.
    fn beside(others: &[Node]) -> Self {
        let leases = others.iter().map(|node| node.lease);
        let Some(longest) = leases.clone().max() else { return Self::default() };
        // Each of them looks before its lease is over, or holds none.
        Self { until: uptime() + longest + outlasting(longest), length: leases.min().unwrap_or(longest) }
    }

    fn bounded(self, lease: Duration, begins: Duration) -> Duration {
        if begins < self.until { lease.min(self.length) } else { lease }
    }
}

impl Coherence {
    /// A node that serves at `address`, not yet joined.
    #[must_use]
    pub fn member(&self, address: String) -> Membership {
        self.inner.renewals.are_made();
        let high_water = HighWater::in_directory(&self.inner.rules.data_dir);
        Membership {
            coherence: self.clone(),
            address,
            id: None,
            numbers: FIRST,
            applied: 0,
            watch: LeaseWatch::default(),
            high_water,
            first_leases: FirstLeases::default(),
            patience: PATIENCE,
        }
    }
}

impl Membership {
    /// One round of the cycle where it is due, else what a notification asks for. After an error the lease runs out unless a later
    /// round succeeds.
    pub async fn step(&mut self, is_due: bool) -> Result<(), StoreError> {
        let (coherence, patience) = (self.coherence.clone(), self.patience);
        let renewals = &coherence.inner.renewals;
        if !is_due {
            let caught_up = timeout(patience, self.catch_up()).await;
            return self.judge(caught_up).await;
        }
        renewals.begin();
        let renewed = timeout(patience, self.renew()).await;
        let outcome = self.judge(renewed).await;
        renewals.end(outcome.clone().err());
        outcome
    }

    /// Draws the conclusions of a step that was taken in time, or was not.
    async fn judge(&mut self, step: Result<Result<(), SigningError>, Elapsed>) -> Result<(), StoreError> {
        let outcome = match step {
            Ok(Ok(())) => {
                self.patience = PATIENCE;
                return Ok(());
            }
            Ok(Err(error)) => StoreError::from(error),
            Err(_) => {
                self.patience = (self.patience * 2).min(LONGEST_PATIENCE);
                self.coherence.store().reconnect().await;
                StoreError::Unavailable("the database does not answer in time".into())
            }
        };
        self.watch.begin_anew();
        // A newer primary may be elsewhere.
        if let StoreError::ReadOnly(_) = outcome {
            self.coherence.inner.lease.give_up();
            self.coherence.store().reconnect().await;
        }
        Err(outcome)
    }

    /// Applies what others are waiting for, after a notification, and says so. The lease is left as it is: what is committed without
    /// a number yet was not looked for.
    async fn catch_up(&mut self) -> Result<(), SigningError> {
        let Some(id) = self.id else { return self.renew().await };
        let before = self.applied;
        if !self.follow().await? {
            self.discard_live_view();
            return self.renew().await;
        }
        let applied = self.applied;
        let note = move |db: &mut Db| nodes::note_applied(db, id, applied);
        if applied > before && !self.coherence.store().write_non_durable(note).await? {
            self.discard_live_view();
            return self.renew().await;
        }
        Ok(())
    }

    /// One round: joins if it must, applies what has changed, renews the lease.
    async fn renew(&mut self) -> Result<(), SigningError> {
        let (began, server) = (uptime(), self.coherence.store().server_changes());
        let Some(id) = self.id else { return self.join().await };
        self.coherence.number_if_any().await?;
        if !self.coherence.inner.live.is_current() {
            self.coherence.reload().await?;
        }
        if !self.apply_to_head().await? {
            self.discard_live_view();
            return self.join().await;
        }
        if !self.begin_next_lease(id).await? {
            tracing::warn!(node.id = %id, "node evicted: this node did not renew its lease in time, or the database is an older copy");
            self.discard_live_view();
            self.compare_lease(id).await?;
            return self.join().await;
        }
        let others = self.look_at_peers().await;
        self.hold_from(began, server)?;
        if let Some(others) = others {
            self.evict_the_silent(&others).await;
        }
        self.look_for_room(id).await
    }

    /// Where somebody found no room on the disk: whether there is some by now. A renewal needs none, and succeeds without.
    async fn look_for_room(&self, id: NodeId) -> Result<(), SigningError> {
        let store = self.coherence.store();
        if store.is_full() {
            let now = self.coherence.now();
            store.write(move |db| nodes::probe_free_space(db, NodeId::new(now), now)).await?;
            tracing::info!(node.id = %id, "database disk has room again");
            store.note_free_space();
        }
        Ok(())
    }

    /// Commits the number of the next lease. `false` where there is no row any more that it could follow.
    async fn begin_next_lease(&mut self, id: NodeId) -> Result<bool, StoreError> {
        // Before it is tried: whatever comes of it, the number is used.
        self.numbers.next += 1;
        let (numbers, applied) = (self.numbers, self.applied);
        let is_begun =
            self.coherence.store().write_autocommit(move |db| nodes::renew(db, id, numbers, applied)).await?;
        if is_begun {
            self.numbers.acknowledged = numbers.next;
        }
        Ok(is_begun)
    }

    /// A lease that the database was to keep and does not know any more: it has lost what it had acknowledged.
    async fn compare_lease(&mut self, id: NodeId) -> Result<(), StoreError> {
        let (acknowledged, found) =
            (self.numbers.acknowledged, self.coherence.store().read(move |db| nodes::lease_no(db, id)).await?);
        match found {
            Some(found) if found < acknowledged => self.history_went_back(acknowledged, found).await,
            _ => Ok(()),
        }
    }

    /// Stops serving from memory and takes the node's row away.
    pub async fn leave(&mut self) {
        self.coherence.inner.renewals.stop();
        self.coherence.inner.lease.give_up();
        // The mark that stays behind includes the last changes.
        if self.id.is_some()
            && let Err(error) = self.number_and_apply().await
        {
            tracing::warn!(cause = %error, "the last changes are not in the high-water mark");
        }
        self.coherence.inner.peers.set_own(None);
        if let Some(id) = self.id.take()
            && let Err(error) = self.coherence.store().write(move |db| nodes::leave(db, id)).await
        {
            tracing::warn!(cause = %error, "row of this node not removed: others evict it");
        }
        self.high_water.save_now().await;
    }

    async fn number_and_apply(&mut self) -> Result<bool, SigningError> {
        self.coherence.number_if_any().await?;
        self.apply_to_head().await
    }

    /// Adds the row, then reads where the feed stands, then serves: an end that does not see the row is in what is read.
    async fn join(&mut self) -> Result<(), SigningError> {
        let (began, server) = (uptime(), self.coherence.store().server_changes());
        let (id, now) = (NodeId::new(self.coherence.now()), self.coherence.now());
        let (address, lease) = (self.address.clone(), self.coherence.inner.rules.lease);
        let store = self.coherence.store().clone();
        let join = move |db: &mut Db| {
            nodes::join(db, id, &address, lease, now)?;
            nodes::others(db, Some(id))
        };
        let others = store.write::<_, StoreError>(join).await?;
        self.first_leases = FirstLeases::beside(&others);
        self.coherence.inner.peers.note_presence(!others.is_empty());
        self.coherence.inner.peers.set_own(Some(id));
        self.coherence.number_if_any().await?;
        let head = store.read(changes::head).await?;
        if self.high_water.is_above(&head) {
            self.history_went_back(self.high_water.seq(), head.seq).await?;
        }
        self.applied = head.seq;
        self.high_water.raise_to(&head);
        // After the head was read: what is looked up from now on includes every change up to it.
        self.coherence.inner.live.clear();
        self.coherence.reload().await?;
        self.hold_from(began, server)?;
        // Last: a join that failed half way begins anew, with another id.
        (self.id, self.numbers) = (Some(id), FIRST);
        tracing::info!(node.id = %id, "node joined: it answers checks while its lease holds");
        Ok(())
    }

    /// Holds the lease that counts from `began`, if all that was asked since was asked of one server: what another has not
    /// heard of says nothing about this one.
    fn hold_from(&self, began: Duration, server: u64) -> Result<(), StoreError> {
        let inner = &self.coherence.inner;
        if self.coherence.store().server_changes() != server {
            return Err(StoreError::Unavailable("another server has taken its place".into()));
        }
        inner.lease.extend_to(began + self.first_leases.bounded(inner.rules.lease, began));
        inner.dependencies.metrics.live_sessions(inner.live.sessions.count());
        Ok(())
    }

    /// Gives up the lease and whatever was remembered under it.
    fn discard_live_view(&mut self) {
        self.coherence.inner.lease.give_up();
        self.coherence.inner.live.clear();
        self.id = None;
    }

    /// Applies what has changed, as far as the feed has come now. `false` where that is not known any more.
    async fn apply_to_head(&mut self) -> Result<bool, SigningError> {
        let (after, head) = (self.applied, self.coherence.store().read(changes::head).await?);
        if head.seq < after {
            self.history_went_back(after, head.seq).await?;
            return Ok(false);
        }
        // Numbered, but not kept any more, is what is still missing then.
        if !self.follow().await? || self.applied < head.seq {
            return Ok(false);
        }
        self.high_water.raise_to(&head);
        Ok(true)
    }

    /// Applies the changes that follow in the feed. `false` where some in between are missing.
    async fn follow(&mut self) -> Result<bool, SigningError> {
        loop {
            let after = self.applied;
            let following = self.coherence.store().read(move |db| changes::after(db, after, PAGE)).await?;
            let Following::Changes { changes, seq } = following else { return Ok(false) };
            self.coherence.apply(&changes).await?;
            self.applied = seq;
            self.high_water.advance(seq);
            if changes.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                return Ok(true);
            }
        }
    }

    /// The database is an older copy: ends that were acknowledged may be missing from it, so every session that began
    /// before now is refused.
    async fn history_went_back(&mut self, remembered: i64, found: i64) -> Result<(), StoreError> {
        tracing::error!(
            remembered,
            found,
            "the database went back in time: every session is refused, all must log in again"
        );
        let now = self.coherence.now();
        let details = Details::DatabaseWentBack { remembered, found };
        let note = "the database went back in time";
        let event = AuditEvent::new(now, details, &AuditContext::system("coherence"), Subject::everybody())
            .because(Reason::OlderCopy);
        let alerts = self.coherence.inner.dependencies.alerts.clone();
        let details = AlertDetails::HistoryWentBack { remembered, found };
        let alert = NewAlert::new(now, details, Subject::everybody());
        let write = move |db: &mut Db| {
            not_befores::raise(db, &Scope::Everybody, now, now, &Actor::system("coherence"), Some(note))?;
            changes::insert(db, &[Change::NotBefore], now)?;
            audit::record(db, &event)?;
            alerts.raise_in(db, &alert).map(drop)
        };
        self.coherence.store().write(write).await?;
        self.coherence.inner.dependencies.metrics.went_back();
        self.high_water.reset();
        Ok(())
    }

    /// Looks at the other nodes. Before the lease is held: whoever holds one and loses the store has seen how long theirs are.
    async fn look_at_peers(&mut self) -> Option<Vec<Node>> {
        let own = self.id;
        if let Ok(others) = self.coherence.store().read(move |db| nodes::others(db, own)).await {
            self.coherence.note_peers(&others);
            return Some(others);
        }
        self.watch.begin_anew();
        self.coherence.inner.peers.note_unseen();
        None
    }

    /// Removes the rows of nodes that have stopped without a word, so that the next end need not wait for them.
    async fn evict_the_silent(&mut self, others: &[Node]) {
        for node in self.watch.run_out(others, self.coherence.store().connections_made(), uptime()) {
            self.coherence.evict(node).await;
        }
    }

    /// How long a lease is that begins now.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.first_leases.bounded(self.coherence.inner.rules.lease, uptime())
    }

    /// Whether there was no other node when this one looked last.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        !self.coherence.has_peers()
    }

    /// Remembers, across a restart, how far the feed had come.
    pub fn save_high_water(&mut self) {
        self.high_water.save();
    }
}
