//! What readers of a text see: whether every character is seen, and is what it looks like (UTS #39, RFC 8264 §4.3).

use precis_core::{DerivedPropertyValue, FreeformClass, StringClass as _};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use unicode_security::general_security_profile::IdentifierType;
use unicode_security::mixed_script::AugmentedScriptSet;
use unicode_security::{GeneralSecurityProfile as _, MixedScript, skeleton};

/// Whether nobody sees this character, or not what it is (RFC 8264 §4.3).
#[must_use]
pub fn is_unseen(character: char) -> bool {
    let value = FreeformClass::default().get_value_from_char(character);
    let is_hidden = matches!(value, DerivedPropertyValue::Disallowed | DerivedPropertyValue::ContextJ);
    !character.is_ascii() && (is_hidden || draws_nothing(character))
}

/// Whether nothing of the character is seen, though the tables of PRECIS (Unicode 6.3) allow it or do not know it: Braille without
/// a dot, a note without a head, an object that is not there, and what stands for a character that could not be read; newer format
/// characters, and what is to be ignored wherever it is not known (`Default_Ignorable_Code_Point`).
pub(super) const fn draws_nothing(character: char) -> bool {
    matches!(
        character,
        '\u{2800}' | '\u{1d159}' | '\u{fffc}' | '\u{fffd}'
            | '\u{180f}' | '\u{2065}' | '\u{fff0}'..='\u{fff8}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether it is words with one plain space between them, and each part of a word has letters of one script only.
pub(super) fn has_words_of_one_script(text: &str, ends_part: impl Fn(char) -> bool) -> bool {
    text.split(' ').all(|word| {
        !word.is_empty()
            && !word.contains(char::is_whitespace)
            && word.split(&ends_part).all(MixedScript::is_single_script)
    })
}

/// Whether a combining mark is where a reader may miss it: at the beginning, on a sign, twice, or on a letter of a script that
/// is written without. `text` is in NFC, so an accent that Unicode has a letter for is none. Latin, Greek and Cyrillic letters
/// have no other marks: `m̃` and the `ọ̀` of Yoruba are refused with the `i̇` that nobody tells from `i`. Scripts that need marks
/// (Devanagari, Thai, Hebrew, Arabic) keep their own.
pub(super) fn has_stray_mark(text: &str) -> bool {
    let mut base = None;
    for character in text.chars() {
        if is_combining_mark(character) {
            let is_of_any_script = AugmentedScriptSet::for_char(character).is_all();
            if is_of_any_script || !base.is_some_and(takes_marks) {
                return true;
            }
        } else if !matches!(character, '\u{200c}' | '\u{200d}') {
            base = Some(character);
        }
    }
    let apart: Vec<char> = text.nfd().collect();
    apart.windows(2).any(|pair| pair[0] == pair[1] && is_combining_mark(pair[0]))
}

fn takes_marks(base: char) -> bool {
    base.is_alphabetic() && !['a', '\u{3b1}', '\u{430}'].into_iter().any(|letter| is_of_script_of(base, letter))
}

fn is_of_script_of(character: char, letter: char) -> bool {
    let mut scripts = AugmentedScriptSet::for_char(character);
    let is_of_any = scripts.is_all();
    scripts.intersect_with(letter.into());
    !is_of_any && !scripts.is_empty()
}

/// Whether it looks like a text in plain letters and signs, and is none (UTS #39 §4): `асе` in Cyrillic letters, also with
/// accents, or with another hyphen, or with an old Latin letter.
pub(super) fn passes_for_plain(text: &str) -> bool {
    let other: Vec<char> = text.chars().filter(|character| !is_latin(*character)).collect();
    // Of signs one is enough: another hyphen is seen in no script.
    let is_sign = |character: char| !character.is_alphanumeric() || is_modifier(character) || is_variant(character);
    let is_plain = other.iter().all(|character| looks_plain(*character))
        || other.iter().any(|character| is_sign(*character) && looks_plain(*character));
    (!other.is_empty() && is_plain) || text.chars().any(|it| passes_for_latin(it) || is_another_middle_dot(it))
}

/// Whether a letter or a number in it is one of ASCII in another form, as `ⓐ` is, or several in one, as in `㎏`. Those of Latin-1 are
/// on keyboards and told apart: `1º`, `m²`.
pub(super) fn has_plain_in_another_form(text: &str) -> bool {
    text.chars().filter(|character| *character > '\u{ff}' && is_variant(*character)).any(|character| {
        let plain: String = character.nfkc().collect();
        plain.is_ascii() && plain.contains(|part: char| part.is_ascii_alphanumeric())
    })
}

/// The text with every character that is compared as what it looks like (NFKC) in that form: `ａ` is `a`, but `ſ`, which is
/// compared as `s`, stays, as it looks like `f`.
pub(super) fn with_plain_variants(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        let compared: String = character.nfkc().collect();
        if is_styled(character) || skeleton_of(character) == skeleton(&compared).collect::<String>() {
            plain.push_str(&compared);
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Letters and signs of Latin names, which readers tell apart; clicks look like bars and exclamation marks, a grave accent alone
/// like an apostrophe, and `×` like a letter.
const fn is_latin(character: char) -> bool {
    (character.is_ascii() && character != '`')
        || matches!(
            character,
            '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{1bf}' | '\u{1c4}'..='\u{24f}' | '\u{300}'..='\u{36f}' | '\u{1e00}'..='\u{1eff}'
        )
}

/// A letter by its property that is drawn like a sign beside others: `ʼ`.
const fn is_modifier(character: char) -> bool {
    matches!(character, '\u{2b0}'..='\u{2ff}')
}

/// Whether Unicode has it only for another way to write something: `Ⅰ`.
fn is_variant(character: char) -> bool {
    !character.nfkc().eq([character])
}

/// Whether it is a plain letter or sign of another width or weight.
fn is_styled(character: char) -> bool {
    matches!(character, '\u{ff01}'..='\u{ff5e}' | '\u{1d400}'..='\u{1d7ff}' | '\u{2100}'..='\u{214f}')
        && character.nfkc().count() == 1
        && character.nfkc().all(|plain| plain.is_ascii())
}

/// Whether it looks like plain letters or signs, but for accents.
fn looks_plain(character: char) -> bool {
    let mut drawn = skeleton_of(character);
    drawn.retain(|part| !matches!(part, '\u{300}'..='\u{36f}'));
    is_styled(character) || (!drawn.is_empty() && drawn.is_ascii())
}

/// Whether it is a Latin letter that readers take for another: one that looks like one of ASCII, in this case or in the other (`ƿ`,
/// `ƅ` (`Ƅ`), `ſ`), or one that no language uses any more, or only phoneticians do (UTS #39 §3.1): `ꝑ`, `ɐ`.
fn passes_for_latin(character: char) -> bool {
    let cases = character.to_lowercase().chain(character.to_uppercase());
    let is_in_no_use =
        matches!(character.identifier_type(), Some(IdentifierType::Obsolete | IdentifierType::Technical));
    (is_in_no_use && is_of_script_of(character, 'a')) || std::iter::once(character).chain(cases).any(is_drawn_as_ascii)
}

/// Whether it is a dot at half the height, and neither that of Catalan (`l·l`) nor that between words of kana.
fn is_another_middle_dot(character: char) -> bool {
    !matches!(character, '·' | '・') && !character.is_alphanumeric() && skeleton_of(character) == "·"
}

/// `ı` and `þ` look so by the tables, but are letters of Turkish and Icelandic, whose readers tell them apart.
fn is_drawn_as_ascii(letter: char) -> bool {
    if letter.is_ascii() || matches!(letter, 'ı' | 'þ') || !is_of_script_of(letter, 'a') {
        return false;
    }
    let drawn = skeleton_of(letter);
    drawn.is_ascii() && (drawn.len() == 1 || is_variant(letter))
}

/// Whether it holds `へ`, which is the same in both kinds of kana, and no other letter of its kind in the word shows which.
pub(super) fn has_doubtful_kana(text: &str) -> bool {
    let is_hiragana = |character: &char| matches!(character, 'ぁ'..='ゖ');
    let is_katakana = |character: &char| matches!(character, 'ァ'..='ヺ');
    text.split(' ')
        .any(|word| is_only_he(word.chars().filter(is_hiragana)) || is_only_he(word.chars().filter(is_katakana)))
}

fn is_only_he(kana: impl Iterator<Item = char>) -> bool {
    let mut kana = kana.peekable();
    kana.peek().is_some() && kana.all(|letter| matches!(letter, 'へ' | 'べ' | 'ぺ' | 'ヘ' | 'ベ' | 'ペ'))
}

fn skeleton_of(character: char) -> String {
    skeleton(character.encode_utf8(&mut [0; 4])).collect()
}
