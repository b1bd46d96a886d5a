//! What the doctor says of names that no user would be given today: they stay, and people should know of them.

use super::Report;
use crate::model::user::{InvalidUsername, Username};
use crate::store::users::{self, Position, UserFilter};
use crate::store::{Db, Store, StoreError};

/// Users read at a time.
const PAGE: i64 = 500;
/// Names that are told one by one.
const TOLD: usize = 10;

/// Names that no user would be given today.
struct Doubtful {
    /// Written like an id, or with what nobody sees.
    unclear: Vec<(Username, InvalidUsername)>,
    /// The same as another's but for their case, as it is compared today.
    colliding: Vec<String>,
}

/// Says which names are written like an id, hold what nobody sees, or are another's but for their case.
pub(super) async fn look_at(store: &Store, report: &mut Report) {
    match store.read_at_length(read).await {
        Ok(Doubtful { unclear, colliding }) if unclear.is_empty() && colliding.is_empty() => {
            report.ok("names", "each is what it looks like, and one user's");
        }
        Ok(Doubtful { unclear, colliding }) => {
            if !unclear.is_empty() {
                report.warn("names", told_unclear(&unclear));
            }
            if !colliding.is_empty() {
                report.warn("names", told_colliding(&colliding));
            }
        }
        Err(error) => report.fail("names", error),
    }
}

fn read(db: &mut Db) -> Result<Doubtful, StoreError> {
    let (mut unclear, mut after) = (Vec::new(), None);
    loop {
        let page = users::list(db, &UserFilter::default(), after.as_ref(), PAGE)?;
        let names = page.items.iter().map(|user| user.username.clone());
        unclear.extend(names.filter_map(|name| Username::new(name.as_str()).err().map(|reason| (name, reason))));
        if !page.has_more {
            return Ok(Doubtful { unclear, colliding: users::colliding_names(db)? });
        }
        after = page.items.last().map(Position::of);
    }
}

fn told_unclear(names: &[(Username, InvalidUsername)]) -> String {
    let names = first(names.iter().map(|(name, reason)| format!("`{name}` ({reason})")));
    format!("no user would be given these today, rename them (`PATCH /admin/users/{{id}}`): {names}")
}

fn told_colliding(names: &[String]) -> String {
    let names = first(names.iter().map(|name| format!("`{name}`")));
    format!(
        "others are named the same but for the case, so that each logs in by the exact name only; rename one: {names}"
    )
}

/// The first, and how many more there are.
fn first(told: impl ExactSizeIterator<Item = String>) -> String {
    let more = told.len().saturating_sub(TOLD);
    let names: Vec<String> = told.take(TOLD).collect();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
