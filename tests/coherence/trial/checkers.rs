//! Who asks all the time whether sessions are good.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::random::Random;
use super::record::{Check, Credential, Session};
use super::wire::{Line, Question};
use super::{Trial, pause};

/// Checks at one node, one request after the other.
pub struct Checker<'a> {
    trial: &'a Trial,
    node: usize,
    random: Random,
    line: Line,
}

impl<'a> Checker<'a> {
    pub fn new(trial: &'a Trial, node: usize, random: Random) -> Self {
        Self { trial, node, random, line: Line::default() }
    }

    pub fn run(mut self) {
        while self.trial.goes_on() {
            let Some(session) = self.trial.record.some_session(&mut self.random) else { continue };
            let token = self.random.of(&session.access).clone();
            if check(self.trial, &mut self.line, self.node, &session, &token).is_none() {
                // Gone for a while: it is not asked a thousand times a second.
                pause(Duration::from_millis(20));
            }
        }
    }
}

/// The question of every check.
pub fn question(token: &str) -> Question<'_> {
    Question { method: "GET", path: "/auth/verify", token, body: None }
}

/// Asks a node about a session by one of its access tokens, and writes down what it said.
pub fn check(trial: &Trial, line: &mut Line, node: usize, session: &Arc<Session>, token: &str) -> Option<u16> {
    let started = Instant::now();
    let status = line.ask(trial.nodes.address(node), &question(token)).map(|answer| answer.status);
    let check = Check { node, credential: Credential::Access, started, over: Instant::now(), status };
    trial.record.check(session, check);
    status
}

/// The same with the refresh token of a session that has ended.
pub fn refresh(trial: &Trial, line: &mut Line, node: usize, session: &Arc<Session>) -> Option<u16> {
    let body = Some(json!({ "refresh_token": session.refresh_token() }));
    let started = Instant::now();
    let asked = Question { method: "POST", path: "/auth/refresh", token: "", body };
    let status = line.ask(trial.nodes.address(node), &asked).map(|answer| answer.status);
    let check = Check { node, credential: Credential::Refresh, started, over: Instant::now(), status };
    trial.record.check(session, check);
    status
}
