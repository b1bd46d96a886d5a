//! What failed logins cost: growing delays per account, limits per address, per network and for the whole server (ATH-02
//! to ATH-05).
//!
//! Tries on an account by a device that is known are counted apart from all others, and no limit but their own stops them: an
//! attacker elsewhere cannot keep the user out (ATH-04).

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Backoff;
use crate::config;
use crate::key::Key;
use crate::keyring::{KeyPurpose, Keyring};
use crate::model::address::{host_network, wide_network};
use crate::model::attempt::Attempt;
use crate::model::secret::SecretDigest;
use crate::model::user::User;
use crate::store::throttles::{self, Count, DisplayedSubject, ThrottleKey, ThrottleScope};
use crate::store::{Db, StoreError, users};

const DAY: TimeDelta = TimeDelta::days(1);
/// Failures in a row after which a device is known no more until its user logs in. Of ten devices and an account that closes
/// after fifty, a hundred in all (ATH-03).
const FAILURES_BY_DEVICE: i32 = 5;

/// The rules of `[throttle]`.
#[derive(Debug, Clone)]
pub struct Throttle {
    rules: config::Throttle,
}

/// What a try to log in is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleKeys {
    /// The account, or the account by a known device: what may refuse the try and what a success clears.
    pub account: ThrottleKey,
    /// The address, the network and the whole server; they refuse only tries by devices that are not known.
    pub sources: [ThrottleKey; 3],
    /// Failures by the device that the try came by, where that is one of the user's: a success clears them too.
    pub device: Option<ThrottleKey>,
    /// Whether that device is known: what failed by it often enough is no more than any other.
    pub is_known: bool,
}

/// What makes the keys: names that no user has are not kept, not even by their plain digest (P7).
#[derive(Debug, Clone)]
pub struct ThrottleDigests {
    account: Key,
    known_device: Key,
    address: Key,
    network: Key,
    overall: Key,
}

impl ThrottleDigests {
    /// Digests under the keys of this keyring.
    #[must_use]
    pub fn new(keyring: &Keyring) -> Self {
        let key = |purpose| keyring.key(purpose).clone();
        Self {
            account: key(KeyPurpose::ThrottleAccount),
            known_device: key(KeyPurpose::ThrottleKnownDevice),
            address: key(KeyPurpose::ThrottleAddress),
            network: key(KeyPurpose::ThrottleNetwork),
            overall: key(KeyPurpose::ThrottleOverall),
        }
    }

    /// The key under which an account is counted by all devices but those that are known.
    #[must_use]
    pub fn of_account(&self, case_folded_name: &str) -> ThrottleKey {
        self.of(ThrottleScope::Account, case_folded_name.as_bytes())
    }

    fn of(&self, scope: ThrottleScope, subject: &[u8]) -> ThrottleKey {
        let key = match scope {
            ThrottleScope::Account => &self.account,
            ThrottleScope::KnownDevice => &self.known_device,
            ThrottleScope::Address => &self.address,
            ThrottleScope::Network => &self.network,
            ThrottleScope::Overall => &self.overall,
        };
        ThrottleKey { scope, subject: key.digest(subject) }
    }
}

/// Forgets the failures of a user's account, from wherever it was tried. `true` where there were some.
pub fn clear_account(db: &mut Db, digests: &ThrottleDigests, user: &User) -> Result<bool, StoreError> {
    let key = digests.of_account(&account_form(db, user)?);
    let by_name = throttles::clear_all(db, ThrottleScope::Account, &[key])?;
    Ok(throttles::clear_of_user(db, user.id)? + by_name > 0)
}

/// Forgets the failures counted for the names of these users, who are new: those before them were of nobody, or of somebody
/// else. Returns how many counts.
pub fn clear_names<'a>(
    db: &mut Db,
    digests: &ThrottleDigests,
    users: impl Iterator<Item = &'a User>,
) -> Result<usize, StoreError> {
    throttles::lock_names_exclusive(db)?;
    // Nothing is asked for each: they may be thousands, and SQLite has one writer.
    let keys: Vec<ThrottleKey> = users.map(|user| digests.of_account(&user.username.folded())).collect();
    throttles::clear_all(db, ThrottleScope::Account, &keys)
}

/// The form of the name under which an account's failures are counted: that under which the user is found, so that of two whose
/// names were told apart once each has an own count.
pub fn account_form(db: &mut Db, user: &User) -> Result<String, StoreError> {
    Ok(users::kept_form(db, user.id)?.unwrap_or_else(|| user.username.folded()))
}

/// Counts what was counted for a user's name, in this form, for another one from now on: the user takes it along.
pub fn rename_account(db: &mut Db, digests: &ThrottleDigests, from: &str, to: &str) -> Result<(), StoreError> {
    let (from, to) = (digests.of_account(from), digests.of_account(to));
    if from == to {
        return Ok(());
    }
    throttles::lock_names_exclusive(db)?;
    throttles::clear(db, to)?;
    throttles::rename(db, from, to)
}

impl ThrottleKeys {
    /// The keys of a try with this name from this address; `shown` is the device it came by, if it is the
    /// user's.
    pub fn find(
        db: &mut Db,
        digests: &ThrottleDigests,
        case_folded_name: &str,
        ip: IpAddr,
        shown: Option<SecretDigest>,
    ) -> Result<Self, StoreError> {
        let key = digests.of(ThrottleScope::KnownDevice, &shown.unwrap_or(SecretDigest([0; 32])).0);
        // Asked for in any case: one query less would tell that there is no such device.
        let failures = throttles::find(db, key)?.map_or(0, |count| count.failures);
        let is_known = shown.is_some() && failures < FAILURES_BY_DEVICE;
        let sources = [
            digests.of(ThrottleScope::Address, host_network(ip).to_string().as_bytes()),
            digests.of(ThrottleScope::Network, wide_network(ip).to_string().as_bytes()),
            digests.of(ThrottleScope::Overall, b""),
        ];
        let account = if is_known { key } else { digests.of_account(case_folded_name) };
        Ok(Self { account, sources, device: shown.map(|_| key), is_known })
    }

    /// The key of the account under another form of its name, or as its user is called by now.
    #[must_use]
    pub fn of_account(&self, digests: &ThrottleDigests, form: &str) -> ThrottleKey {
        if self.is_known { self.account } else { digests.of_account(form) }
    }

    /// Those that may refuse the try.
    fn refusing(&self) -> impl Iterator<Item = &ThrottleKey> {
        let sources: &[ThrottleKey] = if self.is_known { &[] } else { &self.sources };
        std::iter::once(&self.account).chain(sources)
    }
}

/// What counting a failure came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Whether it was the one that closed the account for good.
    pub locked: bool,
    /// Failures from its network in the window.
    pub of_network: i32,
    /// Failures of the whole server in the window.
    pub overall: i32,
}

/// Whose failures are counted under a key for this attempt, as far as an administrator may see it.
fn displayed(scope: ThrottleScope, attempt: &Attempt) -> DisplayedSubject {
    let network = match scope {
        ThrottleScope::Account | ThrottleScope::Overall => None,
        ThrottleScope::KnownDevice | ThrottleScope::Network => Some(wide_network(attempt.ip)),
        ThrottleScope::Address => Some(host_network(attempt.ip)),
    };
    let account = scope.is_account().then_some(attempt);
    DisplayedSubject {
        user_id: account.and_then(|attempt| attempt.user_id),
        masked_name: account.filter(|attempt| attempt.user_id.is_none()).map(|attempt| attempt.username.clone()),
        network: network.map(|network| network.to_string()),
    }
}

impl Throttle {
    /// The throttle by the rules of `[throttle]`.
    #[must_use]
    pub const fn new(rules: config::Throttle) -> Self {
        Self { rules }
    }

    /// How long a try must wait; `None`: it may go ahead.
    pub fn wait(&self, db: &mut Db, keys: &ThrottleKeys, now: DateTime<Utc>) -> Result<Option<Duration>, StoreError> {
        let mut longest = None;
        for key in keys.refusing() {
            let Some(count) = throttles::find(db, *key)? else { continue };
            longest = longest.max(self.refusal(key.scope, &count, now));
        }
        Ok(longest)
    }

    /// How many more failures of each source may be counted before it refuses tries; 1 where it only pauses. Those of a known
    /// device refuse nothing.
    pub fn attempts_left(
        &self,
        db: &mut Db,
        keys: &ThrottleKeys,
        now: DateTime<Utc>,
    ) -> Result<Vec<(ThrottleKey, usize)>, StoreError> {
        let mut room = Vec::new();
        for key in keys.refusing().filter(|key| !key.scope.is_account()) {
            let limit = self.limit(key.scope);
            if limit == 0 {
                continue;
            }
            let count = throttles::find(db, *key)?.filter(|count| now - count.window_began_at < self.window(key.scope));
            let failures = count.map_or(0, |count| u32::try_from(count.window_failures).unwrap_or(0));
            room.push((*key, limit.saturating_sub(failures).max(1) as usize));
        }
        Ok(room)
    }

    /// Failures in its window that close a source; 0 for none.
    const fn limit(&self, scope: ThrottleScope) -> u32 {
        match scope {
            ThrottleScope::Account | ThrottleScope::KnownDevice => self.rules.daily_failures,
            ThrottleScope::Address => self.rules.address_failures,
            ThrottleScope::Network => self.rules.network_failures,
            ThrottleScope::Overall => self.rules.overall_failures,
        }
    }

    /// Opens sooner what is closed for longer than any rule closes it: it was closed by a clock that was ahead. From a try
    /// that was refused, nobody waits longer than the rules say.
    /// `exceeds_longest_wait` tells whether there is anything to open.
    pub fn cap_wait(&self, db: &mut Db, keys: &ThrottleKeys, now: DateTime<Utc>) -> Result<(), StoreError> {
        for key in keys.refusing() {
            let Some(count) = throttles::find(db, *key)? else { continue };
            let latest = now + self.longest(key.scope, &count);
            if count.closed_until.is_some_and(|until| until > latest) {
                throttles::close(db, *key, latest)?;
            }
        }
        Ok(())
    }

    /// Whether something is closed for longer than any rule closes it.
    pub fn exceeds_longest_wait(
        &self,
        db: &mut Db,
        keys: &ThrottleKeys,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        for key in keys.refusing() {
            let Some(count) = throttles::find(db, *key)? else { continue };
            if count.closed_until.is_some_and(|until| until > now + self.longest(key.scope, &count)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Counts a failed attempt for its sources, and for `account` where it is anybody's.
    pub fn count_failure(
        &self,
        db: &mut Db,
        account: Option<ThrottleKey>,
        keys: &ThrottleKeys,
        attempt: &Attempt,
    ) -> Result<Counted, StoreError> {
        let (now, mut counted) = (attempt.at, Counted { locked: false, of_network: 0, overall: 0 });
        for key in account.iter().chain(&keys.sources) {
            let count = throttles::add_failure(db, *key, &displayed(key.scope, attempt), now, self.window(key.scope))?;
            if let Some(until) = self.closed_until(key.scope, &count, now) {
                throttles::close(db, *key, until)?;
            }
            match key.scope {
                ThrottleScope::Account | ThrottleScope::KnownDevice => {
                    counted.locked = i64::from(count.failures) == i64::from(self.rules.locked_after);
                }
                ThrottleScope::Address => {}
                ThrottleScope::Network => counted.of_network = count.window_failures,
                ThrottleScope::Overall => counted.overall = count.window_failures,
            }
        }
        Ok(counted)
    }

    /// Failures in a row that close an account for good.
    #[must_use]
    pub const fn locked_after(&self) -> u32 {
        self.rules.locked_after
    }

    /// Whether the account is closed until an administrator unlocks it (ATH-03).
    #[must_use]
    pub fn is_locked(&self, count: &Count) -> bool {
        i64::from(count.failures) >= i64::from(self.rules.locked_after)
    }

    /// Forgets counts that no rule looks at any more.
    pub fn prune(&self, db: &mut Db, now: DateTime<Utc>) -> Result<usize, StoreError> {
        throttles::prune_before(db, now - TimeDelta::days(30), self.rules.locked_after)
    }

    fn refusal(&self, scope: ThrottleScope, count: &Count, now: DateTime<Utc>) -> Option<Duration> {
        if scope.is_account() && self.is_locked(count) {
            return Some(self.rules.max_delay.max(Duration::from_mins(1)));
        }
        let left = (count.closed_until? - now).min(self.longest(scope, count));
        left.to_std().ok().filter(|left| !left.is_zero())
    }

    /// How long such failures close an account or network at most.
    fn longest(&self, scope: ThrottleScope, count: &Count) -> TimeDelta {
        match scope {
            ThrottleScope::Overall => delta(self.rules.overall_delay),
            _ if scope.is_account() && !self.has_failed_for_the_day(count) => delta(self.rules.max_delay),
            _ => self.window(scope),
        }
    }

    /// Whether the account's failures in its window are as many as a day may have.
    fn has_failed_for_the_day(&self, count: &Count) -> bool {
        reached(count, self.rules.daily_failures)
    }

    fn window(&self, scope: ThrottleScope) -> TimeDelta {
        if scope.is_account() { DAY } else { delta(self.rules.window) }
    }

    /// Until when this many failures close the account or network.
    fn closed_until(&self, scope: ThrottleScope, count: &Count, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let window_end = count.window_began_at + self.window(scope);
        let is_reached = reached(count, self.limit(scope));
        match scope {
            _ if scope.is_account() && self.has_failed_for_the_day(count) => Some(window_end),
            ThrottleScope::Account | ThrottleScope::KnownDevice => self.delay(count.failures).map(|delay| now + delay),
            ThrottleScope::Address | ThrottleScope::Network => is_reached.then_some(window_end),
            // A short pause, again and again: somebody who is new here gets in between, which a closed door would prevent
            // for as long as the attack goes on.
            ThrottleScope::Overall => is_reached.then(|| now + delta(self.rules.overall_delay)),
        }
    }

    /// The delay after this many failures in a row: none at first, then doubling up to the limit.
    fn delay(&self, failures: i32) -> Option<TimeDelta> {
        let beyond = u32::try_from(failures).ok()?.checked_sub(self.rules.free_failures)?;
        let backoff = Backoff { first: self.rules.first_delay, longest: self.rules.max_delay };
        Some(delta(backoff.after(beyond.saturating_add(1))))
    }
}

/// Whether the failures in the window are as many as this limit, where there is one.
fn reached(count: &Count, limit: u32) -> bool {
    limit > 0 && i64::from(count.window_failures) >= i64::from(limit)
}

/// Configured durations are at most days long.
fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle() -> Throttle {
        let config = config::Config::load(None, []).unwrap();
        Throttle::new(config.throttle)
    }

    fn count(failures: i32, window_failures: i32) -> Count {
        Count { failures, window_failures, window_began_at: start(), closed_until: None }
    }

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn ath_02_the_delay_begins_after_the_fifth_failure_and_doubles_to_its_limit() {
        let delays: Vec<_> =
            [4, 5, 6, 7, 8, 9, 40].map(|failures| throttle().delay(failures).map(|delay| delay.num_minutes())).into();
        assert_eq!(delays, [None, Some(1), Some(2), Some(4), Some(8), Some(15), Some(15)]);
    }

    #[test]
    fn ath_03_the_account_closes_for_good_after_the_configured_failures_in_a_row() {
        assert!(!throttle().is_locked(&count(49, 1)));
        assert!(throttle().is_locked(&count(50, 1)));
    }

    #[test]
    fn ath_05_an_address_closes_until_its_window_ends() {
        let now = start() + TimeDelta::minutes(3);
        let until = |failures| throttle().closed_until(ThrottleScope::Address, &count(failures, failures), now);
        assert_eq!(until(19), None);
        assert_eq!(until(20), Some(start() + TimeDelta::minutes(10)));
    }

    #[test]
    fn ath_05_the_whole_server_pauses_for_a_moment_after_each_failure_beyond_the_limit() {
        let now = start() + TimeDelta::minutes(3);
        let until = |failures| throttle().closed_until(ThrottleScope::Overall, &count(failures, failures), now);
        assert_eq!(until(999), None);
        assert_eq!(until(1000), Some(now + TimeDelta::seconds(10)));
        assert_eq!(until(5000), Some(now + TimeDelta::seconds(10)));
    }

    #[test]
    fn nobody_waits_longer_than_the_rules_say_whatever_the_clock_was() {
        let ahead = start() + TimeDelta::days(400);
        let wait = |scope, failures| {
            let count = Count { closed_until: Some(ahead), ..count(failures, failures) };
            throttle().refusal(scope, &count, start()).map(|wait| wait.as_secs())
        };
        assert_eq!(wait(ThrottleScope::Account, 6), Some(15 * 60));
        assert_eq!(wait(ThrottleScope::KnownDevice, 25), Some(24 * 60 * 60), "closed for the day");
        assert_eq!(wait(ThrottleScope::Address, 20), Some(10 * 60));
        assert_eq!(wait(ThrottleScope::Overall, 1000), Some(10));
    }

    #[test]
    fn the_daily_limit_of_an_account_holds_until_the_day_has_passed() {
        let now = start() + TimeDelta::hours(3);
        let until = throttle().closed_until(ThrottleScope::Account, &count(25, 25), now);
        assert_eq!(until, Some(start() + DAY));
    }
}
