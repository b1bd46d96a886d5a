//! `vigie audit`: the record of what happened.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::export::{Destination, export};
use super::installation::Installation;
use super::outcome::Outcome;
use super::output::Output;
use super::value;
use crate::audit::export::Selection;
use crate::model::audit::{self as model, AuditKind};
use crate::model::id::SessionId;
use crate::store::audit::AuditFilter;

/// What to do with the record.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Write the events to a file or the standard output, newest first
    Export {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        destination: Destination,
    },
}

/// Which events; all flags together.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Filter {
    /// Of this kind, such as `session.ended`; a wrong one lists them all
    #[arg(long)]
    kind: Option<AuditKind>,
    /// With this outcome: `success` or `failure`
    #[arg(long)]
    outcome: Option<model::Outcome>,
    /// Done by this party: the id of a user or client, or a part of Vigie such as `cli`
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// About the user, session, client or key with this id
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// In this session
    #[arg(long = "session-id", value_name = "ID")]
    session_id: Option<SessionId>,
    /// Not before this time
    #[arg(long, value_parser = value::time, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Before this time
    #[arg(long, value_parser = value::time, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
}

impl Command {
    /// Runs the command.
    pub(super) async fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        let Self::Export { filter, destination } = self;
        installation
            .with_app(async |app| {
                let described = filter.described();
                export(app, Selection::Events(filter.into_filter()), described, &destination, output).await
            })
            .await
    }
}

impl Filter {
    /// The filter as it was asked for, under the names of the API.
    fn described(&self) -> Value {
        let mut members = json!({
            "kind": self.kind, "outcome": self.outcome, "actor": self.actor, "subject": self.subject,
            "session_id": self.session_id, "from": self.from, "to": self.to,
        });
        if let Value::Object(members) = &mut members {
            members.retain(|_, value| !value.is_null());
        }
        members
    }

    fn into_filter(self) -> AuditFilter {
        AuditFilter {
            kind: self.kind,
            outcome: self.outcome,
            actor: self.actor,
            subject: self.subject,
            session_id: self.session_id,
            from: self.from,
            to: self.to,
        }
    }
}
