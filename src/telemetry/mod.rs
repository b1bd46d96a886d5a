//! What operators see of a running server: its log and its metrics.

mod log;
mod metrics;

pub use log::{TelemetryError, dispatch, init};
pub use metrics::Metrics;
