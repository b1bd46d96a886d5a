//! Refresh tokens: opaque to their holder, derived so that nothing stored can be replayed.
//!
//! A token is `vgr_` and base64url of: session id (16 bytes), generation (4 bytes, big endian), tag (32 bytes). The tag is
//! an HMAC-SHA256 of the session's seed, id and generation under a key of the keyring. Without both
//! the seed (in the database) and the master key that opens the keyring (not in it) a tag is 256 unguessable bits (SES-03). Every token ever
//! issued can be recomputed, so a spent one of any age is told from a forged one (TOK-02).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::key::Key;
use crate::model::id::SessionId;
use crate::model::secret::SecretKind;

const LENGTH: usize = 16 + 4 + 32;

/// A refresh token as presented or handed out. `Debug` does not show the tag.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session that it continues.
    pub session_id: SessionId,
    /// Its number among the refresh tokens of the session, from 0.
    pub generation: u32,
    tag: [u8; 32],
}

/// The text is not a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token")]
pub struct NotARefreshToken;

impl RefreshToken {
    /// The token of one generation.
    #[must_use]
    pub fn derive(key: &Key, session_id: SessionId, generation: u32, seed: &[u8; 32]) -> Self {
        let mut message = Vec::with_capacity(16 + 4 + 32);
        message.extend_from_slice(session_id.0.as_bytes());
        message.extend_from_slice(&generation.to_be_bytes());
        message.extend_from_slice(seed);
        Self { session_id, generation, tag: key.digest(&message) }
    }

    /// Reads the text form. Nothing is known yet of whether it was ever issued.
    pub fn parse(text: &str) -> Result<Self, NotARefreshToken> {
        let encoded = text.strip_prefix(SecretKind::RefreshToken.prefix()).ok_or(NotARefreshToken)?;
        if encoded.len() > 2 * LENGTH {
            return Err(NotARefreshToken);
        }
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotARefreshToken)?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| NotARefreshToken)?;
        let (id, rest) = bytes.split_at(16);
        let (generation, tag) = rest.split_at(4);
        let number = |part: &[u8]| part.try_into().map(u32::from_be_bytes).map_err(|_| NotARefreshToken);
        Ok(Self {
            session_id: SessionId(Uuid::from_slice(id).map_err(|_| NotARefreshToken)?),
            generation: number(generation)?,
            tag: tag.try_into().map_err(|_| NotARefreshToken)?,
        })
    }

    /// Whether it was issued for the session that has this seed. Compares in constant time (KEY-03).
    #[must_use]
    pub fn is_genuine(&self, key: &Key, seed: &[u8; 32]) -> bool {
        let genuine = Self::derive(key, self.session_id, self.generation, seed);
        genuine.tag.ct_eq(&self.tag).into()
    }

    /// The token as text, `vgr_` and more: only for its holder.
    #[must_use]
    pub fn reveal(&self) -> String {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend_from_slice(self.session_id.0.as_bytes());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.tag);
        format!("{}{}", SecretKind::RefreshToken.prefix(), URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RefreshToken({} #{})", self.session_id, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn session() -> SessionId {
        SessionId(Uuid::from_u128(7))
    }

    #[test]
    fn a_token_survives_its_text_form_and_is_genuine() {
        let key = Key::random();
        let token = RefreshToken::derive(&key, session(), 3, &[1; 32]);
        let read = RefreshToken::parse(&token.reveal()).unwrap();
        assert_eq!(read, token);
        assert!(read.is_genuine(&key, &[1; 32]));
    }

    #[test]
    fn neither_the_seed_nor_the_key_alone_yields_a_token() {
        let key = Key::random();
        let token = RefreshToken::derive(&key, session(), 3, &[1; 32]);
        assert!(!token.is_genuine(&Key::random(), &[1; 32]));
        assert!(!token.is_genuine(&key, &[2; 32]));
        let renumbered = RefreshToken { generation: 4, ..token };
        assert!(!renumbered.is_genuine(&key, &[1; 32]));
    }

    #[test]
    fn ses_03_ten_thousand_tokens_are_distinct_and_long() {
        let key = Key::random();
        let tokens: HashSet<String> = (0..10_000)
            .map(|generation| RefreshToken::derive(&key, session(), generation, &[1; 32]).reveal())
            .collect();
        assert_eq!(tokens.len(), 10_000);
        assert!(tokens.iter().all(|token| token.len() >= 4 + 43 && Uuid::parse_str(&token[4..]).is_err()));
    }

    #[test]
    fn another_text_is_refused_whole() {
        let text = RefreshToken::derive(&Key::random(), session(), 0, &[1; 32]).reveal();
        for bad in ["", "vgr_", &text[..60], &text[4..], &format!("{text}A"), &format!("{text}="), &"vgr_".repeat(9999)]
        {
            assert_eq!(RefreshToken::parse(bad), Err(NotARefreshToken));
        }
    }
}
