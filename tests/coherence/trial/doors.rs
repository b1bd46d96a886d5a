//! Every door through which a session ends.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::nodes::Nodes;
use super::record::Session;
use super::wire::{Answer, Line, Question};
use crate::support::app::PASSWORD;

const NEW_PASSWORD: &str = "neuf renards roux courent vite";

/// A user with two sessions of which an end concerns one or both.
pub struct Person {
    pub id: String,
    pub name: String,
    pub first: Arc<Session>,
    pub second: Arc<Session>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    Logout,
    LogoutTwiceAtOnce,
    LogoutByRefreshToken,
    LogoutEverywhere,
    LogoutElsewhere,
    EndedByOwner,
    RefreshTokenReused,
    PasswordChanged,
    PasswordReset,
    EndedByAdmin,
    EndedByAdminWithUser,
    EndedByFilter,
    Disabled,
    Deleted,
    RoleChanged,
    NotBefore,
    CommandLine,
    CommandLineByFilter,
}

/// What came of a way through a door.
pub enum Passed {
    /// The end was acknowledged, to a request sent at `asked`. `node` is `None` for the command line.
    Acknowledged { node: Option<usize>, asked: Instant, at: Instant },
    /// No answer, or one that decides nothing: perhaps the sessions are over, perhaps not. What was said.
    Unknown(String),
}

/// Somebody who stands before a door.
pub struct Hand<'a> {
    pub nodes: &'a Nodes,
    /// An administrator's access token.
    pub admin: &'a str,
    /// One to each node.
    pub lines: &'a mut [Line],
    /// At which node; and at which other one, where something is done at two.
    pub at: (usize, usize),
}

impl Door {
    pub const ALL: [Self; 18] = [
        Self::Logout,
        Self::LogoutTwiceAtOnce,
        Self::LogoutByRefreshToken,
        Self::LogoutEverywhere,
        Self::LogoutElsewhere,
        Self::EndedByOwner,
        Self::RefreshTokenReused,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::EndedByAdmin,
        Self::EndedByAdminWithUser,
        Self::EndedByFilter,
        Self::Disabled,
        Self::Deleted,
        Self::RoleChanged,
        Self::NotBefore,
        Self::CommandLine,
        Self::CommandLineByFilter,
    ];

    /// Whose end it is.
    pub fn ends(self, of: &Person) -> Vec<Arc<Session>> {
        match self {
            Self::Logout
            | Self::LogoutTwiceAtOnce
            | Self::LogoutByRefreshToken
            | Self::RefreshTokenReused
            | Self::EndedByAdmin
            | Self::CommandLine => vec![Arc::clone(&of.first)],
            Self::LogoutElsewhere | Self::EndedByOwner => vec![Arc::clone(&of.second)],
            // The first lives on, but not by the tokens that are looked at: those are void.
            Self::PasswordChanged
            | Self::LogoutEverywhere
            | Self::PasswordReset
            | Self::EndedByAdminWithUser
            | Self::EndedByFilter
            | Self::Disabled
            | Self::Deleted
            | Self::RoleChanged
            | Self::NotBefore
            | Self::CommandLineByFilter => vec![Arc::clone(&of.first), Arc::clone(&of.second)],
        }
    }

    /// Goes through it. From before the first request on, the sessions may be over.
    pub fn pass(self, hand: &mut Hand, person: &Person) -> Passed {
        let Person { id, name, first, second } = person;
        let (own, admin) = (first.token(), hand.admin);
        match self {
            Self::Logout => hand.ask("POST", "/auth/logout", own, None, 204),
            Self::LogoutTwiceAtOnce => hand.ask_twice("/auth/logout", own, 204),
            Self::LogoutByRefreshToken => {
                let body = json!({ "refresh_token": first.refresh_token() });
                hand.ask("POST", "/auth/logout", "", Some(body), 204)
            }
            Self::LogoutEverywhere => hand.ask("POST", "/auth/logout-all", own, None, 200),
            Self::LogoutElsewhere => {
                hand.ask("POST", "/auth/logout-all", own, Some(json!({ "keep_current": true })), 200)
            }
            Self::EndedByOwner => hand.ask("DELETE", &format!("/auth/sessions/{}", second.id), own, None, 204),
            Self::RefreshTokenReused => hand.reuse(first),
            Self::PasswordChanged => {
                let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
                hand.ask("POST", "/auth/password", own, Some(body), 200)
            }
            Self::PasswordReset => hand.reset(id),
            Self::EndedByAdmin => {
                hand.ask("POST", &format!("/admin/sessions/{}/end", first.id), admin, Some(json!({ "note": "x" })), 204)
            }
            Self::EndedByAdminWithUser => {
                hand.ask("POST", &format!("/admin/users/{id}/end-sessions"), admin, None, 200)
            }
            Self::EndedByFilter => {
                let body = json!({ "filter": { "user": name }, "note": "all of this user" });
                hand.ask("POST", "/admin/sessions/end", admin, Some(body), 200)
            }
            Self::Disabled => hand.change(id, json!({ "state": "disabled" })),
            Self::RoleChanged => hand.change(id, json!({ "role": "chef" })),
            Self::Deleted => hand.ask("DELETE", &format!("/admin/users/{id}"), admin, None, 204),
            Self::NotBefore => {
                let body = json!({ "user_id": id, "note": "a stolen laptop" });
                hand.ask("POST", "/admin/not-before", admin, Some(body), 204)
            }
            Self::CommandLine => hand.run(&["session", "end", &first.id]),
            Self::CommandLineByFilter => hand.run(&["session", "end", "--user", name]),
        }
    }
}

impl Hand<'_> {
    fn ask(&mut self, method: &'static str, path: &str, token: &str, body: Option<Value>, good: u16) -> Passed {
        let (node, asked) = (self.at.0, Instant::now());
        let question = Question { method, path, token, body };
        let answer = self.lines[node].ask(self.nodes.address(node), &question);
        acknowledged(answer.as_ref(), good, node, asked)
    }

    /// Ends a session by its id, as an administrator may at any time.
    pub fn end_by_id(&mut self, session: &Session) -> Passed {
        self.ask("POST", &format!("/admin/sessions/{}/end", session.id), self.admin, None, 204)
    }

    /// The same request at two nodes at the same time: the second to be done finds the session ended, and what it answers
    /// must be as true.
    fn ask_twice(&mut self, path: &str, token: &str, good: u16) -> Passed {
        let nodes = self.nodes;
        let at = if self.at.0 == self.at.1 { vec![self.at.0] } else { vec![self.at.0, self.at.1] };
        let lines = self.lines.iter_mut().enumerate().filter(|(node, _)| at.contains(node));
        let passed: Vec<Passed> = thread::scope(|scope| {
            let asking = lines.map(|(node, line)| {
                scope.spawn(move || {
                    let asked = Instant::now();
                    let question = Question { method: "POST", path, token, body: None };
                    acknowledged(line.ask(nodes.address(node), &question).as_ref(), good, node, asked)
                })
            });
            let asking: Vec<_> = asking.collect();
            asking.into_iter().map(|asking| asking.join().expect("it does not panic")).collect()
        });
        let moment = |passed: &Passed| match passed {
            Passed::Acknowledged { at, .. } => Some(*at),
            Passed::Unknown(_) => None,
        };
        let first = passed.into_iter().min_by_key(|passed| (moment(passed).is_none(), moment(passed)));
        first.expect("there is a node")
    }

    fn change(&mut self, user: &str, change: Value) -> Passed {
        self.ask("PATCH", &format!("/admin/users/{user}"), self.admin, Some(change), 200)
    }

    /// Brings a refresh token that was spent.
    fn reuse(&mut self, session: &Session) -> Passed {
        let node = self.at.1;
        let spent = json!({ "refresh_token": session.refresh_token() });
        let question = Question { method: "POST", path: "/auth/refresh", token: "", body: Some(spent.clone()) };
        let Some(Answer { status: 200, body }) = self.lines[node].ask(self.nodes.address(node), &question) else {
            return Passed::Unknown(format!("node {node} does not refresh"));
        };
        let body: Value = serde_json::from_str(&body).expect("JSON");
        session.set_refresh_token(body["refresh_token"].as_str().expect("a refresh token"));
        self.ask("POST", "/auth/refresh", "", Some(spent), 401)
    }

    /// Sets a password with a one-time token.
    fn reset(&mut self, user: &str) -> Passed {
        let (node, path) = (self.at.1, format!("/admin/users/{user}/reset-password"));
        let question = Question { method: "POST", path: &path, token: self.admin, body: None };
        let Some(answer @ Answer { status: 200, .. }) = self.lines[node].ask(self.nodes.address(node), &question)
        else {
            return Passed::Unknown(format!("node {node} issues no token"));
        };
        let body = json!({ "token": answer.json()["token"], "new_password": NEW_PASSWORD });
        self.ask("POST", "/auth/reset", "", Some(body), 204)
    }

    /// Runs a command, which speaks to the database alone.
    fn run(&self, arguments: &[&str]) -> Passed {
        let asked = Instant::now();
        let finished = self.nodes.program(0).run(arguments);
        if finished.code == 0 {
            return Passed::Acknowledged { node: None, asked, at: Instant::now() };
        }
        assert_eq!(finished.code, 1, "{finished:?}");
        Passed::Unknown(finished.remarks)
    }
}

fn acknowledged(answer: Option<&Answer>, good: u16, node: usize, asked: Instant) -> Passed {
    let at = Instant::now();
    match answer {
        Some(answer) if answer.status == good => Passed::Acknowledged { node: Some(node), asked, at },
        Some(answer) => {
            assert_eq!(answer.status, 503, "{}", answer.body);
            Passed::Unknown(format!("node {node}, after {:.1?}: {}", at - asked, answer.body))
        }
        None => Passed::Unknown(format!("node {node}, after {:.1?}: no answer", at - asked)),
    }
}
