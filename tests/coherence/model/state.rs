//! What there is: nodes and their rows, the memory of one node, ends and their changes.

pub type Ticks = u8;
/// The number of a change; 0 comes before all of them.
pub type Number = u8;

/// Where a node is in its cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Not joined: just started, or expelled.
    Out,
    Joining,
    RowStands,
    JoinNumbered,
    HeadRead,
    /// Serving before the row, which is a mistake.
    RowDue,
    Resting,
    ClockRead,
    Numbered,
    CaughtUp,
    /// Caught up after a notification, outside the cycle.
    Heeded,
}

/// Whether the number of a row's lease has moved, as an end sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Watch {
    /// The end does not wait for this row.
    NotAwaited,
    /// It has moved since the end looked at it, or was not looked at yet.
    Moved,
    /// It has not moved for so long: the clock was read when the row had been.
    Unmoved(Ticks),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row<const ENDS: usize> {
    pub applied: Number,
    pub watches: [Watch; ENDS],
    /// Whether its lease is the first. Told apart only for a mistake.
    pub is_first: bool,
    pub kept: Kept<ENDS>,
}

/// What is left of a row where the store crashes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kept<const ENDS: usize> {
    Whole,
    /// It has applied no more than this.
    Less(Number),
    /// The same, and the lease before, as the watches saw it. That is a mistake.
    LeaseBefore(Number, [Watch; ENDS]),
    /// Nothing, which is a mistake.
    Nothing,
}

impl<const ENDS: usize> Row<ENDS> {
    /// The watches of what is there, and of what a crash would leave.
    pub fn all_watches(&mut self) -> impl Iterator<Item = &mut Watch> {
        let before = match &mut self.kept {
            Kept::LeaseBefore(_, watches) => Some(watches),
            _ => None,
        };
        self.watches.iter_mut().chain(before.into_iter().flatten())
    }

    pub fn watch(&mut self, end: usize, watch: Watch) {
        self.watches[end] = watch;
        if let Kept::LeaseBefore(_, watches) = &mut self.kept {
            watches[end] = watch;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node<const ENDS: usize> {
    pub stage: Stage,
    pub applied: Number,
    pub row: Option<Row<ENDS>>,
}

/// What node 0 has in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Memory {
    /// Since the cycle read the clock.
    pub clock: Ticks,
    /// What is left of the lease. It holds while something is.
    pub lease: Ticks,
    /// The live view has the session, as active. To have it as ended is like not to have it: it admits nobody.
    pub is_active: bool,
    pub fill: Option<Fill>,
    pub check: Check,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fill {
    /// The store has said that the session is active.
    pub is_read: bool,
    pub is_stale: bool,
}

/// A check that has passed the first of its two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    None,
    /// It began before the end was committed.
    Early,
    /// It began after the end was acknowledged.
    Late,
    /// So did this, and it was accepted.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    NotAsked,
    /// The transaction is under way. Told apart only for a mistake.
    NumberTaken,
    Committed,
    AppliedAtHome,
    Listed,
    /// Until every row has come to the number.
    Waiting(Number),
    /// Committed so long ago, without the store.
    Alone(Ticks),
    Acknowledged,
}

/// The change that an end commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    None,
    /// Numbered before it is committed, which is a mistake.
    Taken(Number),
    Unnumbered,
    Numbered(Number),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State<const NODES: usize, const ENDS: usize> {
    pub nodes: [Node<ENDS>; NODES],
    pub memory: Memory,
    pub ends: [End; ENDS],
    pub changes: [Change; ENDS],
}

impl Memory {
    pub const EMPTY: Self = Self { clock: 0, lease: 0, is_active: false, fill: None, check: Check::None };

    pub fn holds_lease(&mut self) -> bool {
        self.lease > 0
    }

    /// Whether the session is there, as active. If it is not, it is going to be filled in.
    pub fn look_up(&mut self) -> bool {
        if !self.is_active && self.fill.is_none() {
            self.fill = Some(Fill { is_read: false, is_stale: false });
        }
        self.is_active
    }

    /// What a change does, and emptying: for one session they are the same.
    pub fn forget(&mut self) {
        self.is_active = false;
        self.fill = self.fill.map(|fill| Fill { is_stale: true, ..fill });
    }
}

impl Change {
    pub const fn is_committed(self) -> bool {
        matches!(self, Self::Unnumbered | Self::Numbered(_))
    }

    pub const fn number(self) -> Number {
        match self {
            Self::Numbered(number) | Self::Taken(number) => number,
            Self::None | Self::Unnumbered => 0,
        }
    }
}

impl<const NODES: usize, const ENDS: usize> State<NODES, ENDS> {
    pub fn head(&self) -> Number {
        let committed = self.changes.iter().filter(|change| change.is_committed());
        committed.map(|change| change.number()).max().unwrap_or(0)
    }

    /// Numbers every change that is committed.
    pub fn number(&mut self) {
        for end in 0..ENDS {
            if self.changes[end] == Change::Unnumbered {
                self.changes[end] = Change::Numbered(self.head() + 1);
                self.keep();
            }
        }
    }

    pub fn rows(&mut self) -> impl Iterator<Item = &mut Row<ENDS>> {
        self.nodes.iter_mut().filter_map(|node| node.row.as_mut())
    }

    pub fn crash(&mut self, node: usize) {
        // The row stays.
        (self.nodes[node].stage, self.nodes[node].applied) = (Stage::Out, 0);
        if node == 0 {
            self.memory = Memory::EMPTY;
        }
    }

    pub fn look(&mut self, end: usize) -> Option<()> {
        matches!(self.ends[end], End::Waiting(_)).then_some(())?;
        for row in self.rows().filter(|row| row.watches[end] == Watch::Moved) {
            // To whom has seen this number, the one before is another.
            row.watch(end, Watch::Moved);
            row.watches[end] = Watch::Unmoved(0);
        }
        Some(())
    }

    /// Nobody goes on with the end. A transaction is not given up: it is committed, or it never was.
    pub fn give_up(&mut self, end: usize) -> Option<()> {
        (!matches!(self.ends[end], End::NotAsked | End::NumberTaken | End::Acknowledged)).then_some(())?;
        self.ends[end] = End::NotAsked;
        self.rows().for_each(|row| row.watch(end, Watch::NotAwaited));
        Some(())
    }

    /// What was committed so far is durable: the store writes in order.
    pub fn keep(&mut self) {
        self.rows().for_each(|row| row.kept = Kept::Whole);
    }

    /// The store crashes, and comes back with what was durable. Who watches begins anew: the connections broke.
    pub fn crash_store(&mut self, watches_go_on: bool) {
        for node in &mut self.nodes {
            let Some(row) = &mut node.row else { continue };
            match row.kept {
                Kept::Whole => {}
                Kept::Less(applied) => row.applied = applied,
                Kept::LeaseBefore(applied, watches) => (row.applied, row.watches) = (applied, watches),
                Kept::Nothing => {
                    node.row = None;
                    continue;
                }
            }
            row.kept = Kept::Whole;
            if !watches_go_on {
                row.watches = row.watches.map(|watch| watch.min(Watch::Moved));
            }
        }
    }

    pub fn fill(&mut self) -> Option<()> {
        let Fill { is_read, is_stale } = self.memory.fill?;
        self.memory.is_active |= is_read && !is_stale;
        self.memory.fill = if is_read {
            is_stale.then_some(Fill { is_read: false, is_stale: false })
        } else {
            // Of an ended session the store has nothing to keep.
            let is_active = !self.changes[0].is_committed();
            is_active.then_some(Fill { is_read: true, is_stale })
        };
        Some(())
    }
}
