//! `[passwords]`: what a password must be, and how it is kept.

use std::path::PathBuf;

use super::faults::Faults;
use super::setting::section;

/// A login that takes longer is none.
const MOST_ITERATIONS: u32 = 1000;

section! {
    /// `[passwords]`
    pub struct Passwords {
        pub min_length: usize,
        pub argon2_memory_kib: u32,
        pub argon2_iterations: u32,
        pub argon2_parallelism: u32,
        pub argon2_below_floor: bool,
        pub hashing_threads: usize,
        pub hashing_queue: usize,
        pub blocklist_file: PathBuf,
        pub context_words: Vec<String>,
    }
}

impl Passwords {
    pub(super) fn check(&self, faults: &mut Faults) {
        faults.require((8..=128).contains(&self.min_length), "passwords.min_length", "must be 8 to 128");
        let at_floor = self.argon2_memory_kib >= 19_456 && self.argon2_iterations >= 2;
        faults.require(
            at_floor || self.argon2_below_floor,
            "passwords.argon2_memory_kib",
            "the cost must be at least 19456 KiB with 2 iterations",
        );
        faults.require(
            (1..=MOST_ITERATIONS).contains(&self.argon2_iterations),
            "passwords.argon2_iterations",
            "must be 1 to 1000",
        );
        faults.require((1..=64).contains(&self.argon2_parallelism), "passwords.argon2_parallelism", "must be 1 to 64");
        let enough = self.argon2_memory_kib >= 8 * self.argon2_parallelism.max(1);
        faults.require(
            enough && self.argon2_memory_kib <= 4_194_304,
            "passwords.argon2_memory_kib",
            "must be at least 8 KiB a lane and at most 4 GiB",
        );
        faults.require(self.hashing_threads <= 1024, "passwords.hashing_threads", "must be at most 1024");
        faults.require(self.hashing_queue >= 1, "passwords.hashing_queue", "must be at least 1");
    }

    pub(super) fn weaknesses(&self, weak: &mut Faults) {
        weak.add_if(
            self.min_length < 15,
            "passwords.min_length",
            "below 15, the least where a password is the only factor",
        );
        weak.add_if(
            self.argon2_below_floor,
            "passwords.argon2_below_floor",
            "allows hashes that are quick to guess; for tests only",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::config::support::assert_each_weak;

    #[test]
    fn passwords_that_are_easy_to_guess_are_weak() {
        assert_each_weak(&[
            ("VIGIE__PASSWORDS__MIN_LENGTH", "8", "passwords.min_length"),
            ("VIGIE__PASSWORDS__ARGON2_BELOW_FLOOR", "true", "passwords.argon2_below_floor"),
        ]);
    }
}
