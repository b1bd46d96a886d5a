//! `vigie user import`: users from a file, all of them or none.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::app::App;
use crate::cli::outcome::{Failure, Outcome};
use crate::cli::output::{Output, one_line};
use crate::cli::progress;
use crate::model::audit::Cause;
use crate::user::import::{Format, ImportError, Imported, Lines, changed_at_login, read};

/// What to import.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// File with `username`, `role` and, where wanted, `password_hash`, `id`, `disabled` and `email`; `-` is the standard input
    file: PathBuf,
    /// How it is written; without it the ending of its name tells (.csv, .tsv, .ndjson, .jsonl)
    #[arg(long)]
    format: Option<FormatWord>,
    /// Only look: says what would be imported or refused; nothing is written, and no log-in waits
    #[arg(long)]
    dry_run: bool,
    /// The passwords are good for choosing others, and for nothing else
    #[arg(long)]
    change_at_login: bool,
}

/// The formats by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FormatWord {
    /// A header line that names the columns, then one user a row (RFC 4180); comma, semicolon or tab separates
    Csv,
    /// One JSON object a line
    #[value(alias = "jsonl")]
    Ndjson,
}

/// Runs the command.
pub(super) async fn run(arguments: &Arguments, app: &App, output: &mut Output) -> Outcome {
    let format = format(arguments)?;
    let imported = match import(arguments, format, app).await {
        Err(Failed::Import(ImportError::Refused(lines))) => {
            for refused in &lines {
                output.note(format_args!("line {}: {}", refused.line, one_line(&refused.reason)));
            }
            return Err(ImportError::Refused(lines).into());
        }
        Err(Failed::Import(error)) => return Err(error.into()),
        Err(Failed::Open(error)) => {
            return Err(Failure::saying(format_args!("{} cannot be opened: {error}", arguments.file.display())));
        }
        Ok(imported) => imported,
    };
    output.line(match imported {
        Imported { users, dry_run: true } => format!("{users} users would be imported"),
        Imported { users, dry_run: false } => format!("{users} users imported"),
    })
}

/// Why there was no import.
enum Failed {
    Open(io::Error),
    Import(ImportError),
}

impl From<ImportError> for Failed {
    fn from(error: ImportError) -> Self {
        Self::Import(error)
    }
}

async fn import(arguments: &Arguments, format: Format, app: &App) -> Result<Imported, Failed> {
    let lines: Lines =
        read(open(&arguments.file).map_err(Failed::Open)?, format, app.clock.now()).inspect_err(|error| {
            if let ImportError::Refused(refused) = error {
                app.users.refuse_import(refused, &Cause::command_line());
            }
        })?;
    let lines = if arguments.change_at_login { changed_at_login(lines) } else { lines };
    let bar = progress::bar(lines.len(), "users");
    let drawn = bar.clone();
    let done = move |done| drawn.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    let outcome = app.users.import(lines, arguments.dry_run, &Cause::command_line(), done).await;
    bar.finish_and_clear();
    Ok(outcome?)
}

fn open(file: &Path) -> io::Result<Box<dyn Read>> {
    if file == Path::new("-") { Ok(Box::new(io::stdin())) } else { Ok(Box::new(File::open(file)?)) }
}

fn format(arguments: &Arguments) -> Outcome<Format> {
    let ending = arguments.file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match (arguments.format, ending.to_ascii_lowercase().as_str()) {
        (Some(FormatWord::Csv), _) | (None, "csv" | "tsv") => Ok(Format::Csv),
        (Some(FormatWord::Ndjson), _) | (None, "ndjson" | "jsonl") => Ok(Format::Ndjson),
        (None, _) => {
            Err(Failure::wrong_use("the name does not tell how the file is written: say --format csv or ndjson"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(file: &str, format_word: Option<FormatWord>) -> Option<Format> {
        format(&Arguments { file: file.into(), format: format_word, dry_run: false, change_at_login: false }).ok()
    }

    #[test]
    fn the_ending_tells_the_format_unless_it_is_said() {
        assert_eq!(told("users.CSV", None), Some(Format::Csv));
        assert_eq!(told("users.tsv", None), Some(Format::Csv));
        assert_eq!(told("users.ndjson", None), Some(Format::Ndjson));
        assert_eq!(told("users.jsonl", None), Some(Format::Ndjson));
        assert_eq!(told("users.csv", Some(FormatWord::Ndjson)), Some(Format::Ndjson));
        assert_eq!(told("-", Some(FormatWord::Csv)), Some(Format::Csv));
        assert_eq!(told("-", None), None);
    }
}
