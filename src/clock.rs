//! The one source of the time of day. Operations read it once and pass `now` on; nothing else asks the system.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time, in UTC, cut to microseconds: both databases keep no more, so equality and cursors agree.
pub trait Clock: Debug + Send + Sync {
    /// The time of day now, in UTC, cut to microseconds.
    fn now(&self) -> DateTime<Utc>;
}

/// Time since the machine started, also while it slept: leases are measured by it. Nobody can set it.
#[must_use]
pub fn uptime() -> Duration {
    // Linux's monotonic clock stands still while the machine sleeps; a node must not wake up with its lease.
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(CLOCK);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A pause that doubles with each failure in a row, up to a limit.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The pause after the first failure.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after this many failures in a row; none after none.
    #[must_use]
    pub fn after(self, failures: u32) -> Duration {
        let doublings = failures.checked_sub(1);
        doublings.map_or(Duration::ZERO, |doublings| {
            self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest)
        })
    }
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

/// A clock that stands still until it is moved: tests step it, the demonstration dates its history with it.
#[derive(Debug)]
pub struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Mutex::new(now.trunc_subsecs(6)))
    }

    /// Moves the clock by `step`, backwards where it is negative.
    pub fn advance(&self, step: TimeDelta) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += step;
    }

    /// Puts the clock at `now`.
    pub fn set(&self, now: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = now.trunc_subsecs(6);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(1) };
        let pauses: Vec<u64> = (0..=8).map(|failures| backoff.after(failures).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.after(u32::MAX), backoff.longest);
    }
}
