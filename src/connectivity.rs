//! Whether somebody elsewhere who is to be told of something could be told now.

use std::future::Future;
use std::time::Duration;

/// What came of trying to reach a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connectivity {
    /// They are there, and who they should be.
    Reachable,
    /// They are not, or not in time: why.
    Unreachable(String),
}

impl Connectivity {
    /// What came of trying, which may take so long.
    pub async fn probe(patience: Duration, trying: impl Future<Output = Result<(), String>>) -> Self {
        match tokio::time::timeout(patience, trying).await {
            Ok(Ok(())) => Self::Reachable,
            Ok(Err(why)) => Self::Unreachable(why),
            Err(_) => Self::Unreachable(format!("no answer in {} seconds", patience.as_secs())),
        }
    }
}
