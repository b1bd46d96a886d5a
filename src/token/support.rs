//! What the tests of this folder share: keys made once, a token's claims, and tokens that say anything.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::claims::AccessClaims;
use super::keys::{SigningKey, VerificationKeySet};
use crate::config::Algorithm;
use crate::model::id::{SessionId, TokenId, UserId};

/// The key of an algorithm, made once: RSA takes its time.
pub fn key(algorithm: Algorithm) -> &'static SigningKey {
    static ES256: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());
    static EDDSA: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::EdDsa).unwrap());
    static RS256: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Rs256).unwrap());
    static HS256: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Hs256).unwrap());
    match algorithm {
        Algorithm::Es256 => &ES256,
        Algorithm::EdDsa => &EDDSA,
        Algorithm::Rs256 => &RS256,
        Algorithm::Hs256 => &HS256,
    }
}

/// The keys of these algorithms, as a set that verifies.
pub fn key_set(algorithms: &[Algorithm]) -> VerificationKeySet {
    algorithms.iter().map(|algorithm| key(*algorithm).verifying()).collect()
}

/// The moment so many seconds after 1970 began.
pub fn second(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// Issued at second 1 800 000 000, for ten minutes.
pub fn sample_claims() -> AccessClaims {
    let now = second(1_800_000_000);
    AccessClaims {
        issuer: "https://vigie.example".into(),
        audience: "vigie".into(),
        subject: UserId::new(now),
        client_id: "agenda".into(),
        claimed_client_id: None,
        session_id: SessionId::new(now),
        token_id: TokenId::new(now),
        issued_at: now,
        expires_at: second(1_800_000_600),
        not_before: None,
        authenticated_at: second(1_799_999_000),
        methods: vec!["pwd".into()],
        role: "agent".into(),
        generation: 3,
    }
}

/// Header and payload of a token.
pub fn decoded(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut json = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (json(), json())
}

/// A token with a good signature over any header and payload.
pub fn signed(key: &SigningKey, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let algorithm = key.algorithm().into();
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key.encoding_key(), algorithm).unwrap();
    format!("{message}.{signature}")
}
