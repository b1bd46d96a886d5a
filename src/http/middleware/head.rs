//! HEAD is GET without the content (RFC 9110 §9.3.2), for what is open to everybody: load balancers and link checkers ask so.
//! The framework leaves the content out.

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;

/// What is open to everybody.
const OPEN: [&str; 4] = ["/health/live", "/health/ready", "/openapi.json", "/audit/checkpoint"];
/// And whatever is below these.
const OPEN_BELOW: [&str; 2] = ["/docs/", "/.well-known/"];

/// Whether HEAD is answered on this path as GET is.
pub(in crate::http) fn answers_head(path: &str) -> bool {
    OPEN.contains(&path) || OPEN_BELOW.iter().any(|below| path.starts_with(below))
}

/// Lets the routes find a HEAD where they have a GET.
pub(super) fn as_get(request: &mut ServiceRequest) {
    if *request.method() == Method::HEAD && answers_head(request.path()) {
        request.head_mut().method = Method::GET;
    }
}
