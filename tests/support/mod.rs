//! What tests stand on: throw-away databases of both kinds, and ways to break them.

pub mod app;
pub mod application;
pub mod assertion;
pub mod backend;
pub mod certificates;
pub mod child;
pub mod dump;
pub mod events;
pub mod history;
pub mod lookout;
pub mod packages;
pub mod pgbouncer;
pub mod ports;
pub mod postgres;
pub mod program;
pub mod proxy;
pub mod rows;
pub mod signals;
pub mod smtp;
/// Thousands of rows at once; benchmarks fill their tables by the same statements.
#[path = "../../benches/support/rows.rs"]
pub mod thousands;
pub mod token;
pub mod until;
pub mod webhook;

mod self_check;
