//! What each command leaves in the record.

use rstest::rstest;

use crate::support::app::PASSWORD;
use crate::support::backend::Backend::{self, Postgres, Sqlite};
use crate::support::dump::Beside;
use crate::support::program::Program;

const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// The record of an installation, read past the program.
struct Record {
    beside: Beside,
    seen: usize,
}

impl Record {
    /// What was recorded since the last look: kinds, with reasons.
    fn fresh(&mut self) -> String {
        let query = "SELECT kind || coalesce(' (' || reason || ')', '') AS line FROM audit_events ORDER BY seq";
        let lines = self.beside.lines(query);
        let fresh = lines[self.seen..].join(", ");
        self.seen = lines.len();
        fresh
    }
}

/// LOG-01: operations on the command line are recorded as those of the API are, refused ones too.
#[rstest]
#[actix_web::test]
async fn log_01_each_command_leaves_its_events(#[values(Sqlite, Postgres)] backend: Backend) {
    let database = backend.database();
    let url = database.url.clone();
    let program = Program::on(database);
    program.run(&["migrate"]).expect(0);
    let mut record = Record { beside: Beside::connect(&url), seen: 0 };
    let users = program.file("users.csv", "username,role\ncarol,agent\ndave,agent\n");
    let faulty = program.file("faulty.csv", "username,role\nerin,\n");
    let mut table: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["migrate"], 0, ""),
        (vec!["key", "list"], 0, "key.created"),
        (vec!["user", "add", "root", "--role", "admin", "--password-stdin"], 0, "user.created"),
        (vec!["user", "add", "ROOT", "--role", "admin", "--password-stdin"], 1, "operation.refused (name_taken)"),
        (vec!["user", "add", "alice", "--role", "agent", "--no-password"], 0, "user.created, password.reset_issued"),
        (vec!["user", "list"], 0, ""),
        (vec!["user", "show", "alice"], 0, ""),
        (vec!["user", "role", "alice", "chef"], 0, "user.role_changed"),
        (vec!["user", "role", "root", "chef"], 1, "operation.refused (last_administrator)"),
        (vec!["user", "disable", "alice"], 0, "user.disabled"),
        (vec!["user", "disable", "nobody"], 1, "operation.refused (not_found)"),
        (vec!["user", "enable", "alice"], 0, "user.enabled"),
        (vec!["user", "email", "alice", "alice@example.org"], 0, "user.email_changed"),
        (vec!["user", "email", "nobody", "nobody@example.org"], 1, "operation.refused (not_found)"),
        (vec!["user", "unlock", "alice"], 0, "user.unlocked"),
        (vec!["user", "reset-password", "alice"], 0, "password.reset_issued"),
        (vec!["user", "import", &users, "--dry-run"], 0, ""),
        (vec!["user", "import", &users], 0, "user.imported, user.imported"),
        (vec!["user", "import", &users], 1, "operation.refused (refused_lines)"),
        (vec!["user", "import", &faulty], 1, "operation.refused (refused_lines)"),
        (vec!["user", "delete", "alice"], 0, "user.deleted"),
        (vec!["user", "delete", "root"], 1, "operation.refused (last_administrator)"),
        (vec!["client", "add", "crm"], 0, "client.created"),
        (vec!["client", "add", "crm"], 1, "operation.refused (id_taken)"),
        (vec!["client", "list"], 0, ""),
        (vec!["client", "rotate-secret", "crm"], 0, "client.secret_rotated"),
        (vec!["client", "remove", "crm"], 0, "client.removed"),
        (vec!["client", "remove", "crm"], 1, "operation.refused (not_found)"),
        (vec!["session", "list"], 0, "history.read"),
        (vec!["session", "show", NIL], 1, ""),
        (vec!["session", "end", NIL], 1, "operation.refused (not_found)"),
        (vec!["session", "end", "--everything", "--dry-run"], 0, "history.read"),
        (vec!["session", "end", "--everything"], 0, "sessions.end_begun, sessions.ended"),
        (vec!["session", "watch", "--for", "0"], 0, "history.read"),
        (vec!["throttle", "list"], 0, ""),
        (vec!["throttle", "lift", NIL], 1, "operation.refused (not_found)"),
        (vec!["alert", "list"], 0, "history.read"),
        (vec!["alert", "show", NIL], 1, ""),
        (vec!["alert", "acknowledge", NIL], 1, "operation.refused (not_found)"),
    ];
    for format in ["csv", "ndjson", "ocsf"] {
        for list in ["session", "audit"] {
            table.push((vec![list, "export", "--format", format], 0, "history.exported"));
        }
    }
    table.extend([
        (vec!["key", "rotate"], 0, "key.rotated, key.created"),
        (vec!["key", "revoke", "nothing"], 1, "operation.refused (not_found)"),
        (vec!["key", "rotate-master"], 0, "key.master_rotated"),
        (vec!["key", "rotate-master"], 0, ""),
        (vec!["key", "rotate-master", "--finish"], 1, ""),
        (vec!["audit", "verify"], 0, ""),
        (vec!["audit", "checkpoint"], 0, ""),
        (vec!["config", "check"], 0, ""),
        (vec!["openapi"], 0, ""),
    ]);
    for (arguments, code, expected) in table {
        let finished = program.run_with(&arguments, &format!("{PASSWORD}\n"));
        assert_eq!(finished.code, code, "{arguments:?}: {finished:?}");
        assert_eq!(record.fresh(), expected, "{arguments:?}");
    }
    let failures = "SELECT DISTINCT actor_kind || ' ' || actor_id || ' ' || outcome AS line FROM audit_events
        WHERE reason IS NOT NULL";
    assert_eq!(record.beside.lines(failures), ["system cli failure"]);
}
