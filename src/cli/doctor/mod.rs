//! `vigie doctor`: looks at an installation and says what to do. It leaves nothing changed: no migration, no key, no file.

mod connectivity;
mod database;
mod files;
mod keys;
mod names;

use std::fmt::Display;

use serde::Serialize;

use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::{Output, one_line};
use crate::config::Config;

/// How to report.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// As it should be.
    Ok,
    /// It works, but something should be done.
    Warn,
    /// It does not work, or will not at the next start.
    Fail,
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// The result of one check.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Status,
    text: String,
}

/// What has been found so far, in order.
#[derive(Debug, Default)]
struct Report(Vec<Check>);

impl Report {
    fn ok(&mut self, name: &'static str, text: impl Display) {
        self.add(Status::Ok, name, text.to_string());
    }

    fn warn(&mut self, name: &'static str, text: impl Display) {
        self.add(Status::Warn, name, text.to_string());
    }

    fn fail(&mut self, name: &'static str, text: impl Display) {
        self.add(Status::Fail, name, text.to_string());
    }

    fn add(&mut self, status: Status, name: &'static str, text: String) {
        self.0.push(Check { name, status, text });
    }
}

pub(super) async fn run(arguments: &Arguments, installation: &Installation, output: &mut Output) -> Outcome {
    let mut report = Report::default();
    match installation.config() {
        Ok(config) => {
            report.ok("configuration", "valid");
            look_at(&config, &mut report).await;
        }
        Err(invalid) => {
            for fault in &invalid.0 {
                report.fail("configuration", format_args!("{}: {}", fault.key, fault.message));
            }
        }
    }
    if arguments.json {
        output.json(&report.0)?;
    } else {
        for check in &report.0 {
            output.line(one_line(&format!("{:<4}  {}: {}", check.status.word(), check.name, check.text)))?;
        }
    }
    let has_failed = report.0.iter().any(|check| check.status == Status::Fail);
    if has_failed { Err(Failure::Reported) } else { Ok(()) }
}

async fn look_at(config: &Config, report: &mut Report) {
    settings(config, report);
    files::data_directory(config, report);
    files::database_file(config, report);
    let database = database::open(config, report).await;
    let is_needed = match &database {
        Some(store) => database::needs_master_key(store).await,
        None => false,
    };
    let master = files::master_key(config, is_needed, report);
    files::shared_secret(config, report);
    files::blocklist(config, report);
    connectivity::look_at(config, report).await;
    if let Some(store) = &database {
        keys::look_at(config, store, master, report).await;
        database::writes(store, report).await;
        database::remembered(config, store, report).await;
        database::sealing(store, report).await;
        database::clock(store, report).await;
        database::administrator(config, store, report).await;
        names::look_at(config, store, report).await;
    }
}

fn settings(config: &Config, report: &mut Report) {
    let weaknesses = config.weaknesses();
    for weak in &weaknesses {
        report.warn("settings", format_args!("{}: {}", weak.key, weak.message));
    }
    if weaknesses.is_empty() {
        report.ok("settings", "none is weaker than advised");
    }
}
