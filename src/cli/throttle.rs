//! `vigie throttle`: what failed logins cost whom now, and lifting it.

use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::Output;
use super::pages;
use super::table::{Table, moment};
use crate::app::App;
use crate::model::audit::AuditContext;
use crate::model::id::ThrottleId;
use crate::store::throttles::{ThrottleFilter, ThrottleScope};
use crate::view::ThrottleObject;

/// What to do with throttles.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List what refuses logins now, the newest failure first
    List(List),
    /// Lift a throttle: its failures are forgotten
    Lift {
        /// The throttle's id
        id: ThrottleId,
    },
}

/// Which throttles.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// `account`, `known_device`, `address`, `network` or `overall`
    #[arg(long)]
    scope: Option<ThrottleScope>,
    /// Also those that count failures and refuse nothing yet
    #[arg(long)]
    all: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) async fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        installation
            .with_app(async |app| match self {
                Self::List(arguments) => list(app, &arguments, output).await,
                Self::Lift { id } => lift(app, id, output).await,
            })
            .await
    }
}

async fn list(app: &App, arguments: &List, output: &mut Output) -> Outcome {
    let throttles = read(app, arguments).await?;
    if arguments.json {
        return output.json(&throttles);
    }
    let mut table = Table::new(&["id", "scope", "about", "failures", "last (utc)", "closed until (utc)"]);
    for throttle in &throttles {
        let until = match (throttle.is_locked, &throttle.closed_until) {
            (true, _) => "an administrator unlocks".to_owned(),
            (false, until) => until.as_deref().map(moment).unwrap_or_default(),
        };
        let failures = throttle.failures.to_string();
        let last = moment(&throttle.last_failure_at);
        table.row([&throttle.id, throttle.scope, &about(throttle), &failures, &last, &until]);
    }
    table.write(output)
}

/// Whom or what a throttle is about, in a few words.
fn about(throttle: &ThrottleObject) -> String {
    let user = throttle.user.as_ref().map(|user| user.username.clone().unwrap_or_else(|| user.id.clone()));
    let parts = [user, throttle.name.clone(), throttle.network.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

async fn read(app: &App, arguments: &List) -> Outcome<Vec<ThrottleObject>> {
    let now = app.clock.now();
    let page = async |after, limit| {
        let filter = ThrottleFilter { scope: arguments.scope, ..ThrottleFilter::default() };
        app.authentication.throttles(filter, !arguments.all, after, limit).await
    };
    let rows = pages::all(page).await?;
    Ok(rows.iter().map(|row| ThrottleObject::new(row, app.authentication.is_locked(row), now)).collect())
}

async fn lift(app: &App, id: ThrottleId, output: &mut Output) -> Outcome {
    if !app.users.lift_throttle(id, &AuditContext::command_line()).await? {
        return Err(Failure::saying(format_args!("there is no throttle {id}")));
    }
    output.line(format_args!("lifted {id}"))
}
