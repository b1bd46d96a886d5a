//! What a password must be (PWD-01 to PWD-04): long enough, and not one that somebody would guess. Nothing else: no
//! rule about kinds of characters, and no age.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io::{BufRead, BufReader};
use std::path::Path;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::strength::{Estimator, Kind, fold};
use crate::regular_file;

/// The longest password, in bytes of its normal form; 256 characters of any script at the least (PWD-02).
pub const MAX_BYTES: usize = 1024;
/// The longest text that is looked at: the normal form of a longer one cannot fit either.
const MAX_RAW_BYTES: usize = 4 * MAX_BYTES;
/// A password must take 10 to the power of so many guesses at least, `zxcvbn`'s highest score, or as many as random digits of the
/// least length do.
const LEAST_DIGITS: usize = 10;

/// Why a password is refused. The text is for the person who chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    /// Fewer characters than the configuration asks for.
    #[error("the password must have at least {min} characters")]
    TooShort {
        /// The least number of characters.
        min: usize,
    },
    /// The password has more than [`MAX_BYTES`] bytes in UTF-8.
    #[error("the password must not be longer than {MAX_BYTES} bytes")]
    TooLong,
    /// On the list of the configuration.
    #[error("the password is on a list of known passwords")]
    Listed,
    /// Mostly words that people use in passwords.
    #[error("the password is little more than common words; take four or more words that do not belong together")]
    Common,
    /// Mostly the username, or words of the service and its house.
    #[error("the password is little more than the username or words of this service; take others")]
    Context,
    /// Mostly `123456` or `azerty`.
    #[error("the password is little more than a sequence of characters such as 123456 or azerty")]
    Sequence,
    /// Mostly one thing several times.
    #[error("the password is little more than one thing repeated")]
    Repetitive,
    /// The one that there is.
    #[error("the password is the one that is to be changed; take another")]
    Unchanged,
}

/// A password that the policy accepts, in NFC. `Debug` shows nothing of it.
pub struct NewPassword(pub(super) Zeroizing<String>);

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewPassword")
    }
}

/// The form in which a password is hashed: NFC, so that the keyboard it is typed on does not matter. `None`: too long.
pub(super) fn normalised(password: &str) -> Option<Zeroizing<String>> {
    if password.len() > MAX_RAW_BYTES {
        return None;
    }
    // NFC takes at most three times the room (UAX 15 §12); growing would leave copies behind.
    let mut normal = Zeroizing::new(String::with_capacity(3 * password.len()));
    normal.extend(password.nfc());
    (normal.len() <= MAX_BYTES).then_some(normal)
}

/// The rules for new passwords.
pub(super) struct Policy {
    min_length: usize,
    /// The logarithm to base 10 of the guesses that a password must take.
    least_digits: f64,
    estimator: Estimator,
    listed: Listed,
}

impl Policy {
    /// The built-in lists, with `context_words` and the lines of `blocklist_file` (an empty path: none).
    pub(super) fn new<'a>(
        min_length: usize,
        context_words: impl IntoIterator<Item = &'a str>,
        blocklist_file: &Path,
    ) -> Result<Self, std::io::Error> {
        let listed =
            if blocklist_file.as_os_str().is_empty() { Listed::default() } else { Listed::open(blocklist_file)? };
        let least_digits = u32::try_from(min_length.min(LEAST_DIGITS)).map_or(f64::MAX, f64::from);
        Ok(Self { min_length, least_digits, estimator: Estimator::new(context_words), listed })
    }

    /// Checks a new password.
    pub(super) fn accept(&self, password: &str, username: &str) -> Result<NewPassword, Unacceptable> {
        let normal = normalised(password).ok_or(Unacceptable::TooLong)?;
        if normal.chars().count() < self.min_length {
            return Err(Unacceptable::TooShort { min: self.min_length });
        }
        let folded = fold(&normal);
        if self.listed.contains(&folded) {
            return Err(Unacceptable::Listed);
        }
        match self.estimator.weakness(&folded, username, self.least_digits) {
            None => Ok(NewPassword(normal)),
            Some(Kind::Context) => Err(Unacceptable::Context),
            Some(Kind::Sequence) => Err(Unacceptable::Sequence),
            Some(Kind::Repeat) => Err(Unacceptable::Repetitive),
            Some(Kind::Common) => Err(Unacceptable::Common),
        }
    }
}

/// The passwords of a file as sorted 64-bit digests: eight bytes each, so that millions fit. The key of the digest is
/// random, so nobody can choose a password that collides.
#[derive(Default)]
struct Listed {
    key: RandomState,
    digests: Vec<u64>,
}

impl Listed {
    fn open(path: &Path) -> Result<Self, std::io::Error> {
        let (file, _) = regular_file::open(path)?;
        Self::read(BufReader::new(file))
    }

    /// One password a line. Bytes that are not UTF-8 are read as U+FFFD: such lines match nothing and harm nothing.
    fn read(mut lines: impl BufRead) -> Result<Self, std::io::Error> {
        let mut listed = Self::default();
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            let password = text.trim_end_matches(['\r', '\n']);
            if !password.is_empty() {
                listed.digests.push(listed.digest(&fold(password)));
            }
            line.clear();
        }
        listed.digests.sort_unstable();
        listed.digests.dedup();
        listed.digests.shrink_to_fit();
        Ok(listed)
    }

    fn contains(&self, folded: &str) -> bool {
        self.digests.binary_search(&self.digest(folded)).is_ok()
    }

    fn digest(&self, folded: &str) -> u64 {
        self.key.hash_one(folded)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::Write as _;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static POLICY: LazyLock<Policy> =
        LazyLock::new(|| Policy::new(15, ["vigie", "Belleville-sur-Mer"], Path::new("")).unwrap());

    fn refusal(password: &str) -> Option<Unacceptable> {
        POLICY.accept(password, "alice").err()
    }

    #[test]
    fn length_is_counted_in_characters_of_the_normal_form() {
        let short = Unacceptable::TooShort { min: 15 };
        assert_eq!(refusal("kqzvjwpxmbtgfh"), Some(short));
        assert_eq!(refusal("kqzvjwpxmbtgfhd"), None);
        assert_eq!(refusal("ékqzvjwpxmbtgf"), Some(short));
        assert_eq!(refusal("e\u{301}kqzvjwpxmbtgf"), Some(short), "two code points, one character");
        assert_eq!(refusal("鍵山雛霧雨魔理沙博麗霊夢十六夜"), None);
    }

    #[test]
    fn a_password_may_have_1024_bytes_and_no_more() {
        let phrase = "cheval agrafe batterie correct ".repeat(40);
        assert_eq!(refusal(&phrase[..1024]), None);
        assert_eq!(refusal(&phrase[..1025]), Some(Unacceptable::TooLong));
        assert_eq!(refusal(&"x".repeat(5_000_000)), Some(Unacceptable::TooLong));
    }

    #[test]
    fn no_kind_of_character_is_asked_for_or_forbidden() {
        for password in [
            "cheval agrafe batterie correct",
            "CHEVAL AGRAFE BATTERIE CORRECT",
            "purple elbow quantum teapot",
            "  fourmi   glacier   moquette  ",
            "\u{1f980}\u{1f388}\u{1fa81}\u{1f9f2}\u{1f3bb}\u{1f9c5}\u{1f52d}\u{1f9f5}\u{1f6b2}\u{1f41d}\u{1f344}\u{1f3b2}\u{1f512}\u{1f33b}\u{1f9ca}",
            "839201746582039174",
            "tab\tand\0control tapir lozenge",
        ] {
            assert_eq!(refusal(password), None, "{password:?}");
        }
    }

    #[test]
    fn passwords_that_are_guessed_first_are_refused_with_the_reason() {
        for (password, reason) in [
            ("motdepasse123456", Unacceptable::Common),
            ("MotDePasse2026!", Unacceptable::Common),
            ("M0t.d3.P@ss3.2026", Unacceptable::Common),
            ("passwordpassword", Unacceptable::Repetitive),
            ("P@ssw0rd20262026", Unacceptable::Common),
            ("jetaimemonamour!", Unacceptable::Common),
            ("bonjour-soleil-2024", Unacceptable::Common),
            ("Nicolas et Camille", Unacceptable::Common),
            ("correct horse battery staple", Unacceptable::Common),
            ("iloveyouiloveyou", Unacceptable::Repetitive),
            ("aaaaaaaaaaaaaaa", Unacceptable::Repetitive),
            ("chapchapchapchapchap", Unacceptable::Repetitive),
            ("123456789012345", Unacceptable::Sequence),
            ("azertyuiopqsdfghjklm", Unacceptable::Sequence),
            ("qwertyuiop123456789", Unacceptable::Sequence),
            ("1qaz2wsx3edc4rfv", Unacceptable::Sequence),
            ("abcdefghijklmnop", Unacceptable::Sequence),
            ("alice2026xxxxx!", Unacceptable::Context),
            ("alice2026-kqzvj", Unacceptable::Context),
            ("AliceAliceAlice1", Unacceptable::Context),
            ("ecila ecila ecila", Unacceptable::Context),
            ("vigievigievigie", Unacceptable::Context),
            ("Belleville-sur-Mer1", Unacceptable::Context),
            ("mairie2026mairie", Unacceptable::Context),
            ("Préfecture-Courrier-2026", Unacceptable::Context),
            ("republiquefrancaise", Unacceptable::Context),
        ] {
            assert_eq!(refusal(password), Some(reason), "{password}");
        }
    }

    #[test]
    fn more_than_3000_whole_passwords_of_the_least_length_are_refused() {
        let words = include_str!("blocklist/common.txt");
        let words = words.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
        let mut refused = HashSet::new();
        for word in words.filter(|word| word.chars().count() >= 6) {
            for ending in ["123456789", "2026!2026!", "azertyuiop"] {
                let password = format!("{word}{ending}");
                assert!(refusal(&password).is_some(), "{password}");
                refused.insert(password);
            }
        }
        assert!(refused.iter().all(|password| password.chars().count() >= 15));
        assert!(refused.len() > 3000, "{}", refused.len());
    }

    /// Words as they come in a dictionary, some of them on the list of common ones.
    const ORDINARY: &str = "agrafe batterie cheval tiroir moquette fourmi glacier parapluie navet horloge violon \
        grenier trottoir bouilloire cactus ardoise poivron clairon brouette escalier soleil guitare banane coquillage \
        marteau tuyau pinceau falaise biscuit tracteur elbow quantum teapot lantern gravel walnut bishop copper \
        tunnel ribbon dragon kettle saddle orbit pebble anchor thimble cactus mustard velvet harbor monkey pillow";

    #[test]
    fn four_different_ordinary_words_are_accepted() {
        let words: Vec<_> = ORDINARY.split_whitespace().collect();
        let step = |from: usize, by: usize| words[(from * 7 + by * 13 + from * by) % words.len()];
        let mut accepted = HashSet::new();
        for from in 0..words.len() {
            for start in 0..20 {
                let chosen: Vec<_> = (start..start + 4).map(|by| step(from, by)).collect();
                if chosen.iter().collect::<HashSet<_>>().len() == 4 {
                    let password = chosen.join(" ");
                    assert_eq!(refusal(&password), None, "{password}");
                    accepted.insert(password);
                }
            }
        }
        assert!(accepted.len() > 500, "{}", accepted.len());
    }

    #[test]
    fn the_lines_of_a_file_are_refused_in_any_case() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all("Tapir Lozenge Été\r\n\n".as_bytes()).unwrap();
        file.write_all(b"\xff\xfe not utf-8\ngravel walnut bishop").unwrap();
        let policy = Policy::new(15, [], file.path()).unwrap();
        let refusal = |password: &str| policy.accept(password, "alice").err();
        assert_eq!(refusal("tapir lozenge ÉTÉ"), Some(Unacceptable::Listed));
        assert_eq!(refusal("GRAVEL WALNUT BISHOP"), Some(Unacceptable::Listed));
        assert_eq!(refusal("gravel walnut bishop tapir"), None);
        assert_eq!(refusal("kqzvjwpxmbtgfhd"), None);
    }

    #[test]
    fn a_file_of_hundreds_of_thousands_of_lines_takes_eight_bytes_a_line() {
        let lines: Vec<_> = (0..200_000).chain(0..200_000).map(|number| number.to_string()).collect();
        let listed = Listed::read(lines.join("\n").as_bytes()).unwrap();
        assert_eq!(listed.digests.len(), 200_000);
        assert!(listed.contains("199999") && !listed.contains("200000"));
    }

    #[test]
    fn a_new_password_prints_nothing_of_itself() {
        let accepted = POLICY.accept("cheval agrafe batterie correct", "alice").unwrap();
        assert_eq!(format!("{accepted:?}"), "NewPassword");
    }

    proptest! {
        #[test]
        fn how_a_text_is_encoded_does_not_change_the_answer(text in "\\PC{8,40}") {
            let accept = |text: &str| POLICY.accept(text, "alice").map(|accepted| accepted.0);
            let decomposed: String = text.nfd().collect();
            prop_assert_eq!(accept(&text), accept(&decomposed));
        }
    }
}
