//! The details of events and alerts: what a table of kinds defines, as values and as JSON.

use std::sync::LazyLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What may be in a member of the details, and so what becomes of it before the event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Nothing that goes before the event does.
    Nobody,
    /// The name of a person: the details go when that person is erased.
    Person,
    /// Free text: the details go when a person is erased whom it is about, who wrote it, or whose name is in it.
    Text,
    /// A filter: the details go when a person is erased whom it names.
    Filter,
    /// An address or network. It stays: retention cuts the address of the event alone.
    Network,
}

/// A member of the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The name of the member in the JSON object.
    pub name: &'static str,
    /// What it says, in the words of the documents.
    pub says: &'static str,
    /// What may be in it.
    pub names: Names,
}

/// The details are not those of the kind.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDetails {
    /// There is no object.
    #[error("details that are no object")]
    NoObject,
    /// A member is missing.
    #[error("no member {0}")]
    Missing(&'static str),
    /// A member has another type.
    #[error("member {0}: {1}")]
    Unfit(&'static str, serde_json::Error),
}

/// What is left of the details of an event when the person they name is erased, as text.
pub(super) const ERASED_DETAILS: &str = r#"{"erased":true}"#;

/// The same as an object.
#[must_use]
pub fn erased_details() -> &'static Value {
    static LEFT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(ERASED_DETAILS).expect("an object"));
    &LEFT
}

/// The marks of a member as [`Names`].
macro_rules! names {
    (optional $($mark:ident)?) => { $crate::model::details::names!($($mark)?) };
    () => { $crate::model::details::Names::Nobody };
    (person) => { $crate::model::details::Names::Person };
    (text) => { $crate::model::details::Names::Text };
    (filter) => { $crate::model::details::Names::Filter };
    (network) => { $crate::model::details::Names::Network };
}
pub(super) use names;

/// Writes a member, or leaves it out: `[optional]` where it is none, all others are null then.
macro_rules! put {
    ($members:ident, $member:ident, optional $($mark:ident)?) => {
        if let Some(value) = $member {
            $crate::model::details::write_member($members, stringify!($member), value);
        }
    };
    ($members:ident, $member:ident, $($mark:ident)?) => {
        $crate::model::details::write_member($members, stringify!($member), $member)
    };
}
pub(super) use put;

/// Reads a member of the details from their JSON object.
macro_rules! take {
    ($members:ident, $member:ident, optional $($mark:ident)?) => {
        $crate::model::details::read_member($members, stringify!($member))?
    };
    ($members:ident, $member:ident, $($mark:ident)?) => {
        $crate::model::details::read_member($members, stringify!($member))?
            .ok_or($crate::model::details::InvalidDetails::Missing(stringify!($member)))?
    };
}
pub(super) use take;

/// Defines what the details of several kinds have in common, as a struct of members.
macro_rules! members {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[doc = $says:literal])+ $member:ident: $type:ty $([$($mark:ident)+])?,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $($(#[doc = $says])+ pub $member: $type,)* }

        impl $name {
            /// Its members, in the order of its definition.
            pub const MEMBERS: &'static [Member] = &[$($crate::model::details::Member {
                name: stringify!($member),
                says: concat!($($says),+).trim_ascii(),
                names: $crate::model::details::names!($($($mark)+)?),
            }),*];

            /// As it is kept.
            #[must_use]
            pub fn into_value(self) -> serde_json::Value {
                let members = &mut serde_json::Map::new();
                let Self { $($member),* } = self;
                $($crate::model::details::put!(members, $member, $($($mark)+)?);)*
                serde_json::Value::Object(std::mem::take(members))
            }

            /// From what is kept. Members that it does not know are left unread: a newer version has written them.
            pub fn read(details: &serde_json::Value) -> Result<Self, InvalidDetails> {
                let members = details.as_object().ok_or($crate::model::details::InvalidDetails::NoObject)?;
                Ok(Self { $($member: $crate::model::details::take!(members, $member, $($($mark)+)?)),* })
            }
        }
    };
}
pub(super) use members;

/// Defines kinds, each with a meaning, a word and the members of its details; and the details as an enum, whose variant is the
/// kind.
///
/// A member is `name: Type [marks]`. One that is marked `optional` is left out where it is `None`; without the mark it is null.
/// The other mark is one of [`Names`].
macro_rules! kinds {
    ($(#[$kind_meta:meta])* pub enum $kind:ident; $(#[$details_meta:meta])* pub enum $details:ident;
     $($(#[doc = $meaning:literal])+ $variant:ident = $word:literal
       { $($(#[doc = $says:literal])+ $member:ident: $type:ty $([$($mark:ident)+])?,)* })+) => {
        $crate::model::words::explained_words! {
            $(#[$kind_meta])*
            pub enum $kind { $($(#[doc = $meaning])+ $variant = $word,)+ }
        }

        $(#[$details_meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $details { $($(#[doc = $meaning])+ $variant { $($(#[doc = $says])+ $member: $type,)* },)+ }

        impl $kind {
            /// The members of its details. Not every one has each.
            #[must_use]
            pub const fn members(self) -> &'static [$crate::model::details::Member] {
                match self {
                    $(Self::$variant => const { &[$($crate::model::details::Member {
                        name: stringify!($member),
                        says: concat!($($says),+).trim_ascii(),
                        names: $crate::model::details::names!($($($mark)+)?),
                    }),*] },)+
                }
            }
        }

        impl $details {
            /// The kind that has such details.
            #[must_use]
            pub const fn kind(&self) -> $kind {
                match self { $(Self::$variant { .. } => $kind::$variant,)+ }
            }

            /// As they are kept.
            #[must_use]
            pub fn into_value(self) -> serde_json::Value {
                let members = &mut serde_json::Map::new();
                match self {
                    $(Self::$variant { $($member),* } => {
                        $($crate::model::details::put!(members, $member, $($($mark)+)?);)*
                    })+
                }
                serde_json::Value::Object(std::mem::take(members))
            }

            /// The details of this kind, from what is kept. Members that it does not know are left unread: a newer version has
            /// written them.
            pub fn read(kind: $kind, details: &serde_json::Value) -> Result<Self, $crate::model::details::InvalidDetails> {
                let members = details.as_object().ok_or($crate::model::details::InvalidDetails::NoObject)?;
                Ok(match kind {
                    $($kind::$variant => Self::$variant {
                        $($member: $crate::model::details::take!(members, $member, $($($mark)+)?)),*
                    },)+
                })
            }
        }
    };
}
pub(super) use kinds;

/// Writes a member.
///
/// # Panics
/// If its type cannot be written as JSON, which any event of its kind shows.
pub(super) fn write_member<T: Serialize>(members: &mut Map<String, Value>, name: &str, value: T) {
    members.insert(name.to_owned(), serde_json::to_value(value).expect("a member is plain data"));
}

/// Reads a member; `None` where it was left out.
pub(super) fn read_member<T: DeserializeOwned>(
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<T>, InvalidDetails> {
    let Some(value) = members.get(name) else { return Ok(None) };
    T::deserialize(value).map(Some).map_err(|error| InvalidDetails::Unfit(name, error))
}
