//! Users: a person with a name, a password and one role.

use chrono::{DateTime, Utc};
use unicode_normalization::UnicodeNormalization as _;

use super::id::UserId;
use super::words::words;

words! {
    /// Whether a user may log in.
    pub enum UserState {
        /// May log in.
        Active = "active",
        /// May not, and has no live session.
        Disabled = "disabled",
    }
}

/// A name that a user may have: 1 to 128 characters, in NFC, without control characters or outer white space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Username(String);

/// The text cannot be a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a username has 1 to 128 characters, no control characters, and no white space at its ends")]
pub struct InvalidUsername;

impl Username {
    /// Reads a username as typed.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        let name: String = text.nfc().take(129).collect();
        let length = name.chars().count();
        let fits = (1..=128).contains(&length) && name.trim() == name && !name.chars().any(char::is_control);
        if fits { Ok(Self(name)) } else { Err(InvalidUsername) }
    }

    /// What stands for the name of somebody who was erased.
    #[must_use]
    pub fn erased() -> Self {
        Self(super::redaction::ERASED.to_owned())
    }

    /// The name as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which names are compared: two names that differ only in case are one.
    #[must_use]
    pub fn folded(&self) -> String {
        fold(&self.0)
    }
}

impl std::fmt::Display for Username {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The form in which names are compared: NFKC, lower case.
#[must_use]
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfkc().flat_map(char::to_lowercase).collect()
}

/// A role: free text of 1 to 64 characters such as `administrateur`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Role(String);

/// The text cannot be a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role has 1 to 64 visible characters, and no white space at its ends")]
pub struct InvalidRole;

impl Role {
    /// Reads a role.
    pub fn parse(text: &str) -> Result<Self, InvalidRole> {
        let fits =
            (1..=64).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidRole) }
    }

    /// The role's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a user can be written to: at most 254 characters (RFC 5321 §4.5.3.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

/// The text cannot be an e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address is name@domain, at most 254 characters")]
pub struct InvalidEmail;

impl Email {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let fits = text.len() <= 254 && !text.chars().any(char::is_control) && text.parse::<lettre::Address>().is_ok();
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidEmail) }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a role allows beyond one's own sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    /// May do everything.
    pub admin: bool,
    /// May read the history. Every administrator may.
    pub auditor: bool,
}

/// Which roles allow what, from the configuration.
#[derive(Debug, Clone, Default)]
pub struct RolePolicy {
    /// Roles of administrators.
    pub admin: Vec<String>,
    /// Roles of security reviewers.
    pub auditor: Vec<String>,
}

impl RolePolicy {
    /// What a role allows.
    #[must_use]
    pub fn permissions(&self, role: &Role) -> Permissions {
        let is_in = |roles: &[String]| roles.iter().any(|known| known == role.as_str());
        let admin = is_in(&self.admin);
        Permissions { admin, auditor: admin || is_in(&self.auditor) }
    }
}

/// A user as the store knows it.
#[derive(Debug, Clone)]
pub struct User {
    /// Names the user for ever, also after a change of name.
    pub id: UserId,
    /// The present name.
    pub username: Username,
    /// The present role.
    pub role: Role,
    /// Whether the user may log in.
    pub state: UserState,
    /// The stored form of the password (PHC string, or bcrypt's); `None`: no password login until a reset.
    pub password_hash: Option<PasswordHash>,
    /// When the user was created or imported.
    pub created_at: DateTime<Utc>,
    /// When the password was last set by the user; `None` while it is the imported one.
    pub password_changed_at: Option<DateTime<Utc>>,
    /// Where the user is told of a login from a new device.
    pub email: Option<Email>,
}

/// The stored form of a password. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// Whether this is the form in which a name is compared.
#[must_use]
pub fn is_folded(name: &str, folded: &str) -> bool {
    if name.is_ascii() {
        let lower = name.bytes().map(|byte| byte.to_ascii_lowercase());
        return name.len() == folded.len() && lower.eq(folded.bytes());
    }
    fold(name) == folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_only_in_case_or_form_are_one() {
        let composed = Username::parse("Zoé").unwrap();
        let decomposed = Username::parse("ZOE\u{301}").unwrap();
        assert_eq!(composed.folded(), decomposed.folded());
    }

    #[test]
    fn a_username_is_refused_with_control_characters_or_outer_space() {
        for text in ["", " alice", "alice ", "a\r\nFAKE", "\u{1b}[2J", &"x".repeat(129)] {
            assert_eq!(Username::parse(text), Err(InvalidUsername), "{text:?}");
        }
    }

    #[test]
    fn an_email_address_is_one_line_with_a_domain() {
        for text in ["alice@example.org", "a.b+c@mairie.example.fr"] {
            assert_eq!(Email::parse(text).as_ref().map(Email::as_str), Ok(text));
        }
        for text in ["", "alice", "@example.org", "a@b\r\nBcc: c@d", "a b@example.org", &"x".repeat(255)] {
            assert_eq!(Email::parse(text), Err(InvalidEmail), "{text:?}");
        }
    }

    #[test]
    fn administrators_may_also_review() {
        let policy = RolePolicy { admin: vec!["administrateur".into()], auditor: vec!["auditeur".into()] };
        let of = |role: &str| policy.permissions(&Role::parse(role).unwrap());
        assert_eq!(of("administrateur"), Permissions { admin: true, auditor: true });
        assert_eq!(of("auditeur"), Permissions { admin: false, auditor: true });
        assert_eq!(of("Administrateur"), Permissions::default());
    }
}
