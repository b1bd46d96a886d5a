//! `vigie retention`: what is older than it is kept.

use serde_json::json;

use super::installation::Installation;
use super::outcome::Outcome;
use super::output::Output;
use super::progress;
use crate::app::App;
use crate::model::audit::AuditContext;
use crate::model::retention::{Counts, RetentionCutoffs};

/// What to do about old history.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Remove what is older than `[retention]` says, cut old addresses, and go on with erasures that broke off
    Run {
        /// Only count
        #[arg(long)]
        dry_run: bool,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(super) async fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        let Self::Run { dry_run, json } = self;
        installation
            .with_app(async |app| {
                let (cutoffs, counts) = if dry_run { count(app).await? } else { remove(app).await? };
                let in_the_clear = app.retention.sealed_in_the_clear().await?;
                if json {
                    return output.json(&json!({
                        "dry_run": dry_run, "before": {
                            "sessions": cutoffs.sessions, "attempts": cutoffs.attempts, "audit": cutoffs.events,
                            "addresses": cutoffs.addresses,
                        },
                        "rows": counts, "addresses_sealed_in_the_clear": in_the_clear,
                    }));
                }
                tell(cutoffs, counts, in_the_clear, dry_run, output)
            })
            .await
    }
}

async fn count(app: &App) -> Outcome<(RetentionCutoffs, Counts)> {
    let plan = app.retention.plan().await?;
    Ok((plan.cutoffs, plan.counts))
}

async fn remove(app: &App) -> Outcome<(RetentionCutoffs, Counts)> {
    let mut run = app.retention.begin(&AuditContext::command_line()).await?;
    let Counts { sessions, attempts, events, addresses, .. } = run.plan.counts;
    let bar = progress::bar(usize::try_from(sessions + attempts + events + addresses).unwrap_or(0), "rows");
    while let Some(rows) = run.step().await? {
        bar.inc(rows);
    }
    bar.finish_and_clear();
    app.users.finish_erasures().await?;
    Ok((run.plan.cutoffs, run.removed))
}

fn tell(cutoffs: RetentionCutoffs, counts: Counts, in_the_clear: u64, dry_run: bool, output: &mut Output) -> Outcome {
    let removed = if dry_run { "would be removed" } else { "removed" };
    let cut = if dry_run { "would be cut" } else { "cut" };
    for (what, rows, before, done) in [
        ("sessions that ended", counts.sessions, cutoffs.sessions, removed),
        ("attempts", counts.attempts, cutoffs.attempts, removed),
        ("audit events", counts.events, cutoffs.events, removed),
        ("rows with addresses", counts.addresses, cutoffs.addresses, cut),
    ] {
        let Some(before) = before else { continue };
        output.line(format_args!("{rows} {what} before {}: {done}", before.format("%Y-%m-%d")))?;
    }
    if counts.records > 0 {
        output.line(format_args!("{} sealed records that stood for nothing any more: removed", counts.records))?;
    }
    if in_the_clear > 0 {
        output.note(format_args!(
            "{in_the_clear} older rows were sealed before addresses could be cut: they keep theirs until they are removed."
        ));
    }
    Ok(())
}
