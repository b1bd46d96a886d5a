//! `vigie user import`: users from a file, all of them or none.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::app::App;
use crate::cli::outcome::{Failure, Outcome};
use crate::cli::output::{Output, one_line};
use crate::cli::progress;
use crate::model::audit::AuditContext;
use crate::user::import::{Format, ImportError, Imported, Lines, RefusedLine, changed_at_login, read};

/// Lines that are shown one by one for one reason: a fault of the whole file is in each of them.
const MOST_OF_A_REASON: usize = 20;

/// What to import.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// File with `username`, `role` and, where wanted, `password_hash`, `id`, `disabled` and `email`; `-` is the standard input
    file: PathBuf,
    /// How it is written; without it the ending of its name tells (.csv, .tsv, .ndjson, .jsonl)
    #[arg(long)]
    format: Option<FormatWord>,
    /// Only look: says what would be imported or refused; nothing is written, and no login waits
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

pub(super) async fn run(arguments: &Arguments, app: &App, output: &mut Output) -> Outcome {
    let format = format(arguments)?;
    let imported = match import(arguments, format, app).await {
        Err(Failed::Import(ImportError::Refused(lines))) => {
            for line in shown(&lines) {
                output.note(line);
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

/// The refused lines as they are shown: the first of each reason one by one, then the numbers of the others.
fn shown(refused: &[RefusedLine]) -> Vec<String> {
    let (mut shown, mut reasons) = (Vec::new(), Vec::new());
    let mut lines: HashMap<&str, Vec<u64>> = HashMap::new();
    for RefusedLine { line, reason } in refused {
        let lines = lines.entry(reason).or_insert_with(|| {
            reasons.push(reason.as_str());
            Vec::new()
        });
        lines.push(*line);
        if lines.len() <= MOST_OF_A_REASON {
            shown.push(format!("line {line}: {}", one_line(reason)));
        }
    }
    for reason in reasons {
        if let Some(further) = lines[reason].get(MOST_OF_A_REASON..).filter(|further| !further.is_empty()) {
            shown.push(format!("and {} further lines ({}): {}", further.len(), ranges(further), one_line(reason)));
        }
    }
    shown
}

/// Numbers in ascending order, those that follow each other as one range.
fn ranges(numbers: &[u64]) -> String {
    let ranges = numbers.chunk_by(|one, next| one + 1 == *next);
    let shown = ranges.map(|range| match range {
        [first, .., last] => format!("{first} to {last}"),
        alone => alone.iter().map(u64::to_string).collect(),
    });
    shown.collect::<Vec<_>>().join(", ")
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
                app.users.refuse_import(refused, &AuditContext::command_line());
            }
        })?;
    let lines = if arguments.change_at_login { changed_at_login(lines) } else { lines };
    let bar = progress::bar(lines.len(), "users");
    let drawn = bar.clone();
    let done = move |done| drawn.set_position(u64::try_from(done).unwrap_or(u64::MAX));
    let outcome = app.users.import(lines, arguments.dry_run, &AuditContext::command_line(), done).await;
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

    fn format_of(file: &str, format_word: Option<FormatWord>) -> Option<Format> {
        format(&Arguments { file: file.into(), format: format_word, dry_run: false, change_at_login: false }).ok()
    }

    #[test]
    fn the_ending_tells_the_format_unless_it_is_said() {
        assert_eq!(format_of("users.CSV", None), Some(Format::Csv));
        assert_eq!(format_of("users.tsv", None), Some(Format::Csv));
        assert_eq!(format_of("users.ndjson", None), Some(Format::Ndjson));
        assert_eq!(format_of("users.jsonl", None), Some(Format::Ndjson));
        assert_eq!(format_of("users.csv", Some(FormatWord::Ndjson)), Some(Format::Ndjson));
        assert_eq!(format_of("-", Some(FormatWord::Csv)), Some(Format::Csv));
        assert_eq!(format_of("-", None), None);
    }

    fn refused(reasons: impl IntoIterator<Item = String>) -> Vec<RefusedLine> {
        (2..).zip(reasons).map(|(line, reason)| RefusedLine { line, reason }).collect()
    }

    #[test]
    fn a_fault_of_the_whole_file_is_told_twenty_times_and_then_by_ranges() {
        let fault = |place: usize| String::from(if place % 3 == 2 { "rare\n" } else { "common" });
        let lines = shown(&refused((0..60).map(fault)));
        assert_eq!(lines.len(), 41, "{lines:?}");
        assert_eq!((lines[0].as_str(), lines[2].as_str()), ("line 2: common", "line 4: rare\\u000a"));
        assert_eq!(lines[39], "line 61: rare\\u000a", "the twentieth of its reason");
        assert!(lines[40].starts_with("and 20 further lines (32 to 33, 35 to 36, "), "{}", lines[40]);
        assert!(lines[40].ends_with(", 59 to 60): common"), "{}", lines[40]);
        let of = |lines: usize| shown(&refused(vec!["the same".to_owned(); lines]));
        assert_eq!((of(0).len(), of(20).len(), of(21).len(), of(3_000).len()), (0, 20, 21, 21));
        assert_eq!(of(3_000)[20], "and 2980 further lines (22 to 3001): the same");
    }
}
