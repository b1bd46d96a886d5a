//! Reads bodies, queries and paths strictly: an unknown member is refused, so that a typo is never silently ignored, and
//! each fault names its place.

use std::fmt::Display;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use super::upgrade;
use crate::model::filter::object_of;

/// Largest body, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// How long a body may take: so long, and a second more for each KiB that has arrived.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Slowest that a body may arrive after that, in bytes a second.
const SLOWEST_BODY: u64 = 1024;
/// How long a body may take in all.
const LONGEST_BODY: Duration = Duration::from_secs(10);

/// How a reader of JSON begins where a value is not what belongs there, which it says at the end.
const MISFITS: [&str; 3] = ["invalid type: ", "invalid value: ", "invalid length "];

/// What came with a request. Inputs are read beside the caller, so a fault in one waits here until the caller is known: who
/// may not call is told that, and not what would have been accepted.
pub type Given<T> = Result<T, ApiError>;

/// What is read from a body. Handlers take it together with whoever sent it: see [`super::authenticated_body`].
pub trait Input: Sized + 'static {
    /// Reads the body, in the time that it may take.
    fn read(request: &HttpRequest, payload: Payload) -> impl Future<Output = Result<Self, ApiError>>;

    /// Is given the body of a request that is refused before it was read: nothing is done with it. A form may be shown again later.
    #[must_use]
    fn refused(_: &HttpRequest, _: Payload, _: &ApiError) -> impl Future<Output = ()> {
        std::future::ready(())
    }
}

/// A request body of JSON, read as `T`.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A JSON body that may be left out altogether, or be `null`.
#[derive(Debug)]
pub struct OptionalBody<T>(pub Option<T>);

/// A body of any kind, for whoever decides only then whether it matters. No `Debug`: there may be a secret in it.
pub struct AnyBody {
    bytes: web::BytesMut,
    is_json: bool,
}

/// The body of a form that a browser sends.
#[derive(Debug)]
pub struct Form<T>(pub T);

/// The members of such a form as they were sent, in their order. No `Debug`: there may be a secret in it.
pub struct FormPairs(pub Vec<(String, String)>);

/// The query string of a request, read as `T`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> Input for Body<T> {
    async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, ApiError> {
        if !is_json(request) {
            return Err(ApiError::UnsupportedMediaType);
        }
        parse(&collect(request, payload).await?).map(Self)
    }
}

impl<T: DeserializeOwned + 'static> Input for OptionalBody<T> {
    async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, ApiError> {
        AnyBody::read(request, payload).await?.strictly().map(Self)
    }
}

impl Input for AnyBody {
    async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, ApiError> {
        Ok(Self { bytes: collect(request, payload).await?, is_json: is_json(request) })
    }
}

impl AnyBody {
    /// What it says, read as strictly as an [`OptionalBody`].
    pub fn strictly<T: DeserializeOwned>(&self) -> Result<Option<T>, ApiError> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        if !self.is_json {
            return Err(ApiError::UnsupportedMediaType);
        }
        parse(&self.bytes)
    }

    /// What it says where it is JSON of this shape, whatever its media type, also behind a byte order mark.
    #[must_use]
    pub fn leniently<T: DeserializeOwned>(&self) -> Option<T> {
        let text = self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.bytes);
        serde_json::from_slice(text).ok()
    }
}

impl<T: DeserializeOwned + 'static> Input for Form<T> {
    async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, ApiError> {
        let bytes = collect_form(request, payload).await?;
        parse_query(text_of_form(&bytes)?).map(Self)
    }
}

impl Input for FormPairs {
    async fn read(request: &HttpRequest, payload: Payload) -> Result<Self, ApiError> {
        let bytes = collect_form(request, payload).await?;
        Ok(Self(form_pairs(text_of_form(&bytes)?)))
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = std::future::Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(parse_query(request.query_string()).map(Self))
    }
}

fn is_json(request: &HttpRequest) -> bool {
    is_of_type(request, "application/json")
}

fn is_of_type(request: &HttpRequest, media_type: &str) -> bool {
    let header = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

async fn collect(request: &HttpRequest, mut payload: Payload) -> Result<web::BytesMut, ApiError> {
    let (begun, mut bytes) = (Instant::now(), web::BytesMut::new());
    let end = upgrade::end_of_body(request).unwrap_or(usize::MAX);
    while bytes.len() < end {
        let next = timeout_at(begun + time_for(bytes.len()), payload.next()).await;
        let Some(chunk) = next.map_err(|_| ApiError::TooSlow)? else { return Ok(bytes) };
        let chunk = chunk.map_err(|_| ApiError::Malformed("The body broke off.".to_owned()))?;
        if bytes.len() + chunk.len() > MAX_BODY {
            return Err(ApiError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(end);
    Ok(bytes)
}

/// How long after its head a body may go on of which so many bytes have arrived.
fn time_for(arrived: usize) -> Duration {
    let arrived = u64::try_from(arrived).unwrap_or(u64::MAX);
    (BODY_TIMEOUT + Duration::from_millis(arrived.saturating_mul(1000) / SLOWEST_BODY)).min(LONGEST_BODY)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // What reads an object would take its values one after the other as well.
    if bytes.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice::<serde::de::IgnoredAny>(bytes).map_err(|error| malformed(&error))?;
        return Err(ApiError::invalid("", "expected an object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let context = error.into_inner();
        if context.is_data() { ApiError::invalid(&pointer(&path), plain(&context)) } else { malformed(&context) }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// Where the text stops being JSON. What stands there is not repeated: it may be a password.
fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::Malformed(format!("The body is not JSON: line {}, column {}.", error.line(), error.column()))
}

/// What does not fit, in words of JSON and of queries: without the place, which is given as a pointer, without the value, which may be
/// a password, and without the types of the program.
fn plain(error: &impl Display) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(said, _)| said);
    if MISFITS.iter().any(|misfit| text.starts_with(misfit)) {
        let expected = text.rsplit_once(", expected ").map(|(_, expected)| format!("expected {}", kind(expected)));
        return expected.unwrap_or_else(|| "does not fit".to_owned());
    }
    match text {
        "provided string was not `true` or `false`" => "expected true or false".to_owned(),
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            "expected a whole number".to_owned()
        }
        _ if text.starts_with("number too ") => "expected a number of fewer digits".to_owned(),
        _ if text.starts_with("UUID parsing failed") => "expected a UUID".to_owned(),
        _ => text.to_owned(),
    }
}

/// What belongs there, by the name that the type of the program has for it.
fn kind(expected: &str) -> &str {
    match expected {
        "a boolean" => "true or false",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "f32" | "f64" => "a number",
        "a borrowed string" | "str" => "a string",
        "a formatted UUID string" => "a UUID",
        "a map" => "an object",
        "a sequence" => "a list",
        _ if expected.starts_with("struct ") => "an object",
        _ if expected.starts_with("tuple ") || expected.starts_with("a tuple ") => "a list",
        _ => expected,
    }
}

pub(super) fn parse_query<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    let deserializer = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(text.as_bytes()));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        ApiError::invalid(&pointer(&path), plain(&error.into_inner()))
    })
}

/// Reads members of which each may be repeated.
pub(super) fn parse_pairs<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(object_of(pairs)).map_err(|error| {
        let path = error.path().to_string();
        ApiError::invalid(&pointer(&path), plain(&error.into_inner()))
    })
}

/// The members of a form or a query string. A token has nothing that is written in another way there, and looking for that byte
/// by byte costs as much as checking the token.
fn form_pairs(text: &str) -> Vec<(String, String)> {
    if text.contains(['%', '+']) {
        return url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    }
    let members = text.split('&').filter(|member| !member.is_empty());
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    members.map(|member| pair(member.split_once('=').unwrap_or((member, "")))).collect()
}

async fn collect_form(request: &HttpRequest, payload: Payload) -> Result<web::BytesMut, ApiError> {
    if !is_of_type(request, "application/x-www-form-urlencoded") {
        return Err(ApiError::UnsupportedMediaType);
    }
    collect(request, payload).await
}

fn text_of_form(bytes: &[u8]) -> Result<&str, ApiError> {
    std::str::from_utf8(bytes).map_err(|_| ApiError::Malformed("The form is not UTF-8.".to_owned()))
}

/// A path such as `filter.started_from` as a JSON pointer (RFC 6901).
fn pointer(path: &str) -> String {
    if path == "." || path.is_empty() {
        return String::new();
    }
    format!("/{}", path.replace(['.', '['], "/").replace(']', ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Shape {
        username: String,
        limit: Option<u32>,
        flag: Option<bool>,
        id: Option<uuid::Uuid>,
        names: Option<Vec<String>>,
    }

    fn fault(text: &str) -> (String, String) {
        match parse::<Shape>(text.as_bytes()) {
            Err(ApiError::Invalid(errors)) => (errors[0].pointer.clone(), errors[0].message.clone()),
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn a_form_is_read_in_one_way_whatever_is_in_it(text in "[ab=&%+2é]{0,12}") {
            let expected: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            prop_assert_eq!(form_pairs(&text), expected);
        }
    }

    #[test]
    fn each_fault_names_its_place_and_repeats_no_value() {
        let (pointer, message) = fault(r#"{"username": 4711}"#);
        assert_eq!((pointer.as_str(), message.as_str()), ("/username", "expected a string"));
        let (pointer, message) = fault(r#"{"username": "a", "limit": "s3cret"}"#);
        assert_eq!(pointer, "/limit");
        assert!(!message.contains("s3cret"), "{message}");
        assert_eq!(message, "expected a whole number, 0 or more");
        assert!(fault(r#"{"username": "a", "usrname": "b"}"#).1.contains("usrname"));
        assert!(fault(r#"{"username": "a", "username": "b"}"#).1.contains("duplicate"));
        assert!(fault("{}").1.contains("username"));
    }

    #[test]
    fn what_belongs_there_is_told_in_words_of_json() {
        for (body, pointer, message) in [
            ("7", "", "expected an object"),
            ("null", "", "expected an object"),
            (r#"{"username": {}}"#, "/username", "expected a string"),
            (r#"{"username": "a", "limit": -1}"#, "/limit", "expected a whole number, 0 or more"),
            (r#"{"username": "a", "limit": 1.5}"#, "/limit", "expected a whole number, 0 or more"),
            (r#"{"username": "a", "flag": "s3cret, expected x"}"#, "/flag", "expected true or false"),
            (r#"{"username": "a", "id": "s3cret"}"#, "/id", "expected a UUID"),
            (r#"{"username": "a", "id": 7}"#, "/id", "expected a UUID"),
            (r#"{"username": "a", "names": {}}"#, "/names", "expected a list"),
            (r#"{"username": "a", "names": ["a", []]}"#, "/names/1", "expected a string"),
        ] {
            assert_eq!(fault(body), (pointer.to_owned(), message.to_owned()), "{body}");
        }
        for (query, pointer, message) in [
            ("username=a&limit=x", "/limit", "expected a whole number"),
            ("username=a&limit=", "/limit", "expected a whole number"),
            ("username=a&limit=-1", "/limit", "expected a whole number"),
            ("username=a&limit=99999999999", "/limit", "expected a number of fewer digits"),
            ("username=a&flag=yes", "/flag", "expected true or false"),
            ("username=a&id=s3cret", "/id", "expected a UUID"),
            ("username=a&names=s3cret", "/names", "expected a list"),
        ] {
            let Err(ApiError::Invalid(errors)) = parse_query::<Shape>(query) else { panic!("{query}") };
            assert_eq!((errors[0].pointer.as_str(), errors[0].message.as_str()), (pointer, message), "{query}");
        }
    }

    #[test]
    fn a_body_has_a_second_for_each_kib_and_ten_seconds_in_all() {
        let times = [0, 512, 1024, 5 * 1024, MAX_BODY, usize::MAX].map(|arrived| time_for(arrived).as_millis());
        assert_eq!(times, [5_000, 5_500, 6_000, 10_000, 10_000, 10_000]);
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for text in ["", "{", "hello", "{} {}", "\u{feff}{}", r#"{"username": "a"} x"#] {
            assert!(
                matches!(parse::<Shape>(text.as_bytes()), Err(ApiError::Malformed(_) | ApiError::Invalid(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_body_of_any_kind_is_read_strictly_or_as_far_as_it_can_be() {
        let body = |text: &str, is_json| AnyBody { bytes: web::BytesMut::from(text), is_json };
        let good = r#"{"username": "a"}"#;
        let marked = format!("\u{feff}{good}");
        for (text, is_json, strictly, leniently) in [
            ("", true, "nothing", false),
            ("", false, "nothing", false),
            (good, true, "a shape", true),
            (good, false, "another type", true),
            (marked.as_str(), true, "malformed", true),
            (" \r\n", true, "malformed", false),
            ("username=a", false, "another type", false),
        ] {
            let read = match body(text, is_json).strictly::<Shape>() {
                Ok(Some(_)) => "a shape",
                Ok(None) => "nothing",
                Err(ApiError::UnsupportedMediaType) => "another type",
                Err(ApiError::Malformed(_)) => "malformed",
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!((read, body(text, is_json).leniently::<Shape>().is_some()), (strictly, leniently), "{text:?}");
        }
    }

    #[test]
    fn a_query_is_read_as_strictly() {
        assert!(parse_query::<Shape>("username=a&limit=3").is_ok());
        assert!(matches!(parse_query::<Shape>("username=a&lmit=3"), Err(ApiError::Invalid(_))));
        assert!(matches!(parse_query::<Shape>("username=a&limit=x"), Err(ApiError::Invalid(_))));
    }
}
