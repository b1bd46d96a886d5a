//! Queries on `throttles`: failures counted for accounts, addresses, networks and the whole server.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::dsl::case_when;
use diesel::prelude::*;

use super::advisory::{self, Lock};
use super::backend::{Db, MultiBackend, Portable};
use super::columns::{At, Id, fixed};
use super::error::StoreError;
use super::keyset::{Page, row_before};
use super::rows::PER_STATEMENT;
use super::schema::{throttles, users};
use crate::model::id::{ThrottleId, UserId};
use crate::model::words::words;

words! {
    /// What failures are counted for.
    pub enum ThrottleScope {
        /// An account, tried from anywhere.
        Account = "account",
        /// An account, tried by a device that its user has logged in by.
        KnownDevice = "known_device",
        /// An address (IPv6: /64).
        Address = "address",
        /// A network (/24, IPv6 /56).
        Network = "network",
        /// The whole server.
        Overall = "overall",
    }
}

impl ThrottleScope {
    /// Whether it is an account, which failures in a row close for good.
    #[must_use]
    pub const fn is_account(self) -> bool {
        matches!(self, Self::Account | Self::KnownDevice)
    }
}

/// Lets nobody take a name until the transaction is over: whoever looks whether somebody has it may count for what is found.
pub fn lock_names_shared(db: &mut Db) -> Result<(), StoreError> {
    advisory::lock_shared(db, Lock::Names)
}

/// Waits until nobody holds them, and lets nobody until the transaction is over: whoever takes a name forgets what was counted
/// for it, and nothing may be added meanwhile.
pub fn lock_names_exclusive(db: &mut Db) -> Result<(), StoreError> {
    advisory::lock_exclusive(db, Lock::Names)
}

/// What is counted: a scope and a keyed digest of the account, address or network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThrottleKey {
    /// Whose failures are counted: an account, an address, a network or the whole server.
    pub scope: ThrottleScope,
    /// The keyed digest (HMAC-SHA256) of the name, address or network.
    pub subject: [u8; 32],
}

impl ThrottleKey {
    /// The id by which administrators name it. The digest is keyed, so its beginning tells nobody anything.
    #[must_use]
    pub fn id(&self) -> ThrottleId {
        let mut beginning = [0; 16];
        beginning.copy_from_slice(&self.subject[..16]);
        ThrottleId::made_of(beginning)
    }
}

/// Whose failures are counted, as far as an administrator may see it (P7): a name that no user has is masked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DisplayedSubject {
    /// The user whose account it is.
    pub user_id: Option<UserId>,
    /// The masked name, where no user has it.
    pub masked_name: Option<String>,
    /// The address or network.
    pub network: Option<String>,
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
pub fn add_failure(
    db: &mut Db,
    key: ThrottleKey,
    display: &DisplayedSubject,
    now: DateTime<Utc>,
    window: TimeDelta,
) -> Result<Count, StoreError> {
    let window_start = At(now - window);
    // One that began in the future was begun by a clock that was ahead: it goes on from now, with what was counted in it.
    let began = throttles::window_began_at.gt(window_start).and(throttles::window_began_at.le(At(now)));
    let row = (
        throttles::scope.eq(key.scope.as_str()),
        throttles::subject.eq(key.subject.to_vec()),
        throttles::failures.eq(1),
        throttles::window_failures.eq(1),
        throttles::window_began_at.eq(At(now)),
        throttles::last_failure_at.eq(At(now)),
        throttles::user_id.eq(display.user_id.map(|id| Id(id.0))),
        throttles::masked_name.eq(display.masked_name.clone()),
        throttles::network.eq(display.network.clone()),
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
            throttles::window_began_at.eq(case_when(began, throttles::window_began_at).otherwise(At(now))),
            throttles::last_failure_at.eq(At(now)),
            throttles::user_id.eq(display.user_id.map(|id| Id(id.0))),
            throttles::masked_name.eq(display.masked_name.clone()),
            throttles::network.eq(display.network.clone()),
        ))
        .returning((
            throttles::failures,
            throttles::window_failures,
            throttles::window_began_at,
            throttles::closed_until,
        ));
    let (failures, window_failures, began, until): (i32, i32, At, Option<At>) = Portable(counted).get_result(db)?;
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
pub fn clear(db: &mut Db, key: ThrottleKey) -> Result<bool, StoreError> {
    Ok(diesel::delete(throttles::table.find((key.scope.as_str(), key.subject.to_vec()))).execute(db)? == 1)
}

/// Forgets what was counted for these keys, which are all of this scope; returns how many counts.
pub fn clear_all(db: &mut Db, scope: ThrottleScope, keys: &[ThrottleKey]) -> Result<usize, StoreError> {
    let of_scope = throttles::scope.eq(scope.as_str());
    let mut forgotten = 0;
    for keys in keys.chunks(PER_STATEMENT) {
        let subjects = keys.iter().map(|key| key.subject.to_vec());
        let rows = throttles::table.filter(of_scope.and(throttles::subject.eq_any(subjects.collect::<Vec<_>>())));
        forgotten += diesel::delete(rows).execute(db)?;
    }
    Ok(forgotten)
}

/// Forgets what was counted for a user's account; returns how many counts.
pub fn clear_of_user(db: &mut Db, id: UserId) -> Result<usize, StoreError> {
    let accounts = ThrottleScope::ALL.iter().filter(|scope| scope.is_account()).map(|scope| scope.as_str());
    let of_account = throttles::scope.eq_any(accounts.collect::<Vec<_>>());
    let rows = throttles::table.filter(throttles::user_id.eq(Some(Id(id.0))).and(of_account));
    Ok(diesel::delete(rows).execute(db)?)
}

/// Counts under another key of the same scope, where nothing is counted yet, what was counted under this one.
pub fn rename(db: &mut Db, from: ThrottleKey, to: ThrottleKey) -> Result<(), StoreError> {
    diesel::update(throttles::table.find((from.scope.as_str(), from.subject.to_vec())))
        .set(throttles::subject.eq(to.subject.to_vec()))
        .execute(db)?;
    Ok(())
}

/// Forgets what nobody added to since `before`, so that the table stays as small as the recent past. An account with
/// `locked_after` failures in a row stays: time does not open it; nor does it forget failures in a row of somebody's account
/// (ATH-03).
pub fn prune_before(db: &mut Db, before: DateTime<Utc>, locked_after: u32) -> Result<usize, StoreError> {
    let old = throttles::last_failure_at.lt(At(before));
    let open = throttles::closed_until.is_null().or(throttles::closed_until.lt(Some(At(before))));
    let unlocked = diesel::dsl::not(is_locked(locked_after));
    let account = [ThrottleScope::Account.as_str(), ThrottleScope::KnownDevice.as_str()];
    let of_nobody = throttles::user_id.is_null().or(throttles::scope.ne_all(account));
    Ok(diesel::delete(throttles::table.filter(old.and(open).and(unlocked).and(of_nobody))).execute(db)?)
}

/// An account with so many failures in a row.
#[diesel::dsl::auto_type]
fn is_locked(locked_after: u32) -> _ {
    let enough: i32 = i32::try_from(locked_after).unwrap_or(i32::MAX);
    let account: &'static str = ThrottleScope::Account.as_str();
    let known_device: &'static str = ThrottleScope::KnownDevice.as_str();
    throttles::scope.eq(account).or(throttles::scope.eq(known_device)).and(throttles::failures.ge(enough))
}

/// A count as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleRow {
    /// The scope and the subject that are counted.
    pub key: ThrottleKey,
    /// The failures that were counted.
    pub count: Count,
    /// When the last one was.
    pub last_failure_at: DateTime<Utc>,
    /// Whose failures these are, as far as an administrator may see it.
    pub display: DisplayedSubject,
    /// The user's present name.
    pub username: Option<String>,
}

/// Which counts a list shows; all members together.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThrottleFilter {
    /// Counts of this scope.
    pub scope: Option<ThrottleScope>,
    /// Counts of this user's account.
    pub user_id: Option<UserId>,
    /// Those that refuse tries at this moment, with so many failures in a row closing an account for good.
    pub closed_at: Option<(DateTime<Utc>, u32)>,
}

/// The place of a count in the order of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// When its last failure was.
    pub last_failure_at: DateTime<Utc>,
    /// The subject of its key, which orders counts of the same moment.
    pub subject: [u8; 32],
}

impl Position {
    /// The place of this count.
    #[must_use]
    pub const fn of(row: &ThrottleRow) -> Self {
        Self { last_failure_at: row.last_failure_at, subject: row.key.subject }
    }
}

type Columns =
    (String, Vec<u8>, i32, i32, At, At, Option<At>, Option<Id>, Option<String>, Option<String>, Option<String>);

fn into_row(columns: Columns) -> Result<ThrottleRow, StoreError> {
    let (scope, subject, failures, window_failures, began, last, until, user_id, masked_name, network, username) =
        columns;
    let scope = scope.parse().map_err(|error| StoreError::Corrupt(format!("throttles: {error}")))?;
    let subject = fixed(subject).map_err(|error| StoreError::Corrupt(format!("throttles: {error}")))?;
    Ok(ThrottleRow {
        key: ThrottleKey { scope, subject },
        count: Count { failures, window_failures, window_began_at: began.0, closed_until: until.map(|at| at.0) },
        last_failure_at: last.0,
        display: DisplayedSubject { user_id: user_id.map(|id| UserId(id.0)), masked_name, network },
        username,
    })
}

/// Counts, those with the newest failure first, those after `after` in that order.
pub fn list(
    db: &mut Db,
    filter: &ThrottleFilter,
    after: Option<Position>,
    limit: i64,
) -> Result<Page<ThrottleRow, Position>, StoreError> {
    let joined = throttles::table.left_join(users::table.on(throttles::user_id.eq(users::id.nullable())));
    let mut query = joined.select(columns()).into_boxed::<MultiBackend>();
    if let Some(scope) = filter.scope {
        query = query.filter(throttles::scope.eq(scope.as_str()));
    }
    if let Some(user_id) = filter.user_id {
        query = query.filter(throttles::user_id.eq(Some(Id(user_id.0))));
    }
    if let Some((now, locked_after)) = filter.closed_at {
        query = query.filter(throttles::closed_until.gt(Some(At(now))).or(is_locked(locked_after).nullable()));
    }
    if let Some(after) = after {
        let place = (At(after.last_failure_at), after.subject.to_vec());
        query = query.filter(row_before((throttles::last_failure_at, throttles::subject), place));
    }
    let order = (throttles::last_failure_at.desc(), throttles::subject.desc());
    let rows: Vec<Columns> = query.order(order).limit(limit + 1).load(db)?;
    Ok(Page::cut(rows.into_iter().map(into_row).collect::<Result<_, _>>()?, limit, Position::of))
}

/// The count with this id. An id holds the first bytes of the digest, so few are looked at.
pub fn find_by_id(db: &mut Db, id: ThrottleId) -> Result<Option<ThrottleRow>, StoreError> {
    let prefix = &id.0.as_bytes()[..6];
    let (mut first, mut last) = ([0; 32], [0xff; 32]);
    first[..6].copy_from_slice(prefix);
    last[..6].copy_from_slice(prefix);
    let joined = throttles::table.left_join(users::table.on(throttles::user_id.eq(users::id.nullable())));
    let rows: Vec<Columns> = joined
        .select(columns())
        .filter(throttles::scope.eq_any(ThrottleScope::ALL.iter().map(|scope| scope.as_str())))
        .filter(throttles::subject.between(first.to_vec(), last.to_vec()))
        .load(db)?;
    let rows = rows.into_iter().map(into_row).collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().find(|row| row.key.id() == id))
}

#[diesel::dsl::auto_type]
fn columns() -> _ {
    (
        throttles::scope,
        throttles::subject,
        throttles::failures,
        throttles::window_failures,
        throttles::window_began_at,
        throttles::last_failure_at,
        throttles::closed_until,
        throttles::user_id,
        throttles::masked_name,
        throttles::network,
        users::username.nullable(),
    )
}
