//! Counts over time: logins, failures, ends by reason.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, web};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::member::StretchLength;
use crate::app::App;
use crate::audit::history::Statistics;
use crate::http::authenticate::Reviewer;
use crate::http::error::ApiError;
use crate::http::input::Given;
use crate::http::input::Query;
use crate::http::problems::{BadQuery, Refused};
use crate::model::filter::Moment;
use crate::model::session::EndReason;
use crate::view::{TimeText, time};

/// Most buckets in one answer.
const MOST_STRETCHES: i64 = 1_000;

/// Which time, in which buckets.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatsQuery {
    /// The first moment counted; left out, so early that there are 24 hours or 7 days.
    #[param(inline)]
    from: Option<Moment>,
    /// The first moment no longer counted; now unless said otherwise.
    #[param(inline)]
    to: Option<Moment>,
    /// The length of a bucket; a day unless said otherwise.
    #[param(inline)]
    bucket: Option<StretchLength>,
}

/// Counts over time.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatsAnswer {
    /// The first moment counted.
    #[schema(value_type = String, format = "date-time")]
    from: TimeText,
    /// The first moment no longer counted.
    #[schema(value_type = String, format = "date-time")]
    to: TimeText,
    /// The length of a bucket.
    bucket: StretchLength,
    /// Sessions that can be used at this moment.
    active_now: i64,
    /// The buckets in order, those without anything as well; at most 1000.
    buckets: Vec<StretchObject>,
}

/// What happened in one bucket of time.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct StretchObject {
    /// When it begins: on the hour, or at midnight in UTC.
    #[schema(value_type = String, format = "date-time")]
    start: TimeText,
    /// How many sessions started.
    logins: i64,
    /// How many login attempts failed.
    failures: i64,
    /// Sessions that ended, by reason; reasons without any are left out.
    #[schema(value_type = BTreeMap<String, i64>)]
    ends: BTreeMap<EndReason, i64>,
}

/// A period, from its first moment until before its last, cut into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Period {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    seconds: i64,
}

impl StretchLength {
    const fn seconds(self) -> i64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// Stretches shown when no beginning is asked for.
    const fn usual(self) -> i64 {
        match self {
            Self::Hour => 24,
            Self::Day => 7,
        }
    }
}

impl Period {
    fn asked(query: &StatsQuery, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let length = query.bucket.unwrap_or(StretchLength::Day);
        let seconds = length.seconds();
        let to = query.to.map_or(now, |to| to.0);
        let from = match query.from {
            Some(from) => from.0,
            None => start_of(last_number(to, seconds) - length.usual() + 1, seconds),
        };
        if from >= to {
            return Err(ApiError::invalid("/to", "must be after `from`"));
        }
        let period = Self { from, to, seconds };
        if period.numbers().count() > usize::try_from(MOST_STRETCHES).unwrap_or(usize::MAX) {
            return Err(ApiError::invalid("/from", "must not lie more than 1000 buckets before `to`"));
        }
        Ok(period)
    }

    /// The numbers of the buckets, counted from 1970.
    fn numbers(&self) -> std::ops::RangeInclusive<i64> {
        self.from.timestamp().div_euclid(self.seconds)..=last_number(self.to, self.seconds)
    }

    fn show(&self, found: &Statistics) -> Vec<StretchObject> {
        let show = |number: i64| {
            let bucket = found.buckets.get(&(number * self.seconds)).cloned().unwrap_or_default();
            StretchObject {
                start: time(start_of(number, self.seconds)),
                logins: bucket.logins,
                failures: bucket.failures,
                ends: bucket.ends,
            }
        };
        self.numbers().map(show).collect()
    }
}

/// The bucket that holds the last moment before `to`.
fn last_number(to: DateTime<Utc>, seconds: i64) -> i64 {
    (to - TimeDelta::microseconds(1)).timestamp().div_euclid(seconds)
}

fn start_of(number: i64, seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(number * seconds, 0).expect("RFC 3339 has four digits for a year, chrono takes five")
}

/// Logins, failures and ends over time, and how many sessions are active now.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(StatsQuery),
    responses((status = 200, description = "The counts", body = StatsAnswer), Refused, BadQuery)
)]
#[get("/admin/stats")]
pub async fn show_statistics(
    _reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Query<StatsQuery>>,
) -> Result<HttpResponse, ApiError> {
    let Query(query) = query?;
    let period = Period::asked(&query, app.clock.now())?;
    let found = app.history.statistics(period.from, period.to, period.seconds).await?;
    Ok(HttpResponse::Ok().json(StatsAnswer {
        from: time(period.from),
        to: time(period.to),
        bucket: query.bucket.unwrap_or(StretchLength::Day),
        active_now: found.active,
        buckets: period.show(&found),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::statistics::Bucket;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn asked(from: Option<&str>, to: Option<&str>, bucket: Option<StretchLength>) -> Result<Period, ApiError> {
        let moment = |text: Option<&str>| text.map(|text| Moment(at(text)));
        Period::asked(&StatsQuery { from: moment(from), to: moment(to), bucket }, at("2026-03-10T10:30:00Z"))
    }

    #[test]
    fn unless_said_otherwise_the_last_seven_days_or_24_hours_are_counted() {
        let days = asked(None, None, None).unwrap();
        assert_eq!((days.from, days.to), (at("2026-03-04T00:00:00Z"), at("2026-03-10T10:30:00Z")));
        assert_eq!(days.numbers().count(), 7);
        let hours = asked(None, None, Some(StretchLength::Hour)).unwrap();
        assert_eq!(hours.from, at("2026-03-09T11:00:00Z"));
        assert_eq!(hours.numbers().count(), 24);
    }

    #[test]
    fn a_stretch_that_only_begins_at_the_end_is_not_counted() {
        let day = asked(Some("2026-03-01T00:00:00Z"), Some("2026-03-02T00:00:00Z"), None).unwrap();
        assert_eq!(day.numbers().count(), 1);
    }

    #[test]
    fn a_period_is_neither_empty_nor_endless() {
        let hour = Some(StretchLength::Hour);
        for (from, to) in [
            ("2026-03-02T00:00:00Z", "2026-03-02T00:00:00Z"),
            ("2026-03-02T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("2020-01-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        ] {
            assert!(asked(Some(from), Some(to), hour).is_err(), "{from} {to}");
        }
        assert!(asked(Some("2026-03-11T00:00:00Z"), None, None).is_err());
        assert!(asked(Some("2026-01-01T00:00:00Z"), Some("2026-02-11T16:00:00Z"), hour).is_ok());
        assert!(asked(Some("2026-01-01T00:00:00Z"), Some("2026-02-11T16:00:01Z"), hour).is_err());
    }

    #[test]
    fn buckets_without_anything_are_shown_empty() {
        let period = asked(Some("2026-03-01T12:00:00Z"), Some("2026-03-03T12:00:00Z"), None).unwrap();
        let bucket = Bucket { logins: 3, failures: 1, ends: BTreeMap::from([(EndReason::Logout, 2)]) };
        let second = at("2026-03-02T00:00:00Z").timestamp();
        let found = Statistics { buckets: BTreeMap::from([(second, bucket)]), active: 0 };
        let shown = serde_json::to_value(period.show(&found)).unwrap();
        let empty = |start: &str| serde_json::json!({ "start": start, "logins": 0, "failures": 0, "ends": {} });
        assert_eq!(shown[0], empty("2026-03-01T00:00:00.000000Z"));
        assert_eq!(shown[1]["ends"], serde_json::json!({ "logout": 2 }));
        assert_eq!(shown[2], empty("2026-03-03T00:00:00.000000Z"));
        assert_eq!(shown.as_array().map(Vec::len), Some(3));
    }
}
