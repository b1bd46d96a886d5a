//! Writes an export of the history to a file or to the standard output, piece by piece.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::outcome::{Failure, Outcome};
use super::output::Output;
use super::progress;
use crate::app::App;
use crate::audit::csv_dialect::Separator;
use crate::audit::export::{Export, ExportFormat, ExportPurpose, Form, Selection};
use crate::model::audit::AuditContext;

/// How and where to.
#[derive(Debug, clap::Args)]
pub(super) struct Destination {
    /// `csv` (RFC 4180, no cell is a formula), `ndjson` (one object of the API a line) or `ocsf` (one OCSF event a line)
    #[arg(long)]
    format: ExportFormat,
    /// What stands between the cells of CSV: `comma`, `semicolon` (for spreadsheets in French) or `tab`
    #[arg(long, value_name = "WORD")]
    separator: Option<Separator>,
    /// Begin the CSV file with a byte order mark, by which Excel knows UTF-8
    #[arg(long)]
    bom: bool,
    /// What it is for; the record keeps it
    #[arg(long, value_name = "TEXT")]
    purpose: Option<ExportPurpose>,
    /// File to write instead of the standard output; only its owner may read it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Exports what was selected.
pub(super) async fn export(app: &App, selection: Selection, to: &Destination, output: &mut Output) -> Outcome {
    let form = Form::new(to.format, to.separator, to.bom).map_err(|error| Failure::wrong_use(format!("--{error}")))?;
    let begun = app.history.export(selection, form, to.purpose.clone(), &AuditContext::command_line()).await?;
    write(begun, to.output.as_deref(), output).await
}

/// Writes an export that has begun to a file, or to the standard output. A file that is there stays as it is where nothing is
/// exported.
pub(super) async fn write(mut export: Export, file: Option<&Path>, output: &mut Output) -> Outcome {
    let mut file = file.map(create).transpose()?;
    // On a terminal that shows the rows themselves, a count between them would only disturb.
    let progress = (file.is_some() || !output.is_terminal()).then(|| progress::bytes("exported"));
    while let Some(piece) = export.next().await? {
        match &mut file {
            Some((file, path)) => file.write_all(&piece).map_err(|error| cannot_write(path, &error))?,
            None => output.file_part(&piece)?,
        }
        if let Some(progress) = &progress {
            progress.inc(u64::try_from(piece.len()).unwrap_or(0));
        }
    }
    if let Some((file, path)) = &file {
        file.sync_all().map_err(|error| cannot_write(path, &error))?;
    }
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(())
}

/// A new file is its owner's alone: it holds people's addresses and working hours.
fn create(path: &Path) -> Outcome<(File, &Path)> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.map(|file| (file, path)).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::saying(format_args!("{} cannot be written: {error}", path.display()))
}
