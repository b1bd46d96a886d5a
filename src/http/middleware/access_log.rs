//! One line for each request. It holds the pattern of the route, never the path or the query, and no header or body.
//! Checks that let somebody in are counted rather than logged: there are as many as there are requests elsewhere, and each
//! line would cost as much as the check. `[log] level = "debug"` shows them.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use tracing::Level;

use crate::http::forward_auth_paths;
use crate::http::request_id::RequestIdentity;

/// What is logged and counted where no route matched.
pub(super) const NO_ROUTE: &str = "none";

/// What the line tells.
pub(super) struct Line<'a> {
    pub method: &'static str,
    pub route: &'a str,
    pub status: StatusCode,
    pub duration: Duration,
    pub identity: &'a RequestIdentity,
    pub client: IpAddr,
}

/// Routes that are asked for every request elsewhere, or all the time.
const COUNTED: [&str; 6] = [
    forward_auth_paths::PATH,
    forward_auth_paths::BELOW,
    "/auth/me",
    "/oauth/introspect",
    "/health/live",
    "/health/ready",
];

/// Writes the line: at level error where the server failed, debug for a success that is only counted, else info.
pub(super) fn write(line: &Line<'_>) {
    // The level of an event is a constant, so the fields are written once here for both.
    macro_rules! write_at {
        ($level:ident) => {
            tracing::event!(
                target: "vigie::access",
                Level::$level,
                http.method = line.method,
                http.route = line.route,
                http.status = line.status.as_u16(),
                duration_ms = milliseconds(line.duration),
                request.id = line.identity.as_str(),
                client.address = %line.client,
                "request answered"
            )
        };
    }
    if line.status.is_server_error() {
        write_at!(ERROR);
    } else if line.status.is_success() && COUNTED.contains(&line.route) {
        write_at!(DEBUG);
    } else {
        write_at!(INFO);
    }
}

/// The method as a word of a closed list: clients may invent methods, and each would become a series of its own.
pub(in crate::http) fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// In milliseconds, to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
