//! The keys that sign and verify tokens. One key has one algorithm and one use (JWT-02).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::config::Algorithm;
use crate::key::sha256;

/// The least strength of a key, in bits (KEY-02).
const MIN_RSA_BITS: usize = 3072;
const MIN_SECRET_BITS: usize = 256;

/// Names a key for ever: the header member `kid`.
///
/// The RFC 7638 thumbprint of a public key. A shared secret has none that may be shown; its name is `hs-` and part of
/// a digest, which tells a guesser no more than any token signed with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of_public(jwk: &Jwk, algorithm: Algorithm) -> Result<Self, KeyError> {
        jwk.thumbprint(ThumbprintHash::SHA256).map(Self).map_err(|_| KeyError::Unusable(algorithm))
    }

    fn of_secret(secret: &[u8]) -> Self {
        let digest = sha256(&[b"vigie: name of an HS256 key\0", secret]);
        Self(format!("hs-{}", &URL_SAFE_NO_PAD.encode(digest)[..22]))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key cannot be made or used. Says nothing of the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The cryptography library could not make one.
    #[error("a key for {0} could not be generated")]
    CannotGenerate(Algorithm),
    /// The bytes are no private key for this algorithm.
    #[error("not a private key for {0} (PKCS#8, DER)")]
    Unusable(Algorithm),
    /// The key is easier to guess than we accept (KEY-02).
    #[error("the key for {algorithm} is too weak: it has {bits} bits and needs {least}")]
    TooWeak {
        /// What it is for.
        algorithm: Algorithm,
        /// Length of its modulus, in bits.
        bits: usize,
        /// The length it needs.
        least: usize,
    },
    /// The cryptography library could not sign.
    #[error("the token could not be signed with {0}")]
    CannotSign(Algorithm),
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::ES256,
            Algorithm::EdDsa => Self::EdDSA,
            Algorithm::Rs256 => Self::RS256,
            Algorithm::Hs256 => Self::HS256,
        }
    }
}

/// A key pair or shared secret that signs. `Debug` shows only its name.
pub struct SigningKey {
    secret: Zeroizing<Vec<u8>>,
    encoding: EncodingKey,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// A new key: P-256, Ed25519, RSA of 3072 bits, or 256 random bits.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let secret = random_secret(algorithm).map_err(|_| KeyError::CannotGenerate(algorithm))?;
        Self::from_secret_bytes(algorithm, &secret)
    }

    /// Reads the private form: PKCS#8 (version 1) in DER, or for HS256 the secret itself. A weak key is refused.
    pub fn from_secret_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        choose_cryptography();
        let encoding = encoding_key(algorithm, bytes)?;
        let verifying = match algorithm {
            Algorithm::Hs256 => VerifyingKey::shared(bytes),
            _ => VerifyingKey::public(&encoding, algorithm)?,
        };
        let key = Self { secret: Zeroizing::new(bytes.to_vec()), encoding, verifying };
        if key.signs() { Ok(key) } else { Err(KeyError::Unusable(algorithm)) }
    }

    /// Whether it verifies what it signs. Above all, the first signature of a process gathers entropy for 30 ms: better here,
    /// as a rule at the start, than in the first login.
    fn signs(&self) -> bool {
        const MESSAGE: &str = "Vigie";
        let signature = jsonwebtoken::crypto::sign(MESSAGE.as_bytes(), &self.encoding, self.algorithm().into());
        signature.is_ok_and(|signature| self.verifying.verifies(MESSAGE, &signature))
    }

    /// The private form, to be encrypted before it is stored.
    #[must_use]
    pub fn secret_bytes(&self) -> &[u8] {
        &self.secret
    }

    /// The `kid` of its tokens (RFC 7515 §4.1.4).
    #[must_use]
    pub fn id(&self) -> &KeyId {
        self.verifying.id()
    }

    /// The algorithm that it signs with (RFC 7518 §3.1).
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.verifying.algorithm()
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn verifying(&self) -> VerifyingKey {
        self.verifying.clone()
    }

    /// See [`VerifyingKey::public_jwk`].
    #[must_use]
    pub fn public_jwk(&self) -> Option<&Value> {
        self.verifying.public_jwk()
    }

    pub(super) fn encoding_key(&self) -> &EncodingKey {
        &self.encoding
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm(), self.id())
    }
}

/// A key that verifies. Cheap to clone; `Debug` shows only its name, since under HS256 it could sign as well.
#[derive(Clone)]
pub struct VerifyingKey(Arc<Verifying>);

struct Verifying {
    id: KeyId,
    algorithm: Algorithm,
    decoding: DecodingKey,
    public_jwk: Option<Value>,
}

impl VerifyingKey {
    /// The `kid` of its tokens (RFC 7515 §4.1.4).
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.0.id
    }

    /// The one algorithm it may be used with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// The public key as a JWK (RFC 7517) with `kid`, `alg` and `use`; `None` for a shared secret (JWT-09).
    #[must_use]
    pub fn public_jwk(&self) -> Option<&Value> {
        self.0.public_jwk.as_ref()
    }

    /// Whether `signature` (base64url) was made over `message` by the key that this one belongs to.
    #[must_use]
    pub fn verifies(&self, message: &str, signature: &str) -> bool {
        let answer =
            jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.0.decoding, self.0.algorithm.into());
        matches!(answer, Ok(true))
    }

    fn shared(secret: &[u8]) -> Self {
        Self(Arc::new(Verifying {
            id: KeyId::of_secret(secret),
            algorithm: Algorithm::Hs256,
            decoding: DecodingKey::from_secret(secret),
            public_jwk: None,
        }))
    }

    fn public(encoding: &EncodingKey, algorithm: Algorithm) -> Result<Self, KeyError> {
        let unusable = |_| KeyError::Unusable(algorithm);
        let mut jwk = Jwk::from_encoding_key(encoding, algorithm.into()).map_err(unusable)?;
        check_strength(&jwk, algorithm)?;
        let id = KeyId::of_public(&jwk, algorithm)?;
        jwk.common.key_id = Some(id.to_string());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let decoding = DecodingKey::from_jwk(&jwk).map_err(unusable)?;
        let public_jwk = serde_json::to_value(&jwk).map_err(|_| KeyError::Unusable(algorithm))?;
        Ok(Self(Arc::new(Verifying { id, algorithm, decoding, public_jwk: Some(public_jwk) })))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({} {})", self.algorithm(), self.id())
    }
}

/// The keys whose tokens are accepted, by their `kid`. A value: after a rotation there is another set (JWT-10).
#[derive(Debug, Clone, Default)]
pub struct VerificationKeySet(BTreeMap<KeyId, VerifyingKey>);

impl VerificationKeySet {
    /// The key with this `kid`.
    #[must_use]
    pub fn lookup(&self, id: &str) -> Option<&VerifyingKey> {
        self.0.get(id)
    }

    /// The keys, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.values()
    }

    /// The public keys as a JWK set (RFC 7517 §5); empty under HS256.
    #[must_use]
    pub fn public_jwk_set(&self) -> Value {
        json!({ "keys": self.iter().filter_map(VerifyingKey::public_jwk).collect::<Vec<_>>() })
    }
}

impl FromIterator<VerifyingKey> for VerificationKeySet {
    fn from_iter<Keys: IntoIterator<Item = VerifyingKey>>(keys: Keys) -> Self {
        Self(keys.into_iter().map(|key| (key.id().clone(), key)).collect())
    }
}

impl std::borrow::Borrow<str> for KeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Tells `jsonwebtoken` which cryptography to use. By itself it only knows while no other crate of the build switches
/// on a second one, and panics otherwise. A later call changes nothing.
pub(super) fn choose_cryptography() {
    let _already_chosen = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

fn random_secret(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, aws_lc_rs::error::Unspecified> {
    let secret = match algorithm {
        Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?.to_pkcs8v1()?.as_ref().to_vec(),
        Algorithm::EdDsa => Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref().to_vec(),
        Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa3072)?.as_der()?.as_ref().to_vec(),
        Algorithm::Hs256 => {
            let mut secret = vec![0; MIN_SECRET_BITS / 8];
            aws_lc_rs::rand::fill(&mut secret)?;
            secret
        }
    };
    Ok(Zeroizing::new(secret))
}

fn encoding_key(algorithm: Algorithm, bytes: &[u8]) -> Result<EncodingKey, KeyError> {
    match algorithm {
        Algorithm::Es256 => Ok(EncodingKey::from_ec_der(bytes)),
        Algorithm::EdDsa => Ok(EncodingKey::from_ed_der(bytes)),
        // As DER the library takes only PKCS#1; as PEM it takes PKCS#8 as well.
        Algorithm::Rs256 => EncodingKey::from_rsa_pem(pem(bytes).as_bytes()).map_err(|_| KeyError::Unusable(algorithm)),
        Algorithm::Hs256 => {
            require_bits(algorithm, bytes.len() * 8, MIN_SECRET_BITS)?;
            Ok(EncodingKey::from_secret(bytes))
        }
    }
}

fn pem(der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *body))
}

/// Elliptic curves have one strength each, and reading the key has checked the curve.
fn check_strength(jwk: &Jwk, algorithm: Algorithm) -> Result<(), KeyError> {
    let AlgorithmParameters::RSA(rsa) = &jwk.algorithm else { return Ok(()) };
    let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).map_err(|_| KeyError::Unusable(algorithm))?;
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    require_bits(algorithm, modulus.len() * 8 - leading_zeros, MIN_RSA_BITS)
}

fn require_bits(algorithm: Algorithm, bits: usize, least: usize) -> Result<(), KeyError> {
    if bits >= least { Ok(()) } else { Err(KeyError::TooWeak { algorithm, bits, least }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::token::support::{key, key_set};

    #[rstest]
    fn a_key_read_from_its_private_form_is_the_same_key(
        #[values(Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256)] algorithm: Algorithm,
    ) {
        let key = key(algorithm);
        let read = SigningKey::from_secret_bytes(algorithm, key.secret_bytes()).unwrap();
        assert_eq!(read.id(), key.id());
        assert_eq!(read.algorithm(), algorithm);
        let signature = jsonwebtoken::crypto::sign(b"a.b", read.encoding_key(), algorithm.into()).unwrap();
        assert!(key.verifying().verifies("a.b", &signature));
        assert!(!key.verifying().verifies("a.c", &signature));
    }

    #[rstest]
    fn two_keys_never_share_a_name(
        #[values(Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256)] algorithm: Algorithm,
    ) {
        assert_ne!(SigningKey::generate(algorithm).unwrap().id(), key(algorithm).id());
    }

    #[test]
    fn jwt_09_the_name_is_the_thumbprint_of_rfc_7638() {
        let jwk: Jwk = serde_json::from_value(json!({
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB\
                  ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8\
                  KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_\
                  xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB",
            "alg": "RS256",
            "kid": "2011-04-29",
        }))
        .unwrap();
        let id = KeyId::of_public(&jwk, Algorithm::Rs256).unwrap();
        assert_eq!(id.as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_eq!(
            check_strength(&jwk, Algorithm::Rs256),
            Err(KeyError::TooWeak { algorithm: Algorithm::Rs256, bits: 2048, least: 3072 })
        );
    }

    #[test]
    fn jwt_09_the_ed25519_key_of_rfc_8037_has_its_thumbprint_and_signs_as_written_there() {
        let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        der.extend(URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap());
        let key = SigningKey::from_secret_bytes(Algorithm::EdDsa, &der).unwrap();
        assert_eq!(key.id().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert!(key.verifying().verifies(message, signature));
        assert_eq!(
            jsonwebtoken::crypto::sign(message.as_bytes(), key.encoding_key(), jsonwebtoken::Algorithm::EdDSA).unwrap(),
            signature
        );
    }

    #[rstest]
    #[case(Algorithm::Es256, &["alg", "crv", "kid", "kty", "use", "x", "y"])]
    #[case(Algorithm::EdDsa, &["alg", "crv", "kid", "kty", "use", "x"])]
    #[case(Algorithm::Rs256, &["alg", "e", "kid", "kty", "n", "use"])]
    fn jwt_09_a_published_key_has_public_members_only(#[case] algorithm: Algorithm, #[case] members: &[&str]) {
        let key = key(algorithm);
        let jwk = key.public_jwk().unwrap();
        assert_eq!(jwk.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>(), members);
        assert_eq!(jwk["alg"], algorithm.as_str());
        assert_eq!(jwk["kid"], key.id().as_str());
        assert_eq!(jwk["use"], "sig");
    }

    #[test]
    fn jwt_09_a_shared_secret_is_never_published() {
        assert_eq!(key(Algorithm::Hs256).public_jwk(), None);
        assert_eq!(key_set(&[Algorithm::Hs256]).public_jwk_set(), json!({"keys": []}));
        let all = key_set(Algorithm::ALL).public_jwk_set();
        assert_eq!(all["keys"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn key_02_a_weak_key_is_refused() {
        assert_eq!(
            SigningKey::from_secret_bytes(Algorithm::Hs256, &[7; 31]).err(),
            Some(KeyError::TooWeak { algorithm: Algorithm::Hs256, bits: 248, least: 256 })
        );
        assert!(SigningKey::from_secret_bytes(Algorithm::Hs256, &[7; 32]).is_ok());
        let short = RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
        assert_eq!(
            SigningKey::from_secret_bytes(Algorithm::Rs256, short.as_ref()).err(),
            Some(KeyError::TooWeak { algorithm: Algorithm::Rs256, bits: 2048, least: 3072 })
        );
    }

    #[test]
    fn jwt_02_a_key_of_one_algorithm_is_not_read_as_a_key_of_another() {
        let pairs = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
        for (made_for, read_as) in pairs.iter().flat_map(|a| pairs.iter().map(move |b| (*a, *b))) {
            let read = SigningKey::from_secret_bytes(read_as, key(made_for).secret_bytes());
            assert_eq!(read.is_ok(), made_for == read_as, "{made_for} as {read_as}");
        }
    }

    #[test]
    fn key_01_keys_print_only_their_names() {
        for algorithm in Algorithm::ALL {
            let key = key(*algorithm);
            assert_eq!(format!("{key:?}"), format!("SigningKey({algorithm} {})", key.id()));
            assert_eq!(format!("{:?}", key.verifying()), format!("VerifyingKey({algorithm} {})", key.id()));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_a_key_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
                prop_assert_eq!(
                    SigningKey::from_secret_bytes(algorithm, &bytes).err(),
                    Some(KeyError::Unusable(algorithm))
                );
            }
        }
    }
}
