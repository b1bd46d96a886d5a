//! Registered applications: list, register, remove, give a new secret.

use actix_web::{HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::member::Label;
use crate::app::App;
use crate::client::registration::NewClient;
use crate::http::authenticate::{Admin, Reviewer};
use crate::http::authenticated_body::Authenticated;
use crate::http::error::ApiError;
use crate::http::input::{Body, Given, OptionalBody, Query};
use crate::http::paging::{List, PageOptions, Pager, Place};
use crate::http::problems::{BadBody, BadQuery, Conflict, NotFound, Refused};
use crate::model::client::{Audiences, Client, ClientId, Scope};
use crate::model::secret::SecretKind;
use crate::token::client_keys::ClientKeys;
use crate::view::{ClientObject, TimeText, time};

const PAGER: Pager = Pager("clients");

/// A client to be registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClientBody {
    /// Its id, for ever: 1 to 64 characters of `a-z`, `0-9`, `.`, `_` and `-`.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9._-]*$")]
    id: String,
    /// What people call it.
    name: Label,
    /// What it may ask for.
    scopes: Vec<Scope>,
    /// Whose tokens it may ask about: 1 to 20 texts, as in the claim `aud`. Without them, `[tokens] audience`.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 20)]
    audiences: Option<Audiences>,
    /// Its public keys (RFC 7517 §5), by which it may authenticate with `private_key_jwt`; at most 16 KiB.
    #[schema(value_type = Option<Object>)]
    jwks: Option<serde_json::Map<String, serde_json::Value>>,
}

/// How a client gets a new secret.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecretBody {
    /// The secret before is void at once, instead of after `[clients] secret_overlap`.
    #[serde(default)]
    void_old: bool,
}

/// A client just registered.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewClientAnswer {
    /// The client as it is registered.
    client: ClientObject,
    /// `vgc_` and more; it is shown this once.
    client_secret: String,
}

/// A client's new secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientSecretAnswer {
    /// `vgc_` and more; it is shown this once.
    client_secret: String,
    /// Until when the secret before counts as well.
    #[schema(value_type = Option<String>, format = "date-time")]
    previous_secret_until: Option<TimeText>,
}

fn object(app: &App, client: &Client) -> ClientObject {
    ClientObject::new(client, app.config.tokens.audience.as_str())
}

impl Place for ClientId {
    fn keys(&self) -> Vec<String> {
        vec![self.to_string()]
    }

    fn of_keys(keys: &[&str]) -> Option<Self> {
        let [id] = keys else { return None };
        Self::parse(id).ok()
    }
}

fn client_id(path: &web::Path<String>) -> Result<ClientId, ApiError> {
    ClientId::parse(path).map_err(|_| ApiError::NotFound)
}

/// Each once, in the order of their definition.
fn distinct(mut scopes: Vec<Scope>) -> Vec<Scope> {
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// The keys of a body.
fn keys(jwks: Option<serde_json::Map<String, serde_json::Value>>) -> Result<Option<ClientKeys>, ApiError> {
    let text = jwks.map(|jwks| serde_json::Value::Object(jwks).to_string());
    let keys = text.as_deref().map(ClientKeys::parse).transpose();
    keys.map_err(|error| ApiError::invalid("/jwks", error))
}

/// List clients by id.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(PageOptions),
    responses((status = 200, description = "A page of clients", body = List<ClientObject>), Refused, BadQuery)
)]
#[get("/admin/clients")]
pub async fn list_clients(
    _reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Query<PageOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Query(options) = query?;
    let (after, limit) = PAGER.asked(options.limit, options.cursor.as_deref())?;
    let page = app.clients.list(after, limit).await?;
    Ok(HttpResponse::Ok().json(PAGER.list(&page, |client| object(&app, client))))
}

/// Register a client.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), request_body = NewClientBody,
    responses((status = 201, description = "The client and its secret", body = NewClientAnswer), Refused, BadBody, Conflict)
)]
#[post("/admin/clients")]
pub async fn register_client(
    asked: Authenticated<Admin, Body<NewClientBody>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(admin, Body(body)) = asked;
    let new = NewClient {
        id: ClientId::parse(&body.id).map_err(|error| ApiError::invalid("/id", error))?,
        name: body.name.0,
        scopes: distinct(body.scopes),
        audiences: body.audiences,
        keys: keys(body.jwks)?,
    };
    let (client, secret) = app.clients.register(new, &admin.context()).await?;
    let client_secret = secret.reveal(SecretKind::ClientSecret);
    Ok(HttpResponse::Created().json(NewClientAnswer { client: object(&app, &client), client_secret }))
}

/// Remove a client. Its sessions end, and keep its id.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = String, Path, description = "The client")),
    responses((status = 204, description = "The client is removed"), Refused, NotFound)
)]
#[delete("/admin/clients/{id}")]
pub async fn remove_client(admin: Admin, app: web::Data<App>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    app.clients.remove(client_id(&id)?, &admin.context()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Give a client a new secret. The one before counts for `[clients] secret_overlap`, or not at all; the one before that is void
/// in any case.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = String, Path, description = "The client")),
    request_body(content = Option<RotateSecretBody>),
    responses((status = 200, description = "The secret", body = ClientSecretAnswer), Refused, NotFound, BadBody)
)]
#[post("/admin/clients/{id}/rotate-secret")]
pub async fn rotate_client_secret(
    asked: Authenticated<Admin, OptionalBody<RotateSecretBody>>,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(admin, OptionalBody(body)) = asked;
    let RotateSecretBody { void_old } = body.unwrap_or_default();
    let new = app.clients.rotate_secret(client_id(&id)?, void_old, &admin.context()).await?;
    let previous_secret_until = new.previous_until.map(time);
    let client_secret = new.secret.reveal(SecretKind::ClientSecret);
    Ok(HttpResponse::Ok().json(ClientSecretAnswer { client_secret, previous_secret_until }))
}
