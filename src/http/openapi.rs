//! The OpenAPI 3.1 document, generated from the handlers.

use actix_web::App as ActixApp;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_actix_web::AppExt as _;

use super::oauth::error::OAuthProblem;
use super::problem::Problem;
use super::routes;

/// What the document says beside the routes.
#[derive(Debug, utoipa::OpenApi)]
#[openapi(
    info(title = "Vigie", description = "Who logged in, when, from where, with which token, is it still alive; and logged out means logged out.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    components(schemas(Problem, OAuthProblem)),
    tags(
        (name = "people", description = "For people and the applications that act for them"),
        (name = "applications", description = "For client applications and reverse proxies"),
        (name = "administrators", description = "For administrators and reviewers"),
        (name = "operators", description = "For operators"),
    )
)]
struct Frame;

/// How clients authenticate, as far as the document has a word for it.
const CLIENT: &str = "A client's id and secret, each encoded as in a form (RFC 6749 §2.3.1). Or, in the form of the request, \
    `client_id` and `client_secret`, or `client_assertion` (RFC 7523).";

/// The document, without a server.
#[must_use]
pub fn document() -> OpenApi {
    let mut frame = Frame::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = frame.components.get_or_insert_with(Default::default);
    components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer).into());
    let client = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some(CLIENT)).build();
    components.security_schemes.insert("client".to_owned(), SecurityScheme::Http(client).into());
    let (_, document) = ActixApp::new().into_utoipa_app().openapi(frame).configure(routes::table).split_for_parts();
    document
}
