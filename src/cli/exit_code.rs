//! The exit code that says what came of a command.

use std::process::ExitCode;

use super::outcome::{Failure, Outcome};
use super::output::Output;

/// Exit code: done.
pub(super) const DONE: u8 = 0;
/// Exit code: failed.
pub(super) const FAILED: u8 = 1;
/// Exit code: wrong use.
pub(super) const WRONG_USE: u8 = 2;

/// The exit code of a command; a failure is written to the standard error stream.
pub(super) fn exit_code(outcome: Outcome, output: &mut Output) -> ExitCode {
    ExitCode::from(match outcome {
        Ok(()) | Err(Failure::PipeClosed) => DONE,
        Err(Failure::Reported) => FAILED,
        Err(Failure::Failed(error)) => {
            output.note(format_args!("vigie: {error:#}"));
            FAILED
        }
        Err(Failure::WrongUse(text)) => {
            output.note(format_args!("vigie: {text}"));
            WRONG_USE
        }
    })
}
