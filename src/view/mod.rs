//! How things are shown: the objects of the contract, the same in the API, in exports and on the command line.

mod alert;
mod attempt;
mod audit;
pub mod ocsf;
mod session;
mod throttle;
mod user;

use arrayvec::ArrayString;
use chrono::{DateTime, Datelike as _, Timelike as _, Utc};

pub use alert::{AcknowledgedObject, AlertObject, AlertUser};
pub use attempt::AttemptObject;
pub use audit::{ActorObject, EventObject, SubjectObject};
pub use session::{DeviceObject, SessionObject, SessionUser, TokenObject};
pub use throttle::{ThrottleObject, ThrottledUser};
pub use user::{ClientObject, UserObject, UserSummary};

/// A time as text, in a place of its own size: "who am I" shows six of them, and is asked all the time.
pub type TimeText = ArrayString<32>;

/// RFC 3339 in UTC, ending in `Z`, to the microsecond. The years of the calendar that RFC 3339 knows: 0 to 9999.
pub(crate) fn time(at: DateTime<Utc>) -> TimeText {
    let (date, time) = (at.date_naive(), at.time());
    let mut text = TimeText::new();
    let mut part = |number: u32, digits: u32, end: char| {
        for place in (0..digits).rev() {
            text.push(char::from_digit(number / 10_u32.pow(place) % 10, 10).unwrap_or('0'));
        }
        text.push(end);
    };
    part(u32::try_from(date.year()).unwrap_or(0).min(9999), 4, '-');
    part(date.month(), 2, '-');
    part(date.day(), 2, 'T');
    part(time.hour(), 2, ':');
    part(time.minute(), 2, ':');
    // The nanosecond of a leap second is a second or more.
    part(time.second(), 2, '.');
    part((time.nanosecond() / 1000).min(999_999), 6, 'Z');
    text
}

fn optional_time(at: Option<DateTime<Utc>>) -> Option<TimeText> {
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
