//! Times as people read them: exact and with their zone, and how long ago that is. Never only one of the two.

use chrono::{DateTime, Datelike as _, Offset as _, SecondsFormat, TimeDelta, Timelike as _, Utc};
use chrono_tz::Tz;
use fluent_bundle::FluentArgs;

use super::language::Texts;

/// A time in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// For programs: RFC 3339, in UTC.
    pub machine: String,
    /// To the second, with the zone's distance from UTC.
    pub exact: String,
    /// Such as "5 minutes ago".
    pub relative: String,
}

impl Moment {
    /// The time `at`, read at `now` in this zone.
    pub fn new(at: DateTime<Utc>, now: DateTime<Utc>, zone: Tz, texts: &Texts) -> Self {
        let local = at.with_timezone(&zone);
        let mut values = FluentArgs::new();
        values.set("month", local.month());
        let month = texts.get("month", Some(&values));
        let mut values = FluentArgs::new();
        values.set("day", local.day());
        values.set("month", month);
        values.set("year", local.year().to_string());
        values.set("time", format!("{:02}:{:02}:{:02}", local.hour(), local.minute(), local.second()));
        values.set("zone", zone_text(local.offset().fix().local_minus_utc()));
        Self {
            machine: at.to_rfc3339_opts(SecondsFormat::Secs, true),
            exact: texts.get("exact-time", Some(&values)),
            relative: relative(at - now, texts),
        }
    }
}

/// Such as `UTC+1` and `UTC+5:30`.
fn zone_text(seconds: i32) -> String {
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    match (minutes / 60, minutes % 60) {
        (0, 0) => "UTC".to_owned(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
    }
}

/// How far away a time is, in its largest unit: the nearest number of it.
fn relative(distance: TimeDelta, texts: &Texts) -> String {
    let (is_past, distance) = (distance < TimeDelta::zero(), distance.abs());
    if distance < TimeDelta::minutes(1) {
        return texts.get("now", None);
    }
    let nearest = |unit: TimeDelta| (distance + unit / 2).num_seconds() / unit.num_seconds();
    let (minutes, hours) = (nearest(TimeDelta::minutes(1)), nearest(TimeDelta::hours(1)));
    let (unit, count) = match (minutes, hours) {
        (..60, _) => ("minutes", minutes),
        (_, ..24) => ("hours", hours),
        _ => ("days", nearest(TimeDelta::days(1))),
    };
    let mut values = FluentArgs::new();
    values.set("count", count);
    texts.get(&format!("{}-{unit}", if is_past { "ago" } else { "in" }), Some(&values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Language;

    fn moment(at: &str, now: &str, language: Language) -> Moment {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        Moment::new(time(at), time(now), chrono_tz::Europe::Paris, Texts::of(language))
    }

    #[test]
    fn a_time_is_told_exactly_with_its_zone_and_as_how_long_ago() {
        let french = moment("2026-11-30T17:04:05.9Z", "2026-11-30T17:05:06Z", Language::Fr);
        assert_eq!(french.machine, "2026-11-30T17:04:05Z");
        assert_eq!(french.exact, "30 novembre 2026 à 18:04:05 (UTC+1)");
        assert_eq!(french.relative, "il y a 1 minute");
        let first = moment("2026-12-01T06:00:00Z", "2026-12-01T06:00:00Z", Language::Fr);
        assert_eq!(first.exact, "1er décembre 2026 à 07:00:00 (UTC+1)");
        let english = moment("2026-07-01T00:30:00Z", "2026-06-29T00:00:00Z", Language::En);
        assert_eq!(english.exact, "1 July 2026, 02:30:00 (UTC+2)");
        assert_eq!(english.relative, "in 2 days");
        assert_eq!(moment("2026-07-01T00:30:00Z", "2026-07-01T00:29:59Z", Language::Fr).relative, "maintenant");
        assert_eq!(moment("2026-07-01T00:00:00Z", "2026-07-01T05:00:00Z", Language::Fr).relative, "il y a 5 heures");
        assert_eq!(moment("2026-07-01T00:00:00Z", "2026-07-01T01:00:00Z", Language::En).relative, "1 hour ago");
    }

    #[test]
    fn what_is_nearly_the_next_number_is_not_told_as_the_last() {
        let ago = |at: &str| moment(at, "2026-07-10T12:00:00Z", Language::En).relative;
        for (at, told) in [
            ("2026-07-10T11:59:00Z", "1 minute ago"),
            ("2026-07-10T11:58:20Z", "2 minutes ago"),
            ("2026-07-10T11:00:20Z", "1 hour ago"),
            ("2026-07-10T10:31:00Z", "1 hour ago"),
            ("2026-07-10T10:01:00Z", "2 hours ago"),
            ("2026-07-09T12:20:00Z", "1 day ago"),
            ("2026-07-08T01:00:00Z", "2 days ago"),
            ("2026-07-10T13:59:00Z", "in 2 hours"),
        ] {
            assert_eq!(ago(at), told, "{at}");
        }
    }

    #[test]
    fn an_hour_that_comes_twice_is_told_apart_by_its_zone() {
        let exact = |at| moment(at, "2026-10-25T03:00:00Z", Language::Fr).exact;
        assert_eq!(exact("2026-10-25T00:30:00Z"), "25 octobre 2026 à 02:30:00 (UTC+2)");
        assert_eq!(exact("2026-10-25T01:30:00Z"), "25 octobre 2026 à 02:30:00 (UTC+1)");
        assert_eq!(zone_text(19_800), "UTC+5:30");
        assert_eq!(zone_text(-12_600), "UTC-3:30");
    }
}
