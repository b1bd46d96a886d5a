//! `vigie user list`: users by name.

use crate::app::App;
use crate::cli::filter::Flags;
use crate::cli::outcome::Outcome;
use crate::cli::output::Output;
use crate::cli::pages;
use crate::cli::table::{Table, moment};
use crate::model::filter::UserFilter;
use crate::view::UserObject;

/// Which users.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    filter: Flags<UserFilter>,
    /// At most so many; without it all
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: &Arguments, app: &App, output: &mut Output) -> Outcome {
    let limit = arguments.limit.unwrap_or(usize::MAX);
    let filter = UserFilter::clone(&arguments.filter.0);
    let (users, _) =
        pages::read(limit, async |after, limit| app.users.list(filter.clone(), after, limit).await).await?;
    let users: Vec<UserObject> = users.iter().map(UserObject::from).collect();
    if arguments.json {
        return output.json(&users);
    }
    let mut table = Table::new(&["id", "username", "role", "state", "password", "created (utc)"]);
    for user in &users {
        let password = if user.has_password { "set" } else { "none" };
        let created = moment(&user.created_at);
        table.row([&user.id, &user.username, &user.role, user.state.as_str(), password, &created]);
    }
    table.write(output)
}
