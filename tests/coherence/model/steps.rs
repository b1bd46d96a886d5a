//! What may happen: time passes, a node goes on with its cycle, a check with its looks, an end with its wait. Here mistakes
//! are made. A step that cannot be taken is `None`.

use super::state::{Change, Check, End, Kept, Memory, Node, Number, Row, Stage, State, Ticks, Watch};
use super::{Mistake, Protocol};

/// A look of a check.
type Look = fn(&mut Memory) -> bool;

impl<const NODES: usize, const ENDS: usize> Protocol<NODES, ENDS> {
    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// How long an end waits for a lease to run out, by its own clock.
    pub fn patience(&self) -> Ticks {
        let margin = if self.makes(Mistake::NoMarginForSlewedClocks) { 0 } else { self.margin };
        self.lease + margin - Ticks::from(self.makes(Mistake::WaitingATickTooShort))
    }

    pub fn tick(&self, state: &mut State<NODES, ENDS>) {
        let (of_nodes, of_ends) = self.clocks;
        let waited = |age: &mut Ticks| *age = self.patience().min(*age + of_ends);
        state.memory.lease = state.memory.lease.saturating_sub(of_nodes);
        if !matches!(state.nodes[0].stage, Stage::Out | Stage::Resting | Stage::Heeded) {
            state.memory.clock = self.lease.min(state.memory.clock + of_nodes);
        }
        for watch in state.rows().flat_map(Row::all_watches) {
            if let Watch::Unmoved(age) = watch {
                waited(age);
            }
        }
        for end in &mut state.ends {
            if let End::Alone(age) = end {
                waited(age);
            }
        }
    }

    pub fn cycle(&self, state: &mut State<NODES, ENDS>, of: usize) {
        let at = state.nodes[of].stage;
        if matches!(at, Stage::RowStands | Stage::ClockRead) {
            state.number();
        }
        // Of the others only the rows matter.
        let (head, change, mut not_modelled) = (state.head(), state.changes[0], Memory::EMPTY);
        let is_durable = match at {
            Stage::Joining => !self.makes(Mistake::JoinNotDurable),
            Stage::CaughtUp => !self.makes(Mistake::RenewalNotDurable),
            _ => false,
        };
        let node = &mut state.nodes[of];
        let memory = if of == 0 { &mut state.memory } else { &mut not_modelled };
        node.stage = match at {
            Stage::Out => Stage::Joining,
            Stage::Joining => {
                if !self.makes(Mistake::ServingBeforeTheRow) {
                    node.row = Some(self.first_row(node.row));
                }
                Stage::RowStands
            }
            Stage::RowStands => Stage::JoinNumbered,
            Stage::JoinNumbered => {
                node.applied = head;
                Stage::HeadRead
            }
            Stage::HeadRead => {
                if !self.makes(Mistake::EmptyingBeforeTheHead) {
                    memory.forget();
                }
                self.hold(memory);
                if self.makes(Mistake::ServingBeforeTheRow) { Stage::RowDue } else { Stage::Resting }
            }
            Stage::RowDue => {
                node.row = Some(self.first_row(node.row));
                Stage::Resting
            }
            Stage::Resting => Stage::ClockRead,
            Stage::ClockRead => Stage::Numbered,
            Stage::Numbered => {
                self.catch_up(node, memory, change, head);
                if self.makes(Mistake::NumberingBeforeTheClock) {
                    memory.clock = 0;
                }
                Stage::CaughtUp
            }
            Stage::CaughtUp | Stage::Heeded => {
                if let Some(row) = &mut node.row {
                    let before = *row;
                    if at == Stage::CaughtUp {
                        row.watches = row.watches.map(|watch| watch.min(Watch::Moved));
                        row.is_first = false;
                        self.hold(memory);
                    }
                    row.applied = node.applied;
                    row.kept = self.kept_of(before, at);
                    Stage::Resting
                } else {
                    if self.makes(Mistake::EmptyingBeforeTheHead) {
                        memory.forget();
                    }
                    memory.clock = 0;
                    Stage::Out
                }
            }
        };
        if is_durable {
            state.keep();
        }
    }

    /// What a crash would leave of a row that was committed without waiting for the disk, where it was like this before.
    fn kept_of(&self, before: Row<ENDS>, at: Stage) -> Kept<ENDS> {
        match before.kept {
            // Told apart only where it may be lost.
            _ if !self.with_crashes => Kept::Whole,
            Kept::Whole if at == Stage::CaughtUp => Kept::LeaseBefore(before.applied, before.watches),
            Kept::Less(applied) if at == Stage::CaughtUp => Kept::LeaseBefore(applied, before.watches),
            Kept::Whole => Kept::Less(before.applied),
            kept => kept,
        }
    }

    /// What a node does on a notification, between two rounds of its cycle: nothing is numbered, the lease stays as it is, and what it
    /// says of it is not durable.
    pub fn heed(&self, state: &mut State<NODES, ENDS>, of: usize) -> Option<()> {
        (state.nodes[of].stage == Stage::Resting).then_some(())?;
        let (head, change, mut not_modelled) = (state.head(), state.changes[0], Memory::EMPTY);
        let node = &mut state.nodes[of];
        let memory = if of == 0 { &mut state.memory } else { &mut not_modelled };
        self.catch_up(node, memory, change, head);
        node.stage = Stage::Heeded;
        Some(())
    }

    /// Applies what was numbered up to `head`.
    fn catch_up(&self, node: &mut Node<ENDS>, memory: &mut Memory, change: Change, head: Number) {
        let fill = memory.fill;
        if change.is_committed() && change.number() > node.applied {
            memory.forget();
        }
        if self.makes(Mistake::FillWithoutItsMark) {
            memory.fill = fill;
        }
        node.applied = node.applied.max(head);
    }

    /// The row of a process that joins. That of the process before it goes at once, and nobody waits for it any more: in
    /// truth it stays until it is expelled, so ends are acknowledged earlier here than they ever are.
    fn first_row(&self, before: Option<Row<ENDS>>) -> Row<ENDS> {
        let is_first = self.makes(Mistake::LeaseNumberUsedAgain);
        let looks_unmoved = before.filter(|row| row.is_first);
        let watches = looks_unmoved.map_or([Watch::NotAwaited; ENDS], |row| row.watches);
        let kept = if self.makes(Mistake::JoinNotDurable) { Kept::Nothing } else { Kept::Whole };
        Row { applied: 0, watches, is_first, kept }
    }

    fn hold(&self, memory: &mut Memory) {
        memory.lease = if self.makes(Mistake::LeaseFromAfterTheRead) { self.lease } else { self.lease - memory.clock };
        memory.clock = 0;
    }

    pub fn check(&self, state: &mut State<NODES, ENDS>) -> Option<()> {
        let memory = &mut state.memory;
        let begins = match state.ends[0] {
            End::Acknowledged => Check::Late,
            // Nothing was promised to it, and what it would fill in has ended.
            _ if state.changes[0].is_committed() => Check::None,
            _ => Check::Early,
        };
        let (mut first, mut second): (Look, Look) = (Memory::holds_lease, Memory::look_up);
        if self.makes(Mistake::LeaseCheckedAfterTheLookUp) {
            (first, second) = (second, first);
        }
        if memory.check == Check::Broken || memory.check.max(begins) == Check::None {
            return None;
        }
        let is_new = memory.check < begins;
        let passes = if is_new { first(memory) } else { second(memory) };
        memory.check = match (is_new, passes) {
            (true, true) => begins,
            (false, true) if memory.check == Check::Late => Check::Broken,
            _ => Check::None,
        };
        Some(())
    }

    pub fn end(&self, state: &mut State<NODES, ENDS>, end: usize) -> Option<()> {
        let home = self.homes[end];
        state.ends[end] = match state.ends[end] {
            End::NotAsked if state.changes[end].is_committed() => match self.mistake {
                Some(Mistake::RepeatAcknowledgedAtOnce) => End::Acknowledged,
                Some(Mistake::RepeatNotAppliedAtHome) => End::AppliedAtHome,
                _ => End::Committed,
            },
            End::NotAsked if self.makes(Mistake::NumbersFromASequence) => {
                let last = state.changes.iter().map(|change| change.number()).max().unwrap_or(0);
                state.changes[end] = Change::Taken(last + 1);
                End::NumberTaken
            }
            End::NumberTaken => {
                state.changes[end] = Change::Numbered(state.changes[end].number());
                End::Committed
            }
            End::NotAsked => {
                state.changes[end] = Change::Unnumbered;
                state.keep();
                End::Committed
            }
            End::Committed => {
                if (end, home) == (0, Some(0)) {
                    state.memory.forget();
                }
                End::AppliedAtHome
            }
            End::AppliedAtHome => {
                let others = state.nodes.iter_mut().enumerate().filter(|(node, _)| Some(*node) != home);
                let mut next = End::Acknowledged;
                for row in others.filter_map(|(_, node)| node.row.as_mut()) {
                    row.watch(end, Watch::Moved);
                    next = End::Listed;
                }
                next
            }
            End::Listed => {
                state.number();
                End::Waiting(state.head())
            }
            End::Waiting(number) => {
                let is_done = |row: &mut Row<ENDS>| row.watches[end] == Watch::NotAwaited || row.applied >= number;
                state.rows().all(is_done).then_some(())?;
                state.rows().for_each(|row| row.watch(end, Watch::NotAwaited));
                End::Acknowledged
            }
            End::Alone(age) if age >= self.patience() => End::Acknowledged,
            // The others may be asked for again without end.
            End::Acknowledged if end > 0 => End::NotAsked,
            End::Alone(_) | End::Acknowledged => return None,
        };
        Some(())
    }

    /// Removes a row, on the condition that it has not moved.
    pub fn expel(&self, state: &mut State<NODES, ENDS>, end: usize, node: usize) -> Option<()> {
        let watch = state.nodes[node].row?.watches[end];
        (watch >= Watch::Unmoved(self.patience())).then_some(())?;
        state.nodes[node].row = None;
        state.keep();
        Some(())
    }

    /// An end loses the store right after its commit. Who loses it later has waited as long, and expelled like others.
    pub fn lose_store(&self, state: &mut State<NODES, ENDS>, end: usize) -> Option<()> {
        (state.ends[end] == End::Committed).then_some(())?;
        self.end(state, end)?;
        state.ends[end] = End::Alone(0);
        Some(())
    }
}
