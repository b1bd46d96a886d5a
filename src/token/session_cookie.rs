//! Session cookies: what a browser holds of a session that was started on the login page.
//!
//! A cookie is a prefix and base64url of: session id (16 bytes), user id (16 bytes), generation (4 bytes, big endian), tag
//! (32 bytes). The tag is an HMAC-SHA256 of the kind, the ids and the generation under a key that is not in the database
//! (P7): nobody else makes one, and one kind is refused where another is asked for. A session that renews its credentials
//! moves to another generation, and cookies of earlier ones are void.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::key::Key;
use crate::model::id::{SessionId, UserId};
use crate::model::secret::SecretKind;

const NAMED: usize = 16 + 16 + 4;
const LENGTH: usize = NAMED + 32;

/// A session cookie as presented or handed out. `Debug` does not show the tag.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionCookie {
    kind: SecretKind,
    /// Which session it belongs to.
    pub session_id: SessionId,
    /// Whose session that is.
    pub user_id: UserId,
    /// Of the session's credentials.
    pub generation: u32,
    tag: [u8; 32],
}

/// The text is not a session cookie of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session cookie")]
pub struct NotASessionCookie;

impl SessionCookie {
    /// The cookie of a session, of this kind and generation.
    #[must_use]
    pub fn derive(key: &Key, kind: SecretKind, session_id: SessionId, user_id: UserId, generation: u32) -> Self {
        let named = named(session_id, user_id, generation);
        Self { kind, session_id, user_id, generation, tag: key.digest(&[kind.prefix().as_bytes(), &named].concat()) }
    }

    /// Reads the text form. Nothing is known yet of whether it was ever issued.
    pub fn parse(kind: SecretKind, text: &str) -> Result<Self, NotASessionCookie> {
        let encoded = text.strip_prefix(kind.prefix()).ok_or(NotASessionCookie)?;
        if encoded.len() > 2 * LENGTH {
            return Err(NotASessionCookie);
        }
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotASessionCookie)?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| NotASessionCookie)?;
        let id = |part: &[u8]| Uuid::from_slice(part).map_err(|_| NotASessionCookie);
        let generation = bytes[32..NAMED].try_into().map_err(|_| NotASessionCookie)?;
        Ok(Self {
            kind,
            session_id: SessionId(id(&bytes[..16])?),
            user_id: UserId(id(&bytes[16..32])?),
            generation: u32::from_be_bytes(generation),
            tag: bytes[NAMED..].try_into().map_err(|_| NotASessionCookie)?,
        })
    }

    /// Whether it was made with this key. Compares in constant time (KEY-03).
    #[must_use]
    pub fn is_genuine(&self, key: &Key) -> bool {
        let genuine = Self::derive(key, self.kind, self.session_id, self.user_id, self.generation);
        genuine.tag.ct_eq(&self.tag).into()
    }

    /// The text form.
    #[must_use]
    pub fn reveal(&self) -> String {
        let bytes = [named(self.session_id, self.user_id, self.generation).as_slice(), &self.tag].concat();
        format!("{}{}", self.kind.prefix(), URL_SAFE_NO_PAD.encode(bytes))
    }
}

fn named(session_id: SessionId, user_id: UserId, generation: u32) -> [u8; NAMED] {
    let mut bytes = [0; NAMED];
    bytes[..16].copy_from_slice(session_id.0.as_bytes());
    bytes[16..32].copy_from_slice(user_id.0.as_bytes());
    bytes[32..].copy_from_slice(&generation.to_be_bytes());
    bytes
}

impl std::fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionCookie({} #{})", self.session_id, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(key: &Key) -> SessionCookie {
        let (session_id, user_id) = (SessionId(Uuid::from_u128(7)), UserId(Uuid::from_u128(8)));
        SessionCookie::derive(key, SecretKind::SessionCookie, session_id, user_id, 3)
    }

    #[test]
    fn a_cookie_survives_its_text_form_and_is_genuine() {
        let key = Key::random();
        let text = cookie(&key).reveal();
        let read = SessionCookie::parse(SecretKind::SessionCookie, &text).unwrap();
        assert_eq!(read, cookie(&key));
        assert!(read.is_genuine(&key) && !read.is_genuine(&Key::random()));
        assert!(text.len() < 4096, "WEB-01");
    }

    #[test]
    fn whatever_is_changed_in_it_is_noticed() {
        let key = Key::random();
        let cookie = cookie(&key);
        let other = Uuid::from_u128(9);
        assert!(!SessionCookie { session_id: SessionId(other), ..cookie.clone() }.is_genuine(&key));
        assert!(!SessionCookie { user_id: UserId(other), ..cookie.clone() }.is_genuine(&key));
        assert!(!SessionCookie { generation: 4, ..cookie.clone() }.is_genuine(&key));
        assert!(!SessionCookie { kind: SecretKind::RefreshToken, ..cookie }.is_genuine(&key));
    }

    #[test]
    fn another_text_is_refused_whole() {
        let text = cookie(&Key::random()).reveal();
        for bad in ["", "vgs_", &text[..60], &text[4..], &format!("{text}A"), &format!("{text}="), &"vgs_".repeat(9999)]
        {
            assert_eq!(SessionCookie::parse(SecretKind::SessionCookie, bad), Err(NotASessionCookie));
        }
        assert_eq!(SessionCookie::parse(SecretKind::RefreshToken, &text), Err(NotASessionCookie));
    }
}
