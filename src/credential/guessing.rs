//! How much of a password a guesser must really guess, once words, sequences and repeats count as little as they are
//! worth.
//!
//! The measure is the *worth* of a text: how many random characters would be as hard to guess. It is that of the
//! cheapest way to put the text together from pieces, found by dynamic programming from left to right.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use zeroize::Zeroizing;

/// What comes behind is not looked at: the time grows with the square of the length.
const LONGEST_MEASURED: usize = 256;
/// Shorter repeats and walks come about by chance, in ordinary words too.
const SHORTEST_REPEAT: usize = 3;
const SHORTEST_NUMBER_WALK: usize = 3;
const SHORTEST_WALK: usize = 4;

const COMMON: &str = include_str!("blocklist/common.txt");
const FILLERS: &str = include_str!("blocklist/fillers.txt");
const CONTEXT: &str = include_str!("blocklist/context.txt");
const SEQUENCES: &str = include_str!("blocklist/sequences.txt");

/// What a piece of a password is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// Nothing known.
    Unknown,
    /// A word that is often a password or part of one.
    Common,
    /// `the`, `mon`.
    Filler,
    /// A word of the service, of its house, or of the user's own name.
    Context,
    /// `1234`, `azerty`.
    Sequence,
    /// What stood further left already.
    Repeat,
    /// Digits of no known order.
    Digits,
}

/// What measuring a text gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measure {
    /// How many random characters would be as hard to guess.
    pub worth: usize,
    /// What most of the text is made of.
    pub mostly: Piece,
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

/// Words with what they are, as a tree of their letters.
#[derive(Clone, Default)]
pub(super) struct Lexicon {
    nodes: Vec<Node>,
}

#[derive(Clone, Default)]
struct Node {
    next: HashMap<char, usize>,
    word: Option<Piece>,
}

impl Lexicon {
    /// The words that are built in.
    pub(super) fn built_in() -> Self {
        let mut lexicon = Self::default();
        for (list, piece) in [(COMMON, Piece::Common), (FILLERS, Piece::Filler), (CONTEXT, Piece::Context)] {
            for word in words_of(list) {
                lexicon.insert(word, piece);
            }
        }
        lexicon
    }

    /// Adds the words of `text` as context: each of its parts, the whole, and the whole backwards.
    ///
    /// Parts below three letters are left out: they are in every password.
    pub(super) fn insert_context(&mut self, text: &str) {
        let folded = fold(text);
        let whole: String = folded.chars().filter(|c| c.is_alphanumeric()).collect();
        let backwards: String = whole.chars().rev().collect();
        let parts = folded.split(|c: char| !c.is_alphanumeric());
        for word in parts.chain([folded.as_str(), &whole, &backwards]).filter(|word| word.chars().count() >= 3) {
            self.insert(word, Piece::Context);
        }
    }

    /// Adds one word. A word that is there already becomes the less worthy of the two.
    fn insert(&mut self, word: &str, piece: Piece) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut node = 0;
        for letter in fold(word).chars() {
            let fresh = self.nodes.len();
            node = *self.nodes[node].next.entry(letter).or_insert(fresh);
            if node == fresh {
                self.nodes.push(Node::default());
            }
        }
        let known = &mut self.nodes[node].word;
        if known.is_none_or(|known| worth_of(known, 0) >= worth_of(piece, 0)) {
            *known = Some(piece);
        }
    }

    /// Calls `found` with the end and the kind of each word that begins at `start`, also where it is spelt in leet.
    fn words_at(&self, text: &[char], start: usize, found: &mut impl FnMut(usize, Piece)) {
        let mut open = if self.nodes.is_empty() { vec![] } else { vec![(0, start)] };
        while let Some((node, at)) = open.pop() {
            if let Some(piece) = self.nodes[node].word {
                found(at, piece);
            }
            let Some(&typed) = text.get(at) else { continue };
            let meant = std::iter::once(typed).chain(leet(typed).chars());
            open.extend(meant.filter_map(|letter| self.nodes[node].next.get(&letter)).map(|next| (*next, at + 1)));
        }
    }
}

/// Runs that follow a rule or the keyboard, forwards and backwards: for each character what may stand from there on.
pub(super) struct Sequences(HashMap<char, Vec<Vec<char>>>);

impl Sequences {
    /// The sequences that are built in.
    pub(super) fn built_in() -> Self {
        let mut continuations: HashMap<char, Vec<Vec<char>>> = HashMap::new();
        let forwards = lines_of(SEQUENCES).map(|line| line.trim().chars().collect::<Vec<_>>());
        for run in forwards.flat_map(|run| [run.iter().rev().copied().collect(), run]) {
            for (at, first) in run.iter().enumerate() {
                continuations.entry(*first).or_default().push(run[at..].to_vec());
            }
        }
        Self(continuations)
    }

    /// The length of the longest part of a sequence that stands at `start`; 0 where none does.
    fn longest_at(&self, text: &[char], start: usize) -> usize {
        let runs = text.get(start).and_then(|first| self.0.get(first));
        runs.into_iter().flatten().map(|run| common_length(run, &text[start..])).max().unwrap_or(0)
    }
}

/// All that pieces are recognised by.
pub(super) struct Guesser<'a> {
    /// Known to everybody.
    pub words: &'a Lexicon,
    /// Known to whoever knows the user.
    pub user: &'a Lexicon,
    /// Runs of characters.
    pub sequences: &'a Sequences,
}

/// The cheapest way to a place in the text: its worth, where its last piece began, and what that is.
#[derive(Clone, Copy)]
struct Step {
    worth: usize,
    from: usize,
    piece: Piece,
}

impl Guesser<'_> {
    /// Measures a folded text, as it is and without what people put between words; the cheaper counts.
    pub(super) fn measure(&self, folded: &str) -> Measure {
        let text: Zeroizing<Vec<char>> = Zeroizing::new(folded.chars().take(LONGEST_MEASURED).collect());
        let joined = text.iter().copied().filter(|c| !(c.is_whitespace() || "-_.,'’".contains(*c)));
        let joined: Zeroizing<Vec<char>> = Zeroizing::new(joined.collect());
        let (whole, joined) = (self.measure_as_is(&text), self.measure_as_is(&joined));
        if joined.worth < whole.worth { joined } else { whole }
    }

    fn measure_as_is(&self, text: &[char]) -> Measure {
        let start = Step { worth: 0, from: 0, piece: Piece::Unknown };
        let mut steps = vec![Step { worth: usize::MAX, ..start }; text.len() + 1];
        steps[0] = start;
        for from in 0..text.len() {
            let before = steps[from].worth;
            self.pieces_at(text, from, &mut |to, piece| {
                let worth = before + worth_of(piece, to - from);
                if worth < steps[to].worth {
                    steps[to] = Step { worth, from, piece };
                }
            });
        }
        Measure { worth: steps[text.len()].worth, mostly: mostly(&steps) }
    }

    /// Calls `found` with the end and the kind of each piece that may begin at `from`.
    fn pieces_at(&self, text: &[char], from: usize, found: &mut impl FnMut(usize, Piece)) {
        found(from + 1, Piece::Unknown);
        // One sign behind a piece, as in `soleil-bonjour!`, adds nothing.
        let mut found = |to: usize, piece| {
            found(to, piece);
            if text.get(to).is_some_and(|c| !c.is_alphanumeric()) {
                found(to + 1, piece);
            }
        };
        // Digits alone are no word, though `735` could be read as `tes`.
        let mut found_word = |to: usize, piece| {
            if text[from..to].iter().any(|c| !c.is_ascii_digit()) {
                found(to, piece);
            }
        };
        self.words.words_at(text, from, &mut found_word);
        self.user.words_at(text, from, &mut found_word);
        let digits = text[from..].iter().take_while(|c| c.is_ascii_digit()).count();
        for length in 1..=digits {
            found(from + length, if is_year(&text[from..from + length]) { Piece::Sequence } else { Piece::Digits });
        }
        let shortest = if digits >= SHORTEST_NUMBER_WALK { SHORTEST_NUMBER_WALK } else { SHORTEST_WALK };
        for length in shortest..=self.sequences.longest_at(text, from) {
            found(from + length, Piece::Sequence);
        }
        for length in SHORTEST_REPEAT..=longest_repeat(text, from) {
            found(from + length, Piece::Repeat);
        }
    }
}

/// How many random characters a piece is worth: a word of a list of some thousands two, ten digits six.
fn worth_of(piece: Piece, length: usize) -> usize {
    match piece {
        Piece::Unknown | Piece::Filler | Piece::Context | Piece::Sequence | Piece::Repeat => 1,
        Piece::Common => 2,
        Piece::Digits => (3 * length).div_ceil(5),
    }
}

/// The kind of known piece that covers most characters. Repeats only tell where there is nothing else to tell.
fn mostly(steps: &[Step]) -> Piece {
    let covered = |kind: Piece| {
        let mut at = steps.len() - 1;
        let mut count = 0;
        while at > 0 {
            let Step { from, piece, .. } = steps[at];
            count += if piece == kind { at - from } else { 0 };
            at = from;
        }
        count
    };
    let known = [Piece::Sequence, Piece::Common, Piece::Context].map(|kind| (covered(kind), kind));
    let most = known.into_iter().filter(|(count, _)| *count > 0).max_by_key(|(count, _)| *count);
    let otherwise = if covered(Piece::Repeat) > 0 { Piece::Repeat } else { Piece::Unknown };
    most.map_or(otherwise, |(_, kind)| kind)
}

fn longest_repeat(text: &[char], from: usize) -> usize {
    (0..from).map(|earlier| common_length(&text[earlier..], &text[from..])).max().unwrap_or(0)
}

fn common_length(one: &[char], other: &[char]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// Whether these are the four digits of a year from 1930 to 2049.
fn is_year(digits: &[char]) -> bool {
    matches!(digits, ['1', '9', '3'..='9', _] | ['2', '0', '0'..='4', _])
}

/// The letters that a character may stand for.
const fn leet(typed: char) -> &'static str {
    match typed {
        '@' | '4' => "a",
        '8' => "b",
        '(' => "c",
        '3' | '€' => "e",
        '6' | '9' => "g",
        '1' | '!' | '|' => "il",
        '0' => "o",
        '5' | '$' => "s",
        '7' | '+' => "t",
        '2' => "z",
        _ => "",
    }
}

fn lines_of(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|line| !line.starts_with("# ") && !line.is_empty())
}

fn words_of(list: &str) -> impl Iterator<Item = &str> {
    lines_of(list).flat_map(str::split_whitespace)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static WORDS: LazyLock<Lexicon> = LazyLock::new(Lexicon::built_in);
    static RUNS: LazyLock<Sequences> = LazyLock::new(Sequences::built_in);

    fn measure(text: &str) -> Measure {
        let mut user = Lexicon::default();
        user.insert_context("jean.dupont");
        let guesser = Guesser { words: &WORDS, user: &user, sequences: &RUNS };
        guesser.measure(&fold(text))
    }

    #[test]
    fn what_nobody_knows_is_worth_its_length() {
        assert_eq!(measure("kqzvjwpx").worth, 8);
        assert_eq!(measure("").worth, 0);
    }

    #[test]
    fn a_word_is_worth_the_same_however_it_is_spelt() {
        for text in ["soleil", "Soleil", "SÔLEIL", "s0l3il", "$ol3!l", "so.le-il", "soleil!"] {
            assert_eq!(measure(text), Measure { worth: 2, mostly: Piece::Common }, "{text}");
        }
    }

    #[test]
    fn sequences_years_and_repeats_are_worth_one() {
        for text in ["123456789", "987654", "azertyuiop", "poiuytreza", "qwertyuiopasdfghjkl", "1qaz2wsx", "2026"] {
            assert_eq!(measure(text), Measure { worth: 1, mostly: Piece::Sequence }, "{text}");
        }
        assert_eq!(measure("aaaaaaaaaaaaaaa"), Measure { worth: 2, mostly: Piece::Repeat });
        assert_eq!(measure("kqzkqzkqzkqzkqz"), Measure { worth: 4, mostly: Piece::Repeat });
    }

    #[test]
    fn the_users_name_is_context_in_its_parts_and_backwards() {
        for text in ["dupont", "Jean.Dupont", "jeandupont", "tnopudnaej", "DUPONT!"] {
            assert_eq!(measure(text), Measure { worth: 1, mostly: Piece::Context }, "{text}");
        }
    }

    #[test]
    fn the_lists_are_folded_words_without_doubles_within_a_list() {
        for list in [COMMON, FILLERS, CONTEXT] {
            assert!(words_of(list).all(|word| word.chars().all(char::is_alphanumeric)));
        }
        assert!(words_of(COMMON).count() > 2000);
    }
}
