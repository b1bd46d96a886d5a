//! `vigie user`: accounts.

mod add;
mod export;
mod import;
mod list;

use serde_json::json;

use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::Output;
use super::table::facts;
use super::value;
use crate::app::App;
use crate::model::audit::{AuditContext, AuditKind};
use crate::model::id::UserId;
use crate::model::secret::SecretKind;
use crate::model::user::{Email, Role, User, UserState};
use crate::user::change::UserChange;
use crate::user::erase::Erased;
use crate::user::password::IssuedToken;
use crate::view::UserObject;

/// What to do with accounts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a user; without a password, print a one-time token with which the user sets one
    Add(add::Arguments),
    /// List users by name
    List(list::Arguments),
    /// Show a user
    Show {
        /// Name or id
        user: String,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Import users, with the hashes of their passwords as they are: all of the file, or none
    Import(import::Arguments),
    /// Give a user another role; it holds from the next request
    Role {
        /// Name or id
        user: String,
        /// The new role
        #[arg(value_parser = value::role)]
        role: Role,
    },
    /// Give a user another e-mail address, or none
    Email {
        /// Name or id
        user: String,
        /// The new address; without one the user has none
        #[arg(value_parser = value::email)]
        address: Option<Email>,
    },
    /// Let a user log in again
    Enable {
        /// Name or id
        user: String,
    },
    /// Let a user log in no more, and end all sessions
    Disable {
        /// Name or id
        user: String,
    },
    /// Delete a user, and end all sessions; the history keeps id and name
    Delete {
        /// Name or id
        user: String,
    },
    /// Erase a person: the account, and what names the person in the history, which stays under the user's id
    Erase {
        /// Name, or id where the account was deleted before
        user: String,
    },
    /// Write all that is kept about a user: one JSON object a line
    Export(export::Arguments),
    /// Lift the waiting time after failed logins
    Unlock {
        /// Name or id
        user: String,
    },
    /// Print a one-time token with which the user sets a new password
    ResetPassword {
        /// Name or id
        user: String,
        /// The password that there is logs in no more, from now on
        #[arg(long)]
        void_password: bool,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(super) async fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        installation
            .with_app(async |app| match self {
                Self::Add(arguments) => add::run(arguments, app, output).await,
                Self::List(arguments) => list::run(&arguments, app, output).await,
                Self::Show { user, json } => show(&found(app, &user).await?, json, output),
                Self::Import(arguments) => import::run(&arguments, app, output).await,
                Self::Role { user, role } => {
                    change(app, &user, UserChange { role: Some(role), ..UserChange::default() }, output).await
                }
                Self::Email { user, address } => {
                    change(app, &user, UserChange { email: Some(address), ..UserChange::default() }, output).await
                }
                Self::Enable { user } => set_state(app, &user, UserState::Active, output).await,
                Self::Disable { user } => set_state(app, &user, UserState::Disabled, output).await,
                Self::Delete { user } => delete(app, &user, output).await,
                Self::Erase { user } => erase(app, &user, output).await,
                Self::Export(arguments) => export::run(&arguments, app, output).await,
                Self::Unlock { user } => unlock(app, &user, output).await,
                Self::ResetPassword { user, void_password, json } => {
                    reset_password(app, &user, void_password, json, output).await
                }
            })
            .await
    }
}

async fn found(app: &App, text: &str) -> Outcome<User> {
    app.users.find_by_id_or_name(text).await?.ok_or_else(|| missing(text))
}

/// The user whom an operation is about; that there is none is recorded.
async fn found_for(app: &App, text: &str, operation: AuditKind) -> Outcome<User> {
    let found = app.users.find_by_id_or_name_for(operation, text, &AuditContext::command_line()).await?;
    found.ok_or_else(|| missing(text))
}

fn missing(text: &str) -> Failure {
    Failure::saying(format_args!("there is no user {text}"))
}

fn show(user: &User, as_json: bool, output: &mut Output) -> Outcome {
    let user = UserObject::from(user);
    if as_json {
        return output.json(&user);
    }
    facts(
        output,
        &[
            ("id", &user.id),
            ("username", &user.username),
            ("role", &user.role),
            ("state", user.state.as_str()),
            ("password", password(&user)),
            ("created at", &user.created_at),
            ("password changed at", user.password_changed_at.as_deref().unwrap_or_default()),
            ("e-mail", user.email.as_deref().unwrap_or_default()),
        ],
    )
}

const fn password(user: &UserObject) -> &'static str {
    match (user.has_password, user.password_change_required) {
        (false, _) => "none: login is impossible until one is set",
        (true, true) => "set by somebody else: to be changed at the first login",
        (true, false) => "set",
    }
}

async fn change(app: &App, user: &str, change: UserChange, output: &mut Output) -> Outcome {
    let user = found_for(app, user, change.kind()).await?;
    let user = app.users.change(user.id, change, &AuditContext::command_line()).await?;
    output.line(format_args!("{}: {}, {}", user.username, user.role, user.state))
}

async fn set_state(app: &App, user: &str, state: UserState, output: &mut Output) -> Outcome {
    change(app, user, UserChange { state: Some(state), ..UserChange::default() }, output).await
}

async fn delete(app: &App, user: &str, output: &mut Output) -> Outcome {
    let user = found_for(app, user, AuditKind::UserDeleted).await?;
    app.users.delete(user.id, &AuditContext::command_line()).await?;
    output.line(format_args!("deleted {} ({})", user.username, user.id))
}

async fn erase(app: &App, user: &str, output: &mut Output) -> Outcome {
    let id = match user.parse::<UserId>() {
        Ok(id) => id,
        Err(_) => found_for(app, user, AuditKind::UserErased).await?.id,
    };
    let erased = app.users.erase(id, &AuditContext::command_line()).await?;
    let Erased { sessions, attempts, events, sealed_in_the_clear, altered, complete } = erased;
    if !complete {
        return Err(Failure::saying(format_args!(
            "the account of {id} is deleted, but the database lets this role change nothing in the history: run `vigie \
             retention run` as a role that may"
        )));
    }
    if sealed_in_the_clear > 0 {
        output.note(format_args!(
            "{sealed_in_the_clear} rows were sealed before names could be taken away: they keep them until they are removed."
        ));
    }
    if altered > 0 {
        output.note(format_args!(
            "{altered} rows are not what was recorded of them, and stay as they are: run `vigie audit verify`."
        ));
    }
    output.line(format_args!("erased {id}: {sessions} sessions, {attempts} attempts, {events} events"))
}

async fn unlock(app: &App, user: &str, output: &mut Output) -> Outcome {
    let user = found_for(app, user, AuditKind::UserUnlocked).await?;
    app.users.unlock(user.id, &AuditContext::command_line()).await?;
    output.line(format_args!("{} may try again at once", user.username))
}

async fn reset_password(app: &App, user: &str, void_password: bool, as_json: bool, output: &mut Output) -> Outcome {
    let user = found_for(app, user, AuditKind::PasswordResetIssued).await?;
    let issued = app.users.issue_reset(user.id, void_password, &AuditContext::command_line()).await?;
    show_with_token(app, &user, &issued, as_json, output)
}

/// Shows a one-time token, the only time.
fn show_with_token(app: &App, user: &User, issued: &IssuedToken, as_json: bool, output: &mut Output) -> Outcome {
    let token = issued.secret.reveal(SecretKind::OneTimeToken);
    let server = &app.config.server;
    let link = app.config.console.enabled.then(|| server.page(&format!("/reset?token={token}")));
    if as_json {
        return output.json(&json!({
            "user": UserObject::from(user), "token": token, "link": link, "expires_at": issued.expires_at,
        }));
    }
    let until = issued.expires_at.format("%Y-%m-%d %H:%M UTC").to_string();
    facts(
        output,
        &[
            ("id", &user.id.to_string()),
            ("username", user.username.as_str()),
            ("one-time token", &token),
            ("link", link.as_deref().unwrap_or_default()),
            ("good until", &until),
        ],
    )?;
    output.note("The token is not kept: hand it over now, or its link. It sets a password on that page, or by POST /auth/reset.");
    Ok(())
}
