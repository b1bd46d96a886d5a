//! The objects of users and clients.

use serde::Serialize;
use utoipa::ToSchema;

use super::{optional_time, time};
use crate::model::client::Client;
use crate::model::id::UserId;
use crate::model::user::{Role, User, UserState, Username};

/// A user, as administrators see one.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserObject {
    /// Names the user for ever.
    #[schema(format = "uuid")]
    pub id: String,
    /// The present name.
    pub username: String,
    /// The present role.
    pub role: String,
    /// `active` or `disabled`.
    #[schema(value_type = String)]
    pub state: UserState,
    /// Whether a password is set.
    pub has_password: bool,
    /// When the user was created or imported.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// When the user last set the password.
    #[schema(format = "date-time")]
    pub password_changed_at: Option<String>,
}

/// A user, in the answers to logins.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserSummary {
    /// Names the user for ever.
    #[schema(format = "uuid")]
    pub id: String,
    /// The present name.
    pub username: String,
    /// The present role.
    pub role: String,
}

/// A registered application; never its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ClientObject {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may ask for.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<crate::model::client::Scope>,
    /// When it was registered.
    #[schema(format = "date-time")]
    pub created_at: String,
    /// When its secret was last made anew.
    #[schema(format = "date-time")]
    pub secret_changed_at: String,
}

impl From<&User> for UserObject {
    fn from(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username.as_str().to_owned(),
            role: user.role.as_str().to_owned(),
            state: user.state,
            has_password: user.password_hash.is_some(),
            created_at: time(user.created_at),
            password_changed_at: optional_time(user.password_changed_at),
        }
    }
}

impl UserSummary {
    /// The user with this id, name and role.
    #[must_use]
    pub fn new(id: UserId, username: &Username, role: &Role) -> Self {
        Self { id: id.to_string(), username: username.as_str().to_owned(), role: role.as_str().to_owned() }
    }
}

impl From<&Client> for ClientObject {
    fn from(client: &Client) -> Self {
        Self {
            id: client.id.as_str().to_owned(),
            name: client.name.clone(),
            scopes: client.scopes.clone(),
            created_at: time(client.created_at),
            secret_changed_at: time(client.secret_changed_at),
        }
    }
}
