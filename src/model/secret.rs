//! Secrets that Vigie hands out once and keeps only as a digest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;
use zeroize::ZeroizeOnDrop;

use crate::key::sha256;

/// What a secret is for. The prefix lets scanners find leaked ones and lets Vigie refuse one kind used as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// `vgr_`: continues a session, once.
    RefreshToken,
    /// `vgc_`: proves a client.
    ClientSecret,
    /// `vgt_`: sets up the first administrator, or a new password; once.
    OneTimeToken,
    /// `vgd_`: makes a device known.
    DeviceToken,
    /// `vgs_`: the session of a browser, on Vigie's own pages.
    SessionCookie,
    /// `vgg_`: the same session at sites behind a proxy.
    GateCookie,
}

impl SecretKind {
    /// The first four characters of the text form.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::RefreshToken => "vgr_",
            Self::ClientSecret => "vgc_",
            Self::OneTimeToken => "vgt_",
            Self::DeviceToken => "vgd_",
            Self::SessionCookie => "vgs_",
            Self::GateCookie => "vgg_",
        }
    }
}

/// 256 random bits (SES-03). `Debug` shows nothing of them; the text form is only given by [`Secret::reveal`].
#[derive(Clone, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

/// SHA-256 of a secret: what the database keeps.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretDigest(pub [u8; 32]);

/// The text is not a secret of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a secret of this kind")]
pub struct NotASecret;

impl Secret {
    /// A new secret from the system's random source.
    ///
    /// # Panics
    /// If the system has no random source: nothing safe can be done then.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system has a random source");
        Self(bytes)
    }

    /// A secret made of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, for deriving another secret from it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of its bytes. The secret has full entropy, so a slow hash would add nothing.
    #[must_use]
    pub fn digest(&self) -> SecretDigest {
        SecretDigest(sha256(&[&self.0]))
    }

    /// The text form: prefix and base64url without padding.
    #[must_use]
    pub fn reveal(&self, kind: SecretKind) -> String {
        format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Reads the text form of one kind; another kind, length or spelling is refused whole.
    pub fn parse(kind: SecretKind, text: &str) -> Result<Self, NotASecret> {
        let encoded = text.strip_prefix(kind.prefix()).ok_or(NotASecret)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotASecret)?;
        bytes.try_into().map(Self).map_err(|_| NotASecret)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl std::fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretDigest")
    }
}

impl SecretDigest {
    /// Compares in constant time (KEY-03).
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_text_form_and_no_other_kind_reads_it() {
        let secret = Secret::random();
        let text = secret.reveal(SecretKind::RefreshToken);
        assert_eq!(text.len(), 4 + 43);
        let read = Secret::parse(SecretKind::RefreshToken, &text).unwrap();
        assert!(read.digest().matches(&secret.digest()));
        assert_eq!(Secret::parse(SecretKind::OneTimeToken, &text).err(), Some(NotASecret));
        assert!(Secret::parse(SecretKind::RefreshToken, &text[..40]).is_err());
        assert!(Secret::parse(SecretKind::RefreshToken, &format!("{text}=")).is_err());
    }

    #[test]
    fn a_secret_prints_nothing_of_itself() {
        assert_eq!(format!("{:?}", Secret::random()), "Secret");
    }
}
