//! `vigie migrate`: brings the database up to date, or says what is missing.

use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::Output;
use crate::app::open_store;
use crate::config::Config;
use crate::store::Address;

/// What to do.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Change nothing; say what is missing, and fail where something is
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub(super) async fn run(arguments: &Arguments, installation: &Installation, output: &mut Output) -> Outcome {
    let config = installation.config()?;
    if arguments.check {
        return check(&config, output).await;
    }
    let store = open_store(&config)?;
    let migrated = store.migrate().await?;
    for name in &migrated.applied {
        output.line(format_args!("applied {name}"))?;
    }
    if migrated.applied.is_empty() {
        output.line("the database is up to date")?;
    }
    Ok(())
}

async fn check(config: &Config, output: &mut Output) -> Outcome {
    if !is_there(config) {
        return Err(Failure::saying("there is no database yet: run `vigie migrate`"));
    }
    let pending = open_store(config)?.pending_migrations().await?;
    if pending.is_empty() {
        return output.line("the database is up to date");
    }
    for name in &pending {
        output.line(format_args!("missing {name}"))?;
    }
    Err(Failure::saying("run `vigie migrate`"))
}

/// Whether there is a database to look at. Opening a SQLite file that is not there would make it.
pub(super) fn is_there(config: &Config) -> bool {
    use secrecy::ExposeSecret as _;
    match Address::parse(config.database.url.expose_secret()) {
        Ok(Address::Sqlite(path)) => path.exists(),
        _ => true,
    }
}
