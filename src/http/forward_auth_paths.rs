//! The paths under which reverse proxies ask whether a request may pass. They say nothing about us: some proxies keep the
//! method of the request, some append its path and query.

/// The path at which proxies ask.
pub(super) const PATH: &str = "/auth/verify";
/// Where those ask that append the path of the request.
pub(super) const BELOW: &str = "/auth/verify/{path:.*}";

/// Whether a path is one of these.
pub(super) fn is_asked(path: &str) -> bool {
    path == PATH || is_below(path)
}

/// Whether the end of a path, and so the query behind it, is of a request to an application.
pub(super) fn is_below(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|behind| behind.starts_with('/'))
}
