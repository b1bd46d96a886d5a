//! Who breaks things while the others work, and mends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use url::Url;

use super::checkers::{check, question};
use super::nodes::Condition;
use super::random::Random;
use super::record::{Check, Credential, Fault, Session};
use super::wire::{Connection, Line};
use super::{Trial, pause};
use crate::support::postgres::{Options, PrivateCluster};
use crate::support::program::Server;
use crate::support::proxy::Proxy;

/// Nodes must have recovered after this long, on a machine that is busy with other things too.
const RECOVERY: Duration = Duration::from_secs(40);

/// Questions that a node must answer at the same moment before it counts as recovered: more than its connections.
const AT_ONCE: usize = 6;

/// The queue of connections that a halted node has not taken yet is short: in one halt it must not be filled.
const BETWEEN_LETTERS: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// The database ends as by a crash, and starts with what was on the disk.
    DatabaseCrashed,
    /// The standby takes over; the former primary crashed, or goes on without taking writes for a while.
    FailedOver,
}

/// What a fault takes away: at most one of each at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Process,
    Way,
    Database,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Halted,
        Self::Killed,
        Self::CutOff,
        Self::Unheard,
        Self::DatabaseRestarted,
        Self::DatabaseCrashed,
        Self::FailedOver,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Halted => "halted",
            Self::Killed => "killed",
            Self::CutOff => "cut off",
            Self::Unheard => "unheard by the database",
            Self::DatabaseRestarted => "without a database that restarted",
            Self::DatabaseCrashed => "without a database that crashed",
            Self::FailedOver => "without a database that failed over",
        }
    }

    const fn part(self) -> Part {
        match self {
            Self::Halted | Self::Killed => Part::Process,
            Self::CutOff | Self::Unheard => Part::Way,
            Self::DatabaseRestarted | Self::DatabaseCrashed | Self::FailedOver => Part::Database,
        }
    }
}

/// A PostgreSQL server and its synchronous standby, which change places.
pub struct Databases {
    clusters: [PrivateCluster; 2],
    primary: usize,
}

impl Databases {
    pub fn launch() -> Self {
        let primary = PrivateCluster::launch(Options::default());
        // Also of the standby, once it has taken over.
        primary.set("synchronous_standby_names", "*");
        let standby = primary.standby();
        Self { clusters: [primary, standby], primary: 0 }
    }

    pub fn primary(&self) -> &PrivateCluster {
        &self.clusters[self.primary]
    }

    /// A URL that names both.
    pub fn url(&self) -> String {
        let port = |cluster: &PrivateCluster| Url::parse(cluster.url()).expect("a URL").port().expect("a port");
        let [one, other] = &self.clusters;
        format!("postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres", port(one), port(other))
    }

    /// The standby takes over; after `meanwhile` the former primary, which had crashed or not, follows it.
    fn fail_over(&mut self, has_crashed: bool, meanwhile: impl FnOnce(&PrivateCluster)) {
        let (former, next) = (&self.clusters[self.primary], &self.clusters[1 - self.primary]);
        if has_crashed {
            former.crash();
        } else {
            former.set("default_transaction_read_only", "on");
        }
        next.promote();
        meanwhile(next);
        former.follow(next);
        self.primary = 1 - self.primary;
    }
}

/// What may be broken.
pub struct Breakable {
    pub servers: Vec<Server>,
    pub databases: Databases,
    pub proxy: Proxy,
    /// The node that reaches the database by the proxy.
    pub behind_proxy: usize,
    /// The longest of the nodes.
    pub lease: Duration,
    pub shortest_lease: Duration,
}

pub struct Troublemaker<'a> {
    trial: &'a Trial,
    it: &'a mut Breakable,
    random: Random,
    /// Kinds that are still to come in this turn.
    deck: Vec<Kind>,
}

/// A check whose request lies unread at a halted node.
struct Letter {
    session: Arc<Session>,
    started: Instant,
    connection: Connection,
}

impl<'a> Troublemaker<'a> {
    pub fn new(trial: &'a Trial, it: &'a mut Breakable, random: Random) -> Self {
        Self { trial, it, random, deck: Vec::new() }
    }

    /// Goes through all kinds in ever new orders and combinations; says when each has happened once. The first is alone, and
    /// leaves the others at peace.
    pub fn run(mut self, all_happened: &AtomicBool) {
        let mut first = Some(vec![*self.random.of(&[Kind::Halted, Kind::CutOff, Kind::Unheard])]);
        loop {
            self.deck = self.random.shuffled(Kind::ALL.to_vec());
            while !self.deck.is_empty() {
                pause(Duration::from_millis(300 + self.random.below(1200)));
                if !self.trial.goes_on() {
                    return;
                }
                let kinds = first.take().unwrap_or_else(|| self.draw());
                self.context(&kinds);
            }
            all_happened.store(true, Ordering::Relaxed);
        }
    }

    /// The next one, two or three kinds that can happen at the same time.
    fn draw(&mut self) -> Vec<Kind> {
        let count = 1 + usize::try_from(self.random.below(3)).expect("it is below three");
        let mut drawn: Vec<Kind> = Vec::new();
        self.deck.retain(|kind| {
            let fits = drawn.len() < count && drawn.iter().all(|other| other.part() != kind.part());
            if fits {
                drawn.push(*kind);
            }
            !fits
        });
        drawn
    }

    /// Each begins at a moment of its own; a process that was killed is back when the others are over.
    fn context(&mut self, kinds: &[Kind]) {
        let longest = self.it.lease;
        let delays: Vec<Duration> = kinds.iter().map(|_| self.up_to(longest)).collect();
        let process = self.trial.nodes.any(&mut self.random);
        let node = |kind: Kind| match kind.part() {
            Part::Process => Some(process),
            Part::Way => Some(self.it.behind_proxy),
            Part::Database => None,
        };
        let nodes: Vec<Option<usize>> = kinds.iter().map(|kind| node(*kind)).collect();
        let touched = self.touched(&nodes);
        let randoms: Vec<Random> = kinds.iter().map(|_| self.random.apart()).collect();
        let Breakable { servers, databases, proxy, lease, .. } = &mut *self.it;
        let (trial, lease, proxy) = (self.trial, *lease, &*proxy);
        let mut databases = Some(databases);
        let faults: Vec<Fault> = thread::scope(|scope| {
            let breaking = kinds.iter().zip(&nodes).zip(delays).zip(randoms).map(|(((kind, node), delay), random)| {
                let databases = if kind.part() == Part::Database { databases.take() } else { None };
                let server = node.map(|node| &servers[node]);
                let mut hand = Hand { trial, lease, proxy, random };
                scope.spawn(move || {
                    pause(delay);
                    let begun = Instant::now();
                    match (*kind, *node, server, databases) {
                        (Kind::Halted, Some(node), Some(server), _) => hand.halt(node, server),
                        (Kind::Killed, Some(node), Some(server), _) => hand.kill(node, server),
                        (Kind::CutOff, ..) => hand.interrupt(Proxy::cut),
                        (Kind::Unheard, ..) => hand.interrupt(Proxy::stall),
                        (Kind::DatabaseRestarted, _, _, Some(databases)) => hand.restart(databases),
                        (Kind::DatabaseCrashed, _, _, Some(databases)) => hand.crash(databases),
                        (Kind::FailedOver, _, _, Some(databases)) => hand.fail_over(databases),
                        _ => unreachable!("each kind has its part"),
                    }
                    Fault { kind: *kind, node: *node, begun, lifted: Instant::now(), over: begun, of: Vec::new() }
                })
            });
            let breaking: Vec<_> = breaking.collect();
            breaking.into_iter().map(|one| one.join().expect("it does not panic")).collect()
        });
        if kinds.contains(&Kind::Killed) {
            self.it.servers[process] = self.trial.nodes.program(process).serve();
            self.trial.nodes.moved(process, &self.it.servers[process]);
        }
        for node in touched {
            self.wait_until_well(node);
            self.trial.nodes.set(node, Condition::Whole);
        }
        let mut of = kinds.to_vec();
        of.sort_unstable();
        for fault in faults {
            self.trial.record.fault(Fault { over: Instant::now(), of: of.clone(), ..fault });
        }
    }

    /// The nodes to which something is done, from now on: all of them where it is the database.
    fn touched(&self, nodes: &[Option<usize>]) -> Vec<usize> {
        let all = nodes.contains(&None);
        let touched: Vec<usize> =
            (0..self.it.servers.len()).filter(|node| all || nodes.contains(&Some(*node))).collect();
        for node in &touched {
            self.trial.nodes.set(*node, Condition::Shaken);
        }
        touched
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        Duration::from_millis(self.random.below(u64::try_from(longest.as_millis()).expect("a few seconds")))
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

/// What breaks one thing, beside others that break.
struct Hand<'a> {
    trial: &'a Trial,
    lease: Duration,
    proxy: &'a Proxy,
    random: Random,
}

impl Hand<'_> {
    /// Mostly longer than a lease, so that the others have gone on without it; sometimes just as long.
    fn about_a_lease(&mut self) -> Duration {
        let beyond = if self.random.one_in(4) { 0 } else { 800 };
        self.lease + Duration::from_millis(beyond + self.random.below(1200))
    }

    /// While it is halted people go on asking it; it finds their requests when it wakes up, with what it knew before.
    fn halt(&mut self, node: usize, server: &Server) {
        let length = self.about_a_lease();
        self.trial.nodes.set(node, Condition::Halted);
        server.pause();
        let begun = Instant::now();
        let mut letters = Vec::new();
        while begun.elapsed() < length {
            letters.extend(self.write_to(node));
            pause(BETWEEN_LETTERS);
        }
        server.resume();
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

    /// Now it is to be back within the lease it had, now after it.
    fn kill(&mut self, node: usize, server: &Server) {
        self.trial.nodes.set(node, Condition::Shaken);
        server.kill();
        pause(Duration::from_millis(
            self.random.below(2 * u64::try_from(self.lease.as_millis()).expect("a few seconds")),
        ));
    }

    fn interrupt(&mut self, how: impl FnOnce(&Proxy)) {
        how(self.proxy);
        pause(self.about_a_lease());
        self.proxy.restore();
    }

    fn restart(&mut self, databases: &Databases) {
        databases.primary().stop();
        pause(Duration::from_millis(self.random.below(2000)));
        databases.primary().start();
    }

    fn crash(&mut self, databases: &Databases) {
        databases.primary().crash();
        pause(Duration::from_millis(self.random.below(5000)));
        databases.primary().start();
    }

    /// The name by which one node knows the database moves with it.
    fn fail_over(&mut self, databases: &mut Databases) {
        let (has_crashed, length) = (self.random.one_in(2), Duration::from_millis(self.random.below(4000)));
        databases.fail_over(has_crashed, |next| {
            self.proxy.lead_to(next.url());
            pause(length);
        });
    }
}
