//! `vigie alert`: the reviewers' inbox.

use serde_json::Value;

use super::filter::Flags;
use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::Output;
use super::pages;
use super::table::{Table, facts, moment};
use crate::app::App;
use crate::model::alert::Alert;
use crate::model::audit::AuditContext;
use crate::model::filter::{AlertFilter, AlertStateFilter};
use crate::model::id::AlertId;
use crate::view::AlertObject;

/// What to do with alerts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List alerts, newest first: those that nobody has acknowledged yet
    List(List),
    /// Show an alert
    Show {
        /// The alert's id
        id: AlertId,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Note that somebody has looked at an alert
    Acknowledge {
        /// The alert's id
        id: AlertId,
        /// What came of it
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
}

/// Which alerts.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Also those that are acknowledged: `--state all`
    #[arg(long, conflicts_with = "state")]
    all: bool,
    #[command(flatten)]
    filter: Flags<AlertFilter>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) async fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        installation
            .with_app(async |app| match self {
                Self::List(arguments) => list(app, &arguments, output).await,
                Self::Show { id, json } => show(app, id, json, output).await,
                Self::Acknowledge { id, note } => acknowledge(app, id, note, output).await,
            })
            .await
    }
}

fn missing(id: AlertId) -> Failure {
    Failure::saying(format_args!("there is no alert {id}"))
}

fn object(app: &App, alert: &Alert) -> AlertObject {
    AlertObject::new(alert, app.alerts.overdue_after(), app.clock.now())
}

async fn list(app: &App, arguments: &List, output: &mut Output) -> Outcome {
    let alerts = read(app, arguments).await?;
    if arguments.json {
        return output.json(&alerts);
    }
    let mut table = Table::new(&["id", "kind", "about", "ip", "count", "raised (utc)", "last (utc)", "state"]);
    for alert in &alerts {
        let (count, state) = (alert.count.to_string(), if alert.is_overdue { "overdue" } else { alert.state });
        let ip = alert.ip.as_deref().unwrap_or_default();
        let (raised, last) = (moment(&alert.raised_at), moment(&alert.last_at));
        table.row([&alert.id, &alert.kind, &about(alert), ip, &count, &raised, &last, state]);
    }
    table.write(output)
}

/// Whom or what an alert concerns, in a few words.
fn about(alert: &AlertObject) -> String {
    let name = alert.user.as_ref().and_then(|user| user.username.clone());
    name.or_else(|| alert.subject.id.clone()).unwrap_or_else(|| alert.subject.kind.to_owned())
}

async fn read(app: &App, arguments: &List) -> Outcome<Vec<AlertObject>> {
    let mut filter = AlertFilter::clone(&arguments.filter.0);
    if arguments.all {
        filter.state = Some(AlertStateFilter::All);
    }
    let page = async |after, limit| app.alerts.list(filter.clone(), after, limit, &AuditContext::command_line()).await;
    Ok(pages::all(page).await?.iter().map(|alert| object(app, alert)).collect())
}

async fn show(app: &App, id: AlertId, as_json: bool, output: &mut Output) -> Outcome {
    let alert = app.alerts.find(id, &AuditContext::command_line()).await?.ok_or_else(|| missing(id))?;
    let alert = object(app, &alert);
    if as_json {
        return output.json(&alert);
    }
    let acknowledged = alert.acknowledged.as_ref();
    facts(
        output,
        &[
            ("id", &alert.id),
            ("kind", &alert.kind),
            ("about", &about(&alert)),
            ("session", alert.session_id.as_deref().unwrap_or_default()),
            ("from", alert.ip.as_deref().unwrap_or_default()),
            ("raised at", &alert.raised_at),
            ("last at", &alert.last_at),
            ("count", &alert.count.to_string()),
            ("state", if alert.is_overdue { "open for too long" } else { alert.state }),
            ("disowned at", alert.disowned_at.as_deref().unwrap_or_default()),
            ("acknowledged at", acknowledged.map(|by| by.at.as_str()).unwrap_or_default()),
            ("acknowledged by", acknowledged.map(|by| by.by.as_str()).unwrap_or_default()),
            ("note", acknowledged.and_then(|by| by.note.as_deref()).unwrap_or_default()),
        ],
    )?;
    if let Value::Object(details) = &alert.details {
        let details: Vec<_> = details.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect();
        let shown: Vec<_> = details.iter().map(|(name, value)| (*name, value.as_str())).collect();
        facts(output, &shown)?;
    }
    Ok(())
}

async fn acknowledge(app: &App, id: AlertId, note: Option<String>, output: &mut Output) -> Outcome {
    if !app.alerts.acknowledge(id, note, &AuditContext::command_line()).await? {
        return Err(missing(id));
    }
    output.line(format_args!("acknowledged {id}"))
}
