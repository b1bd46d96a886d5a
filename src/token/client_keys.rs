//! The public keys of a client, by which its assertions are verified (RFC 7517, RFC 7523). They are registered once, as text.

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use serde_json::{Map, Value};

use super::compact::read_object;
use super::keys::choose_cryptography;
use crate::model::words;

/// Longest set, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;
/// Most keys of a set.
const MOST_KEYS: usize = 10;
/// Longest `kid`, in characters.
const MAX_KEY_ID_LENGTH: usize = 128;
/// The least strength of an RSA key, in bits (RFC 7518 §3.3).
const MIN_RSA_BITS: usize = 2048;
/// Members that hold a secret: of private keys (RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2) and of shared ones (§6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

words! {
    /// How clients may sign: with a key of their own, never with a shared secret.
    pub enum ClientAlgorithm {
        /// ECDSA with P-256 and SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
        /// RSASSA-PKCS1-v1_5 with SHA-256.
        Rs256 = "RS256",
        /// RSASSA-PSS with SHA-256.
        Ps256 = "PS256",
    }
}

impl From<ClientAlgorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: ClientAlgorithm) -> Self {
        match algorithm {
            ClientAlgorithm::Es256 => Self::ES256,
            ClientAlgorithm::EdDsa => Self::EdDSA,
            ClientAlgorithm::Rs256 => Self::RS256,
            ClientAlgorithm::Ps256 => Self::PS256,
        }
    }
}

/// What kind a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    P256,
    Ed25519,
    Rsa,
}

impl Family {
    const fn signs_with(self, algorithm: ClientAlgorithm) -> bool {
        matches!(
            (self, algorithm),
            (Self::P256, ClientAlgorithm::Es256)
                | (Self::Ed25519, ClientAlgorithm::EdDsa)
                | (Self::Rsa, ClientAlgorithm::Rs256 | ClientAlgorithm::Ps256)
        )
    }
}

/// One public key.
struct ClientKey {
    id: Option<String>,
    family: Family,
    /// The one algorithm it is for, where it says so.
    algorithm: Option<ClientAlgorithm>,
    decoding: DecodingKey,
}

/// The public keys of a client.
pub struct ClientKeys {
    text: String,
    keys: Vec<ClientKey>,
}

/// The text is no set of public keys for a client; each says what belongs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClientKeys {
    /// It is too long.
    #[error("at most 16 KiB")]
    TooLong,
    /// It is no JWK set.
    #[error("a JWK set: an object with a list of 1 to 10 `keys`, no member twice")]
    NotASet,
    /// A key holds a secret.
    #[error("public keys only: a member of a private or shared key is in it; treat that key as lost")]
    Private,
    /// A key is of another kind.
    #[error("keys for signatures: `EC` with `P-256`, `OKP` with `Ed25519`, or `RSA` of at least 2048 bits")]
    Unusable,
    /// Two keys have one name.
    #[error("each `kid` once, of at most 128 characters")]
    KeyIds,
}

impl ClientKeys {
    /// Reads a JWK set (RFC 7517 §5) of public keys.
    pub fn parse(text: &str) -> Result<Self, InvalidClientKeys> {
        choose_cryptography();
        if text.len() > MAX_LENGTH {
            return Err(InvalidClientKeys::TooLong);
        }
        let set = read_object(text.as_bytes()).map_err(|_| InvalidClientKeys::NotASet)?;
        let members = set.get("keys").and_then(Value::as_array).ok_or(InvalidClientKeys::NotASet)?;
        if !(1..=MOST_KEYS).contains(&members.len()) {
            return Err(InvalidClientKeys::NotASet);
        }
        let keys = members.iter().map(client_key).collect::<Result<Vec<_>, _>>()?;
        let is_named_twice =
            |place: usize| keys[place].id.is_some() && keys[..place].iter().any(|key| key.id == keys[place].id);
        if (0..keys.len()).any(is_named_twice) {
            return Err(InvalidClientKeys::KeyIds);
        }
        Ok(Self { text: Value::Object(set).to_string(), keys })
    }

    /// How many keys there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The set as text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// Whether one of the keys, the named one where one is named, made `signature` (base64url) over `message`.
    #[must_use]
    pub(super) fn verify(
        &self,
        key_id: Option<&str>,
        algorithm: ClientAlgorithm,
        message: &str,
        signature: &str,
    ) -> bool {
        let is_meant = |key: &&ClientKey| {
            key_id.is_none_or(|id| key.id.as_deref() == Some(id))
                && key.family.signs_with(algorithm)
                && key.algorithm.is_none_or(|own| own == algorithm)
        };
        let verifies = |key: &ClientKey| {
            let answer = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.decoding, algorithm.into());
            matches!(answer, Ok(true))
        };
        self.keys.iter().filter(is_meant).any(verifies)
    }
}

impl std::fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientKeys({})", self.keys.len())
    }
}

fn client_key(value: &Value) -> Result<ClientKey, InvalidClientKeys> {
    let members = value.as_object().ok_or(InvalidClientKeys::NotASet)?;
    if PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) {
        return Err(InvalidClientKeys::Private);
    }
    let family = family(members).ok_or(InvalidClientKeys::Unusable)?;
    let algorithm = match text(members, "alg")? {
        Some(name) => Some(name.parse::<ClientAlgorithm>().map_err(|_| InvalidClientKeys::Unusable)?),
        None => None,
    };
    let fits = algorithm.is_none_or(|algorithm| family.signs_with(algorithm));
    if !fits || text(members, "use")?.is_some_and(|usage| usage != "sig") {
        return Err(InvalidClientKeys::Unusable);
    }
    let id = text(members, "kid")?.map(str::to_owned);
    if id.as_ref().is_some_and(|id| id.is_empty() || id.chars().count() > MAX_KEY_ID_LENGTH) {
        return Err(InvalidClientKeys::KeyIds);
    }
    Ok(ClientKey { id, family, algorithm, decoding: decoding(members)? })
}

fn family(members: &Map<String, Value>) -> Option<Family> {
    let member = |name| members.get(name).and_then(Value::as_str);
    match (member("kty")?, member("crv")) {
        ("EC", Some("P-256")) => Some(Family::P256),
        ("OKP", Some("Ed25519")) => Some(Family::Ed25519),
        ("RSA", None) => Some(Family::Rsa).filter(|_| member("n").is_some_and(is_strong)),
        _ => None,
    }
}

fn is_strong(modulus: &str) -> bool {
    use base64::Engine as _;
    let Ok(modulus) = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(modulus) else { return false };
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    modulus.len() * 8 - leading_zeros >= MIN_RSA_BITS
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, InvalidClientKeys> {
    let Some(value) = members.get(name) else { return Ok(None) };
    value.as_str().map(Some).ok_or(InvalidClientKeys::NotASet)
}

/// Only the members that make the key, so that no other can keep it from being read.
fn decoding(members: &Map<String, Value>) -> Result<DecodingKey, InvalidClientKeys> {
    let parts = ["kty", "crv", "x", "y", "n", "e"];
    let parts = parts.iter().filter_map(|name| Some(((*name).to_owned(), members.get(*name)?.clone())));
    let jwk: Jwk = serde_json::from_value(Value::Object(parts.collect())).map_err(|_| InvalidClientKeys::Unusable)?;
    DecodingKey::from_jwk(&jwk).map_err(|_| InvalidClientKeys::Unusable)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::config::Algorithm;
    use crate::token::support::key;

    fn set(keys: &[Value]) -> Result<ClientKeys, InvalidClientKeys> {
        ClientKeys::parse(&json!({ "keys": keys }).to_string())
    }

    fn jwk(algorithm: Algorithm) -> Value {
        key(algorithm).public_jwk().unwrap().clone()
    }

    fn with(mut jwk: Value, member: &str, value: Value) -> Value {
        jwk[member] = value;
        jwk
    }

    #[rstest]
    #[case(Algorithm::Es256, ClientAlgorithm::Es256)]
    #[case(Algorithm::EdDsa, ClientAlgorithm::EdDsa)]
    #[case(Algorithm::Rs256, ClientAlgorithm::Rs256)]
    fn a_registered_key_verifies_what_its_owner_signs(#[case] algorithm: Algorithm, #[case] own: ClientAlgorithm) {
        let (signer, keys) = (key(algorithm), set(&[jwk(algorithm)]).unwrap());
        let signature = jsonwebtoken::crypto::sign(b"x", signer.encoding_key(), algorithm.into()).unwrap();
        assert!(keys.verify(Some(signer.id().as_str()), own, "x", &signature));
        assert!(keys.verify(None, own, "x", &signature));
        assert!(!keys.verify(Some("another"), own, "x", &signature));
        assert!(!keys.verify(None, own, "y", &signature));
        for other in ClientAlgorithm::ALL.iter().filter(|other| **other != own) {
            assert!(!keys.verify(None, *other, "x", &signature), "{other}");
        }
    }

    #[test]
    fn what_is_private_or_shared_is_refused() {
        for member in PRIVATE_MEMBERS {
            let found = set(&[with(jwk(Algorithm::Es256), member, json!("AQAB"))]).err();
            assert_eq!(found, Some(InvalidClientKeys::Private), "{member}");
        }
        assert_eq!(set(&[json!({ "kty": "oct", "k": "c2VjcmV0" })]).err(), Some(InvalidClientKeys::Private));
    }

    #[test]
    fn what_is_no_set_of_such_keys_is_refused() {
        let es256 = || jwk(Algorithm::Es256);
        for (keys, expected) in [
            (vec![], InvalidClientKeys::NotASet),
            (vec![json!("x")], InvalidClientKeys::NotASet),
            (vec![es256(), es256()], InvalidClientKeys::KeyIds),
            (vec![with(es256(), "kid", json!("x".repeat(129)))], InvalidClientKeys::KeyIds),
            (vec![with(es256(), "alg", json!("HS256"))], InvalidClientKeys::Unusable),
            (vec![with(es256(), "alg", json!("RS256"))], InvalidClientKeys::Unusable),
            (vec![with(es256(), "use", json!("enc"))], InvalidClientKeys::Unusable),
            (vec![with(es256(), "crv", json!("P-384"))], InvalidClientKeys::Unusable),
            (vec![with(jwk(Algorithm::Rs256), "n", json!("AQAB"))], InvalidClientKeys::Unusable),
        ] {
            assert_eq!(set(&keys).err(), Some(expected), "{keys:?}");
        }
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
            assert_eq!(ClientKeys::parse(text).err(), Some(InvalidClientKeys::NotASet), "{text}");
        }
        assert_eq!(ClientKeys::parse(&" ".repeat(MAX_LENGTH + 1)).err(), Some(InvalidClientKeys::TooLong));
    }
}
