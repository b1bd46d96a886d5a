//! Kinds of members of queries and bodies. Each is read, checked and documented in one place, so that the document says
//! what is accepted.

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::audit::export::{ExportFormat, Purpose};
use crate::audit::sheet::Separator;
use crate::model::address;
use crate::model::alert::AlertKind;
use crate::model::attempt::AttemptOutcome;
use crate::model::audit::{AuditKind, Outcome};
use crate::model::client::Scope;
use crate::model::id::UserId;
use crate::model::session::{EndReason, SessionState};
use crate::model::user::UserState;
use crate::model::words::words;
use crate::store::sessions::Sort;
use crate::store::throttles::ThrottleScope;

/// Longest text that is looked for, in characters: that of the longest user agent kept.
const LONGEST_TEXT: usize = 512;
/// Longest label, in characters.
const LONGEST_LABEL: usize = 128;
/// Longest note, in characters.
const LONGEST_NOTE: usize = 500;

/// A moment: RFC 3339 with any offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub DateTime<Utc>);

/// An address or a network in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Network(pub IpNet);

/// A text that is looked for: 1 to 512 characters. U+0000 is none of them, since PostgreSQL cannot keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text(pub String);

/// What people call something: 1 to 128 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(pub String);

/// What an administrator notes: at most 500 characters, of control characters only the line feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Note(pub String);

words! {
    /// A state of sessions, or all of them.
    pub enum StateFilter {
        /// Those that can be used.
        Active = "active",
        /// Those that cannot.
        Ended = "ended",
        /// Both.
        All = "all",
    }
}

words! {
    /// In which order sessions are listed.
    pub enum SessionOrder {
        /// Newest login first.
        NewestStart = "-started_at",
        /// Oldest login first.
        OldestStart = "started_at",
        /// Last used first.
        LastSeen = "-last_seen_at",
    }
}

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
    /// A state of alerts, or all of them.
    pub enum AlertStateFilter {
        /// Those that nobody has looked at.
        Open = "open",
        /// Those that somebody has.
        Acknowledged = "acknowledged",
        /// Both.
        All = "all",
    }
}

impl AlertStateFilter {
    /// What to filter by.
    #[must_use]
    pub const fn acknowledged(self) -> Option<bool> {
        match self {
            Self::Open => Some(false),
            Self::Acknowledged => Some(true),
            Self::All => None,
        }
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

impl StateFilter {
    /// The state to filter by.
    #[must_use]
    pub const fn state(self) -> Option<SessionState> {
        match self {
            Self::Active => Some(SessionState::Active),
            Self::Ended => Some(SessionState::Ended),
            Self::All => None,
        }
    }
}

impl SessionOrder {
    /// The store's word for it.
    #[must_use]
    pub const fn sort(self) -> Sort {
        match self {
            Self::NewestStart => Sort::NewestStart,
            Self::OldestStart => Sort::OldestStart,
            Self::LastSeen => Sort::LastSeen,
        }
    }
}

impl Text {
    /// The user meant by an id or a name.
    pub fn user(&self) -> Result<UserId, &str> {
        self.0.parse().map_err(|_| self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment = DateTime::parse_from_rfc3339(&text);
        let moment = moment.map_err(|_| D::Error::custom("must be a time such as 2026-01-31T08:00:00Z (RFC 3339)"))?;
        Ok(Self(moment.to_utc()))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::view::time(self.0))
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        address::parse_filter(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let fits = (1..=LONGEST_TEXT).contains(&text.chars().count()) && !text.contains('\0');
        if fits { Ok(Self(text)) } else { Err(D::Error::custom("must have 1 to 512 characters, none of them U+0000")) }
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

impl<'de> Deserialize<'de> for Note {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_allowed = |character: char| character == '\n' || !character.is_control();
        let fits = text.chars().count() <= LONGEST_NOTE && text.chars().all(is_allowed);
        let message = "must have at most 500 characters, and no control characters but the line feed";
        if fits { Ok(Self(text)) } else { Err(D::Error::custom(message)) }
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

impl PartialSchema for Purpose {
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
impl ToSchema for Purpose {}

/// Documents closed lists of words as what they are.
macro_rules! documented {
    ($($name:ty),+) => {
        $(
            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    text().enum_values(Some(Self::ALL.iter().map(|word| word.as_str()))).into()
                }
            }

            impl ToSchema for $name {}
        )+
    };
}

documented!(
    StateFilter,
    SessionOrder,
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
    ThrottleScope,
    AlertStateFilter,
    AlertKind
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
    fn a_moment_has_a_date_a_time_and_an_offset() {
        let moment: Moment = read("2026-01-31T09:00:00+01:00").unwrap();
        assert_eq!(json!(moment), json!("2026-01-31T08:00:00.000000Z"));
        for text in ["", "2026-01-31", "2026-01-31T08:00:00", "2026-01-31 08:00:00 +01:00", "now", "1769846400"] {
            assert_eq!(read::<Moment>(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_to_look_for_is_not_empty_and_can_be_kept() {
        assert!(read::<Text>("a").is_some() && read::<Text>(&"é".repeat(512)).is_some());
        for text in ["", "a\0b", &"a".repeat(513)] {
            assert_eq!(read::<Text>(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_note_may_have_lines_and_no_other_control_characters() {
        assert!(read::<Note>("").is_some() && read::<Note>("left\nthe company").is_some());
        for text in ["a\rb", "\u{1b}[2J", "a\tb", "\u{85}", &"a".repeat(501)] {
            assert_eq!(read::<Note>(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_user_is_meant_by_id_or_by_name() {
        let id = "0197c2a4-8a5e-7c3e-9f6e-0123456789ab";
        assert_eq!(Text(id.to_owned()).user().map(|id| id.to_string()).as_deref(), Ok(id));
        assert_eq!(Text("alice".to_owned()).user(), Err("alice"));
    }
}
