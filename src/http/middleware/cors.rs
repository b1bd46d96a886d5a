//! Which pages of other origins may call the API from a browser (WEB-04): exactly those listed, without cookies.

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};

use crate::http::request_id::X_REQUEST_ID;

/// How long a browser may remember what a preflight said. Seconds.
const MAX_AGE: usize = 600;

/// The rule for these origins (`[server] cors_origins`). With none it is as if CORS did not exist.
///
/// A request from a page of another origin is still answered: it shows a token or it gets nothing, and without the
/// headers the browser keeps the answer from the page.
pub fn cors(origins: &[String]) -> Cors {
    let mut origins = origins.iter().filter(|origin| is_exact(origin)).peekable();
    if origins.peek().is_none() {
        return Cors::default().disable_preflight().disable_vary_header();
    }
    let cors = Cors::default()
        .allowed_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allowed_headers([AUTHORIZATION, CONTENT_TYPE, X_REQUEST_ID])
        .expose_headers([X_REQUEST_ID, RETRY_AFTER, WWW_AUTHENTICATE])
        .max_age(MAX_AGE);
    origins.fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// The configuration refuses both already; an opaque origin is nobody in particular, and a wildcard everybody.
fn is_exact(origin: &str) -> bool {
    origin != "null" && !origin.contains('*')
}
