//! How values become columns: SQL types that exist on both databases, so that one schema serves both, and the types
//! that carry them. Bad values read from a row are errors, never defaults.

use std::net::IpAddr;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{self, HasSqlType, SqlType, Text};
use diesel::sqlite::Sqlite;
use uuid::Uuid;

use super::backend::MultiBackend;
use crate::model::redaction::{Proof, Proofs};

/// PostgreSQL `timestamptz`; SQLite INTEGER, microseconds since 1970.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Long"))]
pub struct Moment;

/// PostgreSQL `uuid`; SQLite TEXT, 36 characters.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 2950, array_oid = 2951), sqlite_type(name = "Text"))]
pub struct Identifier;

/// PostgreSQL `jsonb`; SQLite TEXT.
#[derive(Debug, Clone, Copy, Default, QueryId, SqlType)]
#[diesel(postgres_type(oid = 3802, array_oid = 3807), sqlite_type(name = "Text"))]
pub struct JsonObject;

impl sql_types::SqlOrd for Moment {}

/// A moment, as the SQL type [`Moment`] carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = Moment)]
pub struct At(pub DateTime<Utc>);

/// Carries a UUID of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Identifier)]
pub struct Id(pub Uuid);

/// Carries a JSON value.
#[derive(Debug, Clone, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = JsonObject)]
pub struct Json(pub serde_json::Value);

/// The three impls that make an SQL type of ours work on the enum.
macro_rules! on_both {
    ($sql:ident, $carrier:ident) => {
        impl HasSqlType<$sql> for MultiBackend {
            fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
                MultiBackend::lookup_sql_type::<$sql>(lookup)
            }
        }

        impl FromSql<$sql, MultiBackend> for $carrier {
            fn from_sql(value: <MultiBackend as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                value.from_sql::<$carrier, $sql>()
            }
        }

        impl ToSql<$sql, MultiBackend> for $carrier {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
                out.set_value(($sql, self));
                Ok(IsNull::No)
            }
        }
    };
}
on_both!(Moment, At);
on_both!(Identifier, Id);
on_both!(JsonObject, Json);

impl ToSql<Moment, Pg> for At {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Timestamptz, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<Moment, Pg> for At {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql_types::Timestamptz, Pg>::from_sql(value).map(Self)
    }
}

impl ToSql<Moment, Sqlite> for At {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.timestamp_micros());
        Ok(IsNull::No)
    }
}

impl FromSql<Moment, Sqlite> for At {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let microseconds = <i64 as FromSql<sql_types::BigInt, Sqlite>>::from_sql(value)?;
        DateTime::from_timestamp_micros(microseconds).map(Self).ok_or_else(|| "a time out of range".into())
    }
}

impl ToSql<Identifier, Pg> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Uuid, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<Identifier, Pg> for Id {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql_types::Uuid, Pg>::from_sql(value).map(Self)
    }
}

impl ToSql<Identifier, Sqlite> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_hyphenated().to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<Identifier, Sqlite> for Id {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        Ok(Self(Uuid::parse_str(&text)?))
    }
}

impl ToSql<JsonObject, Pg> for Json {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<sql_types::Jsonb, Pg>::to_sql(&self.0, out)
    }
}

impl FromSql<JsonObject, Pg> for Json {
    fn from_sql(value: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        FromSql::<sql_types::Jsonb, Pg>::from_sql(value).map(Self)
    }
}

impl ToSql<JsonObject, Sqlite> for Json {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<JsonObject, Sqlite> for Json {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        Ok(Self(serde_json::from_str(&text)?))
    }
}

/// Reads one of a closed list of words, an address or another value that is kept as text.
pub(super) fn parsed<T>(text: &str) -> deserialize::Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error: T::Err| Box::new(error) as Box<dyn std::error::Error + Send + Sync>)
}

/// Reads a value of a fixed length, such as a digest.
pub(super) fn fixed<const N: usize>(bytes: Vec<u8>) -> deserialize::Result<[u8; N]> {
    bytes.try_into().map_err(|bytes: Vec<u8>| format!("{} bytes instead of {N}", bytes.len()).into())
}

/// Reads the proofs of a row.
pub(super) fn proofs(addresses: Option<&[u8]>, person: Option<&[u8]>) -> deserialize::Result<Proofs> {
    Ok(Proofs { addresses: Proof::from_bytes(addresses)?, person: Proof::from_bytes(person)? })
}

/// Reads an IP address from a text column.
pub(super) fn address(text: &str) -> deserialize::Result<IpAddr> {
    parsed(text)
}
