//! The attempt object.

use serde::Serialize;
use utoipa::ToSchema;

use super::{TimeText, time};
use crate::model::attempt::Attempt;

/// One try to log in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AttemptObject {
    /// The attempt's id.
    #[schema(format = "uuid")]
    pub id: String,
    /// When somebody tried.
    #[schema(value_type = String, format = "date-time")]
    pub at: TimeText,
    /// The name that was tried; masked where no user has it.
    pub username: String,
    /// The user of that name.
    #[schema(format = "uuid")]
    pub user_id: Option<String>,
    /// What came of it: the true reason.
    pub outcome: &'static str,
    /// The client's address.
    pub ip: String,
    /// The raw user agent.
    pub user_agent: Option<String>,
    /// The application that authenticated.
    pub client_id: Option<String>,
    /// The application that was only named.
    pub claimed_client_id: Option<String>,
    /// The session it started.
    #[schema(format = "uuid")]
    pub session_id: Option<String>,
    /// The request it was.
    pub request_id: String,
}

impl From<&Attempt> for AttemptObject {
    fn from(attempt: &Attempt) -> Self {
        Self {
            id: attempt.id.to_string(),
            at: time(attempt.at),
            username: attempt.username.clone(),
            user_id: attempt.user_id.map(|id| id.to_string()),
            outcome: attempt.outcome.as_str(),
            ip: attempt.ip.to_string(),
            user_agent: attempt.user_agent.clone(),
            client_id: attempt.client.authenticated().map(ToString::to_string),
            claimed_client_id: attempt.client.claimed().map(ToString::to_string),
            session_id: attempt.session_id.map(|id| id.to_string()),
            request_id: attempt.request_id.clone(),
        }
    }
}
