//! What came of a command.

use crate::app::StartError;

/// What came of a command.
pub(super) type Outcome<T = ()> = Result<T, Failure>;

/// Why a command is not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was asked for in a way that makes no sense.
    WrongUse(String),
    /// It could not be done.
    Failed(anyhow::Error),
    /// It could not be done, and what there is to say has been written.
    Reported,
    /// Nobody reads the output any more: a normal end, as in `vigie session list | head`.
    PipeClosed,
}

impl Failure {
    /// A failure with this text.
    pub(super) fn saying(text: impl std::fmt::Display) -> Self {
        Self::Failed(anyhow::anyhow!("{text}"))
    }

    /// Why the installation could not be opened, where it was that.
    pub(super) fn start_error(&self) -> Option<&StartError> {
        match self {
            Self::Failed(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// Wrong use, with this text.
    pub(super) fn wrong_use(text: impl Into<String>) -> Self {
        Self::WrongUse(text.into())
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
