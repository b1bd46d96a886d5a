//! Logged out means logged out, on every node and in every order of events (P2): the protocol as a model, the races of the
//! live view, nodes in one process, and real processes.

mod model;
mod nodes;
mod races;
