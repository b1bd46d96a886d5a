//! The name of a request, by which its answer, its log lines and its audit events are found together.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use uuid::fmt::Hyphenated;

use crate::model::id::RequestId;

/// Carries the id of the request, in and out.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const MAX_LENGTH: usize = 64;

/// The id of a request: a UUID, or 1 to 64 characters of `[A-Za-z0-9._-]` that a trusted proxy chose.
/// An extractor, once `middleware::wrap` is in place.
// Kept as a header value: one allocation serves the handler, the log and the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestIdentity(HeaderValue);

impl RequestIdentity {
    /// A new id (UUID version 7).
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        let mut buffer = [0; Hyphenated::LENGTH];
        let text = RequestId::new(now).0.as_hyphenated().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).expect("a UUID is visible ASCII"))
    }

    /// The id that a trusted proxy gave, if it gave exactly one and it is well formed.
    pub(super) fn inbound(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(X_REQUEST_ID);
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let fits = (1..=MAX_LENGTH).contains(&line.len()) && line.as_bytes().iter().all(|byte| is_allowed(*byte));
        fits.then(|| Self(line.clone()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("checked to be visible ASCII when it was made")
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbound(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        RequestIdentity::inbound(&headers).map(|identity| identity.as_str().to_owned())
    }

    #[test]
    fn a_new_id_is_a_uuid() {
        let identity = RequestIdentity::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        assert!(identity.as_str().parse::<RequestId>().is_ok_and(|id| id.0.get_version_num() == 7));
    }

    #[test]
    fn a_well_formed_id_is_taken_over() {
        assert_eq!(inbound(&["aZ-0_9.b"]).as_deref(), Some("aZ-0_9.b"));
        assert_eq!(inbound(&[&"x".repeat(64)]), Some("x".repeat(64)));
    }

    #[test]
    fn any_other_is_not() {
        for lines in [&[][..], &[""], &["a b"], &["a\u{e9}"], &["<script>"], &["a\tb"], &["a", "b"]] {
            assert_eq!(inbound(lines), None, "{lines:?}");
        }
        assert_eq!(inbound(&[&"x".repeat(65)]), None);
    }
}
