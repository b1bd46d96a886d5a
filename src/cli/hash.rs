//! `vigie hash`: a password in, its stored form out.

use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::Output;
use super::password;
use crate::credential::password::Passwords;

/// Where the password comes from.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Read the password from the standard input, also where that is a terminal
    #[arg(long)]
    password_stdin: bool,
}

/// Runs the command. The password must meet the policy, as everywhere; the database is not asked.
pub(super) async fn run(arguments: &Arguments, installation: &Installation, output: &mut Output) -> Outcome {
    let config = installation.config()?;
    let passwords = Passwords::new(&config.passwords, &[env!("CARGO_PKG_NAME")])?;
    let password = if password::can_ask() && !arguments.password_stdin {
        password::ask("Password: ")?.ok_or_else(|| Failure::saying("there is no password"))?
    } else {
        password::from_stdin()?
    };
    let accepted = passwords.accept(&password, "").await?;
    output.line(passwords.hash(accepted).await?.0)
}
