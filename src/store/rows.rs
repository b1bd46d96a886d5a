//! Many rows by one statement.
//!
//! PostgreSQL is given each column as one array, so that the text is the same however many rows there are: it is prepared
//! once for each connection, and costs one round trip. SQLite executes in place, one row after the other.

use std::marker::PhantomData;
use std::sync::Arc;

use diesel::backend::Backend;
use diesel::expression::Expression;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, BigInt, HasSqlType, SqlType, Untyped};
use diesel::sqlite::Sqlite;

use super::backend::Db;
use super::error::StoreError;

/// Values or rows of one statement: below SQLite's limit of bound values.
pub const PER_STATEMENT: usize = 500;

type Value<'r, DB> = Box<dyn QueryFragment<DB> + 'r>;

/// A value that a statement binds as this SQL type.
struct Bound<S, V>(V, PhantomData<S>);

impl<DB, S, V> QueryFragment<DB> for Bound<S, V>
where
    DB: Backend + HasSqlType<S>,
    V: ToSql<S, DB>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_bind_param(&self.0)
    }
}

fn bound<'r, DB, S, V>(value: V) -> Value<'r, DB>
where
    DB: Backend + HasSqlType<S>,
    S: 'r,
    V: ToSql<S, DB> + 'r,
{
    Box::new(Bound::<S, V>(value, PhantomData))
}

/// A statement around a list of values: rows by their columns, where it is PostgreSQL that reads them with `unnest`.
pub(super) struct Listing<'r, DB: Backend> {
    before: Arc<str>,
    values: Vec<Value<'r, DB>>,
    after: Arc<str>,
}

impl<'r> Listing<'r, Pg> {
    /// `before`, each of the columns as an array, `after`.
    pub fn new(before: &str, after: &str) -> Self {
        Self { before: before.into(), values: Vec::new(), after: after.into() }
    }

    /// Adds a column, with its value for each row: one array.
    pub fn array<S, V>(mut self, column: Vec<V>) -> Self
    where
        S: SqlType + 'r,
        Array<S>: SqlType,
        Pg: HasSqlType<Array<S>>,
        Vec<V>: ToSql<Array<S>, Pg>,
        V: 'r,
    {
        self.values.push(bound::<Pg, Array<S>, _>(column));
        self
    }

    /// Adds a single value.
    pub fn value<S, V>(mut self, value: V) -> Self
    where
        S: SqlType + 'r,
        Pg: HasSqlType<S>,
        V: ToSql<S, Pg> + 'r,
    {
        self.values.push(bound::<Pg, S, _>(value));
        self
    }
}

impl<DB: Backend> QueryFragment<DB> for Listing<'_, DB> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_sql(&self.before);
        for (place, value) in self.values.iter().enumerate() {
            if place > 0 {
                pass.push_sql(", ");
            }
            value.walk_ast(pass.reborrow())?;
        }
        pass.push_sql(&self.after);
        Ok(())
    }
}

/// Prepared statements are found by their text.
impl<DB: Backend> QueryId for Listing<'_, DB> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB: Backend> Query for Listing<'_, DB> {
    type SqlType = Untyped;
}

impl<C: Connection> RunQueryDsl<C> for Listing<'_, C::Backend> {}

/// Rows that are added to a table, in their order.
pub(super) struct Insert<'r, R> {
    table: &'static str,
    rows: &'r [R],
    columns: Vec<Column<'r, R>>,
}

struct Column<'r, R> {
    name: &'static str,
    array: Box<dyn Fn(&'r [R]) -> Value<'r, Pg> + 'r>,
    value: Box<dyn Fn(&'r R) -> Value<'r, Sqlite> + 'r>,
}

/// The number of a row.
#[derive(QueryableByName)]
pub(super) struct Number {
    #[diesel(sql_type = BigInt)]
    pub number: i64,
}

impl<'r, R> Insert<'r, R> {
    pub const fn into(table: &'static str, rows: &'r [R]) -> Self {
        Self { table, rows, columns: Vec::new() }
    }

    /// Adds a column of the table, and what each row has in it.
    pub fn column<C, V>(mut self, _: C, of: impl Fn(&'r R) -> V + Copy + 'r) -> Self
    where
        C: diesel::Column + Expression<SqlType: SqlType + 'r>,
        Array<C::SqlType>: SqlType,
        Pg: HasSqlType<Array<C::SqlType>>,
        Sqlite: HasSqlType<C::SqlType>,
        Vec<V>: ToSql<Array<C::SqlType>, Pg>,
        V: ToSql<C::SqlType, Sqlite> + 'r,
    {
        self.columns.push(Column {
            name: C::NAME,
            array: Box::new(move |rows| bound::<Pg, Array<C::SqlType>, _>(rows.iter().map(of).collect::<Vec<V>>())),
            value: Box::new(move |row| bound::<Sqlite, C::SqlType, _>(of(row))),
        });
        self
    }

    /// Runs the statement, which adds all rows.
    pub fn execute(&self, db: &mut Db) -> Result<(), StoreError> {
        match db {
            Db::Postgres(_) if self.rows.is_empty() => {}
            Db::Postgres(connection) => drop(self.arrays("").execute(connection)?),
            Db::Sqlite(connection) => {
                let around = self.around_values("");
                for row in self.rows {
                    self.values(row, &around).execute(connection)?;
                }
            }
        }
        Ok(())
    }

    /// Adds them; returns the number that each got in this column.
    pub fn numbered<C: diesel::Column>(&self, db: &mut Db, _: C) -> Result<Vec<i64>, StoreError> {
        let returning = format!(" RETURNING {} AS number", C::NAME);
        let numbers: Vec<Number> = match db {
            Db::Postgres(_) if self.rows.is_empty() => Vec::new(),
            Db::Postgres(connection) => self.arrays(&returning).load(connection)?,
            Db::Sqlite(connection) => {
                let around = self.around_values(&returning);
                let numbered = |row| self.values(row, &around).get_result(connection);
                self.rows.iter().map(numbered).collect::<QueryResult<_>>()?
            }
        };
        Ok(numbers.into_iter().map(|Number { number }| number).collect())
    }

    /// In their order, so that numbers rise with it.
    fn arrays(&self, returning: &str) -> Listing<'r, Pg> {
        let (table, names) = (self.table, self.names());
        Listing {
            before: format!("INSERT INTO {table} ({names}) SELECT {names} FROM unnest(").into(),
            values: self.columns.iter().map(|column| (column.array)(self.rows)).collect(),
            after: format!(") WITH ORDINALITY AS given ({names}, ordinal) ORDER BY ordinal{returning}").into(),
        }
    }

    /// The text before and after the values of a row: the same for all of them, so made once.
    fn around_values(&self, returning: &str) -> (Arc<str>, Arc<str>) {
        let before = format!("INSERT INTO {} ({}) VALUES (", self.table, self.names());
        (before.into(), format!("){returning}").into())
    }

    fn values(&self, row: &'r R, (before, after): &(Arc<str>, Arc<str>)) -> Listing<'r, Sqlite> {
        Listing {
            before: Arc::clone(before),
            values: self.columns.iter().map(|column| (column.value)(row)).collect(),
            after: Arc::clone(after),
        }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        names.join(", ")
    }
}
