//! What the doctor says of names and roles that no user would be given today: they stay, and people should know of them.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::Report;
use crate::config::Config;
use crate::model::filter::UserFilter;
use crate::model::user::{InvalidRole, InvalidUsername, Role, User, Username};
use crate::store::users;
use crate::store::{Db, Store, StoreError};

/// Users read at a time.
const PAGE: i64 = 500;
/// Names that are shown one by one.
const SHOWN: usize = 10;

/// Names and roles that no user would be given today.
#[derive(Default)]
struct Doubtful {
    /// Written like an id, or not what they look like.
    unclear: Vec<(Username, InvalidUsername)>,
    /// The same as another's but for their case, as it is compared today.
    colliding: Vec<String>,
    /// Not what they look like.
    roles: BTreeMap<String, InvalidRole>,
}

impl Doubtful {
    fn add_role(&mut self, role: &Role) {
        if let Err(reason) = Role::new(role.as_str()) {
            self.roles.insert(role.as_str().to_owned(), reason);
        }
    }

    fn add(&mut self, user: &User) {
        self.add_role(&user.role);
        if let Err(reason) = Username::new(user.username.as_str()) {
            self.unclear.push((user.username.clone(), reason));
        }
    }
}

/// Says which names are written like an id, are not what they look like, or are another's but for their case; and which roles
/// are not what they look like.
pub(super) async fn look_at(config: &Config, store: &Store, report: &mut Report) {
    match store.read_long(read).await {
        Ok(mut doubtful) => {
            for role in config.roles.admin.iter().chain(&config.roles.auditor) {
                doubtful.add_role(role);
            }
            say(&doubtful, report);
        }
        Err(error) => report.fail("names", error),
    }
}

fn say(Doubtful { unclear, colliding, roles }: &Doubtful, report: &mut Report) {
    if unclear.is_empty() && colliding.is_empty() {
        report.ok("names", "each is what it looks like, and one user's");
    }
    if !unclear.is_empty() {
        let way = "rename them (`PATCH /admin/users/{id}`)";
        report.warn("names", unclear_names(way, unclear.iter().map(|(name, reason)| (name, reason))));
    }
    if !colliding.is_empty() {
        report.warn("names", colliding_names(colliding));
    }
    if roles.is_empty() {
        report.ok("roles", "each is what it looks like");
    } else {
        let way = "give their users others, and write others in `[roles]`";
        report.warn("roles", unclear_names(way, roles.iter()));
    }
}

fn read(db: &mut Db) -> Result<Doubtful, StoreError> {
    let (mut doubtful, mut after) = (Doubtful::default(), None);
    loop {
        let page = users::list(db, &UserFilter::default(), after.as_ref(), PAGE)?;
        for user in &page.items {
            doubtful.add(user);
        }
        after = page.next;
        if after.is_none() {
            doubtful.colliding = users::colliding_names(db)?;
            return Ok(doubtful);
        }
    }
}

fn unclear_names(way: &str, names: impl ExactSizeIterator<Item = (impl Display, impl Display)>) -> String {
    let names = first(names.map(|(name, reason)| format!("`{name}` ({reason})")));
    format!("no user would be given these today, {way}: {names}")
}

fn colliding_names(names: &[String]) -> String {
    let names = first(names.iter().map(|name| format!("`{name}`")));
    format!(
        "others are named the same but for the case, so that each logs in by the exact name only; rename one: {names}"
    )
}

/// The first, and how many more there are.
fn first(found: impl ExactSizeIterator<Item = String>) -> String {
    let more = found.len().saturating_sub(SHOWN);
    let names: Vec<String> = found.take(SHOWN).collect();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
