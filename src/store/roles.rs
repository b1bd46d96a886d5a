//! Who may do what on PostgreSQL, table by table. The owner migrates; the server works as the *application*, which adds to
//! the history and can neither change nor delete it; a *reader* selects the history; *retention* removes what is old. SQLite
//! has no roles: there triggers refuse.
//!
//! The grants stand here alone. Each role has what its queries in this folder need, and nothing else. A new table, or a
//! column that is updated, gets its line here; which columns of the history and of accounts are updated, shown or removed
//! follows from their descriptions (`model::record::tables`).

use std::fmt;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Nullable, Text};

use super::backend::Db;
use super::error::StoreError;
use super::migrations;
use crate::model::record::tables;

/// How long whoever makes roles waits for migrations that are applied, and for others who make roles.
const TURN: Duration = Duration::from_mins(1);

/// A role that is made for Vigie's tables. Nobody logs in as one: those who do are its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseRole {
    /// The server, and the commands beside it.
    Application,
    /// A reviewer with tools of their own.
    Reader,
    /// `vigie retention run`, and erasing a person.
    Retention,
}

/// What a role may do with one table.
#[derive(Debug, Clone, Copy)]
pub struct Grant {
    /// The name of the table.
    pub table: &'static str,
    /// The privileges that the role has on the table.
    pub may: &'static [Privilege],
}

/// A privilege, as `GRANT` has it.
#[derive(Debug, Clone, Copy)]
pub struct Privilege {
    verb: &'static str,
    columns: Columns,
}

/// Of which columns a privilege is.
#[derive(Debug, Clone, Copy)]
enum Columns {
    /// All columns: the privilege is of the table.
    All,
    /// These columns alone.
    Listed(&'static [&'static str]),
    /// Those that follow from what the columns of the table are.
    Derived(fn() -> Vec<&'static str>),
}

const SELECT: Privilege = Privilege { verb: "SELECT", columns: Columns::All };
const INSERT: Privilege = Privilege { verb: "INSERT", columns: Columns::All };
const DELETE: Privilege = Privilege { verb: "DELETE", columns: Columns::All };

const fn update(columns: &'static [&'static str]) -> Privilege {
    Privilege { verb: "UPDATE", columns: Columns::Listed(columns) }
}

const fn update_those(columns: fn() -> Vec<&'static str>) -> Privilege {
    Privilege { verb: "UPDATE", columns: Columns::Derived(columns) }
}

const fn select_those(columns: fn() -> Vec<&'static str>) -> Privilege {
    Privilege { verb: "SELECT", columns: Columns::Derived(columns) }
}

impl Columns {
    /// Their names; `None` for the whole table.
    fn names(self) -> Option<Vec<&'static str>> {
        match self {
            Self::All => None,
            Self::Listed(names) => Some(names.to_vec()),
            Self::Derived(names) => Some(names()),
        }
    }
}

const fn on(table: &'static str, may: &'static [Privilege]) -> Grant {
    Grant { table, may }
}

/// Where diesel notes which migrations were applied.
const MIGRATIONS: &str = "__diesel_schema_migrations";

/// What the server needs.
const APPLICATION: &[Grant] = &[
    // The history: added to, and that is all. Of a session, what may change while it lives.
    on("audit_events", &[SELECT, INSERT]),
    on("attempts", &[SELECT, INSERT]),
    on("access_tokens", &[SELECT, INSERT]),
    on("sessions", &[SELECT, INSERT, update_those(|| tables::SESSIONS.changing())]),
    on("sealed_records", &[SELECT, INSERT]),
    on("tree_hashes", &[SELECT, INSERT]),
    on("checkpoints", &[SELECT, INSERT]),
    on("link_keys", &[SELECT, INSERT]),
    // Sealing moves records on from here.
    on("unsealed_records", &[SELECT, INSERT, DELETE]),
    on("chain_head", &[SELECT, update(&["size", "chain_hash", "peaks"])]),
    on("chain_base", &[SELECT]),
    on("retention", &[SELECT]),
    // Accounts and what lets them in.
    on("users", &[SELECT, INSERT, DELETE, update_those(|| tables::USERS.changing())]),
    on("pending_erasures", &[SELECT, INSERT]),
    on("devices", &[SELECT, INSERT, DELETE, update(&["last_used_at"])]),
    on("one_time_tokens", &[SELECT, INSERT, DELETE]),
    on("clients", &[SELECT, INSERT, DELETE, update_those(|| tables::CLIENTS.changing())]),
    on("client_assertions", &[SELECT, INSERT, DELETE]),
    on("signing_keys", &[SELECT, INSERT, update(&["retired_at", "verify_until", "revoked_at"])]),
    on("not_befores", &[SELECT, INSERT, update_those(|| tables::NOT_BEFORES.changing())]),
    // Made once, at the first start. Rotating the master key is for the owner of the tables.
    on("keyring", &[SELECT, update(&["master", "number", "sealed", "made_at"])]),
    on("master_key_uses", &[SELECT, INSERT, DELETE, update(&["seen_at"])]),
    on(
        "throttles",
        &[
            SELECT,
            INSERT,
            DELETE,
            update(&[
                "subject",
                "failures",
                "window_failures",
                "window_began_at",
                "last_failure_at",
                "closed_until",
                "user_id",
                "masked_name",
                "network",
            ]),
        ],
    ),
    // What others are told.
    on(
        "alerts",
        &[
            SELECT,
            INSERT,
            update(&[
                "last_at",
                "occurrences",
                "open_key",
                "disowned_at",
                "acknowledged_at",
                "acknowledged_by",
                "note",
            ]),
        ],
    ),
    on(
        "deliveries",
        &[
            SELECT,
            INSERT,
            DELETE,
            update(&["recipient", "tries", "next_at", "delivered_at", "given_up_at", "last_fault"]),
        ],
    ),
    on("shipping_cursors", &[SELECT, INSERT, update(&["position", "checkpoint_size", "claimed_by", "claimed_until"])]),
    // How nodes keep their live view true.
    on("changes", &[SELECT, INSERT, DELETE, update(&["seq"])]),
    on("change_head", &[SELECT, update(&["seq"])]),
    on("nodes", &[SELECT, INSERT, DELETE, update(&["lease_no", "applied_seq"])]),
    on(MIGRATIONS, &[SELECT]),
];

/// The history, without what lets anybody in, and without addresses for mail.
const READER: &[Grant] = &[
    on("audit_events", &[SELECT]),
    on("attempts", &[SELECT]),
    on("access_tokens", &[SELECT]),
    on("sessions", &[select_those(|| tables::SESSIONS.shown())]),
    on("sealed_records", &[SELECT]),
    on("tree_hashes", &[SELECT]),
    on("checkpoints", &[SELECT]),
    on("link_keys", &[SELECT]),
    on("unsealed_records", &[SELECT]),
    on("chain_head", &[SELECT]),
    on("chain_base", &[SELECT]),
    on("not_befores", &[SELECT]),
    on("alerts", &[SELECT]),
    on("users", &[select_those(|| tables::USERS.shown())]),
];

/// What retention may do beyond the application: remove what is old, cut addresses, take out a person's name. Checkpoints
/// and the hashes of the tree stay.
const RETENTION: &[Grant] = &[
    on("audit_events", &[DELETE, update_those(|| tables::AUDIT_EVENTS.removable())]),
    on("attempts", &[DELETE, update_those(|| tables::ATTEMPTS.removable())]),
    on("access_tokens", &[DELETE]),
    on("sessions", &[DELETE, update_those(|| tables::SESSIONS.removable())]),
    on("sealed_records", &[DELETE]),
    on("chain_base", &[update(&["size", "chain_hash", "peaks"])]),
    on(
        "retention",
        &[update(&["claimed_by", "claimed_until", "permit", "before", "records_before", "believed_at", "ran_at"])],
    ),
    on("alerts", &[DELETE, update(&["ip", "details"])]),
    on("pending_erasures", &[DELETE, update(&["names"])]),
];

/// What the server never changes, deletes or empties. Sessions are changed while they live.
const HISTORY: &[&str] = &[
    "audit_events",
    "attempts",
    "access_tokens",
    "sessions",
    "sealed_records",
    "tree_hashes",
    "checkpoints",
    "link_keys",
];

impl DatabaseRole {
    /// Every role that Vigie makes.
    pub const ALL: [Self; 3] = [Self::Application, Self::Reader, Self::Retention];

    /// How its name ends.
    const fn word(self) -> &'static str {
        match self {
            Self::Application => "app",
            Self::Reader => "reader",
            Self::Retention => "retention",
        }
    }

    /// What it may do; a table may stand there twice.
    pub fn grants(self) -> impl Iterator<Item = &'static Grant> {
        let (first, further): (_, &[Grant]) = match self {
            Self::Application => (APPLICATION, &[]),
            Self::Reader => (READER, &[]),
            Self::Retention => (APPLICATION, RETENTION),
        };
        first.iter().chain(further)
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb)?;
        self.columns.names().map_or(Ok(()), |names| write!(f, " ({})", names.join(", ")))
    }
}

/// How the names of the roles begin. Roles belong to the whole PostgreSQL server: several installations on one have
/// several prefixes, or share their roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePrefix(String);

/// The text does not begin names of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prefix is 1 to 40 lower-case letters, digits and _, begins with a letter, and not with pg_")]
pub struct InvalidRolePrefix;

impl Default for RolePrefix {
    fn default() -> Self {
        Self("vigie".to_owned())
    }
}

impl fmt::Display for RolePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RolePrefix {
    /// Reads a prefix that makes names which SQL takes without quotes.
    pub fn parse(text: &str) -> Result<Self, InvalidRolePrefix> {
        let is_word = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        let begins_well = text.starts_with(|first: char| first.is_ascii_lowercase());
        let is_reserved = text == "pg" || text.starts_with("pg_");
        if is_word && begins_well && !is_reserved && text.len() <= 40 {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRolePrefix)
        }
    }

    /// The name of a role.
    #[must_use]
    pub fn name(&self, role: DatabaseRole) -> String {
        format!("{}_{}", self.0, role.word())
    }
}

/// The roles cannot be made; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RolesError {
    /// The database has none.
    #[error("SQLite has no roles: there, triggers refuse to change or delete the history")]
    NotPostgres,
    /// Only who owns a table may say what others may do with it.
    #[error("the role {role} does not own the table {table}: run this as {owner}, or as a superuser")]
    NotOwner {
        /// The role of the database that asked.
        role: String,
        /// The first table of somebody else.
        table: String,
        /// The owner of the tables.
        owner: String,
    },
    /// Roles are missing, and who asks may not make any.
    #[error(
        "the role {role} may not create roles (CREATEROLE): let a superuser run `{}`, then run this again",
        .missing.iter().map(|name| format!("CREATE ROLE {name};")).collect::<Vec<_>>().join(" ")
    )]
    MayNotCreate {
        /// The role of the database that asked.
        role: String,
        /// The names of the roles that are missing.
        missing: Vec<String>,
    },
    /// PostgreSQL took the grants and did not give what they say.
    #[error("{0}, and it is not for this role to grant: run this as a superuser")]
    MayNotGrant(MissingPrivileges),
    /// Any other fault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a role needs and does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPrivileges {
    /// The name of the role.
    pub role: String,
    /// Each as `INSERT on audit_events`, or `UPDATE on sessions.ended_at`.
    pub privileges: Vec<String>,
}

impl fmt::Display for MissingPrivileges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        let (shown, rest) = self.privileges.split_at(self.privileges.len().min(SHOWN));
        write!(f, "the role {} lacks {}", self.role, shown.join(", "))?;
        if rest.is_empty() { Ok(()) } else { write!(f, " and {} more", rest.len()) }
    }
}

/// What [`prepare`] has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The roles that were missing.
    pub created: Vec<String>,
    /// The schema of the tables, as SQL has it.
    pub schema: String,
}

#[derive(QueryableByName)]
struct Asking {
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Nullable<Text>)]
    schema: Option<String>,
    #[diesel(sql_type = Bool)]
    may_create: bool,
}

#[derive(QueryableByName)]
struct Foreign {
    #[diesel(sql_type = Text)]
    relation: String,
    #[diesel(sql_type = Text)]
    owner: String,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Makes the roles that are missing, and gives each what it needs and nothing else. In one transaction: a running server
/// notices nothing.
pub fn prepare(db: &mut Db, prefix: &RolePrefix) -> Result<Prepared, RolesError> {
    let Db::Postgres(connection) = db else { return Err(RolesError::NotPostgres) };
    // One after the other, and behind migrations.
    migrations::lock_in(connection, TURN).map_err(|error| StoreError::Busy(error.to_string()))?;
    let asking: Asking = diesel::sql_query(
        "SELECT current_user::text AS role, quote_ident(current_schema()) AS schema, rolsuper OR rolcreaterole AS may_create
         FROM pg_roles WHERE rolname = current_user",
    )
    .get_result(connection)
    .map_err(StoreError::from)?;
    let foreign: Option<Foreign> = diesel::sql_query(
        "SELECT c.relname::text AS relation, pg_get_userbyid(c.relowner)::text AS owner
         FROM unnest($1) WITH ORDINALITY AS named (relation, place) JOIN pg_class c ON c.oid = to_regclass(named.relation)
         WHERE NOT pg_has_role(c.relowner, 'USAGE') ORDER BY place LIMIT 1",
    )
    .bind::<Array<Text>, _>(tables())
    .get_result(connection)
    .optional()
    .map_err(StoreError::from)?;
    if let Some(Foreign { relation, owner }) = foreign {
        return Err(RolesError::NotOwner { role: asking.role, table: relation, owner });
    }
    let missing = missing_on(connection, prefix)?;
    if !missing.is_empty() && !asking.may_create {
        return Err(RolesError::MayNotCreate { role: asking.role, missing });
    }
    let schema = asking.schema.ok_or_else(|| StoreError::Unavailable("there is no schema to look in".into()))?;
    let mut statements: Vec<String> = missing.iter().map(|name| format!("CREATE ROLE {name} NOLOGIN")).collect();
    for role in DatabaseRole::ALL {
        statements.extend(grant(role, &prefix.name(role), &schema));
    }
    connection.batch_execute(&statements.join(";\n")).map_err(StoreError::from)?;
    for role in DatabaseRole::ALL {
        if let Some(lack) = lack(connection, role, &prefix.name(role))? {
            return Err(RolesError::MayNotGrant(lack));
        }
    }
    Ok(Prepared { created: missing, schema })
}

/// The statements that leave a role with what it needs. Revoking all first takes away what it was given by hand, or
/// needed in an earlier version.
fn grant(role: DatabaseRole, name: &str, schema: &str) -> Vec<String> {
    let mut statements = vec![
        format!("GRANT USAGE ON SCHEMA {schema} TO {name}"),
        format!("REVOKE ALL ON {} FROM {name}", tables().join(", ")),
    ];
    for grant in role.grants() {
        let may: Vec<String> = grant.may.iter().map(ToString::to_string).collect();
        statements.push(format!("GRANT {} ON {} TO {name}", may.join(", "), grant.table));
    }
    statements
}

/// Every table that a role is granted something on.
fn tables() -> Vec<&'static str> {
    // The server uses all of them.
    APPLICATION.iter().map(|grant| grant.table).collect()
}

/// The roles of this prefix that are not there.
pub fn missing(db: &mut Db, prefix: &RolePrefix) -> Result<Vec<String>, StoreError> {
    match db {
        Db::Postgres(connection) => missing_on(connection, prefix),
        Db::Sqlite(_) => Ok(Vec::new()),
    }
}

fn missing_on(connection: &mut PgConnection, prefix: &RolePrefix) -> Result<Vec<String>, StoreError> {
    let names = DatabaseRole::ALL.map(|role| prefix.name(role)).to_vec();
    let missing: Vec<Line> = diesel::sql_query(
        "SELECT name AS line FROM unnest($1) AS named (name)
         WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = named.name)",
    )
    .bind::<Array<Text>, _>(names)
    .load(connection)?;
    Ok(missing.into_iter().map(|missing| missing.line).collect())
}

/// What roles lack of what they need: the one that asks, to serve; and those of this prefix, where they are used here. To be
/// asked when no migration is missing.
pub fn lacking(db: &mut Db, prefix: &RolePrefix) -> Result<Vec<MissingPrivileges>, StoreError> {
    let Db::Postgres(connection) = db else { return Ok(Vec::new()) };
    let mut lacks = Vec::new();
    let asking = role_on(connection)?;
    lacks.extend(lack(connection, DatabaseRole::Application, &asking)?);
    for role in DatabaseRole::ALL {
        let name = prefix.name(role);
        if name != asking && is_used(connection, &name)? {
            lacks.extend(lack(connection, role, &name)?);
        }
    }
    Ok(lacks)
}

/// Whether a role is there, and has been given anything here. The server of another installation may have made it.
fn is_used(connection: &mut PgConnection, name: &str) -> Result<bool, StoreError> {
    let used: Vec<Line> = diesel::sql_query(
        "SELECT rolname::text AS line FROM pg_roles
         WHERE rolname = $1 AND has_any_column_privilege(rolname, to_regclass('sessions'), 'SELECT')",
    )
    .bind::<Text, _>(name)
    .load(connection)?;
    Ok(!used.is_empty())
}

fn lack(
    connection: &mut PgConnection,
    role: DatabaseRole,
    name: &str,
) -> Result<Option<MissingPrivileges>, StoreError> {
    let (mut relations, mut verbs, mut columns) = (Vec::new(), Vec::new(), Vec::new());
    for (grant, privilege) in role.grants().flat_map(|grant| grant.may.iter().map(move |privilege| (grant, privilege)))
    {
        for column in privilege.columns.names().unwrap_or_else(|| vec![""]) {
            relations.push(grant.table);
            verbs.push(privilege.verb);
            columns.push(column);
        }
    }
    let lacking: Vec<Line> = diesel::sql_query(
        "SELECT 'USAGE on the schema ' || current_schema() AS line
         WHERE NOT has_schema_privilege($4::name, current_schema(), 'USAGE')
         UNION ALL
         SELECT verb || ' on ' || relation || CASE field WHEN '' THEN '' ELSE '.' || field END
         FROM unnest($1, $2, $3) AS needed (relation, verb, field)
         WHERE to_regclass(relation) IS NULL OR NOT CASE field
           WHEN '' THEN has_table_privilege($4::name, to_regclass(relation), verb)
           ELSE has_column_privilege($4::name, to_regclass(relation), field, verb) END",
    )
    .bind::<Array<Text>, _>(relations)
    .bind::<Array<Text>, _>(verbs)
    .bind::<Array<Text>, _>(columns)
    .bind::<Text, _>(name)
    .load(connection)?;
    let privileges: Vec<String> = lacking.into_iter().map(|lacking| lacking.line).collect();
    Ok((!privileges.is_empty()).then(|| MissingPrivileges { role: name.to_owned(), privileges }))
}

/// What the connected role may do to the history, although the server never does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRole {
    /// The name of the role.
    pub role: String,
    /// The tables that it may change, delete from or empty.
    pub may_alter: Vec<String>,
}

/// How the connected role stands to the history; `None` on SQLite.
pub fn own_role(db: &mut Db) -> Result<Option<OwnRole>, StoreError> {
    let Db::Postgres(connection) = db else { return Ok(None) };
    let role = role_on(connection)?;
    let altered: Vec<Line> = diesel::sql_query(
        "SELECT relation AS line FROM unnest($1) AS named (relation)
         WHERE has_table_privilege(to_regclass(relation), 'DELETE, TRUNCATE')
            OR relation <> 'sessions' AND has_any_column_privilege(to_regclass(relation), 'UPDATE')",
    )
    .bind::<Array<Text>, _>(HISTORY)
    .load(connection)?;
    Ok(Some(OwnRole { role, may_alter: altered.into_iter().map(|altered| altered.line).collect() }))
}

fn role_on(connection: &mut PgConnection) -> Result<String, StoreError> {
    let asking: Line = diesel::sql_query("SELECT current_user::text AS line").get_result(connection)?;
    Ok(asking.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_makes_names_that_need_no_quotes() {
        let prefix = RolePrefix::parse("mairie_2").unwrap();
        assert_eq!(prefix.name(DatabaseRole::Application), "mairie_2_app");
        assert_eq!(RolePrefix::parse("vigie"), Ok(RolePrefix::default()));
        let too_long = "x".repeat(41);
        for text in ["", "Vigie", "2", "_x", "a-b", "a b", "a;b", "é", "pg", "pg_x", too_long.as_str()] {
            assert_eq!(RolePrefix::parse(text), Err(InvalidRolePrefix), "{text:?}");
        }
    }

    #[test]
    fn the_application_has_no_privilege_to_delete_or_empty_the_history() {
        for table in HISTORY {
            let grants: Vec<&Grant> = APPLICATION.iter().filter(|grant| grant.table == *table).collect();
            assert_eq!(grants.len(), 1, "{table}");
            let verbs: Vec<&str> = grants[0].may.iter().map(|privilege| privilege.verb).collect();
            let allowed: &[&str] =
                if *table == "sessions" { &["SELECT", "INSERT", "UPDATE"] } else { &["SELECT", "INSERT"] };
            assert_eq!(verbs, allowed, "{table}");
        }
    }

    #[test]
    fn a_reader_only_selects() {
        assert!(READER.iter().flat_map(|grant| grant.may).all(|privilege| privilege.verb == "SELECT"));
    }
}
