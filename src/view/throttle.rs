//! The throttle object.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::{TimeText, optional_time, time};
use crate::store::throttles::ThrottleRow;

/// Failures counted for an account, an address, a network or the whole server.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ThrottleObject {
    /// Its id, as long as it is counted.
    #[schema(format = "uuid")]
    pub id: String,
    /// `account`, `known_device`, `address`, `network` or `overall`.
    pub scope: &'static str,
    /// The user whose account is throttled.
    pub user: Option<ThrottledUser>,
    /// The name that was tried, masked, where no user has it.
    pub name: Option<String>,
    /// The address or network that the tries came from.
    pub network: Option<String>,
    /// Failures in a row, since the last success.
    pub failures: i32,
    /// Failures in the present window.
    pub window_failures: i32,
    /// When the last failure was.
    #[schema(value_type = String, format = "date-time")]
    pub last_failure_at: TimeText,
    /// Until when tries are refused; null where they stay refused until an administrator unlocks.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub closed_until: Option<TimeText>,
    /// Whether tries are refused now.
    pub is_closed: bool,
    /// Whether they stay refused until an administrator unlocks the account.
    pub is_locked: bool,
}

/// The user of a throttled account.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ThrottledUser {
    /// The user's id.
    #[schema(format = "uuid")]
    pub id: String,
    /// The present name; null where the user was deleted.
    pub username: Option<String>,
}

impl ThrottleObject {
    /// What is counted, as it is at `now`.
    #[must_use]
    pub fn new(row: &ThrottleRow, is_locked: bool, now: DateTime<Utc>) -> Self {
        let user = row.display.user_id.map(|id| ThrottledUser { id: id.to_string(), username: row.username.clone() });
        Self {
            id: row.key.id().to_string(),
            scope: row.key.scope.as_str(),
            user,
            name: row.display.masked_name.clone(),
            network: row.display.network.clone(),
            failures: row.count.failures,
            window_failures: row.count.window_failures,
            last_failure_at: time(row.last_failure_at),
            closed_until: optional_time(row.count.closed_until.filter(|_| !is_locked)),
            is_closed: is_locked || row.count.closed_until.is_some_and(|until| until > now),
            is_locked,
        }
    }
}
