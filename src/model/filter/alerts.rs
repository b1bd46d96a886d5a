//! Which alerts.

use super::parse::filter;
use super::value::Text;
use crate::model::alert::AlertKind;
use crate::model::words::words;

words! {
    /// A state of alerts, or all of them.
    pub enum AlertStateFilter {
        /// Those that nobody has looked at.
        Open = "open",
        /// Those that somebody has.
        Acknowledged = "acknowledged",
        /// Acknowledged or not.
        All = "all",
    }
}

filter! {
    /// Which alerts. All members together; one that is left out leaves nothing out, but `state` means `open`.
    pub struct AlertFilter {
        /// In this state; `open` unless said otherwise.
        state: Option<AlertStateFilter>,
        /// Of this kind.
        kind: Option<AlertKind>,
        /// About the user, session or network with this id.
        subject: Option<Text>,
    }
}

impl AlertFilter {
    /// Every alert, whatever its state.
    #[must_use]
    pub fn everything() -> Self {
        Self { state: Some(AlertStateFilter::All), ..Self::default() }
    }

    /// Whether somebody must have looked at them, or nobody; `None` where either will do.
    #[must_use]
    pub const fn acknowledged(&self) -> Option<bool> {
        match self.state {
            None | Some(AlertStateFilter::Open) => Some(false),
            Some(AlertStateFilter::Acknowledged) => Some(true),
            Some(AlertStateFilter::All) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(filter: &Value) -> Result<AlertFilter, String> {
        serde_json::from_value(filter.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_filter_is_written_as_it_was_read() {
        for filter in [json!({}), json!({ "state": "all", "kind": "new_device", "subject": "192.0.2.0/24" })] {
            assert_eq!(json!(read(&filter).unwrap()), filter);
        }
        assert_eq!(json!(read(&json!({ "state": null })).unwrap()), json!({}));
    }

    #[test]
    fn each_member_is_one_known_value_and_has_no_twin() {
        for (filter, message) in [
            (json!({ "stat": "open" }), "unknown field `stat`, expected one of `state`, `kind`, `subject`"),
            (json!({ "not_kind": "new_device" }), "unknown field `not_kind`"),
            (json!({ "kind": ["new_device", "many_ends"] }), "invalid type: sequence"),
            (json!({ "kind": "new_moon" }), "`new_moon` is none of"),
            (json!({ "subject": "" }), "1 to 512 characters"),
        ] {
            let refused = read(&filter).unwrap_err();
            assert!(refused.contains(message), "{filter}: {refused}");
        }
    }

    #[test]
    fn those_are_meant_that_are_open_unless_said_otherwise() {
        let acknowledged = |filter: Value| read(&filter).unwrap().acknowledged();
        assert_eq!(acknowledged(json!({})), Some(false));
        assert_eq!(acknowledged(json!({ "state": "open" })), Some(false));
        assert_eq!(acknowledged(json!({ "state": "acknowledged" })), Some(true));
        assert_eq!(AlertFilter::everything().acknowledged(), None);
    }
}
