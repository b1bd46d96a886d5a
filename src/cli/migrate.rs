//! `vigie migrate`: brings the database up to date and makes the roles that work on it, or says what is missing.

use super::installation::Installation;
use super::outcome::{Failure, Outcome};
use super::output::Output;
use crate::app::open_store;
use crate::config::{Config, DatabaseAddress};
use crate::store::roles::{self, DatabaseRole, InvalidRolePrefix, Prepared, RolePrefix, RolesError};
use crate::store::{Store, StoreError};

/// What to do.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Change nothing; say what is missing, and fail where something is
    #[arg(long)]
    check: bool,
    /// Also make the roles of PostgreSQL that serve, read and remove, and grant each what it needs; run it as the owner of
    /// the tables, again after each update
    #[arg(long)]
    roles: bool,
    /// How the names of these roles begin
    #[arg(long, value_name = "PREFIX", default_value = "vigie", value_parser = role_prefix)]
    role_prefix: RolePrefix,
}

fn role_prefix(text: &str) -> Result<RolePrefix, InvalidRolePrefix> {
    RolePrefix::parse(text)
}

pub(super) async fn run(arguments: &Arguments, installation: &Installation, output: &mut Output) -> Outcome {
    let config = installation.config()?;
    if arguments.roles && sqlite_file(&config).is_some() {
        return Err(Failure::wrong_use(RolesError::NotPostgres.to_string()));
    }
    if arguments.check {
        return check(arguments, &config, output).await;
    }
    let store = open_store(&config)?;
    let migrated = store.migrate().await?;
    for name in &migrated.applied {
        output.line(format_args!("applied {name}"))?;
    }
    if migrated.applied.is_empty() {
        output.line("the database is up to date")?;
    }
    if arguments.roles {
        return make_roles(&store, &arguments.role_prefix, output).await;
    }
    for lack in lacking(&store, &arguments.role_prefix).await? {
        output.note(format_args!("{lack}: run `vigie migrate --roles`"));
    }
    Ok(())
}

async fn make_roles(store: &Store, prefix: &RolePrefix, output: &mut Output) -> Outcome {
    let asked = prefix.clone();
    let Prepared { created, schema } = store.write_long(move |db| roles::prepare(db, &asked)).await?;
    for name in created {
        output.line(format_args!("created the role {name}"))?;
    }
    let [application, reader, retention] = DatabaseRole::ALL.map(|role| prefix.name(role));
    output.line(format_args!("granted what {application}, {reader} and {retention} need on the schema {schema}"))?;
    output.note(format_args!(
        "Next: let somebody log in as each, such as\n\
         \x20 CREATE ROLE {prefix}_server LOGIN PASSWORD '…' IN ROLE {application};\n\
         and serve as that: DATABASE_URL=postgres://{prefix}_server:…@host/name"
    ));
    if schema != "public" {
        output.note(format_args!("Each must find the tables: ALTER ROLE {prefix}_server SET search_path = {schema};"));
    }
    Ok(())
}

async fn check(arguments: &Arguments, config: &Config, output: &mut Output) -> Outcome {
    if !is_there(config) {
        return Err(Failure::saying("there is no database yet: run `vigie migrate`"));
    }
    let store = open_store(config)?;
    let pending = store.pending_migrations().await?;
    for name in &pending {
        output.line(format_args!("missing {name}"))?;
    }
    if !pending.is_empty() {
        return Err(Failure::saying("run `vigie migrate`"));
    }
    let mut lines = Vec::new();
    if arguments.roles {
        let prefix = arguments.role_prefix.clone();
        let missing = store.read(move |db| roles::missing(db, &prefix)).await?;
        lines.extend(missing.into_iter().map(|name| format!("missing the role {name}")));
    }
    lines.extend(lacking(&store, &arguments.role_prefix).await?.iter().map(ToString::to_string));
    for line in &lines {
        output.line(line)?;
    }
    if lines.is_empty() {
        return output.line("the database is up to date");
    }
    Err(Failure::saying("run `vigie migrate --roles` as the owner of the tables"))
}

/// What roles lack of what they need here.
pub(super) async fn lacking(store: &Store, prefix: &RolePrefix) -> Result<Vec<roles::MissingPrivileges>, StoreError> {
    let prefix = prefix.clone();
    store.read(move |db| roles::lacking(db, &prefix)).await
}

/// Whether there is a database to look at. Opening a SQLite file that is not there would make it.
pub(super) fn is_there(config: &Config) -> bool {
    sqlite_file(config).is_none_or(std::path::Path::exists)
}

fn sqlite_file(config: &Config) -> Option<&std::path::Path> {
    match &config.database.url {
        DatabaseAddress::Sqlite(path) => Some(path),
        DatabaseAddress::Postgres(_) => None,
    }
}
