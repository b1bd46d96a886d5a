//! Criteria as conditions on columns: one of the values asked for, and none of those excluded.

use diesel::backend::Backend;
use diesel::expression::{Expression, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::Bool;
use diesel::{AppearsOnTable, SelectableExpression};

/// Narrows a query by a column: `by_values!(query, column, criterion, |value| …)`, where the last makes the column's value.
/// A row without a value is never excluded: `nullable` says that there may be such rows.
macro_rules! by_values {
    ($query:expr, nullable $column:expr, $criterion:expr, $value:expr) => {{
        let query = $crate::store::criteria::including!($query, $column, $criterion, $value);
        let excluded: Vec<_> = $criterion.exclude.iter().map($value).collect();
        if excluded.is_empty() { query } else { query.filter($column.is_null().or($column.ne_all(excluded))) }
    }};
    ($query:expr, $column:expr, $criterion:expr, $value:expr) => {{
        let query = $crate::store::criteria::including!($query, $column, $criterion, $value);
        let excluded: Vec<_> = $criterion.exclude.iter().map($value).collect();
        if excluded.is_empty() { query } else { query.filter($column.ne_all(excluded)) }
    }};
}
pub(super) use by_values;

/// The part of [`by_values`] for the values asked for. One value is compared alone: that keeps the order of an index.
macro_rules! including {
    ($query:expr, $column:expr, $criterion:expr, $value:expr) => {{
        let mut included: Vec<_> = $criterion.include.iter().map($value).collect();
        match included.len() {
            0 => $query,
            1 => $query.filter($column.eq(included.remove(0))),
            _ => $query.filter($column.eq_any(included)),
        }
    }};
}
pub(super) use including;

/// Narrows a query by a column with keys of addresses.
macro_rules! by_networks {
    ($query:expr, $column:expr, $criterion:expr) => {{
        let ranges = |networks: &[$crate::model::filter::Network]| -> Vec<_> {
            let ranges = networks.iter().flat_map(|network| $crate::model::address::key_ranges(network.0));
            ranges.map(|(first, last)| $column.between(first.to_vec(), last.to_vec())).collect()
        };
        let query = match $criterion.include.as_slice() {
            [] => $query,
            [one] => match $crate::model::address::key_ranges(one.0)[..] {
                [(first, last)] if first == last => $query.filter($column.eq(first.to_vec())),
                [(first, last)] => $query.filter($column.between(first.to_vec(), last.to_vec())),
                _ => $query.filter($crate::store::criteria::AnyOf(ranges(&$criterion.include))),
            },
            several => $query.filter($crate::store::criteria::AnyOf(ranges(several))),
        };
        let excluded = ranges(&$criterion.exclude);
        if excluded.is_empty() {
            query
        } else {
            query.filter(diesel::dsl::not($crate::store::criteria::AnyOf(excluded)))
        }
    }};
}
pub(super) use by_networks;

/// `(a OR b OR …)`: any of these conditions, of which there is at least one.
#[derive(Debug, Clone, ValidGrouping)]
pub(super) struct AnyOf<E>(pub Vec<E>);

impl<E: Expression> Expression for AnyOf<E> {
    type SqlType = Bool;
}

impl<E, QS> AppearsOnTable<QS> for AnyOf<E>
where
    E: AppearsOnTable<QS>,
    Self: Expression,
{
}

impl<E, QS> SelectableExpression<QS> for AnyOf<E>
where
    E: SelectableExpression<QS>,
    Self: AppearsOnTable<QS>,
{
}

/// How many there are is not seen in the type.
impl<E> QueryId for AnyOf<E> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB: Backend, E: QueryFragment<DB>> QueryFragment<DB> for AnyOf<E> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        for (place, condition) in self.0.iter().enumerate() {
            pass.push_sql(if place == 0 { "(" } else { " OR " });
            condition.walk_ast(pass.reborrow())?;
        }
        pass.push_sql(")");
        Ok(())
    }
}
