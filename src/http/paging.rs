//! Pages of a list: `limit`, and an opaque `cursor` that says after which row the page begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use crate::store::Page;

/// Rows of a page when none are asked for, and at most.
const LIMITS: (i64, i64) = (50, 500);

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// A page as it is answered: its rows as they are shown, and the cursor of its last row where more follow.
pub fn list<'page, T, O>(page: &'page Page<T>, show: impl Fn(&'page T) -> O, cursor: impl Fn(&T) -> String) -> List<O> {
    let next_cursor = page.items.last().filter(|_| page.has_more).map(cursor);
    List { items: page.items.iter().map(show).collect(), next_cursor }
}

/// How many rows are asked for.
pub fn limit(asked: Option<i64>) -> Result<i64, ApiError> {
    let (default, most) = LIMITS;
    match asked {
        None => Ok(default),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(_) => Err(ApiError::invalid("/limit", "must be 1 to 500")),
    }
}

/// A cursor made of a word for the list and its order, and the keys of the last row.
#[must_use]
pub fn cursor(list: &str, keys: &[&str]) -> String {
    let mut text = list.to_owned();
    for key in keys {
        text.push('\n');
        text.push_str(key);
    }
    URL_SAFE_NO_PAD.encode(text)
}

/// The keys in a cursor of this list; a cursor of another list or order is refused.
pub fn keys<const N: usize>(list: &str, cursor: Option<&str>) -> Result<Option<[String; N]>, ApiError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let mut parts = text.split('\n').map(str::to_owned);
        if parts.next()? != list {
            return None;
        }
        parts.collect::<Vec<_>>().try_into().ok()
    };
    read().map(Some).ok_or_else(bad_cursor)
}

/// A time as a key of a cursor.
#[must_use]
pub fn time_key(at: DateTime<Utc>) -> String {
    at.timestamp_micros().to_string()
}

/// Reads a time from a cursor: one that RFC 3339 can write, since PostgreSQL does not know all others.
pub fn time_from(key: &str) -> Result<DateTime<Utc>, ApiError> {
    let time = key.parse().ok().and_then(DateTime::from_timestamp_micros);
    time.filter(|time| (0..=9999).contains(&time.year())).ok_or_else(bad_cursor)
}

/// Reads an id or number from a cursor.
pub fn key_from<T: std::str::FromStr>(key: &str) -> Result<T, ApiError> {
    key.parse().map_err(|_| bad_cursor())
}

/// The answer to a cursor that was not made by this list.
#[must_use]
pub fn bad_cursor() -> ApiError {
    ApiError::Malformed("The cursor is not one of this list.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_by_its_own_list_only() {
        let made = cursor("attempts", &["17", "x"]);
        assert_eq!(keys::<2>("attempts", Some(&made)).unwrap(), Some(["17".to_owned(), "x".to_owned()]));
        for (list, text) in [("audit", made.as_str()), ("attempts", "!!"), ("attempts", ""), ("attempts", "AAAA")] {
            assert_eq!(keys::<2>(list, Some(text)), Err(bad_cursor()));
        }
        assert_eq!(keys::<3>("attempts", Some(&made)), Err(bad_cursor()));
    }

    #[test]
    fn a_time_is_read_as_it_was_written_and_no_time_that_is_none() {
        let time = DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap();
        assert_eq!(time_from(&time_key(time)), Ok(time));
        for key in ["", "x", "1.5", "-300000000000000000", "300000000000000000", "9223372036854775807"] {
            assert_eq!(time_from(key), Err(bad_cursor()), "{key}");
        }
    }

    #[test]
    fn a_limit_out_of_range_is_refused() {
        assert_eq!(limit(None), Ok(50));
        assert_eq!(limit(Some(500)), Ok(500));
        assert!(limit(Some(0)).is_err() && limit(Some(501)).is_err() && limit(Some(-1)).is_err());
    }

    #[test]
    fn only_the_last_page_has_no_cursor() {
        let page = |has_more| Page { items: vec![1, 2], has_more };
        let shown = list(&page(true), |row| row * 10, ToString::to_string);
        assert_eq!((shown.items, shown.next_cursor.as_deref()), (vec![10, 20], Some("2")));
        assert_eq!(list(&page(false), |row| *row, ToString::to_string).next_cursor, None);
    }
}
