//! `[tokens]`: access tokens.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::faults::Faults;
use super::loopback::is_loopback;
use super::setting::{Text, section, word};
use super::{DAY, HOUR};
use crate::model::lookalike::is_unseen;
use crate::model::words;

section! {
    /// `[tokens]`
    pub struct Tokens {
        pub algorithm: Algorithm,
        pub access_ttl: Duration,
        pub issuer: String,
        pub audience: Audience,
        pub legacy_claims: bool,
        pub hs256_secret_file: PathBuf,
        pub introspection_max_cache: Duration,
        pub clock_tolerance: Duration,
    }
}

words! {
    /// How access tokens are signed (RFC 7518 §3.1, RFC 8037).
    pub enum Algorithm {
        /// ECDSA with P-256 and SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
        /// RSASSA-PKCS1-v1_5 with SHA-256, 3072 bits.
        Rs256 = "RS256",
        /// HMAC with SHA-256.
        Hs256 = "HS256",
    }
}

impl Algorithm {
    /// Whether others can verify what is signed with it, by published keys.
    #[must_use]
    pub const fn has_public_keys(self) -> bool {
        !matches!(self, Self::Hs256)
    }
}

/// Whom tokens are meant for (`aud`): one text, which is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience(String);

impl Audience {
    /// The value of the claim `aud` (RFC 7519 §4.1.3).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Text for Audience {
    fn parse(text: &str) -> Result<Self, String> {
        match text.chars().next() {
            None => Err("must not be empty".to_owned()),
            Some('[' | '{' | '"' | '\'') => {
                Err("is one text: write it alone, without brackets and quotes around it".to_owned())
            }
            Some(_) if !is_as_it_seems(text) => Err(ANOTHER_THAN_IT_SEEMS.to_owned()),
            Some(_) => Ok(Self(text.to_owned())),
        }
    }
}

word!(Algorithm);

const ANOTHER_THAN_IT_SEEMS: &str = "holds a blank before or behind it, or a character that nobody sees";

/// Applications compare the claims byte by byte, with a text that was typed.
fn is_as_it_seems(text: &str) -> bool {
    text.trim() == text && !text.chars().any(is_unseen)
}

impl Tokens {
    pub(super) fn check(&self, faults: &mut Faults) {
        faults.require(!self.access_ttl.is_zero(), "tokens.access_ttl", "must be longer than zero");
        faults.require(self.access_ttl <= DAY, "tokens.access_ttl", "must be at most 24h");
        faults.require(self.clock_tolerance <= Duration::from_mins(1), "tokens.clock_tolerance", "must be at most 60s");
        faults.require(is_as_it_seems(&self.issuer), "tokens.issuer", ANOTHER_THAN_IT_SEEMS);
        faults.add_if(names_somebody(&self.issuer), "tokens.issuer", "must hold no user and no password");
        faults.require(
            self.hs256_secret_file.as_os_str().is_empty() || self.algorithm == Algorithm::Hs256,
            "tokens.hs256_secret_file",
            "is only used with algorithm = \"HS256\"",
        );
    }

    pub(super) fn weaknesses(&self, weak: &mut Faults) {
        weak.add_if(
            self.access_ttl > HOUR,
            "tokens.access_ttl",
            "longer than an hour; the check makes long lives needless",
        );
        weak.add_if(
            self.algorithm == Algorithm::Hs256,
            "tokens.algorithm",
            "HS256: whoever verifies tokens can also forge them",
        );
        let issuer = Url::parse(&self.issuer).ok();
        weak.add_if(
            issuer.is_some_and(|issuer| issuer.scheme() == "http" && !is_loopback(&issuer)),
            "tokens.issuer",
            "http: whoever fetches keys from there may be given others",
        );
    }
}

/// Whether it is an address with a login in it, also where it is written so that it is none.
fn names_somebody(issuer: &str) -> bool {
    let is_in_address = |url: Url| !url.username().is_empty() || url.password().is_some();
    Url::parse(issuer).map_or_else(|_| issuer.contains("://") && issuer.contains('@'), is_in_address)
}

#[cfg(test)]
mod tests {
    use crate::config::support::{assert_each_weak, assert_fault, load, weak};

    #[test]
    fn an_audience_is_one_text() {
        for audience in ["[\"vigie\"]", "{\"aud\":1}", "\"vigie\"", "'vigie'"] {
            assert_fault("VIGIE__TOKENS__AUDIENCE", audience, "tokens.audience", "alone");
        }
        assert_fault("VIGIE__TOKENS__AUDIENCE", "", "tokens.audience", "not be empty");
    }

    #[test]
    fn a_claim_is_what_it_seems() {
        for text in [" ", " vigie ", "vigie ", "\u{feff}vigie", "vi\u{200b}gie"] {
            assert_fault("VIGIE__TOKENS__AUDIENCE", text, "tokens.audience", "nobody sees");
            assert_fault("VIGIE__TOKENS__ISSUER", text, "tokens.issuer", "nobody sees");
        }
    }

    #[test]
    fn an_issuer_has_no_login() {
        for issuer in ["https://v:hunter2@vigie.example.org", "https://hunter2@h", "https://v:hunter2@h:port"] {
            assert_fault("VIGIE__TOKENS__ISSUER", issuer, "tokens.issuer", "no user and no password");
        }
        for issuer in ["", "vigie", "vigie@example.org", "urn:vigie:1", "https://vigie.example.org/@vigie"] {
            assert!(load(&[("VIGIE__TOKENS__ISSUER", issuer)]).is_ok(), "{issuer}");
        }
    }

    #[test]
    fn tokens_that_live_long_or_that_others_forge_are_weak() {
        assert_each_weak(&[
            ("VIGIE__TOKENS__ACCESS_TTL", "24h", "tokens.access_ttl"),
            ("VIGIE__TOKENS__ALGORITHM", "HS256", "tokens.algorithm"),
            ("VIGIE__TOKENS__ISSUER", "http://vigie.example.org", "tokens.issuer"),
        ]);
        for issuer in ["http://127.0.0.1:8080", "https://vigie.example.org", "vigie"] {
            assert_eq!(weak(&[("VIGIE__TOKENS__ISSUER", issuer)]), [""; 0], "{issuer}");
        }
    }
}
