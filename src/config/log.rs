//! `[log]`: what is logged, and how.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::setting::{Text, plain, section};

section! {
    /// `[log]`
    pub struct Log {
        pub level: LogLevel,
        pub format: LogFormat,
    }
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people to read.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// From which level on events are logged: one for all modules, and others for single ones.
#[derive(Debug, Clone)]
pub struct LogLevel(String);

plain!(LogFormat);

impl LogLevel {
    /// What it lets through.
    #[must_use]
    pub fn filter(&self) -> EnvFilter {
        // Nothing is lost: it was read without loss before.
        EnvFilter::builder().parse_lossy(&self.0)
    }
}

const ANOTHER: &str =
    "must be trace, debug, info, warn, error or off, also for single modules, such as \"info,vigie::session=debug\"";

impl Text for LogLevel {
    fn parse(text: &str) -> Result<Self, String> {
        let fits = text.split(',').all(is_directive) && EnvFilter::builder().parse(text).is_ok();
        if fits { Ok(Self(text.to_owned())) } else { Err(ANOTHER.to_owned()) }
    }
}

const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "off"];

/// A level, or `target=level`. Any other word alone would be the name of a module, and nothing else be logged.
fn is_directive(text: &str) -> bool {
    let (target, level) = text.split_once('=').map_or((None, text), |(target, level)| (Some(target), level));
    target.is_none_or(is_target) && LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))
}

/// Whoever writes `level=info` means all modules, and none has that name.
fn is_target(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_:".contains(&byte);
    !text.is_empty() && text != "level" && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use crate::config::support::{assert_fault, load};

    #[test]
    fn a_level_of_the_log_is_one_that_there_is() {
        for level in [
            "",
            "warning",
            "verbose",
            "none",
            "level=info",
            "info;debug",
            "info,",
            "info,vigie=verbose",
            "vigie=",
            "=info",
            "Vigie=info",
            "info, vigie=debug",
            "vigie[x]=info",
            "3",
        ] {
            assert_fault("VIGIE__LOG__LEVEL", level, "log.level", "trace, debug, info, warn, error or off");
        }
        for level in ["off", "INFO", "trace", "info,actix_server=warn", "vigie::session=debug,error", "h2=off"] {
            assert!(load(&[("VIGIE__LOG__LEVEL", level)]).is_ok(), "{level}");
        }
    }
}
