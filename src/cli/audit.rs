//! `vigie audit`: the record of what happened.

use std::path::PathBuf;

use serde_json::json;

use super::export::{Destination, export};
use super::filter::Flags;
use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::Output;
use super::progress;
use crate::app::{App, open_store};
use crate::audit::chain::{CheckpointVerifier, Damage, PublicVerification, Verified, verify_publicly};
use crate::audit::export::Selection;
use crate::model::filter::EventFilter;

/// What to do with the record.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Write the events to a file or the standard output, newest first
    Export {
        #[command(flatten)]
        filter: Flags<EventFilter>,
        #[command(flatten)]
        destination: Destination,
    },
    /// Verify the whole history: that nothing was changed, removed, added or cut off
    Verify {
        /// A checkpoint that was kept elsewhere: what it saw must still be there
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
        /// The public key of the checkpoints, for who lacks the master key: verifies the tree, the checkpoints and each row
        /// that is there; nothing is changed or signed
        #[arg(long, value_name = "KEY")]
        public_key: Option<CheckpointVerifier>,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Seal what waits, and write a signed checkpoint of the history to the standard output
    Checkpoint {
        /// Write the public key instead, by which others verify checkpoints, and the statements by which it followed others
        #[arg(long)]
        key: bool,
    },
}

impl Command {
    pub(super) async fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        if let Self::Verify { checkpoint, public_key: Some(key), json } = self {
            return verify_copy(installation, key, &checkpoint, json, output).await;
        }
        installation
            .with_app(async |app| match self {
                Self::Export { filter, destination } => {
                    export(app, Selection::Events(*filter.0), &destination, output).await
                }
                Self::Verify { checkpoint, json, .. } => verify(app, &checkpoint, json, output).await,
                Self::Checkpoint { key } => checkpoint(app, key, output).await,
            })
            .await
    }
}

async fn verify(app: &App, files: &[PathBuf], as_json: bool, output: &mut Output) -> Outcome {
    let mut kept = Vec::new();
    for file in files {
        kept.push(app.chain.key().open_file(file).map_err(Failure::saying)?);
    }
    let bar = progress::bar(0, "records");
    let verified = match app.chain.own_checkpoint() {
        Ok(own) => {
            kept.extend(own);
            let verified = app.chain.verify(&kept, |done, all| {
                bar.set_length(all);
                bar.set_position(done);
            });
            verified.await?
        }
        // Damage as any other: nobody but Vigie writes that file.
        Err(unusable) => Err(Damage::File(unusable)),
    };
    bar.finish_and_clear();
    let report = match &verified {
        Ok(Verified { records, checkpoints, waiting, base, too_old }) => json!({
            "intact": true, "records": records, "checkpoints": checkpoints, "waiting": waiting, "base": base,
            "checkpoints_too_old": too_old,
        }),
        Err(fault) => json!({ "intact": false, "fault": fault.to_string() }),
    };
    match verified {
        _ if as_json => output.json(&report)?,
        Ok(Verified { records, checkpoints, waiting, base, too_old }) => {
            output.line(format_args!(
                "intact: {records} records, as {checkpoints} checkpoints saw them; {waiting} wait to be sealed"
            ))?;
            if base > 0 {
                output.line(format_args!("the first {base} stood for what retention has removed, and are gone too"))?;
            }
            if too_old > 0 {
                output.note(format_args!(
                    "{too_old} of the checkpoints are older than what is kept: nothing is said about them."
                ));
            }
        }
        Err(_) => {}
    }
    match verified {
        Ok(_) => Ok(()),
        Err(_) if as_json => Err(Failure::Reported),
        Err(fault) => Err(Failure::saying(fault)),
    }
}

async fn verify_copy(
    installation: &Installation,
    key: CheckpointVerifier,
    files: &[PathBuf],
    as_json: bool,
    output: &mut Output,
) -> Outcome {
    let store = open_store(&installation.config()?)?;
    let missing = store.pending_migrations().await?;
    if !missing.is_empty() {
        return Err(Failure::saying("this version cannot read the database before it was migrated: `vigie migrate`"));
    }
    let key = key.following_handovers(&store).await?;
    let kept = files.iter().map(|file| key.open_file(file).map_err(Failure::saying));
    let kept = kept.collect::<Result<Vec<_>, _>>()?;
    let verified = verify_publicly(&store, key, kept).await?;
    let report = match &verified {
        Ok(PublicVerification { records, checkpoints, not_judged }) => json!({
            "intact": true, "records": records, "checkpoints": checkpoints, "not_judged": not_judged,
        }),
        Err(fault) => json!({ "intact": false, "fault": fault.to_string() }),
    };
    match verified {
        verified if as_json => {
            output.json(&report)?;
            verified.map(drop).map_err(|_| Failure::Reported)
        }
        Ok(PublicVerification { records, checkpoints, not_judged }) => {
            output.line(format_args!("intact: {records} records, as {checkpoints} checkpoints saw them"))?;
            output.note(format_args!(
                "{not_judged} stand for what is gone or redacted: whether rightly, and chain hashes, only the server's keys tell."
            ));
            Ok(())
        }
        Err(fault) => Err(Failure::saying(fault)),
    }
}

async fn checkpoint(app: &App, key: bool, output: &mut Output) -> Outcome {
    if key {
        output.line(app.chain.key().public())?;
        for statement in app.chain.handovers().await?.map_err(Failure::saying)? {
            output.line(format_args!("\n{}", statement.trim_end()))?;
        }
        return Ok(());
    }
    app.chain.seal().await?;
    output.line(app.chain.checkpoint().await?.note.trim_end())
}
