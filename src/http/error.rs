//! What the caller may know of an error: the one table of status, code and public text. The cause goes to the log.

use std::time::Duration;

use actix_web::http::header::{ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{HttpResponse, ResponseError};

use super::problem::{InvalidMember, Problem};
use crate::audit::export::{ExportError, OnlyForCsv};
use crate::authentication::password::AuthenticationError;
use crate::client::ClientError;
use crate::client::authenticate::ClientAuthenticationError;
use crate::session::check::CheckError;
use crate::session::not_before::NotBeforeError;
use crate::session::refresh::RefreshError;
use crate::session::start::LoginError;
use crate::signing_keys::SigningError;
use crate::store::{Overtaken, StoreError};
use crate::user::UserError;
use crate::user::password::{ChangePasswordError, OneTimeTokenError};

/// Seconds after which a client may try again when the store or a limit refused it.
pub(super) const TRY_AGAIN: u64 = 2;

/// The challenge to whoever did not authenticate as a client (RFC 7617).
pub(super) const BASIC: &str = "Basic realm=\"vigie\", charset=\"UTF-8\"";

/// An answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Not JSON, a bad cursor, two credentials at once.
    #[error("malformed request: {0}")]
    Malformed(String),
    /// The request has no credential, and the route asks for one.
    #[error("credentials required")]
    CredentialsRequired,
    /// The credential is not ours, or names no session.
    #[error("token invalid")]
    TokenInvalid,
    /// Ours, but past its time.
    #[error("token expired")]
    TokenExpired,
    /// Ours, but its session is over.
    #[error("session ended")]
    SessionEnded,
    /// Login: unknown user, wrong password or disabled.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// Login or refresh: a client did not authenticate as it tried to.
    #[error("invalid client")]
    InvalidClient,
    /// A sensitive action, and the last proof of identity is too old; how old it may be.
    #[error("reauthentication required")]
    ReauthenticationRequired(Duration),
    /// Known, but may not.
    #[error("not allowed")]
    NotAllowed,
    /// Somebody else chose the password: it is to be changed first.
    #[error("password change required")]
    PasswordChangeRequired,
    /// Nothing there, or another person's.
    #[error("not found")]
    NotFound,
    /// No checkpoint of the record has been made yet.
    #[error("no checkpoint yet")]
    NoCheckpoint,
    /// The path is known, the method is not; these are.
    #[error("method not allowed")]
    MethodNotAllowed(String),
    /// A name is taken, or it is the last active administrator.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// The body came too slowly.
    #[error("too slow")]
    TooSlow,
    /// The body is too large.
    #[error("too large")]
    TooLarge,
    /// The address and the headers are too large.
    #[error("head too large")]
    HeadTooLarge,
    /// The body is not JSON by its own word.
    #[error("unsupported media type")]
    UnsupportedMediaType,
    /// Members do not fit.
    #[error("invalid input")]
    Invalid(Vec<InvalidMember>),
    /// Too many attempts; how long to wait.
    #[error("too many attempts")]
    TooManyAttempts(Duration),
    /// The store or a limit; nothing was decided.
    #[error("unavailable")]
    Unavailable,
}

/// A row of the table: status, code, title, text.
type Row = (StatusCode, &'static str, &'static str, &'static str);

impl ApiError {
    /// One member that does not fit.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over the error they have")]
    pub fn invalid(pointer: &str, message: impl ToString) -> Self {
        Self::Invalid(vec![InvalidMember { pointer: pointer.to_owned(), message: message.to_string() }])
    }

    const fn row(&self) -> Row {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed_request", "Malformed request", ""),
            Self::CredentialsRequired => (
                StatusCode::UNAUTHORIZED,
                "credentials_required",
                "Credentials required",
                "Send an access token in the Authorization header.",
            ),
            Self::TokenInvalid => {
                (StatusCode::UNAUTHORIZED, "token_invalid", "Token invalid", "The token is not accepted.")
            }
            Self::TokenExpired => {
                (StatusCode::UNAUTHORIZED, "token_expired", "Token expired", "The token is past its time: refresh it.")
            }
            Self::SessionEnded => {
                (StatusCode::UNAUTHORIZED, "session_ended", "Session ended", "The session is over: log in again.")
            }
            Self::InvalidCredentials => (
                StatusCode::UNAUTHORIZED,
                "invalid_credentials",
                "Invalid credentials",
                "The username or password is not right.",
            ),
            Self::InvalidClient => {
                (StatusCode::UNAUTHORIZED, "invalid_client", "Invalid client", "Client authentication failed.")
            }
            Self::ReauthenticationRequired(_) => (
                StatusCode::UNAUTHORIZED,
                "reauthentication_required",
                "Reauthentication required",
                "This action asks for a recent login: log in again.",
            ),
            Self::NotAllowed => (StatusCode::FORBIDDEN, "not_allowed", "Not allowed", "Your role does not allow this."),
            Self::PasswordChangeRequired => (
                StatusCode::FORBIDDEN,
                "password_change_required",
                "Password change required",
                "Somebody else chose your password: change it first.",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "Not found", "There is nothing here."),
            Self::NoCheckpoint => (
                StatusCode::NOT_FOUND,
                "not_found",
                "Not found",
                "No checkpoint of the record has been made yet: the server makes the first within a minute of its start.",
            ),
            Self::MethodNotAllowed(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Method not allowed",
                "This resource does not know the method.",
            ),
            Self::Conflict(text) => (StatusCode::CONFLICT, "conflict", "Conflict", text),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "too_slow",
                "Too slow",
                "The body did not arrive in time: send the request again.",
            ),
            Self::TooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Too large", "The body is larger than 64 KiB.")
            }
            Self::HeadTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "too_large",
                "Too large",
                "The address and the headers are larger than 16 KiB.",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Unsupported media type",
                "Send the body in the media type that this resource reads.",
            ),
            Self::Invalid(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid_input", "Invalid input", "Some members do not fit.")
            }
            Self::TooManyAttempts(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_attempts",
                "Too many attempts",
                "Too many failed attempts: try again later.",
            ),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable", "Nothing was decided: try again later.")
            }
        }
    }

    /// The stable word for it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.row().1
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            // RFC 9110 §15.5.2: every 401 has one. A login asks for no scheme of HTTP; what it leads to does.
            Self::CredentialsRequired | Self::InvalidCredentials => {
                Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            Self::TokenInvalid | Self::TokenExpired | Self::SessionEnded => {
                Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\"")))
            }
            Self::InvalidClient => Some((WWW_AUTHENTICATE, HeaderValue::from_static(BASIC))),
            // RFC 9470 §3: says what would be accepted instead (SES-14).
            Self::ReauthenticationRequired(limit) => {
                let seconds = limit.as_secs();
                let challenge = format!("Bearer error=\"insufficient_user_authentication\", max_age=\"{seconds}\"");
                HeaderValue::from_str(&challenge).ok().map(|value| (WWW_AUTHENTICATE, value))
            }
            Self::MethodNotAllowed(allowed) => HeaderValue::from_str(allowed).ok().map(|value| (ALLOW, value)),
            Self::TooManyAttempts(wait) => Some((RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)))),
            Self::Unavailable => Some((RETRY_AFTER, HeaderValue::from(TRY_AGAIN))),
            _ => None,
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.row().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, code, title, text) = self.row();
        let problem = match self {
            Self::Malformed(detail) => Problem::new(status, code, title, detail.clone()),
            Self::Invalid(errors) => Problem::new(status, code, title, text).with_errors(errors.clone()),
            _ => Problem::new(status, code, title, text),
        };
        let mut response = problem.response();
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

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) => Self::Conflict("The value is taken."),
            StoreError::Overtaken(Overtaken::Ended(_)) => Self::SessionEnded,
            StoreError::Overtaken(Overtaken::NotAllowed) => Self::NotAllowed,
            StoreError::Unavailable(_)
            | StoreError::ReadOnly(_)
            | StoreError::Full(_)
            | StoreError::Busy(_)
            | StoreError::Corrupt(_) => {
                tracing::error!(cause = %error, "store error: the request was not served");
                Self::Unavailable
            }
        }
    }
}

impl From<ExportError> for ApiError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::PurposeMissing => Self::invalid("/purpose", "say what the export is for"),
            ExportError::Store(error) => error.into(),
        }
    }
}

impl From<OnlyForCsv> for ApiError {
    fn from(OnlyForCsv(option): OnlyForCsv) -> Self {
        Self::invalid(&format!("/{option}"), "only format=csv has it")
    }
}

impl From<SigningError> for ApiError {
    fn from(error: SigningError) -> Self {
        tracing::error!(cause = %error, "no token could be signed");
        Self::Unavailable
    }
}

impl From<CheckError> for ApiError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Invalid(reason) => {
                tracing::info!(reason = reason.as_str(), "token refused");
                Self::TokenInvalid
            }
            CheckError::Expired | CheckError::NotYetValid | CheckError::Replaced => Self::TokenExpired,
            CheckError::Ended(_) => Self::SessionEnded,
            CheckError::Store(error) => error.into(),
        }
    }
}

impl From<AuthenticationError> for ApiError {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::InvalidCredentials => Self::InvalidCredentials,
            AuthenticationError::Throttled(wait) => Self::TooManyAttempts(wait),
            AuthenticationError::Busy => Self::Unavailable,
            AuthenticationError::Store(error) => error.into(),
        }
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Authentication(error) => error.into(),
            LoginError::UnknownClient => Self::invalid("/client_id", "no client of this id is registered"),
            LoginError::Store(error) => error.into(),
            LoginError::Signing(error) => error.into(),
        }
    }
}

impl From<RefreshError> for ApiError {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Invalid => Self::TokenInvalid,
            RefreshError::Ended(_) => Self::SessionEnded,
            RefreshError::PasswordChangeRequired => Self::PasswordChangeRequired,
            RefreshError::Store(error) => error.into(),
            RefreshError::Signing(error) => error.into(),
        }
    }
}

impl From<UserError> for ApiError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::NotFound => Self::NotFound,
            UserError::NameTaken => Self::Conflict("Another user has this name."),
            UserError::IdTaken => Self::Conflict("Another user has this id."),
            UserError::LastAdministrator => Self::Conflict("This is the last active administrator."),
            UserError::Unacceptable(reason) => Self::invalid("/password", reason),
            UserError::Busy => Self::Unavailable,
            UserError::Store(error) => error.into(),
        }
    }
}

impl From<ChangePasswordError> for ApiError {
    fn from(error: ChangePasswordError) -> Self {
        match error {
            ChangePasswordError::Authentication(error) => error.into(),
            ChangePasswordError::User(UserError::Unacceptable(reason)) => Self::invalid("/new_password", reason),
            ChangePasswordError::User(error) => error.into(),
            ChangePasswordError::Signing(error) => error.into(),
        }
    }
}

impl From<OneTimeTokenError> for ApiError {
    fn from(error: OneTimeTokenError) -> Self {
        match error {
            OneTimeTokenError::Malformed | OneTimeTokenError::Invalid | OneTimeTokenError::AlreadySetUp => {
                Self::TokenInvalid
            }
            OneTimeTokenError::Expired => Self::TokenExpired,
            OneTimeTokenError::User(error) => error.into(),
        }
    }
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotFound => Self::NotFound,
            ClientError::IdTaken => Self::Conflict("Another client has this id, or it means something else already."),
            ClientError::Store(error) => error.into(),
        }
    }
}

impl From<ClientAuthenticationError> for ApiError {
    fn from(error: ClientAuthenticationError) -> Self {
        match error {
            ClientAuthenticationError::Refused => Self::InvalidClient,
            ClientAuthenticationError::Throttled(wait) => Self::TooManyAttempts(wait),
            ClientAuthenticationError::Store(error) => error.into(),
        }
    }
}

impl From<NotBeforeError> for ApiError {
    fn from(error: NotBeforeError) -> Self {
        match error {
            NotBeforeError::InTheFuture => Self::invalid("/at", "must not lie in the future"),
            NotBeforeError::NoSuchSubject => Self::NotFound,
            NotBeforeError::Store(error) => error.into(),
        }
    }
}
