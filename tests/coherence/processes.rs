//! Real `vigie serve` processes on one database, hammered with checks while sessions end through every door and the nodes
//! are halted, killed and cut off, and the database crashes and fails over: two and three of these at once. Every accepted
//! check is held against every acknowledged end.
//!
//! The long run is `tests/long/coherence`. `VIGIE_TEST_NODES_SECONDS`, `…_CHECKS` and `…_ENDS` ask for more of each,
//! `VIGIE_TEST_SEED` (a number) for other choices, among them how long leases are.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;

use super::trial::doors::Door;
use super::trial::faults::{self, Breakable, Databases};
use super::trial::nodes::Nodes;
use super::trial::random::Random;
use super::trial::verdict::Verdict;
use super::trial::{Goals, Trial};
use crate::support::backend::{Backend, TestDatabase};
use crate::support::program::{Program, Server};
use crate::support::proxy::Proxy;

/// How long a node may trust its memory, by default and at most. Faults last longer, and ends may take this long while a
/// node is lost.
const LEASE: Duration = Duration::from_secs(2);

/// What a machine that is busy with other things may add to a half of the ends.
const SLACK: Duration = Duration::from_secs(4);

/// How the nodes of these tests agree.
const AGREEMENT: &[(&str, &str)] = &[("VIGIE__NODES__LIVE_VIEW", "true")];

/// Out of the way of many logins by many sessions from one address.
const SETTINGS: &[(&str, &str)] = &[
    ("VIGIE__LOG__LEVEL", "warn"),
    ("VIGIE__TOKENS__ACCESS_TTL", "1h"),
    ("VIGIE__SESSIONS__MAX_PER_USER", "0"),
    ("VIGIE__SESSIONS__REFRESH_GRACE", "0s"),
    ("VIGIE__SESSIONS__REAUTHENTICATION_AFTER", "0s"),
    ("VIGIE__SESSIONS__END_ON_ROLE_CHANGE", "true"),
    ("VIGIE__THROTTLE__FREE_FAILURES", "100"),
    ("VIGIE__THROTTLE__DAILY_FAILURES", "0"),
    ("VIGIE__THROTTLE__LOCKED_AFTER", "50"),
    ("VIGIE__THROTTLE__ADDRESS_FAILURES", "1000000"),
    ("VIGIE__THROTTLE__NETWORK_FAILURES", "1000000"),
];

/// The one key that every node of this run has.
fn master_key() -> &'static str {
    static KEY: LazyLock<String> = LazyLock::new(|| {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system has a random source");
        base64::engine::general_purpose::STANDARD.encode(bytes)
    });
    &KEY
}

/// A node with a data directory of its own.
fn node(url: &str) -> Program {
    let program = Program::on(TestDatabase::at(url)).with("VIGIE__KEYS__MASTER_KEY", master_key());
    SETTINGS.iter().chain(AGREEMENT).fold(program, |program, (name, value)| program.with(name, value))
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// What holds of every run.
fn assert_kept(verdict: &Verdict, goals: &Goals) {
    verdict.print();
    assert!(verdict.checks() >= goals.checks && verdict.ends() >= goals.ends, "too little was tried");
    let missed: Vec<_> = Door::ALL.iter().filter(|door| verdict.ends_by(**door) == 0).collect();
    assert!(missed.is_empty(), "nobody went through {missed:?}");
    assert_none(&verdict.accepted_after_end, "accepted after an acknowledged end (P2)");
    assert_none(&verdict.refused_while_live, "refused although nobody had ended it");
    assert_none(&verdict.undecided_without_cause, "503 from a node that nothing was done to (P4)");
    assert_none(&verdict.unheard_of, "no answer to a check");
}

/// What the nodes gave as reasons.
#[expect(clippy::print_stdout, reason = "whoever runs the test wants to know why")]
fn print_logs(servers: &[Server]) {
    for (node, server) in servers.iter().enumerate() {
        println!("node {node}:\n{}", server.log());
    }
}

fn assert_none(found: &[String], what: &str) {
    assert!(found.is_empty(), "{what}, {} times: {:#?}", found.len(), &found[..found.len().min(10)]);
}

/// How long the leases of a node are, as the seed chooses.
fn any_lease(random: &mut Random) -> Duration {
    let longest = u64::try_from(LEASE.as_millis()).expect("a few seconds");
    Duration::from_millis(if random.one_in(3) { longest } else { 400 + random.below(longest - 400) })
}

#[test]
fn on_three_nodes_that_break_no_session_is_accepted_after_its_end() {
    let databases = Databases::launch();
    let (proxy, by_proxy) = Proxy::in_front_of(databases.primary().url());
    let mut random = Random::new(number("VIGIE_TEST_SEED", 2026), "leases");
    let urls = [databases.url(), databases.url(), by_proxy];
    let leases: Vec<Duration> = urls.iter().map(|_| any_lease(&mut random)).collect();
    let with_lease =
        |(url, lease): (&String, &Duration)| node(url).with("VIGIE__NODES__LEASE", &format!("{}ms", lease.as_millis()));
    let programs: Vec<_> = urls.iter().zip(&leases).map(with_lease).collect();
    programs[0].add_user("root", "admin");
    let servers: Vec<Server> = programs.iter().map(Program::serve).collect();
    let goals = Goals {
        time: Duration::from_secs(number("VIGIE_TEST_NODES_SECONDS", 45)),
        checks: number("VIGIE_TEST_NODES_CHECKS", 100_000),
        ends: number("VIGIE_TEST_NODES_ENDS", 500),
    };
    let trial = Trial::new(Nodes::new(programs, &servers), number("VIGIE_TEST_SEED", 2026));
    let shortest_lease = leases.into_iter().min().expect("there are nodes");
    let mut breakable = Breakable { servers, databases, proxy, behind_proxy: 2, lease: LEASE, shortest_lease };
    let verdict = trial.run(&goals, Some(&mut breakable));

    if !verdict.undecided_without_cause.is_empty() {
        print_logs(&breakable.servers);
    }
    assert_kept(&verdict, &goals);
    for kind in faults::Kind::ALL {
        assert!(verdict.faults_of(kind) > 0, "no node was {}", kind.word());
    }
    assert!(verdict.faults_together() > 0, "no two faults happened together");
    // While one node is lost the others go on ending sessions, and soon.
    let typical = verdict.median_beside_a_fault().expect("sessions ended while a node was lost");
    assert!(typical < LEASE + Duration::from_millis(500) + SLACK, "half of them took longer than {typical:?}");
}

#[test]
fn on_two_processes_with_one_sqlite_file_no_session_is_accepted_after_its_end() {
    let database = Backend::Sqlite.database();
    let programs = vec![node(&database.url), node(&database.url)];
    programs[0].add_user("root", "admin");
    let servers: Vec<Server> = programs.iter().map(Program::serve).collect();
    let goals = Goals { time: Duration::from_secs(8), checks: 8_000, ends: 60 };
    let trial = Trial::new(Nodes::new(programs, &servers), number("VIGIE_TEST_SEED", 2026));
    let verdict = trial.run(&goals, None);
    assert_kept(&verdict, &goals);
    drop(servers);
}
