//! Users: a person with a name, a password and one role.

use chrono::{DateTime, Utc};
use precis_core::{FreeformClass, StringClass as _};
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use super::folding::fold;
use super::id::UserId;
use super::lookalike::{
    draws_nothing, has_doubtful_kana, has_plain_in_another_form, has_stray_mark, has_words_of_one_script, is_unseen,
    passes_for_plain, with_plain_variants,
};
use super::words::words;

words! {
    /// Whether a user may log in.
    pub enum UserState {
        /// The user may log in.
        Active = "active",
        /// The user may not log in, and has no live session.
        Disabled = "disabled",
    }
}

/// The name of a person who was erased.
pub const ERASED: &str = "(erased)";

/// A name that a user may have: 1 to 128 characters, in NFC, without control characters or outer white space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Username(String);

/// The text cannot be a username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    /// It has not the form of one.
    #[error("a username has 1 to 128 characters, no control characters, and no white space at its ends")]
    Form,
    /// It could be taken for the id of another user.
    #[error("a username is not written like an id (UUID)")]
    Id,
    /// It has characters that nobody sees, or tells from others.
    #[error(
        "a username has no characters that are not seen, no two spaces in a row, and no word of letters of different scripts"
    )]
    Unseen,
    /// It has an accent or another mark where readers miss it.
    #[error(
        "a username begins with no mark, and has no accent that makes no letter of its own (`é`) with what is before it"
    )]
    Mark,
    /// All that is not Latin in it looks like plain letters and signs, or a letter in it is not told from another.
    #[error("a username does not look like another one in plain letters and signs, or in other kana")]
    Confusable,
    /// It stands for those who were erased.
    #[error("a username is not `(erased)`, which stands for everybody who was erased")]
    Erased,
}

impl Username {
    /// Reads a username that a user has.
    pub fn parse(text: &str) -> Result<Self, InvalidUsername> {
        let name: String = text.nfc().take(129).collect();
        let length = name.chars().count();
        let fits = (1..=128).contains(&length) && name.trim() == name && !name.chars().any(char::is_control);
        if fits { Ok(Self(name)) } else { Err(InvalidUsername::Form) }
    }

    /// Reads a username that is given to a user from now on: nobody takes it for an id, or for what another name looks like
    /// (RFC 8264 §4.3, UTS #39 §5.1). Accents are part of letters (`é`, `ễ`): one that stays a character of its own in NFC, as in
    /// `m̃`, is refused on Latin, Greek and Cyrillic letters.
    pub fn new(text: &str) -> Result<Self, InvalidUsername> {
        let name = Self::parse(text)?;
        // Also as it is compared: digits have other widths.
        let folded = name.folded();
        if Uuid::parse_str(&name.0).is_ok() || Uuid::parse_str(&folded).is_ok() {
            return Err(InvalidUsername::Id);
        }
        if folded == fold(ERASED) {
            return Err(InvalidUsername::Erased);
        }
        if !name.is_seen() {
            return Err(InvalidUsername::Unseen);
        }
        if has_stray_mark(&name.0) {
            return Err(InvalidUsername::Mark);
        }
        if name.passes_for_another() { Err(InvalidUsername::Confusable) } else { Ok(name) }
    }

    /// Whether a reader sees every character, and of which script it is.
    fn is_seen(&self) -> bool {
        // Their rule for the dot between two letters of Catalan (RFC 5892 §A.3) has no capitals: `COL·LELL`.
        FreeformClass::default().allows(self.0.replace('L', "l")).is_ok()
            && !self.0.contains(draws_nothing)
            && has_words_of_one_script(&self.0, |_| false)
    }

    /// Whether it looks like another name, as it is written or as it is compared.
    fn passes_for_another(&self) -> bool {
        let compared: String = self.0.nfkc().collect();
        has_doubtful_kana(&compared) || passes_for_plain(&compared) || passes_for_plain(&with_plain_variants(&self.0))
    }

    /// What stands for the name of somebody who was erased.
    #[must_use]
    pub fn erased() -> Self {
        Self(ERASED.to_owned())
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

/// A role: free text of 1 to 64 characters such as `administrateur`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Role(String);

/// The text cannot be a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRole {
    /// It has not the form of one, or characters that nobody sees.
    #[error("a role has 1 to 64 visible characters, and no white space at its ends")]
    Form,
    /// It could be taken for another one.
    #[error(
        "a role does not look like another one: its words are of one script each, with one plain space between them, and it has no accent apart from its letter, and no letter or sign that looks like a plain one"
    )]
    Confusable,
}

impl Role {
    /// Reads a role that a user has.
    pub fn parse(text: &str) -> Result<Self, InvalidRole> {
        let fits =
            (1..=64).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidRole::Form) }
    }

    /// Reads a role that is given to a user from now on: nobody takes it for another that looks like it. Roles are compared as
    /// they are, so also `ａ` is not told from `a`.
    pub fn new(text: &str) -> Result<Self, InvalidRole> {
        let role = Self::parse(text)?;
        if text.chars().any(is_unseen) {
            return Err(InvalidRole::Form);
        }
        if role.passes_for_another() { Err(InvalidRole::Confusable) } else { Ok(role) }
    }

    fn passes_for_another(&self) -> bool {
        // Many write French with this apostrophe.
        let text: String = self.0.replace('\u{2019}', "'").nfc().collect();
        // A role may have an abbreviation in another script: `IT-отдел`.
        !has_words_of_one_script(&text, |character| character.is_ascii_punctuation())
            || has_stray_mark(&text)
            || has_doubtful_kana(&text)
            || has_plain_in_another_form(&text)
            || passes_for_plain(&text)
    }

    /// The name of the role, as configured and as shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Role {
    type Error = InvalidRole;

    fn try_from(text: String) -> Result<Self, InvalidRole> {
        Self::parse(&text)
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
    /// Reads an e-mail address: `name@domain`, at most 254 characters.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let fits = text.len() <= 254 && !text.chars().any(char::is_control) && text.parse::<lettre::Address>().is_ok();
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidEmail) }
    }

    /// The e-mail address, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a role allows beyond one's own sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Whether the role may do what administrators do.
    pub admin: bool,
    /// Whether the role may read the history. Every administrator may.
    pub auditor: bool,
}

/// Which roles allow what, from the configuration.
#[derive(Debug, Clone, Default)]
pub struct RolePolicy {
    /// The roles with the permission `admin` (`[roles] admin`).
    pub admin: Vec<Role>,
    /// The roles with the permission `auditor` (`[roles] auditor`).
    pub auditor: Vec<Role>,
}

impl RolePolicy {
    /// What a role allows.
    #[must_use]
    pub fn permissions(&self, role: &Role) -> Permissions {
        let admin = self.admin.contains(role);
        Permissions { admin, auditor: admin || self.auditor.contains(role) }
    }
}

/// A user as the store knows it.
#[derive(Debug, Clone)]
pub struct User {
    /// Names the user for ever, also after a change of name.
    pub id: UserId,
    /// The name now: not that of a login or of a token.
    pub username: Username,
    /// The role now: not that of a login or of a token.
    pub role: Role,
    /// Whether the user may log in.
    pub state: UserState,
    /// The stored form of the password (PHC string, or bcrypt's); `None`: no password login until a reset.
    pub password_hash: Option<PasswordHash>,
    /// When the user was created or imported.
    pub created_at: DateTime<Utc>,
    /// When the password was last set by the user; `None` while it is the imported one.
    pub password_changed_at: Option<DateTime<Utc>>,
    /// Since when the password is one that somebody else chose; until it is changed it is good for nothing but that. `None`: it
    /// is the user's own.
    pub must_change_password_since: Option<DateTime<Utc>>,
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

/// What the check needs of a user: as it is now, not as the token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserStatus {
    /// The name now: not that of a login or of a token.
    pub username: Username,
    /// The role now: not that of a login or of a token.
    pub role: Role,
    /// Whether the user may log in now.
    pub state: UserState,
    /// Whether the password is one that somebody else chose.
    pub must_change_password: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_is_refused_with_control_characters_or_outer_space() {
        for text in ["", " alice", "alice ", "a\r\nFAKE", "\u{1b}[2J", &"x".repeat(129)] {
            assert_eq!(Username::parse(text), Err(InvalidUsername::Form), "{text:?}");
        }
    }

    #[test]
    fn a_new_name_is_no_id_in_any_spelling() {
        for text in [
            "d41d8cd98f00b204e9800998ecf8427e",
            "D41D8CD98F00B204E9800998ECF8427E",
            "d41d8cd9-8f00-b204-e980-0998ecf8427e",
            "D41D8CD9-8F00-B204-E980-0998ECF8427E",
            "{d41d8cd9-8f00-b204-e980-0998ecf8427e}",
            "urn:uuid:d41d8cd9-8f00-b204-e980-0998ecf8427e",
            "\u{ff44}41d8cd98f00b204e9800998ecf8427e",
            "d41d8cd9-8f00-b204-e980-0998ecf8427\u{1d5be}",
        ] {
            assert!(Username::parse(text).is_ok());
            assert_eq!(Username::new(text), Err(InvalidUsername::Id), "{text}");
        }
    }

    #[test]
    fn a_new_name_has_no_character_that_is_not_seen() {
        for text in [
            "al\u{200b}ice",
            "\u{202e}ecila",
            "alice\u{2069}",
            "al\u{ad}ice",
            "ali\u{feff}ce",
            "alice\u{fe0f}",
            "al\u{115f}ice",
            "alice\u{e0041}",
            "jean  dupont",
            "jean\u{a0}dupont",
            "jean\u{3000}dupont",
            "\u{430}lice",
            "pay\u{440}al",
            "alice\u{e000}",
            "\u{2800}",
            "al\u{1d159}ice",
            "al\u{fffc}ice",
            "al\u{2065}ice",
            "al\u{1bca0}ice",
            "alice\u{fffd}",
            "al\u{200c}ice",
            "क\u{200d}ष",
            "ale·x",
        ] {
            assert_eq!(Username::new(text), Err(InvalidUsername::Unseen), "{text:?}");
        }
        for text in [
            "alice",
            "Zoé Dupont",
            "d'Artagnan-1.2_3@mairie.example.fr",
            "Ὀδυσσεύς",
            "Дмитрий Smith",
            "山田太郎",
            "محمد",
            "j.dupont+test",
            "user:1/2#3",
            "Gal·la",
            "COL·LELL",
            "क्\u{200d}ष",
            "श्रीमान्\u{200c}जी",
            "علی\u{200c}رضا",
            "ジャン・ポール",
        ] {
            assert!(Username::new(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_new_name_does_not_pass_for_one_in_plain_letters() {
        for text in [
            "jean\u{2010}paul",
            "jean\u{2212}paul",
            "\u{430}\u{441}\u{435}",
            "ab\u{261}",
            "wow\u{1c3}",
            "i\u{1c0}i",
            "a\u{2236}b",
            "a\u{2044}b",
            "o\u{2bc}neil",
            "o\u{2019}neil",
            "иван\u{2010}петров",
            "山田\u{2215}太郎",
            "\u{458}\u{43e}\u{451}\u{4cf}",
            "\u{441}\u{4bb}\u{4cf}\u{43e}\u{451}",
            "o\u{b4}neil",
            "o`neil",
            "о\u{2bc}Иван",
            "ma\u{d7}",
            "\u{1bf}aul",
            "\u{185}ob",
            "a\u{196}ice",
            "pa\u{17f}cal",
            "\u{a751}aypal",
            "\u{a750}aypal",
            "\u{250}lice",
            "gal\u{22c5}la",
            "山田\u{30d8}",
            "山田\u{3078}",
            "\u{3078}レン",
        ] {
            assert_eq!(Username::new(text), Err(InvalidUsername::Confusable), "{text:?}");
        }
        for text in
            ["cœur", "Łukasz", "Nguyễn", "Straße", "Ærø", "иван", "αβγδ", "Ｆｕｌｌ", "ﬁona", "Işık", "Þór", "ヘレン"]
        {
            assert!(Username::new(text).is_ok(), "{text:?}");
        }
        for text in ["Иван", "Александр", "Пётр", "Ольга", "Алёна", "Юрий", "Οδυσσεύς", "Νίκος", "Σοφία"]
        {
            assert!(Username::new(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_new_name_has_no_mark_that_readers_miss() {
        for text in [
            "admi\u{307}n",
            "j\u{307}ean",
            "zoé\u{301}",
            "\u{301}alice",
            "alice\u{332}",
            "m\u{303}",
            "иван\u{301}",
            "αβγδ\u{332}",
            "山\u{332}田",
            "alice-\u{301}",
            "7\u{301}",
            "が\u{3099}",
            "שָ\u{5b8}",
        ] {
            assert_eq!(Username::new(text), Err(InvalidUsername::Mark), "{text:?}");
        }
        for text in [
            "Zoe\u{301}",
            "Nguye\u{302}\u{303}n",
            "Žydrūnas",
            "अनिता शर्मा",
            "สมชาย ศรีสุข",
            "שָׁלוֹם",
            "مُحَمَّد",
            "か\u{3099}く",
        ] {
            assert!(Username::new(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_new_name_is_not_that_of_the_erased() {
        for text in [ERASED, "(Erased)", "\u{ff08}erased\u{ff09}"] {
            assert_eq!(Username::new(text), Err(InvalidUsername::Erased), "{text}");
            assert!(Username::parse(text).is_ok());
        }
        assert!(Username::new("erased").is_ok());
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
    fn a_new_role_has_no_character_that_is_not_seen_and_one_that_exists_is_read() {
        for text in [
            "adm\u{200b}in",
            "\u{202e}admin",
            "\u{feff}a",
            "adm\u{ad}in",
            "admin\u{fe0f}",
            "adm\u{200d}in",
            "admin\u{2069}",
            "admin\u{3164}",
            "admin\u{e0041}",
            "admin\u{fffd}",
        ] {
            assert_eq!(Role::new(text), Err(InvalidRole::Form), "{text:?}");
            assert_eq!(Role::parse(text).as_ref().map(Role::as_str), Ok(text));
        }
        for text in
            ["admin", "agent·e d’accueil", "stagiaire été", "IT-отдел", "管理员", "e\u{301}te", "1º degré", "m²"]
        {
            assert_eq!(Role::new(text).as_ref().map(Role::as_str), Ok(text));
        }
        for text in ["", " admin", "admin ", "a\nb", "\u{1b}[2J", &"x".repeat(65)] {
            assert_eq!(Role::new(text), Err(InvalidRole::Form), "{text:?}");
            assert_eq!(Role::parse(text), Err(InvalidRole::Form), "{text:?}");
        }
    }

    #[test]
    fn a_new_role_does_not_pass_for_another() {
        for text in [
            "\u{430}dmin",
            "\u{430}\u{501}min",
            "\u{ff41}dmin",
            "\u{1d41a}dmin",
            "\u{ff26}\u{ff30}",
            "admi\u{307}n",
            "admin\u{a0}x",
            "admin  x",
            "\u{301}admin",
            "pa\u{17f}cal",
            "chef\u{2010}adjoint",
            "\u{441}\u{435}\u{43e}",
            "IT-\u{430}dmin",
            "\u{24d0}dmin",
            "\u{1d43}dmin",
            "o\u{fb03}cier",
            "\u{a751}aypal",
        ] {
            assert_eq!(Role::new(text), Err(InvalidRole::Confusable), "{text:?}");
            assert_eq!(Role::parse(text).as_ref().map(Role::as_str), Ok(text));
        }
    }

    #[test]
    fn administrators_may_also_review() {
        let role = |text: &str| Role::parse(text).unwrap();
        let policy = RolePolicy { admin: vec![role("administrateur")], auditor: vec![role("auditeur")] };
        let of = |text: &str| policy.permissions(&role(text));
        assert_eq!(of("administrateur"), Permissions { admin: true, auditor: true });
        assert_eq!(of("auditeur"), Permissions { admin: false, auditor: true });
        assert_eq!(of("Administrateur"), Permissions::default());
    }
}
