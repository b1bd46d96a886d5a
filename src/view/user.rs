//! The objects of users and clients.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{TimeText, optional_time, time};
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
    #[schema(value_type = String, format = "date-time")]
    pub created_at: TimeText,
    /// Whether the password is one that somebody else chose, and is to be changed first of all.
    pub password_change_required: bool,
    /// When the user last set the password.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub password_changed_at: Option<TimeText>,
    /// Where the user is told of a login from a new device.
    #[schema(format = "email")]
    pub email: Option<String>,
}

/// A user, in the answers to logins.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserSummary<'a> {
    /// Names the user for ever.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    /// The present name.
    pub username: &'a str,
    /// The present role.
    pub role: &'a str,
}

/// A registered application; never its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ClientObject {
    /// The id of the client.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may ask for.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<crate::model::client::Scope>,
    /// Whose tokens it may ask about, as in the claim `aud`.
    pub audiences: Vec<String>,
    /// Its public keys (RFC 7517).
    #[schema(value_type = Option<Object>)]
    pub jwks: Option<serde_json::Value>,
    /// When it was registered.
    #[schema(value_type = String, format = "date-time")]
    pub created_at: TimeText,
    /// When its secret was last made anew.
    #[schema(value_type = String, format = "date-time")]
    pub secret_changed_at: TimeText,
    /// Until when the secret before that counts; missing where there is none.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub previous_secret_until: Option<TimeText>,
    /// When it last authenticated, some minutes behind at most.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub last_used_at: Option<TimeText>,
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
            password_change_required: user.must_change_password_since.is_some(),
            password_changed_at: optional_time(user.password_changed_at),
            email: user.email.as_ref().map(|email| email.as_str().to_owned()),
        }
    }
}

impl<'a> UserSummary<'a> {
    /// The user with this id, name and role.
    #[must_use]
    pub fn new(id: UserId, username: &'a Username, role: &'a Role) -> Self {
        Self { id: id.0, username: username.as_str(), role: role.as_str() }
    }
}

impl ClientObject {
    /// The client; `audience` is that of the configuration.
    #[must_use]
    pub fn new(client: &Client, audience: &str) -> Self {
        let audiences = client.audiences.as_ref().map(|own| own.as_slice().to_vec());
        Self {
            id: client.id.as_str().to_owned(),
            name: client.name.clone(),
            scopes: client.scopes.clone(),
            audiences: audiences.unwrap_or_else(|| vec![audience.to_owned()]),
            jwks: client.jwks.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            created_at: time(client.created_at),
            secret_changed_at: time(client.secret_changed_at),
            previous_secret_until: optional_time(client.previous_secret.map(|previous| previous.until)),
            last_used_at: optional_time(client.last_used_at),
        }
    }
}
