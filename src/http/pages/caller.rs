//! Who asks for a page: whoever holds the cookie of a live session. The same gate as that of the API, with another credential.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::cookies::{CookieUse, Cookies};
use crate::http::authenticate::{Caller, app_of, authenticate_cookie};
use crate::http::authenticated_body::Judged;
use crate::http::error::ApiError;
use crate::model::secret::SecretKind;

/// Anybody with a live session in this browser.
#[derive(Debug, Clone)]
pub struct PageCaller(pub Caller);

/// The same of whoever asks for an end of own sessions: one that is over already is refused when it is over on every node (P2).
#[derive(Debug, Clone)]
pub struct LeavingCaller(pub Caller);

impl Judged for PageCaller {}
impl Judged for LeavingCaller {}

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

async fn caller(request: HttpRequest) -> Result<Caller, ApiError> {
    let app = app_of(&request)?;
    let cookie = Cookies::of(&app).read(&request, CookieUse::Session).ok_or(ApiError::CredentialsRequired)?;
    authenticate_cookie(SecretKind::SessionCookie, &cookie, request).await
}

impl FromRequest for PageCaller {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async { caller(request).await.map(Self) })
    }
}

impl FromRequest for LeavingCaller {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (request, app) = (request.clone(), app_of(request));
        Box::pin(async move {
            let caller = caller(request).await;
            if let Err(ApiError::SessionEnded) = caller {
                app?.coherence.wait_for_all_nodes().await;
            }
            caller.map(Self)
        })
    }
}
