//! Members of filters: what each may be, and how a filter is written from them and read.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Error, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::value::{Value, ValueKind};

/// The most values of a member.
pub const MOST_VALUES: usize = 20;

/// A filter: members under fixed names.
pub trait Filter: Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its members, in their order.
    const MEMBERS: &'static [Member];

    /// The members that were asked for, as the record keeps them.
    ///
    /// # Panics
    /// Never: a filter is texts under fixed names.
    fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a filter is texts under fixed names")
    }
}

/// A member, for documents and flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its name, in query strings, bodies and flags.
    pub name: &'static str,
    /// Which rows it finds, in a sentence.
    pub meaning: &'static str,
    /// What its values are.
    pub kind: ValueKind,
    /// The name of its twin for values that are excluded; `None` where it takes one value only.
    pub twin: Option<&'static str>,
}

/// Members given as pairs of texts, as in query strings and flags, as the object that a body would have: a name that is repeated
/// has several values.
pub fn object_of(pairs: impl IntoIterator<Item = (String, String)>) -> serde_json::Value {
    let mut members: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in pairs {
        members.entry(name).or_default().push(value);
    }
    let value = |values: Vec<String>| if let [one] = values.as_slice() { json!(one) } else { json!(values) };
    members.into_iter().map(|(name, values)| (name, value(values))).collect()
}

/// What rows must have: one of some values, and none of others. Without any it leaves nothing out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion<T> {
    /// The row must have one of these values; any, where there are none.
    pub include: Vec<T>,
    /// The row must have none of these values.
    pub exclude: Vec<T>,
}

impl<T> Default for Criterion<T> {
    fn default() -> Self {
        Self { include: Vec::new(), exclude: Vec::new() }
    }
}

impl<T> Criterion<T> {
    /// The criterion that a row has this value.
    #[must_use]
    pub fn is(value: T) -> Self {
        Self { include: vec![value], exclude: Vec::new() }
    }
}

/// What a filter keeps of a member.
pub(super) trait Field: Default {
    /// What its values are.
    const KIND: ValueKind;
    /// Whether it takes several, and has a twin.
    const IS_LIST: bool;

    /// Writes what was asked for, if anything was.
    fn write<M: SerializeMap>(&self, name: &'static str, twin: &'static str, map: &mut M) -> Result<(), M::Error>;

    /// Reads what was asked for: under the name of the member, or under that of its twin.
    fn read<'de, A: MapAccess<'de>>(&mut self, is_twin: bool, map: &mut A) -> Result<(), A::Error>;
}

impl<T: Value> Field for Option<T> {
    const KIND: ValueKind = T::KIND;
    const IS_LIST: bool = false;

    fn write<M: SerializeMap>(&self, name: &'static str, _: &'static str, map: &mut M) -> Result<(), M::Error> {
        self.as_ref().map_or(Ok(()), |value| map.serialize_entry(name, value))
    }

    fn read<'de, A: MapAccess<'de>>(&mut self, _: bool, map: &mut A) -> Result<(), A::Error> {
        *self = map.next_value()?;
        Ok(())
    }
}

impl<T: Value> Field for Criterion<T> {
    const KIND: ValueKind = T::KIND;
    const IS_LIST: bool = true;

    fn write<M: SerializeMap>(&self, name: &'static str, twin: &'static str, map: &mut M) -> Result<(), M::Error> {
        for (name, values) in [(name, &self.include), (twin, &self.exclude)] {
            match values.as_slice() {
                [] => {}
                [one] => map.serialize_entry(name, one)?,
                several => map.serialize_entry(name, several)?,
            }
        }
        Ok(())
    }

    fn read<'de, A: MapAccess<'de>>(&mut self, is_twin: bool, map: &mut A) -> Result<(), A::Error> {
        let Values(values) = map.next_value()?;
        *(if is_twin { &mut self.exclude } else { &mut self.include }) = values;
        Ok(())
    }
}

/// One value, a list of 1 to 20, or null, which is none.
struct Values<T>(Vec<T>);

impl<'de, T: Value> Deserialize<'de> for Values<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValuesVisitor(PhantomData)).map(Self)
    }
}

struct ValuesVisitor<T>(PhantomData<T>);

impl<'de, T: Value> Visitor<'de> for ValuesVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        let text: StringDeserializer<E> = text.to_owned().into_deserializer();
        Ok(vec![T::deserialize(text)?])
    }

    fn visit_unit<E: Error>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
            if values.len() > MOST_VALUES {
                break;
            }
        }
        let fits = (1..=MOST_VALUES).contains(&values.len());
        if fits { Ok(values) } else { Err(A::Error::custom("must have 1 to 20 values")) }
    }
}

/// Reads the name of a member, or of the twin of one: which member, and whether it is the twin.
pub(super) struct Name<'a> {
    pub members: &'static [Member],
    /// What was given before.
    pub seen: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = (&'static str, bool);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_known = |member: &&Member| member.name == text || member.twin.is_some_and(|twin| twin == text);
        let Some(member) = self.members.iter().find(is_known) else {
            let names = self.members.iter().flat_map(|member| std::iter::once(member.name).chain(member.twin));
            let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
            return Err(D::Error::custom(format_args!("unknown field `{text}`, expected one of {}", names.join(", "))));
        };
        if self.seen.contains(&text) {
            return Err(D::Error::custom(format_args!("duplicate field `{text}`")));
        }
        let is_twin = member.name != text;
        self.seen.push(text);
        Ok((member.name, is_twin))
    }
}

/// Defines a filter: each member once, with what it finds and what the filter keeps of it.
macro_rules! filter {
    ($(#[$meta:meta])* pub struct $filter:ident {
        $($(#[doc = $meaning:literal])+ $member:ident: $field:ty,)+
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $filter {
            $($(#[doc = $meaning])+ pub $member: $field,)+
        }

        impl $crate::model::filter::Filter for $filter {
            const MEMBERS: &'static [$crate::model::filter::Member] = &[$($crate::model::filter::Member {
                name: stringify!($member),
                meaning: concat!($($meaning),+).trim_ascii(),
                kind: <$field as $crate::model::filter::parse::Field>::KIND,
                twin: if <$field as $crate::model::filter::parse::Field>::IS_LIST {
                    Some(concat!("not_", stringify!($member)))
                } else {
                    None
                },
            },)+];
        }

        impl serde::Serialize for $filter {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                use $crate::model::filter::parse::Field as _;
                let mut map = serializer.serialize_map(None)?;
                $(self.$member.write(stringify!($member), concat!("not_", stringify!($member)), &mut map)?;)+
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $filter {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;

                impl<'de> serde::de::Visitor<'de> for Members {
                    type Value = $filter;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$filter, A::Error> {
                        use $crate::model::filter::parse::{Field as _, Name};
                        let members = <$filter as $crate::model::filter::Filter>::MEMBERS;
                        let (mut filter, mut seen) = ($filter::default(), Vec::new());
                        while let Some((name, is_twin)) = map.next_key_seed(Name { members, seen: &mut seen })? {
                            $(if name == stringify!($member) {
                                filter.$member.read(is_twin, &mut map)?;
                            })+
                        }
                        Ok(filter)
                    }
                }

                deserializer.deserialize_map(Members)
            }
        }
    };
}
pub(super) use filter;
