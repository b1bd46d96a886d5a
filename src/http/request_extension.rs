//! What the middleware leaves in a request for whatever handles it: who sent it, and its name.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::error::ErrorInternalServerError;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};

use super::remote_address::RemoteAddress;
use super::request_id::RequestIdentity;

/// Who sent a request, and its name. An extractor, once `middleware::wrap` is in place.
#[derive(Debug, Clone)]
pub struct RequestExtension {
    /// The two ends that it is known to come from.
    pub remote: RemoteAddress,
    /// The id of the request.
    pub identity: RequestIdentity,
}

impl FromRequest for RequestExtension {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extension = request.extensions().get::<Self>().cloned();
        ready(extension.ok_or_else(|| ErrorInternalServerError("the middleware is missing")))
    }
}
