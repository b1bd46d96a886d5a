//! `vigie user export`: all that is kept about a user, for the user.

use std::io::Write as _;
use std::path::PathBuf;

use super::found_for;
use crate::app::App;
use crate::cli::export::{cannot_write, create};
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

/// Runs the command.
pub(super) async fn run(arguments: &Arguments, app: &App, output: &mut Output) -> Outcome {
    let user = found_for(app, &arguments.user, AuditKind::OwnHistoryExported).await?;
    let mut file = arguments.output.as_deref().map(create).transpose()?;
    let mut export = app.history.export_own(user.id, &AuditContext::command_line()).await?;
    while let Some(piece) = export.next().await? {
        match &mut file {
            Some((file, path)) => file.write_all(&piece).map_err(|error| cannot_write(path, &error))?,
            None => output.file_part(&piece)?,
        }
    }
    if let Some((file, path)) = &file {
        file.sync_all().map_err(|error| cannot_write(path, &error))?;
    }
    Ok(())
}
