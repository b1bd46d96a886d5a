//! What was logged last, so that it is logged again only when it changes.

use std::sync::{Mutex, PoisonError};

/// What was logged last; at first the default, as if that had been.
#[derive(Debug, Default)]
pub struct LastLogged<T>(Mutex<T>);

impl<T: PartialEq> LastLogged<T> {
    /// Whether this is another than the last time. It is the last from now on.
    pub fn changes_to(&self, now: T) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = *last != now;
        *last = now;
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_logged_once_and_a_later_return_again() {
        let last = LastLogged::<Option<&str>>::default();
        let changes = [None, Some("one"), Some("other"), Some("other"), None, Some("other")];
        assert_eq!(changes.map(|now| last.changes_to(now)), [false, true, true, false, true, true]);
    }
}
