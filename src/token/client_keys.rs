//! The public keys of a client, by which its assertions are verified (RFC 7517, RFC 7523). They are registered once, as text.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::VerifyingKey;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use serde_json::{Map, Value, json};

use super::compact::read_object;
use super::keys::choose_cryptography;
use crate::model::words;

/// Longest set, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;
/// Most keys of a set.
const MOST_KEYS: usize = 10;
/// Longest `kid`, in characters.
const MAX_KEY_ID_LENGTH: usize = 128;
/// The strength of an RSA key, in bits: at least (RFC 7518 §3.3), and what is not too slow to verify.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// Longest exponent of an RSA key, in bytes; nearly all have 65537.
const MAX_EXPONENT_LENGTH: usize = 4;
/// Members of a key that are kept and shown: all others are left out.
const PUBLIC_MEMBERS: [&str; 9] = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];
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

/// A public key of a client's JWK set.
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
    #[error(
        "keys for signatures: `EC` with `P-256`, `OKP` with `Ed25519`, or `RSA` of 2048 to 8192 bits, none of them weak"
    )]
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
        if holds_secret(&set) {
            return Err(InvalidClientKeys::Private);
        }
        let keys = members.iter().map(client_key).collect::<Result<Vec<_>, _>>()?;
        let is_named_twice =
            |place: usize| keys[place].id.is_some() && keys[..place].iter().any(|key| key.id == keys[place].id);
        if (0..keys.len()).any(is_named_twice) {
            return Err(InvalidClientKeys::KeyIds);
        }
        let shown: Vec<Value> = members.iter().map(public_members).collect();
        Ok(Self { text: json!({ "keys": shown }).to_string(), keys })
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
    if holds_secret(members) {
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

fn holds_secret(members: &Map<String, Value>) -> bool {
    PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name))
}

fn public_members(key: &Value) -> Value {
    let member = |name: &&str| Some(((*name).to_owned(), key.get(*name)?.clone()));
    Value::Object(PUBLIC_MEMBERS.iter().filter_map(member).collect())
}

/// Of which kind a key is that is strong; `None` where it is of another, or none.
fn family(members: &Map<String, Value>) -> Option<Family> {
    let member = |name| members.get(name).and_then(Value::as_str);
    let bytes = |name| URL_SAFE_NO_PAD.decode(member(name)?).ok();
    match (member("kty")?, member("crv")) {
        ("EC", Some("P-256")) => is_on_curve(&bytes("x")?, &bytes("y")?).then_some(Family::P256),
        ("OKP", Some("Ed25519")) => is_strong_point(&bytes("x")?).then_some(Family::Ed25519),
        ("RSA", None) => is_strong_rsa(&bytes("n")?, &bytes("e")?).then_some(Family::Rsa),
        _ => None,
    }
}

fn is_on_curve(x: &[u8], y: &[u8]) -> bool {
    // SEC 1 §2.3.3: both coordinates, behind a byte that says so.
    let point = [&[4], x, y].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).is_ok()
}

/// A point of small order verifies what nobody signed.
fn is_strong_point(point: &[u8]) -> bool {
    let point = point.try_into().ok().and_then(|point| VerifyingKey::from_bytes(point).ok());
    point.is_some_and(|point| !point.is_weak())
}

/// RFC 8017 §3.1: both are odd, and an exponent of 1 signs nothing.
fn is_strong_rsa(modulus: &[u8], exponent: &[u8]) -> bool {
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let is_usual = exponent.len() <= MAX_EXPONENT_LENGTH && exponent != [1] && exponent.first() != Some(&0);
    RSA_BITS.contains(&(modulus.len() * 8 - leading_zeros)) && is_odd(modulus) && is_odd(exponent) && is_usual
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
        let beside = json!({ "keys": [jwk(Algorithm::Es256)], "d": "AQAB" }).to_string();
        assert_eq!(ClientKeys::parse(&beside).err(), Some(InvalidClientKeys::Private));
    }

    #[test]
    fn only_public_members_are_kept() {
        let (own, secret) = (jwk(Algorithm::Es256), json!("vgr_secret"));
        let text =
            json!({ "keys": [with(with(own.clone(), "D", secret.clone()), "zzz", secret.clone())], "zzz": secret });
        let kept = ClientKeys::parse(&text.to_string()).unwrap().into_text();
        assert_eq!(serde_json::from_str::<Value>(&kept).unwrap(), json!({ "keys": [own] }));
    }

    /// The points of order 1, 2, 4 and 8, and another writing of one: somebody without a key signs for them.
    #[test]
    fn a_weak_key_is_refused() {
        let point = |hex: &str| -> Value {
            let byte = |place: usize| u8::from_str_radix(&hex[place..place + 2], 16).unwrap();
            json!(URL_SAFE_NO_PAD.encode((0..32).map(|place| byte(2 * place)).collect::<Vec<_>>()))
        };
        for hex in [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            let weak = with(jwk(Algorithm::EdDsa), "x", point(hex));
            assert_eq!(set(&[weak]).err(), Some(InvalidClientKeys::Unusable), "{hex}");
        }
        let rsa = || jwk(Algorithm::Rs256);
        for (name, bytes) in
            [("e", vec![1]), ("e", vec![2]), ("e", vec![1; 5]), ("n", vec![0xff; 1025]), ("n", vec![0xfe; 384])]
        {
            let weak = with(rsa(), name, json!(URL_SAFE_NO_PAD.encode(&bytes)));
            assert_eq!(set(&[weak]).err(), Some(InvalidClientKeys::Unusable), "{name} {bytes:?}");
        }
        let elsewhere = with(jwk(Algorithm::Es256), "x", json!(URL_SAFE_NO_PAD.encode([1; 32])));
        assert_eq!(set(&[elsewhere]).err(), Some(InvalidClientKeys::Unusable));
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
