//! Quotation marks as RFC 4180 has them. The reader of cells takes all others as well, and makes cells of them that
//! nobody wrote: a role, say.

use super::lines::is_end;

const UNCLOSED: &str = "a quotation mark that is not closed";
const CONTINUED: &str = "a cell continues after its closing quotation mark";
const UNQUOTED: &str = "a quotation mark inside a cell that is not quoted: double it and quote the cell";

/// What stands before a byte.
#[derive(Clone, Copy)]
enum Before {
    /// Nothing of the cell.
    Nothing,
    /// A part of a cell that is not quoted.
    Bare,
    /// The quotation mark that opens the cell.
    Open,
    /// One that closes the cell, unless another follows.
    Closed,
}

/// Whether a record, as it stands in the file, has the cells that whoever wrote it meant; else what is wrong with it.
pub(super) fn check(record: &[u8], separator: u8) -> Result<(), &'static str> {
    let mut before = Before::Nothing;
    for byte in record {
        before = match (before, *byte) {
            (Before::Open, b'"') => Before::Closed,
            (Before::Nothing | Before::Closed, b'"') | (Before::Open, _) => Before::Open,
            (_, byte) if byte == separator || is_end(byte) => Before::Nothing,
            (Before::Closed, _) => return Err(CONTINUED),
            (Before::Bare, b'"') => return Err(UNQUOTED),
            (Before::Nothing | Before::Bare, _) => Before::Bare,
        };
    }
    if matches!(before, Before::Open) { Err(UNCLOSED) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_quotation_mark_opens_a_cell_or_closes_it_or_is_doubled() {
        for (record, expected) in [
            ("", Ok(())),
            ("zed;admin", Ok(())),
            ("\r\n\"zed\";\"\"\r\n", Ok(())),
            ("\"\"\"zed\"\"\";\"a\"\"b\"\r", Ok(())),
            ("\"a;b\r\nc\";\"d,e\"", Ok(())),
            ("zed;\"admin", Err(UNCLOSED)),
            ("zed;\"admin\"\"", Err(UNCLOSED)),
            ("\"", Err(UNCLOSED)),
            ("\"zed\"2;admin", Err(CONTINUED)),
            ("zed;\"adm\"in", Err(CONTINUED)),
            ("\"zed\" ;admin", Err(CONTINUED)),
            ("\"zed\",admin", Err(CONTINUED)),
            ("z\"ed;admin", Err(UNQUOTED)),
            ("zed;admin\"\n", Err(UNQUOTED)),
            ("zed; \"admin\"", Err(UNQUOTED)),
        ] {
            assert_eq!(check(record.as_bytes(), b';'), expected, "{record:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_quoted_is_taken(cells in vec("[\",;x\r\n]{0,6}", 1..4)) {
            let quoted: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
            prop_assert_eq!(check(format!("{}\r\n", quoted.join(";")).as_bytes(), b';'), Ok(()));
        }
    }
}
