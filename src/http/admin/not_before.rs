//! The emergency cut-off.

use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::member::Note;
use crate::app::App;
use crate::http::authenticate::Admin;
use crate::http::authenticated_body::Authenticated;
use crate::http::error::ApiError;
use crate::http::input::Body;
use crate::http::problems::{BadBody, NotFound, Refused};
use crate::model::client::ClientId;
use crate::model::filter::Moment;
use crate::model::id::UserId;
use crate::model::not_before::Scope;

/// Whose credentials are refused, and since when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotBeforeBody {
    /// This user's only.
    user_id: Option<Uuid>,
    /// Those issued through this application only; not together with `user_id`.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z0-9._-]*$")]
    client_id: Option<String>,
    /// Those issued before this moment, which has passed; now unless said otherwise.
    at: Option<Moment>,
    /// Why; kept with the not-before.
    note: Note,
}

impl NotBeforeBody {
    fn scope(&self) -> Result<Scope, ApiError> {
        match (self.user_id, &self.client_id) {
            (None, None) => Ok(Scope::Everybody),
            (Some(id), None) => Ok(Scope::User(UserId(id))),
            (None, Some(id)) => {
                let id = ClientId::parse(id).map_err(|error| ApiError::invalid("/client_id", error))?;
                Ok(Scope::Client(id))
            }
            (Some(_), Some(_)) => Err(ApiError::invalid("/client_id", "does not go together with `user_id`")),
        }
    }
}

/// Refuse everything issued before a moment, by one write: everybody's, one user's or one application's.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), request_body = NotBeforeBody,
    responses((status = 204, description = "It holds"), Refused, BadBody, NotFound)
)]
#[post("/admin/not-before")]
pub async fn set_not_before(
    asked: Authenticated<Admin, Body<NotBeforeBody>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(admin, Body(body)) = asked;
    let scope = body.scope()?;
    app.sessions.set_not_before(scope, body.at.map(|at| at.0), Some(body.note.0), &admin.context()).await?;
    Ok(HttpResponse::NoContent().finish())
}
