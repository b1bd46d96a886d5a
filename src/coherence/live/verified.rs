//! Tokens whose text has been verified already. An entry can only say "this text was ours, signed with a key that was
//! good"; whether the session lives is asked each time, so that a signature that can be written in two ways does no harm.
//! Where its session and user were found in the live view is remembered, and asked each time whether that still holds.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::versioned_cache::VersionedCache;
use super::{LiveSession, LiveUser};
use crate::key::sha256;
use crate::model::id::{SessionId, UserId};
use crate::token::claims::{AccessClaims, TokenTimes};

/// Which session a genuine credential continues: what its text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The session; of an access token the claim `sid`.
    pub session_id: SessionId,
    /// Its user; of an access token the claim `sub`.
    pub subject: UserId,
    /// The generation, of those of the session's credentials.
    pub generation: u32,
}

/// What a verified token says of itself, as far as the check needs it.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Whose session it continues.
    pub named: Named,
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
    /// The session of the token, in the live view.
    pub session: Arc<LiveSession>,
    /// The user of the session, in the live view.
    pub user: Arc<LiveUser>,
    /// Of the session and of the user.
    pub versions: (u32, u32),
}

impl Verified {
    /// What is kept of a token with these claims.
    #[must_use]
    pub fn new(claims: &AccessClaims, key_until: Option<DateTime<Utc>>) -> Self {
        let AccessClaims { session_id, subject, generation, .. } = *claims;
        Self { named: Named { session_id, subject, generation }, times: claims.times(), key_until, found: None }
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
