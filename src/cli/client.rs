//! `vigie client`: applications registered with the server.

use serde_json::json;

use super::installation::Installation;
use super::outcome::Outcome;
use super::output::Output;
use super::pages;
use super::table::{Table, facts, moment};
use super::value;
use crate::app::App;
use crate::model::audit::AuditContext;
use crate::model::client::{ClientId, Scope};
use crate::model::secret::SecretKind;
use crate::view::ClientObject;

/// What to do with clients.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Register an application; its secret is shown this once
    Add(Add),
    /// List the applications by id
    List {
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove an application: its secret is void; sessions keep its id
    Remove {
        /// The application's id
        #[arg(value_parser = value::client_id)]
        id: ClientId,
    },
    /// Give an application a new secret, shown this once; the old one is void
    RotateSecret {
        /// The application's id
        #[arg(value_parser = value::client_id)]
        id: ClientId,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

/// An application to be registered.
#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// Its id for ever: 1 to 64 of a-z, 0-9, `.`, `_` and `-`
    #[arg(value_parser = value::client_id)]
    id: ClientId,
    /// What people call it; without one, its id
    #[arg(long)]
    name: Option<String>,
    /// What it may ask for: `introspect`, `revoke`, `events`; several times, or separated by commas
    #[arg(long = "scope", value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Runs the command.
    pub(super) async fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        installation
            .with_app(async |app| match self {
                Self::Add(new) => add(app, new, output).await,
                Self::List { json } => list(app, json, output).await,
                Self::Remove { id } => {
                    app.clients.remove(id.clone(), &AuditContext::command_line()).await?;
                    output.line(format_args!("removed {id}"))
                }
                Self::RotateSecret { id, json } => rotate_secret(app, id, json, output).await,
            })
            .await
    }
}

async fn add(app: &App, new: Add, output: &mut Output) -> Outcome {
    let name = new.name.unwrap_or_else(|| new.id.to_string());
    let mut scopes = new.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    let (client, secret) = app.clients.register(new.id, name, scopes, &AuditContext::command_line()).await?;
    let secret = secret.reveal(SecretKind::ClientSecret);
    if new.json {
        return output.json(&json!({ "client": ClientObject::from(&client), "client_secret": secret }));
    }
    facts(output, &[("client_id", client.id.as_str()), ("client_secret", &secret)])?;
    output.note("The secret is not kept: note it now.");
    Ok(())
}

async fn list(app: &App, as_json: bool, output: &mut Output) -> Outcome {
    let clients = pages::all(async |after, limit| app.clients.list(after, limit).await).await?;
    let clients: Vec<ClientObject> = clients.iter().map(ClientObject::from).collect();
    if as_json {
        return output.json(&clients);
    }
    let mut table = Table::new(&["id", "name", "scopes", "created (utc)", "secret of (utc)"]);
    for client in &clients {
        let scopes: Vec<&str> = client.scopes.iter().map(|scope| scope.as_str()).collect();
        let (created, changed) = (moment(&client.created_at), moment(&client.secret_changed_at));
        table.row([&client.id, &client.name, &scopes.join(" "), &created, &changed]);
    }
    table.write(output)
}

async fn rotate_secret(app: &App, id: ClientId, as_json: bool, output: &mut Output) -> Outcome {
    let secret = app.clients.rotate_secret(id.clone(), &AuditContext::command_line()).await?;
    let secret = secret.reveal(SecretKind::ClientSecret);
    if as_json {
        return output.json(&json!({ "client_id": id, "client_secret": secret }));
    }
    facts(output, &[("client_id", id.as_str()), ("client_secret", &secret)])?;
    output.note("The secret is not kept: note it now.");
    Ok(())
}
