//! The exit code that says what came of a command.

use std::process::ExitCode;

use super::outcome::{Failure, Outcome};
use super::output::Output;

/// The command has done what it was asked for.
pub(super) const DONE: u8 = 0;
/// The command has failed; the standard error stream says why.
pub(super) const FAILED: u8 = 1;
/// Exit code: wrong use.
pub(super) const WRONG_USE: u8 = 2;

/// The exit code of a command; a failure is written to the standard error stream.
pub(super) fn exit_code(outcome: Outcome, output: &mut Output) -> ExitCode {
    ExitCode::from(match outcome {
        Ok(()) | Err(Failure::PipeClosed) => DONE,
        Err(Failure::Reported) => FAILED,
        Err(Failure::Failed(error)) => {
            output.note(format_args!("vigie: {}", told(&error)));
            FAILED
        }
        Err(Failure::WrongUse(text)) => {
            output.note(format_args!("vigie: {text}"));
            WRONG_USE
        }
    })
}

/// What went wrong, and why: each cause that is not told already. Our errors tell theirs, many of libraries leave it to whoever
/// asks for it.
fn told(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the list cannot be read: {source}; look who owns it")]
    struct Telling {
        source: io::Error,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the list cannot be read")]
    struct Silent(#[source] io::Error);

    #[test]
    fn a_cause_is_told_once() {
        let cause = || io::Error::other("it is not a regular file");
        let all = |error: anyhow::Error| told(&error);
        let telling = Telling { source: cause() };
        assert_eq!(all(telling.into()), "the list cannot be read: it is not a regular file; look who owns it");
        assert_eq!(all(Silent(cause()).into()), "the list cannot be read: it is not a regular file");
        assert_eq!(all(cause().into()), "it is not a regular file");
    }
}
