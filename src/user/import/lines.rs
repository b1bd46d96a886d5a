//! Lines as an editor numbers them: `\n`, `\r\n` and a single `\r` each end one.

/// The lines of a text with their numbers; the first is 1.
pub(super) fn numbered(text: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = Some(text);
    let lines = std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.iter().copied().position(is_end) else {
            rest = None;
            return Some(text);
        };
        let (line, after) = text.split_at(end);
        rest = Some(after.strip_prefix(b"\r\n").unwrap_or(&after[1..]));
        Some(line)
    });
    (1..).zip(lines)
}

/// Whether the byte ends a line, or belongs to what does.
pub(super) const fn is_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Tells the lines of places in a text, asked for in their order.
pub(super) struct Counter<'t> {
    text: &'t [u8],
    counted: usize,
    line: u64,
}

impl<'t> Counter<'t> {
    pub(super) const fn new(text: &'t [u8]) -> Self {
        Self { text, counted: 0, line: 1 }
    }

    /// The line of the first byte from `place` on that ends none.
    pub(super) fn line_at(&mut self, place: u64) -> u64 {
        let place = usize::try_from(place).unwrap_or(usize::MAX).clamp(self.counted, self.text.len());
        let place = place + self.text[place..].iter().take_while(|byte| is_end(**byte)).count();
        let mut before = 0;
        for byte in &self.text[self.counted..place] {
            if *byte == b'\r' || *byte == b'\n' && before != b'\r' {
                self.line += 1;
            }
            before = *byte;
        }
        self.counted = place;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_of_end_ends_one_line() {
        let lines = |text: &'static str| numbered(text.as_bytes()).collect::<Vec<_>>();
        assert_eq!(lines("a\r\nb\rc\nd"), [(1, &b"a"[..]), (2, b"b"), (3, b"c"), (4, b"d")]);
        assert_eq!(lines("\r\n\r\rx"), [(1, &b""[..]), (2, b""), (3, b""), (4, b"x")]);
        assert_eq!(lines(""), [(1, &b""[..])]);
    }

    proptest! {
        #[test]
        fn both_ways_to_count_agree(text in "[x\r\n]{0,40}") {
            let mut counter = Counter::new(text.as_bytes());
            for (place, _) in text.match_indices('x') {
                let (number, _) = numbered(&text.as_bytes()[..place]).last().unwrap();
                prop_assert_eq!(counter.line_at(place as u64), number);
            }
        }
    }
}
