//! Reads bodies, queries and paths strictly: an unknown member is refused, so that a typo is never silently ignored, and
//! each fault names its place.

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

/// What came with a request. Inputs are read beside the caller, so a fault in one waits here until the caller is known: who
/// may not call is told that, and not what would have been accepted.
pub type Given<T> = Result<T, ApiError>;

/// What is read from a body. Handlers take it together with whoever sent it: see [`super::asked`].
pub trait Input: Sized + 'static {
    /// Reads the body, in the time that it may take.
    fn read(request: &HttpRequest, payload: Payload) -> impl Future<Output = Result<Self, ApiError>>;
}

/// A JSON body.
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

/// The query string.
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
        if !is_of_type(request, "application/x-www-form-urlencoded") {
            return Err(ApiError::UnsupportedMediaType);
        }
        let bytes = collect(request, payload).await?;
        let text = std::str::from_utf8(&bytes).map_err(|_| ApiError::Malformed("The form is not UTF-8.".to_owned()))?;
        parse_query(text).map(Self)
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

/// The message without the place, which is given as a pointer, and without the value, which may be a password.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    match text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: ")) {
        Some(rest) => match rest.rsplit_once(", expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None => "does not fit".to_owned(),
        },
        None => text.to_owned(),
    }
}

pub(super) fn parse_query<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    let deserializer = serde_urlencoded::Deserializer::new(form_pairs(text));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        ApiError::invalid(&pointer(&path), error.into_inner())
    })
}

/// Reads members of which each may be repeated.
pub(super) fn parse_pairs<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(object_of(pairs)).map_err(|error| {
        let path = error.path().to_string();
        ApiError::invalid(&pointer(&path), plain(&error.into_inner()))
    })
}

fn form_pairs(text: &str) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(text.as_bytes())
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
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Shape {
        username: String,
        limit: Option<u32>,
    }

    fn fault(text: &str) -> (String, String) {
        match parse::<Shape>(text.as_bytes()) {
            Err(ApiError::Invalid(errors)) => (errors[0].pointer.clone(), errors[0].message.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_fault_names_its_place_and_repeats_no_value() {
        let (pointer, message) = fault(r#"{"username": 4711}"#);
        assert_eq!((pointer.as_str(), message.as_str()), ("/username", "expected a string"));
        let (pointer, message) = fault(r#"{"username": "a", "limit": "s3cret"}"#);
        assert_eq!(pointer, "/limit");
        assert!(!message.contains("s3cret"), "{message}");
        assert!(fault(r#"{"username": "a", "usrname": "b"}"#).1.contains("usrname"));
        assert!(fault(r#"{"username": "a", "username": "b"}"#).1.contains("duplicate"));
        assert!(fault("{}").1.contains("username"));
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
