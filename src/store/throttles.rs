//! Queries on `throttles`: failures counted for accounts, addresses and networks.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::dsl::case_when;
use diesel::prelude::*;

use super::backend::{Both, Db};
use super::columns::At;
use super::error::StoreError;
use super::schema::throttles;
use crate::model::words::words;

words! {
    /// What failures are counted for.
    pub enum ThrottleScope {
        /// An account, tried from anywhere.
        Account = "account",
        /// An account, tried from a network its user has logged in from.
        KnownDevice = "known_device",
        /// An address (IPv6: /64).
        Address = "address",
        /// A network (/24, IPv6 /56).
        Network = "network",
    }
}

/// What is counted: a scope and a keyed digest of the account, address or network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThrottleKey {
    /// The scope.
    pub scope: ThrottleScope,
    /// The digest.
    pub subject: [u8; 32],
}

/// What has been counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Failures in a row, since the last success.
    pub failures: i32,
    /// Failures in the current window.
    pub window_failures: i32,
    /// When that window began.
    pub window_began_at: DateTime<Utc>,
    /// Until when tries are refused.
    pub closed_until: Option<DateTime<Utc>>,
}

/// What has been counted for a key.
pub fn find(db: &mut Db, key: ThrottleKey) -> Result<Option<Count>, StoreError> {
    let row: Option<(i32, i32, At, Option<At>)> = throttles::table
        .find((key.scope.as_str(), key.subject.to_vec()))
        .select((throttles::failures, throttles::window_failures, throttles::window_began_at, throttles::closed_until))
        .first(db)
        .optional()?;
    Ok(row.map(|(failures, window_failures, began, until)| Count {
        failures,
        window_failures,
        window_began_at: began.0,
        closed_until: until.map(|at| at.0),
    }))
}

/// Counts a failure at `now`, in a window of this length. One statement, so that failures at the same time all count.
pub fn add_failure(db: &mut Db, key: ThrottleKey, now: DateTime<Utc>, window: TimeDelta) -> Result<Count, StoreError> {
    let window_start = At(now - window);
    let row = (
        throttles::scope.eq(key.scope.as_str()),
        throttles::subject.eq(key.subject.to_vec()),
        throttles::failures.eq(1),
        throttles::window_failures.eq(1),
        throttles::window_began_at.eq(At(now)),
        throttles::last_failure_at.eq(At(now)),
    );
    let counted = diesel::insert_into(throttles::table)
        .values(row)
        .on_conflict((throttles::scope, throttles::subject))
        .do_update()
        .set((
            throttles::failures.eq(throttles::failures + 1),
            throttles::window_failures.eq(case_when(
                throttles::window_began_at.gt(window_start),
                throttles::window_failures + 1,
            )
            .otherwise(1)),
            throttles::window_began_at.eq(case_when(
                throttles::window_began_at.gt(window_start),
                throttles::window_began_at,
            )
            .otherwise(At(now))),
            throttles::last_failure_at.eq(At(now)),
        ))
        .returning((
            throttles::failures,
            throttles::window_failures,
            throttles::window_began_at,
            throttles::closed_until,
        ));
    let (failures, window_failures, began, until): (i32, i32, At, Option<At>) = Both(counted).get_result(db)?;
    Ok(Count { failures, window_failures, window_began_at: began.0, closed_until: until.map(|at| at.0) })
}

/// Refuses tries until `until`.
pub fn close(db: &mut Db, key: ThrottleKey, until: DateTime<Utc>) -> Result<(), StoreError> {
    diesel::update(throttles::table.find((key.scope.as_str(), key.subject.to_vec())))
        .set(throttles::closed_until.eq(Some(At(until))))
        .execute(db)?;
    Ok(())
}

/// Forgets what was counted: a success, or an administrator's decision.
pub fn forget(db: &mut Db, key: ThrottleKey) -> Result<bool, StoreError> {
    Ok(diesel::delete(throttles::table.find((key.scope.as_str(), key.subject.to_vec()))).execute(db)? == 1)
}

/// Forgets what nobody added to since `before`, so that the table stays as small as the recent past. An account with
/// `locked_after` failures in a row stays: time does not open it (ATH-03).
pub fn forget_older(db: &mut Db, before: DateTime<Utc>, locked_after: u32) -> Result<usize, StoreError> {
    let old = throttles::last_failure_at.lt(At(before));
    let open = throttles::closed_until.is_null().or(throttles::closed_until.lt(Some(At(before))));
    let source = [ThrottleScope::Address, ThrottleScope::Network].map(|scope| throttles::scope.eq(scope.as_str()));
    let [address, network] = source;
    let few = throttles::failures.lt(i32::try_from(locked_after).unwrap_or(i32::MAX));
    let unlocked = address.or(network).or(few);
    Ok(diesel::delete(throttles::table.filter(old.and(open).and(unlocked))).execute(db)?)
}
