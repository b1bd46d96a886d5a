//! What this server is, for programs: as an authorization server (RFC 8414) and as a protected resource (RFC 9728).
//!
//! There is no login by redirect yet. So `response_types_supported` and `grant_types_supported` are empty and there is no
//! `token_endpoint`: a stated deviation from RFC 8414 §2.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::document;
use crate::app::App;
use crate::config::{Config, Published};
use crate::http::error::ApiError;
use crate::http::problems::NotFound;
use crate::token::client_keys::ClientAlgorithm;

/// For how long the documents may be kept: what they say changes only with the configuration.
const MAX_AGE: Duration = Duration::from_hours(1);

const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// How client applications authenticate.
const CLIENT_METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
/// What this server is as an authorization server (RFC 8414 section 2).
#[derive(Debug, Serialize, ToSchema)]
pub struct AuthorizationServer {
    /// As tokens name it in `iss`.
    issuer: String,
    /// The public keys.
    jwks_uri: String,
    /// Always empty: there is no login by redirect. RFC 8414 §2 requires the list, though §3.2 wants empty ones left out; and to leave
    /// out the next one would claim the authorization code grant, which is its default.
    #[schema(value_type = Vec<String>)]
    response_types_supported: [String; 0],
    /// Always empty, for the same reason.
    #[schema(value_type = Vec<String>)]
    grant_types_supported: [String; 0],
    /// Where tokens are introspected (RFC 7662).
    introspection_endpoint: String,
    /// How a client application authenticates there.
    #[schema(value_type = Vec<String>)]
    introspection_endpoint_auth_methods_supported: [&'static str; 3],
    /// What it may sign an assertion with.
    #[schema(value_type = Vec<String>)]
    introspection_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    /// What answers are signed with that a client asks for as tokens (RFC 9701); absent where keys are shared secrets.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    introspection_signing_alg_values_supported: Option<[&'static str; 1]>,
    /// Where tokens are revoked (RFC 7009).
    revocation_endpoint: String,
    /// How a client application authenticates there.
    #[schema(value_type = Vec<String>)]
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
    /// What it may sign an assertion with.
    #[schema(value_type = Vec<String>)]
    revocation_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
}

/// What this server's own API is as a protected resource (RFC 9728 section 2).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProtectedResource {
    /// The public address of the API.
    resource: String,
    /// Whose tokens it takes: its own.
    #[schema(value_type = Vec<String>)]
    authorization_servers: [String; 1],
    /// Always `header`: a token does not belong in an address or a body.
    #[schema(value_type = Vec<String>)]
    bearer_methods_supported: [&'static str; 1],
    /// Its name, for people.
    resource_name: &'static str,
}

impl AuthorizationServer {
    fn new(published: &Published, config: &Config) -> Self {
        let Published { issuer, base, .. } = published;
        let algorithm = config.tokens.algorithm;
        Self {
            issuer: issuer.clone(),
            jwks_uri: format!("{base}/.well-known/jwks.json"),
            response_types_supported: [],
            grant_types_supported: [],
            introspection_endpoint: format!("{base}/oauth/introspect"),
            introspection_endpoint_auth_methods_supported: CLIENT_METHODS,
            introspection_endpoint_auth_signing_alg_values_supported: client_algorithms(),
            introspection_signing_alg_values_supported: algorithm.has_public_keys().then(|| [algorithm.as_str()]),
            revocation_endpoint: format!("{base}/oauth/revoke"),
            revocation_endpoint_auth_methods_supported: CLIENT_METHODS,
            revocation_endpoint_auth_signing_alg_values_supported: client_algorithms(),
        }
    }
}

impl ProtectedResource {
    fn new(published: &Published) -> Self {
        Self {
            resource: published.base.clone(),
            authorization_servers: [published.issuer.clone()],
            bearer_methods_supported: ["header"],
            resource_name: "Vigie",
        }
    }
}

/// What this server is as an authorization server. Not there where tokens name an issuer elsewhere.
#[utoipa::path(
    tag = "applications",
    responses(
        (status = 200, description = "RFC 8414", body = AuthorizationServer),
        (status = 304, description = "It is still the one named in `If-None-Match`"),
        NotFound
    )
)]
#[get("/.well-known/oauth-authorization-server")]
pub async fn authorization_server(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    answer_as_server(&app.config, &request)
}

/// The same, where the issuer has a path: clients look for it here (RFC 8414 section 3.1).
#[utoipa::path(
    tag = "applications",
    params(("path" = String, Path, description = "The path of the issuer, without its leading slash")),
    responses(
        (status = 200, description = "RFC 8414", body = AuthorizationServer),
        (status = 304, description = "It is still the one named in `If-None-Match`"),
        NotFound
    )
)]
#[get("/.well-known/oauth-authorization-server/{path:.*}")]
pub async fn authorization_server_of_path(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    answer_as_server(&app.config, &request)
}

/// What this server's own API is as a protected resource; the challenge of a 401 names it. Not there where tokens name an
/// issuer elsewhere.
#[utoipa::path(
    tag = "applications",
    responses(
        (status = 200, description = "RFC 9728", body = ProtectedResource),
        (status = 304, description = "It is still the one named in `If-None-Match`"),
        NotFound
    )
)]
#[get("/.well-known/oauth-protected-resource")]
pub async fn protected_resource(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    answer_as_resource(&app.config, &request)
}

/// The same, where the public address has a path: clients look for it here (RFC 9728 section 3.1).
#[utoipa::path(
    tag = "applications",
    params(("path" = String, Path, description = "The path of the public address, without its leading slash")),
    responses(
        (status = 200, description = "RFC 9728", body = ProtectedResource),
        (status = 304, description = "It is still the one named in `If-None-Match`"),
        NotFound
    )
)]
#[get("/.well-known/oauth-protected-resource/{path:.*}")]
pub async fn protected_resource_of_path(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    answer_as_resource(&app.config, &request)
}

/// What clients may sign their assertions with.
fn client_algorithms() -> Vec<&'static str> {
    ClientAlgorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect()
}

fn answer_as_server(config: &Config, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let published = config.published().ok_or(ApiError::NotFound)?;
    require_path(request, AUTHORIZATION_SERVER, &published.issuer_path)?;
    Ok(answer(request, &AuthorizationServer::new(&published, config)))
}

fn answer_as_resource(config: &Config, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let published = config.published().ok_or(ApiError::NotFound)?;
    require_path(request, PROTECTED_RESOURCE, &published.base_path)?;
    Ok(answer(request, &ProtectedResource::new(&published)))
}

/// The path as it came is the well-known one, alone (so it arrives where a proxy has cut off our path) or with ours behind it.
fn require_path(request: &HttpRequest, well_known: &str, path: &str) -> Result<(), ApiError> {
    let behind = request.uri().path().strip_prefix(well_known);
    if behind.is_some_and(|behind| behind.is_empty() || behind == path) { Ok(()) } else { Err(ApiError::NotFound) }
}

fn answer(request: &HttpRequest, told: &impl Serialize) -> HttpResponse {
    let body = serde_json::to_vec(told).expect("texts and lists of texts are always JSON");
    document(request, "application/json", MAX_AGE, body)
}
