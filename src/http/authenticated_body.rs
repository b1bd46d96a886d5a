//! Who asks, together with what they ask in a body. A request is judged when it acts, not when its head arrives: a body may
//! take seconds, and a session may end meanwhile. Whoever takes a body says here who may send it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::authenticate::{Admin, Caller, LogoutCaller, Reviewer, app_of, refused_request, two_credentials};
use super::error::ApiError;
use super::input::Input;
use super::oauth::basic_credentials;
use crate::model::client::Client;

/// A caller and a body. The caller is judged at the head, before a byte of the body is read, and again when it is whole.
#[derive(Debug)]
pub struct Authenticated<Who, What>(pub Who, pub What);

/// A body that anybody may send: the secret in it is judged when it is whole.
#[derive(Debug)]
pub struct Anonymous<What>(pub What);

/// A body that anybody may send, and the application that sends it, where one authenticates by HTTP Basic. Like a caller, it is
/// judged at the head, and again when the body is whole.
#[derive(Debug)]
pub struct WithClient<What>(pub Option<Arc<Client>>, pub What);

/// The kinds of callers.
pub trait Judged: FromRequest<Error = ApiError> + 'static {}

impl Judged for Caller {}
impl Judged for LogoutCaller {}
impl Judged for Reviewer {}
impl Judged for Admin {}

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

impl<Who: Judged, What: Input> FromRequest for Authenticated<Who, What> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            if let Err(refused) = Who::extract(&request).await {
                What::refused(&request, payload, &refused).await;
                return Err(refused);
            }
            let what = What::read(&request, payload).await;
            // First of all: who may not call any more is told that, and not what would have been accepted.
            let who = Who::extract(&request).await?;
            Ok(Self(who, what?))
        })
    }
}

impl<What: Input> FromRequest for Anonymous<What> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { What::read(&request, payload).await.map(Self) })
    }
}

impl<What: Input> FromRequest for WithClient<What> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            authenticated_client(&request).await?;
            let what = What::read(&request, payload).await;
            let client = authenticated_client(&request).await?;
            Ok(Self(client, what?))
        })
    }
}

/// The client that authenticates with a request by HTTP Basic, where one tries to.
async fn authenticated_client(request: &HttpRequest) -> Result<Option<Arc<Client>>, ApiError> {
    let app = app_of(request)?;
    match basic_credentials(request).map_err(|_| two_credentials(&app, request))? {
        Some(shown) => Ok(Some(app.clients.authenticate(&shown, || refused_request(request)).await?)),
        None => Ok(None),
    }
}
