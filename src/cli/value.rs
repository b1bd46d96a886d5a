//! Reads the values of flags into types that cannot be wrong.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::model::client::{ClientId, InvalidClientId};
use crate::model::user::{Email, InvalidEmail, InvalidRole, InvalidUsername, Role, Username};

/// The text is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a time such as 2026-11-22T08:00:00Z nor a day such as 2026-11-22")]
pub(super) struct InvalidTime;

/// A time of RFC 3339, or a day: its beginning in UTC.
pub(super) fn time(text: &str) -> Result<DateTime<Utc>, InvalidTime> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).map_err(|_| InvalidTime)
}

/// A name for a user.
pub(super) fn username(text: &str) -> Result<Username, InvalidUsername> {
    Username::new(text)
}

/// Reads an e-mail address.
pub(super) fn email(text: &str) -> Result<Email, InvalidEmail> {
    Email::parse(text)
}

/// Reads a role, as it may be given to a user.
pub(super) fn role(text: &str) -> Result<Role, InvalidRole> {
    Role::new(text)
}

/// The id of a client.
pub(super) fn client_id(text: &str) -> Result<ClientId, InvalidClientId> {
    ClientId::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_or_the_beginning_of_a_day() {
        let read = |text: &str| time(text).map(|time| time.timestamp());
        assert_eq!(read("2026-11-22T08:00:00Z"), Ok(1_795_334_400));
        assert_eq!(read("2026-11-22T09:00:00+01:00"), Ok(1_795_334_400));
        assert_eq!(read("2026-11-22"), Ok(1_795_305_600));
        for text in ["", "yesterday", "2026-11-22T08:00:00", "2026-13-01", "1795334400"] {
            assert_eq!(read(text), Err(InvalidTime), "{text:?}");
        }
    }
}
