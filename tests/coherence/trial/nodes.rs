//! The nodes as their users see them: where they are, and what is being done to them.

use std::net::SocketAddr;
use std::sync::RwLock;

use super::random::Random;
use crate::support::program::{Program, Server};

/// What is being done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Whole,
    /// It may have to say that it cannot decide, or be gone.
    Shaken,
    /// It takes requests and answers none for now.
    Halted,
}

struct Node {
    program: Program,
    now: RwLock<(SocketAddr, Condition)>,
}

pub struct Nodes(Vec<Node>);

impl Nodes {
    pub fn new(programs: Vec<Program>, servers: &[Server]) -> Self {
        let node = |(program, server): (Program, &Server)| Node {
            program,
            now: RwLock::new((address_of(server), Condition::Whole)),
        };
        Self(programs.into_iter().zip(servers).map(node).collect())
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn program(&self, node: usize) -> &Program {
        &self.0[node].program
    }

    pub fn address(&self, node: usize) -> SocketAddr {
        self.0[node].now.read().expect("no holder panics").0
    }

    pub fn condition(&self, node: usize) -> Condition {
        self.0[node].now.read().expect("no holder panics").1
    }

    /// Notes what is being done to it from now on.
    pub fn set(&self, node: usize, condition: Condition) {
        self.0[node].now.write().expect("no holder panics").1 = condition;
    }

    /// Notes where it is found after a new start.
    pub fn moved(&self, node: usize, server: &Server) {
        self.0[node].now.write().expect("no holder panics").0 = address_of(server);
    }

    /// One of all, in whatever condition.
    pub fn any(&self, random: &mut Random) -> usize {
        let all: Vec<usize> = (0..self.count()).collect();
        *random.of(&all)
    }

    /// One to which nothing is done, if there is one.
    pub fn whole(&self, random: &mut Random) -> usize {
        let whole: Vec<usize> = (0..self.count()).filter(|node| self.condition(*node) == Condition::Whole).collect();
        if whole.is_empty() { self.any(random) } else { *random.of(&whole) }
    }
}

fn address_of(server: &Server) -> SocketAddr {
    server.url.strip_prefix("http://").and_then(|address| address.parse().ok()).expect("an address")
}
