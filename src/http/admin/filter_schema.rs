//! Filters of lists in the OpenAPI document: as members of query strings, and of bodies.

use std::borrow::Cow;

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{RefOr, Required};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::member::word;
use crate::model::filter::{
    AlertFilter, AttemptFilter, EventFilter, Filter, MOST_VALUES, Member, Moment, Network, SessionFilter, Text,
    UserFilter, ValueKind,
};

fn value(kind: ValueKind) -> RefOr<Schema> {
    match kind {
        ValueKind::Text => Text::schema(),
        ValueKind::Word(words) => word(words.iter().copied()),
        ValueKind::Network => Network::schema(),
        ValueKind::Moment => Moment::schema(),
        ValueKind::Id => {
            let uuid = SchemaFormat::KnownFormat(KnownFormat::Uuid);
            ObjectBuilder::new().schema_type(Type::String).format(Some(uuid)).into()
        }
    }
}

fn list(kind: ValueKind) -> ArrayBuilder {
    ArrayBuilder::new().items(value(kind)).min_items(Some(1)).max_items(Some(MOST_VALUES))
}

/// The names that a member has, with what each means; whether it takes several values.
fn names(member: &Member) -> impl Iterator<Item = (&'static str, String)> {
    let meaning = match member.twin {
        Some(_) => format!("{} One of several, where it is given several times.", member.meaning),
        None => member.meaning.to_owned(),
    };
    let name = member.name;
    let twin = member.twin.map(|twin| (twin, format!("Not those that `{name}` would find by any of these values.")));
    std::iter::once((name, meaning)).chain(twin)
}

/// The members of a filter, as those of a query string: what takes several values may be repeated.
fn parameters<F: Filter>() -> Vec<Parameter> {
    let of_member = |member: &'static Member| {
        names(member).map(|(name, meaning)| {
            let parameter = ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(meaning));
            match member.twin {
                Some(_) => parameter
                    .style(Some(ParameterStyle::Form))
                    .explode(Some(true))
                    .schema(Some(RefOr::T(Schema::from(list(member.kind))))),
                None => parameter.schema(Some(value(member.kind))),
            }
            .build()
        })
    };
    F::MEMBERS.iter().flat_map(of_member).collect()
}

/// The members of a filter, as those of a body: what takes several values is one, or a list.
fn object<F: Filter>(description: &str) -> RefOr<Schema> {
    let mut object = ObjectBuilder::new()
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    for member in F::MEMBERS {
        for (name, meaning) in names(member) {
            let null = ObjectBuilder::new().schema_type(Type::Null);
            let any = OneOfBuilder::new().item(null).item(value(member.kind)).description(Some(meaning));
            object = object.property(name, if member.twin.is_some() { any.item(list(member.kind)) } else { any });
        }
    }
    object.into()
}

/// Documents filters as members of query strings.
macro_rules! documented {
    ($($filter:ty),+) => {
        $(
            impl IntoParams for $filter {
                fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                    parameters::<Self>()
                }
            }
        )+
    };
}

documented!(SessionFilter, AttemptFilter, EventFilter, AlertFilter, UserFilter);

impl PartialSchema for SessionFilter {
    fn schema() -> RefOr<Schema> {
        object::<Self>("Which sessions. All members together; one that is left out leaves nothing out.")
    }
}

impl ToSchema for SessionFilter {
    fn name() -> Cow<'static, str> {
        "SessionMembers".into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parameter(name: &str) -> Value {
        let named = parameters::<SessionFilter>().into_iter().find(|parameter| parameter.name == name);
        json!(named)
    }

    #[test]
    fn a_member_that_takes_several_values_may_be_repeated_and_has_a_twin() {
        for name in ["reason", "not_reason"] {
            let reason = parameter(name);
            assert_eq!((&reason["style"], &reason["explode"]), (&json!("form"), &json!(true)));
            assert_eq!((&reason["in"], &reason["required"]), (&json!("query"), &json!(false)));
            assert_eq!((&reason["schema"]["type"], &reason["schema"]["maxItems"]), (&json!("array"), &json!(20)));
            assert_eq!(reason["schema"]["items"]["enum"][0], "logout");
        }
        assert_eq!(parameter("started_from")["schema"], json!({ "type": "string", "format": "date-time" }));
        assert_eq!(parameter("not_started_from"), Value::Null);
    }

    #[test]
    fn a_member_of_a_body_is_one_value_or_a_list_or_null() {
        let schema = json!(SessionFilter::schema());
        assert_eq!(schema["additionalProperties"], false);
        let kinds = |name: &str| {
            let any = schema["properties"][name]["oneOf"].as_array().unwrap();
            any.iter().map(|one| one["type"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(kinds("not_user"), ["null", "string", "array"]);
        assert_eq!(kinds("ended_to"), ["null", "string"]);
    }
}
