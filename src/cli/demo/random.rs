//! Chance for the demonstration: repeatable for the history (`SplitMix64`), from the system for the password.

use chrono::TimeDelta;

/// Letters and digits that nobody mistakes for each other: 32, so five bits each.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A source of chance.
#[derive(Debug)]
pub(super) struct Random(Source);

#[derive(Debug)]
enum Source {
    Repeatable(u64),
    System,
}

impl Random {
    /// The same numbers at every start.
    pub(super) const fn repeatable() -> Self {
        Self(Source::Repeatable(0x7669_6769_6500))
    }

    /// Numbers that nobody can guess.
    pub(super) const fn from_system() -> Self {
        Self(Source::System)
    }

    fn next(&mut self) -> u64 {
        match &mut self.0 {
            Source::Repeatable(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = *state;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                mixed ^ (mixed >> 31)
            }
            Source::System => getrandom::u64().expect("the system has a random source"),
        }
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// One of the items.
    pub(super) fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        let limit = u64::try_from(items.len()).unwrap_or(u64::MAX);
        items[usize::try_from(self.below(limit)).unwrap_or(0)]
    }

    /// True in so many cases of a hundred.
    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// A duration from `least` until below `most`, to the millisecond.
    pub(super) fn between(&mut self, least: TimeDelta, most: TimeDelta) -> TimeDelta {
        let span = u64::try_from((most - least).num_milliseconds()).unwrap_or(0);
        least + TimeDelta::milliseconds(i64::try_from(self.below(span)).unwrap_or(0))
    }

    /// A password of at least 25 and at least `least` characters, in groups of five.
    pub(super) fn password(&mut self, least: usize) -> String {
        let mut password = String::new();
        let mut letters = 0;
        while letters < 25 || password.chars().count() < least {
            if letters > 0 && letters % 5 == 0 {
                password.push('-');
            }
            password.push(char::from(self.one_of(LETTERS)));
            letters += 1;
        }
        password
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_as_long_as_the_policy_wants_and_never_the_same() {
        let password = |least| Random::from_system().password(least);
        assert_eq!(password(15).len(), 29);
        assert!(password(100).len() >= 100);
        assert_ne!(password(15), password(15));
    }

    #[test]
    fn the_history_is_the_same_at_every_start() {
        let numbers = |mut random: Random| -> Vec<u64> { (0..5).map(|_| random.below(1000)).collect() };
        assert_eq!(numbers(Random::repeatable()), numbers(Random::repeatable()));
        let mut random = Random::repeatable();
        assert!((0..1000).all(|_| random.between(TimeDelta::zero(), TimeDelta::minutes(1)) < TimeDelta::minutes(1)));
    }
}
