//! `vigie session`: the connection history, and ending what is active.

mod end;
mod list;
mod show;
mod watch;

use super::export::{Destination, export};
use super::filter::Flags;
use super::installation::Installation;
use super::outcome::Outcome;
use super::output::Output;
use crate::audit::export::Selection;
use crate::model::filter::SessionFilter;
use crate::model::id::SessionId;
use crate::view::SessionObject;
use list::Order;

/// What to do with sessions.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List sessions
    List(list::Arguments),
    /// Show a session, what happened in it, and the user's other sessions
    Show {
        /// The session's id
        id: SessionId,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// End a session, or all that match
    End(end::Arguments),
    /// Write sessions to a file or the standard output, without a limit
    Export {
        #[command(flatten)]
        filter: Flags<SessionFilter>,
        #[command(flatten)]
        order: Order,
        #[command(flatten)]
        destination: Destination,
    },
    /// Follow logins and ends as they happen, until Ctrl-C
    Watch(watch::Arguments),
}

impl Command {
    pub(super) async fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        if let Self::End(arguments) = &self {
            arguments.check()?;
        }
        installation
            .with_app(async |app| match self {
                Self::List(arguments) => list::run(&arguments, app, output).await,
                Self::Show { id, json } => show::run(id, json, app, output).await,
                Self::End(arguments) => end::run(arguments, app, output).await,
                Self::Export { filter, order, destination } => {
                    let selection = Selection::Sessions(filter.0, order.sort);
                    export(app, selection, &destination, output).await
                }
                Self::Watch(arguments) => watch::run(&arguments, app, output).await,
            })
            .await
    }
}

/// The device in a few words, such as `Firefox on Windows 10`.
fn device(session: &SessionObject) -> String {
    match (session.device.browser, session.device.os) {
        (Some(browser), Some(os)) => format!("{browser} on {os}"),
        (Some(known), None) | (None, Some(known)) => known.to_owned(),
        (None, None) => session.user_agent.unwrap_or_default().chars().take(30).collect(),
    }
}
