//! Accounts: list, create, change, delete, unlock, end their sessions, reset their password.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, delete, get, patch, post, web};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filter_query::Filtered;
use super::sessions::NoteBody;
use crate::app::App;
use crate::http::authenticate::{Admin, Reviewer};
use crate::http::authenticated_body::Authenticated;
use crate::http::error::ApiError;
use crate::http::input::Given;
use crate::http::input::{Body, OptionalBody};
use crate::http::paging::{List, PageOptions, Pager, Place};
use crate::http::problems::{BadBody, BadQuery, Conflict, NotFound, Refused};
use crate::model::audit::AuditKind;
use crate::model::filter::UserFilter;
use crate::model::id::UserId;
use crate::model::secret::SecretKind;
use crate::model::session::EndReason;
use crate::model::user::{Email, Role, UserState, Username};
use crate::store::users::Position;
use crate::user::change::UserChange;
use crate::user::create::{Created, NewUser};
use crate::user::erase::Erased;
use crate::view::{TimeText, UserObject, time};

const PAGER: Pager = Pager("users");

/// A user to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUserBody {
    /// The name: 1 to 128 characters, no control characters, no white space at its ends.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$"
    )]
    username: String,
    /// The role: 1 to 64 characters, no control characters, no white space at its ends.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$"
    )]
    role: String,
    /// A password for the first login, which the user has to change then; without one the answer has a token for setting it.
    #[schema(value_type = Option<String>, format = "password")]
    password: Option<SecretString>,
    /// Where the user is told of a login from a new device.
    #[schema(format = "email", max_length = 254)]
    email: Option<String>,
}

/// What to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChangeBody {
    /// The new name: as for a new user.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$"
    )]
    username: Option<String>,
    /// The new role, as for a new user; it holds from the next request.
    #[schema(
        min_length = 1,
        max_length = 64,
        pattern = r"^[^\s\u0000-\u001f\u007f-\u009f]([^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f])?$"
    )]
    role: Option<String>,
    /// Disabling ends all sessions.
    state: Option<UserState>,
    /// The new e-mail address; null takes it away.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "email", max_length = 254)]
    email: Member,
}

/// A member that may be null, which is not the same as left out.
#[derive(Debug, Default)]
enum Member {
    #[default]
    LeftOut,
    Given(Option<String>),
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::Given)
    }
}

/// How many of a user's sessions ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndedOfUserAnswer {
    /// How many sessions were ended.
    ended: i64,
}

/// What was taken away of a person.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasedAnswer {
    /// Sessions that hold the name no more.
    sessions: u64,
    /// Attempts that hold the name no more.
    attempts: u64,
    /// Events whose details are gone.
    events: u64,
    /// Rows from before names could be taken away: they go when retention removes them.
    sealed_in_the_clear: u64,
    /// Rows that are not what was recorded of them, and stay as they are: they are damage.
    altered: u64,
    /// False where the database lets the server change nothing in the history: the next `vigie retention run` will.
    complete: bool,
}

/// A user who was created.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewUserAnswer {
    /// The user as created.
    #[serde(flatten)]
    user: UserObject,
    /// `vgt_` and more, where there is no password: the user sets one with it. It is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_token: Option<String>,
    /// Until when it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    reset_token_expires_at: Option<TimeText>,
}

/// How a new password is to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueResetBody {
    /// The password that there is logs in no more, from now on.
    #[serde(default)]
    void_password: bool,
}

/// A one-time token for setting a new password.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResetAnswer {
    /// `vgt_` and more; it is shown this once.
    token: String,
    /// Until when it is good.
    #[schema(value_type = String, format = "date-time")]
    expires_at: TimeText,
}

impl NewUserBody {
    fn user(self) -> Result<NewUser, ApiError> {
        let (username, role) = (username(&self.username)?, role(&self.role)?);
        let email = self.email.as_deref().map(email).transpose()?;
        Ok(NewUser { username, role, password: self.password, change_at_login: true, email })
    }
}

impl From<&Created> for NewUserAnswer {
    fn from(created: &Created) -> Self {
        let reset = created.reset.as_ref();
        Self {
            user: UserObject::from(&created.user),
            reset_token: reset.map(|reset| reset.secret.reveal(SecretKind::OneTimeToken)),
            reset_token_expires_at: reset.map(|reset| time(reset.expires_at)),
        }
    }
}

impl UserChangeBody {
    fn change(&self) -> Result<UserChange, ApiError> {
        Ok(UserChange {
            username: self.username.as_deref().map(username).transpose()?,
            role: self.role.as_deref().map(role).transpose()?,
            state: self.state,
            email: match &self.email {
                Member::LeftOut => None,
                Member::Given(text) => Some(text.as_deref().map(email).transpose()?),
            },
        })
    }
}

fn email(text: &str) -> Result<Email, ApiError> {
    Email::parse(text).map_err(|error| ApiError::invalid("/email", error))
}

fn username(text: &str) -> Result<Username, ApiError> {
    Username::new(text).map_err(|error| ApiError::invalid("/username", error))
}

fn role(text: &str) -> Result<Role, ApiError> {
    Role::new(text).map_err(|error| ApiError::invalid("/role", error))
}

impl Place for Position {
    fn keys(&self) -> Vec<String> {
        vec![self.folded.clone(), self.id.to_string()]
    }

    fn of_keys(keys: &[&str]) -> Option<Self> {
        let [folded, id] = keys else { return None };
        Some(Self { folded: (*folded).to_owned(), id: id.parse().ok()? })
    }
}

fn user_id(path: &web::Path<String>) -> Result<UserId, ApiError> {
    path.parse().map_err(|_| ApiError::NotFound)
}

/// List users by name.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(UserFilter, PageOptions),
    responses((status = 200, description = "A page of users", body = List<UserObject>), Refused, BadQuery)
)]
#[get("/admin/users")]
pub async fn list_users(
    _reviewer: Reviewer,
    app: web::Data<App>,
    query: Given<Filtered<UserFilter, PageOptions>>,
) -> Result<HttpResponse, ApiError> {
    let Filtered { filter, options } = query?;
    let (after, limit) = PAGER.asked(options.limit, options.cursor.as_deref())?;
    let page = app.users.list(filter, after, limit).await?;
    Ok(HttpResponse::Ok().json(PAGER.list(&page, UserObject::from)))
}

/// Create a user.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), request_body = NewUserBody,
    responses(
        (status = 201, description = "The user", body = NewUserAnswer, headers(
            ("Location" = String, description = "Where the user is found"),
        )),
        Refused, BadBody, Conflict,
    )
)]
#[post("/admin/users")]
pub async fn create_user(
    asked: Authenticated<Admin, Body<NewUserBody>>,
    app: web::Data<App>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(admin, Body(body)) = asked;
    let created = app.users.create(body.user()?, &admin.context()).await?;
    let location = format!("/admin/users/{}", created.user.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(NewUserAnswer::from(&created)))
}

/// Show a user.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The user")),
    responses((status = 200, description = "The user", body = UserObject), Refused, NotFound)
)]
#[get("/admin/users/{id}")]
pub async fn show_user(
    _reviewer: Reviewer,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let user = app.users.find(user_id(&id)?).await?.ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok().json(UserObject::from(&user)))
}

/// Change a user's name, role, state or e-mail address.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The user")),
    request_body = UserChangeBody,
    responses((status = 200, description = "The user as changed", body = UserObject), Refused, BadBody, NotFound, Conflict)
)]
#[patch("/admin/users/{id}")]
pub async fn change_user(
    asked: Authenticated<Admin, Body<UserChangeBody>>,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(admin, Body(body)) = asked;
    let user = app.users.change(user_id(&id)?, body.change()?, &admin.context()).await?;
    Ok(HttpResponse::Ok().json(UserObject::from(&user)))
}

/// Delete a user. All sessions end; the history stays.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The user")),
    responses((status = 204, description = "The user is deleted"), Refused, NotFound, Conflict)
)]
#[delete("/admin/users/{id}")]
pub async fn delete_user(admin: Admin, app: web::Data<App>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    app.users.delete(user_id(&id)?, &admin.context()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Erase a person: the account, and what names the person in the history, which stays under the user's id until retention
/// removes it. All sessions end. Also where the account was deleted before; asking again goes on where it broke off.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The user")),
    responses((status = 200, description = "What was taken away", body = ErasedAnswer), Refused, NotFound, Conflict)
)]
#[post("/admin/users/{id}/erase")]
pub async fn erase_user(admin: Admin, app: web::Data<App>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let Erased { sessions, attempts, events, sealed_in_the_clear, altered, complete } =
        app.users.erase(user_id(&id)?, &admin.context()).await?;
    Ok(HttpResponse::Ok().json(ErasedAnswer { sessions, attempts, events, sealed_in_the_clear, altered, complete }))
}

/// End all sessions of a user.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The user")),
    request_body = Option<NoteBody>,
    responses((status = 200, description = "How many", body = EndedOfUserAnswer), Refused, BadBody, NotFound)
)]
#[post("/admin/users/{id}/end-sessions")]
pub async fn end_sessions_of_user(
    asked: Authenticated<Admin, OptionalBody<NoteBody>>,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(admin, body) = asked;
    let user = app.users.find_for(AuditKind::SessionsEnded, user_id(&id)?, &admin.context()).await?;
    let note = body.0.and_then(|body| body.note).map(|note| note.0);
    let ended = app.sessions.end_of_user(user.id, None, EndReason::EndedByAdmin, note, &admin.context()).await?;
    Ok(HttpResponse::Ok().json(EndedOfUserAnswer { ended }))
}

/// Lift the throttling of a user's account.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The user")),
    responses((status = 204, description = "The user may try again"), Refused, NotFound)
)]
#[post("/admin/users/{id}/unlock")]
pub async fn unlock_user(admin: Admin, app: web::Data<App>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    app.users.unlock(user_id(&id)?, &admin.context()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Issue a one-time token with which a user sets a new password.
#[utoipa::path(
    tag = "administrators", security(("bearer" = [])), params(("id" = Uuid, Path, description = "The user")),
    request_body = Option<IssueResetBody>,
    responses(
        (status = 200, description = "The token; an earlier one is void", body = ResetAnswer),
        Refused, BadBody, NotFound,
    )
)]
#[post("/admin/users/{id}/reset-password")]
pub async fn issue_reset(
    asked: Authenticated<Admin, OptionalBody<IssueResetBody>>,
    app: web::Data<App>,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let Authenticated(admin, OptionalBody(body)) = asked;
    let void_password = body.is_some_and(|body| body.void_password);
    let issued = app.users.issue_reset(user_id(&id)?, void_password, &admin.context()).await?;
    let token = issued.secret.reveal(SecretKind::OneTimeToken);
    Ok(HttpResponse::Ok().json(ResetAnswer { token, expires_at: time(issued.expires_at) }))
}
