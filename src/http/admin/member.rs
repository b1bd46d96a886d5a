//! Kinds of members of queries and bodies. Each is read, checked and documented in one place, so that the document says
//! what is accepted.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::audit::csv_dialect::Separator;
use crate::audit::export::{ExportFormat, ExportPurpose};
use crate::model::attempt::AttemptOutcome;
use crate::model::audit::{AuditKind, Outcome};
use crate::model::client::Scope;
use crate::model::filter::{LONGEST_TEXT, Moment, Network, Sort, StateFilter, Text};
use crate::model::session::EndReason;
use crate::model::user::UserState;
use crate::model::words::words;
use crate::store::throttles::ThrottleScope;

/// Longest label, in characters.
const LONGEST_LABEL: usize = 128;
/// Longest note, in characters.
const LONGEST_NOTE: usize = 500;

/// What people call something: 1 to 128 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(pub String);

/// What an administrator notes: at most 500 characters, of control characters only the line feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Note(pub String);

words! {
    /// Length of a bucket of time in statistics.
    pub enum StretchLength {
        /// An hour.
        Hour = "hour",
        /// A day, in UTC.
        Day = "day",
    }
}

words! {
    /// Which throttles.
    pub enum ThrottleState {
        /// Those that refuse tries now.
        Closed = "closed",
        /// Also those that only count failures.
        All = "all",
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let fits = (1..=LONGEST_LABEL).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits {
            Ok(Self(text))
        } else {
            Err(D::Error::custom("must have 1 to 128 characters, no control characters"))
        }
    }
}

impl Note {
    /// The note; `None` where the text is not one.
    #[must_use]
    pub fn new(text: String) -> Option<Self> {
        let is_allowed = |character: char| character == '\n' || !character.is_control();
        let fits = text.chars().count() <= LONGEST_NOTE && text.chars().all(is_allowed);
        fits.then_some(Self(text))
    }
}

impl<'de> Deserialize<'de> for Note {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let message = "must have at most 500 characters, and no control characters but the line feed";
        Self::new(String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom(message))
    }
}

/// A schema of texts.
fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).into()
    }
}

impl PartialSchema for Network {
    /// JSON Schema has no word for a network: IPv4 ones are told exactly, IPv6 ones in their usual spelling.
    fn schema() -> RefOr<Schema> {
        let octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
        let v4 = format!(r"^{octet}(\.{octet}){{3}}/([12]?[0-9]|3[0-2])$");
        let v6 = "^([0-9A-Fa-f]{1,4}:){1,6}:/([1-9]?[0-9]|1[01][0-9]|12[0-8])$";
        let address = |format: KnownFormat| text().format(Some(SchemaFormat::KnownFormat(format)));
        let any = AnyOfBuilder::new()
            .item(address(KnownFormat::Ipv4))
            .item(address(KnownFormat::Ipv6))
            .item(text().pattern(Some(v4)))
            .item(text().pattern(Some(v6)));
        any.description(Some("An IP address, or a network in CIDR form.")).examples(["192.0.2.0/24"]).into()
    }
}

impl PartialSchema for Text {
    fn schema() -> RefOr<Schema> {
        text().min_length(Some(1)).max_length(Some(LONGEST_TEXT)).pattern(Some(r"^[^\u0000]*$")).into()
    }
}

impl PartialSchema for Label {
    fn schema() -> RefOr<Schema> {
        let pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$";
        text().min_length(Some(1)).max_length(Some(LONGEST_LABEL)).pattern(Some(pattern)).into()
    }
}

impl PartialSchema for ExportPurpose {
    fn schema() -> RefOr<Schema> {
        let pattern =
            r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$";
        text().min_length(Some(1)).max_length(Some(200)).pattern(Some(pattern)).into()
    }
}

impl PartialSchema for Note {
    fn schema() -> RefOr<Schema> {
        let pattern = r"^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f]*$";
        text().max_length(Some(LONGEST_NOTE)).pattern(Some(pattern)).into()
    }
}

impl ToSchema for Moment {}
impl ToSchema for Network {}
impl ToSchema for Text {}
impl ToSchema for Label {}
impl ToSchema for Note {}
impl ToSchema for ExportPurpose {}

/// A schema of words on a closed list.
pub(super) fn word(words: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    text().enum_values(Some(words)).into()
}

/// Documents closed lists of words as what they are.
macro_rules! documented {
    ($($name:ty),+) => {
        $(
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    word(Self::WORDS.iter().copied())
                }
            }

            impl ToSchema for $name {}
        )+
    };
}

documented!(
    StateFilter,
    Sort,
    StretchLength,
    EndReason,
    AttemptOutcome,
    AuditKind,
    Outcome,
    UserState,
    Scope,
    ExportFormat,
    Separator,
    ThrottleState,
    ThrottleScope
);

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;

    fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
        serde_json::from_value(json!(text)).ok()
    }

    #[test]
    fn a_note_may_have_lines_and_no_other_control_characters() {
        assert!(read::<Note>("").is_some() && read::<Note>("left\nthe company").is_some());
        for text in ["a\rb", "\u{1b}[2J", "a\tb", "\u{85}", &"a".repeat(501)] {
            assert_eq!(read::<Note>(text), None, "{text:?}");
        }
    }
}
