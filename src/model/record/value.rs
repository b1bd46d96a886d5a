//! What a column holds, and what it says in a row: the same whether the row comes from the database or from the model.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::proof::Group;

/// What a member is like, and so how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A text in UTF-8.
    Text,
    /// A text that may be missing.
    OptionalText,
    /// A text that is empty where it is missing.
    TextOrNothing,
    /// A UUID.
    Id,
    /// A UUID that may be missing.
    OptionalId,
    /// A whole number of 64 bits.
    Number,
    /// A moment: microseconds since 1970, UTC.
    Time,
    /// The same, where it may be missing.
    OptionalTime,
    /// Bytes of any length.
    Bytes,
    /// Bytes that may be missing.
    OptionalBytes,
    /// An address. Where it can be cut, its network is covered as well: that stays.
    Address,
    /// An address that may be missing.
    OptionalAddress,
    /// What names a person.
    Person,
    /// What describes a person; missing also where it was removed.
    OptionalPerson,
    /// A JSON object, printed without white space and its members in the order of their names. It may name a person.
    Details,
}

impl Shape {
    /// With what it can be removed before its row.
    #[must_use]
    pub const fn group(self) -> Option<Group> {
        match self {
            Self::Address | Self::OptionalAddress => Some(Group::Addresses),
            Self::Person | Self::OptionalPerson | Self::Details => Some(Group::Person),
            _ => None,
        }
    }

    /// Whether its numbers are moments.
    #[must_use]
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Time | Self::OptionalTime)
    }
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// It is not there.
    Missing,
    /// A text, or the text of an id.
    Text(&'a str),
    /// An id, as 16 bytes.
    Id(Uuid),
    /// A number, or a time.
    Number(i64),
    /// Bytes, as they are stored.
    Bytes(&'a [u8]),
    /// An address, and how it is written.
    Address(IpAddr, &'a str),
    /// Nothing that this member can be.
    Impossible,
}

impl<'a> Value<'a> {
    /// The text, if it is one.
    #[must_use]
    pub const fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if it is these.
    #[must_use]
    pub const fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// What the model has as a member of a row.
pub(super) trait Member {
    /// Hands it on as the value that digests cover.
    fn hand(&self, to: impl FnOnce(Value<'_>));
}

macro_rules! members {
    ($($type:ty: $member:ident => $value:expr,)+) => {
        $(impl Member for $type {
            fn hand(&self, to: impl FnOnce(Value<'_>)) {
                let $member = self;
                to($value);
            }
        })+
    };
}

members! {
    str: text => Value::Text(text),
    String: text => Value::Text(text),
    Uuid: id => Value::Id(*id),
    i64: number => Value::Number(*number),
    u32: number => Value::Number(i64::from(*number)),
    DateTime<Utc>: at => Value::Number(at.timestamp_micros()),
    [u8; 32]: bytes => Value::Bytes(bytes),
    IpAddr: ip => Value::Address(*ip, &ip.to_string()),
}

impl<M: Member + ?Sized> Member for &M {
    fn hand(&self, to: impl FnOnce(Value<'_>)) {
        (**self).hand(to);
    }
}

impl<M: Member> Member for Option<M> {
    fn hand(&self, to: impl FnOnce(Value<'_>)) {
        match self {
            Some(member) => member.hand(to),
            None => to(Value::Missing),
        }
    }
}
