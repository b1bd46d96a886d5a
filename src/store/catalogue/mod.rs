//! What the database's own catalogue says of Vigie's tables, held against what the migrations make: a view in the place of a
//! table, an index over some of the rows, a key that is gone or a trigger that was added would let rows be hidden, doubled or
//! changed while every row that is shown looks right.

use std::collections::BTreeMap;
use std::fmt;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_migrations::MigrationHarness as _;

use super::backend::Db;
use super::error::{OpenError, StoreError};
use super::migrations;

/// What the migrations make on PostgreSQL, as [`POSTGRES`] reads it. A test makes it anew and compares.
const MADE_ON_POSTGRES: &str = include_str!("postgres.txt");

/// Each table, index and trigger, with the statement that made it. An index of a unique key has none, and follows from its table.
const SQLITE: &str = "SELECT tbl_name AS of_table, type AS kind, name, coalesce(sql, '') AS definition,
    type = 'trigger' OR (type = 'index' AND (sql IS NULL OR sql LIKE '%UNIQUE%')) AS counts_if_added
  FROM sqlite_master WHERE name NOT LIKE 'sqlite!_stat%' ESCAPE '!' ORDER BY 1, 2, 3";

/// Each visible table with its columns, constraints, indexes, triggers, rules, policies and heirs, wherever it is; and functions
/// and operators that somebody put before PostgreSQL's own. Every name in it is spelled out, so that none of those counts here.
const POSTGRES: &str = include_str!("postgres.sql");

/// Something that belongs to a table, or to none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    of_table: String,
    kind: String,
    name: String,
}

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    definition: String,
    /// Whether it makes a difference where the migrations make none: an index that only makes something faster does not.
    counts_if_added: bool,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    of_table: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    definition: String,
    #[diesel(sql_type = Bool)]
    counts_if_added: bool,
}

type Catalogue = BTreeMap<Part, Made>;

/// A part that is not what the migrations make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    part: Part,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Missing,
    Changed,
    Added,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Part { of_table, kind, name } = &self.part;
        let how = match self.how {
            How::Missing => "is missing",
            How::Changed => "was changed",
            How::Added => "was added",
        };
        if of_table.is_empty() || kind == "table" {
            write!(f, "{kind} {name} {how}")
        } else {
            write!(f, "{kind} {name} of {of_table} {how}")
        }
    }
}

impl Difference {
    /// Whether it only leaves mistakes unhindered: a trigger that refuses to change the history shows nothing and hides nothing.
    #[must_use]
    pub fn is_lost_guard(&self) -> bool {
        self.part.kind == "trigger" && self.how == How::Missing
    }
}

/// All that differs. Nothing where the migrations are not those of this version: a newer one may have begun its work while this
/// process goes on.
pub fn differences(db: &mut Db) -> Result<Vec<Difference>, StoreError> {
    if !migrations::are_those_of_this_version(db)? {
        return Ok(Vec::new());
    }
    let made = match db {
        Db::Sqlite(_) => made_on_sqlite()?,
        Db::Postgres(_) => parsed(MADE_ON_POSTGRES),
    };
    Ok(compared(&made, &found(db)?))
}

/// The first thing that is wrong inside a SQLite file: an index that does not have all rows of its table hides some.
pub fn first_damage(db: &mut Db) -> Result<Option<String>, StoreError> {
    let Db::Sqlite(connection) = db else { return Ok(None) };
    let said: IntegrityCheck = diesel::sql_query("PRAGMA integrity_check(1)").get_result(connection)?;
    Ok((said.integrity_check != "ok").then_some(said.integrity_check))
}

#[derive(QueryableByName)]
struct IntegrityCheck {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

/// What the migrations make in an empty database.
fn made_on_sqlite() -> Result<Catalogue, StoreError> {
    let unusable = |error: &dyn fmt::Display| StoreError::Unavailable(format!("a database in memory: {error}"));
    let mut memory = SqliteConnection::establish(":memory:").map_err(|error| unusable(&error))?;
    memory.run_pending_migrations(migrations::SQLITE).map_err(|error| unusable(&error))?;
    found(&mut Db::Sqlite(memory))
}

fn found(db: &mut Db) -> Result<Catalogue, StoreError> {
    let lines: Vec<Line> = match db {
        Db::Sqlite(connection) => diesel::sql_query(SQLITE).load(connection)?,
        Db::Postgres(connection) => diesel::sql_query(POSTGRES).load(connection)?,
    };
    let entry = |Line { of_table, kind, name, definition, counts_if_added }| {
        // A table that was renamed, and named so again, has quotes around its name since.
        let definition = definition.replace('"', "");
        (Part { of_table, kind, name }, Made { definition, counts_if_added })
    };
    Ok(lines.into_iter().map(entry).collect())
}

/// Parts of tables that the migrations make, where they are not the same. What else is in the database is nobody's concern.
fn compared(made: &Catalogue, found: &Catalogue) -> Vec<Difference> {
    let difference = |part: &Part, how| Difference { part: part.clone(), how };
    let lost = made.iter().filter_map(|(part, made)| match found.get(part) {
        None => Some(difference(part, How::Missing)),
        Some(found) if found.definition != made.definition => Some(difference(part, How::Changed)),
        Some(_) => None,
    });
    let is_ours = |part: &Part| part.of_table.is_empty() || made.keys().any(|made| made.of_table == part.of_table);
    let added = found
        .iter()
        .filter(|(part, found)| found.counts_if_added && !made.contains_key(part) && is_ours(part))
        .map(|(part, _)| difference(part, How::Added));
    lost.chain(added).collect()
}

/// One line of the list of what is made.
fn line(part: &Part, made: &Made) -> String {
    [&part.of_table, &part.kind, &part.name, &made.definition].map(String::as_str).join("\t") + "\n"
}

fn parsed(text: &str) -> Catalogue {
    let entry = |line: &str| {
        let mut members = line.splitn(4, '\t').map(str::to_owned);
        let mut next = || members.next().unwrap_or_default();
        let part = Part { of_table: next(), kind: next(), name: next() };
        (part, Made { definition: next(), counts_if_added: true })
    };
    text.lines().map(entry).collect()
}

/// What is in a database, as the list of what the migrations make on PostgreSQL has it: for the test that makes it anew.
pub fn listed(db: &mut Db) -> Result<String, OpenError> {
    Ok(found(db)?.iter().map(|(part, made)| line(part, made)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::record::tables::{ATTEMPTS, AUDIT_EVENTS, SESSIONS};
    use crate::model::redaction::Group;

    /// The columns that a trigger of SQLite guards.
    fn guarded(made: &Catalogue, table: &str, trigger: &str) -> BTreeSet<String> {
        let (of_table, kind) = (table.to_owned(), "trigger".to_owned());
        let made = made.get(&Part { of_table, kind, name: format!("{table}_{trigger}") }).expect("such a trigger");
        let (_, columns) = made.definition.split_once("UPDATE OF ").expect("it guards columns");
        let (columns, _) = columns.split_once(&format!(" ON {table}")).expect("of its table");
        columns.split(',').map(|column| column.trim().to_owned()).collect()
    }

    /// SQLite has no roles: there triggers guard what roles may not update on PostgreSQL.
    #[test]
    fn log_06_triggers_guard_every_column_of_the_history() {
        let made = made_on_sqlite().expect("it is made");
        let tables = [(AUDIT_EVENTS, "unchanged"), (ATTEMPTS, "unchanged"), (SESSIONS, "ended_once")];
        for (table, lasting) in tables {
            for (trigger, columns) in [
                (lasting, table.lasting()),
                ("addresses_unchanged", table.removed_with(Group::Addresses)),
                ("person_unchanged", table.removed_with(Group::Person)),
            ] {
                let columns: BTreeSet<String> = columns.into_iter().map(str::to_owned).collect();
                assert_eq!(guarded(&made, table.name, trigger), columns, "{}: {trigger}", table.name);
            }
        }
    }
}
