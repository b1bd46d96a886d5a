//! `[audit]`: how the history is watched.

use std::time::Duration;

use super::setting::section;

section! {
    /// `[audit]`
    pub struct Audit {
        pub verify_every: Duration,
        pub purpose_required: bool,
    }
}
