//! Who breaks things while the others work, and mends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::checkers::{check, question};
use super::nodes::Condition;
use super::random::Random;
use super::record::{Check, Credential, Fault, Session};
use super::wire::{Connection, Line};
use super::{Trial, pause};
use crate::support::postgres::PrivateCluster;
use crate::support::program::Server;
use crate::support::proxy::Proxy;

/// Nodes must have recovered after this long, on a machine that is busy with other things too.
const RECOVERY: Duration = Duration::from_secs(40);

/// Questions that a node must answer at the same moment before it counts as recovered: more than its connections.
const AT_ONCE: usize = 6;

/// The queue of connections that a halted node has not taken yet is short: in one halt it must not be filled.
const BETWEEN_LETTERS: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A node is halted and goes on with what it knew.
    Halted,
    /// A node is killed and started anew.
    Killed,
    /// A node's connections to the database break, and there are no new ones.
    CutOff,
    /// A node's connections to the database stay, and nothing passes.
    Unheard,
    /// The database is stopped and started.
    DatabaseRestarted,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Halted, Self::Killed, Self::CutOff, Self::Unheard, Self::DatabaseRestarted];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Halted => "halted",
            Self::Killed => "killed",
            Self::CutOff => "cut off",
            Self::Unheard => "unheard by the database",
            Self::DatabaseRestarted => "left without a database",
        }
    }
}

/// What may be broken.
pub struct Breakable {
    pub servers: Vec<Server>,
    pub cluster: PrivateCluster,
    pub proxy: Proxy,
    /// The node that reaches the database by the proxy.
    pub behind_proxy: usize,
    pub lease: Duration,
}

pub struct Troublemaker<'a> {
    trial: &'a Trial,
    it: &'a mut Breakable,
    random: Random,
}

/// A check whose request lies unread at a halted node.
struct Letter {
    session: Arc<Session>,
    started: Instant,
    connection: Connection,
}

impl<'a> Troublemaker<'a> {
    pub fn new(trial: &'a Trial, it: &'a mut Breakable, random: Random) -> Self {
        Self { trial, it, random }
    }

    /// Goes through all kinds in ever new orders; says when each has happened once.
    pub fn run(mut self, all_happened: &AtomicBool) {
        loop {
            for kind in self.random.shuffled(Kind::ALL.to_vec()) {
                pause(Duration::from_secs(1));
                if !self.trial.goes_on() {
                    return;
                }
                self.cause(kind);
            }
            all_happened.store(true, Ordering::Relaxed);
        }
    }

    fn cause(&mut self, kind: Kind) {
        let node = match kind {
            Kind::Halted | Kind::Killed => Some(self.trial.nodes.any(&mut self.random)),
            Kind::CutOff | Kind::Unheard => Some(self.it.behind_proxy),
            Kind::DatabaseRestarted => None,
        };
        let nodes: Vec<usize> = node.map_or_else(|| (0..self.it.servers.len()).collect(), |node| vec![node]);
        let condition = if kind == Kind::Halted { Condition::Halted } else { Condition::Shaken };
        for node in &nodes {
            self.trial.nodes.set(*node, condition);
        }
        let begun = Instant::now();
        match kind {
            Kind::Halted => self.halt(nodes[0]),
            Kind::Killed => self.kill(nodes[0]),
            Kind::CutOff => self.interrupt(Proxy::cut),
            Kind::Unheard => self.interrupt(Proxy::stall),
            Kind::DatabaseRestarted => self.restart_database(),
        }
        let lifted = Instant::now();
        for node in nodes {
            self.wait_until_well(node);
            self.trial.nodes.set(node, Condition::Whole);
        }
        self.trial.record.fault(Fault { kind, node, begun, lifted, over: Instant::now() });
    }

    /// Longer than a lease, so that the others have gone on without it.
    fn beyond_the_lease(&mut self) -> Duration {
        self.it.lease + Duration::from_millis(800 + self.random.below(1200))
    }

    /// While it is halted people go on asking it; it finds their requests when it wakes up, with what it knew before.
    fn halt(&mut self, node: usize) {
        let length = self.beyond_the_lease();
        self.it.servers[node].pause();
        let begun = Instant::now();
        let mut letters = Vec::new();
        while begun.elapsed() < length {
            letters.extend(self.write_to(node));
            pause(BETWEEN_LETTERS);
        }
        self.it.servers[node].resume();
        self.trial.nodes.set(node, Condition::Shaken);
        for Letter { session, started, mut connection } in letters {
            let status = connection.receive().ok().map(|(answer, _)| answer.status);
            let check = Check { node, credential: Credential::Access, started, over: Instant::now(), status };
            self.trial.record.check(&session, check);
        }
    }

    fn write_to(&mut self, node: usize) -> Option<Letter> {
        let session = self.trial.record.some_session(&mut self.random)?;
        let started = Instant::now();
        let mut connection = Connection::open(self.trial.nodes.address(node)).ok()?;
        connection.send(&question(session.token())).ok()?;
        Some(Letter { session, started, connection })
    }

    /// Now it is back within the lease it had, now after it.
    fn kill(&mut self, node: usize) {
        self.it.servers[node].kill();
        let length = self.random.below(2 * u64::try_from(self.it.lease.as_millis()).expect("a few seconds"));
        pause(Duration::from_millis(length));
        self.it.servers[node] = self.trial.nodes.program(node).serve();
        self.trial.nodes.moved(node, &self.it.servers[node]);
    }

    fn interrupt(&mut self, how: impl FnOnce(&Proxy)) {
        let length = self.beyond_the_lease();
        how(&self.it.proxy);
        pause(length);
        self.it.proxy.restore();
    }

    fn restart_database(&mut self) {
        self.it.cluster.stop();
        pause(Duration::from_millis(self.random.below(2000)));
        self.it.cluster.start();
    }

    /// Until it answers several at once, twice.
    fn wait_until_well(&self, node: usize) {
        let begun = Instant::now();
        let mut well = 0;
        while well < 2 {
            assert!(begun.elapsed() < RECOVERY, "node {node} does not recover by itself");
            well = if self.answers_all(node) { well + 1 } else { 0 };
        }
    }

    fn answers_all(&self, node: usize) -> bool {
        let staying = self.trial.record.all_sessions().into_iter().next().expect("the administrator's");
        let ask = || check(self.trial, &mut Line::default(), node, &staying, staying.token()) == Some(200);
        thread::scope(|scope| {
            let asking: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().all(|one| one.join().expect("it does not panic"))
        })
    }
}
