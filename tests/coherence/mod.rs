//! P2 where it is hardest: several nodes, ends through every door at any of them, and everything that can break between
//! them. *Logged out means logged out*, with no window, not even a short one.
//!
//! | file | shows it |
//! |---|---|
//! | [`model`] | of the protocol, in every run of a small machine |
//! | [`races`] | of the live view's own code, in every order of its threads |
//! | [`nodes`] | of nodes in one process, on both databases |
//! | [`last_use`] | of the time of the last use, which is written seldom |
//! | [`failover`] | of a database that crashes, fails over, or loses its standby |
//! | [`processes`] | with real server processes that are halted, killed and cut off |
//! | [`trial`] | what those runs consist of: who checks, who ends, who breaks, and how it is judged afterwards |

mod failover;
mod last_use;
mod model;
mod nodes;
mod processes;
mod races;
mod trial;
