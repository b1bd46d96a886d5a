//! Counts over time: logins, failures and ends, by hour or by day.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::backend::{Db, on_backend};
use super::columns::At;
use super::error::StoreError;
use super::schema::{attempts, sessions};
use crate::model::attempt::AttemptOutcome;
use crate::model::session::EndReason;

/// What happened in one bucket of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bucket {
    /// How many sessions started.
    pub logins: i64,
    /// How many login attempts failed.
    pub failures: i64,
    /// How many sessions ended, by reason.
    pub ends: BTreeMap<EndReason, i64>,
}

/// Counts from `from` until before `to`, in buckets of `seconds` counted from 1970; buckets without anything are left
/// out. Keys are the seconds at which a bucket begins.
pub fn buckets(
    db: &mut Db,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    seconds: i64,
) -> Result<BTreeMap<i64, Bucket>, StoreError> {
    let mut buckets: BTreeMap<i64, Bucket> = BTreeMap::new();
    let (from, to) = (At(from), At(to));
    let started: Vec<(i64, i64)> = on_backend!(db, |connection| {
        let number = sql::<BigInt>(&number_sql(connection, "started_at", seconds));
        sessions::table
            .filter(sessions::started_at.ge(from).and(sessions::started_at.lt(to)))
            .group_by(sql::<BigInt>("1"))
            .select((number, sql::<BigInt>("count(*)")))
            .load(connection)?
    });
    for (number, count) in started {
        buckets.entry(number * seconds).or_default().logins = count;
    }
    let failed: Vec<(i64, i64)> = on_backend!(db, |connection| {
        let number = sql::<BigInt>(&number_sql(connection, "at", seconds));
        attempts::table
            .filter(attempts::at.ge(from).and(attempts::at.lt(to)))
            .filter(attempts::outcome.ne(AttemptOutcome::Success.as_str()))
            .group_by(sql::<BigInt>("1"))
            .select((number, sql::<BigInt>("count(*)")))
            .load(connection)?
    });
    for (number, count) in failed {
        buckets.entry(number * seconds).or_default().failures = count;
    }
    let ended: Vec<(i64, Option<String>, i64)> = on_backend!(db, |connection| {
        let number = sql::<BigInt>(&number_sql(connection, "ended_at", seconds));
        sessions::table
            .filter(sessions::ended_at.ge(Some(from)).and(sessions::ended_at.lt(Some(to))))
            .group_by(sql::<BigInt>("1, 2"))
            .select((number, sql::<Nullable<Text>>("end_reason"), sql::<BigInt>("count(*)")))
            .load(connection)?
    });
    for (number, reason, count) in ended {
        let Some(reason) = reason else { continue };
        let reason = reason.parse().map_err(|error| StoreError::Corrupt(format!("sessions: {error}")))?;
        buckets.entry(number * seconds).or_default().ends.insert(reason, count);
    }
    Ok(buckets)
}

/// How many sessions are active at `now`.
pub fn active(db: &mut Db, now: DateTime<Utc>) -> Result<i64, StoreError> {
    let active = sessions::table.filter(sessions::ended_at.is_null()).filter(sessions::idle_expires_at.gt(At(now)));
    Ok(active.count().get_result(db)?)
}

/// SQL for the number of the bucket that a time lies in; each database keeps time in its own way.
trait StretchNumber {
    fn bucket_number(&self, column: &str, seconds: i64) -> String;
}

impl StretchNumber for PgConnection {
    fn bucket_number(&self, column: &str, seconds: i64) -> String {
        format!("floor(extract(epoch from {column}) / {seconds})::bigint")
    }
}

impl StretchNumber for SqliteConnection {
    fn bucket_number(&self, column: &str, seconds: i64) -> String {
        format!("{column} / {}", seconds * 1_000_000)
    }
}

fn number_sql(connection: &impl StretchNumber, column: &str, seconds: i64) -> String {
    connection.bucket_number(column, seconds)
}
