//! Writes results to the standard output and remarks to the standard error stream. Whatever a value holds, it does not
//! steer the terminal; and that nobody reads on is a normal end.

use std::fmt::{Display, Write as _};
use std::io::{self, ErrorKind, IsTerminal as _, Stderr, Stdout, Write};

use serde::Serialize;

use super::outcome::{Failure, Outcome};
use crate::model::lookalike::is_unseen;
use crate::telemetry::steers;

/// The two streams that a command writes to.
#[derive(Debug)]
pub(super) struct Output {
    results: Stdout,
    remarks: Stderr,
}

impl Default for Output {
    fn default() -> Self {
        Self { results: io::stdout(), remarks: io::stderr() }
    }
}

impl Output {
    /// Writes a result: one line, or several where the text has line ends.
    pub(super) fn line(&mut self, text: impl Display) -> Outcome {
        self.write(format!("{}\n", visible(&text.to_string())).as_bytes())
    }

    /// Writes a value as JSON over several lines, as people and programs both can read it.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Outcome {
        self.line(serde_json::to_string_pretty(value)?)
    }

    /// Writes a value as JSON in one line.
    pub(super) fn json_line(&mut self, value: &impl Serialize) -> Outcome {
        self.line(serde_json::to_string(value)?)
    }

    /// Writes a part of a file as it is; on a terminal only what cannot steer it.
    pub(super) fn file_part(&mut self, part: &[u8]) -> Outcome {
        if self.is_terminal() {
            return self.write(visible(&String::from_utf8_lossy(part).replace("\r\n", "\n")).as_bytes());
        }
        self.write(part)
    }

    /// Writes a remark that is no result.
    pub(super) fn note(&mut self, text: impl Display) {
        // There is nowhere left to say that it failed.
        let _ = writeln!(self.remarks, "{}", visible(&text.to_string()));
    }

    /// Whether the results are read by a person.
    pub(super) fn is_terminal(&self) -> bool {
        self.results.is_terminal()
    }

    fn write(&mut self, bytes: &[u8]) -> Outcome {
        self.results.write_all(bytes).and_then(|()| self.results.flush()).map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::PipeClosed,
            _ => Failure::saying(format_args!("the output cannot be written: {error}")),
        })
    }
}

/// The text with every character that steers a terminal, or changes the direction of the text around it, as `\u` and four
/// digits: also valid inside the strings of JSON. Line ends stay: what is one value is escaped by [`one_line`] before.
fn visible(text: &str) -> String {
    escaped(text, |character| character != '\n' && steers(character))
}

/// The same, with line ends escaped as well, and what nobody would see: for a value that stands in a line with others.
pub(super) fn one_line(text: &str) -> String {
    escaped(text, |character| steers(character) || is_unseen(character))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        if is_escaped(character) {
            write!(visible, "\\u{:04x}", u32::from(character)).expect("a String takes everything");
        } else {
            visible.push(character);
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_steers_the_terminal_and_json_stays_the_same_json() {
        let value = "\u{1b}[2J\u{9b}2J\u{202e}evil\r";
        let shown = visible(&serde_json::to_string(value).unwrap());
        assert!(!shown.contains(steers), "{shown:?}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), value);
        assert_eq!(one_line("Zoé\nroot"), "Zoé\\u000aroot");
        assert_eq!(one_line("al\u{200b}ice"), "al\\u200bice");
    }
}
