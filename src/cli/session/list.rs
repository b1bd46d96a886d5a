//! `vigie session list`: the connection history.

use super::device;
use crate::app::App;
use crate::cli::filter::Flags;
use crate::cli::outcome::Outcome;
use crate::cli::output::Output;
use crate::cli::pages;
use crate::cli::table::{Table, moment};
use crate::model::audit::AuditContext;
use crate::model::filter::{SessionFilter, Sort};
use crate::model::session::Session;
use crate::view::SessionObject;

/// In which order.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Order {
    /// Order: `-started_at`, `started_at` or `-last_seen_at`; write `--sort=-started_at`
    #[arg(long, default_value = "-started_at", allow_hyphen_values = true)]
    pub(super) sort: Sort,
}

/// Which sessions, and how many.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    filter: Flags<SessionFilter>,
    #[command(flatten)]
    order: Order,
    /// At most so many; `vigie session export` has no limit
    #[arg(long, default_value = "50", value_name = "NUMBER")]
    limit: usize,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, app: &App, output: &mut Output) -> Outcome {
    let (found, has_more) = read(arguments, app).await?;
    let now = app.clock.now();
    let sessions: Vec<SessionObject> = found.iter().map(|session| SessionObject::new(session, now)).collect();
    if arguments.json {
        output.json(&sessions)?;
    } else {
        table(&sessions).write(output)?;
    }
    if has_more {
        output.note(format_args!("Only the first {}: --limit shows more.", sessions.len()));
    }
    Ok(())
}

async fn read(arguments: &Arguments, app: &App) -> Outcome<(Vec<Session>, bool)> {
    let (sort, context) = (arguments.order.sort, AuditContext::command_line());
    let page = async |after, limit| {
        let filter = SessionFilter::clone(&arguments.filter.0);
        app.history.sessions(filter, sort, after, limit, &context).await
    };
    pages::read(arguments.limit, page).await
}

/// The sessions as a table.
pub(super) fn table(sessions: &[SessionObject]) -> Table {
    let mut table = Table::new(&["id", "user", "role", "started (utc)", "last seen (utc)", "ip", "device", "state"]);
    for session in sessions {
        let state = session.end_reason.unwrap_or(session.state);
        table.row([
            &session.id.to_string(),
            session.user.username,
            session.user.role,
            &moment(&session.started_at),
            &moment(&session.last_seen_at),
            &session.ip,
            &device(session),
            state,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        order: Order,
    }

    fn sort(line: &str) -> Result<Sort, clap::Error> {
        Flags::try_parse_from(std::iter::once("list").chain(line.split_whitespace())).map(|flags| flags.order.sort)
    }

    #[test]
    fn an_order_is_written_as_in_the_api_also_after_a_space() {
        assert_eq!(sort("").unwrap(), Sort::NewestStart);
        assert_eq!(sort("--sort=-last_seen_at").unwrap(), Sort::LastSeen);
        assert_eq!(sort("--sort -last_seen_at").unwrap(), Sort::LastSeen);
        assert_eq!(sort("--sort started_at").unwrap(), Sort::OldestStart);
        assert_eq!(sort("--sort id").unwrap_err().exit_code(), 2);
    }
}
