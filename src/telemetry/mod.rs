//! What operators see of a running server: its log and its metrics.

mod log;
mod metrics;

pub(crate) use log::steers;
#[cfg(test)]
pub(crate) use log::tests::CapturedLog;
pub use log::{TelemetryError, dispatch, init};
pub use metrics::{Metrics, RequestMetrics};
