//! Whether somebody elsewhere who is to be told of something could be told now.

use std::future::Future;
use std::time::Duration;

/// What came of trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// They are there, and who they should be.
    Reached,
    /// They are not, or not in time: why.
    NotReached(String),
}

impl Reach {
    /// What came of trying, which may take so long.
    pub async fn within(patience: Duration, trying: impl Future<Output = Result<(), String>>) -> Self {
        match tokio::time::timeout(patience, trying).await {
            Ok(Ok(())) => Self::Reached,
            Ok(Err(why)) => Self::NotReached(why),
            Err(_) => Self::NotReached(format!("no answer in {} seconds", patience.as_secs())),
        }
    }
}
