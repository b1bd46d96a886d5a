//! What the doctor asks of the database: whether it answers, is up to date, has keys that open, agrees on the time, and
//! knows somebody who may administer.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Report;
use crate::app::{self, StartError, open_store};
use crate::audit::other_database::{self, OtherDatabase};
use crate::cli::migrate;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, is_loopback};
use crate::model::filter::{Text, UserFilter};
use crate::model::id::NodeId;
use crate::model::user::{Role, UserState};
use crate::store::roles::{self, OwnRole, RolePrefix};
use crate::store::{OpenError, Store, StoreError, catalogue, chain, changes, nodes, users};

/// Clocks that differ by more than this should be set right.
const NOTICEABLE: TimeDelta = TimeDelta::seconds(2);
/// Clocks that differ by more than this make tokens expire early, or be refused as issued in the future.
const HARMFUL: TimeDelta = TimeDelta::seconds(30);

/// The database, where it answers and has the tables that this version needs.
pub(super) async fn open(config: &Config, report: &mut Report) -> Option<Store> {
    if !migrate::is_there(config) {
        not_there(config, report);
        return None;
    }
    let store = match open_store(config) {
        Ok(store) => store,
        // It says itself what to do.
        Err(StartError::Open(error @ OpenError::SharedSessions)) => {
            report.fail("database", error);
            return None;
        }
        Err(error) => {
            report.fail("database", format_args!("{error}: check `[database] url`, and whether the server runs"));
            return None;
        }
    };
    if let Err(error) = store.ping().await {
        report.fail("database", error);
        return None;
    }
    report.ok("database", "answers");
    is_up_to_date(config, &store, report).await.then_some(store)
}

fn not_there(config: &Config, report: &mut Report) {
    match other_database::names_in(&config.data.dir).next() {
        None => report.warn("database", "there is none yet: the first start makes it"),
        Some(name) => report.fail(
            "database",
            format_args!(
                "there is none, but the data directory {} remembers one ({name}): look whether `[database] url` names the right \
                 file, and whether it was moved or deleted; the next start would make a new one, without users and history",
                config.data.dir.display()
            ),
        ),
    }
}

async fn is_up_to_date(config: &Config, store: &Store, report: &mut Report) -> bool {
    match store.pending_migrations().await {
        Ok(pending) if pending.is_empty() => {
            report.ok("migrations", "up to date");
            schema(store, report).await;
            roles(config, store, report).await;
        }
        Ok(pending) if config.database.migrate_on_start => report.warn(
            "migrations",
            format_args!("missing: {}; the next start applies them, or `vigie migrate`", pending.join(", ")),
        ),
        Ok(pending) => {
            report.fail("migrations", format_args!("missing: {}; run `vigie migrate`", pending.join(", ")));
        }
        Err(error) => {
            report.fail("migrations", error);
            return false;
        }
    }
    store.read(users::any).await.is_ok()
}

/// Whether the tables are what the migrations made of them.
async fn schema(store: &Store, report: &mut Report) {
    const NAME: &str = "schema";
    match store.read_long(catalogue::differences).await {
        Ok(differences) if differences.is_empty() => report.ok(NAME, "as the migrations make it"),
        Ok(differences) => {
            let all: Vec<String> = differences.iter().map(ToString::to_string).collect();
            report.fail(NAME, format_args!("not what the migrations make: {}", all.join("; ")));
        }
        Err(error) => report.fail(NAME, error),
    }
}

/// On PostgreSQL, whether roles have what they need, and whether the server's could alter the history.
async fn roles(config: &Config, store: &Store, report: &mut Report) {
    const NAME: &str = "database role";
    let lacking = migrate::lacking(store, &RolePrefix::default()).await;
    let (lacking, own_role) = match (lacking, store.read(roles::own_role).await) {
        (Ok(lacking), Ok(Some(own_role))) => (lacking, own_role),
        (Ok(_), Ok(None)) => return,
        (Err(error), _) | (_, Err(error)) => return report.fail(NAME, error),
    };
    for lack in &lacking {
        let text = format!("{lack}: run `vigie migrate --roles` as the owner of the tables");
        if lack.role == own_role.role { report.fail(NAME, text) } else { report.warn(NAME, text) }
    }
    let OwnRole { role, may_alter } = own_role;
    if may_alter.is_empty() {
        return report.ok(NAME, format_args!("{role} adds to the history, and can neither change nor delete it"));
    }
    let text = format!(
        "{role} can change or delete the history ({}): serve as a role of `vigie migrate --roles`",
        may_alter.join(", ")
    );
    // Nobody splits roles to try something out on this machine.
    if is_loopback(&config.server.public_url) { report.ok(NAME, text) } else { report.warn(NAME, text) }
}

/// Whether something in the database was made with a master key; not where it cannot be asked, which other checks tell.
pub(super) async fn needs_master_key(store: &Store) -> bool {
    store.read(app::is_new).await.is_ok_and(|is_new| !is_new)
}

/// Whether the database takes writes: logins, refreshes and logouts need them. What is written is taken away again in the
/// same transaction.
pub(super) async fn writes(store: &Store, report: &mut Report) {
    const NAME: &str = "database writes";
    let now = SystemClock.now();
    match store.write(move |db| nodes::probe_free_space(db, NodeId::new(now), now)).await {
        Ok(()) => report.ok(NAME, "there is room for more"),
        Err(StoreError::Full(cause)) => report
            .fail(NAME, format_args!("its disk is full, so logins, refreshes and logouts fail ({cause}): make room")),
        Err(error) => report.fail(NAME, format_args!("logins, refreshes and logouts fail: {error}")),
    }
}

/// Whether the data directory is that of this database.
pub(super) async fn remembered(config: &Config, store: &Store, report: &mut Report) {
    const NAME: &str = "remembered database";
    match store.read(changes::head).await {
        Ok(head) => match OtherDatabase::in_directory(&config.data.dir, &head.database) {
            None => report.ok(NAME, "the data directory remembers this one, or none"),
            Some(other) => report.warn(NAME, other),
        },
        Err(error) => report.fail(NAME, error),
    }
}

/// Sealing takes half a second.
const SEALED_BY: Duration = Duration::from_secs(2);

/// Whether what is written to the history is sealed, where a server runs.
pub(super) async fn sealing(store: &Store, report: &mut Report) {
    const NAME: &str = "sealing";
    let look = || store.read(|db| Ok::<_, StoreError>((chain::backlog(db, 1)?, nodes::others(db, None)?.len())));
    let (first, servers) = match look().await {
        Ok(found) => found,
        Err(error) => return report.fail(NAME, error),
    };
    if first.oldest.is_none() {
        return report.ok(NAME, "nothing waits");
    }
    if servers == 0 {
        return report.ok(NAME, "no server runs; the next start seals what waits");
    }
    tokio::time::sleep(SEALED_BY).await;
    match look().await {
        Ok((second, servers)) if servers > 0 && second.oldest == first.oldest => report.fail(
            NAME,
            "a record waits though a server runs: what is written to the history can be changed unseen until it is sealed; look \
             at the server's log, and for a session of the database that holds a lock",
        ),
        Ok(_) => report.ok(NAME, "goes on"),
        Err(error) => report.fail(NAME, error),
    }
}

/// Whether this machine's clock and the database's agree.
pub(super) async fn clock(store: &Store, report: &mut Report) {
    let before = SystemClock.now();
    let asked = store.database_time().await;
    let after = SystemClock.now();
    match asked {
        Ok(None) => report.ok("clock", "the database uses this machine's"),
        Ok(Some(theirs)) => compare(before + (after - before) / 2, theirs, report),
        Err(error) => report.fail("clock", error),
    }
}

fn compare(ours: DateTime<Utc>, theirs: DateTime<Utc>, report: &mut Report) {
    let apart = (ours - theirs).abs();
    let text = format!("this machine's and the database's are {:.1} s apart", apart.as_seconds_f64());
    if apart > HARMFUL {
        report.fail("clock", format_args!("{text}: set both by NTP before you serve"));
    } else if apart > NOTICEABLE {
        report.warn("clock", format_args!("{text}: set both by NTP"));
    } else {
        report.ok("clock", text);
    }
}

/// Whether there is an active administrator.
pub(super) async fn administrator(config: &Config, store: &Store, report: &mut Report) {
    let roles = config.roles.admin.clone();
    let names: Vec<&str> = config.roles.admin.iter().map(Role::as_str).collect();
    let found = store.read(move |db| {
        for role in roles {
            let role = Some(Text(role.as_str().to_owned()));
            let filter = UserFilter { role, state: Some(UserState::Active), name: None };
            if !users::list(db, &filter, None, 1)?.items.is_empty() {
                return Ok(true);
            }
        }
        Ok::<_, StoreError>(false)
    });
    match found.await {
        Ok(true) => report.ok("administrator", "there is an active one"),
        Ok(false) => report.warn(
            "administrator",
            format_args!("there is no active one: `vigie user add NAME --role {}`", names.join("|")),
        ),
        Err(error) => report.fail("administrator", error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    fn status(milliseconds: i64) -> Status {
        let ours = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut report = Report::default();
        compare(ours, ours + TimeDelta::milliseconds(milliseconds), &mut report);
        report.0[0].status
    }

    #[test]
    fn clocks_may_differ_by_two_seconds_and_must_not_by_more_than_thirty() {
        for (milliseconds, expected) in [
            (0, Status::Ok),
            (2000, Status::Ok),
            (-2000, Status::Ok),
            (2001, Status::Warn),
            (-30_000, Status::Warn),
            (30_001, Status::Fail),
            (-3_600_000, Status::Fail),
        ] {
            assert_eq!(status(milliseconds), expected, "{milliseconds} ms");
        }
    }
}
