//! The installation that a command works on, known by its configuration.

use std::path::PathBuf;
use std::sync::Arc;

use super::outcome::Outcome;
use crate::app::App;
use crate::clock::SystemClock;
use crate::config::{self, Config, InvalidConfig};

/// Where the configuration is.
#[derive(Debug, clap::Args)]
pub(super) struct Installation {
    /// Configuration file; without one the defaults and the environment (`VIGIE__SECTION__KEY`) hold
    #[arg(long = "config", global = true, env = "VIGIE_CONFIG", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Installation {
    /// Its configuration.
    pub(super) fn config(&self) -> Result<Config, InvalidConfig> {
        Config::load(self.file.as_deref(), environment())
    }

    /// Its configuration as text, secrets masked.
    pub(super) fn printable_config(&self) -> Result<String, InvalidConfig> {
        config::printable(self.file.as_deref(), environment())
    }

    /// Opens it, does the work, and closes it whatever came of the work.
    pub(super) async fn with_app(&self, work: impl AsyncFnOnce(&App) -> Outcome) -> Outcome {
        let app = App::open(self.config()?, Arc::new(SystemClock)).await?;
        let outcome = work(&app).await;
        app.close().await;
        outcome
    }
}

/// The environment as far as it is text; no key of ours is anything else.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
