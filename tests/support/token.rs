//! Access tokens taken apart, and forged with the real key: what an attacker who had it could write.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::Value;
use vigie::token::keys::SigningKey;

use super::app::TestClient;

/// The header of a token.
pub fn header(token: &str) -> Value {
    part(token, 0)
}

/// The claims of a token.
pub fn claims(token: &str) -> Value {
    part(token, 1)
}

fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// Writes tokens like a real one, signed with the real ES256 key, with anything changed.
#[derive(Clone)]
pub struct Forger {
    pub key: Arc<SigningKey>,
    pub header: Value,
    pub claims: Value,
}

impl Forger {
    /// A forger who has the key that signs now and has seen this client's token.
    pub async fn of(client: &TestClient<'_>) -> Self {
        let key = client.app.app.sessions.signing().current().await.expect("a key signs");
        Self { key, header: header(client.token()), claims: claims(client.token()) }
    }

    /// The token with one header member set.
    pub fn with_header(&self, name: &str, value: impl Into<Value>) -> String {
        self.sign(&with(&self.header, name, value).to_string(), &self.claims.to_string())
    }

    /// The token without one header member.
    pub fn without_header(&self, name: &str) -> String {
        self.sign(&without(&self.header, name).to_string(), &self.claims.to_string())
    }

    /// The token with one claim set.
    pub fn with_claim(&self, name: &str, value: impl Into<Value>) -> String {
        self.sign(&self.header.to_string(), &with(&self.claims, name, value).to_string())
    }

    /// The token without one claim.
    pub fn without_claim(&self, name: &str) -> String {
        self.sign(&self.header.to_string(), &without(&self.claims, name).to_string())
    }

    /// The token with nothing changed.
    pub fn faithful(&self) -> String {
        self.sign(&self.header.to_string(), &self.claims.to_string())
    }

    /// A token of this header and payload, signed with the real key.
    pub fn sign(&self, header: &str, payload: &str) -> String {
        self.sign_parts(&URL_SAFE_NO_PAD.encode(header), &URL_SAFE_NO_PAD.encode(payload))
    }

    /// A token of these two parts, written as they are.
    pub fn sign_parts(&self, header: &str, payload: &str) -> String {
        let message = format!("{header}.{payload}");
        let key = EncodingKey::from_ec_der(self.key.secret_bytes());
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::ES256).expect("it signs");
        format!("{message}.{signature}")
    }

    /// A token of this header and these claims, signed with a shared secret.
    pub fn sign_with_secret(&self, header: &Value, secret: &[u8]) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(&self.claims));
        let key = EncodingKey::from_secret(secret);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("it signs");
        format!("{message}.{signature}")
    }
}

/// The object with one member set.
pub fn with(object: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut changed = object.clone();
    changed[name] = value.into();
    changed
}

/// The object without one member.
pub fn without(object: &Value, name: &str) -> Value {
    let mut changed = object.clone();
    changed.as_object_mut().expect("an object").remove(name).expect("a member that was there");
    changed
}
