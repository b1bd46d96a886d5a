//! `vigie session end`: ends one session, or all that match.

use serde_json::json;

use crate::app::App;
use crate::cli::filter::Flags;
use crate::cli::outcome::{Failure, Outcome};
use crate::cli::output::Output;
use crate::model::audit::AuditContext;
use crate::model::filter::SessionFilter;
use crate::model::id::SessionId;
use crate::model::session::{EndReason, SessionState};
use crate::session::bulk_end::{BulkEnded, SessionsToEnd};

/// What to end.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The session's id
    #[arg(conflicts_with_all = ["filter", "everything"])]
    id: Option<SessionId>,
    #[command(flatten)]
    filter: Flags<SessionFilter>,
    /// End every active session of everybody
    #[arg(long, conflicts_with = "filter")]
    everything: bool,
    /// Why: kept with each session
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// End nothing; say how many it would be
    #[arg(long)]
    dry_run: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// Refuses what would end every session without saying so, and what could end none.
    pub(super) fn check(&self) -> Outcome {
        if !self.filter.0.allows(SessionState::Active) {
            return Err(Failure::wrong_use("only active sessions can be ended"));
        }
        if self.id.is_none() && !self.everything && self.filter.0.matches_every_active() {
            return Err(Failure::wrong_use("say which: an id, a filter such as --user, or --everything"));
        }
        Ok(())
    }

    fn to_end(&self) -> SessionsToEnd {
        if self.everything { SessionsToEnd::Everything } else { SessionsToEnd::Matching(self.filter.0.clone()) }
    }
}

pub(super) async fn run(arguments: Arguments, app: &App, output: &mut Output) -> Outcome {
    let BulkEnded { matched, ended } = match arguments.id {
        Some(id) => end_one(id, &arguments, app).await?,
        None => end_matching(&arguments, app).await?,
    };
    if arguments.json {
        return output.json(&json!({ "matched": matched, "ended": ended }));
    }
    output.line(match (arguments.dry_run, matched) {
        (true, 1) => "1 session would be ended".to_owned(),
        (true, _) => format!("{matched} sessions would be ended"),
        (false, 1) => format!("{ended} of 1 session ended"),
        (false, _) => format!("{ended} of {matched} sessions ended"),
    })
}

async fn end_one(id: SessionId, arguments: &Arguments, app: &App) -> Outcome<BulkEnded> {
    let missing = || Failure::saying(format_args!("there is no session {id}"));
    let session = app.sessions.find(id).await?;
    let is_active = session.as_ref().is_some_and(|session| session.state(app.clock.now()) == SessionState::Active);
    let matched = i64::from(is_active);
    if arguments.dry_run {
        return session.map(|_| BulkEnded { matched, ended: 0 }).ok_or_else(missing);
    }
    let ended =
        app.sessions.end(id, EndReason::EndedByAdmin, arguments.note.clone(), &AuditContext::command_line()).await?;
    Ok(BulkEnded { matched, ended: i64::from(ended.ok_or_else(missing)?) })
}

async fn end_matching(arguments: &Arguments, app: &App) -> Outcome<BulkEnded> {
    let (note, dry_run) = (arguments.note.clone(), arguments.dry_run);
    Ok(app.sessions.end_matching(arguments.to_end(), note, dry_run, &AuditContext::command_line()).await?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn is_accepted(line: &str) -> bool {
        Flags::try_parse_from(std::iter::once("end").chain(line.split_whitespace()))
            .is_ok_and(|flags| flags.arguments.check().is_ok())
    }

    #[test]
    fn nothing_ends_everything_by_mistake() {
        let id = "0198c2a0-0000-7000-8000-000000000000";
        for line in
            [id, "--user alice", "--not-user alice", "--everything", "--ip 192.0.2.1 --state active --dry-run --note x"]
        {
            assert!(is_accepted(line), "{line}");
        }
        for line in [
            "",
            "--dry-run",
            "--note x",
            "--state active",
            "--state all",
            "--not-state ended",
            "--not-state active --user alice",
            "--state ended --user alice",
            "alice",
            "--everything --user alice",
            &format!("{id} --user alice"),
            &format!("{id} --everything"),
        ] {
            assert!(!is_accepted(line), "{line}");
        }
    }
}
