//! Retention: how long the history is kept, and what says that older rows were rightly removed.

use chrono::{DateTime, Months, NaiveTime, Utc};

use super::audit::{Details, Removed};

/// Moments before which something was removed. They never go back: what is gone stays gone, whatever is configured later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionCutoffs {
    /// Sessions that ended before are removed.
    pub sessions: Option<DateTime<Utc>>,
    /// Attempts before are removed.
    pub attempts: Option<DateTime<Utc>>,
    /// Audit events before are removed.
    pub events: Option<DateTime<Utc>>,
    /// The addresses of sessions that ended before, and of attempts and events before, are cut.
    pub addresses: Option<DateTime<Utc>>,
    /// Sealed records before this place are removed.
    pub records: Option<i64>,
}

impl RetentionCutoffs {
    /// The later of both, for each.
    #[must_use]
    pub fn or_later(self, other: Self) -> Self {
        Self {
            sessions: self.sessions.max(other.sessions),
            attempts: self.attempts.max(other.attempts),
            events: self.events.max(other.events),
            addresses: self.addresses.max(other.addresses),
            records: self.records.max(other.records),
        }
    }

    /// The moment before which events of erasures are removed: when no row is left that they justify.
    #[must_use]
    pub fn of_erasures(&self) -> Option<DateTime<Utc>> {
        [self.sessions, self.attempts, self.events].into_iter().min().flatten()
    }

    /// What an event says; nothing where it is none of retention.
    #[must_use]
    pub fn of_details(details: &Details) -> Self {
        let Details::RetentionRan { sessions, attempts, audit, addresses, records, mac: _ } = details else {
            return Self::default();
        };
        Self {
            sessions: sessions.before,
            attempts: attempts.before,
            events: audit.before,
            addresses: addresses.before,
            records: records.before,
        }
    }

    /// The details of an event that says so, with how many rows each concerns.
    #[must_use]
    pub fn details(&self, counts: Counts) -> Details {
        Details::RetentionRan {
            sessions: Removed { before: self.sessions, rows: counts.sessions },
            attempts: Removed { before: self.attempts, rows: counts.attempts },
            audit: Removed { before: self.events, rows: counts.events },
            addresses: Removed { before: self.addresses, rows: counts.addresses },
            records: Removed { before: self.records, rows: counts.records },
            mac: None,
        }
    }
}

/// How many rows retention removes, or has removed, of each part of the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Ended sessions.
    pub sessions: u64,
    /// Login attempts.
    pub attempts: u64,
    /// Audit events.
    #[serde(rename = "audit")]
    pub events: u64,
    /// Rows whose addresses are cut.
    pub addresses: u64,
    /// Sealed records that stand for nothing any more.
    pub records: u64,
}

impl Counts {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// The beginning of the day so many calendar months before `now`: what is removed is the same all day long.
#[must_use]
pub fn before(now: DateTime<Utc>, months: u32) -> Option<DateTime<Utc>> {
    let day = now.date_naive().checked_sub_months(Months::new(months))?;
    Some(day.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn months_are_those_of_the_calendar_and_days_are_whole() {
        let now = at("2027-03-31T15:04:05Z");
        assert_eq!(before(now, 1), Some(at("2027-02-28T00:00:00Z")));
        assert_eq!(before(now, 12), Some(at("2026-03-31T00:00:00Z")));
        assert_eq!(before(DateTime::<Utc>::MIN_UTC, 1), None);
    }

    #[test]
    fn an_event_says_the_cuts_and_they_never_go_back() {
        let cutoffs = RetentionCutoffs {
            sessions: Some(at("2026-01-01T00:00:00Z")),
            attempts: Some(at("2026-02-01T00:00:00Z")),
            events: None,
            addresses: Some(at("2026-03-01T00:00:00Z")),
            records: Some(512),
        };
        assert_eq!(RetentionCutoffs::of_details(&cutoffs.details(Counts::default())), cutoffs);
        assert_eq!(RetentionCutoffs::of_details(&Details::KeyRotated {}), RetentionCutoffs::default());
        let later = RetentionCutoffs {
            sessions: Some(at("2025-01-01T00:00:00Z")),
            events: Some(at("2026-01-01T00:00:00Z")),
            ..cutoffs
        };
        assert_eq!(cutoffs.or_later(later), RetentionCutoffs { events: later.events, ..cutoffs });
    }
}
