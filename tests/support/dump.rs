//! All that a database holds, as text: what somebody who stole it would read.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::Text;
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl as _, SqliteConnection};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// A connection of the test's own, beside those of the application.
pub enum Beside {
    /// To PostgreSQL.
    Postgres(PgConnection),
    /// To a SQLite file.
    Sqlite(SqliteConnection),
}

impl Beside {
    /// Connects to the database of a test by its URL.
    pub fn connect(url: &str) -> Self {
        match url.strip_prefix("sqlite:") {
            Some(path) => {
                let mut connection = SqliteConnection::establish(path).expect("the file can be opened");
                diesel::sql_query("PRAGMA busy_timeout = 10000").execute(&mut connection).expect("a known pragma");
                Self::Sqlite(connection)
            }
            None => Self::Postgres(PgConnection::establish(url).expect("the server can be reached")),
        }
    }

    /// Bytes, as the database reads them in a statement.
    pub fn literal(&self, bytes: &[u8]) -> String {
        let digits = bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        match self {
            Self::Sqlite(_) => format!("x'{digits}'"),
            Self::Postgres(_) => format!("decode('{digits}', 'hex')"),
        }
    }

    /// Runs a statement; returns how many rows it changed.
    pub fn execute(&mut self, statement: &str) -> diesel::QueryResult<usize> {
        match self {
            Self::Postgres(connection) => diesel::sql_query(statement).execute(connection),
            Self::Sqlite(connection) => diesel::sql_query(statement).execute(connection),
        }
    }

    /// Runs statements one after the other.
    pub fn batch(&mut self, statements: &str) {
        match self {
            Self::Postgres(connection) => connection.batch_execute(statements),
            Self::Sqlite(connection) => connection.batch_execute(statements),
        }
        .unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// The rows of a query whose one column is a text named `line`.
    pub fn lines(&mut self, query: &str) -> Vec<String> {
        self.try_lines(query).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    /// The same, or what the database says against it.
    pub fn try_lines(&mut self, query: &str) -> diesel::QueryResult<Vec<String>> {
        let lines: Vec<Line> = match self {
            Self::Postgres(connection) => diesel::sql_query(query).load(connection)?,
            Self::Sqlite(connection) => diesel::sql_query(query).load(connection)?,
        };
        Ok(lines.into_iter().map(|line| line.line).collect())
    }

    /// How many statements of others wait for a lock that this connection holds. Nobody sees that of a SQLite file.
    pub fn waiting_for_this(&mut self) -> usize {
        self.lines(
            "SELECT DISTINCT pid::text AS line FROM pg_locks
             WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))",
        )
        .len()
    }

    /// What whoever changes the history behind the server's back must do first on SQLite.
    pub fn drop_triggers(&mut self) {
        if let Self::Sqlite(_) = self {
            for name in self.lines("SELECT name AS line FROM sqlite_master WHERE type = 'trigger'") {
                self.execute(&format!("DROP TRIGGER {name}")).expect("it is there");
            }
        }
    }

    /// The names of the tables.
    pub fn tables(&mut self) -> Vec<String> {
        self.lines(match self {
            Self::Postgres(_) => {
                "SELECT table_name::text AS line FROM information_schema.tables
                 WHERE table_schema = current_schema() AND table_name <> '__diesel_schema_migrations' ORDER BY 1"
            }
            Self::Sqlite(_) => {
                "SELECT name AS line FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!'
                 AND name <> '__diesel_schema_migrations' ORDER BY 1"
            }
        })
    }

    /// Every row of every table; bytes in hexadecimal.
    pub fn dump(&mut self) -> BTreeMap<String, Vec<String>> {
        let tables = self.tables();
        tables.into_iter().map(|table| (table.clone(), self.rows(&table))).collect()
    }

    fn rows(&mut self, table: &str) -> Vec<String> {
        if let Self::Postgres(_) = self {
            return self.lines(&format!("SELECT t::text AS line FROM {table} t ORDER BY 1"));
        }
        let columns = self.lines(&format!("SELECT 'quote(' || name || ')' AS line FROM pragma_table_info('{table}')"));
        self.lines(&format!("SELECT {} AS line FROM {table} ORDER BY 1", columns.join(" || ',' || ")))
    }
}

/// Everything in the database at `url`.
pub fn dump(url: &str) -> BTreeMap<String, Vec<String>> {
    Beside::connect(url).dump()
}

/// The same without the table of nodes, which renew their leases all the time.
pub fn dump_but_nodes(url: &str) -> BTreeMap<String, Vec<String>> {
    let mut all = dump(url);
    all.remove("nodes").expect("the table is there");
    all
}
