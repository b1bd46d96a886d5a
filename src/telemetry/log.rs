//! The log: one event, one line, as text or JSON, to the standard error stream.
//! Whatever a value holds, it cannot begin a line of its own or steer a terminal (LOG-04): see [`OneLine`].

use std::fmt::Write as _;
use std::io::{self, Write};

use tracing::{Dispatch, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer, Registry};

use crate::config::{Config, LogFormat};

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The process has a log already.
    #[error("the log is set up already")]
    AlreadyInitialised(#[from] TryInitError),
}

/// Sets up the log of the process, and sends panics to it.
pub fn init(config: &Config) -> Result<(), TelemetryError> {
    dispatch(config.log.format, config.log.level.filter(), io::stderr).try_init()?;
    log_panics();
    Ok(())
}

/// A log that writes to `writer`.
#[must_use]
pub fn dispatch<W>(format: LogFormat, filter: EnvFilter, writer: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // A terminal may be closed: that a line could not be written would be said there as well, and saying it would panic.
    let layer = fmt::layer().with_ansi(false).log_internal_errors(false).with_writer(OneLine(writer));
    let layer: Box<dyn Layer<_> + Send + Sync> = match format {
        LogFormat::Text => Box::new(layer),
        LogFormat::Json => Box::new(layer.json().flatten_event(true).with_current_span(false).with_span_list(false)),
    };
    Dispatch::new(Registry::default().with(layer.with_filter(filter)))
}

/// A panic is an event as well; the standard hook would print its text as it is, over several lines.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("without a message");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic = message, panic.location = location, "panic");
    }));
}

/// Writes each event as one line of visible characters.
///
/// The formatters hand over a whole event at a time. They leave line ends in a message or a `%` field as they are,
/// and JSON lets terminal controls above U+007F pass, so every event is cleaned here, in whichever format.
struct OneLine<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for OneLine<W> {
    type Writer = OneLine<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLine(self.0.make_writer())
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        OneLine(self.0.make_writer_for(metadata))
    }
}

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = event.strip_suffix(b"\n").unwrap_or(event);
        if line.iter().copied().any(may_steer) {
            self.0.write_all(visible(&String::from_utf8_lossy(line)).as_bytes())?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Whether a byte is, or may begin, a character that [`steers`]. Quick: nearly every line has none.
fn may_steer(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, 0x7f | 0xc2 | 0xd8 | 0xe2)
}

/// Whether a character ends a line, steers a terminal, or changes the direction of the text around it.
pub(crate) fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The line with such characters as `\u` and four digits: also valid inside the strings of JSON.
fn visible(line: &str) -> String {
    let mut visible = String::with_capacity(line.len() + 32);
    for character in line.chars() {
        match character {
            '\n' => visible.push_str("\\n"),
            '\r' => visible.push_str("\\r"),
            '\t' => visible.push_str("\\t"),
            _ if steers(character) => {
                write!(visible, "\\u{:04x}", u32::from(character)).expect("a String takes everything");
            }
            _ => visible.push(character),
        }
    }
    visible.push('\n');
    visible
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, LazyLock, Mutex};

    use rstest::rstest;

    use super::*;

    /// A log that is kept, for tests.
    #[derive(Clone, Default)]
    pub(crate) struct CapturedLog(Arc<Mutex<Vec<u8>>>);

    impl CapturedLog {
        /// What has been written.
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        /// A log that writes here.
        ///
        /// A second log lives beside it: with only one in the process, tracing asks the thread that first reaches an
        /// event whether anybody listens, and a test without a log would silence the event for all others.
        pub(crate) fn dispatch(&self, format: LogFormat) -> Dispatch {
            static SECOND: LazyLock<Dispatch> =
                LazyLock::new(|| dispatch(LogFormat::Text, EnvFilter::new("info"), io::sink));
            LazyLock::force(&SECOND);
            let kept = self.clone();
            dispatch(format, EnvFilter::new("info"), move || kept.clone())
        }
    }

    impl Write for CapturedLog {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line that each way of logging a value gives.
    fn lines(format: LogFormat, value: &str) -> Vec<String> {
        let write: [&dyn Fn(); 4] = [
            &|| tracing::info!(username = value, "login"),
            &|| tracing::info!(username = %value, "login"),
            &|| tracing::info!(username = ?value, "login"),
            &|| tracing::info!("login of {value}"),
        ];
        let kept = |log: &dyn Fn()| {
            let kept = CapturedLog::default();
            tracing::dispatcher::with_default(&kept.dispatch(format), log);
            kept.text()
        };
        write.into_iter().map(kept).collect()
    }

    #[rstest]
    fn a_value_cannot_begin_a_line_or_steer_a_terminal(
        #[values(LogFormat::Text, LogFormat::Json)] format: LogFormat,
        #[values("a\r\nFAKE", "\u{1b}[2J", "\u{9b}2J", "a\u{7f}b", "a\u{2028}b", "\u{202e}evil", "tab\tbell\u{7}")]
        value: &str,
    ) {
        for line in lines(format, value) {
            let line = line.strip_suffix('\n').expect("an event ends its line");
            assert!(!line.is_empty() && !line.contains(steers), "{line:?}");
        }
    }

    #[rstest]
    fn json_says_what_was_meant(#[values("a\r\nFAKE", "\u{1b}[2J", "\u{9b}2J", "\u{202e}é\\n")] value: &str) {
        for line in &lines(LogFormat::Json, value)[..2] {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["username"], value);
            assert_eq!(event["message"], "login");
            assert_eq!(event["level"], "INFO");
            assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
        }
    }

    #[rstest]
    fn other_text_stays_as_it_is(#[values(LogFormat::Text, LogFormat::Json)] format: LogFormat) {
        for line in &lines(format, "Zoé “É” ñ €")[..2] {
            assert!(line.contains("Zoé “É” ñ €"), "{line}");
        }
    }

    #[test]
    fn every_character_that_steers_is_noticed_by_its_bytes() {
        for character in ('\0'..=char::MAX).filter(|character| steers(*character)) {
            assert!(character.to_string().bytes().any(may_steer), "{character:?}");
        }
    }
}
