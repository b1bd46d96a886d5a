//! Query strings of two parts: which rows, and how they are answered. The first part is the same for a list and its export.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use utoipa::IntoParams;
use utoipa::openapi::path::ParameterIn;

use crate::audit::export::{ExportFormat, Form, OnlyForCsv, Purpose};
use crate::audit::sheet::Separator;
use crate::http::error::ApiError;
use crate::http::input::{parse_pairs, parse_query};
use crate::model::filter::Sort;

/// The query string: the members that `O` documents, and all others, which `F` reads and refuses where it knows them not.
#[derive(Debug)]
pub struct Filtered<F, O> {
    /// Which rows are wanted.
    pub filter: F,
    /// How they are answered.
    pub options: O,
}

/// Which page of a list of sessions, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionPageOptions {
    /// The order; newest login first unless said otherwise.
    #[param(inline)]
    pub sort: Option<Sort>,
    /// Rows of the page; 50 unless said otherwise.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<i64>,
    /// Where the page begins: the `next_cursor` of the page before. It holds for this order only.
    pub cursor: Option<String>,
}

/// How an export is written.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportOptions {
    /// The format.
    #[param(inline)]
    pub format: ExportFormat,
    /// What stands between the cells of CSV; the comma unless said otherwise. Spreadsheets in French expect the semicolon.
    #[param(inline)]
    pub separator: Option<Separator>,
    /// Whether a byte order mark begins the CSV file, by which Excel knows UTF-8; none unless said otherwise.
    pub bom: Option<bool>,
    /// What it is for; the record keeps it. `[audit] purpose_required` asks for it.
    #[param(inline)]
    pub purpose: Option<Purpose>,
}

/// How an export of sessions is written.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionExportOptions {
    /// The format.
    #[param(inline)]
    pub format: ExportFormat,
    /// What stands between the cells of CSV; the comma unless said otherwise. Spreadsheets in French expect the semicolon.
    #[param(inline)]
    pub separator: Option<Separator>,
    /// Whether a byte order mark begins the CSV file, by which Excel knows UTF-8; none unless said otherwise.
    pub bom: Option<bool>,
    /// What it is for; the record keeps it. `[audit] purpose_required` asks for it.
    #[param(inline)]
    pub purpose: Option<Purpose>,
    /// The order; newest login first unless said otherwise.
    #[param(inline)]
    pub sort: Option<Sort>,
}

impl ExportOptions {
    /// How it is to be written.
    pub(super) fn form(&self) -> Result<Form, OnlyForCsv> {
        Form::new(self.format, self.separator, self.bom.unwrap_or(false))
    }
}

impl SessionExportOptions {
    /// How it is to be written.
    pub(super) fn form(&self) -> Result<Form, OnlyForCsv> {
        Form::new(self.format, self.separator, self.bom.unwrap_or(false))
    }
}

impl<F: DeserializeOwned, O: DeserializeOwned + IntoParams> Filtered<F, O> {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let documented = O::into_params(|| Some(ParameterIn::Query));
        let mut filter = Vec::new();
        let mut options = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let is_option = documented.iter().any(|parameter| parameter.name == name);
            if is_option {
                options.append_pair(&name, &value);
            } else {
                filter.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(Self { filter: parse_pairs(filter)?, options: parse_query(&options.finish())? })
    }
}

impl<F: DeserializeOwned + 'static, O: DeserializeOwned + IntoParams + 'static> FromRequest for Filtered<F, O> {
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
    use crate::model::filter::AttemptFilter;

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
