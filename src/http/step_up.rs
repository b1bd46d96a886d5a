//! What asks for a recent login: whatever gives power, or is hard to undo (ASVS 7.5.3, SES-14). A token that was stolen, or a
//! console that was left open, is not enough for it.
//!
//! It is asked for wherever administrators change something, unless that stands in the one list below; and, as a setting has
//! it, by exports of other people's history. Whoever ends others of their own sessions, one or all, is asked by the handler, which alone
//! knows whose session that is (ASVS 7.5.2); nobody is asked who only logs out. Programs that have nobody to ask use the command line on the host.

use actix_web::HttpRequest;
use actix_web::http::Method;

use crate::config;

/// What takes power away, or reads. It is to be at hand at once, however long ago the login was.
const WITHOUT: [(Method, &str); 5] = [
    (Method::POST, "/admin/sessions/{id}/end"),
    (Method::POST, "/console/sessions/{id}/end"),
    (Method::POST, "/admin/users/{id}/end-sessions"),
    (Method::POST, "/admin/sessions/lookup"),
    (Method::POST, "/admin/alerts/{id}/acknowledge"),
];

/// Whether what a request of an administrator or a reviewer asks for needs a recent login.
pub(super) fn is_asked_for(request: &HttpRequest, settings: &config::Sessions) -> bool {
    // A route without a pattern is none of ours.
    let route = request.match_pattern().unwrap_or_default();
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return settings.reauthentication_for_exports && route.ends_with("/export");
    }
    !WITHOUT.iter().any(|(method, path)| method == request.method() && *path == route)
}
