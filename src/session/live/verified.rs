//! Tokens whose text has been verified already. An entry can only say "this text was ours, signed with a key that was
//! good"; whether the session lives is asked each time, so that a signature that can be written in two ways does no harm.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use quick_cache::sync::Cache;

use crate::token::claims::AccessClaims;

/// What a verified token says.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Its claims. Their times are looked at each time.
    pub claims: Arc<AccessClaims>,
    /// Until when its key is good, if that is known.
    pub key_until: Option<DateTime<Utc>>,
}

/// The cache: bounded, by a digest of the whole text.
pub struct VerifiedTokens {
    kept: Cache<[u8; 32], (u64, Verified)>,
}

impl std::fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedTokens").finish_non_exhaustive()
    }
}

impl VerifiedTokens {
    /// An empty cache for at most `capacity` tokens.
    pub fn new(capacity: usize) -> Self {
        Self { kept: Cache::new(capacity) }
    }

    /// What `token` says, if it was verified with the keys of this generation. With any other, that a key was good says
    /// nothing.
    pub fn get(&self, token: &Digest, generation: u64) -> Option<Verified> {
        self.kept.get(&token.0).filter(|(of, _)| *of == generation).map(|(_, verified)| verified)
    }

    /// Remembers what was verified with the keys of `generation`, which was read before the keys were.
    pub fn remember(&self, token: &Digest, generation: u64, verified: Verified) {
        self.kept.insert(token.0, (generation, verified));
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.kept.clear();
    }
}

/// A digest of a whole token.
#[derive(Debug, Clone, Copy)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `token` (SHA-256).
    pub fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}
