//! Holds what was accepted against what had been acknowledged. Pure: it reads a record and decides.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::doors::Door;
use super::faults::Kind;
use super::record::{Check, Course, Credential, End, Fault, History, Record, Standstill};

/// A node that could not renew its lease says so to whoever asks until its next renewal.
const NEXT_RENEWAL: Duration = Duration::from_secs(1);

/// What a run has shown.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Each is a use of a credential that began after the end of its session had been acknowledged, and was accepted.
    pub accepted_after_end: Vec<String>,
    /// Refused as ended before anybody had asked for its end.
    pub refused_while_live: Vec<String>,
    /// 503 where neither the node nor the database was broken, and the database took writes.
    pub undecided_without_cause: Vec<String>,
    /// An answer that is neither 200, 401 nor 503.
    pub unheard_of: Vec<String>,
    answers: BTreeMap<Option<u16>, u64>,
    after_end: u64,
    sessions: usize,
    ends: Vec<End>,
    faults: Vec<Fault>,
    standstills: Vec<Standstill>,
    length: Duration,
}

impl Verdict {
    pub fn on(record: &Record, length: Duration) -> Self {
        let sessions = record.all_sessions();
        let mut verdict = Self {
            sessions: sessions.len(),
            ends: record.all_ends(),
            faults: record.all_faults(),
            standstills: record.all_standstills(),
            length,
            ..Self::default()
        };
        for session in sessions {
            verdict.judge(&session.id, &session.history());
        }
        verdict
    }

    fn judge(&mut self, id: &str, history: &History) {
        for check in &history.checks {
            *self.answers.entry(check.status).or_default() += 1;
            let since_end = history.end_acknowledged.and_then(|end| check.started.checked_duration_since(end));
            self.after_end += u64::from(since_end.is_some());
            let what = || format!("session {id}, node {}, {:?}", check.node, check.credential);
            match (check.status, since_end) {
                (Some(200), Some(late)) => self.accepted_after_end.push(format!("{}: {late:?} after its end", what())),
                (Some(401), _) if history.end_asked.is_none_or(|asked| check.over < asked) => {
                    self.refused_while_live.push(what());
                }
                (Some(503), _) if !self.has_cause(check) => {
                    let waited = check.over - check.started;
                    self.undecided_without_cause.push(format!(
                        "{} until {} for {waited:.1?}",
                        what(),
                        wall(check.over)
                    ));
                }
                (None | Some(200 | 401 | 503), _) => {}
                (Some(other), _) => self.unheard_of.push(format!("{}: {other}", what())),
            }
        }
    }

    /// Whether something explains a 503.
    fn has_cause(&self, check: &Check) -> bool {
        let stood_still = |one: &Standstill| overlap((check.started, check.over), (one.begun, one.over + NEXT_RENEWAL));
        self.faults.iter().any(|fault| explains(fault, check)) || self.standstills.iter().any(stood_still)
    }

    pub fn checks(&self) -> u64 {
        self.answers.values().sum()
    }

    pub fn ends(&self) -> u64 {
        self.ends.len() as u64
    }

    pub fn ends_by(&self, door: Door) -> usize {
        self.ends.iter().filter(|end| end.door == door).count()
    }

    pub fn faults_of(&self, kind: Kind) -> usize {
        self.faults.iter().filter(|fault| fault.kind == kind).count()
    }

    /// How long a half of the ends took at most that were asked for elsewhere while one node was broken.
    pub fn median_beside_a_fault(&self) -> Option<Duration> {
        share(&self.taken(Place::BesideAFault), 50)
    }

    fn taken(&self, place: Place) -> Vec<Duration> {
        let mut taken: Vec<_> = self.ends.iter().filter(|end| self.place(end) == place).map(End::took).collect();
        taken.sort_unstable();
        taken
    }

    fn place(&self, end: &End) -> Place {
        let meanwhile = |fault: &&Fault| overlap((end.asked, end.acknowledged), (fault.begun, fault.lifted));
        let faults: Vec<_> = self.faults.iter().filter(meanwhile).collect();
        if faults.is_empty() {
            Place::InPeace
        } else if faults.iter().any(|fault| fault.node.is_none() || fault.node == end.node) {
            Place::InTheFault
        } else {
            Place::BesideAFault
        }
    }

    /// The figures of the run.
    #[expect(clippy::print_stdout, reason = "whoever runs the test wants the figures")]
    pub fn print(&self) {
        println!("{}", self.report());
    }

    fn report(&self) -> String {
        let status = |status: Option<u16>| self.answers.get(&status).copied().unwrap_or_default();
        let mut lines = vec![
            String::new(),
            format!("in {:.1?}: {} checks of {} sessions", self.length, self.checks(), self.sessions),
            format!(
                "  200: {}  401: {}  503: {}  no answer: {}  (begun after an acknowledged end: {})",
                status(Some(200)),
                status(Some(401)),
                status(Some(503)),
                status(None),
                self.after_end,
            ),
            format!(
                "{} ends of {} sessions, {} of them not by the first answer:",
                self.ends(),
                self.ends.iter().map(|end| end.sessions).sum::<usize>(),
                self.ends.iter().filter(|end| end.course == Course::AfterAll).count()
            ),
        ];
        lines.extend(Door::ALL.iter().map(|door| format!("  {:4}  {door:?}", self.ends_by(*door))));
        lines.push(format!("{} faults", self.faults.len()));
        let kinds = Kind::ALL.iter().filter(|kind| self.faults_of(**kind) > 0);
        lines.extend(kinds.map(|kind| format!("  {:4}  a node {}", self.faults_of(*kind), kind.word())));
        lines.push("together:".to_owned());
        lines.extend(self.combinations().into_iter().map(|(kinds, count)| format!("  {count:4}  {kinds}")));
        lines.push(self.machine());
        lines.push("from the request to the acknowledged end:".to_owned());
        lines.extend(Place::ALL.iter().filter_map(|place| self.figures(*place)));
        lines.push(format!(
            "violations: {} accepted after their end, {} refused while live, {} undecided without cause, {} unheard of",
            self.accepted_after_end.len(),
            self.refused_while_live.len(),
            self.undecided_without_cause.len(),
            self.unheard_of.len(),
        ));
        lines.join("\n")
    }

    /// How often the database stood still though nobody had broken it.
    fn machine(&self) -> String {
        let of_faults = |one: &Standstill| {
            let meanwhile = |fault: &Fault| overlap((one.begun, one.over), (fault.begun, fault.over));
            self.faults.iter().any(|fault| fault.node.is_none() && meanwhile(fault))
        };
        let lengths = self.standstills.iter().filter(|one| !of_faults(one)).map(|one| one.over - one.begun);
        let longest = lengths.clone().max().unwrap_or_default();
        format!("the machine let the database stand still {} times, for up to {longest:.1?}", lengths.count())
    }

    /// How often faults of these kinds happened together.
    fn combinations(&self) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        for fault in self.faults.iter().filter(|fault| fault.of.len() > 1 && fault.of.first() == Some(&fault.kind)) {
            let words: Vec<&str> = fault.of.iter().map(|kind| kind.word()).collect();
            *found.entry(words.join(" + ")).or_default() += 1;
        }
        found
    }

    /// How many faults happened together with others.
    pub fn faults_together(&self) -> usize {
        self.faults.iter().filter(|fault| fault.of.len() > 1).count()
    }

    fn figures(&self, place: Place) -> Option<String> {
        let taken = self.taken(place);
        let (half, most, all) = (share(&taken, 50)?, share(&taken, 99)?, share(&taken, 100)?);
        Some(format!("  {:4}  {}: p50 {half:.1?}, p99 {most:.1?}, max {all:.1?}", taken.len(), place.word()))
    }
}

/// Where an end was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    InPeace,
    BesideAFault,
    InTheFault,
}

impl Place {
    const ALL: [Self; 3] = [Self::InPeace, Self::BesideAFault, Self::InTheFault];

    const fn word(self) -> &'static str {
        match self {
            Self::InPeace => "nothing broken",
            Self::BesideAFault => "another node broken",
            Self::InTheFault => "this node or the database broken",
        }
    }
}

/// Whether a 503 may come of it. A refresh writes, and may wait too long for a row that a broken node has locked.
fn explains(fault: &Fault, check: &Check) -> bool {
    let may_wait = matches!(check.credential, Credential::Refresh);
    (may_wait || fault.node.is_none_or(|node| node == check.node))
        && overlap((check.started, check.over), (fault.begun, fault.over))
}

/// As the nodes' logs have it.
#[expect(clippy::disallowed_methods, reason = "other processes have their own time")]
fn wall(moment: Instant) -> DateTime<Utc> {
    Utc::now() - moment.elapsed()
}

fn overlap(one: (Instant, Instant), other: (Instant, Instant)) -> bool {
    one.0 <= other.1 && other.0 <= one.1
}

/// What `percent` of these sorted durations do not exceed.
fn share(sorted: &[Duration], percent: usize) -> Option<Duration> {
    sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session whose end was asked for at 10 s and acknowledged at 11 s, checked once, from `started` to `over`.
    fn judged(started: u64, over: u64, status: Option<u16>, faults: &[(Option<usize>, u64, u64)]) -> Verdict {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let fault = |(node, begun, over): &(Option<usize>, u64, u64)| Fault {
            kind: Kind::CutOff,
            node: *node,
            begun: at(*begun),
            lifted: at(*over),
            over: at(*over),
            of: vec![Kind::CutOff],
        };
        let mut verdict = Verdict { faults: faults.iter().map(fault).collect(), ..Verdict::default() };
        verdict.judge("of a test", &ended_at_10_checked(begin, started, over, status));
        verdict
    }

    fn ended_at_10_checked(begin: Instant, started: u64, over: u64, status: Option<u16>) -> History {
        let at = |seconds| begin + Duration::from_secs(seconds);
        let check = Check { node: 1, credential: Credential::Access, started: at(started), over: at(over), status };
        History { end_asked: Some(at(10)), end_acknowledged: Some(at(11)), checks: vec![check] }
    }

    fn counts(verdict: &Verdict) -> [usize; 4] {
        [
            verdict.accepted_after_end.len(),
            verdict.refused_while_live.len(),
            verdict.undecided_without_cause.len(),
            verdict.unheard_of.len(),
        ]
    }

    #[test]
    fn what_began_after_the_acknowledged_end_must_not_be_accepted() {
        assert_eq!(counts(&judged(12, 13, Some(200), &[])), [1, 0, 0, 0]);
        for status in [Some(401), None] {
            assert_eq!(counts(&judged(12, 13, status, &[])), [0; 4]);
        }
        // Begun before: either answer is right, however late it comes.
        for status in [Some(200), Some(401)] {
            assert_eq!(counts(&judged(9, 20, status, &[])), [0; 4]);
        }
    }

    #[test]
    fn what_nobody_has_ended_must_not_be_refused() {
        assert_eq!(counts(&judged(8, 9, Some(401), &[])), [0, 1, 0, 0]);
        assert_eq!(counts(&judged(8, 9, Some(200), &[])), [0; 4]);
    }

    #[test]
    fn only_a_fault_of_this_node_or_the_database_explains_a_503() {
        assert_eq!(counts(&judged(4, 5, Some(503), &[])), [0, 0, 1, 0]);
        assert_eq!(counts(&judged(4, 5, Some(503), &[(Some(0), 3, 6)])), [0, 0, 1, 0]);
        assert_eq!(counts(&judged(4, 5, Some(503), &[(Some(1), 1, 2)])), [0, 0, 1, 0]);
        for node in [None, Some(1)] {
            assert_eq!(counts(&judged(4, 7, Some(503), &[(node, 3, 6)])), [0; 4]);
        }
        assert_eq!(counts(&judged(4, 5, Some(500), &[])), [0, 0, 0, 1]);
    }

    #[test]
    fn a_database_that_stands_still_explains_a_503_and_nothing_else() {
        let counts_beside = |status| {
            let begun = Instant::now();
            let standstills = vec![Standstill { begun, over: begun + Duration::from_secs(20) }];
            let mut verdict = Verdict { standstills, ..Verdict::default() };
            verdict.judge("of a test", &ended_at_10_checked(begun, 12, 13, status));
            counts(&verdict)
        };
        assert_eq!(counts_beside(Some(503)), [0; 4]);
        assert_eq!(counts_beside(Some(200)), [1, 0, 0, 0]);
    }

    #[test]
    fn a_share_of_durations_is_what_so_many_do_not_exceed() {
        let seconds = |numbers: &[u64]| numbers.iter().map(|number| Duration::from_secs(*number)).collect::<Vec<_>>();
        assert_eq!(share(&[], 50), None);
        assert_eq!(share(&seconds(&[7]), 50), Some(Duration::from_secs(7)));
        let many = seconds(&(1..=200).collect::<Vec<_>>());
        let of = |percent| share(&many, percent).expect("there are some").as_secs();
        assert_eq!((of(50), of(99), of(100)), (100, 198, 200));
    }
}
