//! `vigie config`: whether the configuration can be used, and what it says in the end.

use serde_json::json;

use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::{Output, one_line};
use crate::config::Fault;

/// What to do with the configuration.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List every fault with its key; where there is none, every setting that is weaker than advised
    Check {
        /// Write the faults as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what is in force (defaults, file, environment) as TOML, secrets masked
    Print,
}

impl Command {
    pub(super) fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        match self {
            Self::Check { json } => check(json, installation, output),
            Self::Print => {
                let text = installation.printable_config()?;
                output.line(text.trim_end())
            }
        }
    }
}

fn check(as_json: bool, installation: &Installation, output: &mut Output) -> Outcome {
    let (faults, weaknesses) = match installation.config() {
        Ok(config) => (Vec::new(), config.weaknesses()),
        Err(invalid) => (invalid.0, Vec::new()),
    };
    if as_json {
        let objects = |faults: &[Fault]| -> Vec<_> {
            faults.iter().map(|fault| json!({ "key": fault.key, "message": fault.message })).collect()
        };
        output.json(&json!({ "faults": objects(&faults), "weaknesses": objects(&weaknesses) }))?;
    } else {
        faults.iter().try_for_each(|fault| output.line(named("fault", fault)))?;
        weaknesses.iter().try_for_each(|fault| output.line(named("weak", fault)))?;
        if faults.is_empty() {
            output.line("the configuration is valid")?;
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Failure::Reported) }
}

/// A fault in one line; one that concerns the whole file has no key.
fn named(word: &str, fault: &Fault) -> String {
    let key = if fault.key.is_empty() { String::new() } else { format!("{}: ", one_line(&fault.key)) };
    format!("{word:<5}  {key}{}", fault.message.trim_end().replace('\n', "\n       "))
}
