//! HTTP in, HTTP out. Knows actix; knows no SQL.

pub mod metrics;
pub mod middleware;
pub mod peer;
pub mod problem;
