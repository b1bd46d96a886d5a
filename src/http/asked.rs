//! Who asks, together with what they ask in a body. A request is judged when it acts, not when its head arrives: a body may
//! take seconds, and a session may end meanwhile. Whoever takes a body says here who may send it.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::authenticate::{Admin, Caller, LogoutCaller, Reviewer};
use super::error::ApiError;
use super::input::Input;

/// A caller and a body. The caller is judged at the head, before a byte of the body is read, and again when it is whole.
#[derive(Debug)]
pub struct By<Who, What>(pub Who, pub What);

/// A body that anybody may send: the secret in it is judged when it is whole.
#[derive(Debug)]
pub struct Open<What>(pub What);

/// The kinds of callers.
pub trait Judged: FromRequest<Error = ApiError> + 'static {}

impl Judged for Caller {}
impl Judged for LogoutCaller {}
impl Judged for Reviewer {}
impl Judged for Admin {}

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl<Who: Judged, What: Input> FromRequest for By<Who, What> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            Who::extract(&request).await?;
            let what = What::read(&request, payload).await;
            // First of all: who may not call any more is told that, and not what would have been accepted.
            let who = Who::extract(&request).await?;
            Ok(Self(who, what?))
        })
    }
}

impl<What: Input> FromRequest for Open<What> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { What::read(&request, payload).await.map(Self) })
    }
}
