//! Progress of long work: drawn on the standard error stream where that is a terminal, and nowhere else.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for work of known length.
pub(super) fn bar(length: usize, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX)).with_message(what);
    bar.with_style(style("{msg} {wide_bar} {pos}/{len}"))
}

/// A count of bytes for work of unknown length.
pub(super) fn bytes(what: &'static str) -> ProgressBar {
    ProgressBar::new_spinner().with_message(what).with_style(style("{spinner} {msg}: {bytes} in {elapsed}"))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are valid: a test draws them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        assert_eq!(bar(3, "users").length(), Some(3));
        assert_eq!(bytes("exported").position(), 0);
    }
}
