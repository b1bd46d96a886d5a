//! `vigie client`: applications registered with the server.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::Output;
use super::pages;
use super::table::{Table, facts, moment};
use super::value;
use crate::app::App;
use crate::client::ClientError;
use crate::client::registration::NewClient;
use crate::model::audit::AuditContext;
use crate::model::client::{Audiences, Client, ClientId, Scope};
use crate::model::secret::SecretKind;
use crate::regular_file;
use crate::token::client_keys::ClientKeys;
use crate::view::{ClientObject, TimeText, time};

/// What to do with clients.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Register an application; its secret is shown this once
    Add(Add),
    /// Show an application
    Show {
        /// The application's id
        #[arg(value_parser = value::client_id)]
        id: ClientId,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// List the applications by id
    List {
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove an application: its sessions end, and keep its id
    Remove {
        /// The application's id
        #[arg(value_parser = value::client_id)]
        id: ClientId,
    },
    /// Give an application a new secret, shown this once; the one before counts for `[clients] secret_overlap`
    RotateSecret {
        /// The application's id
        #[arg(value_parser = value::client_id)]
        id: ClientId,
        /// The secret before is void at once
        #[arg(long)]
        void_old: bool,
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
    /// Whose tokens it may ask about, as in the claim `aud`; several times. Without one, `[tokens] audience`
    #[arg(long = "audience")]
    audiences: Vec<String>,
    /// A file with its public keys (a JWK set), by which it may authenticate with `private_key_jwt`
    #[arg(long)]
    jwks: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) async fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        installation
            .with_app(async |app| match self {
                Self::Add(new) => add(app, new, output).await,
                Self::Show { id, json } => show(app, id, json, output).await,
                Self::List { json } => list(app, json, output).await,
                Self::Remove { id } => {
                    app.clients.remove(id.clone(), &AuditContext::command_line()).await?;
                    output.line(format_args!("removed {id}"))
                }
                Self::RotateSecret { id, void_old, json } => rotate_secret(app, id, void_old, json, output).await,
            })
            .await
    }
}

async fn add(app: &App, new: Add, output: &mut Output) -> Outcome {
    let as_json = new.json;
    let (client, secret) = app.clients.register(new.read()?, &AuditContext::command_line()).await?;
    let secret = secret.reveal(SecretKind::ClientSecret);
    if as_json {
        return output.json(&json!({ "client": object(app, &client), "client_secret": secret }));
    }
    facts(output, &[("client_id", client.id.as_str()), ("client_secret", &secret)])?;
    output.note("The secret is not kept: note it now.");
    Ok(())
}

impl Add {
    fn read(self) -> Result<NewClient, Failure> {
        let mut scopes = self.scopes;
        scopes.sort_unstable();
        scopes.dedup();
        let audiences = (!self.audiences.is_empty()).then(|| Audiences::parse(self.audiences)).transpose()?;
        let keys = self.jwks.as_deref().map(keys).transpose()?;
        let name = self.name.unwrap_or_else(|| self.id.to_string());
        Ok(NewClient { id: self.id, name, scopes, audiences, keys })
    }
}

/// The keys in a file.
fn keys(file: &Path) -> Result<ClientKeys, Failure> {
    let fault = |error: &dyn std::fmt::Display| Failure::saying(format_args!("{}: {error}", file.display()));
    let (opened, _) = regular_file::open(file).map_err(|error| fault(&error))?;
    let text = std::io::read_to_string(opened).map_err(|error| fault(&error))?;
    ClientKeys::parse(&text).map_err(|error| fault(&error))
}

fn object(app: &App, client: &Client) -> ClientObject {
    ClientObject::new(client, app.config.tokens.audience.as_str())
}

async fn show(app: &App, id: ClientId, as_json: bool, output: &mut Output) -> Outcome {
    let client = app.clients.find(id).await?.ok_or(ClientError::NotFound)?;
    let client = object(app, &client);
    if as_json {
        return output.json(&client);
    }
    let scopes: Vec<&str> = client.scopes.iter().map(|scope| scope.as_str()).collect();
    let optional = |at: &Option<TimeText>| at.as_ref().map(|at| moment(at)).unwrap_or_default();
    let keys = client.jwks.as_ref().and_then(|jwks| jwks["keys"].as_array()).map_or(0, Vec::len);
    facts(
        output,
        &[
            ("id", &client.id),
            ("name", &client.name),
            ("scopes", &scopes.join(" ")),
            ("audiences", &client.audiences.join(", ")),
            ("public keys", &keys.to_string()),
            ("created (utc)", &moment(&client.created_at)),
            ("secret of (utc)", &moment(&client.secret_changed_at)),
            ("old secret until (utc)", &optional(&client.previous_secret_until)),
            ("last used (utc)", &optional(&client.last_used_at)),
        ],
    )
}

async fn list(app: &App, as_json: bool, output: &mut Output) -> Outcome {
    let clients = pages::all(async |after, limit| app.clients.list(after, limit).await).await?;
    let clients: Vec<ClientObject> = clients.iter().map(|client| object(app, client)).collect();
    if as_json {
        return output.json(&clients);
    }
    let mut table = Table::new(&["id", "name", "scopes", "created (utc)", "secret of (utc)", "last used (utc)"]);
    for client in &clients {
        let scopes: Vec<&str> = client.scopes.iter().map(|scope| scope.as_str()).collect();
        let (created, changed) = (moment(&client.created_at), moment(&client.secret_changed_at));
        let used = client.last_used_at.as_ref().map(|at| moment(at)).unwrap_or_default();
        table.row([&client.id, &client.name, &scopes.join(" "), &created, &changed, &used]);
    }
    table.write(output)
}

async fn rotate_secret(app: &App, id: ClientId, void_old: bool, as_json: bool, output: &mut Output) -> Outcome {
    let new = app.clients.rotate_secret(id.clone(), void_old, &AuditContext::command_line()).await?;
    let secret = new.secret.reveal(SecretKind::ClientSecret);
    let until = new.previous_until.map(time);
    if as_json {
        return output.json(&json!({ "client_id": id, "client_secret": secret, "previous_secret_until": until }));
    }
    facts(output, &[("client_id", id.as_str()), ("client_secret", &secret)])?;
    output.note("The secret is not kept: note it now.");
    if let Some(until) = &until {
        output.note(format_args!("The secret before counts until {} (utc).", moment(until)));
    }
    Ok(())
}
