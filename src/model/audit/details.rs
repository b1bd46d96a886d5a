//! The details of events: what the table of kinds defines, as values and as JSON.

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
    /// What it is called.
    pub name: &'static str,
    /// What it says.
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
pub(in crate::model) const ERASED_DETAILS: &str = r#"{"erased":true}"#;

/// The same as an object.
#[must_use]
pub fn erased_details() -> &'static Value {
    static LEFT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(ERASED_DETAILS).expect("an object"));
    &LEFT
}

/// The marks of a member as [`Names`].
macro_rules! names {
    (optional $($mark:ident)?) => { $crate::model::audit::details::names!($($mark)?) };
    () => { $crate::model::audit::Names::Nobody };
    (person) => { $crate::model::audit::Names::Person };
    (text) => { $crate::model::audit::Names::Text };
    (filter) => { $crate::model::audit::Names::Filter };
    (network) => { $crate::model::audit::Names::Network };
}
pub(super) use names;

/// Writes a member, or leaves it out: `[optional]` where it is none, all others are null then.
macro_rules! put {
    ($members:ident, $member:ident, optional $($mark:ident)?) => {
        if let Some(value) = $member {
            $crate::model::audit::details::write_member($members, stringify!($member), value);
        }
    };
    ($members:ident, $member:ident, $($mark:ident)?) => {
        $crate::model::audit::details::write_member($members, stringify!($member), $member)
    };
}
pub(super) use put;

/// Reads a member.
macro_rules! take {
    ($members:ident, $member:ident, optional $($mark:ident)?) => {
        $crate::model::audit::details::read_member($members, stringify!($member))?
    };
    ($members:ident, $member:ident, $($mark:ident)?) => {
        $crate::model::audit::details::read_member($members, stringify!($member))?
            .ok_or($crate::model::audit::InvalidDetails::Missing(stringify!($member)))?
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
            pub const MEMBERS: &'static [Member] = &[$($crate::model::audit::Member {
                name: stringify!($member),
                says: concat!($($says),+).trim_ascii(),
                names: $crate::model::audit::details::names!($($($mark)+)?),
            }),*];

            /// As it is kept.
            #[must_use]
            pub fn into_value(self) -> serde_json::Value {
                let members = &mut serde_json::Map::new();
                let Self { $($member),* } = self;
                $($crate::model::audit::details::put!(members, $member, $($($mark)+)?);)*
                serde_json::Value::Object(std::mem::take(members))
            }

            /// From what is kept. Members that it does not know are left unread: a newer version has written them.
            pub fn read(details: &serde_json::Value) -> Result<Self, InvalidDetails> {
                let members = details.as_object().ok_or($crate::model::audit::InvalidDetails::NoObject)?;
                Ok(Self { $($member: $crate::model::audit::details::take!(members, $member, $($($mark)+)?)),* })
            }
        }
    };
}
pub(super) use members;

/// Defines the kinds, each with a meaning, a word, an outcome, subjects, reasons and the members of its details; and the details
/// as an enum, whose variant is the kind.
macro_rules! kinds {
    ($($(#[doc = $meaning:literal])+
       $variant:ident = $word:literal: $outcome:ident about [$($subject:ident),+] for [$($reason:ident),*]
       { $($(#[doc = $says:literal])+ $member:ident: $type:ty $([$($mark:ident)+])?,)* })+) => {
        $crate::model::words! {
            /// What happened. The words are stable: reviewers filter on them.
            pub enum AuditKind { $($(#[doc = $meaning])+ $variant = $word,)+ }
        }

        /// What happened, with all that there is to say of it.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Details { $($(#[doc = $meaning])+ $variant { $($(#[doc = $says])+ $member: $type,)* },)+ }

        impl AuditKind {
            /// What events of this kind have in common.
            #[must_use]
            pub const fn facts(self) -> KindFacts {
                match self {
                    $(Self::$variant => KindFacts {
                        meaning: concat!($($meaning),+).trim_ascii(),
                        outcome: Outcome::$outcome,
                        subjects: &[$(SubjectKind::$subject),+],
                        reasons: &[$(Reason::$reason),*],
                        details: const { &[$($crate::model::audit::Member {
                            name: stringify!($member),
                            says: concat!($($says),+).trim_ascii(),
                            names: $crate::model::audit::details::names!($($($mark)+)?),
                        }),*] },
                    },)+
                }
            }
        }

        impl Details {
            /// The kind of such events.
            #[must_use]
            pub const fn kind(&self) -> AuditKind {
                match self { $(Self::$variant { .. } => AuditKind::$variant,)+ }
            }

            /// As they are kept.
            #[must_use]
            pub fn into_value(self) -> serde_json::Value {
                let members = &mut serde_json::Map::new();
                match self {
                    $(Self::$variant { $($member),* } => {
                        $($crate::model::audit::details::put!(members, $member, $($($mark)+)?);)*
                    })+
                }
                serde_json::Value::Object(std::mem::take(members))
            }

            /// The details of an event of this kind, from what is kept. Members that it does not know are left unread: a newer
            /// version has written them.
            pub fn read(kind: AuditKind, details: &serde_json::Value) -> Result<Self, InvalidDetails> {
                let members = details.as_object().ok_or(InvalidDetails::NoObject)?;
                Ok(match kind {
                    $(AuditKind::$variant => Self::$variant {
                        $($member: $crate::model::audit::details::take!(members, $member, $($($mark)+)?)),*
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
