//! `vigie user export`: all that is kept about a user, for the user.

use std::path::PathBuf;

use super::found_for;
use crate::app::App;
use crate::cli::export::write;
use crate::cli::outcome::Outcome;
use crate::cli::output::Output;
use crate::model::audit::{AuditContext, AuditKind};

/// About whom, and where to.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// Name or id
    user: String,
    /// File to write instead of the standard output; only its owner may read it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(arguments: &Arguments, app: &App, output: &mut Output) -> Outcome {
    let user = found_for(app, &arguments.user, AuditKind::OwnHistoryExported).await?;
    let own = app.history.export_own(user.id, &AuditContext::command_line()).await?;
    write(own, arguments.output.as_deref(), output).await
}
