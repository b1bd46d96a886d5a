//! Values of members: each is read and written in one way, wherever it stands.

use chrono::{DateTime, SecondsFormat, Utc};
use ipnet::IpNet;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AlertStateFilter, StateFilter};
use crate::model::address;
use crate::model::alert::AlertKind;
use crate::model::attempt::AttemptOutcome;
use crate::model::audit::{AuditKind, Outcome};
use crate::model::id::{SessionId, TokenId, UserId};
use crate::model::session::EndReason;
use crate::model::user::UserState;

/// Longest text that is looked for, in characters: that of the longest user agent kept.
pub const LONGEST_TEXT: usize = 512;

/// What the values of a member are, for documents and flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// A text: [`Text`].
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An address or a network: [`Network`].
    Network,
    /// An id: a UUID.
    Id,
    /// A moment: [`Moment`].
    Moment,
}

/// A value of a member.
pub trait Value: Serialize + DeserializeOwned {
    /// What the values of this type are.
    const KIND: ValueKind;
}

/// A text that is looked for: 1 to 512 characters. U+0000 is none of them, since PostgreSQL cannot keep it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text(pub String);

/// A user, meant by an id or a name. What could be both is an id, where a user has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserSelector(pub Text);

/// An address or a network in CIDR form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Network(pub IpNet);

/// A moment: RFC 3339 with any offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub DateTime<Utc>);

impl UserSelector {
    /// The id, where it is written like one.
    #[must_use]
    pub fn id(&self) -> Option<UserId> {
        self.0.0.parse().ok()
    }

    /// The name, as it was typed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.0
    }
}

impl From<UserId> for UserSelector {
    fn from(id: UserId) -> Self {
        Self(Text(id.to_string()))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let fits = (1..=LONGEST_TEXT).contains(&text.chars().count()) && !text.contains('\0');
        if fits { Ok(Self(text)) } else { Err(D::Error::custom("must have 1 to 512 characters, none of them U+0000")) }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        address::parse_filter(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
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
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// Says what the values of these types are.
macro_rules! values {
    ($($type:ty: $kind:expr,)+) => {
        $(impl Value for $type {
            const KIND: ValueKind = $kind;
        })+
    };
}

values! {
    Text: ValueKind::Text,
    UserSelector: ValueKind::Text,
    Network: ValueKind::Network,
    Moment: ValueKind::Moment,
    TokenId: ValueKind::Id,
    SessionId: ValueKind::Id,
    StateFilter: ValueKind::Word(Self::WORDS),
    EndReason: ValueKind::Word(Self::WORDS),
    AttemptOutcome: ValueKind::Word(Self::WORDS),
    AuditKind: ValueKind::Word(Self::WORDS),
    Outcome: ValueKind::Word(Self::WORDS),
    AlertStateFilter: ValueKind::Word(Self::WORDS),
    AlertKind: ValueKind::Word(Self::WORDS),
    UserState: ValueKind::Word(Self::WORDS),
}

#[cfg(test)]
mod tests {
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
    fn a_user_is_meant_by_id_or_by_name_and_written_as_typed() {
        let id = "0197C2A4-8a5e-7c3e-9f6e-0123456789ab";
        let by_id: UserSelector = read(id).unwrap();
        assert_eq!(by_id.id().map(UserSelector::from).map(|user| user.0.0), Some(id.to_lowercase()));
        assert_eq!(json!(by_id), json!(id));
        let by_name: UserSelector = read("ALICE").unwrap();
        assert_eq!((by_name.id(), by_name.name()), (None, "ALICE"));
    }
}
