//! What a client signs to show who it is (RFC 7523 §3, with draft-ietf-oauth-rfc7523bis): for us alone, once, within minutes.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::client_keys::{ClientAlgorithm, ClientKeys};
use super::compact::{CompactToken, read_object};

/// How far away `exp` may be, from now and from `iat` and `nbf`.
pub const LONGEST_LIFE: TimeDelta = TimeDelta::minutes(5);
/// Longest `jti`, in characters.
const MAX_ID_LENGTH: usize = 256;

/// Why an assertion is not believed. The client is told less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionRefusal {
    /// Not the form of a signed token, or a claim is missing or of another type.
    #[error("malformed")]
    Malformed,
    /// The header says what is not for a client: another algorithm or kind of token.
    #[error("header")]
    Header,
    /// Not signed by a key of the client.
    #[error("signature")]
    Signature,
    /// `iss` and `sub` are not both the client.
    #[error("subject")]
    Subject,
    /// `aud` is not our issuer, as one text.
    #[error("audience")]
    Audience,
    /// Past its time, from the future, or good for too long.
    #[error("times")]
    Times,
}

/// What makes an assertion of a client single.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// `jti`: the id of the assertion, which the client uses once (RFC 7519 §4.1.7).
    pub id: String,
    /// `exp`: it counts no more from here on, so its id need not be remembered either.
    pub expires_at: DateTime<Utc>,
}

/// What an assertion must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// What `iss` and `sub` must be: the id of the client (RFC 7523 §3).
    pub client_id: &'a str,
    /// What `aud` must be: the issuer of this server, and nobody else.
    pub issuer: &'a str,
    /// How far in the future `iat` and `nbf` may lie.
    pub tolerance: Duration,
    /// The time of day at which it is judged.
    pub now: DateTime<Utc>,
}

/// Whose assertion it says it is. Nothing of it is believed yet.
#[must_use]
pub fn claimed_client(text: &str) -> Option<String> {
    let token = CompactToken::split(text).ok()?;
    let payload = read_object(&token.payload).ok()?;
    payload.get("sub")?.as_str().map(str::to_owned)
}

/// Reads an assertion that one of these keys signed. Whether it was used before is not known here.
pub fn verify(text: &str, keys: &ClientKeys, expected: &Expected<'_>) -> Result<Assertion, AssertionRefusal> {
    let token = CompactToken::split(text).map_err(|_| AssertionRefusal::Malformed)?;
    let (algorithm, key_id) = signer(&token.header)?;
    if !keys.verify(key_id, algorithm, token.signed, token.signature) {
        return Err(AssertionRefusal::Signature);
    }
    let claims = read_object(&token.payload).map_err(|_| AssertionRefusal::Malformed)?;
    let names_client = |claim| claims.get(claim).and_then(Value::as_str) == Some(expected.client_id);
    if !names_client("iss") || !names_client("sub") {
        return Err(AssertionRefusal::Subject);
    }
    // A list could name others, who could then show it here (audience injection).
    if claims.get("aud").and_then(Value::as_str) != Some(expected.issuer) {
        return Err(AssertionRefusal::Audience);
    }
    let expires_at = in_time(&claims, expected)?;
    let id = claims.get("jti").and_then(Value::as_str).filter(|id| (1..=MAX_ID_LENGTH).contains(&id.chars().count()));
    Ok(Assertion { id: id.ok_or(AssertionRefusal::Malformed)?.to_owned(), expires_at })
}

/// With what, and by which key, a token with this header was signed.
fn signer(header: &Map<String, Value>) -> Result<(ClientAlgorithm, Option<&str>), AssertionRefusal> {
    let member = |name: &str| match header.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(AssertionRefusal::Header),
    };
    let is_ours = |kind: &str| {
        let kind = kind.to_ascii_lowercase();
        matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "client-authentication+jwt")
    };
    if header.contains_key("crit") || !member("typ")?.is_none_or(is_ours) {
        return Err(AssertionRefusal::Header);
    }
    let algorithm =
        member("alg")?.and_then(|name| name.parse::<ClientAlgorithm>().ok()).ok_or(AssertionRefusal::Header)?;
    Ok((algorithm, member("kid")?))
}

/// `exp`, if it lies in the next minutes, and `iat` and `nbf` not in the future.
fn in_time(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<DateTime<Utc>, AssertionRefusal> {
    let expires_at = time(claims, "exp")?.ok_or(AssertionRefusal::Malformed)?;
    let tolerated = expected.now + expected.tolerance;
    let is_ahead = |time: Option<DateTime<Utc>>| time.is_some_and(|time| time > tolerated);
    let (issued_at, not_before) = (time(claims, "iat")?, time(claims, "nbf")?);
    // One that was made in advance would be good for longer than minutes.
    let is_long = [issued_at, not_before].into_iter().flatten().any(|begin| expires_at - begin > LONGEST_LIFE);
    let begins_later = is_ahead(issued_at) || is_ahead(not_before);
    if is_long || begins_later || expires_at <= expected.now || expires_at > expected.now + LONGEST_LIFE {
        return Err(AssertionRefusal::Times);
    }
    Ok(expires_at)
}

/// A claim in seconds since 1970, perhaps with a fraction (RFC 7519 §2, `NumericDate`).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<DateTime<Utc>>, AssertionRefusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=253_402_300_799.0).contains(seconds));
    let seconds = seconds.ok_or(AssertionRefusal::Malformed)?;
    #[expect(clippy::cast_possible_truncation, reason = "the bounds are those of the calendar")]
    let millis = (seconds * 1000.0) as i64;
    DateTime::from_timestamp_millis(millis).map(Some).ok_or(AssertionRefusal::Malformed)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::config::Algorithm;
    use crate::token::support::{key, signed};

    const ISSUER: &str = "https://vigie.example";

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn keys() -> ClientKeys {
        ClientKeys::parse(&json!({ "keys": [key(Algorithm::Es256).public_jwk().unwrap()] }).to_string()).unwrap()
    }

    fn header() -> Value {
        json!({ "alg": "ES256", "kid": key(Algorithm::Es256).id().as_str(), "typ": "JWT" })
    }

    fn claims() -> Value {
        json!({ "iss": "crm", "sub": "crm", "aud": ISSUER, "jti": "one", "exp": 1_800_000_300, "iat": 1_800_000_000 })
    }

    fn judge(header: &Value, claims: &Value) -> Result<Assertion, AssertionRefusal> {
        let text = signed(key(Algorithm::Es256), header.to_string(), claims.to_string());
        let tolerance = Duration::from_secs(10);
        verify(&text, &keys(), &Expected { client_id: "crm", issuer: ISSUER, tolerance, now: now() })
    }

    /// The object with other members; null takes one away.
    fn with(mut object: Value, others: &Value) -> Value {
        for (name, value) in others.as_object().unwrap() {
            object[name] = value.clone();
        }
        object.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        object
    }

    #[test]
    fn an_assertion_for_us_is_believed() {
        let expected = Assertion { id: "one".to_owned(), expires_at: now() + LONGEST_LIFE };
        assert_eq!(judge(&header(), &claims()), Ok(expected));
        for typ in [json!(null), json!("client-authentication+jwt"), json!("application/client-authentication+jwt")] {
            assert!(judge(&with(header(), &json!({ "typ": typ })), &claims()).is_ok(), "{typ}");
        }
        assert!(judge(&with(header(), &json!({ "kid": null })), &claims()).is_ok());
        assert!(judge(&header(), &with(claims(), &json!({ "exp": 1_800_000_000.5, "iat": null }))).is_ok());
    }

    #[rstest]
    #[case(json!({ "iss": "erp" }), AssertionRefusal::Subject)]
    #[case(json!({ "sub": "erp" }), AssertionRefusal::Subject)]
    #[case(json!({ "iss": null }), AssertionRefusal::Subject)]
    #[case(json!({ "aud": [ISSUER] }), AssertionRefusal::Audience)]
    #[case(json!({ "aud": [ISSUER, "https://other.example"] }), AssertionRefusal::Audience)]
    #[case(json!({ "aud": "https://vigie.example/" }), AssertionRefusal::Audience)]
    #[case(json!({ "aud": "https://vigie.example/oauth/introspect" }), AssertionRefusal::Audience)]
    #[case(json!({ "aud": null }), AssertionRefusal::Audience)]
    #[case(json!({ "exp": null }), AssertionRefusal::Malformed)]
    #[case(json!({ "exp": "soon" }), AssertionRefusal::Malformed)]
    #[case(json!({ "exp": 1_800_000_000 }), AssertionRefusal::Times)]
    #[case(json!({ "exp": 1_800_000_301 }), AssertionRefusal::Times)]
    #[case(json!({ "iat": 1_800_000_011 }), AssertionRefusal::Times)]
    #[case(json!({ "nbf": 1_800_000_011 }), AssertionRefusal::Times)]
    #[case(json!({ "iat": 1_799_999_999 }), AssertionRefusal::Times)]
    #[case(json!({ "nbf": 1_799_999_999 }), AssertionRefusal::Times)]
    #[case(json!({ "jti": null }), AssertionRefusal::Malformed)]
    #[case(json!({ "jti": "" }), AssertionRefusal::Malformed)]
    #[case(json!({ "jti": "x".repeat(257) }), AssertionRefusal::Malformed)]
    fn tok_15_an_assertion_that_says_anything_else_is_refused(
        #[case] change: Value,
        #[case] expected: AssertionRefusal,
    ) {
        assert_eq!(judge(&header(), &with(claims(), &change)), Err(expected), "{change}");
    }

    #[rstest]
    #[case(json!({ "alg": "none" }))]
    #[case(json!({ "alg": "HS256" }))]
    #[case(json!({ "alg": "ES384" }))]
    #[case(json!({ "typ": "at+jwt" }))]
    #[case(json!({ "crit": ["b64"], "b64": false }))]
    #[case(json!({ "kid": 1 }))]
    fn a_header_that_is_not_for_this_is_refused(#[case] change: Value) {
        assert_eq!(judge(&with(header(), &change), &claims()), Err(AssertionRefusal::Header), "{change}");
    }

    #[test]
    fn another_key_of_the_same_kind_is_refused() {
        let stranger = crate::token::keys::SigningKey::generate(Algorithm::Es256).unwrap();
        let text = signed(&stranger, header().to_string(), claims().to_string());
        let expected = Expected { client_id: "crm", issuer: ISSUER, tolerance: Duration::ZERO, now: now() };
        assert_eq!(verify(&text, &keys(), &expected), Err(AssertionRefusal::Signature));
        assert_eq!(claimed_client(&text).as_deref(), Some("crm"));
    }
}
