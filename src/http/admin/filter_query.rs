//! Query strings of two parts: which rows, and how they are answered. The first part is the same for a list and its export.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use utoipa::IntoParams;
use utoipa::openapi::path::ParameterIn;

use crate::audit::csv_dialect::Separator;
use crate::audit::export::{ExportFormat, ExportPurpose, Form, OnlyForCsv};
use crate::http::error::ApiError;
use crate::http::input::{parse_pairs, parse_query};
use crate::model::filter::Sort;

/// The query string: the members that are options, `O`, and all others, which `F` reads and refuses where it knows them not.
#[derive(Debug)]
pub struct Filtered<F, O> {
    /// Which rows are wanted.
    pub filter: F,
    /// How they are answered.
    pub options: O,
}

/// How an export is written.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportOptions {
    /// The format of the file.
    #[param(inline)]
    pub format: ExportFormat,
    /// What stands between the cells of CSV; the comma unless said otherwise. Spreadsheets in French expect the semicolon.
    #[param(inline)]
    pub separator: Option<Separator>,
    /// Whether a byte order mark begins the CSV file, by which Excel knows UTF-8; none unless said otherwise.
    pub bom: Option<bool>,
    /// What it is for; the record keeps it. `[audit] purpose_required` asks for it.
    #[param(inline)]
    pub purpose: Option<ExportPurpose>,
}

impl ExportOptions {
    /// How the file is to be written; an error where an option does not fit the format.
    pub(super) fn form(&self) -> Result<Form, OnlyForCsv> {
        Form::new(self.format, self.separator, self.bom.unwrap_or(false))
    }
}

/// The order of a list of sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionOrder {
    /// The order; newest login first unless said otherwise. A cursor holds for its order only.
    #[param(inline)]
    pub sort: Option<Sort>,
}

/// Options of a list of sessions, with its order.
#[derive(Debug)]
pub struct Ordered<O> {
    /// The order of the rows.
    pub order: Sort,
    /// The options that a list without an order has, too.
    pub options: O,
}

/// What a query string says beside its filter.
pub trait Options: Sized {
    /// The names of the options.
    fn names() -> Vec<String>;
    /// Reads the options from a query string that says nothing else.
    fn read(query: &str) -> Result<Self, ApiError>;
}

impl<O: DeserializeOwned + IntoParams> Options for O {
    fn names() -> Vec<String> {
        O::into_params(|| Some(ParameterIn::Query)).into_iter().map(|parameter| parameter.name).collect()
    }

    fn read(query: &str) -> Result<Self, ApiError> {
        parse_query(query)
    }
}

impl<O: Options> Options for Ordered<O> {
    fn names() -> Vec<String> {
        [SessionOrder::names(), O::names()].concat()
    }

    fn read(query: &str) -> Result<Self, ApiError> {
        let (order, options) = split::<SessionOrder>(query);
        Ok(Self { order: SessionOrder::read(&order)?.sort.unwrap_or_default(), options: O::read(&as_query(&options))? })
    }
}

/// The members of a query string that are options of this kind, as a query string; and all others.
fn split<O: Options>(query: &str) -> (String, Vec<(String, String)>) {
    let (names, pairs) = (O::names(), form_urlencoded::parse(query.as_bytes()).into_owned());
    let (options, others): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| names.contains(name));
    (as_query(&options), others)
}

fn as_query(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

impl<F: DeserializeOwned, O: Options> Filtered<F, O> {
    /// Reads both parts of a query string.
    pub(in crate::http) fn parse(query: &str) -> Result<Self, ApiError> {
        let (options, filter) = split::<O>(query);
        Ok(Self { filter: parse_pairs(filter)?, options: O::read(&options)? })
    }
}

impl<F: DeserializeOwned + 'static, O: Options + 'static> FromRequest for Filtered<F, O> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::paging::PageOptions;
    use crate::model::filter::{AttemptFilter, SessionFilter};

    fn parse(query: &str) -> Result<Filtered<AttemptFilter, PageOptions>, ApiError> {
        Filtered::parse(query)
    }

    #[test]
    fn both_parts_of_a_query_are_read() {
        let read = parse("user=a%26limit%3D9&limit=3&outcome=disabled").unwrap();
        assert_eq!(read.options.limit, Some(3));
        assert_eq!(json!(read.filter), json!({ "user": "a&limit=9", "outcome": "disabled" }));
    }

    #[test]
    fn an_order_is_read_beside_the_other_options() {
        let parse = Filtered::<SessionFilter, Ordered<PageOptions>>::parse;
        let read = parse("sort=started_at&user=a%26b&cursor=x%3Dy").unwrap();
        assert_eq!((read.options.order, read.options.options.cursor.as_deref()), (Sort::OldestStart, Some("x=y")));
        assert_eq!(json!(read.filter)["user"], "a&b");
        assert_eq!(parse("limit=3").unwrap().options.order, Sort::default());
        for query in ["sort=x", "sort=started_at&sort=started_at", "limit=x&sort=started_at", "order=started_at"] {
            assert!(matches!(parse(query), Err(ApiError::Invalid(_))), "{query}");
        }
    }

    #[test]
    fn a_member_may_be_repeated_and_excluded() {
        let read = parse("user=a&not_outcome=success&user=b&not_outcome=disabled&not_user=c").unwrap();
        let expected = json!({ "user": ["a", "b"], "not_user": "c", "not_outcome": ["success", "disabled"] });
        assert_eq!(json!(read.filter), expected);
        assert!(parse(&["user=a"; 20].join("&")).is_ok());
    }

    #[test]
    fn a_member_of_neither_part_is_refused_and_so_is_one_given_too_often() {
        let (time, users) = ("from=2026-01-01T00:00:00Z", ["user=a"; 21].join("&"));
        let twice = format!("{time}&{time}");
        for query in
            ["usr=a", "sort=started_at", "limit=3&limit=4", &users, &twice, "outcome=perhaps", "limit=", "not_from=x"]
        {
            let Err(ApiError::Invalid(errors)) = parse(query) else { panic!("{query}") };
            let name = query.split('=').next().unwrap();
            assert!(errors[0].pointer.ends_with(name) || errors[0].message.contains(name), "{query}: {errors:?}");
        }
    }
}
