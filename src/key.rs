//! A key of 32 bytes, and what is done with one: digests that nobody else can make, and encryption. SHA-256 needs none.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// Length of a key, in bytes.
pub const LENGTH: usize = 32;

/// 32 bytes for one use. They are wiped when this is dropped, and `Debug` shows nothing of them.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Key([u8; LENGTH]);

/// The encrypted bytes were altered, belong to another context, or were encrypted with another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the encrypted value cannot be decrypted with this key")]
pub struct CannotDecrypt;

impl Key {
    /// A new key.
    ///
    /// # Panics
    /// If the system has no random source: nothing safe can be done then.
    #[must_use]
    pub fn random() -> Self {
        let mut key = Self([0; LENGTH]);
        getrandom::fill(&mut key.0).expect("the system has a random source");
        key
    }

    /// The key made of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key, for cryptography alone: never for a log or an answer.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// HMAC-SHA256: for values that must be comparable, but not guessable from a dump of the database.
    ///
    /// # Panics
    /// Never: the length is fixed.
    #[must_use]
    pub fn digest(&self, data: &[u8]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        hmac::sign(&key, data).as_ref().try_into().expect("HMAC-SHA256 is 32 bytes long")
    }

    /// Encrypts with AES-256-GCM: nonce, ciphertext, tag. Only [`Key::decrypt`] with the same `context`, such as the name of
    /// the encrypted key, reads it again; so no encrypted value can be put in another's place.
    ///
    /// # Panics
    /// If the system has no random source: nothing safe can be done then.
    #[must_use]
    pub fn encrypt(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        // With room for the tag from the start: moving the bytes would leave a copy of the plain text behind.
        let mut body = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        body.extend_from_slice(plain);
        let nonce = self
            .cipher()
            .seal_in_place_append_tag(Aad::from(context), &mut body)
            .expect("there is a random source, and the plain text is shorter than 64 GiB");
        [nonce.as_ref().as_slice(), &body].concat()
    }

    /// Reads what [`Key::encrypt`] has written for the same `context`.
    pub fn decrypt(&self, context: &str, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, CannotDecrypt> {
        let (nonce, body) = encrypted.split_at_checked(NONCE_LEN).ok_or(CannotDecrypt)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotDecrypt)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain = self.cipher().open_in_place(nonce, Aad::from(context), &mut body).map_err(|_| CannotDecrypt)?;
        let length = plain.len();
        body.truncate(length);
        Ok(body)
    }

    fn cipher(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM, &self.0).expect("AES-256 takes a key of 32 bytes")
    }
}

/// SHA-256 (FIPS 180-4) of these parts, one behind the other.
///
/// # Panics
/// Never: the length is fixed.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("SHA-256 is 32 bytes long")
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_encrypted_is_decrypted_only_in_its_own_context_and_with_its_own_key() {
        let key = Key::from_bytes([1; 32]);
        let encrypted = key.encrypt("kid-1", b"private");
        assert_eq!(encrypted.len(), NONCE_LEN + b"private".len() + 16);
        assert_eq!(key.decrypt("kid-1", &encrypted).unwrap().as_slice(), b"private");
        assert_eq!(key.decrypt("kid-2", &encrypted), Err(CannotDecrypt));
        assert_eq!(Key::from_bytes([2; 32]).decrypt("kid-1", &encrypted), Err(CannotDecrypt));
    }

    #[test]
    fn any_changed_bit_or_missing_byte_of_an_encrypted_value_is_refused() {
        let key = Key::random();
        let encrypted = key.encrypt("kid", b"private");
        for position in 0..encrypted.len() * 8 {
            let mut changed = encrypted.clone();
            changed[position / 8] ^= 1 << (position % 8);
            assert_eq!(key.decrypt("kid", &changed), Err(CannotDecrypt), "bit {position}");
        }
        for length in 0..encrypted.len() {
            assert_eq!(key.decrypt("kid", &encrypted[..length]), Err(CannotDecrypt), "cut to {length}");
        }
    }

    #[test]
    fn encrypting_twice_gives_two_texts() {
        let key = Key::random();
        assert_ne!(key.encrypt("kid", b"private"), key.encrypt("kid", b"private"));
    }

    #[test]
    fn digests_are_repeatable_and_differ_by_key_and_data() {
        let key = Key::from_bytes([1; 32]);
        let digest = key.digest(b"alice");
        assert_eq!(Key::from_bytes([1; 32]).digest(b"alice"), digest);
        assert_ne!(key.digest(b"bob"), digest);
        assert_ne!(Key::from_bytes([2; 32]).digest(b"alice"), digest);
    }

    #[test]
    fn sha256_is_that_of_the_standard_in_whatever_parts() {
        let abc = sha256(&[b"abc"]);
        assert_eq!(abc[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(sha256(&[b"a", b"", b"bc"]), abc);
    }

    #[test]
    fn key_01_a_key_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", Key::random()), "Key");
    }

    proptest! {
        #[test]
        fn every_plain_text_survives_being_encrypted(plain in any::<Vec<u8>>(), context in "\\PC*") {
            let key = Key::from_bytes([3; 32]);
            let opened = key.decrypt(&context, &key.encrypt(&context, &plain));
            prop_assert_eq!(opened.map(|bytes| bytes.to_vec()), Ok(plain));
        }
    }
}
