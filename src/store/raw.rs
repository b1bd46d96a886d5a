//! Rows as the databases hand them out, without making anything of them first: for what is read a million rows at a time.

use std::borrow::Cow;
use std::str::from_utf8;

use diesel::backend::Backend;
use diesel::connection::LoadConnection;
use diesel::expression::QueryMetadata;
use diesel::pg::{Pg, PgValue};
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::row::{Field as _, Row};
use diesel::sqlite::{Sqlite, SqliteType};
use uuid::Uuid;

use super::error::StoreError;
use crate::model::record::{Shape, Value};

/// Microseconds from 1970 to 2000, from when PostgreSQL counts.
const UNTIL_2000: i64 = 946_684_800_000_000;

/// A database whose values are read as they are.
pub(super) trait Raw: Backend {
    /// Hands on what a column says, as a member of this shape.
    fn hand<T>(value: Option<Self::RawValue<'_>>, shape: Shape, to: impl FnOnce(Value<'_>) -> T) -> T;
}

/// Makes something of the rows that a query finds.
pub(super) trait Take {
    /// Takes the values that it needs from a row.
    fn take<'r, DB: Raw>(&mut self, row: &impl Row<'r, DB>) -> Result<(), StoreError>;
}

/// Hands on the rows that a query finds.
pub(super) fn each<'q, C, Q>(connection: &mut C, query: Q, to: &mut impl Take) -> Result<(), StoreError>
where
    C: LoadConnection,
    C::Backend: Raw + QueryMetadata<Q::SqlType>,
    Q: Query + QueryFragment<C::Backend> + QueryId + 'q,
{
    for row in connection.load(query)? {
        to.take(&row?)?;
    }
    Ok(())
}

/// Where a column stands among these: found out when Vigie is compiled.
pub(super) const fn place(columns: &[&str], name: &str) -> usize {
    let mut place = 0;
    // Of the comparisons of bytes this is the one that is `const`.
    while !columns[place].as_bytes().eq_ignore_ascii_case(name.as_bytes()) {
        place += 1;
    }
    place
}

/// What a column of a row says, as a member of this shape.
pub(super) fn column<'r, DB: Raw, T>(
    row: &impl Row<'r, DB>,
    place: usize,
    shape: Shape,
    to: impl FnOnce(Value<'_>) -> T,
) -> T {
    let field = row.get(place);
    DB::hand(field.as_ref().and_then(|field| field.value()), shape, to)
}

/// The number or time in a column of a row, if it is one.
pub(super) fn number<'r, DB: Raw>(row: &impl Row<'r, DB>, place: usize, shape: Shape) -> Option<i64> {
    column(row, place, shape, |value| match value {
        Value::Number(number) => Some(number),
        _ => None,
    })
}

/// The id in a column of a row, if it is one.
pub(super) fn id<'r, DB: Raw>(row: &impl Row<'r, DB>, place: usize) -> Option<Uuid> {
    column(row, place, Shape::OptionalId, |value| match value {
        Value::Id(id) => Some(id),
        Value::Text(text) => Uuid::parse_str(text).ok(),
        _ => None,
    })
}

impl Raw for Sqlite {
    fn hand<T>(value: Option<Self::RawValue<'_>>, shape: Shape, to: impl FnOnce(Value<'_>) -> T) -> T {
        let Some(mut value) = value else { return to(Value::Missing) };
        match (shape, value.value_type()) {
            (Shape::Number | Shape::Time | Shape::OptionalTime, Some(SqliteType::Long)) => {
                to(Value::Number(value.read_long()))
            }
            (Shape::Bytes | Shape::OptionalBytes, Some(SqliteType::Binary)) => to(Value::Bytes(value.read_blob())),
            (Shape::Number | Shape::Time | Shape::OptionalTime | Shape::Bytes | Shape::OptionalBytes, _) => {
                to(Value::Impossible)
            }
            (_, Some(SqliteType::Text)) => {
                let text = value.read_text();
                // What is no UTF-8 is read with this character in its place.
                if text.is_ascii() || !text.contains(char::REPLACEMENT_CHARACTER) {
                    return of_text(text, shape, to);
                }
                match from_utf8(value.read_blob()) {
                    Ok(text) => of_text(text, shape, to),
                    Err(_) => to(Value::Impossible),
                }
            }
            _ => to(Value::Impossible),
        }
    }
}

impl Raw for Pg {
    fn hand<T>(value: Option<PgValue<'_>>, shape: Shape, to: impl FnOnce(Value<'_>) -> T) -> T {
        let Some(value) = value else { return to(Value::Missing) };
        let bytes = value.as_bytes();
        match shape {
            Shape::Id | Shape::OptionalId => to(Uuid::from_slice(bytes).map_or(Value::Impossible, Value::Id)),
            Shape::Number => to(whole(bytes).map_or(Value::Impossible, Value::Number)),
            Shape::Time | Shape::OptionalTime => {
                let time = whole(bytes).and_then(|time| time.checked_add(UNTIL_2000));
                to(time.map_or(Value::Impossible, Value::Number))
            }
            Shape::Bytes | Shape::OptionalBytes => to(Value::Bytes(bytes)),
            Shape::Details => to(details(bytes).as_deref().map_or(Value::Impossible, Value::Text)),
            _ => match from_utf8(bytes) {
                Ok(text) => of_text(text, shape, to),
                Err(_) => to(Value::Impossible),
            },
        }
    }
}

/// PostgreSQL's JSON as records cover it: the members of an object in the order of their names, not in one of its own.
fn details(bytes: &[u8]) -> Option<Cow<'static, str>> {
    match bytes.split_first()? {
        (1, b"{}") => Some("{}".into()),
        (1, json) => serde_json::from_slice::<serde_json::Value>(json).ok().map(|details| details.to_string().into()),
        _ => None,
    }
}

/// PostgreSQL's whole numbers, by their length.
fn whole(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        4 => bytes.try_into().ok().map(i32::from_be_bytes).map(i64::from),
        8 => bytes.try_into().ok().map(i64::from_be_bytes),
        _ => None,
    }
}

fn of_text<T>(text: &str, shape: Shape, to: impl FnOnce(Value<'_>) -> T) -> T {
    match shape {
        Shape::Address | Shape::OptionalAddress => {
            to(text.parse().map_or(Value::Impossible, |ip| Value::Address(ip, text)))
        }
        _ => to(Value::Text(text)),
    }
}
