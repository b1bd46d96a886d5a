//! The last resort (LOG-12): a panic while a request is handled becomes an answer and a log line, and the worker lives.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, ResponseError};
use futures_util::FutureExt as _;

use crate::http::problem::Problem;
use crate::http::request_id::RequestIdentity;

/// A handler panicked. The answer says no more than that the server failed.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
struct Panicked;

impl ResponseError for Panicked {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> HttpResponse {
        let detail = "The server failed. The log tells why, under this request id.";
        Problem::new(self.status_code(), "internal_error", "Internal error", detail).response()
    }
}

/// Handles the request; a panic becomes an error.
pub(super) async fn call<B>(
    next: &Next<B>,
    request: ServiceRequest,
    identity: &RequestIdentity,
) -> Result<ServiceResponse<B>, Error> {
    // What a panic leaves half changed is only reached again through locks, and those tell of poisoning.
    let handled = AssertUnwindSafe(async { next.call(request).await }).catch_unwind().await;
    handled.unwrap_or_else(|payload| {
        tracing::error!(request.id = identity.as_str(), panic = message(&*payload), "a handler panicked");
        Err(Panicked.into())
    })
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
