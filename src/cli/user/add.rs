//! `vigie user add`: creates a user, also before the first start of the server.

use secrecy::SecretString;

use super::{show, show_with_token};
use crate::app::App;
use crate::cli::outcome::Outcome;
use crate::cli::output::Output;
use crate::cli::{password, value};
use crate::model::audit::AuditContext;
use crate::model::user::{Email, Role, Username};
use crate::user::create::{Created, NewUser};

/// A user to be created.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "options of a command")]
pub(in crate::cli) struct Arguments {
    /// The name, as typed at login
    #[arg(value_parser = value::username)]
    name: Username,
    /// The role, such as `agent` or `admin`
    #[arg(long, value_parser = value::role)]
    role: Role,
    /// The e-mail address, for telling of a login from a new device
    #[arg(long, value_parser = value::email, value_name = "ADDRESS")]
    email: Option<Email>,
    /// Read the password from the standard input: its first line
    #[arg(long)]
    password_stdin: bool,
    /// Ask for no password, print a one-time token; the rule where the standard input is no terminal
    #[arg(long, conflicts_with = "password_stdin")]
    no_password: bool,
    /// The password is good for nothing but to be changed at the first login
    #[arg(long, conflicts_with = "no_password")]
    change_at_login: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments, app: &App, output: &mut Output) -> Outcome {
    let password = password(&arguments)?;
    let new = NewUser {
        username: arguments.name,
        role: arguments.role,
        password,
        change_at_login: arguments.change_at_login,
        email: arguments.email,
    };
    let Created { user, reset } = app.users.create(new, &AuditContext::command_line()).await?;
    match reset {
        Some(issued) => show_with_token(app, &user, &issued, arguments.json, output),
        None => show(&user, arguments.json, output),
    }
}

fn password(arguments: &Arguments) -> Outcome<Option<SecretString>> {
    if arguments.password_stdin {
        return password::from_stdin().map(Some);
    }
    if arguments.no_password || !password::can_ask() {
        return Ok(None);
    }
    password::ask("Password (nothing: a one-time token): ")
}
