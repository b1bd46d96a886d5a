//! What operators see of a running server: its log and its metrics.

mod last_logged;
mod log;
mod metrics;

pub use last_logged::LastLogged;
pub(crate) use log::steers;
#[cfg(test)]
pub(crate) use log::tests::CapturedLog;
pub use log::{TelemetryError, dispatch, init};
pub use metrics::{Metrics, RequestMetrics};
