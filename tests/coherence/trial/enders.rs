//! Who logs people in and ends their sessions.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::checkers::{check, refresh};
use super::doors::{Door, Hand, Passed, Person};
use super::nodes::Condition;
use super::random::Random;
use super::record::{Course, End, Session};
use super::wire::{Answer, Line, Question};
use super::{Trial, pause};
use crate::support::app::PASSWORD;

/// An end that is not acknowledged for this long, wherever it is asked for, never will be.
const LIMIT: Duration = Duration::from_mins(1);

/// Sessions that nobody ends, beside the administrator's.
const STAYING: usize = 8;

/// The administrator, who stays; how many people there have been; and through which doors the next ones leave.
pub struct Staff {
    admin: String,
    people: AtomicU64,
    doors: Mutex<Vec<Door>>,
}

impl Staff {
    /// Logs in those who stay until the end of the run.
    pub fn hire(trial: &Trial) -> Self {
        let mut random = Random::new(trial.seed, "staff");
        let mut desk = Desk::new(trial);
        let admin = desk.log_in("root", &mut random).expect("nothing is broken yet");
        trial.record.begin(&admin);
        let staff = Self { admin: admin.token().to_owned(), people: AtomicU64::new(0), doors: Mutex::default() };
        desk.create_user(&staff, "stays", &mut random).expect("nothing is broken yet");
        for _ in 0..STAYING {
            trial.record.begin(&desk.log_in("stays", &mut random).expect("nothing is broken yet"));
        }
        staff
    }

    /// All doors in turn, in ever new orders.
    fn next_door(&self, random: &mut Random) -> Door {
        let mut doors = self.doors.lock().expect("no holder panics");
        if doors.is_empty() {
            *doors = random.shuffled(Door::ALL.to_vec());
        }
        doors.pop().expect("there are doors")
    }
}

/// Lines to all nodes.
struct Desk<'a> {
    trial: &'a Trial,
    lines: Vec<Line>,
}

impl<'a> Desk<'a> {
    fn new(trial: &'a Trial) -> Self {
        Self { trial, lines: (0..trial.nodes.count()).map(|_| Line::default()).collect() }
    }

    /// Asks a node that is whole. `None` where it was not, or not any more.
    fn ask(&mut self, random: &mut Random, path: &str, token: &str, body: Value, good: u16) -> Option<Value> {
        let node = self.trial.nodes.whole(random);
        let question = Question { method: "POST", path, token, body: Some(body) };
        match self.lines[node].ask(self.trial.nodes.address(node), &question)? {
            Answer { status: 204, .. } if good == 204 => Some(Value::Null),
            answer if answer.status == good => Some(answer.json()),
            Answer { status: 503, .. } => None,
            answer => panic!("{path}: {answer:?}"),
        }
    }

    fn create_user(&mut self, staff: &Staff, name: &str, random: &mut Random) -> Option<String> {
        let body = json!({ "username": name, "role": "agent" });
        let user = self.ask(random, "/admin/users", &staff.admin, body, 201)?;
        let body = json!({ "token": user["reset_token"], "new_password": PASSWORD });
        self.ask(random, "/auth/reset", "", body, 204)?;
        Some(user["id"].as_str().expect("an id").to_owned())
    }

    /// Some sessions are refreshed once, and have two access tokens.
    fn log_in(&mut self, name: &str, random: &mut Random) -> Option<Arc<Session>> {
        let body = json!({ "username": name, "password": PASSWORD });
        let mut answer = self.ask(random, "/auth/login", "", body, 200)?;
        let token = |answer: &Value| answer["access_token"].as_str().expect("a token").to_owned();
        let mut access = vec![token(&answer)];
        if random.one_in(3) {
            let body = json!({ "refresh_token": answer["refresh_token"] });
            answer = self.ask(random, "/auth/refresh", "", body, 200)?;
            access.push(token(&answer));
        }
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Some(Arc::new(Session::new(&text(&answer["session"]["id"]), access, &text(&answer["refresh_token"]))))
    }

    /// Checks a session at every node that answers, at the same moment.
    fn check_everywhere(&mut self, session: &Arc<Session>) {
        let trial = self.trial;
        thread::scope(|scope| {
            for (node, line) in self.lines.iter_mut().enumerate() {
                if trial.nodes.condition(node) != Condition::Halted {
                    scope.spawn(move || check(trial, line, node, session, session.token()));
                }
            }
        });
    }
}

/// Logs somebody in, lets the sessions be used for a while, ends them, and looks at once whether that is true.
pub struct Ender<'a> {
    trial: &'a Trial,
    staff: &'a Staff,
    random: Random,
    desk: Desk<'a>,
}

impl<'a> Ender<'a> {
    pub fn new(trial: &'a Trial, staff: &'a Staff, random: Random) -> Self {
        Self { trial, staff, random, desk: Desk::new(trial) }
    }

    pub fn run(mut self) {
        while self.trial.goes_on() {
            let Some(person) = self.somebody() else {
                pause(Duration::from_millis(100));
                continue;
            };
            pause(Duration::from_millis(100 + self.random.below(600)));
            let door = self.staff.next_door(&mut self.random);
            let mut left = vec![Arc::clone(&person.first), Arc::clone(&person.second)];
            let ended = door.ends(&person);
            left.retain(|session| !ended.iter().any(|ended| Arc::ptr_eq(ended, session)));
            self.end(door, &person, &ended);
            // Whoever was not meant is still there, until leaving too.
            for session in left {
                self.desk.check_everywhere(&session);
                self.end_one_by_one(Door::EndedByAdmin, Course::AtOnce, &[session]);
            }
        }
    }

    /// A new user with two sessions that every node has seen.
    fn somebody(&mut self) -> Option<Person> {
        let name = format!("person-{}", self.staff.people.fetch_add(1, Ordering::Relaxed));
        let id = self.desk.create_user(self.staff, &name, &mut self.random)?;
        let first = self.desk.log_in(&name, &mut self.random)?;
        let second = self.desk.log_in(&name, &mut self.random)?;
        for session in [&first, &second] {
            self.trial.record.begin(session);
            self.desk.check_everywhere(session);
        }
        Some(Person { id, name, first, second })
    }

    fn end(&mut self, door: Door, person: &Person, sessions: &[Arc<Session>]) {
        for session in sessions {
            session.end_is_asked();
        }
        let at = self.place();
        let passed = door.pass(&mut self.hand(at), person);
        match passed {
            Passed::Acknowledged { node, asked, at } => {
                let course = Course::AtOnce;
                self.ended(End { door, course, node, asked, acknowledged: at, sessions: sessions.len() }, sessions);
            }
            Passed::Unknown(_) => self.end_one_by_one(door, Course::AfterAll, sessions),
        }
    }

    /// Ends by id, at one node after the other, until it is acknowledged.
    fn end_one_by_one(&mut self, door: Door, course: Course, sessions: &[Arc<Session>]) {
        for session in sessions {
            session.end_is_asked();
            let mut said = VecDeque::new();
            let begun = Instant::now();
            let (node, asked, acknowledged) = loop {
                let at = self.place();
                match self.hand(at).end_by_id(session) {
                    Passed::Acknowledged { node, asked, at } => break (node, asked, at),
                    Passed::Unknown(what) => said.push_back(what),
                }
                said.drain(..said.len().saturating_sub(9));
                assert!(begun.elapsed() < LIMIT, "the end of {} is never acknowledged: {said:#?}", session.id);
                pause(Duration::from_millis(50));
            };
            self.ended(End { door, course, node, asked, acknowledged, sessions: 1 }, std::slice::from_ref(session));
        }
    }

    /// The answer is there: from this moment on nothing of these sessions is accepted, anywhere.
    fn ended(&mut self, end: End, sessions: &[Arc<Session>]) {
        let node = end.node;
        self.trial.record.end(end, sessions);
        for session in sessions {
            self.desk.check_everywhere(session);
            let other = self.trial.nodes.whole(&mut self.random);
            refresh(self.trial, &mut self.desk.lines[other], other, session);
        }
        // Nor where it was asked for.
        if let (Some(node), [session, ..]) = (node, sessions) {
            check(self.trial, &mut self.desk.lines[node], node, session, session.token());
        }
    }

    /// Mostly whole nodes: those who ask one that is lost wait for it.
    fn place(&mut self) -> (usize, usize) {
        let nodes = &self.trial.nodes;
        let one = if self.random.one_in(12) { nodes.any(&mut self.random) } else { nodes.whole(&mut self.random) };
        (one, nodes.whole(&mut self.random))
    }

    fn hand(&mut self, at: (usize, usize)) -> Hand<'_> {
        Hand { nodes: &self.trial.nodes, admin: &self.staff.admin, lines: &mut self.desk.lines, at }
    }
}
