//! One connection type for two databases; which way to run a statement on it says the table of the store's front page.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sqlite::Sqlite;

/// A connection to either database. Queries on it are written once.
#[derive(diesel::MultiConnection)]
pub enum Db {
    /// PostgreSQL.
    Postgres(PgConnection),
    /// SQLite.
    Sqlite(SqliteConnection),
}

/// Runs one statement on the open database with its real types, for SQL that `MultiConnection` cannot express.
macro_rules! on_backend {
    ($db:expr, |$connection:ident| $statement:expr) => {
        match $db {
            $crate::store::backend::Db::Postgres($connection) => $statement,
            $crate::store::backend::Db::Sqlite($connection) => $statement,
        }
    };
}
pub(super) use on_backend;

/// A statement that is valid on both databases although the enum itself says no, such as `ON CONFLICT`.
#[derive(Debug)]
pub(super) struct Portable<T>(pub T);

impl<T: QueryFragment<Pg> + QueryFragment<Sqlite>> QueryFragment<MultiBackend> for Portable<T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        MultiBackend::walk_variant_ast(&self.0, pass)
    }
}

impl<T: QueryId> QueryId for Portable<T> {
    type QueryId = Portable<T::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = T::HAS_STATIC_QUERY_ID;
}

impl<T: Query> Query for Portable<T> {
    type SqlType = T::SqlType;
}

impl<T> RunQueryDsl<Db> for Portable<T> {}
