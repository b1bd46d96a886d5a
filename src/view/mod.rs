//! How things are shown: the objects of the contract, the same in the API, in exports and on the command line.

mod alert;
mod attempt;
mod audit;
mod introspection;
pub mod ocsf;
mod session;
mod throttle;
mod user;

use std::ops::Range;

use arrayvec::ArrayString;
use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

pub use alert::{AcknowledgedObject, AlertObject, AlertUser};
pub use attempt::AttemptObject;
pub use audit::{ActorObject, EventObject, SubjectObject};
pub use introspection::IntrospectionObject;
pub use session::{DeviceObject, SessionObject, SessionUser, TokenObject};
pub use throttle::{ThrottleObject, ThrottledUser};
pub use user::{ClientObject, UserObject, UserSummary};

/// A time as text, in a place of its own size: "who am I" shows six of them, and is asked all the time.
pub type TimeText = ArrayString<27>;

/// RFC 3339 in UTC, ending in `Z`, to the microsecond. The years of the calendar that RFC 3339 knows: 0 to 9999.
pub(crate) fn time(at: DateTime<Utc>) -> TimeText {
    const DIGITS: &[u8; 10] = b"0123456789";
    let at = at.naive_utc();
    let (date, time) = (at.date(), at.time());
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut part = |place: Range<usize>, number: u32| {
        let mut rest = number;
        for digit in text[place].iter_mut().rev() {
            *digit = DIGITS[(rest % 10) as usize];
            rest /= 10;
        }
    };
    part(0..4, u32::try_from(date.year()).unwrap_or(0).min(9999));
    part(5..7, date.month());
    part(8..10, date.day());
    part(11..13, time.hour());
    part(14..16, time.minute());
    part(17..19, time.second());
    // The nanosecond of a leap second is a second or more.
    part(20..26, (time.nanosecond() / 1000).min(999_999));
    TimeText::from_byte_string(&text).unwrap_or_default()
}

pub(crate) fn optional_time(at: Option<DateTime<Utc>>) -> Option<TimeText> {
    at.map(time)
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_written_as_the_calendar_library_writes_it(micros in 0_i64..253_402_300_800_000_000) {
            let at = DateTime::from_timestamp_micros(micros).unwrap();
            let expected = at.to_rfc3339_opts(SecondsFormat::Micros, true);
            prop_assert_eq!(&*time(at), expected.as_str());
        }
    }
}
