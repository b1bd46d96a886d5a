//! The members of a list's address. They are those of the API; what a browser adds to them is taken away again, so that an address
//! can be handed on.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use url::form_urlencoded;

use crate::model::filter::{Filter, ValueKind};

/// The member that says where a page begins.
const CURSOR: &str = "cursor";
/// How browsers write a time of day that is of no zone (HTML, "valid local date and time string").
const LOCAL: [&str; 2] = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f"];

/// Names and values, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Members(Vec<(String, String)>);

impl Members {
    /// Reads a query string.
    pub fn read(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// As a query string.
    pub fn query(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// As the API reads them: without the fields of a form that were left empty and without what is there twice, and with times that
    /// are of no zone read in that of the reader.
    pub fn canonical<F: Filter>(&self, zone: Tz) -> Self {
        let mut members = Vec::new();
        for (name, value) in &self.0 {
            let member = F::MEMBERS.iter().find(|member| member.name == name || member.twin == Some(name));
            let value = match member.map(|member| member.kind) {
                // Blanks around what was pasted.
                Some(ValueKind::Moment) => moment(value.trim(), zone),
                Some(ValueKind::Network | ValueKind::Id) => value.trim().to_owned(),
                _ => value.clone(),
            };
            let pair = (name.clone(), value);
            if !pair.1.is_empty() && !members.contains(&pair) {
                members.push(pair);
            }
        }
        Self(members)
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The values of a member.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(member, _)| member == name).map(|(_, value)| value.as_str())
    }

    /// The same without this value, from the first page on.
    pub fn without(&self, name: &str, value: &str) -> Self {
        let rest = self.0.iter().filter(|(member, held)| member != CURSOR && !(member == name && held == value));
        Self(rest.cloned().collect())
    }

    /// The same of another page: of the first, where there is no cursor.
    pub fn at(&self, cursor: Option<String>) -> Self {
        let rest = self.0.iter().filter(|(member, _)| member != CURSOR).cloned();
        Self(rest.chain(cursor.map(|cursor| (CURSOR.to_owned(), cursor))).collect())
    }
}

/// A time of no zone, as RFC 3339 has it; any other text as it is. An hour that comes twice is the first of both, one that is left out
/// the one behind it.
fn moment(text: &str, zone: Tz) -> String {
    let Some(local) = LOCAL.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()) else {
        return text.to_owned();
    };
    let later = || (local + TimeDelta::hours(1)).and_local_timezone(zone).earliest();
    let read = local.and_local_timezone(zone).earliest().or_else(later);
    read.map_or_else(|| text.to_owned(), |at| at.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

/// A moment as a browser's own field holds it; `None` where such a field would lose something of it.
pub(super) fn local(text: &str, zone: Tz) -> Option<String> {
    let at: DateTime<Utc> = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    let local = at.with_timezone(&zone).format("%Y-%m-%dT%H:%M:%S").to_string();
    let is_whole = DateTime::parse_from_rfc3339(&moment(&local, zone)).is_ok_and(|read| read.to_utc() == at);
    is_whole.then_some(local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::filter::SessionFilter;

    const ZONE: Tz = chrono_tz::Europe::Paris;

    fn canonical(query: &str) -> String {
        Members::read(query).canonical::<SessionFilter>(ZONE).query()
    }

    #[test]
    fn a_form_leads_to_the_address_that_the_api_reads() {
        let form = "user=alice&user=&not_user=&ip=+192.0.2.7&started_from=2026-11-30T18%3A04&started_to=&sort=";
        assert_eq!(canonical(form), "user=alice&ip=192.0.2.7&started_from=2026-11-30T17%3A04%3A00Z");
        for same in ["", "user=a&user=b&not_user=c&cursor=x", "user_agent=+a+b", "started_to=2026-01-31T08%3A00%3A00Z"]
        {
            assert_eq!(canonical(same), same);
        }
        assert_eq!(canonical("user=a&user=a&x=&started_to=hier"), "user=a&started_to=hier");
    }

    #[test]
    fn a_page_keeps_the_filter_and_another_filter_begins_on_the_first_page() {
        let members = Members::read("user=a&user=b&sort=started_at&cursor=x");
        assert_eq!(members.without("user", "a").query(), "user=b&sort=started_at");
        assert_eq!(members.at(Some("y".to_owned())).query(), "user=a&user=b&sort=started_at&cursor=y");
        assert_eq!(members.at(None).query(), "user=a&user=b&sort=started_at");
    }

    #[test]
    fn a_moment_stands_in_a_field_of_the_browser_where_that_loses_nothing() {
        assert_eq!(local("2026-11-30T17:04:05Z", ZONE).as_deref(), Some("2026-11-30T18:04:05"));
        assert_eq!(local("2026-10-25T00:30:00Z", ZONE).as_deref(), Some("2026-10-25T02:30:00"));
        // The second of two hours of one name, a part of a second, and what is no time.
        for lost in ["2026-10-25T01:30:00Z", "2026-11-30T17:04:05.5Z", "hier"] {
            assert_eq!(local(lost, ZONE), None, "{lost}");
        }
        assert_eq!(moment("2026-03-29T02:30", ZONE), "2026-03-29T01:30:00Z");
    }
}
