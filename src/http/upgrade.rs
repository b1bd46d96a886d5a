//! Clients that would rather speak another protocol: Java's ask for `h2c`, recipes for nginx send `Connection: upgrade` with
//! everything. That is ignored, as a server may (RFC 9110 §7.8).

use actix_web::HttpRequest;
use actix_web::dev::{RequestHead, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};

/// Whether a request asks for it.
fn is_asked_for(request: &RequestHead) -> bool {
    request.connection_type() == ConnectionType::Upgrade
}

/// Answers as if nothing had been asked for. The framework keeps no such connection, so the answer says that it closes.
pub(super) fn ignore<B>(mut response: ServiceResponse<B>) -> ServiceResponse<B> {
    if is_asked_for(response.request().head()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    response
}

/// Where the body of a request ends that asks for another protocol, in bytes: the framework takes for it all that follows.
pub(super) fn end_of_body(request: &HttpRequest) -> Option<usize> {
    let headers = request.headers();
    if !headers.contains_key(UPGRADE) || headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    // The framework refuses what is no number.
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok());
    Some(length.unwrap_or(0))
}
