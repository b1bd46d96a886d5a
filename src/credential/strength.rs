//! How hard a password is to guess, as `zxcvbn` estimates it: with its own lists (English words, names, known passwords), and
//! with those of `blocklist/`, the words of the house and the user's name beside them.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use zeroize::Zeroizing;
use zxcvbn::matching::Match;
use zxcvbn::matching::patterns::MatchPattern;

/// In characters. What comes behind is not looked at: the time grows faster than the length, and so many take some milliseconds,
/// half as long as a hash at the most. `zxcvbn` itself would look at 100.
const LONGEST_MEASURED: usize = 48;
/// So many characters are enough where nothing is known of any: the least length that NIST SP 800-63B allows anywhere.
const ENOUGH_UNKNOWN: usize = 8;
/// The shortest beginning of a keyboard walk that counts as one, in characters.
const SHORTEST_WALK: usize = 4;
/// The shortest part of a name that counts as a word, in characters: shorter ones are in every password.
const SHORTEST_NAME: usize = 3;

const COMMON: &str = include_str!("blocklist/common.txt");
const FILLERS: &str = include_str!("blocklist/fillers.txt");
const CONTEXT: &str = include_str!("blocklist/context.txt");
const SEQUENCES: &str = include_str!("blocklist/sequences.txt");

/// What a password that is easily guessed is mostly made of; what says more comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// One thing several times.
    Repeat,
    /// `1234`, `azerty`, a date.
    Sequence,
    /// Words that are often passwords or parts of them.
    Common,
    /// Words of the service, of its house, or of the user's own name.
    Context,
}

/// The form in which passwords are compared with lists: NFKC, lower case, without accents.
pub(super) fn fold(text: &str) -> Zeroizing<String> {
    let folded = text.nfkc().flat_map(char::to_lowercase).nfkd().filter(|c| !is_combining_mark(*c));
    // Four bytes for each byte: room enough, so that growing does not leave copies behind.
    let mut kept = Zeroizing::new(String::with_capacity(4 * text.len()));
    for character in folded {
        match character {
            'œ' => kept.push_str("oe"),
            'æ' => kept.push_str("ae"),
            'ß' => kept.push_str("ss"),
            _ => kept.push(character),
        }
    }
    kept
}

/// Estimates how hard a password is to guess, with words of its own before those of `zxcvbn`.
pub(super) struct Estimator {
    /// Each word once, those that are guessed first before the others.
    words: Vec<String>,
    kinds: HashMap<String, Kind>,
}

impl Estimator {
    /// With the built-in lists and these words of the house.
    pub(super) fn new<'a>(context_words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut estimator = Self { words: Vec::new(), kinds: HashMap::new() };
        for word in context_words.into_iter().flat_map(words_of_name).chain(words_of(CONTEXT)) {
            estimator.add(word, Kind::Context);
        }
        for word in words_of(COMMON).chain(words_of(FILLERS)) {
            estimator.add(word, Kind::Common);
        }
        for walk in lines_of(SEQUENCES).map(joined) {
            for (end, _) in walk.char_indices().skip(SHORTEST_WALK).chain([(walk.len(), ' ')]) {
                estimator.add(walk[..end].to_owned(), Kind::Sequence);
            }
        }
        estimator
    }

    fn add(&mut self, word: String, kind: Kind) {
        if !self.kinds.contains_key(&word) {
            self.kinds.insert(word.clone(), kind);
            self.words.push(word);
        }
    }

    /// What a folded password is mostly made of, where it is guessed with fewer than 10 to the power of `digits` tries. `None`
    /// where it takes more, or nothing in it is known.
    pub(super) fn weakness(&self, folded: &str, username: &str, digits: f64) -> Option<Kind> {
        let name = words_of_name(username);
        let others = self.words.iter().filter(|word| !name.contains(word));
        let words: Vec<&str> = name.iter().chain(others).map(String::as_str).collect();
        let text: Zeroizing<String> = Zeroizing::new(joined(folded).chars().take(LONGEST_MEASURED).collect());
        // A sign at the end, as in `soleil2026!`, adds nothing, but may be part of a repeat.
        let without = text.trim_end_matches(|c: char| c.is_ascii_punctuation());
        let weak = |text: &str| {
            let estimate = zxcvbn::zxcvbn(text, &words);
            let found = estimate.sequence();
            let is_unknown = text.chars().count() >= ENOUGH_UNKNOWN
                && found.iter().all(|part| part.pattern == MatchPattern::BruteForce);
            (estimate.guesses_log10() < digits && !is_unknown).then(|| self.mostly(found, &name))
        };
        weak(&text).or_else(|| if without.len() < text.len() { weak(without) } else { None })
    }

    /// The kind that covers most characters. Repeats only tell where there is nothing else to tell.
    fn mostly(&self, found: &[Match], name: &[String]) -> Kind {
        let covered = |kind: Kind| -> usize {
            let parts = found.iter().filter(|part| self.kind(&part.pattern, name) == Some(kind));
            parts.map(|part| part.j + 1 - part.i).sum()
        };
        let known = [Kind::Sequence, Kind::Common, Kind::Context].map(|kind| (covered(kind), kind));
        let otherwise = if covered(Kind::Repeat) > 0 { Kind::Repeat } else { Kind::Common };
        known.into_iter().filter(|(count, _)| *count > 0).max().map_or(otherwise, |(_, kind)| kind)
    }

    fn kind(&self, pattern: &MatchPattern, name: &[String]) -> Option<Kind> {
        match pattern {
            MatchPattern::Dictionary(found) if name.contains(&found.matched_word) => Some(Kind::Context),
            MatchPattern::Dictionary(found) if found.matched_word.bytes().all(|c| c.is_ascii_digit()) => {
                Some(Kind::Sequence)
            }
            MatchPattern::Dictionary(found) => {
                Some(self.kinds.get(&found.matched_word).copied().unwrap_or(Kind::Common))
            }
            MatchPattern::Repeat(repeated) => {
                let is_context = |part: &Match| self.kind(&part.pattern, name) == Some(Kind::Context);
                Some(if repeated.base_matches.iter().all(is_context) { Kind::Context } else { Kind::Repeat })
            }
            MatchPattern::BruteForce => None,
            _ => Some(Kind::Sequence),
        }
    }
}

/// Without what people put between words, and with the letters that signs stand for. Digits stay: `zxcvbn` tries both readings.
/// It does so with signs as well, but each that a password has doubles its time.
fn joined(folded: &str) -> String {
    let kept = folded.chars().filter(|c| !(c.is_whitespace() || "-_.,'’".contains(*c)));
    kept.map(|typed| match typed {
        '@' => 'a',
        '(' | '{' | '[' | '<' => 'c',
        '€' => 'e',
        '|' => 'l',
        '$' => 's',
        '+' => 't',
        '%' => 'x',
        other => other,
    })
    .collect()
}

/// The words in a name: each of its parts, and the whole.
fn words_of_name(name: &str) -> Vec<String> {
    let folded = fold(name);
    let whole = folded.chars().filter(|c| c.is_alphanumeric()).collect();
    let parts = folded.split(|c: char| !c.is_alphanumeric()).map(str::to_owned);
    parts.chain([whole]).filter(|word| word.chars().count() >= SHORTEST_NAME).collect()
}

fn lines_of(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| !line.starts_with("# ") && !line.is_empty())
}

fn words_of(list: &str) -> impl Iterator<Item = String> {
    lines_of(list).flat_map(str::split_whitespace).map(|word| fold(word).to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    static ESTIMATOR: LazyLock<Estimator> = LazyLock::new(|| Estimator::new(["Belleville-sur-Mer"]));

    fn weakness(text: &str) -> Option<Kind> {
        ESTIMATOR.weakness(&fold(text), "jean.dupont", 10.0)
    }

    #[test]
    fn a_word_counts_the_same_however_it_is_spelt() {
        for text in ["soleil", "Soleil", "SÔLEIL", "s0l3il", "$ol3!l", "so.le-il", "soleil!", "lielos"] {
            assert_eq!(weakness(text), Some(Kind::Common), "{text}");
        }
    }

    #[test]
    fn every_word_of_the_lists_is_weak_also_with_what_is_added_to_please_a_rule() {
        for (number, word) in words_of(COMMON).chain(words_of(CONTEXT)).chain(words_of(FILLERS)).enumerate() {
            let ending = ["", "123456789", "2026!2026!", "azertyuiop", "-2026"][number % 5];
            let password = format!("{word}{ending}");
            assert!(weakness(&password).is_some(), "{password}");
        }
    }

    #[test]
    fn walks_over_french_and_german_keyboards_are_sequences() {
        for line in lines_of(SEQUENCES) {
            let backwards: String = line.chars().rev().collect();
            for walk in [line, backwards.as_str()] {
                assert!(weakness(walk).is_some(), "{walk}");
            }
        }
        for text in ["123456789", "azertyuiop", "poiuytreza", "qwertzuiop", "wxcvbn,;:!", "2026"] {
            assert_eq!(weakness(text), Some(Kind::Sequence), "{text}");
        }
    }

    #[test]
    fn the_users_name_is_context_in_its_parts_and_backwards() {
        for text in ["dupont", "Jean.Dupont", "jeandupont", "tnopudnaej", "DUPONT!", "belleville2026"] {
            assert_eq!(weakness(text), Some(Kind::Context), "{text}");
        }
    }

    #[test]
    fn what_nobody_knows_is_not_weak() {
        assert_eq!(weakness("kqzvjwpx"), None);
        assert_eq!(weakness("k q z v j w p x"), None);
        for text in ["kqzvjwp--------", "- - - -"] {
            assert_eq!(weakness(text), Some(Kind::Common), "{text}: too little is left of it");
        }
    }

    #[test]
    fn what_comes_behind_the_longest_beginning_does_not_count() {
        let text = format!("{}{}", "bonjour".repeat(10), "kqzvjwpxmbtgfhdkqz");
        assert!(weakness(&text).is_some());
    }

    #[test]
    fn the_lists_are_words_of_letters_and_digits() {
        for list in [COMMON, FILLERS, CONTEXT] {
            assert!(words_of(list).all(|word| word.chars().all(char::is_alphanumeric)));
        }
        assert!(words_of(COMMON).count() > 2000);
    }

    proptest! {
        #[test]
        fn no_text_stops_the_estimate(text in "\\PC{0,80}", signs in "[4@8({<3691!|70$5+%2\\[]{0,64}") {
            weakness(&text);
            weakness(&signs);
        }
    }
}
