//! What a client signs to show who it is (RFC 7523), for tests and benchmarks alike.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use vigie::config::Algorithm;
use vigie::token::keys::SigningKey;

/// The value of `client_assertion_type`.
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The claims of an assertion that is good.
pub fn assertion_claims(client: &str, id: &str, now: DateTime<Utc>) -> Value {
    let now = now.timestamp();
    json!({ "iss": client, "sub": client, "aud": "http://127.0.0.1:8080", "jti": id, "iat": now, "exp": now + 60 })
}

/// An assertion that says this, signed with an ES256 key.
pub fn assertion(key: &SigningKey, claims: &Value) -> String {
    assert_eq!(key.algorithm(), Algorithm::Es256);
    let header = json!({ "alg": "ES256", "kid": key.id().as_str(), "typ": "client-authentication+jwt" });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encode(&header), encode(claims));
    let encoding = EncodingKey::from_ec_der(key.secret_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &encoding, jsonwebtoken::Algorithm::ES256);
    format!("{message}.{}", signature.expect("it signs"))
}
