//! The command line: the same operations as the API, without HTTP. One command, one file (or folder, where it has
//! commands of its own). All work on a live database, and running nodes see at once what they did.

mod alert;
mod audit;
mod client;
mod config;
mod demo;
mod doctor;
mod exit_code;
mod export;
mod filter;
mod hash;
mod installation;
mod key;
mod migrate;
mod openapi;
mod outcome;
mod output;
mod pages;
mod password;
mod progress;
mod retention;
mod rotate_master;
mod serve;
mod session;
mod signals;
mod table;
mod throttle;
mod user;
mod value;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit_code::exit_code;
use installation::Installation;
use outcome::Outcome;
use output::Output;

/// Auth server that can always say who logged in, when, from where, with which token, and where logged out means logged
/// out.
#[derive(Debug, Parser)]
#[command(
    name = "vigie",
    version,
    after_help = "Without a command the server runs. Exit codes: 0 done, 1 failed, 2 wrong use."
)]
struct CommandLine {
    #[command(flatten)]
    installation: Installation,
    /// Without one, the server runs.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Arguments),
    /// Bring the database up to date
    Migrate(migrate::Arguments),
    /// Check the installation, and say what to do; changes nothing
    Doctor(doctor::Arguments),
    /// Accounts
    #[command(subcommand)]
    User(user::Command),
    /// Sessions: the connection history, and ending what is active
    #[command(subcommand)]
    Session(session::Command),
    /// What reviewers should look at
    #[command(subcommand)]
    Alert(alert::Command),
    /// What failed logins cost whom now
    #[command(subcommand)]
    Throttle(throttle::Command),
    /// Applications registered with the server
    #[command(subcommand)]
    Client(client::Command),
    /// The keys that sign access tokens, and the master key
    #[command(subcommand)]
    Key(key::Command),
    /// The record of what happened to users, sessions, clients and keys
    #[command(subcommand)]
    Audit(audit::Command),
    /// How long the history is kept
    #[command(subcommand)]
    Retention(retention::Command),
    /// Read a password, print its hash: what `user import` takes
    Hash(hash::Arguments),
    /// The configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Print the OpenAPI document of the API
    Openapi,
}

impl CommandLine {
    /// Reads the arguments of this process. Where they ask for help, or cannot be read, that has been written: the
    /// process ends with this code.
    fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            let code = if error.use_stderr() { exit_code::WRONG_USE } else { exit_code::DONE };
            // Nobody reads it: there is nothing else to do.
            let _ = error.print();
            ExitCode::from(code)
        })
    }

    /// Runs the command; says on the standard error stream why it failed.
    async fn run(self) -> ExitCode {
        let mut output = Output::default();
        let command = self.command.unwrap_or(Command::Serve(serve::Arguments::default()));
        let outcome = command.run(&self.installation, &mut output).await;
        exit_code(outcome, &mut output)
    }
}

impl Command {
    async fn run(self, installation: &Installation, output: &mut Output) -> Outcome {
        match self {
            Self::Serve(arguments) => serve::run(&arguments, installation).await,
            Self::Migrate(arguments) => migrate::run(&arguments, installation, output).await,
            Self::Doctor(arguments) => doctor::run(&arguments, installation, output).await,
            Self::User(command) => command.run(installation, output).await,
            Self::Session(command) => command.run(installation, output).await,
            Self::Alert(command) => command.run(installation, output).await,
            Self::Throttle(command) => command.run(installation, output).await,
            Self::Client(command) => command.run(installation, output).await,
            Self::Key(command) => command.run(installation, output).await,
            Self::Audit(command) => command.run(installation, output).await,
            Self::Retention(command) => command.run(installation, output).await,
            Self::Hash(arguments) => hash::run(&arguments, installation, output).await,
            Self::Config(command) => command.run(installation, output),
            Self::Openapi => openapi::run(output),
        }
    }
}

/// The whole program: reads the command line, runs one command, and maps its outcome to an exit code.
///
/// Not asynchronous, so that what it runs is compiled with the library and not once more with each program that calls it.
#[must_use]
pub fn main() -> ExitCode {
    let command_line = match CommandLine::read() {
        Ok(command_line) => command_line,
        Err(code) => return code,
    };
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(command_line.run()),
        Err(error) => cannot_start(&error),
    }
}

fn cannot_start(error: &std::io::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "vigie: no threads can be started: {error}");
    ExitCode::from(exit_code::FAILED)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_contract_is_known() {
        let id = "0198c2a0-0000-7000-8000-000000000000";
        for line in [
            "serve --demo",
            "migrate --check",
            "migrate --roles --role-prefix mairie",
            "doctor --json",
            "user add alice --role agent --password-stdin",
            "user list --json",
            "user show alice",
            "user import - --format csv --dry-run",
            "user role alice admin",
            "user email alice alice@example.org",
            "user email alice",
            "user enable alice",
            "user disable alice",
            "user delete alice",
            "user unlock alice",
            "user reset-password alice",
            "session list --user alice --state active --sort=-last_seen_at --limit 5 --json",
            &format!("session show {id}"),
            &format!("session end {id} --note x"),
            "session end --ip 192.0.2.0/24 --dry-run",
            "session export --format ndjson --output x",
            "session watch --for 3",
            "alert list --all --kind new_device --subject x --json",
            &format!("alert show {id} --json"),
            &format!("alert acknowledge {id} --note x"),
            "throttle list --scope account --all --json",
            &format!("throttle lift {id}"),
            "client add shop --name Shop --scope introspect --scope revoke",
            "client list",
            "client remove shop",
            "client rotate-secret shop",
            "key list",
            "key rotate",
            "key revoke x",
            "key rotate-master",
            "key rotate-master --finish",
            "key rotate-master --compromised",
            "audit export --format csv --separator semicolon --bom",
            "audit verify --checkpoint x --json",
            "audit verify --public-key vigie/x+443d1c4e+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea --checkpoint x",
            "audit checkpoint --key",
            "retention run --dry-run --json",
            "user export alice --output x",
            "user erase alice",
            "hash --password-stdin",
            "config check",
            "config print",
            "openapi --config vigie.toml",
        ] {
            let read = CommandLine::try_parse_from(std::iter::once("vigie").chain(line.split(' ')));
            assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
        }
    }

    #[test]
    fn a_file_to_import_is_not_taken_for_the_configuration() {
        let line = CommandLine::try_parse_from(["vigie", "user", "import", "users.csv"]).unwrap();
        assert_eq!(line.installation, Installation::default());
    }

    #[test]
    fn a_password_is_never_an_argument() {
        for line in ["user add alice --role agent --password secret", "hash secret"] {
            let read = CommandLine::try_parse_from(std::iter::once("vigie").chain(line.split(' ')));
            assert_eq!(read.unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
