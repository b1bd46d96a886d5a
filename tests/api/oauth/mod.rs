//! Client applications, by the published standards.

mod authentication;
mod introspection;
mod own_sessions;
mod revocation;

use serde_json::{Value, json};

use crate::support::app::Answer;

impl Answer {
    /// Expects an error of this status and code (RFC 6749 §5.2).
    #[track_caller]
    fn oauth_error(self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}: {}", self.status, self.body);
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("www-authenticate").is_some(), status == 401, "{}", self.body);
        assert_eq!(self.header("retry-after").is_some(), status == 429 || status == 503, "{}", self.body);
        let body = self.expect(status);
        assert_eq!(body["error"], code, "{body}");
        assert!(body["error_description"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
        body
    }

    /// Expects that a token is inactive, and that nothing else is said of it (RFC 7662 §2.2).
    #[track_caller]
    fn inactive(self) {
        assert_eq!(self.expect(200), json!({ "active": false }));
    }
}
