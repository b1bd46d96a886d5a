//! The installation that a command works on, known by its configuration.

use std::path::PathBuf;
use std::sync::Arc;

use super::outcome::Outcome;
use crate::app::App;
use crate::clock::SystemClock;
use crate::config::{self, Config, InvalidConfig};

/// Where the configuration is.
#[derive(Debug, Default, PartialEq, Eq, clap::Args)]
pub(super) struct Installation {
    /// Configuration file; without one the defaults and the environment (`VIGIE__SECTION__KEY`) hold
    // The name of the field is the argument's id for all commands: no command may have an argument of the same name.
    #[arg(long = "config", global = true, env = "VIGIE_CONFIG", hide_env_values = true, value_name = "FILE")]
    config_file: Option<PathBuf>,
}

impl Installation {
    /// Reads and checks its configuration.
    pub(super) fn config(&self) -> Result<Config, InvalidConfig> {
        Config::load(self.config_file.as_deref(), config::environment(std::env::vars_os())?)
    }

    /// Its configuration as text, secrets masked.
    pub(super) fn printable_config(&self) -> Result<String, InvalidConfig> {
        config::printable(self.config_file.as_deref(), config::environment(std::env::vars_os())?)
    }

    /// Opens it, does the work, and closes it whatever came of the work.
    pub(super) async fn with_app(&self, work: impl AsyncFnOnce(&App) -> Outcome) -> Outcome {
        let mut config = self.config()?;
        // A command does one thing after the other.
        config.database.pool_size = config.database.pool_size.min(2);
        let app = App::open(config, Arc::new(SystemClock)).await?;
        let outcome = work(&app).await;
        app.close().await;
        outcome
    }
}
