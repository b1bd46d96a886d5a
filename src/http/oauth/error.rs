//! What a client may know of an error: the table of status and code (RFC 6749 §5.2). The cause goes to the log.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::client::authenticate::ClientAuthenticationError;
use crate::http::error::{ApiError, BASIC, TRY_AGAIN};
use crate::session::revoke::RevokeError;
use crate::signing_keys::SigningError;
use crate::store::StoreError;

/// An answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OAuthError {
    /// A parameter is missing or there twice, two ways to authenticate at once; what is wrong.
    #[error("invalid request: {0}")]
    InvalidRequest(&'static str),
    /// The body came too slowly.
    #[error("too slow")]
    TooSlow,
    /// The body is too large.
    #[error("too large")]
    TooLarge,
    /// The client did not authenticate (RFC 6749 §5.2, `invalid_client`).
    #[error("invalid client")]
    InvalidClient,
    /// The client may not ask for this.
    #[error("unauthorized client")]
    UnauthorizedClient,
    /// The token is another client's, or meant for others.
    #[error("invalid grant")]
    InvalidGrant,
    /// Too many failed authentications; how long to wait.
    #[error("too many attempts")]
    TooManyAttempts(Duration),
    /// The store or a limit; nothing was decided.
    #[error("unavailable")]
    Unavailable,
}

/// What went wrong with a request of a client (RFC 6749 §5.2).
#[derive(Debug, Serialize, ToSchema)]
pub struct OAuthProblem {
    /// The stable word for it.
    error: &'static str,
    /// What went wrong this time.
    error_description: &'static str,
}

impl OAuthError {
    const fn row(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidRequest(text) => (StatusCode::BAD_REQUEST, "invalid_request", text),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "invalid_request", "The body did not arrive in time."),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "The body is larger than 64 KiB."),
            Self::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed."),
            Self::UnauthorizedClient => {
                (StatusCode::FORBIDDEN, "unauthorized_client", "The scopes of this client do not allow this.")
            }
            Self::InvalidGrant => {
                (StatusCode::BAD_REQUEST, "invalid_grant", "The token is another client's, or meant for others.")
            }
            Self::TooManyAttempts(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_attempts",
                "Too many failed client authentications from this network: try again later.",
            ),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "Nothing was decided: try again later.")
            }
        }
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::InvalidClient => Some((WWW_AUTHENTICATE, HeaderValue::from_static(BASIC))),
            Self::TooManyAttempts(wait) => Some((RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)))),
            Self::Unavailable => Some((RETRY_AFTER, HeaderValue::from(TRY_AGAIN))),
            _ => None,
        }
    }
}

impl ResponseError for OAuthError {
    fn status_code(&self) -> StatusCode {
        self.row().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, error, error_description) = self.row();
        let mut response = HttpResponse::build(status).json(OAuthProblem { error, error_description });
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        // What is left of the body is not waited for (RFC 9110 §15.5.9).
        if matches!(self, Self::TooSlow) {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }
}

/// What reading a form may come to.
impl From<ApiError> for OAuthError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::TooSlow => Self::TooSlow,
            ApiError::TooLarge => Self::TooLarge,
            ApiError::UnsupportedMediaType | ApiError::Malformed(_) | ApiError::Invalid(_) => {
                Self::InvalidRequest("The body is not a form (application/x-www-form-urlencoded) in UTF-8.")
            }
            _ => Self::Unavailable,
        }
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        tracing::error!(cause = %error, "store error: the request of a client was not served");
        Self::Unavailable
    }
}

impl From<SigningError> for OAuthError {
    fn from(error: SigningError) -> Self {
        tracing::error!(cause = %error, "no answer could be signed");
        Self::Unavailable
    }
}

impl From<ClientAuthenticationError> for OAuthError {
    fn from(error: ClientAuthenticationError) -> Self {
        match error {
            ClientAuthenticationError::Refused => Self::InvalidClient,
            ClientAuthenticationError::Throttled(wait) => Self::TooManyAttempts(wait),
            ClientAuthenticationError::Store(error) => error.into(),
        }
    }
}

impl From<RevokeError> for OAuthError {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::NotOwn => Self::InvalidGrant,
            RevokeError::Store(error) => error.into(),
        }
    }
}

/// What every route for client applications may answer, for the OpenAPI document.
#[derive(Debug)]
pub struct ClientRefused;

impl IntoResponses for ClientRefused {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let answers = [
            ("400", "`invalid_request`: a parameter is missing or there twice, or two ways to authenticate at once."),
            ("401", "`invalid_client`: no client authenticated."),
            ("403", "`unauthorized_client`: the client has not the scope."),
            ("408", "`invalid_request`: the body did not arrive in time."),
            ("413", "`invalid_request`: the body is larger than 64 KiB."),
            ("429", "`too_many_attempts`: too many failed authentications from this network."),
            ("503", "`temporarily_unavailable`: the store or a limit; nothing was decided."),
        ];
        answers.into_iter().map(|(status, when)| (status.to_owned(), problem(when))).collect()
    }
}

fn problem(when: &str) -> RefOr<Response> {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("OAuthProblem"))).build();
    ResponseBuilder::new().description(when).content("application/json", body).build().into()
}
