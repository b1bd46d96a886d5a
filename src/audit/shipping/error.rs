//! Why a sink cannot be used, or did not take a shipment.

/// A sink cannot be used as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct InvalidSink {
    /// The key, as `shipping.sink.key`.
    pub key: &'static str,
    /// What is wrong with its value.
    pub reason: String,
}

impl InvalidSink {
    pub(super) fn new(key: &'static str, reason: impl Into<String>) -> Self {
        Self { key, reason: reason.into() }
    }
}

/// A sink did not take a shipment, or did not say so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(pub(super) String);
