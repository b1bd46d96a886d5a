//! `vigie key`: the keys that sign access tokens. Nodes that run take them up by themselves. The master key is in
//! `rotate_master.rs`.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::Output;
use super::rotate_master;
use super::table::{Table, moment};
use crate::app::App;
use crate::model::audit::AuditContext;
use crate::store::signing_keys::{KeyStatus, StoredKey};

/// What to do with the keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the keys, newest first
    List {
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a new key, which signs in a minute; tokens of the one before stay good until they expire
    Rotate,
    /// Refuse every token of a key from now on; where it was the newest one, a new one is made
    Revoke {
        /// The key's id, the `kid` of its tokens
        // A digest in base64url: one of 64 begins with a dash.
        #[arg(allow_hyphen_values = true)]
        id: String,
    },
    /// Exchange the master key for a new one, which is written to a file beside it
    RotateMaster(rotate_master::Arguments),
}

/// A key, as it is shown: nothing of its private part.
#[derive(Debug, Serialize)]
struct KeyObject<'key> {
    id: &'key str,
    algorithm: &'key str,
    state: &'static str,
    created_at: String,
    retired_at: Option<String>,
    verifies_until: Option<String>,
    revoked_at: Option<String>,
}

impl Command {
    pub(super) async fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        match self {
            Self::List { json } => installation.with_app(async |app| list(app, json, output).await).await,
            Self::Rotate => installation.with_app(async |app| rotate(app, output).await).await,
            Self::Revoke { id } => installation.with_app(async |app| revoke(app, &id, output).await).await,
            Self::RotateMaster(arguments) => rotate_master::run(arguments, installation, output).await,
        }
    }
}

async fn list(app: &App, as_json: bool, output: &mut Output) -> Outcome {
    let signing = app.sessions.signing();
    let (keys, signs) = (signing.list().await?, signing.current_id().await?);
    let now = app.clock.now();
    let object = |key| KeyObject::new(key, signs.as_deref(), now);
    let keys: Vec<KeyObject> = keys.iter().map(object).collect();
    if as_json {
        return output.json(&keys);
    }
    let mut table = Table::new(&["id", "algorithm", "state", "created (utc)"]);
    for key in &keys {
        table.row([key.id, key.algorithm, &key.status(), &moment(&key.created_at)]);
    }
    table.write(output)
}

async fn rotate(app: &App, output: &mut Output) -> Outcome {
    if !app.config.tokens.hs256_secret_file.as_os_str().is_empty() {
        return Err(Failure::saying(
            "tokens are signed with the shared secret of tokens.hs256_secret_file: change that file, and start again",
        ));
    }
    let id = app.sessions.rotate_key(&AuditContext::command_line()).await?;
    let signs_now = app.sessions.signing().current_id().await?.as_ref() == Some(&id);
    output.line(if signs_now {
        format!("{id} signs from now on")
    } else {
        format!("{id} is published, and signs in a minute: who keeps the published keys has it by then")
    })
}

async fn revoke(app: &App, id: &str, output: &mut Output) -> Outcome {
    if !app.sessions.revoke_key(id, &AuditContext::command_line()).await? {
        return Err(Failure::saying(format_args!("there is no key {id}, or it is revoked already")));
    }
    output.line(format_args!("{id} is revoked: its tokens are refused"))
}

impl<'key> KeyObject<'key> {
    fn new(key: &'key StoredKey, signer: Option<&str>, now: DateTime<Utc>) -> Self {
        let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        Self {
            id: &key.id,
            algorithm: &key.algorithm,
            state: match key.status() {
                KeyStatus::Revoked => "revoked",
                _ if signer == Some(&key.id) => "current",
                _ if key.retired.is_none_or(|(at, _)| now < at) => "next",
                _ => "retired",
            },
            created_at: text(key.created_at),
            retired_at: key.retired.map(|(at, _)| text(at)),
            verifies_until: key.retired.map(|(_, until)| text(until)),
            revoked_at: key.revoked_at.map(text),
        }
    }

    /// The state, and until when tokens of a retired key are good.
    fn status(&self) -> String {
        match &self.verifies_until {
            Some(until) if self.state == "retired" => format!("retired until {}", moment(until)),
            _ => self.state.to_owned(),
        }
    }
}
