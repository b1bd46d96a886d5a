//! One run: many check, some end, one breaks; and all of it is written down with its moments, by one clock.

pub mod checkers;
pub mod doors;
pub mod enders;
pub mod faults;
pub mod nodes;
pub mod random;
pub mod record;
pub mod verdict;
pub mod wire;
pub mod witness;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use checkers::Checker;
use enders::{Ender, Staff};
use faults::{Breakable, Troublemaker};
use nodes::Nodes;
use random::Random;
use record::Record;
use verdict::Verdict;
use witness::Witness;

/// Connections that check at each node without a pause.
const CHECKERS: usize = 4;

/// People who end sessions at the same time.
const ENDERS: u64 = 10;

/// After three times its time and this, a run without its goals has failed.
const LIMIT: Duration = Duration::from_mins(5);

/// What makes a run long enough to mean something; all of it.
pub struct Goals {
    pub time: Duration,
    pub checks: u64,
    pub ends: u64,
}

/// The nodes, what has happened so far, and whether it goes on.
pub struct Trial {
    pub nodes: Nodes,
    pub record: Record,
    pub seed: u64,
    stopped: AtomicBool,
}

impl Trial {
    pub fn new(nodes: Nodes, seed: u64) -> Self {
        Self { nodes, record: Record::default(), seed, stopped: AtomicBool::new(false) }
    }

    pub fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Runs until the goals are reached, and every kind of fault has been seen where something may be broken.
    pub fn run(&self, goals: &Goals, breakable: Option<&mut Breakable>) -> Verdict {
        let begun = Instant::now();
        let staff = Staff::hire(self);
        let all_faults = AtomicBool::new(breakable.is_none());
        let (staff, all_faults) = (&staff, &all_faults);
        thread::scope(|scope| {
            for node in 0..self.nodes.count() {
                for number in 0..CHECKERS {
                    let random = Random::new(self.seed, &format!("checker {node} {number}"));
                    scope.spawn(move || self.guarded(|| Checker::new(self, node, random).run()));
                }
            }
            for number in 0..ENDERS {
                let random = Random::new(self.seed, &format!("ender {number}"));
                scope.spawn(move || self.guarded(|| Ender::new(self, staff, random).run()));
            }
            if let Some(breakable) = breakable {
                let (url, limit) = (breakable.databases.url(), breakable.shortest_lease / 2);
                scope.spawn(move || self.guarded(|| Witness::new(self, &url, limit).run()));
                let random = Random::new(self.seed, "faults");
                scope.spawn(move || self.guarded(|| Troublemaker::new(self, breakable, random).run(all_faults)));
            }
            let reached = || {
                begun.elapsed() >= goals.time
                    && self.record.checks() >= goals.checks
                    && self.record.ends() >= goals.ends
                    && all_faults.load(Ordering::Relaxed)
            };
            while self.goes_on() && !reached() && begun.elapsed() < 3 * goals.time + LIMIT {
                pause(Duration::from_millis(100));
            }
            self.stop();
        });
        Verdict::on(&self.record, begun.elapsed())
    }

    /// Ends the whole run where one part of it panics.
    fn guarded(&self, part: impl FnOnce()) {
        struct Guard<'a>(&'a Trial);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                if thread::panicking() {
                    self.0.stop();
                }
            }
        }
        let _guard = Guard(self);
        part();
    }
}

#[expect(clippy::disallowed_methods, reason = "other processes have their own time")]
pub fn pause(length: Duration) {
    thread::sleep(length);
}
