//! The OpenAPI 3.1 document: generated from the handlers, served as JSON and as a page that works offline.

use actix_web::{App as ActixApp, HttpResponse, get, web};
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoResponses, OpenApi as _};
use utoipa_actix_web::AppExt as _;

use super::problem::Problem;
use super::routes;

/// Problems of a route that anybody may call.
#[derive(Debug, IntoResponses)]
pub enum AnybodyProblems {
    /// Malformed request.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Problem),
    /// Too many attempts, or nothing could be decided.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}

/// Problems of a route that asks for a token.
#[derive(Debug, IntoResponses)]
pub enum CallerProblems {
    /// Malformed request.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Problem),
    /// No credential, or none that is accepted.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Problem),
    /// The body is not JSON by its own word.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(#[to_schema] Problem),
    /// Nothing could be decided.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}

/// Problems of a list.
#[derive(Debug, IntoResponses)]
pub enum ListProblems {
    /// Malformed request, or a cursor of another list.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Problem),
    /// No credential, or none that is accepted.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] Problem),
    /// A member of the query does not fit.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(#[to_schema] Problem),
    /// Nothing could be decided.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}

/// Problems of a route that takes a secret in its body.
#[derive(Debug, IntoResponses)]
pub enum LoginProblems {
    /// Malformed request.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(#[to_schema] Problem),
    /// The credential is not accepted.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Problem),
    /// The body is not JSON by its own word.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMediaType(#[to_schema] Problem),
    /// A member does not fit.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(#[to_schema] Problem),
    /// Too many attempts.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyAttempts(#[to_schema] Problem),
    /// Nothing could be decided.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}

/// What the document says beside the routes.
#[derive(Debug, utoipa::OpenApi)]
#[openapi(
    info(title = "Vigie", description = "Who logged in, when, from where, with which token, is it still alive; and logged out means logged out.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    components(schemas(Problem)),
    tags(
        (name = "people", description = "For people and the applications that act for them"),
        (name = "applications", description = "For client applications and reverse proxies"),
        (name = "administrators", description = "For administrators and reviewers"),
        (name = "operators", description = "For operators"),
    )
)]
struct Frame;

/// The document, without a server.
#[must_use]
pub fn document() -> OpenApi {
    let mut frame = Frame::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = frame.components.get_or_insert_with(Default::default);
    components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer).into());
    let (_, document) = ActixApp::new().into_utoipa_app().openapi(frame).configure(routes::table).split_for_parts();
    document
}

/// The document as served, written once.
#[derive(Debug, Clone)]
pub struct Document(pub web::Bytes);

impl Document {
    /// Writes the document.
    ///
    /// # Panics
    /// Never: the document is plain data.
    #[must_use]
    pub fn new(document: &OpenApi) -> Self {
        Self(web::Bytes::from(serde_json::to_vec(document).expect("the document is JSON: a test reads it")))
    }
}

/// This document.
#[utoipa::path(tag = "operators", responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = Object)))]
#[get("/openapi.json")]
pub async fn openapi_json(document: web::Data<Document>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(document.0.clone())
}
