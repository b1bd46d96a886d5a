//! Who asks for a page of the console: whoever holds the cookie of a live session, and has a role that allows it. A refusal is
//! recorded as that of the API is.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::super::caller::PageCaller;
use crate::http::authenticate::{Admin, Caller, Reviewer, app_of, authorise};
use crate::http::authenticated_body::Judged;
use crate::http::error::ApiError;
use crate::model::user::Permissions;

/// Whoever may read the history, in a browser.
#[derive(Debug, Clone)]
pub(in crate::http::pages) struct ConsoleReviewer(pub Reviewer);

/// Whoever may do everything, in a browser.
#[derive(Debug, Clone)]
pub(in crate::http::pages) struct ConsoleAdmin(pub Admin);

impl Judged for ConsoleAdmin {}

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

async fn caller(request: HttpRequest, is_allowed: fn(Permissions) -> bool) -> Result<Caller, ApiError> {
    let PageCaller(caller) = PageCaller::extract(&request).await?;
    authorise(caller, &*app_of(&request)?, is_allowed)
}

impl FromRequest for ConsoleReviewer {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = caller(request.clone(), |permissions| permissions.auditor);
        Box::pin(async { caller.await.map(|caller| Self(Reviewer(caller))) })
    }
}

impl FromRequest for ConsoleAdmin {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = caller(request.clone(), |permissions| permissions.admin);
        Box::pin(async { caller.await.map(|caller| Self(Admin(caller))) })
    }
}
