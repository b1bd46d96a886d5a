//! What was told of why this process removes nothing by itself: each reason once, and again after another, or after a run.

use std::mem::{Discriminant, discriminant, replace};
use std::sync::{Mutex, PoisonError};

use super::RetentionError;

/// The reason that was told last, and still holds.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Option<Discriminant<RetentionError>>>);

impl Told {
    /// Whether the outcome of a run, or why there was none, is another than the last time.
    pub fn is_news(&self, error: Option<&RetentionError>) -> bool {
        let why = error.map(discriminant);
        replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), why) != why
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn each_reason_is_told_once_and_a_later_one_is_not_silent() {
        let (told, ahead) = (Told::default(), RetentionError::ClockAhead(DateTime::UNIX_EPOCH));
        let outcomes = [Some(&RetentionError::NotAllowed), Some(&ahead), Some(&ahead), None, Some(&ahead)];
        let news: Vec<bool> = outcomes.into_iter().map(|outcome| told.is_news(outcome)).collect();
        assert_eq!(news, [true, true, false, true, true]);
    }
}
