//! Tokens whose text has been verified already. An entry can only say "this text was ours, signed with a key that was
//! good"; whether the session lives is asked each time, so that a signature that can be written in two ways does no harm.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};

use super::generations::Generations;
use crate::token::claims::AccessClaims;

/// What a verified token says.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Its claims. Their times are looked at each time.
    pub claims: Arc<AccessClaims>,
    /// Until when its key is good, if that is known.
    pub key_until: Option<DateTime<Utc>>,
}

/// Verified tokens, by the generation of the keys that verified them.
pub type VerifiedTokens = Generations<Digest, Verified>;

/// A digest of a whole token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `token` (SHA-256).
    pub fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}
