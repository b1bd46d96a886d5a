//! Keyset paging: a page begins after the last row of the page before, in a total order, so that rows added meanwhile
//! make neither a gap nor a duplicate.

use chrono::{DateTime, Utc};
use diesel::backend::Backend;
use diesel::expression::{AsExpression, Expression, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Bool, SingleValue, SqlType};
use diesel::{AppearsOnTable, SelectableExpression};

use crate::model::filter::Moment;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, P> {
    /// At most as many as asked for.
    pub items: Vec<T>,
    /// The place of the last one, after which the next page begins; `None` on the last page.
    pub next: Option<P>,
}

impl<T, P> Page<T, P> {
    /// Cuts a list that was asked for one row more than wanted.
    pub(super) fn cut(mut items: Vec<T>, limit: i64, place: impl FnOnce(&T) -> P) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| has_more).map(place);
        Self { items, next }
    }
}

/// The place of a row in a list that goes by time: the time, and among rows of the same time the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position<K> {
    /// The time that the order goes by.
    pub at: DateTime<Utc>,
    /// The id or number of the row.
    pub id: K,
}

/// What is left of the bound `to` of a list that goes back in time, where a page begins at `place`: that says more than a
/// bound behind it, and given both SQLite begins at the bound and passes over what is between.
pub(super) fn to_before(to: Option<Moment>, place: DateTime<Utc>) -> Option<Moment> {
    to.filter(|to| to.0 <= place)
}

/// The same of the bound `from` of a list that goes forward in time.
pub(super) fn from_after(from: Option<Moment>, place: DateTime<Utc>) -> Option<Moment> {
    from.filter(|from| from.0 > place)
}

/// `(a, b) < (x, y)` or `(a, b) > (x, y)`: diesel has no row comparison for both databases, and both plan this one as one
/// range of an index.
#[derive(Debug, Clone, Copy, QueryId, ValidGrouping)]
pub(super) struct RowComparison<A, B, X, Y> {
    left: (A, B),
    right: (X, Y),
    operator: &'static str,
}

/// The condition `left < right` on two columns, in their order: rows that come before a row.
pub(super) fn row_before<A, B, X, Y>(left: (A, B), right: (X, Y)) -> RowComparison<A, B, X::Expression, Y::Expression>
where
    A: Expression<SqlType: SqlType + SingleValue>,
    B: Expression<SqlType: SqlType + SingleValue>,
    X: AsExpression<A::SqlType>,
    Y: AsExpression<B::SqlType>,
{
    RowComparison { left, right: (right.0.as_expression(), right.1.as_expression()), operator: ") < (" }
}

/// The condition `left > right` on two columns, in their order: rows that come after a row.
pub(super) fn row_after<A, B, X, Y>(left: (A, B), right: (X, Y)) -> RowComparison<A, B, X::Expression, Y::Expression>
where
    A: Expression<SqlType: SqlType + SingleValue>,
    B: Expression<SqlType: SqlType + SingleValue>,
    X: AsExpression<A::SqlType>,
    Y: AsExpression<B::SqlType>,
{
    RowComparison { left, right: (right.0.as_expression(), right.1.as_expression()), operator: ") > (" }
}

impl<A: Expression, B: Expression, X: Expression, Y: Expression> Expression for RowComparison<A, B, X, Y> {
    type SqlType = Bool;
}

impl<QS, A, B, X, Y> AppearsOnTable<QS> for RowComparison<A, B, X, Y>
where
    A: AppearsOnTable<QS>,
    B: AppearsOnTable<QS>,
    X: AppearsOnTable<QS>,
    Y: AppearsOnTable<QS>,
    Self: Expression,
{
}

impl<QS, A, B, X, Y> SelectableExpression<QS> for RowComparison<A, B, X, Y>
where
    A: SelectableExpression<QS>,
    B: SelectableExpression<QS>,
    X: SelectableExpression<QS>,
    Y: SelectableExpression<QS>,
    Self: AppearsOnTable<QS>,
{
}

impl<DB, A, B, X, Y> QueryFragment<DB> for RowComparison<A, B, X, Y>
where
    DB: Backend,
    A: QueryFragment<DB>,
    B: QueryFragment<DB>,
    X: QueryFragment<DB>,
    Y: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_sql("(");
        self.left.0.walk_ast(pass.reborrow())?;
        pass.push_sql(", ");
        self.left.1.walk_ast(pass.reborrow())?;
        pass.push_sql(self.operator);
        self.right.0.walk_ast(pass.reborrow())?;
        pass.push_sql(", ");
        self.right.1.walk_ast(pass.reborrow())?;
        pass.push_sql(")");
        Ok(())
    }
}
