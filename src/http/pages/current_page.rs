//! Where somebody is.

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::uri::PathAndQuery;

/// The page that a request is about: after a form, where that stands.
pub(super) fn current_page(request: &HttpRequest) -> &str {
    match *request.method() {
        // A one-time token stands in no page; the `token` of the console is a filter, by an id that is no secret.
        Method::GET | Method::HEAD
            if !request.query_string().contains("token") || request.path().starts_with("/console/") =>
        {
            request.uri().path_and_query().map_or("/", PathAndQuery::as_str)
        }
        _ if request.path().starts_with("/account/sessions/") && !request.path().ends_with("/name") => {
            "/account/sessions"
        }
        _ if ["/account/extend", "/preferences"].contains(&request.path()) => "/account",
        _ => request.path(),
    }
}
