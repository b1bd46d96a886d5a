//! CSV (RFC 4180) for spreadsheets: no cell is a formula (ADM-11), whichever separator the reader takes cells apart by.

use crate::model::lookalike::is_unseen;
use crate::model::words::words;

words! {
    /// What stands between cells.
    #[derive(Default)]
    pub enum Separator {
        /// As RFC 4180 has it.
        #[default]
        Comma = "comma",
        /// As spreadsheets expect it where the comma is in numbers: in French, German and others.
        Semicolon = "semicolon",
        /// As text of columns is pasted.
        Tab = "tab",
    }
}

/// What some spreadsheet takes for the end of a cell.
const ENDS: [char; 5] = [',', ';', '\t', '\r', '\n'];
/// What begins a formula; the last four as wide as Chinese characters.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

impl Separator {
    const fn character(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Semicolon => ';',
            Self::Tab => '\t',
        }
    }
}

/// How a file of cells is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dialect {
    /// What stands between cells.
    pub separator: Separator,
    /// Whether a byte order mark says that it is UTF-8: Excel believes the names of no one else.
    pub bom: bool,
}

impl Dialect {
    /// Begins a file with its header.
    pub(super) fn begin(self, columns: &[&str], to: &mut String) {
        if self.bom {
            to.push('\u{feff}');
        }
        self.add_row(columns, to);
    }

    /// Adds a row: cells quoted where they must be, and none that a spreadsheet takes for a formula; ended by CR LF.
    pub(super) fn add_row(self, cells: &[impl AsRef<str>], to: &mut String) {
        for (place, cell) in cells.iter().enumerate() {
            if place > 0 {
                to.push(self.separator.character());
            }
            add_cell(&harmless(cell.as_ref()), to);
        }
        to.push_str("\r\n");
    }
}

/// Quotes what anybody's separator is in: a spreadsheet that takes cells apart by several keeps such a cell whole.
fn add_cell(cell: &str, to: &mut String) {
    if !cell.contains(['"', ',', ';', '\t', '\r', '\n']) {
        return to.push_str(cell);
    }
    to.push('"');
    to.push_str(&cell.replace('"', "\"\""));
    to.push('"');
}

/// Whether a reader may pass over the character before it finds a formula: around a cell it takes quotation marks and
/// white space away, and what nobody sees may go at any time.
fn is_passed_over(character: char) -> bool {
    character == '"' || character.is_whitespace() || character.is_control() || is_unseen(character)
}

/// A text of which no part is taken for a formula: an apostrophe stands before what begins like one, at its beginning and
/// after what another separator would take for the end of a cell. A quotation mark in the middle of a cell keeps nobody from
/// ending it there, so quoting alone is no help.
fn harmless(cell: &str) -> String {
    let mut harmless = String::with_capacity(cell.len() + 1);
    if cell.starts_with(['\t', '\r', '\n']) {
        harmless.push('\'');
    }
    let mut begins = true;
    for character in cell.chars() {
        if begins && FORMULA.contains(&character) {
            harmless.push('\'');
        }
        begins = ENDS.contains(&character) || begins && is_passed_over(character);
        harmless.push(character);
    }
    harmless
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn adm_11_no_cell_is_a_formula() {
        for cell in ["=HYPERLINK(\"x\",\"y\")", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "\u{ff1d}1"] {
            assert_eq!(harmless(cell), format!("'{cell}"));
        }
        assert_eq!(harmless("Mozilla;=1+1,\"@x\t+2\r\n -3"), "Mozilla;'=1+1,\"'@x\t'+2\r\n '-3");
        for cell in ["", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) a=b", "2026-11-22", "[\"a\",1]", "a - b"] {
            assert_eq!(harmless(cell), cell);
        }
    }

    #[test]
    fn adm_11_the_first_visible_character_decides_what_is_a_formula() {
        for unseen in [
            "\u{200b}",
            "\u{feff}",
            "\u{ad}\u{2060}",
            " \u{202e}\"",
            "\u{34f}\u{fe0f}",
            "\u{115f}\u{3164}\u{ffa0}",
            "\u{61c}\u{200d}\u{2069}",
            "\u{180e}\u{180f}\u{2065}",
            "\u{fff0}\u{fffb}\u{13430}\u{1bca0}\u{1d173}",
            "\u{e0001}\u{e0041}\u{e0100}\u{e0fff}",
            "\u{0}\u{7f}\u{9f}",
        ] {
            for formula in FORMULA {
                let cell = harmless(&format!("{unseen}{formula}1;{unseen}{formula}2;a{unseen}{formula}3"));
                let expected = format!("{unseen}'{formula}1;{unseen}'{formula}2;a{unseen}{formula}3");
                assert_eq!(cell, expected, "{cell:?}");
            }
        }
        for cell in ["\u{200b}a=1", "é-1", "1-1", "🦊=1", "\u{e9}", "\u{feff}"] {
            assert_eq!(harmless(cell), cell);
        }
    }

    fn dialect() -> impl Strategy<Value = Dialect> {
        let separators = prop_oneof![Just(Separator::Comma), Just(Separator::Semicolon), Just(Separator::Tab)];
        (separators, any::<bool>()).prop_map(|(separator, bom)| Dialect { separator, bom })
    }

    fn written(rows: &[Vec<String>], dialect: Dialect) -> String {
        let mut text = String::new();
        dialect.begin(&["a", "b", "c"], &mut text);
        for row in rows {
            dialect.add_row(row, &mut text);
        }
        text
    }

    fn read(text: &str, separator: Separator) -> Vec<Vec<String>> {
        let delimiter = u8::try_from(separator.character()).unwrap();
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    fn is_formula(cell: &str) -> bool {
        let begins = |character: char| "\"\u{200b}\u{feff}".contains(character) || character.is_whitespace();
        cell.trim_start_matches(begins).starts_with(FORMULA)
    }

    proptest! {
        #[test]
        fn adm_11_no_reader_finds_a_formula(
            rows in vec(vec("[-=+@,;\t\r\n\" 'a\u{200b}\u{feff}]{0,8}", 3), 1..4),
            dialect in dialect(),
            other in dialect(),
        ) {
            let text = written(&rows, dialect);
            for cell in read(&text, other.separator).concat() {
                prop_assert!(!is_formula(&cell), "{cell:?} of {text:?}");
            }
            for cell in text.split(ENDS) {
                prop_assert!(!is_formula(cell), "{cell:?} of {text:?}");
            }
        }

        #[test]
        fn a_file_is_read_as_it_was_written(rows in vec(vec("[-=,;\t\r\n\" 'aé]{0,8}", 3), 0..4), dialect in dialect()) {
            let expected: Vec<Vec<String>> =
                rows.iter().map(|row| row.iter().map(|cell| harmless(cell)).collect()).collect();
            let text = written(&rows, dialect);
            prop_assert_eq!(text.starts_with('\u{feff}'), dialect.bom);
            prop_assert_eq!(read(&text, dialect.separator), expected);
        }
    }
}
