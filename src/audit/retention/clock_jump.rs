//! Whether the clock leapt ahead. By a clock that is a year ahead the whole history is old: what nobody asked for is not
//! removed by such a clock.

use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How much further than the machine's own count of time the clock may have come: clocks are corrected, never by so much.
const CORRECTION: TimeDelta = TimeDelta::days(1);
/// How long a server may have been away at its start.
const AWAY: TimeDelta = TimeDelta::days(31);

/// The clock when it was looked at last.
#[derive(Debug, Clone, Copy)]
struct ClockReading {
    at: DateTime<Utc>,
    uptime: Duration,
}

/// The watch over the clock of one process.
#[derive(Debug, Default)]
pub(super) struct ClockJumpWatch(Mutex<Option<ClockReading>>);

impl ClockJumpWatch {
    /// Whether the clock can be believed, `known` being the moment that was believed last, by whatever process. A clock
    /// that was not believed once is not believed until it is back, or until somebody who asks for a run believes it.
    pub fn is_believable(&self, now: DateTime<Utc>, uptime: Duration, known: Option<DateTime<Utc>>) -> bool {
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_believable = match *last {
            None => known.is_none_or(|known| now - known <= AWAY),
            Some(look) => {
                let passed = uptime.saturating_sub(look.uptime);
                now - look.at <= TimeDelta::from_std(passed).unwrap_or(TimeDelta::MAX - CORRECTION) + CORRECTION
                    || known.is_some_and(|known| now - known <= CORRECTION)
            }
        };
        if is_believable {
            *last = Some(ClockReading { at: now, uptime });
        }
        is_believable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn a_clock_that_leaps_is_not_believed_until_it_is_back() {
        let watch = ClockJumpWatch::default();
        assert!(watch.is_believable(noon(), HOUR, None));
        assert!(watch.is_believable(noon() + TimeDelta::hours(1), 2 * HOUR, None));
        assert!(!watch.is_believable(noon() + TimeDelta::days(400), 3 * HOUR, None));
        assert!(!watch.is_believable(noon() + TimeDelta::days(401), 27 * HOUR, None));
        assert!(watch.is_believable(noon() + TimeDelta::hours(27), 28 * HOUR, None));
    }

    #[test]
    fn a_corrected_clock_is_believed() {
        let watch = ClockJumpWatch::default();
        assert!(watch.is_believable(noon(), HOUR, None));
        assert!(watch.is_believable(noon() + TimeDelta::hours(20), 2 * HOUR, None));
        assert!(watch.is_believable(noon() - TimeDelta::hours(20), 3 * HOUR, None));
    }

    #[test]
    fn what_somebody_else_believes_is_believed() {
        let (watch, ahead) = (ClockJumpWatch::default(), noon() + TimeDelta::days(400));
        assert!(watch.is_believable(noon(), HOUR, None));
        assert!(!watch.is_believable(ahead, 2 * HOUR, Some(noon())));
        assert!(!watch.is_believable(ahead, 3 * HOUR, Some(ahead - TimeDelta::days(20))));
        assert!(watch.is_believable(ahead + TimeDelta::hours(2), 4 * HOUR, Some(ahead)));
    }

    #[test]
    fn after_a_long_absence_somebody_must_ask() {
        assert!(ClockJumpWatch::default().is_believable(noon(), HOUR, Some(noon() - TimeDelta::days(31))));
        let watch = ClockJumpWatch::default();
        for hours in 1..50 {
            let now = noon() + TimeDelta::hours(i64::from(hours));
            assert!(!watch.is_believable(now, hours * HOUR, Some(noon() - TimeDelta::days(32))));
        }
    }
}
