//! The lease protocol (`coherence`) as a small machine of which every run is tried: whatever is
//! paused, crashes, is expelled or loses the store, in whatever order, no check that begins after an acknowledged end is
//! accepted (P2).
//!
//! # What is modelled
//!
//! - **Nodes** go through their cycle step by step: read the clock; number what is committed; read the changes after
//!   `applied` and apply them; commit the next lease on the own row; that lease counts from when the clock was read. Whose
//!   row is gone joins anew: clock, row, numbering, head, and only then an emptied live view and a lease. After a notification they
//!   read, apply and say so at once; that gives no lease, and is not durable. Notifications come at any time, or never.
//! - **The store** crashes at any time, and comes back without what was not durable. Everybody's watch begins anew then.
//! - **Ends** are committed with a change that has no number yet. Who ends a session applies that to its own live view,
//!   lists the other rows, numbers, and waits until each of them has applied the number, is gone, or has not moved for a
//!   whole lease: then the row is removed. Where the store is lost after the commit, a whole lease is waited. An end may be
//!   given up at any time (the caller leaves, the process dies) and asked for again, which commits nothing new.
//! - **Checks** see that the lease holds, then look the session up. What is not in the live view is filled in: announced,
//!   read from the store, and kept unless a change was applied meanwhile; then it is read again. A check without a lease
//!   asks the store, which knows every committed end: nothing can go wrong there, so it is left out.
//!
//! # What stands for what
//!
//! - *A tick* is half a lease (with three nodes, a whole one). It may pass between any two steps: many of them are a pause,
//!   a `SIGSTOP`, a stalled disk. A step is one transaction, or one thing done under one lock. All clocks tick alike, without
//!   the margin that is there for clocks that do not; but for one variant, with finer ticks, in which node 0's is a tenth slow
//!   and those of ends are a tenth fast. Only ages are kept, and none above the wait for a lease: there is no horizon, runs of
//!   any length are covered.
//! - *The number of a lease* is only ever compared with itself: a `Watch` keeps whether it moved. Who joins takes a new
//!   id, so its row is one that no watch has seen.
//! - *Nodes* meet only in the store and are alike: node 0 stands for any of them and has a [`Memory`]; of the others only
//!   the rows matter. An end is run by node 0, by another node, or by a command, which is no node.
//! - *Sessions*: that of end 0 is looked at. Other ends are there for their numbers and for whom they expel.
//! - *Three nodes* are tried with an end run by one of them, without crashes, lost stores and ends given up: a million
//!   states, as with two nodes and all of that. An ignored test leaves nothing out.
//! - *Stopping in good order* is a crash after which the row is removed at once, and needs no steps of its own.
//!
//! Beside the promise, what carries it must hold: whoever has a lease has a row, by which an end finds it. Each [`Mistake`]
//! is a variant that must break the promise, so that the silence about the protocol itself means something.

mod state;
mod steps;

use stateright::{Checker, HasDiscoveries, Model, Property};

use self::state::{Change, Check, End, Memory, Node, Stage, State, Ticks};

const PROMISE: &str = "no check that begins after an acknowledged end is accepted";
const CARRIES_IT: &str = "who has a lease has a row";

/// What is tempting to write, and wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    /// A lease renewed between the look-up and the look at the lease hides that what was found is old.
    LeaseCheckedAfterTheLookUp,
    /// Who waits counts one tick less than a lease lasts.
    WaitingATickTooShort,
    /// What the store said before an end is put into the live view after it.
    FillWithoutItsMark,
    /// The lease counts from when the changes have been read.
    LeaseFromAfterTheRead,
    /// Who joins takes its lease first and adds its row then: an end in between sees nobody to wait for.
    ServingBeforeTheRow,
    /// The ending transaction takes its number from a sequence. The later of two may be committed first, and who has read
    /// that one never looks for the earlier.
    NumbersFromASequence,
    /// The cycle numbers first and reads the clock then. A change committed between them is not read, and yet the lease
    /// outlasts the wait of an end that has lost the store.
    NumberingBeforeTheClock,
    /// Who was expelled empties its live view at once, and not when the head has been read. A check that saw the lease hold
    /// long ago fills it in between; the end that comes next lies before the head, and so is never applied.
    EmptyingBeforeTheHead,
    /// A process that comes back takes its former id and counts its leases from one again: it is expelled for the silence
    /// of the former, has a lease without a row, and the next end does not wait for it.
    LeaseNumberUsedAgain,
    /// A crash takes back a renewal, and who has been timing the lease before it expels the node.
    RenewalNotDurable,
    /// A crash takes back a join: the next end does not see the node.
    JoinNotDurable,
    /// Who waits adds nothing for clocks that do not run alike: what 200 ms are to a lease of a minute.
    NoMarginForSlewedClocks,
    /// A repeated end changes nothing, so it is acknowledged without waiting; but the first was given up, or still waits.
    RepeatAcknowledgedAtOnce,
    /// A repeated end waits for the others, but is not applied to the own live view.
    RepeatNotAppliedAtHome,
}

/// What may happen at any time, in any order. A number names a node or an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Tick,
    /// The next step of a node's cycle.
    Cycle(usize),
    /// A node takes a notification.
    Heed(usize),
    /// The next look of a check at node 0, and of its fill.
    Check,
    Fill,
    /// The next step of an end.
    End(usize),
    /// An end looks at the rows.
    Look(usize),
    /// An end removes the row of a node.
    Expel(usize, usize),
    GiveUp(usize),
    LoseStore(usize),
    /// A node's process dies and starts again.
    Crash(usize),
    /// The store forgets what was not durable.
    CrashStore,
}

/// What is explored.
#[derive(Debug, Clone, Copy)]
struct Protocol<const NODES: usize, const ENDS: usize> {
    lease: Ticks,
    /// What is waited for a lease beyond its length.
    margin: Ticks,
    /// How far node 0's clock goes in a tick, and that of ends.
    clocks: (Ticks, Ticks),
    /// The node that runs each end; `None` for a command.
    homes: [Option<usize>; ENDS],
    /// Whether nodes crash, ends are given up and the store is lost. Pauses, expulsions and joining there always are.
    with_faults: bool,
    /// Whether the store crashes.
    with_crashes: bool,
    mistake: Option<Mistake>,
}

impl<const NODES: usize, const ENDS: usize> Model for Protocol<NODES, ENDS> {
    type State = State<NODES, ENDS>;
    type Action = Step;

    fn init_states(&self) -> Vec<Self::State> {
        let nodes = [Node { stage: Stage::Out, applied: 0, row: None }; NODES];
        vec![State { nodes, memory: Memory::EMPTY, ends: [End::NotAsked; ENDS], changes: [Change::None; ENDS] }]
    }

    fn actions(&self, _: &Self::State, steps: &mut Vec<Step>) {
        steps.extend([Step::Tick, Step::Check, Step::Fill]);
        steps.extend((0..NODES).flat_map(|node| [Step::Cycle(node), Step::Heed(node)]));
        for end in 0..ENDS {
            steps.extend([Step::End(end), Step::Look(end)]);
            steps.extend((0..NODES).map(|node| Step::Expel(end, node)));
        }
        if self.with_crashes {
            steps.push(Step::CrashStore);
        }
        if self.with_faults {
            steps.extend((0..NODES).map(Step::Crash));
            steps.extend((0..ENDS).flat_map(|end| [Step::GiveUp(end), Step::LoseStore(end)]));
        }
    }

    fn next_state(&self, before: &Self::State, step: Step) -> Option<Self::State> {
        let mut state = *before;
        match step {
            Step::Tick => self.tick(&mut state),
            Step::Cycle(node) => self.cycle(&mut state, node),
            Step::Crash(node) => {
                state.crash(node);
                for end in (0..ENDS).filter(|end| self.homes[*end] == Some(node)) {
                    let _ = state.give_up(end);
                }
            }
            // Before, nobody took notice of a crash.
            Step::CrashStore => state.crash_store(self.mistake == Some(Mistake::RenewalNotDurable)),
            Step::Heed(node) => self.heed(&mut state, node)?,
            Step::Check => self.check(&mut state)?,
            Step::Fill => state.fill()?,
            Step::End(end) => self.end(&mut state, end)?,
            Step::Look(end) => state.look(end)?,
            Step::Expel(end, node) => self.expel(&mut state, end, node)?,
            Step::GiveUp(end) => state.give_up(end)?,
            Step::LoseStore(end) => self.lose_store(&mut state, end)?,
        }
        // Nodes that nothing tells apart may change places: fewer states.
        let told_apart = 1 + self.homes.iter().flatten().max().unwrap_or(&0);
        state.nodes.get_mut(told_apart..).unwrap_or_default().sort_unstable();
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all: Vec<Property<Self>> = vec![
            Property::always(PROMISE, |_, state: &Self::State| state.memory.check != Check::Broken),
            Property::always(CARRIES_IT, |_, state: &Self::State| {
                state.memory.lease == 0 || state.nodes[0].row.is_some()
            }),
            Property::sometimes("a check is answered from memory", |_, state: &Self::State| {
                state.memory.check == Check::Early && state.memory.is_active
            }),
            Property::sometimes("an end is acknowledged while every node serves", |_, state: &Self::State| {
                let serves = |node: &Node<ENDS>| node.row.is_some() && node.stage >= Stage::Resting;
                state.ends[0] == End::Acknowledged && state.memory.lease > 0 && state.nodes.iter().all(serves)
            }),
        ];
        if NODES + ENDS > 2 {
            all.push(Property::sometimes("a node is expelled", |_, state: &Self::State| {
                state.nodes.iter().any(|node| node.row.is_none() && node.stage >= Stage::Resting)
            }));
        }
        if self.with_faults {
            all.push(Property::sometimes("an end waits out a lost store", |protocol: &Self, state: &Self::State| {
                state.ends[0] == End::Alone(protocol.patience())
            }));
        }
        all
    }
}

const COMMAND: Option<usize> = None;
const NODE_0: Option<usize> = Some(0);
const NODE_1: Option<usize> = Some(1);

/// With every fault but a store that crashes, and no mistake.
fn nodes<const NODES: usize, const ENDS: usize>(homes: [Option<usize>; ENDS]) -> Protocol<NODES, ENDS> {
    Protocol { lease: 2, margin: 0, clocks: (1, 1), homes, with_faults: true, with_crashes: false, mistake: None }
}

/// With a store that crashes, and no other fault.
fn crashing<const NODES: usize, const ENDS: usize>(homes: [Option<usize>; ENDS]) -> Protocol<NODES, ENDS> {
    Protocol { with_faults: false, with_crashes: true, ..nodes(homes) }
}

/// A lease of six ticks by node 0's clock, which goes 9 tenths in each while those of ends go 11.
fn slewed<const ENDS: usize>(homes: [Option<usize>; ENDS]) -> Protocol<1, ENDS> {
    Protocol { lease: 54, margin: 54 / 4, clocks: (9, 11), ..nodes(homes) }
}

fn holds<const NODES: usize, const ENDS: usize>(protocol: Protocol<NODES, ENDS>) {
    let checker = protocol.checker().spawn_bfs().join();
    checker.assert_properties();
}

fn breaks<const ENDS: usize>(mistake: Mistake, homes: [Option<usize>; ENDS]) {
    // One node is enough for every mistake.
    breaks_in(Protocol { mistake: Some(mistake), ..nodes::<1, ENDS>(homes) });
}

fn breaks_in<const ENDS: usize>(protocol: Protocol<1, ENDS>) {
    let checker = protocol.checker().finish_when(HasDiscoveries::AnyOf([PROMISE].into())).spawn_bfs().join();
    checker.assert_any_discovery(PROMISE);
}

#[test]
fn one_node_keeps_the_promise() {
    holds(nodes::<1, 1>([NODE_0]));
    holds(nodes::<1, 1>([COMMAND]));
}

#[test]
fn one_node_keeps_the_promise_while_it_is_expelled() {
    holds(nodes::<1, 2>([NODE_0, COMMAND]));
}

#[test]
fn one_node_keeps_the_promise_of_a_command_while_it_is_expelled() {
    holds(nodes::<1, 2>([COMMAND, COMMAND]));
}

#[test]
fn two_nodes_keep_the_promise() {
    holds(nodes::<2, 1>([NODE_0]));
    holds(nodes::<2, 1>([NODE_1]));
}

#[test]
fn two_nodes_keep_the_promise_of_a_command() {
    holds(nodes::<2, 1>([COMMAND]));
}

#[test]
fn one_node_keeps_the_promise_while_the_store_crashes() {
    holds(Protocol { with_crashes: true, ..nodes::<1, 1>([NODE_0]) });
    holds(Protocol { with_crashes: true, ..nodes::<1, 1>([COMMAND]) });
}

#[test]
fn one_node_keeps_the_promise_while_it_is_expelled_and_the_store_crashes() {
    holds(crashing::<1, 2>([COMMAND, COMMAND]));
}

#[test]
fn two_nodes_keep_the_promise_while_the_store_crashes() {
    holds(crashing::<2, 1>([NODE_1]));
}

#[test]
fn one_node_whose_clock_is_slow_keeps_the_promise_of_ends_whose_clocks_are_fast() {
    holds(slewed([COMMAND]));
    holds(slewed([NODE_0]));
}

#[test]
fn three_nodes_keep_the_promise() {
    // Smaller than the others, so that all of it is tried in seconds.
    holds(Protocol { lease: 1, with_faults: false, ..nodes::<3, 1>([NODE_0]) });
    // The whole takes minutes and gigabytes, also in a release build: with `VIGIE_TEST_MODEL=whole`.
    if std::env::var("VIGIE_TEST_MODEL").is_ok_and(|size| size == "whole") {
        for home in [NODE_0, NODE_1, COMMAND] {
            holds(Protocol { lease: 1, ..nodes::<3, 1>([home]) });
        }
    }
}

#[test]
fn a_lease_checked_after_the_look_up_breaks_the_promise() {
    breaks(Mistake::LeaseCheckedAfterTheLookUp, [COMMAND]);
}

#[test]
fn waiting_a_tick_too_short_breaks_the_promise() {
    breaks(Mistake::WaitingATickTooShort, [COMMAND]);
}

#[test]
fn a_fill_without_its_stale_mark_breaks_the_promise() {
    breaks(Mistake::FillWithoutItsMark, [COMMAND]);
}

#[test]
fn a_lease_counted_from_after_the_read_breaks_the_promise() {
    breaks(Mistake::LeaseFromAfterTheRead, [COMMAND]);
}

#[test]
fn serving_before_the_row_stands_breaks_the_promise() {
    breaks(Mistake::ServingBeforeTheRow, [COMMAND]);
}

#[test]
fn numbers_from_a_sequence_break_the_promise() {
    breaks(Mistake::NumbersFromASequence, [COMMAND, COMMAND]);
}

#[test]
fn numbering_before_the_clock_is_read_breaks_the_promise() {
    breaks(Mistake::NumberingBeforeTheClock, [COMMAND]);
}

#[test]
fn emptying_the_live_view_before_the_head_is_read_breaks_the_promise() {
    breaks(Mistake::EmptyingBeforeTheHead, [COMMAND, COMMAND]);
}

#[test]
fn a_lease_number_used_again_breaks_the_promise() {
    breaks(Mistake::LeaseNumberUsedAgain, [COMMAND, COMMAND]);
}

#[test]
fn a_renewal_that_a_crash_takes_back_breaks_the_promise() {
    breaks_in(Protocol { mistake: Some(Mistake::RenewalNotDurable), ..crashing([COMMAND, COMMAND]) });
}

#[test]
fn a_join_that_a_crash_takes_back_breaks_the_promise() {
    breaks_in(Protocol { mistake: Some(Mistake::JoinNotDurable), ..crashing([COMMAND]) });
}

#[test]
fn a_wait_without_a_margin_breaks_the_promise_where_clocks_are_slewed() {
    breaks_in(Protocol { mistake: Some(Mistake::NoMarginForSlewedClocks), ..slewed([COMMAND]) });
}

#[test]
fn a_repeated_end_acknowledged_at_once_breaks_the_promise() {
    breaks(Mistake::RepeatAcknowledgedAtOnce, [COMMAND]);
}

#[test]
fn a_repeated_end_not_applied_at_home_breaks_the_promise() {
    breaks(Mistake::RepeatNotAppliedAtHome, [NODE_0]);
}
