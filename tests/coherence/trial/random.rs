//! Choices that a seed repeats, as far as threads let them.

use sha2::{Digest as _, Sha256};

/// A stream of numbers (`SplitMix64`).
pub struct Random(u64);

impl Random {
    /// Each name has a stream of its own.
    pub fn new(seed: u64, name: &str) -> Self {
        let digest = Sha256::digest(format!("{seed} {name}"));
        Self(digest.iter().take(8).fold(0, |state, byte| state << 8 | u64::from(*byte)))
    }

    /// Another stream, for who goes on at the same time.
    pub fn apart(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }

    /// One of these, of which there is at least one.
    pub fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// The same in another order.
    pub fn shuffled<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
        items
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("it is below a length")
    }
}
