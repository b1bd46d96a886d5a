//! `vigie key rotate-master`: the master key exchanged for a new one, which is written to a file and never shown.

use std::path::{Path, PathBuf};

use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::Output;
use crate::app::{App, StartError};
use crate::config::Config;
use crate::master_key::MasterKey;
use crate::model::audit::AuditContext;
use crate::rotation::{self, compromised};
use crate::vault::{Vault, VaultError};

/// Which step of a rotation of the master key.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Arguments {
    /// The second step: forget the old master key, once every server works with the new one
    #[arg(long)]
    finish: bool,
    /// Somebody else may have the master key: replace every key at once, and end every session. Servers must be stopped
    #[arg(long, conflicts_with = "finish")]
    compromised: bool,
}

pub(super) async fn run(arguments: Arguments, installation: &Installation, output: &mut Output) -> Outcome {
    let config = installation.config()?;
    let ran = installation
        .with_app(async |app| match arguments {
            Arguments { finish: true, .. } => finish(app, output).await,
            Arguments { compromised: true, .. } => replace_all(app, output).await,
            Arguments { .. } => begin(app, output).await,
        })
        .await;
    match ran {
        // A run before was cut off when all was done, or the new key was not put in its place.
        Err(failure) if failure.start_error().is_some_and(|error| is_replaced(&config, error)) => {
            Err(Failure::saying(format!("the master key was replaced already. {}", put_in_place(&config))))
        }
        ran => ran,
    }
}

async fn begin(app: &App, output: &mut Output) -> Outcome {
    rotation::ensure_may_begin(&app.store, &app.vault).await?;
    let new = new_vault(app).await?;
    rotation::begin(&app.store, &app.vault, &new, &AuditContext::command_line(), app.clock.now()).await?;
    output.line(format_args!("the new master key {} is in {}", new.id(), new_file(&app.config).display()))?;
    output.note(format_args!(
        "Both master keys open the database from now on. {}, and restart the servers one after the other. Then run `vigie key \
         rotate-master --finish` with the new one.",
        put_in_place(&app.config)
    ));
    Ok(())
}

async fn finish(app: &App, output: &mut Output) -> Outcome {
    rotation::finish(&app.store, &app.vault, &AuditContext::command_line(), app.clock.now()).await?;
    output.line(format_args!("{} is the only master key: the one before opens nothing any more", app.vault.id()))
}

async fn replace_all(app: &App, output: &mut Output) -> Outcome {
    let shares_a_secret = !app.config.tokens.hs256_secret_file.as_os_str().is_empty();
    let dependencies = compromised::Dependencies {
        store: app.store.clone(),
        clock: std::sync::Arc::clone(&app.clock),
        vault: app.vault.clone(),
        chain: app.chain.clone(),
        algorithm: (!shares_a_secret).then_some(app.config.tokens.algorithm),
    };
    compromised::ensure_may_begin(&dependencies).await?;
    let lay_there = new_file(&app.config).exists();
    let new = new_vault(app).await?;
    // Whoever has the master key could lay one there; and that of a rotation under way lay beside it.
    if lay_there && !rotation::was_begun(&app.store, new.id()).await? {
        return Err(Failure::saying(format!(
            "{} was not made for this: remove it, then run this again",
            new_file(&app.config).display()
        )));
    }
    compromised::replace_all(&dependencies, &new, &AuditContext::command_line()).await?;
    output.line(format_args!("every key is new, and every session is over"))?;
    output.line(format_args!("the new master key {} is in {}", new.id(), new_file(&app.config).display()))?;
    output.note(format_args!(
        "{}, then start the servers.\n\
         Whoever had the master key may have had more. Change as well:\n\
         \x20 the password of the database, and of the mail server\n\
         \x20 the secret of tokens.hs256_secret_file, where one is shared\n\
         \x20 the secrets of clients (`vigie client rotate-secret`), of webhooks ([alerts], [shipping])\n\
         Verifiers of checkpoints follow to the new key by `vigie audit checkpoint --key`.",
        put_in_place(&app.config)
    ));
    Ok(())
}

/// The new master key, in its file.
async fn new_vault(app: &App) -> Result<Vault, Failure> {
    let path = new_file(&app.config);
    let new = rotation::new_master_key(&path).map_err(Failure::saying)?;
    if new.id() == *app.vault.id() {
        let message =
            format!("{} is the master key that is in use: remove that file, then run this again", path.display());
        return Err(Failure::saying(message));
    }
    Ok(Vault::new(&app.store, new).await?)
}

/// Beside the file of the master key, also where that is given otherwise.
fn new_file(config: &Config) -> PathBuf {
    let mut path = config.master_key_path().into_os_string();
    path.push(".new");
    path.into()
}

fn put_in_place(config: &Config) -> String {
    use secrecy::ExposeSecret as _;
    let (new, old) = (new_file(config), config.master_key_path());
    if config.keys.master_key.expose_secret().is_empty() {
        format!("Give every node the new one: move {} to {}", new.display(), old.display())
    } else {
        format!("Give every node the new one: what is in {} as VIGIE__KEYS__MASTER_KEY", new.display())
    }
}

/// Whether the keyring is encrypted with the new master key that lies there, and no more with the one that was given.
fn is_replaced(config: &Config, error: &StartError) -> bool {
    let StartError::Vault(VaultError::OtherMasterKey { known, .. }) = error else { return false };
    let new: Option<MasterKey> = MasterKey::read(Path::new(&new_file(config))).ok();
    new.is_some_and(|new| known.contains(&new.id().0))
}
