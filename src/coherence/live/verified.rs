//! Tokens whose text has been verified already. An entry can only say "this text was ours, signed with a key that was
//! good"; whether the session lives is asked each time, so that a signature that can be written in two ways does no harm.
//! Where its session and user were found in the live view is remembered, and asked each time whether that still holds.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::versioned_cache::VersionedCache;
use super::{LiveSession, LiveUser};
use crate::key::sha256;
use crate::model::id::{SessionId, TokenId, UserId};
use crate::token::claims::{AccessClaims, TokenTimes};

/// What a verified token says of itself, as far as the check needs it.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Claim `sid`.
    pub session_id: SessionId,
    /// Claim `jti`.
    pub token_id: TokenId,
    /// Claim `sub`.
    pub subject: UserId,
    /// Its generation, of those of its session.
    pub generation: u32,
    /// Its times, which are looked at each time.
    pub times: TokenTimes,
    /// Until when its key is good, if that is known.
    pub key_until: Option<DateTime<Utc>>,
    /// Its session and user, as the live view had them once.
    pub found: Option<Found>,
}

/// A session and its user in the live view, good while these are the versions there.
#[derive(Debug, Clone)]
pub struct Found {
    /// The session.
    pub session: Arc<LiveSession>,
    /// The user.
    pub user: Arc<LiveUser>,
    /// Of the session and of the user.
    pub versions: (u32, u32),
}

impl Verified {
    /// What is kept of a token with these claims.
    #[must_use]
    pub fn new(claims: &AccessClaims, key_until: Option<DateTime<Utc>>) -> Self {
        let AccessClaims { session_id, token_id, subject, generation, .. } = *claims;
        Self { session_id, token_id, subject, generation, times: claims.times(), key_until, found: None }
    }
}

/// Verified tokens, by the generation of the keys that verified them.
pub type VerifiedTokens = VersionedCache<Digest, Verified>;

/// A digest of a whole token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `token` (SHA-256).
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(sha256(&[token.as_bytes()]))
    }
}
