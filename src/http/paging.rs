//! Pages of a list: `limit`, and an opaque `cursor` that says after which row the page begins.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::error::ApiError;
use crate::store::{Page, Position};

/// Rows of a page when none are asked for, and at most.
const LIMITS: (i64, i64) = (50, 500);

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageOptions {
    /// Rows of the page; 50 unless said otherwise.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<i64>,
    /// Where the page begins: the `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The rows of the page, in the order of the list.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// The place after which a page begins, as a cursor holds it.
pub trait Place: Sized {
    /// The keys of the row there.
    fn keys(&self) -> Vec<String>;
    /// The place of these keys; `None` where they are none of such a row.
    fn of_keys(keys: &[&str]) -> Option<Self>;
}

impl<K: Display + FromStr> Place for Position<K> {
    fn keys(&self) -> Vec<String> {
        vec![time_key(self.at), self.id.to_string()]
    }

    fn of_keys(keys: &[&str]) -> Option<Self> {
        let [at, id] = keys else { return None };
        Some(Self { at: time_from(at)?, id: id.parse().ok()? })
    }
}

/// A list and its order, under the name that its cursors bear: those of another list or order are refused.
#[derive(Debug, Clone, Copy)]
pub struct Pager(pub &'static str);

impl Pager {
    /// The place after which the page begins that is asked for, and how many rows it has.
    pub fn asked<P: Place>(self, limit: Option<i64>, cursor: Option<&str>) -> Result<(Option<P>, i64), ApiError> {
        let limit = rows(limit)?;
        Ok((cursor.map(|cursor| self.place(cursor)).transpose()?, limit))
    }

    /// The page as it is answered: its rows as they are shown, and where the next one begins.
    pub fn list<'page, T, P: Place, O>(self, page: &'page Page<T, P>, show: impl Fn(&'page T) -> O) -> List<O> {
        let next_cursor = page.next.as_ref().map(|place| self.cursor(place));
        List { items: page.items.iter().map(show).collect(), next_cursor }
    }

    /// The cursor of a place.
    #[must_use]
    pub fn cursor(self, place: &impl Place) -> String {
        let mut parts = place.keys();
        parts.insert(0, self.0.to_owned());
        URL_SAFE_NO_PAD.encode(parts.join("\n"))
    }

    fn place<P: Place>(self, cursor: &str) -> Result<P, ApiError> {
        let read = || {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
            let parts: Vec<&str> = text.split('\n').collect();
            let (name, keys) = parts.split_first()?;
            P::of_keys(keys).filter(|_| *name == self.0)
        };
        read().ok_or_else(|| ApiError::Malformed("The cursor is not one of this list.".to_owned()))
    }
}

/// How many rows are asked for.
fn rows(asked: Option<i64>) -> Result<i64, ApiError> {
    let (default, most) = LIMITS;
    match asked {
        None => Ok(default),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(_) => Err(ApiError::invalid("/limit", "must be 1 to 500")),
    }
}

/// A time as a key: microseconds since 1970.
#[must_use]
pub fn time_key(at: DateTime<Utc>) -> String {
    at.timestamp_micros().to_string()
}

/// The time of such a key: one that RFC 3339 can write, since PostgreSQL does not know all others.
#[must_use]
pub fn time_from(key: &str) -> Option<DateTime<Utc>> {
    let time = key.parse().ok().and_then(DateTime::from_timestamp_micros);
    time.filter(|time| (0..=9999).contains(&time.year()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGER: Pager = Pager("attempts");

    fn position() -> Position<i64> {
        Position { at: DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap(), id: 17 }
    }

    fn asked(pager: Pager, cursor: &str) -> Result<Option<Position<i64>>, ApiError> {
        pager.asked(None, Some(cursor)).map(|(after, _)| after)
    }

    #[test]
    fn a_cursor_is_read_by_its_own_list_only() {
        let made = PAGER.cursor(&position());
        assert_eq!(URL_SAFE_NO_PAD.decode(&made).unwrap(), b"attempts\n1800000000123456\n17");
        assert_eq!(asked(PAGER, &made), Ok(Some(position())));
        let longer = URL_SAFE_NO_PAD.encode("attempts\n1\n2\n3");
        for (list, text) in
            [("audit", &*made), ("attempts", "!!"), ("attempts", ""), ("attempts", "AAAA"), ("attempts", &longer)]
        {
            let refused = asked(Pager(list), text).unwrap_err();
            assert_eq!(refused, ApiError::Malformed("The cursor is not one of this list.".to_owned()), "{text}");
        }
    }

    #[test]
    fn a_time_is_read_as_it_was_written_and_no_time_that_is_none() {
        let time = position().at;
        assert_eq!(time_from(&time_key(time)), Some(time));
        for key in ["", "x", "1.5", "-300000000000000000", "300000000000000000", "9223372036854775807"] {
            assert_eq!(time_from(key), None, "{key}");
        }
    }

    #[test]
    fn a_limit_out_of_range_is_refused() {
        assert_eq!(rows(None), Ok(50));
        assert_eq!(rows(Some(500)), Ok(500));
        assert!(rows(Some(0)).is_err() && rows(Some(501)).is_err() && rows(Some(-1)).is_err());
    }

    #[test]
    fn only_the_last_page_has_no_cursor() {
        let shown = PAGER.list(&Page { items: vec![1, 2], next: Some(position()) }, |row| row * 10);
        assert_eq!((shown.items, shown.next_cursor), (vec![10, 20], Some(PAGER.cursor(&position()))));
        let last: Page<i64, Position<i64>> = Page { items: vec![1, 2], next: None };
        assert_eq!(PAGER.list(&last, |row| *row).next_cursor, None);
    }
}
