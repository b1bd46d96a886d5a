//! Attempts: each try to log in, successful or not.

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::client::LoginClient;
use super::id::{AttemptId, SessionId, UserId};
use super::words::words;

words! {
    /// What came of a try to log in. The person trying is not told which.
    pub enum AttemptOutcome {
        /// A session was started.
        Success = "success",
        /// No user has this name.
        UnknownUser = "unknown_user",
        /// The password is not the user's.
        WrongPassword = "wrong_password",
        /// The user is disabled.
        Disabled = "disabled",
        /// Refused without looking at the password: too many failures.
        Throttled = "throttled",
        /// The user has no password yet.
        NoPassword = "no_password",
    }
}

/// A try to log in, or to confirm one's password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The id of this attempt.
    pub id: AttemptId,
    /// When somebody tried, to the microsecond.
    pub at: DateTime<Utc>,
    /// The name as typed. A name that no user has is shown masked ([`mask`]): people type passwords into the wrong field.
    pub username: String,
    /// The user, if there is one of that name.
    pub user_id: Option<UserId>,
    /// Whether the login succeeded, or why it failed.
    pub outcome: AttemptOutcome,
    /// The address that the attempt came from.
    pub ip: IpAddr,
    /// `User-Agent`, as in a session.
    pub user_agent: Option<String>,
    /// The application through which somebody tried, if one was named.
    pub client: LoginClient,
    /// The session it started.
    pub session_id: Option<SessionId>,
    /// The request it was.
    pub request_id: String,
}

/// The masked form of a name that no user has: its first character and eight characters of a keyed digest, so that
/// repeated tries with one name are seen to be one, and a password typed as a name is not kept (P7).
#[must_use]
pub fn mask(folded: &str, keyed_digest: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    let mut masked: String = folded.chars().take(1).filter(|first| !first.is_control()).collect();
    masked.push('…');
    for byte in &keyed_digest[..4] {
        let _ = write!(masked, "{byte:02x}");
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_name_keeps_one_character_and_tells_equal_names() {
        let digest = [0xab; 32];
        assert_eq!(mask("hunter2", &digest), "h…abababab");
        assert_eq!(mask("", &digest), "…abababab");
    }
}
