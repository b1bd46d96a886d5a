//! Registered applications: list, register, remove, give a new secret.

use actix_web::{HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::member::Label;
use crate::app::App;
use crate::http::asked::By;
use crate::http::authenticate::{Admin, Reviewer};
use crate::http::error::ApiError;
use crate::http::input::Given;
use crate::http::input::{Body, Query};
use crate::http::paging::{List, PageOptions, Pager, Place};
use crate::http::problems::{BadBody, BadQuery, Conflict, NotFound, Refused};
use crate::model::client::{ClientId, Scope};
use crate::model::secret::SecretKind;
use crate::view::ClientObject;

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
}

/// A client just registered.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewClientAnswer {
    /// The client.
    client: ClientObject,
    /// `vgc_` and more; it is shown this once.
    client_secret: String,
}

/// A client's new secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientSecretAnswer {
    /// `vgc_` and more; it is shown this once.
    client_secret: String,
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
    Ok(HttpResponse::Ok().json(PAGER.list(&page, ClientObject::from)))
}

/// Register a client.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), request_body = NewClientBody,
    responses((status = 201, description = "The client and its secret", body = NewClientAnswer), Refused, BadBody, Conflict)
)]
#[post("/admin/clients")]
pub async fn register_client(
    asked: By<Admin, Body<NewClientBody>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let By(admin, Body(NewClientBody { id, name, scopes })) = asked;
    let id = ClientId::parse(&id).map_err(|error| ApiError::invalid("/id", error))?;
    let (client, secret) = app.clients.register(id, name.0, distinct(scopes), &admin.context()).await?;
    let client_secret = secret.reveal(SecretKind::ClientSecret);
    Ok(HttpResponse::Created().json(NewClientAnswer { client: ClientObject::from(&client), client_secret }))
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

/// Give a client a new secret; the old one is void at once.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = String, Path, description = "The client")),
    responses((status = 200, description = "The secret", body = ClientSecretAnswer), Refused, NotFound)
)]
#[post("/admin/clients/{id}/rotate-secret")]
pub async fn rotate_client_secret(
    admin: Admin,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let secret = app.clients.rotate_secret(client_id(&id)?, &admin.context()).await?;
    let client_secret = secret.reveal(SecretKind::ClientSecret);
    Ok(HttpResponse::Ok().json(ClientSecretAnswer { client_secret }))
}
